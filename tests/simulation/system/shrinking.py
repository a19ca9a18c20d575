"""A failing case made smaller: acts and faults are left out as long as the same thing goes wrong."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Final, TypeVar

import msgspec

from simulation.system.cases import Case
from simulation.system.world import play

T = TypeVar("T")
PLAYS_MAX: Final = 250
"""How often the case is played on the way."""


def shrink(case: Case, violation: str, *, plays_max: int = PLAYS_MAX) -> Case:
    """The smallest case that was found in which the same thing goes wrong."""
    left = plays_max
    wanted = kind_of(violation)

    def fails(smaller: Case) -> bool:
        nonlocal left
        if left <= 0:
            return False
        left -= 1
        return any(kind_of(found) == wanted for found in play(smaller).violations)

    replace = msgspec.structs.replace
    before = None
    while before != case and left > 0:
        before = case
        case = replace(case, faults=_fewer(case.faults, lambda some: fails(replace(case, faults=some))))  # noqa: B023 - called at once
        case = replace(case, acts=_fewer(case.acts, lambda some: fails(replace(case, acts=some))))  # noqa: B023 - as above
        if case.tells and fails(replace(case, tells=False)):
            case = replace(case, tells=False)
    return case


def kind_of(violation: str) -> str:
    """What goes wrong, without numbers and names that differ from play to play."""
    return re.sub(r"'[^']*'|\[[^\]]*\]|\([^)]*\)|[0-9a-f]{8,}|\d+", "#", violation)[:80]


def _fewer(some: tuple[T, ...], still_fails: Callable[[tuple[T, ...]], bool]) -> tuple[T, ...]:
    """As few of *some* as it takes: first large parts are left out, then single ones."""
    size = len(some)
    while size:
        position = 0
        while position < len(some):
            fewer = some[:position] + some[position + size :]
            if still_fails(fewer):
                some = fewer
            else:
                position += size
        size //= 2
    return some


def told(case: Case) -> Sequence[str]:
    """The case in lines that a person can read."""
    lines = [f"{case.slots} processes, seed {case.seed}"]
    for act in sorted(case.acts, key=lambda act: act.at):
        fields = {
            name: value for name, value in msgspec.structs.asdict(act).items() if value not in ("", None)
        }
        at = fields.pop("at")
        lines.append(
            f"{at:>12.3f} s  {type(act).__name__.lower()} " + ", ".join(f"{k}={v}" for k, v in fields.items())
        )
    for fault in case.faults:
        seconds = f", {fault.seconds:g} s" if fault.seconds else ""
        lines.append(f"{'turn ' + str(fault.turn):>14}  {fault.kind}: process {fault.slot}{seconds}")
    return lines
