"""What is going to happen in one simulated world, as data: who starts and says what, and what goes wrong when.

A case is made from a seed and then stands for itself: it can be kept in a file, a fault can be taken out of it, and it is played
the same way for ever. How steps go and what people answer follows from the case's seed too, for each attempt and question on its own.
"""

from __future__ import annotations

import random
from typing import Any, Final, Literal, TypeAlias

import msgspec

from simulation.system import catalogue

FaultKind: TypeAlias = Literal["kill", "power", "stop", "disk_full", "pause", "slow_disk", "jump", "resume"]
Says: TypeAlias = Literal[
    "cancel",
    "cancel_as_it_is",
    "stop_step",
    "roll_back",
    "retry",
    "skip",
    "signal",
    "event",
    "continue_retry",
    "continue_rollback",
    "continue_rerun",
]
HOURS: Final = 3_600.0
SLOTS_MAX: Final = 3
"""Processes at a time."""
RUNS_PER_CASE: Final = 24
TURNS_PER_RUN: Final = 90
"""About how many callbacks a run takes while things go wrong."""


class Start(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag="start"):
    """Somebody starts a run."""

    number: int
    """Names the start, for those who say something to its run."""
    at: float
    """Seconds after the beginning."""
    slot: int
    """Which process."""
    workflow: str
    key: str = ""
    """At most one run for each."""
    by: str = "user:ann"
    break_glass: str = ""


class Say(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag="say"):
    """Somebody says something to a run, whatever its state."""

    at: float
    says: Says
    run: int
    """Which start is meant."""
    number: int = 0
    """Chooses where the act leaves a choice: a step."""


class Fault(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Something goes wrong at a turn of the machine."""

    turn: int
    kind: FaultKind
    slot: int = 0
    seconds: float = 0.0
    """How long a process is stopped or the disk slow; how far the clock jumps."""


class Case(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Everything that is going to happen in one world."""

    seed: int
    slots: int = 2
    performing_max: int = 64
    resident_max: int = 100
    """Runs that only wait and stay in memory; the others are folded again when something happens to them."""
    syncs: bool = True
    """Whether the disk keeps what it has acknowledged."""
    tells: bool = True
    """Whether people are told through channels."""
    acts: tuple[Start | Say, ...] = ()
    faults: tuple[Fault, ...] = ()
    workflows: dict[str, dict[str, Any]] = {}
    """The texts of workflows that were made at random, in a case that is kept."""
    note: str = ""
    """What was wrong."""


def make_case(seed: int) -> Case:
    """The case of a seed."""
    chance = random.Random(f"case {seed}")  # noqa: S311 - a seed is the point
    slots = chance.choice((1, 2, 2, 2, 3))
    hours = chance.choice((0.1, 1.0, 8.0, 30.0))
    starts = tuple(_start(chance, number, slots=slots, hours=hours) for number in range(RUNS_PER_CASE))
    says = tuple(_say(chance, hours=hours) for _ in range(chance.randrange(14)))
    return Case(
        seed=seed,
        slots=slots,
        performing_max=chance.choice((2, 64, 64)),
        resident_max=chance.choice((0, 1, 3, 100)),
        tells=chance.random() < 0.15,
        acts=starts + says,
        faults=tuple(sorted(_faults(chance, slots=slots), key=lambda fault: fault.turn)),
    )


def _start(chance: random.Random, number: int, *, slots: int, hours: float) -> Start:
    if chance.random() < 0.25:
        workflow = f"{catalogue.RANDOM}{chance.randrange(catalogue.RANDOM_WORKFLOWS)}"
    else:
        weights = catalogue.weights()
        workflow = chance.choices(list(weights), list(weights.values()))[0]
    return Start(
        number=number,
        at=chance.random() * hours * HOURS,
        slot=chance.randrange(slots),
        workflow=workflow,
        key=f"key{chance.randrange(4)}" if chance.random() < 0.15 else "",
        by=chance.choice(("user:ann", "user:ann", "user:bob", "user:eli")),
        break_glass="it burns" if chance.random() < 0.03 else "",
    )


def _say(chance: random.Random, *, hours: float) -> Say:
    says: tuple[Says, ...] = (
        "cancel", "cancel", "cancel_as_it_is", "stop_step", "stop_step", "roll_back", "retry", "skip", "signal", "event",
        "continue_retry", "continue_retry", "continue_rollback", "continue_rerun",
    )  # fmt: skip
    what = chance.choice(says)
    later = 24.0 if what.startswith("continue") else 2.0
    return Say(
        at=chance.random() * (hours + later) * HOURS,
        says=what,
        run=chance.randrange(RUNS_PER_CASE),
        number=chance.randrange(1_000),
    )


def _faults(chance: random.Random, *, slots: int) -> list[Fault]:
    found = []
    for _ in range(chance.choice((0, 4, 10, 25, 60))):
        kinds: tuple[FaultKind, ...] = (
            "kill", "kill", "kill", "kill", "power", "stop", "stop", "disk_full", "pause", "slow_disk", "jump", "resume",
        )  # fmt: skip
        kind = chance.choice(kinds)
        turn = chance.randrange(RUNS_PER_CASE * TURNS_PER_RUN)
        slot = chance.randrange(slots)
        seconds = 0.0
        if kind in ("pause", "slow_disk"):
            seconds = 10.0 ** chance.uniform(0, 4)
        elif kind == "jump":
            seconds = chance.choice((-1, 1)) * 10.0 ** chance.uniform(0, 5)
        found.append(Fault(turn=turn, kind=kind, slot=slot, seconds=seconds))
        if kind in ("kill", "power") and chance.random() < 0.3:  # and once more, while it recovers
            found.append(Fault(turn=turn + chance.randrange(120), kind="kill", slot=slot))
    return found


def write(case: Case) -> bytes:
    """A case as a file holds it: it stands for itself, whatever becomes of the workflows made at random."""
    names = {act.workflow for act in case.acts if isinstance(act, Start)}
    kept = {name: catalogue.keep(name) for name in sorted(names) if name.startswith(catalogue.RANDOM)}
    acts = tuple(
        msgspec.structs.replace(act, workflow=kept[act.workflow][0])
        if isinstance(act, Start) and act.workflow in kept
        else act
        for act in case.acts
    )
    texts = {name: dict(document) for name, document in kept.values()}
    case = msgspec.structs.replace(case, acts=acts, workflows={**case.workflows, **texts})
    return msgspec.json.format(msgspec.json.encode(case), indent=1) + b"\n"


def read(text: bytes) -> Case:
    """The case that a file holds."""
    return msgspec.json.decode(text, type=Case)
