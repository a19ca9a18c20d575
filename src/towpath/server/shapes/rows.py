"""The values of the store as JSON and back, exactly: for a command line that talks to a server and shows what a local one shows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, TypeVar

import msgspec

from towpath.errors import StoreUnavailable
from towpath.store.logs import LogLine

PROTOCOL: Final = 1
"""The version of these values. A client and a server of different versions say so, instead of misunderstanding each other."""

T = TypeVar("T")


class Hello(msgspec.Struct, frozen=True):
    """What a server says first."""

    protocol: int
    version: str
    name: str
    """Who asks, as the journal names them."""
    now: int


class LogPiece(msgspec.Struct, frozen=True):
    """Some lines of a log, and where to go on."""

    lines: tuple[LogLine, ...]
    place: str


class Files(msgspec.Struct, frozen=True):
    """The files of a project, by their paths in its folder."""

    texts: Mapping[str, str]


def encode(value: object) -> bytes:
    """A value as JSON."""
    return _ENCODER.encode(value)


def decode(data: bytes, kind: Any) -> Any:  # noqa: ANN401 - msgspec's own: a type, and a value of that type
    """A value from JSON; raises StoreUnavailable for what is no such value."""
    try:
        return msgspec.json.decode(data, type=kind)
    except msgspec.MsgspecError as error:
        raise StoreUnavailable(
            f"the server's answer cannot be read: {error}",
            help="is it the same version of Towpath? `tow version` tells yours",
        ) from error


def _plain(value: object) -> object:
    if isinstance(value, Mapping):
        return dict(value)
    raise NotImplementedError(f"{type(value).__name__} is no value of the store")


_ENCODER = msgspec.json.Encoder(enc_hook=_plain)
