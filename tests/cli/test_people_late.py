"""Whoever is too late is told who was quicker, also when the run has ended meanwhile."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from towpath import app as apps
from towpath import settings
from towpath.cli import deciding
from towpath.core import stimuli
from towpath.errors import Refused
from towpath.server import asking

Tow = Callable[..., Any]  # the fixture of this folder
PATIENCE_SECONDS = 40.0


@pytest.fixture
def app(project: Path) -> Any:
    """The project, as a command has it that was started before somebody else decided."""
    opened = apps.build(settings.load(project))
    yield opened
    opened.close()


@pytest.fixture
def asked(
    app: apps.App, write: Callable[[str, str], None], spawn: Callable[..., subprocess.Popen[str]], tow: Tow
) -> asking.Asked:
    """A question that was open when it was looked for; then ben has decided it, and the run has ended."""
    write("gate", "steps: [{id: go, approve: Go?, who: ['user:ben', 'user:cy'], four_eyes: false}]")
    owner = spawn("run", "gate", "--no-ask")
    end = time.monotonic() + PATIENCE_SECONDS
    while not app.folder.database.exists() or not app.reader.open_questions():
        assert time.monotonic() < end
        time.sleep(0.05)
    found = asking.find(app, "1", "go", says="approve", actor="user:cy")
    assert tow("approve", "1", "--as", "ben").code == 0
    owner.communicate(timeout=PATIENCE_SECONDS)
    return found


def late(app: apps.App) -> stimuli.Answered:
    """What cy says to it, too late."""
    return stimuli.Answered(at=app.now(), path="go", by="user:cy", decision="reject")


def test_who_was_quicker_is_named_although_the_run_has_ended(app: apps.App, asked: asking.Asked) -> None:
    """An answer to a run that ended in the meantime is refused with the name of who decided, not only with the end."""
    with pytest.raises(Refused, match=r"go of run 1: decided by ben at .*: approved"):
        deciding.tell(app, asked, late(app))


def test_nobody_waits_for_a_reply_of_a_run_that_ends_meanwhile(
    app: apps.App, asked: asking.Asked, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When the run ends after the letter was posted, its sender hears that at the next look, and does not wait in vain."""
    gone = apps.App._gone
    looks: list[int] = []

    def once_open(self: apps.App, number: Any, **options: Any) -> Refused | None:
        looks.append(number)
        return None if len(looks) == 1 else gone(self, number, **options)

    monkeypatch.setattr(apps.App, "_gone", once_open)

    with pytest.raises(Refused, match="run 1 has ended: succeeded"):
        app.tell(asked.row, late(app))
