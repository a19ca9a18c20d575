"""Who may answer a question: the principals that it names, as the project's file knows them.

The command line has no sign-in: whoever may use the data folder says who they are. What is checked here is that the name given is one
that was asked.
"""

from __future__ import annotations

from collections.abc import Iterable

from towpath.definition.project import People
from towpath.errors import Refused


def members(people: People, principals: Iterable[str]) -> frozenset[str] | None:
    """Every user that *principals* stand for; None where somebody stands among them who is not known here."""
    found: set[str] = set()
    seen: set[str] = set()
    waiting = list(principals)
    while waiting:
        principal = waiting.pop()
        if principal in seen:
            continue
        seen.add(principal)
        kind, _, name = principal.partition(":")
        if kind == "user":
            found.add(principal)
        elif kind == "group" and name in people.groups:
            waiting.extend(people.groups[name].members)
        elif kind == "oncall" and name in people.on_call:
            rota = people.on_call[name]
            waiting.extend(person for layer in rota.rotations for person in layer.people)
            waiting.extend(override.who for override in rota.overrides)
        else:
            return None
    return frozenset(found)


def check(people: People, asked: tuple[str, ...], actor: str) -> None:
    """Raises Refused unless *actor* is one of those who were asked."""
    allowed = members(people, asked) if asked else None
    if allowed is None or actor in allowed:
        return
    names = ", ".join(sorted(allowed)) or "nobody"
    raise Refused(
        f"{actor} was not asked: the question goes to {', '.join(asked)} ({names})",
        help=f"say who you are: --by {min(allowed, default='user:NAME').removeprefix('user:')}",
    )
