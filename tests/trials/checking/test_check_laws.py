"""What is true of every search, whatever the workflow: workflows made at random are explored and walked through."""

from __future__ import annotations

import random
from dataclasses import dataclass

import pytest

from simulation import workflows
from simulation.tape import Tape
from towpath.core import Plan, advance, new_run, stimuli
from towpath.core.run import END_STATES, Protection, RunId
from towpath.definition.project import ProjectFile
from towpath.trials.checking import exploring, judging, keys, reading, reduction, stories
from towpath.trials.checking.limits import Limits
from towpath.trials.checking.timers import Timers
from towpath.trials.checking.voters import Voters
from towpath.trials.checking.world import Situation, World

WORKFLOWS = 60
WALKS = 200
WALKED_MOST = 10
STATES_MAX = 1_500
"""A random workflow with more states is not explored to its end here."""
COMPLETE_MIN = 40
WALK_MAX = 400
START = 1_800_000_000_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Explored:
    """A random workflow and all that a search needs."""

    plan: Plan
    world: World
    keys: keys.Keys
    start: exploring.Start
    found: exploring.Exploration


def explored(seed: int) -> Explored:
    """The random workflow with this seed, explored."""
    numbers = random.Random(seed)  # noqa: S311 - chance that can be repeated
    tape = Tape([numbers.randrange(1000) for _ in range(numbers.randrange(6, 30))])
    plan = workflows.make_plan(tape)
    protections = {
        "production": Protection(who=("group:x",), answer_within=3_600_000_000, if_unanswered="reject")
    }
    begin = stimuli.Start(
        at=START,
        run=RunId(exploring.RUN_ID),
        digest="",
        inputs={"yes": True},
        started_by="user:somebody",
        protections=protections if numbers.randrange(2) else {},
    )
    asked = reading.read(plan)
    voters = Voters(file=ProjectFile())
    world = World(plan, asked, voters)
    names = keys.Keys(plan, asked, keys.Kept(effects=judging.kept_effects(plan)))
    judge = judging.Judge(plan, asked, voters)
    start = exploring.Start(begin)
    search = exploring.Search(
        plan,
        world,
        names,
        [start],
        limits=Limits(states_max=STATES_MAX, seconds_max=600),
        watcher=judge,
        reduction=reduction.Reduction(plan, can_cancel=False),
    )
    judge.exploration = search.found
    found = search.explore()
    for proof in judge.proofs(found):
        if proof.story is not None:
            stories.tell(plan, proof.story)
    return Explored(plan=plan, world=world, keys=names, start=start, found=found)


@pytest.fixture(scope="module")
def all_explored() -> tuple[Explored, ...]:
    """Every random workflow, explored once for all laws."""
    return tuple(explored(seed) for seed in range(WORKFLOWS))


def test_every_story_replays_to_the_end_that_it_claims(all_explored: tuple[Explored, ...]) -> None:
    """The story of each end, told to the core from the beginning, leads to exactly that end."""
    count = 0
    for each in all_explored:
        for end in each.found.ends:
            story = each.found.story(end.state)

            run = stories.replayed(each.plan, story)

            assert (run.status, run.outcome, run.message) == (
                end.run.status,
                end.run.outcome,
                end.run.message,
            )
            assert run.status in END_STATES
            assert bool(stories.tell(each.plan, story)) or not story.steps
            count += 1
    assert count > WORKFLOWS


def test_no_walk_ends_where_a_complete_search_did_not(all_explored: tuple[Explored, ...]) -> None:
    """The ends of 200 random walks through each of ten workflows, and of 20 through each other, are among those of a complete search."""
    complete = [each for each in all_explored if each.found.is_complete]
    assert len(complete) >= COMPLETE_MIN
    for number, each in enumerate(complete):
        known = {_key(each, end.run) for end in each.found.ends}
        walks = random.Random(number)  # noqa: S311 - chance that can be repeated
        for _ in range(WALKS if number < WALKED_MOST else WALKS // 10):
            last = walk(each, walks)
            if last is not None:
                assert _key(each, last.run) in known, f"{last.run.status} of workflow {number}"


def _key(each: Explored, run: object) -> int:
    return each.keys.of(Situation(run, Timers(), 0), 0)  # type: ignore[arg-type] # a run


def walk(each: Explored, numbers: random.Random) -> Situation | None:
    """Where a walk that takes any move ends; None where it goes on for too long."""
    decision = advance(new_run(each.plan, exploring.RUN_ID), each.start.stimulus)
    here = Situation(decision.run, Timers().after(decision.run, at=START, is_timer=True), START)
    for _ in range(WALK_MAX):
        if here.run.has_ended:
            return here
        moves = list(each.world.moves(here))
        numbers.shuffle(moves)
        taken = next((made for move in moves if (made := exploring.make(here, move)) is not None), None)
        assert taken is not None, "a state that is no end has a move"
        here = taken.after
    return None
