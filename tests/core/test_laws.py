"""What holds for every workflow, whatever happens to it: workflows and happenings are made at random."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from simulation import laws
from simulation.chaos import Chaos
from simulation.tape import Tape
from simulation.workflows import plans
from towpath.core import Plan

happenings = st.lists(st.integers(0, 999), max_size=150)


@settings(max_examples=300)
@given(plan=plans(), numbers=happenings)
def test_every_run_ends_and_obeys_every_law(plan: Plan, numbers: list[int]) -> None:
    """Under failures, losses, crashes, repeats and nonsense a run keeps every law, and ends once it is treated fairly."""
    world = Chaos(plan, Tape(numbers)).play()

    laws.check_all(world)


@settings(max_examples=200)
@given(plan=plans(), numbers=happenings, retries=st.lists(happenings, max_size=2), last=happenings)
def test_undoing_a_run_leaves_nothing_standing(
    plan: Plan, numbers: list[int], retries: list[list[int]], last: list[int]
) -> None:
    """However often a run was retried: undoing it undoes every step that any of them started, and each once."""
    world = Chaos(plan, Tape(numbers)).play()
    for again in retries:
        world = Chaos(plan, Tape(again), before=world).play()
        laws.check_all(world)
    world = Chaos(plan, Tape(last), before=world, how="rollback").play()
    laws.check_all(world)

    assert world.standing() == set()
