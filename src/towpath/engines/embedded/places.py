"""Runs of an engine that wait for a place in an environment which only so many may be in at once.

The store decides who gets one, in a change that says nothing else: the run is let in when it has its place. So nothing else that the run
does meanwhile hangs on whether there was one. Whoever does not get one looks again when a run ends, and from time to time, since runs of
other processes have places too. The window is looked at once more before a run goes in: it may have closed while the run waited.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from towpath.core import commands, gates, stimuli
from towpath.core.run import Path, Protection
from towpath.errors import NotFound
from towpath.store.contract import Change, Place, PlacesFull, RunNumber

if TYPE_CHECKING:
    from towpath.engines.embedded.loop import Drive, EmbeddedEngine

FULL = "full"
"""What the core is told where a run will not wait for a place."""


class Places:
    """Lets runs into environments, the one that waits longest first."""

    def __init__(self, engine: EmbeddedEngine) -> None:
        self._engine = engine
        self._waiting: dict[tuple[RunNumber, Path], tuple[str, Protection]] = {}
        """Who waits for which environment, by which rules: those of the run's start, so no run is folded to know them."""
        self._entering: set[tuple[RunNumber, Path]] = set()
        """Whose place is on its way to the disk."""

    def wanted(self, drive: Drive, command: commands.AwaitPlace) -> None:
        """A run asks for a place."""
        protection = drive.run.protections[command.environment]
        self._waiting[drive.number, command.path] = (command.environment, protection)
        self._look_for(drive.number, command.path, command.environment, protection, is_new=True)

    def look(self) -> None:
        """Lets in who waits, as far as there are places now."""
        closed: set[tuple[str, Protection]] = set()
        for (number, path), rules in list(self._waiting.items()):
            if rules not in closed and not self._look_for(number, path, *rules):
                closed.add(rules)

    def _look_for(
        self, number: RunNumber, path: Path, environment: str, protection: Protection, *, is_new: bool = False
    ) -> bool:
        """Tries to let one run in; False where its environment lets in nobody now, so that nobody else needs to look."""
        if not self._is_open(environment, protection):
            return False
        assert protection.places is not None, environment
        place = Place(environment=environment, maximum=protection.places)
        inside = self._engine.store.reader.places_taken(environment)
        if number not in inside and len(inside) >= place.maximum:
            if is_new:
                self._found_full(number, environment, protection, inside)
            return False
        if self._still_waits(number, path):
            self._enter(number, path, place, protection, is_new=is_new)
        else:
            self._waiting.pop((number, path), None)
        return True

    def _still_waits(self, number: RunNumber, path: Path) -> bool:
        """Whether a run is still at its gate."""
        try:
            run = self._engine.drive(number).run
        except NotFound:
            return False
        node = run.nodes.get(path)
        return node is not None and node.status == "waiting" and not run.has_ended

    def _is_open(self, environment: str, protection: Protection) -> bool:
        if not protection.has_window:
            return True
        now = self._engine.clock.now()
        opens_at = self._engine.people.window_opens_at(f"{gates.WINDOW_PREFIX}{environment}", now)
        return opens_at is not None and opens_at <= now

    def _enter(
        self, number: RunNumber, path: Path, place: Place, protection: Protection, *, is_new: bool
    ) -> None:
        """Takes a place, and then lets the run in; where another one was quicker, the place was not there."""
        key = (number, path)
        if key in self._entering:
            return
        self._entering.add(key)

        def on_held(error: Exception | None) -> None:
            self._entering.discard(key)
            if self._engine.is_closing:
                return
            if error is None:
                self._waiting.pop(key, None)
                self._tell(number, place.environment)
            elif is_new and isinstance(error, PlacesFull):
                inside = self._engine.store.reader.places_taken(place.environment)
                self._found_full(number, place.environment, protection, inside)

        hold = Change(number, self._engine.sequence_of(number), (), enters=place)
        self._engine.journal.commit(hold, on_held)

    def _found_full(
        self, number: RunNumber, environment: str, protection: Protection, inside: tuple[RunNumber, ...]
    ) -> None:
        """What the project says that a run does where it finds no place."""
        if protection.when_full == "skip":
            self._tell(number, environment, FULL)
        elif protection.when_full == "replace" and inside:
            by = f"run {number}, which replaces it in {environment}"
            cancel = stimuli.Cancel(
                at=self._engine.clock.now(), by=by, reason=f"replaced in {environment} by run {number}"
            )
            self._engine.mailroom.tell_or_post(self._engine.store.reader.run(inside[0]).id, cancel)

    def _tell(self, number: RunNumber, environment: str, payload: str | None = None) -> None:
        found = stimuli.Signalled(
            at=self._engine.clock.now(), kind="place", name=environment, payload=payload
        )
        self._engine.tell_soon(number, found)
