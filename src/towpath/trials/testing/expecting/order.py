"""What was ordered, in which order."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Sequence

from towpath.trials.testing import addresses, times
from towpath.trials.testing.expecting.difference import Difference, plain
from towpath.trials.testing.files import (
    Expect,
    words_of,
)
from towpath.trials.testing.happening import split
from towpath.trials.testing.world import Ordered, World


def fits(word: str, ordered: Ordered) -> bool:
    """Whether a word of `path` means this."""
    address, wanted = split(word)
    kind = {"check": "check", "question": "question"}.get(ordered.kind, "step")
    return wanted == kind and addresses.exactness(address, ordered.place) > 0


def path(world: World, expect: Expect) -> Iterator[Difference]:
    """Everything that was ordered."""
    if expect.path is None:
        return
    wanted = words_of(expect.path)
    if len(wanted) == len(world.ordered) and all(map(fits, wanted, world.ordered)):
        return
    got = _as_written(wanted, world.ordered)
    yield Difference(
        what="path",
        expected=" ".join(wanted) or "nothing",
        got=" ".join(got) or "nothing",
        help=_first_difference(wanted, got),
    )


def _as_written(wanted: Sequence[str], ordered: Iterable[Ordered]) -> tuple[str, ...]:
    """What was ordered, in the words of the test where it has one for it."""
    return tuple(
        next((word for word in wanted if fits(word, one)), None) or short_name(one) for one in ordered
    )


def short_name(one: Ordered) -> str:
    """The shortest word for what was ordered: its id, where it is not one of many."""
    place = one.place
    sign = one.name.removeprefix(place.full)
    if place.id is None or place.outer is not None or "[" in place.path:
        return one.name
    return f"{place.id}{sign}"


def _first_difference(wanted: Sequence[str], got: Sequence[str]) -> str:
    blocks = difflib.SequenceMatcher(None, wanted, got, autojunk=False).get_opcodes()
    for kind, a, b, c, d in blocks:
        if kind == "delete":
            return f"missing at {c + 1}: {' '.join(wanted[a:b])}"
        if kind == "insert":
            return f"not expected, at {c + 1}: {' '.join(got[c:d])}"
        if kind == "replace":
            return f"different from {c + 1} on: expected {' '.join(wanted[a:b])}, got {' '.join(got[c:d])}"
    return ""


def passes(world: World, expect: Expect) -> Iterator[Difference]:
    """Some of what was ordered, in order."""
    if expect.passes is None:
        return
    rest = iter(world.ordered)
    wanted = words_of(expect.passes)
    for word in wanted:
        if not any(fits(word, one) for one in rest):
            got = " ".join(_as_written(wanted, world.ordered)) or "nothing"
            yield Difference(
                what="passes", expected=" … ".join(wanted), got=got, help=f"`{word}` is missing there"
            )
            return


def never(world: World, expect: Expect) -> Iterator[Difference]:
    """What must not be ordered."""
    for word in words_of(expect.never or ()):
        met = [one for one in world.ordered if fits(word, one)]
        if met:
            when = times.moment(met[0].at, world.setting.zone)
            yield plain("never", f"no {word}", f"{met[0].name} at {when}")
