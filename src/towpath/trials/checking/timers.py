"""Which timers may fire next, where nobody knows how long anything takes.

Steps and people take as long as they like, so a timer that was set later may be due before or after an older one. Two things are known all
the same. Of two timers between whose settings nothing but timers happened, the one that is due first fires first. And a timer that was set
no later than another one, with no longer time to go, fires before it: an hour that began first is over before two hours that began later.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from towpath.core import commands
from towpath.core.run import Micros, Path, Run

Id: TypeAlias = tuple[Path, str, Micros]


@dataclass(frozen=True, slots=True)
class Pending:
    """A timer that is set."""

    path: Path
    purpose: str
    due: Micros
    micros: int
    """How long it was set for."""
    group: int
    """How many things that are no timers had happened when it was set."""
    is_pause: bool = False
    """Whether it is the pause before an attempt or a round: nothing else waits for its turn behind it."""


@dataclass(frozen=True, slots=True)
class Timers:
    """The timers of a run at one moment."""

    pending: Mapping[Id, Pending] = field(default_factory=dict)
    group: int = 0

    def after(self, run: Run, *, at: Micros, is_timer: bool) -> Timers:
        """The timers after something happened; *is_timer* where it was one of them."""
        group = self.group if is_timer else self.group + 1
        found: dict[Id, Pending] = {}
        for command in commands.outstanding(run):
            if isinstance(command, commands.SetTimer):
                name = (command.path, command.purpose, command.due)
                found[name] = self.pending.get(name) or Pending(
                    *name, micros=command.due - at, group=group, is_pause=_is_pause(run, command)
                )
        return Timers(found, group)

    def may_fire(self, path: Path, purpose: str, due: Micros) -> bool:
        """Whether no other timer has to fire before this one."""
        timer = self.pending[path, purpose, due]
        return not any(_comes_first(other, timer) for other in self.pending.values())

    def key_of(self, path: Path, purpose: str, due: Micros) -> tuple[int, int]:
        """What matters of a timer for what may happen: how many come before it, and the time to go where it is fresh."""
        timer = self.pending.get((path, purpose, due))
        if timer is None:
            return (0, 0)
        before = sum(_comes_first(other, timer) for other in self.pending.values())
        is_fresh = timer.group == self.group and not timer.is_pause
        return (before, timer.due - self._now() if is_fresh else -1)

    def _now(self) -> Micros:
        """When the newest of the fresh timers was set."""
        return max(one.due - one.micros for one in self.pending.values() if one.group == self.group)


def _is_pause(run: Run, command: commands.SetTimer) -> bool:
    node = run.nodes[command.path]
    return command.purpose == "due" and (node.status == "retrying" or run.plan[node.plan].kind == "repeat")


def _comes_first(one: Pending, other: Pending) -> bool:
    if one is other or one.is_pause:
        return False
    if one.group == other.group:
        return one.due < other.due
    return one.group < other.group and one.micros <= other.micros
