"""Who has which turn is remembered for a moment, and never too long."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from towpath.definition.project import ProjectFile
from towpath.people.directory import Directory
from towpath.server.identity.standing import STANDING_SECONDS, Standings

HANDOVER = 1_796_029_200_000_000  # Monday, 30 November 2026, 09:00 UTC
SECONDS = 1_000_000
PEOPLE: dict[str, Any] = {
    "users": {"ada": {}, "ben": {}},
    "on_call": {"ops": {"rotations": [{"people": ["user:ada", "user:ben"], "start": "2026-11-23"}]}},
}


def directory(**people: Any) -> Directory:
    """The people of a project."""
    return Directory(file=ProjectFile.model_validate({"people": people}))


@pytest.mark.parametrize(
    ("first", "then", "stands"),
    [
        (-1, 0, True),
        (-1, STANDING_SECONDS - 2, True),
        (-1, STANDING_SECONDS - 1, False),
        (0, -1, True),
    ],
)
def test_a_handover_is_noticed_soon(first: float, then: float, stands: bool) -> None:
    """What was seen counts for STANDING_SECONDS, and not after the clock was set back."""
    standings, known = Standings(), directory(**PEOPLE)
    standings.principals_of(known, "ada", HANDOVER + round(first * SECONDS), ())
    found = standings.principals_of(known, "ada", HANDOVER + round(then * SECONDS), ())

    assert ("oncall:ops" in found) is stands


def test_another_file_counts_at_once() -> None:
    """Who was taken out of a rota or a group is out of it with the next request."""
    standings = Standings()
    before = directory(**PEOPLE, groups={"all": ["user:ada"]})
    after = directory(users={"ada": {}}, groups={"others": ["user:ada"]})
    found = [standings.principals_of(one, "ada", HANDOVER - SECONDS, ()) for one in (before, after)]

    assert found == [{"user:ada", "oncall:ops", "group:all"}, {"user:ada", "group:others"}]


def test_one_look_serves_everybody(monkeypatch: pytest.MonkeyPatch) -> None:
    """A list of many people looks at the rotas once, and tells them apart."""
    looks = []
    known, standings = directory(**PEOPLE), Standings()
    real: Callable[..., Any] = Directory.duties
    monkeypatch.setattr(Directory, "duties", lambda self, at: looks.append(at) or real(self, at))
    found = [standings.principals_of(known, name, HANDOVER, ()) for name in ("ada", "ben", "ada")]

    assert found == [{"user:ada"}, {"user:ben", "oncall:ops"}, {"user:ada"}]
    assert len(looks) == 1
