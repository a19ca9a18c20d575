"""THE MACHINE: stimuli in, events and commands out; pure."""

from towpath.core.decide import Decision, advance, new_run
from towpath.core.plan import Plan
from towpath.core.run import Run

__all__ = ["Decision", "Plan", "Run", "advance", "new_run"]
