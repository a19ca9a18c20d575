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
    from towpath.engines.embedded.loop import EmbeddedEngine

FULL = "full"
"""What the core is told where a run will not wait for a place."""


class Places:
    """Lets runs into environments, the one that waits longest first."""

    def __init__(self, engine: EmbeddedEngine) -> None:
        self._engine = engine
        self._waiting: dict[tuple[RunNumber, Path], str] = {}
        self._entering: set[tuple[RunNumber, Path]] = set()
        """Whose place is on its way to the disk."""

    def wanted(self, number: RunNumber, command: commands.AwaitPlace) -> None:
        """A run asks for a place."""
        self._waiting[number, command.path] = command.environment
        self._look_for(number, command.path, command.environment, is_new=True)

    def look(self) -> None:
        """Lets in who waits, as far as there are places now."""
        full: set[str] = set()
        for (number, path), environment in list(self._waiting.items()):
            if environment not in full and not self._look_for(number, path, environment):
                full.add(environment)

    def _look_for(self, number: RunNumber, path: Path, environment: str, *, is_new: bool = False) -> bool:
        """Tries to let one run in; False where its environment is full, so that nobody else needs to look."""
        protection = self._protection(number, path, environment)
        if protection is None:
            self._waiting.pop((number, path), None)
            return True
        if not self._is_open(environment, protection):
            return True
        assert protection.places is not None, environment
        place = Place(environment=environment, maximum=protection.places)
        inside = self._engine.store.reader.places_taken(environment)
        if number in inside or len(inside) < place.maximum:
            self._enter(number, path, place, protection, is_new=is_new)
            return True
        if is_new:
            self._found_full(number, environment, protection, inside)
        return False

    def _protection(self, number: RunNumber, path: Path, environment: str) -> Protection | None:
        """The rules by which a run still waits at its gate; None where it waits no more."""
        try:
            run = self._engine.drive(number).run
        except NotFound:
            return None
        node = run.nodes.get(path)
        waits = node is not None and node.status == "waiting" and node.awaited is not None
        return run.protections.get(environment) if waits and not run.has_ended else None

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
