"""A gate that was decided is closed: who comes later changes nothing, as long as the run goes on."""

from __future__ import annotations

import pytest

from simulation.world import DAY_ONE, plan_of
from towpath.core import advance, new_run, stimuli
from towpath.core.run import Run, RunId
from towpath.errors import IllegalStimulus, Refused

WORKFLOW = """
steps:
  - {id: q, approve: "Go?", who: ["group:x"], on_failure: continue}
  - {id: a, run: a}
"""


def decided(decision: str) -> Run:
    """A run whose gate was decided, and that goes on."""
    start = stimuli.Start(at=DAY_ONE, run=RunId("run"), digest="d", inputs={}, started_by="user:eve")
    asked = advance(new_run(plan_of(WORKFLOW), "run"), start).run
    return advance(asked, stimuli.Answered(at=DAY_ONE + 1, path="q", by="user:bob", decision=decision)).run


@pytest.mark.parametrize("first", ["approve", "reject"])
@pytest.mark.parametrize("second", ["approve", "reject"])
@pytest.mark.parametrize("by", ["user:bob", "user:cy"])
def test_a_second_decision_is_refused(first: str, second: str, by: str) -> None:
    """Whoever decides a decided gate, and however, is refused."""
    run = decided(first)
    late = stimuli.Answered(at=DAY_ONE + 2, path="q", by=by, decision=second)

    assert run.nodes["a"].status == "performing"
    with pytest.raises((Refused, IllegalStimulus), match="nothing is asked at 'q'"):
        advance(run, late)
