"""Steps that do what the seed says, and the ledger of what was really done.

An attempt takes a while, has its effect somewhere on the way, and ends well or badly; it may hang, and it may take its time to stop.
The ledger belongs to the world, not to a process: it remembers what a dead process did and could not tell. It objects at once where an
attempt is performed twice, where two performers work on one step, and where something is performed that the journal does not ask for.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, NamedTuple, TypeAlias

from simulation.system.dice import Dice
from simulation.system.machine import Machine, ProcessLoop
from towpath.core.run import Error, Micros, Path, RunId
from towpath.core.stimuli import StepEnded
from towpath.definition import model
from towpath.engines.performing.orders import Order
from towpath.store.contract import RunNumber

TAKES_SECONDS_MAX: Final = 900.0
HANGS_SECONDS: Final = 3 * 86_400.0
FILES_MICROS: Final = 3_600 * 1_000_000
"""How long files stay as they are."""
STOPS_SECONDS_MAX: Final = 20.0
_KINDS: Final = ("exit", "exit", "exit", "unreachable", "conflict")


class Attempt(NamedTuple):
    """What names an attempt."""

    run: RunId
    path: Path
    attempt: int
    stage: str


@dataclass(slots=True)
class Entry:
    """What became of one attempt in the world."""

    by: ProcessLoop
    number: RunNumber
    is_repeatable: bool
    had_effect: bool = False
    told: str = ""
    """How its performer said that it ended: `ok`, a kind of error, or nothing where it could not say so."""


class Ledger:
    """What was performed, by whom, and what is being performed."""

    def __init__(self) -> None:
        self.entries: dict[Attempt, Entry] = {}
        self.going: dict[tuple[RunId, Path], tuple[ProcessLoop, Attempt]] = {}
        self.objections: list[str] = []
        self.is_ordered: Callable[[Attempt], bool] = lambda _: True
        """Whether the durable journal asks for an attempt."""

    def begins(self, attempt: Attempt, entry: Entry) -> None:
        """A performer begins."""
        if attempt in self.entries:
            self.objections.append(
                f"P3: {attempt} is performed twice, by {self.entries[attempt].by.name} and {entry.by.name}"
            )
        other = self.going.get(attempt[:2])
        if other is not None:
            self.objections.append(
                f"P3: {other[0].name} and {entry.by.name} perform {attempt.path} of {attempt.run} at once"
            )
        if not self.is_ordered(attempt):
            self.objections.append(f"P3: {attempt} is performed before the journal says so")
        self.entries[attempt] = entry
        self.going[attempt[:2]] = (entry.by, attempt)

    def ends(self, attempt: Attempt) -> None:
        """Nothing of the attempt is left."""
        going = self.going.get(attempt[:2])
        if going is not None and going[1] == attempt:
            del self.going[attempt[:2]]

    def died(self, loop: ProcessLoop) -> None:
        """A process died, and its steps with it."""
        for key in [key for key, (by, _) in self.going.items() if by is loop]:
            del self.going[key]

    def performs(self, run: RunId) -> list[Path]:
        """What is being performed of a run."""
        return [path for (of, path) in self.going if of == run]


@dataclass(frozen=True, slots=True, kw_only=True)
class Script:
    """How one attempt goes."""

    takes: float
    effect_after: float
    """Part of the time after which it has its effect."""
    error: Error | None
    stops: float
    """Seconds that it takes to stop."""
    done: bool


class Scripted:
    """Says how every attempt goes; from *is_fair* on all goes well."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self.is_fair = False

    def version_of_files(self, run: RunId, now: Micros) -> str:
        """What the files of a run hold; from *is_fair* on they change no more."""
        return "final" if self.is_fair else str(Dice(self._seed, "files", run, now // FILES_MICROS).below(3))

    def of(self, attempt: Attempt, step: model.Step | None) -> Script:
        """How an attempt goes."""
        dice = Dice(self._seed, "step", *attempt)
        takes = dice.seconds(most=TAKES_SECONDS_MAX)
        stops = dice.seconds(most=STOPS_SECONDS_MAX)
        effect_after = dice.below(100) / 100
        done = attempt.stage == "check" and dice.chance(1, 4)
        error: Error | None = None
        if not self.is_fair:
            if dice.chance(1, 6):
                kind = dice.pick(_KINDS)
                error = Error(kind=kind, message=f"it ended with {kind}", exit_code=dice.below(3) or None)
            if dice.chance(1, 30):
                takes = HANGS_SECONDS
        limit = None if step is None or attempt.stage == "check" else step.timeout
        if limit is not None and takes > limit:
            takes, error = limit, Error(kind="timeout", message="it took too long")
        return Script(takes=takes, effect_after=effect_after, error=error, stops=stops, done=done)


Now: TypeAlias = Callable[[], Micros]


class ScriptedPerformer:
    """Performs attempts for one process; keeps what an engine asks of `engines.performing.Performer`."""

    def __init__(self, machine: Machine, loop: ProcessLoop, *, scripted: Scripted, ledger: Ledger) -> None:
        self._machine = machine
        self._loop = loop
        self._scripted = scripted
        self._ledger = ledger

    def perform_now(self, order: Order, *, at: Now) -> StepEnded | None:
        """Performs an instant action at once; None for everything that needs time."""
        step = order.planned.step
        if not isinstance(step, model.UsesStep) or step.uses != "log.say" or order.command.stage != "main":
            return None
        attempt = self._attempt(order)
        self._ledger.begins(attempt, self._entry(order))
        self._ledger.entries[attempt].had_effect = True
        self._ledger.ends(attempt)
        return self._ended(order, attempt, at(), None)

    async def perform(self, order: Order, *, at: Now) -> StepEnded:
        """Performs the attempt to its end; being cancelled means that nothing of it is left when this ends."""
        attempt = self._attempt(order)
        script = self._scripted.of(attempt, order.planned.step)
        self._ledger.begins(attempt, self._entry(order))
        try:
            await asyncio.sleep(script.takes * script.effect_after)
            self._ledger.entries[attempt].had_effect = True
            await asyncio.sleep(script.takes * (1 - script.effect_after))
        except asyncio.CancelledError:
            await self._stop(script.stops)
            raise
        finally:
            if not self._loop.is_dead:
                self._ledger.ends(attempt)
        return self._ended(order, attempt, at(), script.error, done=script.done)

    async def _stop(self, seconds: float) -> None:
        """Takes its time to stop, however often it is asked to."""
        until = self._machine.now + round(seconds * 1_000_000)
        while self._machine.now < until and not self._loop.is_dead:
            try:
                await asyncio.sleep((until - self._machine.now) / 1_000_000)
            except asyncio.CancelledError:
                continue

    def stopped(self, order: Order, *, at: Micros) -> StepEnded:
        """How an attempt ended that was stopped."""
        attempt = self._attempt(order)
        entry = self._ledger.entries.get(attempt)
        if entry is not None:
            entry.told = "cancelled"
        error = Error(kind="cancelled", message="it was stopped")
        command = order.command
        return StepEnded(at=at, path=command.path, attempt=command.attempt, stage=command.stage, error=error)

    def run_ended(self, number: RunNumber, run: RunId) -> None:
        """Nothing is kept for a run."""

    def clear(self, run: RunId) -> None:
        """Nothing is left of a run."""

    def tidy(self, is_open: Callable[[RunId], bool]) -> None:
        """Nothing was left."""

    def hold(self, lock: int | None) -> None:
        """There is no lock."""

    async def close(self) -> None:
        """Nothing runs any more."""

    def _entry(self, order: Order) -> Entry:
        step = order.planned.step
        is_harmless = step is None or step.check is not None or order.command.stage == "check"
        return Entry(
            by=self._loop, number=order.number, is_repeatable=is_harmless or bool(step and step.idempotent)
        )

    def _ended(
        self, order: Order, attempt: Attempt, at: Micros, error: Error | None, *, done: bool = False
    ) -> StepEnded:
        self._ledger.entries[attempt].told = "ok" if error is None else error.kind
        outputs: dict[str, Any] = {"n": attempt.attempt}
        return StepEnded(
            at=at,
            path=attempt.path,
            attempt=attempt.attempt,
            stage=order.command.stage,
            outputs=outputs,
            error=error,
            done=done if attempt.stage == "check" else None,
        )

    def _attempt(self, order: Order) -> Attempt:
        command = order.command
        return Attempt(order.run, command.path, command.attempt, command.stage)
