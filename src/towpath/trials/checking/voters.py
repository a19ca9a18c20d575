"""Who could really answer a question, as the project names its people."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from towpath.core.run import Question
from towpath.definition.checks.people import knows_people, members
from towpath.definition.project import ProjectFile

STRANGER = "user:somebody"
"""Who starts the run, and who answers where the project does not say who there is."""
_NOBODY_KNOWS = ("user:first", "user:second", "user:third", "user:fourth")


@dataclass(frozen=True, slots=True, kw_only=True)
class Voters:
    """The people of a project, for all questions of a workflow."""

    file: ProjectFile

    def people(self, question: Question) -> tuple[str, ...] | None:
        """The users who may answer, sooner or later; None where the project cannot tell."""
        if not question.who:
            return None
        asked = [*question.who, *(name for _, rung in question.escalate for name in rung)]
        if not knows_people(self.file.people):
            return _named(asked)
        found = members(self.file.people, asked)
        return None if found is None else tuple(sorted(found))

    def next_answer(self, question: Question, taken: Iterable[str]) -> str | None:
        """Somebody who may answer and has not yet; None where nobody is left."""
        people = self.people(question)
        if people is None:
            people = tuple(name.partition(":")[2] for name in _many(question.quorum))
        done = set(taken)
        return next((f"user:{name}" for name in people if f"user:{name}" not in done), None)


def _named(asked: Iterable[str]) -> tuple[str, ...] | None:
    """Without a directory only those are known who are named themselves."""
    names = [name.partition(":") for name in asked]
    if all(kind == "user" for kind, _, _ in names):
        return tuple(sorted({name for _, _, name in names}))
    return None


def _many(count: int) -> tuple[str, ...]:
    more = tuple(f"user:voter{number}" for number in range(len(_NOBODY_KNOWS) + 1, count + 1))
    return (*_NOBODY_KNOWS, *more)
