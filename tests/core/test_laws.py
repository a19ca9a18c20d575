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
