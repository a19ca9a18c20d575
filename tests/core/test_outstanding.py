"""What the world still owes a run after a restart: nothing that was set, asked or begun is forgotten."""

from __future__ import annotations

from simulation.world import DAY_ONE, SECOND, plan_of
from towpath.core import advance, commands, new_run, stimuli
from towpath.core.run import Error, RunId

WORKFLOW = """
timeout: 5h
steps:
  - id: all
    parallel:
      - {id: w, wait: 1h}
      - {id: q, approve: "Go?", who: ["group:x"], answer_within: 2h, if_unanswered: reject}
      - {id: r, run: r, retry: {attempts: 2, delay: 3h, max_delay: 3h, jitter: false}}
      - {id: g, timeout: 4h, steps: [{id: h, run: h}]}
"""
HOUR = 3_600 * SECOND


def test_every_timer_is_set_again() -> None:
    """A wait, a question's time, a retry and the timeouts of blocks and run are all outstanding, with the times they had."""
    start = stimuli.Start(at=DAY_ONE, run=RunId("run"), digest="d", inputs={}, started_by="user:eve")
    begun = advance(new_run(plan_of(WORKFLOW), "run"), start).run
    failed = stimuli.StepEnded(
        at=DAY_ONE, path="all/r", attempt=1, error=Error(kind="exit", message="exit code 1", exit_code=1)
    )
    owed = commands.outstanding(advance(begun, failed).run)
    timers = {
        (c.path, c.purpose, (c.due - DAY_ONE) // HOUR) for c in owed if isinstance(c, commands.SetTimer)
    }
    others = {
        type(command).__name__: command.path for command in owed if not isinstance(command, commands.SetTimer)
    }

    assert timers == {
        ("all/w", "due", 1),
        ("all/q", "due", 2),
        ("all/r", "due", 3),
        ("all/g", "timeout", 4),
        ("", "timeout", 5),
    }
    assert others == {"AskPeople": "all/q", "PerformStep": "all/g/h"}
