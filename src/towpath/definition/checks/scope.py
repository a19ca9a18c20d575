"""Where a step may be read from.

The idea. Every step has a way from the root: pairs of a list and a position. Where the ways of the reader and
of the step that is read part decides everything: in a sequence the earlier one is there, in `parallel` only
what is needed is, the branches of a `choose` exclude each other, a handler comes after the body. From there
down to the step that is read, a loop shows only its `items`, and steps that run only before a scope stops are
never there for what comes after it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum, auto
from itertools import pairwise

from towpath.definition.checks.context import HANDLERS, Place


class Moment(Enum):
    """When an expression of a step, or of the file, is worked out."""

    BEFORE = auto()
    """Before the step it stands in."""
    AFTER = auto()
    """When the step's attempt, round or body has ended."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """Why a step cannot be read."""

    name: str
    message: str
    help: str


def refusal(reader: Place | None, target: Place, moment: Moment) -> Refusal | None:
    """Why *target* cannot be read from *reader* (None: from the file's own keys), or None when it can."""
    read_from = reader.chain() if reader is not None else ()
    read = target.chain()
    depth = _common(read_from, read)
    if depth == len(read):
        return _own_or_around(read_from, depth, target, moment)
    if depth == len(read_from):
        if moment is Moment.BEFORE:
            return _later(target, "runs inside this step" if reader is not None else "has not run yet")
        return _below(read[max(0, depth - 1) :], target, reader_comes_after=False, from_inside=bool(depth))
    return _parted(read_from[depth], read[depth:], target)


def runs_before(earlier: Place, later: Place) -> bool:
    """Whether *earlier*, or the block around it, stands before *later* in a sequence."""
    first, second = earlier.chain(), later.chain()
    depth = _common(first, second)
    if depth in (len(first), len(second)):
        return False
    one, other = first[depth], second[depth]
    return one.slot == other.slot and one.slot != "parallel" and one.index < other.index


def _common(one: Sequence[Place], other: Sequence[Place]) -> int:
    depth = 0
    while depth < min(len(one), len(other)) and one[depth] is other[depth]:
        depth += 1
    return depth


def _own_or_around(read_from: Sequence[Place], depth: int, target: Place, moment: Moment) -> Refusal | None:
    if depth == len(read_from):
        own = "write `outputs.…`: here it means the step's own outputs" if moment is Moment.AFTER else ""
        return _later(target, "is this step itself", own)
    if read_from[depth].slot in HANDLERS:
        return None
    return _later(target, "is the block around this place, and has not ended")


def _parted(reader: Place, below: Sequence[Place], target: Place) -> Refusal | None:
    """Reader and target hang on two children of the same step, or of the file."""
    branch = below[0]
    if reader.slot != branch.slot:
        if _rank(branch.slot) >= _rank(reader.slot):
            return _other_list(reader, branch, target)
        if branch.parent is not None and branch.parent.kind == "each" and branch.slot == "steps":
            return _inside_loop(branch.parent, branch, target)
        return _below(below, target, reader_comes_after=False)
    if reader.slot == "parallel":
        if not _needs(reader, branch):
            return _not_needed(reader, branch, target)
    elif branch.index > reader.index:
        return _later(target, "comes later")
    return _below(below, target, reader_comes_after=True)


def _other_list(reader: Place, branch: Place, target: Place) -> Refusal:
    if reader.slot.startswith("choose/") and branch.slot.startswith("choose/"):
        return Refusal(
            name="step-elsewhere",
            message=f"`{target.id}` stands in another branch: when this step runs, that one never does",
            help="read it after the `choose`, or give both branches what they need",
        )
    return _later(target, f"runs in `{_key(branch.slot)}`, which comes after this place")


def _rank(slot: str) -> int:
    return HANDLERS.index(slot) + 1 if slot in HANDLERS else 0


def _key(slot: str) -> str:
    return slot.split("/", maxsplit=1)[0]


def _needs(reader: Place, branch: Place) -> bool:
    """Whether *reader* waits, directly or by others, for its sibling *branch*."""
    parent = reader.parent
    if parent is None:
        return False
    siblings = {step.id: step for _, steps in parent.step.body() for step in steps if step.id}
    due, seen = [*reader.step.needs], set[str]()
    while due:
        name = due.pop()
        if name == branch.id:
            return True
        if name not in seen and name in siblings:
            seen.add(name)
            due.extend(siblings[name].needs)
    return False


def _not_needed(reader: Place, branch: Place, target: Place) -> Refusal:
    where = "" if branch is target or not branch.id else f" inside `{branch.id}`"
    advice = (
        f"add `needs: [{branch.id}]` to {reader.name()}"
        if branch.id
        else "give that step an `id`, and add it to `needs` here"
    )
    return Refusal(
        name="step-elsewhere",
        message=f"`{target.id}`{where} runs at the same time as this step",
        help=advice,
    )


def _later(target: Place, why: str, advice: str = "") -> Refusal:
    return Refusal(
        name="step-comes-later",
        message=f"`{target.id}` {why}",
        help=advice or "a step can read what ended before it",
    )


def _below(
    chain: Sequence[Place], target: Place, *, reader_comes_after: bool, from_inside: bool = False
) -> Refusal | None:
    """From a step that is there down to one inside it.

    With *from_inside*, the reader is the first step of the chain and looks at its own body, as the `until`
    of a `repeat` does.
    """
    for position, (outer, inner) in enumerate(pairwise(chain)):
        if outer.kind == "each" and inner.slot == "steps":
            return _inside_loop(outer, inner, target)
        never = inner.slot in ("on_failure", "rollback")
        if (reader_comes_after and never) or (from_inside and position == 0 and inner.slot in HANDLERS):
            return Refusal(
                name="step-elsewhere",
                message=f"`{target.id}` runs in `{inner.slot}` of {outer.name()}: nothing here runs after it",
                help="steps of `catch` and `finally` can be read afterwards",
            )
    return None


def _inside_loop(loop: Place, inner: Place, target: Place) -> Refusal:
    way = f"steps.{loop.id or 'LOOP'}.items"
    if inner is target:
        advice = f'write {way}[0].{target.id}, or {way}.all(i, i.{target.id}.status == "succeeded")'
    else:
        advice = f"{way} has the steps that stand directly in the loop"
    if loop.id is None:
        advice = f"give the loop an `id`; then {advice}"
    return Refusal(
        name="step-inside-loop",
        message=f"`{target.id}` runs once for each item of {loop.name()}: seen from outside, there are many",
        help=advice,
    )
