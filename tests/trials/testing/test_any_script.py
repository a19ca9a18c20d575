"""Whatever a test says of the world, the run obeys the laws, and what came of it can be told.

The workflows are those of the scenarios of the core; what steps, people, faults and the clock do is drawn from a seed. A failure names its
seed: it is the number in the test's name.
"""

from __future__ import annotations

import random
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml
from testing_support import bench

from simulation import laws
from simulation.world import plan_of
from towpath.core import commands
from towpath.trials import testing
from towpath.trials.testing import snapshots, world
from towpath.trials.testing.files import (
    DECISIONS,
    SAYINGS,
    START,
    Answer,
    CheckResult,
    Expect,
    ExpectedStep,
    Happening,
    Result,
    parse_instant,
)

SCENARIOS = Path(__file__).parents[2] / "scenarios"
SEEDS = range(120)
TURNS_MAX = 1_500
WORKFLOWS = [
    (document["workflow"], document.get("inputs", {}))
    for file in sorted(SCENARIOS.glob("*.yaml"))
    for document in yaml.safe_load_all(file.read_text(encoding="utf-8"))
]
RESULTS: list[Any] = [
    *("ok", "ok", "ok", "fail", "timeout", "lost", "hangs"),
    {"takes": "5m"},
    {"exit_code": 3},
    {"hangs": True, "when_stopped": "lost"},
    {"hangs": True, "when_stopped": "ends"},
]
CHECKS = ("done", "not_done", "fail", "lost")
ANSWERS: list[Any] = [
    *DECISIONS,
    *(saying for saying in SAYINGS if saying != "hand_over"),
    {"decision": "hand_over", "to": "user:olaf"},
]
DEEDS: list[dict[str, Any]] = [
    {"do": "crash"},
    {"do": "crash", "down": "10m"},
    {"do": "cancel"},
    {"do": "cancel", "undo": False},
    {"do": "rollback"},
    {"do": "signal", "name": "go"},
    {"do": "event", "name": "github.pull_request", "payload": {"number": 3}},
    {"do": "clock_jump", "jump": "3d"},
    {"do": "clock_jump", "jump": "-2h"},
]


@pytest.mark.parametrize("seed", SEEDS)
def test_any_script_can_be_played(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """No script breaks the world: every journal obeys the laws, and story, snapshot and differences can be told."""
    monkeypatch.setattr(world, "TURNS_MAX", TURNS_MAX)
    chance = random.Random(seed)  # noqa: S311 - a seed is wanted
    text, inputs = chance.choice(WORKFLOWS)
    workflow = plan_of(text, is_checked=False).workflow
    piece = bench().lay_out(workflow, digest="digest", path="scenario", text=text)
    bench().put("scenario", piece)
    played = testing.World(bench(), script(chance, sorted(piece.addresses), inputs)).play()

    for drive in played.drives:
        ordered = [command for fact in drive.facts for command in commands.commands(fact)]
        ids = [one.id for one in ordered if isinstance(one, commands.PerformStep | commands.StartChild)]
        laws.check_all(
            SimpleNamespace(run=drive.run, facts=drive.facts, journal=drive.journal, command_ids=ids)
        )
    failed = ExpectedStep.model_validate("failed")
    wanted = Expect(path="a b?", passes="a", never="b", told=(), steps=dict.fromkeys(piece.addresses, failed))
    assert testing.differences(played, wanted)
    assert testing.story_of(played)
    assert snapshots.snapshot_of(played)


def script(chance: random.Random, names: list[str], inputs: dict[str, Any]) -> testing.Setting:
    """Something for some of the steps, some of the people, and now and then a fault."""
    at, zone = parse_instant(START)
    return testing.Setting(
        workflow="scenario",
        inputs=inputs,
        at=at,
        zone=zone,
        steps={name: tuple(drawn(chance, Result, RESULTS, 3)) for name in some(chance, names)},
        checks={name: tuple(drawn(chance, CheckResult, CHECKS, 2)) for name in some(chance, names)},
        answers={name: tuple(drawn(chance, Answer, ANSWERS, 4)) for name in some(chance, names)},
        is_silent=chance.random() < 0.5,
        happens=tuple(happening(chance, names) for _ in range(chance.randint(0, 4))),
        stop_after=30 * 86_400.0,
    )


def some(chance: random.Random, names: list[str]) -> list[str]:
    """About half of the names."""
    return [name for name in names if chance.random() < 0.5]


def drawn(chance: random.Random, kind: Any, choices: Any, most: int) -> list[Any]:
    """One or a few of the choices."""
    return [kind.model_validate(chance.choice(choices)) for _ in range(chance.randint(1, most))]


def happening(chance: random.Random, names: list[str]) -> Happening:
    """Something at some moment."""
    deed = chance.choice(
        [*DEEDS, {"do": "retry", "step": chance.choice(names)}, {"do": "skip", "step": chance.choice(names)}]
    )
    moment = (
        {"when": chance.choice(names) + chance.choice(("", ":check", "?"))}
        if chance.random() < 0.5
        else {"after": chance.choice(("0s", "500ms", "1s", "1m", "1h"))}
    )
    return Happening.model_validate({**deed, **moment})
