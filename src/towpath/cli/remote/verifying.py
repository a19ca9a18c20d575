"""The verdict on a server's record, found by the server and read back as the same values."""

from __future__ import annotations

from typing import Any, Final
from urllib.parse import urlencode

from towpath.cli.remote.wire import API, Wire
from towpath.server.shapes.moments import micros_of
from towpath.store import chain
from towpath.store.acts import ActBreak, ActsVerdict

VERIFY_SECONDS: Final = 1800.0
"""How long the server may read its whole record."""
Object = dict[str, Any]  # JSON


def verify(wire: Wire, anchor: str | None) -> tuple[chain.Verdict, ActsVerdict]:
    """Has the server verify its record; raises Refused."""
    query = "" if anchor is None else f"?{urlencode({'anchor': anchor})}"
    told = wire.call("GET", f"{API}/audit/verify{query}", seconds=VERIFY_SECONDS)
    verdict = chain.Verdict(
        runs=told["runs"],
        records=told["records"],
        unlinked=told["unlinked"],
        forgotten=told["forgotten"],
        breaks=tuple(map(_break, told["breaks"])),
        breaks_more=told["breaks_more"],
        anchor=None if told["anchor"] is None else chain.read_anchor(told["anchor"]),
    )
    acts = told["access"]
    noticed = told["access_break"]
    breaks = tuple(
        _act_break(one, noticed if not place else None) for place, one in enumerate(acts["breaks"])
    )
    return verdict, ActsVerdict(acts=acts["acts"], breaks=breaks, breaks_more=acts["breaks_more"])


def _break(told: Object) -> chain.Break:
    return chain.Break(
        kind=told["kind"],
        run=told["run"],
        sequence=told["record"] or 0,
        at=micros_of(told["at"]) if told["at"] else 0,
        text=told["text"],
    )


def _act_break(told: Object, noticed_at: int | None) -> ActBreak:
    """A break; where it was noticed is told of the first one only."""
    return ActBreak(
        kind=told["kind"],
        act=told["act"],
        noticed_at=noticed_at or told["act"],
        at=micros_of(told["at"]) if told["at"] else 0,
        text=told["text"],
    )
