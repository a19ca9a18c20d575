"""Events as bytes and back: JSON with its version in front, so that old histories replay for ever.

A record looks like `{"v":1,"event":"step_started","at":…,…}`. The version belongs to the whole vocabulary of
events. Fields that are added with a default need no new version. Anything else does: the new version gets an
upcaster that turns the plain data of the version before into its own, and the chain of them leads from any
version to today's. Records are never rewritten.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING, Any, TypeAlias

import msgspec

from towpath.core.events import AnyEvent
from towpath.errors import BugError, StoreUnavailable

if TYPE_CHECKING:
    from collections.abc import Mapping

VERSION = 1
"""The version of what is written today."""

Data: TypeAlias = dict[str, Any]
"""A record as plain JSON; Any: it is what an older version has written."""
Upcaster: TypeAlias = Callable[[Data], Data]

UPCASTERS: Mapping[int, Upcaster] = {}
"""From a version to the next one; one entry for every version before today's."""

_HEAD = f'{{"v":{VERSION},'.encode()
_ENCODER = msgspec.json.Encoder()
_encode = _ENCODER.encode


def encode(event: AnyEvent) -> bytes:
    """Write an event as a record."""
    return _HEAD + _encode(event)[1:]


def decode(record: bytes) -> AnyEvent:
    """Read a record of any version; one of a newer Towpath, or a damaged one, raises StoreUnavailable."""
    try:
        if record.startswith(_HEAD):
            return _decoder().decode(record)
        return _decode_older(record)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise StoreUnavailable(
            f"a record of the journal cannot be read: {error}: {record[:80]!r}…",
            help="A newer Towpath wrote it, or it is damaged: install that version, or `tow restore FILE`.",
        ) from error


def upcast(data: Data, *, upcasters: Mapping[int, Upcaster] = UPCASTERS, version: int = VERSION) -> Data:
    """Lead plain data from the version that it names to *version*."""
    while (found := data.get("v")) != version:
        if not isinstance(found, int) or found > version:
            raise StoreUnavailable(
                f"a record of the journal has version {found!r}; this Towpath knows versions up to {version}",
                help="A newer Towpath has written it: install that version again.",
            )
        if found not in upcasters:
            raise BugError(f"no upcaster leads from version {found} of the events to {found + 1}")
        data = {**upcasters[found](data), "v": found + 1}
    return data


def _decode_older(record: bytes) -> AnyEvent:
    data = msgspec.json.decode(record)
    if not isinstance(data, dict):
        raise msgspec.ValidationError("a record is an object")
    event: AnyEvent = msgspec.convert(upcast(data), AnyEvent)
    return event


@cache
def _decoder() -> msgspec.json.Decoder[AnyEvent]:
    """Make the decoder at its first use: it costs a millisecond that `tow --help` does not need."""
    return msgspec.json.Decoder(AnyEvent)
