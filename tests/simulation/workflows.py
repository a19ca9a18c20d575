"""Workflows made at random from a small grammar: every kind of step, every handler, a few levels deep."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from typing import Any, TypeAlias

from hypothesis import strategies as st

from simulation.tape import Tape
from towpath.core import Plan
from towpath.definition import model

Steps: TypeAlias = Callable[..., list[dict[str, Any]]]
"""Makes the steps of a block."""
DEPTH_MAX = 4
STEPS_MAX = 40
"""Steps that one workflow may have; a draw beyond it gives plain scripts."""


def plans() -> st.SearchStrategy[Plan]:
    """Plans of random workflows."""
    return st.lists(st.integers(0, 999), min_size=5, max_size=120).map(
        lambda numbers: make_plan(Tape(numbers))
    )


def make_plan(tape: Tape) -> Plan:
    """The plan of the workflow that the tape tells."""
    return Plan(model.Workflow.model_validate(make_workflow(tape)), "digest")


def make_workflow(tape: Tape) -> dict[str, Any]:
    """The workflow that the tape tells, as a file would say it."""
    ids = (f"s{number}" for number in itertools.count(1))
    whole: dict[str, Any] = {"name": "random", "steps": _steps(tape, ids, depth=0, can_end=True)}
    if tape.chance(1, 3):
        whole["finally"] = _steps(tape, ids, depth=DEPTH_MAX, can_end=False)
    if tape.chance(1, 4):
        whole["on_failure"] = _steps(tape, ids, depth=DEPTH_MAX, can_end=True)
    if tape.chance(1, 6):
        whole["catch"] = _steps(tape, ids, depth=DEPTH_MAX, can_end=True)
    if tape.chance(1, 6):
        whole["timeout"] = "2h"
    if tape.chance(1, 6):
        whole["environment"] = "production"
    return whole


def _steps(
    tape: Tape, ids: Iterator[str], *, depth: int, can_end: bool, can_undo: bool = True
) -> list[dict[str, Any]]:
    count = 1 + tape.next(3)
    return [_step(tape, ids, depth=depth, can_end=can_end, can_undo=can_undo) for _ in range(count)]


def _step(tape: Tape, ids: Iterator[str], *, depth: int, can_end: bool, can_undo: bool) -> dict[str, Any]:
    step: dict[str, Any] = {"id": next(ids)}
    is_leaf = depth >= DEPTH_MAX or tape.next(3) != 1 or int(step["id"][1:]) > STEPS_MAX
    if is_leaf:
        step |= _leaf(tape, can_end=can_end)
    else:
        step |= _block(tape, ids, depth=depth + 1, can_end=can_end, can_undo=can_undo)
    if tape.chance(1, 10):
        step["if"] = ("inputs.yes", "!inputs.yes", "inputs.missing")[tape.next(3)]
    if tape.chance(1, 10):
        step["environment"] = ("production", "staging", "${{ inputs.missing }}")[tape.next(3)]
    if "end" not in step:
        step |= _handlers(tape, ids, depth=depth, can_end=can_end, can_undo=can_undo)
    return step


def _leaf(tape: Tape, *, can_end: bool) -> dict[str, Any]:
    choice = tape.next(14)
    if choice == 6 and can_end:
        return {"end": {"status": ("succeeded", "failed", "rejected")[tape.next(3)]}}
    make = {1: _wait, 2: _wait, 3: _approve, 4: _task, 5: _child}.get(choice, _script)
    return make(tape)


def _wait(tape: Tape) -> dict[str, Any]:
    return {"wait": ("10s", {"signal": "go"}, {"window": "nights"})[tape.next(3)]}


def _approve(tape: Tape) -> dict[str, Any]:
    step = {"approve": "sure?", "who": ["group:x"], "quorum": 1 + tape.next(2), "remind": "10m"}
    return step | ({"escalate": [{"after": "30m", "to": ["group:y"]}]} if tape.next(2) else {})


def _task(tape: Tape) -> dict[str, Any]:
    silence = ("continue", "fail")[tape.next(2)]
    return {"task": "do it", "assign": ["group:x"], "answer_within": "1h", "if_unanswered": silence}


def _child(tape: Tape) -> dict[str, Any]:
    return {"workflow": "other", "detach": bool(tape.next(2))}


def _script(tape: Tape) -> dict[str, Any]:
    step: dict[str, Any] = {"run": "make"}
    if tape.chance(1, 4):
        step["retry"] = {"attempts": 1 + tape.next(3), "delay": "5s"}
    if tape.chance(1, 3):
        step["idempotent"] = True
    if tape.chance(1, 6):
        step["check"] = "is it there"
    if tape.chance(1, 20):
        step["env"] = {"X": "${{ inputs.missing }}"}
    return step


def _block(tape: Tape, ids: Iterator[str], *, depth: int, can_end: bool, can_undo: bool) -> dict[str, Any]:
    def steps(*, may_end: bool = can_end) -> list[dict[str, Any]]:
        return _steps(tape, ids, depth=depth, can_end=may_end, can_undo=can_undo)

    make = (_group, _parallel, _each, _choose, _repeat)[tape.next(5)]
    block = make(tape, steps)
    if tape.chance(1, 5):
        block["timeout"] = "10m"
    return block


def _group(tape: Tape, steps: Steps) -> dict[str, Any]:  # noqa: ARG001 - one shape
    return {"steps": steps()}


def _parallel(tape: Tape, steps: Steps) -> dict[str, Any]:
    block: dict[str, Any] = {"parallel": steps(may_end=False), "fail_fast": bool(tape.next(2))}
    for before, child in itertools.pairwise(block["parallel"]):
        if tape.chance(1, 3):
            child["needs"] = [before["id"]]
    if tape.chance(1, 3):
        block["max_parallel"] = 1 + tape.next(2)
    return block


def _each(tape: Tape, steps: Steps) -> dict[str, Any]:
    block: dict[str, Any] = {"each": list(range(tape.next(5))), "steps": steps(may_end=False)}
    block["fail_fast"] = bool(tape.next(2))
    block["max_failures"] = (0, 1, "50%")[tape.next(3)]
    if tape.chance(1, 2):
        block["batch"] = [1, "50%"]
    if tape.chance(1, 2):
        block["max_parallel"] = 1 + tape.next(2)
    return block


def _choose(tape: Tape, steps: Steps) -> dict[str, Any]:
    branches = [{"if": "inputs.yes", "steps": steps()}, {"else": steps()}]
    return {"choose": branches[tape.next(2) :]}


def _repeat(tape: Tape, steps: Steps) -> dict[str, Any]:
    block: dict[str, Any] = {"repeat": steps(), "until": f"index >= {tape.next(3)}"}
    if tape.chance(1, 3):
        block["times"] = 2
    if tape.chance(1, 3):
        block["every"] = "30s"
    return block


def _handlers(tape: Tape, ids: Iterator[str], *, depth: int, can_end: bool, can_undo: bool) -> dict[str, Any]:
    found: dict[str, Any] = {}

    def few(*, may_end: bool, may_undo: bool = can_undo) -> list[dict[str, Any]]:
        return [_step(tape, ids, depth=max(depth, DEPTH_MAX - 1), can_end=may_end, can_undo=may_undo)]

    if can_undo and tape.chance(1, 2):
        found["rollback"] = few(may_end=False, may_undo=False)
    if tape.chance(1, 10):
        found["catch"] = few(may_end=can_end)
    if tape.chance(1, 10):
        found["finally"] = few(may_end=False)
    match tape.next(14):
        case 1:
            found["on_failure"] = "continue"
        case 2:
            found["on_failure"] = "ask"
        case 3:
            found["on_failure"] = few(may_end=can_end)
        case _:
            pass
    return found
