"""What the tests of imports share."""

from __future__ import annotations

from pathlib import Path

from definition_support import REPOSITORY

from towpath.definition.importing import Imported

RUNBOOKS = Path(__file__).parent / "runbooks"
EXAMPLES = REPOSITORY / "examples" / "runbooks"
GITHUB = Path(__file__).parent / "github"


def told(made: Imported) -> str:
    """A workflow, and what became of the original, as the text that stands beside a case."""
    notes = "".join(f"{note.line} {note.fate.value}: {note.message}\n" for note in made.notes)
    return f"{made.text}---\n{notes}"
