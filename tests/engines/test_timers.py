"""Timers look at the clock: sleeping is not proof that a time has come."""

from __future__ import annotations

from collections.abc import Callable

from towpath.core.run import Micros
from towpath.engines.clock import Timer
from towpath.engines.embedded.timers import Timers
from towpath.store.contract import RunNumber

ONE = RunNumber(1)
SECOND = 1_000_000


class Alarm:
    """A clock that can be set to any time, and whose sleepers the test wakes when it likes."""

    def __init__(self) -> None:
        self.time = 1_000 * SECOND
        self._sleepers: list[Callable[[], None]] = []

    def now(self) -> Micros:
        """What it was set to."""
        return self.time

    def call_at(self, due: Micros, act: Callable[[], None]) -> Timer:  # noqa: ARG002 - as a clock has it
        """Sleeps until it is woken."""
        self._sleepers.append(act)
        return self

    def cancel(self) -> None:
        """As a timer has it: whoever sleeps is not called any more."""
        self._sleepers.clear()

    def wake(self) -> None:
        """Wakes who sleeps."""
        sleepers, self._sleepers = self._sleepers, []
        for act in sleepers:
            act()


def timers() -> tuple[Alarm, Timers, list[str]]:
    """A clock, timers on it, and what has fired."""
    clock, fired = Alarm(), []
    made = Timers(clock, lambda run, path, purpose, due: fired.append(path))  # noqa: ARG005 - as timers have it
    return clock, made, fired


def test_a_timer_that_is_woken_early_looks_at_the_clock() -> None:
    """A sleep that ends before its time, as after a jump of the clock, fires nothing, and is slept again."""
    clock, made, fired = timers()
    made.set(ONE, "a", "due", clock.time + 60 * SECOND)
    clock.wake()
    clock.time -= 3600 * SECOND
    clock.wake()
    early = list(fired)
    clock.time += 3660 * SECOND
    clock.wake()

    assert (early, fired) == ([], ["a"])


def test_a_timer_fires_once() -> None:
    """A clock that is set back after a timer has fired does not make it fire again when the time comes once more."""
    clock, made, fired = timers()
    made.set(ONE, "a", "due", clock.time + 60 * SECOND)
    made.set(ONE, "b", "due", clock.time + 90 * SECOND)
    for step in (60, -3600, 3600, 30, 3600):
        clock.time += step * SECOND
        clock.wake()

    assert fired == ["a", "b"]


def test_what_came_due_in_a_jump_fires_in_order() -> None:
    """A clock that jumps over several timers has each fire once, the earliest first."""
    clock, made, fired = timers()
    for path, seconds in (("c", 300), ("a", 10), ("b", 200)):
        made.set(ONE, path, "due", clock.time + seconds * SECOND)
    clock.time += 86_400 * SECOND
    clock.wake()

    assert (fired, len(made)) == (["a", "b", "c"], 0)
