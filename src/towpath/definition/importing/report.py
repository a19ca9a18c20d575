"""What an import gives: the text of a workflow, and line by line what became of the original."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum
from typing import Final

NOTES_MAX: Final = 5_000
"""Lines of one report."""


class Fate(Enum):
    """What became of a piece of the original."""

    TRANSLATED = "translated"
    """It means the same."""
    CHANGED = "changed"
    """It is there, and means something slightly different: read the note."""
    CANNOT = "cannot"
    """The language has nothing like it, or it cannot be known: somebody has to look at it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """One line of the report."""

    line: int
    """The line of the original, from 1."""
    fate: Fate
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Imported:
    """A workflow made from something else."""

    name: str
    """The workflow's name."""
    text: str
    """The workflow file."""
    steps: int
    """Steps that somebody or something performs; groups are not counted."""
    suggestions: int
    """Steps below which a script is suggested."""
    notes: tuple[Note, ...]
    """What became of the original, in the order of its lines."""

    def having(self, *fates: Fate) -> tuple[Note, ...]:
        """The notes with one of these fates."""
        return tuple(note for note in self.notes if note.fate in fates)


class Notes:
    """Gathers notes, each once."""

    def __init__(self) -> None:
        self._notes: dict[tuple[int, Fate, str], Note] = {}

    def translated(self, line: int, message: str) -> None:
        """Something means the same as before."""
        self._add(Note(line=line, fate=Fate.TRANSLATED, message=message))

    def changed(self, line: int, message: str) -> None:
        """Something is there and means something slightly different."""
        self._add(Note(line=line, fate=Fate.CHANGED, message=message))

    def cannot(self, line: int, message: str) -> None:
        """Something could not be taken over."""
        self._add(Note(line=line, fate=Fate.CANNOT, message=message))

    def _add(self, note: Note) -> None:
        if len(self._notes) < NOTES_MAX:
            self._notes.setdefault((note.line, note.fate, note.message), note)

    def extend(self, notes: Iterable[Note]) -> None:
        """Takes over notes from elsewhere."""
        for note in notes:
            self._add(note)

    def in_order(self) -> tuple[Note, ...]:
        """All notes by line."""
        return tuple(sorted(self._notes.values(), key=lambda note: note.line))
