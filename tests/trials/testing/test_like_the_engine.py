"""A test is worth something only if the run would go the same way in earnest: the same story on the real engine, fact by fact.

The engine is the embedded one, with its journal on disk; its clock is wound by hand to every moment at which something happened in the
test. What it wrote has to be what the scripted world wrote: the same facts, at the same places, at the same moments, in the same order.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, NamedTuple, cast

import pytest
from testing_support import PROJECT, SHOWS
from testing_support import bench as project_bench

from engines.engine_support import Bench, Home, dying, embedded, failure
from simulation import laws
from towpath.core import commands, events
from towpath.core.events import AnyEvent
from towpath.core.run import Micros
from towpath.definition import loader
from towpath.engines.clock import HandClock
from towpath.store.contract import RunNumber
from towpath.trials import testing
from towpath.trials.testing.files import Answer, Happening, Result, parse_instant

if TYPE_CHECKING:
    from towpath.engines.embedded import EmbeddedEngine

MICROS = 1_000_000
TOWPATH = """
name: office
people:
  users: {ann: {}, bob: {}, cy: {}, dora: {}}
  groups: {managers: ["user:bob", "user:cy"], leads: ["user:dora"]}
calendars:
  office: {time_zone: Europe/Berlin, hours: {mon-fri: "09:00-17:00"}}
  nights: {time_zone: Europe/Berlin, hours: {mon-sun: "22:00-24:00"}}
environments:
  staging: {}
  production: {approval: {who: ["group:leads"]}, windows: nights}
"""
LADDER = """
steps:
  - {id: made, uses: stage.act, with: {name: made}, rollback: {id: unmade, uses: stage.act, with: {name: unmade}}}
  - id: gate
    approve: Release it?
    who: ["group:managers"]
    quorum: 2
    hours: office
    answer_within: 12h
    if_unanswered: reject
    remind: 4h
    escalate: [{after: 2h, to: ["group:leads"]}]
  - {id: live, uses: stage.act, with: {name: live}, retry: {attempts: 3, delay: 10s, jitter: false}}
finally:
  - {id: told, uses: stage.act, with: {name: told}}
"""
DEPLOY = """
environment: production
steps:
  - wait: 1h
    environment: staging
  - {id: made, uses: stage.safe, with: {name: made}, rollback: {id: unmade, uses: stage.act, with: {name: unmade}}}
  - id: both
    parallel:
      - {id: left, uses: stage.act, with: {name: left}, on_failure: continue}
      - {id: right, needs: [left], uses: stage.act, with: {name: right}, catch: [{id: mend, uses: stage.act, with: {name: mend}}]}
"""


class Said(NamedTuple):
    """What somebody says, and when: seconds after the start."""

    after: float
    path: str
    decision: str
    by: str


class Story(NamedTuple):
    """One run, for both worlds."""

    workflow: str
    fails: Mapping[str, str] = {}
    """Steps, and how their attempts go: `x` fails, `.` is fine."""
    says: tuple[Said, ...] = ()
    crash: tuple[float, float] | None = None
    """When the process dies and when another one goes on, in seconds after the start."""


HOUR = 3600.0
STORIES = {
    "silence": Story(LADDER),
    "two yeses": Story(
        LADDER, says=(Said(60, "gate", "approve", "bob"), Said(HOUR * 70, "gate", "approve", "cy"))
    ),
    "a no after the first rung": Story(LADDER, says=(Said(HOUR * 67.5, "gate", "reject", "dora"),)),
    "it fails three times": Story(
        LADDER, {"live": "xxx"}, (Said(60, "gate", "approve", "bob"), Said(90, "gate", "approve", "cy"))
    ),
    "it fails once": Story(
        LADDER, {"live": "x."}, (Said(60, "gate", "approve", "bob"), Said(90, "gate", "approve", "cy"))
    ),
    "dead over the weekend": Story(LADDER, crash=(HOUR, HOUR * 66)),
    "dead when the first reminder is due": Story(LADDER, crash=(HOUR, HOUR * 70)),
    "through the gate at night": Story(DEPLOY, says=(Said(HOUR, "~gate_production", "approve", "dora"),)),
    "not through the gate": Story(DEPLOY, says=(Said(HOUR, "~gate_production", "reject", "dora"),)),
    "failures that are settled": Story(
        DEPLOY, {"left": "x", "right": "x"}, (Said(60, "~gate_production", "approve", "dora"),)
    ),
    "dead while it waits for the night": Story(
        DEPLOY,
        {"right": "x", "mend": "x"},
        (Said(60, "~gate_production", "approve", "dora"),),
        (HOUR * 2, HOUR * 5),
    ),
}
STEPS = ("made", "unmade", "live", "told", "left", "right", "mend")
START, ZONE = parse_instant("2026-11-20T16:00 Europe/Berlin")


@pytest.mark.parametrize("name", STORIES)
async def test_a_test_tells_what_the_engine_does(name: str, tmp_path: Path) -> None:
    """Fact by fact and moment by moment, a run goes in a test as it goes on the real engine."""
    story = STORIES[name]
    home = Home(tmp_path)
    home.clock = HandClock(START)
    (tmp_path / "towpath.yaml").write_text(TOWPATH, encoding="utf-8")
    home.write("story", story.workflow)
    scripted = in_a_test(home, story)
    real = await on_the_engine(home, story, scripted)
    home.close()

    assert [told(fact) for fact in real] == [told(fact) for fact in scripted]


def told(fact: AnyEvent) -> tuple[str, str, int, str]:
    """A fact without what is named differently in every run."""
    status = getattr(fact, "status", "") or getattr(fact, "kind", "") or getattr(fact, "outcome", "")
    return type(fact).__name__, getattr(fact, "path", ""), fact.at - START, str(status)


def in_a_test(home: Home, story: Story) -> list[AnyEvent]:
    """The facts of the story in the scripted world."""
    answers: dict[str, list[Answer]] = {}
    for one in story.says:
        said = {"decision": one.decision, "by": f"user:{one.by}", "after": f"{one.after:.0f}s"}
        answers.setdefault(one.path.replace("~gate_", "gate:"), []).append(Answer.model_validate(said))
    happens = []
    if story.crash is not None:
        dies, lives = story.crash
        crash = {"do": "crash", "after": f"{dies:.0f}s", "down": f"{lives - dies:.0f}s"}
        happens.append(Happening.model_validate(crash))
    setting = testing.Setting(
        workflow="story",
        inputs={},
        at=START,
        zone=ZONE,
        started_by="user:ann",
        steps={name: tuple(map(result, story.fails.get(name, "."))) for name in STEPS},
        answers={path: tuple(lines) for path, lines in answers.items()},
        is_silent=True,
        happens=tuple(happens),
    )
    project = loader.load_project(home.folder)
    world = testing.World(testing.Bench(project, home.app().catalogue), setting).play()
    assert world.surprises == []
    return world.root.facts


def result(mark: str) -> Result:
    """An attempt that takes no time: `x` fails."""
    return Result.model_validate({"takes": "0s", **({"fail": "exit"} if mark == "x" else {})})


async def on_the_engine(home: Home, story: Story, scripted: list[AnyEvent]) -> list[AnyEvent]:
    """The facts of the story on the real engine, whose clock is wound to every moment of the scripted one."""
    for name, marks in story.fails.items():
        home.stage.answers(name, *(failure() if mark == "x" else {} for mark in marks))
    moments = sorted({fact.at for fact in scripted})
    dies, lives = (START + round(seconds * MICROS) for seconds in story.crash or (0, 0))
    if story.crash is None:
        async with embedded(home) as bench:
            run = await bench.start("story")
            await pass_through(bench, run, moments, scripted)
            return bench.events(run)
    async with dying(home) as bench:
        run = await bench.start("story")
        await pass_through(bench, run, [at for at in moments if at <= dies], scripted)
    home.clock.wind((lives - home.clock.now()) / MICROS)
    async with embedded(home) as bench:
        assert await cast("EmbeddedEngine", bench.engine).resume_all() == 1
        await pass_through(bench, run, [at for at in moments if at >= lives], scripted)
        return bench.events(run)


async def pass_through(bench: Bench, run: RunNumber, moments: list[Micros], scripted: list[AnyEvent]) -> None:
    """Lets time pass from moment to moment; people say then what they said in the test."""
    answers = [fact for fact in scripted if isinstance(fact, events.AnswerGiven)]
    await cast("EmbeddedEngine", bench.engine).until_idle()
    for moment in moments:
        bench.wind(max(0, moment - bench.home.clock.now()) / MICROS)
        await cast("EmbeddedEngine", bench.engine).until_idle()
        for said in answers:
            if said.at == moment:
                await bench.answer(run, said.path, said.answer.decision, by=said.answer.by)
                await cast("EmbeddedEngine", bench.engine).until_idle()


@pytest.mark.parametrize("file", [*testing.test_files(PROJECT), *SHOWS], ids=lambda file: file.stem)
def test_every_journal_of_a_test_obeys_the_laws(file: Path) -> None:
    """What is true of every journal is true of those that tests make: nothing is invented that the core would not do."""
    for test in testing.load(file, project_bench()).tests:
        for drive in testing.World(project_bench(), test.setting).play().drives:
            ordered = [command for fact in drive.facts for command in commands.commands(fact)]
            ids = [
                command.id
                for command in ordered
                if isinstance(command, commands.PerformStep | commands.StartChild)
            ]
            laws.check_all(
                SimpleNamespace(run=drive.run, facts=drive.facts, journal=drive.journal, command_ids=ids)
            )
