"""Naming steps in a test: by id, by path, or by a path with `[*]` for any item or round.

`smoke` is every instance of the step with this id, `fleet[web1]/smoke` is one of them, and `fleet[*]/smoke` says it out loud. Ids are
unique in a file, so a path may begin with any of them. The steps of another workflow that a step starts stand behind a `>`:
`backup_first>copy`. What is said most exactly counts.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from towpath.core.plan import Plan, PlanStep
from towpath.core.run import Path

CHILD = ">"
GATE = "gate:"
_GATE_PATH = "~gate_"
_INSTANCE = re.compile(r"\[[^\]]*\]")
_ANY = "[*]"


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a step stands: its path in its run, and the step that started that run."""

    path: Path
    id: str | None = None
    """The step's id, where it has one."""
    outer: Place | None = None
    """The step that started the run; None in the run that is tested."""
    loops: tuple[str, ...] = ()
    """The keys of the `repeat` steps that it stands in."""

    @property
    def full(self) -> str:
        """The path from the run that is tested: `backup_first>copy`."""
        path = gate_name(self.path)
        return path if self.outer is None else f"{self.outer.full}{CHILD}{path}"

    @property
    def thread(self) -> str:
        """The path without the rounds of a `repeat`: what follows each other in a script."""
        found = self.full
        for key in self.loops:
            found = re.sub(rf"((?:^|/){re.escape(key)})\[\d+\]", r"\1", found)
        return found


def gate_name(path: Path) -> str:
    """A path as a test writes it: `gate:production` for the gate of an environment."""
    return f"{GATE}{path.removeprefix(_GATE_PATH)}" if path.startswith(_GATE_PATH) else path


def gate_path(address: str) -> Path:
    """The path of an environment's gate, from `gate:production`; other addresses stay as they are."""
    return f"{_GATE_PATH}{address.removeprefix(GATE)}" if address.startswith(GATE) else address


def exactness(address: str, place: Place) -> int:
    """How exactly *address* names *place*: 0 not at all, 1 by its id, 2 by a pattern, 3 by the end of its path, 4 by all of it."""
    outer, _, local = address.rpartition(CHILD)
    if bool(outer) != (place.outer is not None):
        return 0
    if place.outer is not None and not exactness(outer, place.outer):
        return 0
    local = gate_path(local)
    if local == place.path:
        return 4
    if local == place.id:
        return 1
    if _ANY in local:
        return 2 * bool(re.search(_pattern(local), place.path))
    return 3 * (_may_begin(local) and place.path.endswith(f"/{local}"))


def _may_begin(local: str) -> bool:
    """Whether an address begins with an id, which is unique in a file, and not with a bare position."""
    return not local[:1].isdigit()


def best(addresses: Iterable[str], place: Place) -> str | None:
    """The one of *addresses* that names *place* most exactly."""
    found = [(exactness(address, place), address) for address in addresses]
    most, address = max(found, default=(0, None), key=lambda pair: pair[0])
    return address if most else None


def names(plan: Plan) -> frozenset[str]:
    """Every id and every shape of a path in a workflow: what an address in it may be."""
    return frozenset(name for step in plan.steps for name in _names_of(step))


def is_known(address: str, known: frozenset[str]) -> bool:
    """Whether an address without `>` names something among *known*, which `names` gave."""
    return address in known or _INSTANCE.sub(_ANY, address) in known


def find(plan: Plan, address: str) -> tuple[PlanStep, ...]:
    """The steps of a workflow that an address without `>` names."""
    if address in plan.by_id:
        return (plan.by_id[address],)
    shape = _INSTANCE.sub(_ANY, address)
    return tuple(step for step in plan.steps if shape in _ends_of(shape_of(step)))


def loops_around(step: PlanStep) -> tuple[str, ...]:
    """The keys of the `repeat` steps that a step stands in."""
    found = []
    around = step.parent
    while around is not None:
        if around.kind == "repeat":
            found.append(around.key)
        around = around.parent
    return tuple(found)


def shape_of(step: PlanStep) -> str:
    """The path of a step with `[*]` for every item, round and branch."""
    parts = (_ANY if part == "*" else part for part in step.chain)
    return _INSTANCE.sub(_ANY, "".join(parts).removeprefix("/"))


def _names_of(step: PlanStep) -> Iterator[str]:
    shape = shape_of(step)
    yield from _ends_of(shape)
    if step.kind in ("each", "repeat", "choose"):
        yield from _ends_of(f"{shape}{_ANY}")
    for handler in ("rollback", "catch", "on_failure", "finally"):
        if step.lists.get(handler):
            yield from _ends_of(f"{shape}~{handler}")


def _ends_of(shape: str) -> Iterator[str]:
    """A path, and its ends that begin with an id."""
    yield shape
    parts = shape.split("/")
    for position in range(1, len(parts)):
        end = "/".join(parts[position:])
        if _may_begin(end):
            yield end


def _pattern(address: str) -> str:
    """The end of a path, from an id on, with any item or round for `[*]`."""
    inner = re.escape(address).replace(re.escape(_ANY), r"\[[^\]]*\]")
    return rf"(^|/){inner}$"
