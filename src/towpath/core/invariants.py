"""What must be true of every decision; a violation is our own mistake and nothing of the decision happens."""

from __future__ import annotations

from collections.abc import Sequence

from towpath.core import events
from towpath.core.run import OPEN_STATUSES, ROOT, Run


def check(before: Run, after: Run, facts: Sequence[events.AnyEvent]) -> None:
    """Asserts what holds between two states; costs as much as the decision had facts."""
    assert after.sequence == before.sequence + len(facts), "every fact counts once"
    assert before.state != "ended" or not facts, "an end state never changes"
    assert after.performing >= 0, "no attempt ends twice"
    if after.state == "ended":
        assert not after.leaves, f"ended with open steps: {', '.join(list(after.leaves)[:5])}"
        assert isinstance(facts[-1], events.RunEnded), "nothing happens after the end"
    elif after.state == "open":
        assert after.leaves, "an open run performs or waits for something"
        assert after.nodes[ROOT].status in OPEN_STATUSES, "the root ends with the run"
    for fact in facts:
        if isinstance(fact, events.StepEnded):
            _check_ended(after, fact)


def _check_ended(after: Run, fact: events.StepEnded) -> None:
    node = after.nodes[fact.path]
    assert node.active == 0 or node.is_open, f"{fact.path} ended with open children"
