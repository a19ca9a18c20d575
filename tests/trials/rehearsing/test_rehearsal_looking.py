"""Looking at the world: what goes wrong there is told and costs only its own forecast; nothing but questions goes out."""

from __future__ import annotations

from pathlib import Path

import pytest
from rehearsal_support import SECRETS, copied, rehearsed

from towpath.engines.rehearsing import looking, text_of
from towpath.engines.rehearsing.looking import ReadingEgress
from towpath.steps.contract import ActionFailed, HttpRequest, HttpResponse


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The project of the cases, with actions of its own."""
    for name, value in SECRETS.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(tmp_path)
    folder = copied(tmp_path)
    (folder / "actions").mkdir()
    return folder


def told(project: Path, actions: str, steps: str) -> str:
    """The plan of a workflow with these actions and steps."""
    (project / "actions" / "own.py").write_text(
        "from towpath import ActionFailed, Rehearsal, action\n" + actions
    )
    (project / "workflows" / "own.yaml").write_text(f"name: own\nsteps:\n{steps}")
    return text_of(rehearsed(project, "own"))


REHEARSALS = [
    ("return Rehearsal(summary='all is well')", "= one (own.act)  all is well"),
    ("return Rehearsal(summary='cannot say', known=False)", "! one (own.act)  cannot say"),
    ("raise ActionFailed('no such server', kind='unreachable')", "✗ one (own.act)  would fail as things are now: no such server"),
    ("return 42", "✗ one (own.act)  would fail as things are now: The rehearsal of own.act is no Rehearsal"),
    ("1 / 0", "✗ one (own.act)  would fail as things are now: ZeroDivisionError"),
    ("import os; os._exit(3)", "✗ one (own.act)  would fail as things are now: The process of own.act ended with exit code 3"),
    ("return Rehearsal(summary='uses ' + token)", "= one (own.act)  uses ***"),
    ("return Rehearsal(summary='x', detail='\\x1b[31m' + token)", "  ***"),
]  # fmt: skip


@pytest.mark.parametrize(("body", "expected"), REHEARSALS, ids=[body for body, _ in REHEARSALS])
def test_what_an_action_answers_is_told(body: str, expected: str, project: Path) -> None:
    """Whatever the rehearsal of an action does, it becomes a forecast without a secret, and the next step is rehearsed."""
    actions = (
        "@action\nasync def act(token: str) -> dict:\n    return {}\n\n\n"
        f"@act.rehearsal\nasync def rehearse(token: str) -> Rehearsal:\n    {body}\n"
    )
    rows = told(
        project,
        actions,
        "  - {id: one, uses: own.act, with: {token: '${{ secrets.token }}'}}\n  - {id: two, uses: log, with: {message: next}}\n",
    ).splitlines()

    assert any(row.startswith(expected) for row in rows), rows
    assert any(row.startswith("= two (log)") for row in rows)
    assert SECRETS["CASE_TOKEN"] not in "\n".join(rows)


def test_a_rehearsal_that_does_not_end_is_ended(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An action, a check and a script that hang are stopped, and the forecast says so."""
    monkeypatch.setattr(looking, "LOOK_SECONDS", 0.2)
    monkeypatch.setattr(looking, "REHEARSE_SECONDS", 0.2)
    actions = (
        "import time\n\n\n@action\nasync def act() -> dict:\n    return {}\n\n\n"
        "@act.rehearsal\nasync def rehearse() -> Rehearsal:\n    time.sleep(600)\n"
    )
    steps = (
        "  - {id: action, uses: own.act}\n"
        "  - {id: checked, check: sleep 600, run: make}\n"
        "  - {id: script, rehearse: sleep 600, run: make}\n"
    )
    rows = told(project, actions, steps).splitlines()

    assert "! action (own.act)  own.act did not tell within 0.2 s" in rows
    assert "! checked (run)  its check would fail now: it did not end within 0.2 s" in rows
    assert "✗ script (run)  would fail as things are now: it did not end within 0.2 s" in rows


def test_a_missing_secret_is_told_beforehand(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A step whose secret nobody has would fail, and the rehearsal names it."""
    monkeypatch.delenv("CASE_TOKEN")
    steps = "  - {id: one, uses: http.request, with: {url: 'http://127.0.0.1:9/', auth: {bearer: '${{ secrets.token }}'}}}\n"
    row = told(project, "", steps).splitlines()[0]

    assert row.startswith("✗ one (http.request)  would fail as things are now:")
    assert "token" in row


class NoEgress:
    """The way out for a test: everything that gets here is counted."""

    def __init__(self) -> None:
        self.sent: list[str] = []

    async def send(self, request: HttpRequest) -> HttpResponse:
        """Answers with nothing."""
        self.sent.append(request.method)
        return HttpResponse(
            status=200, headers={}, body=b"", body_bytes=0, url=request.url, elapsed_seconds=0
        )


@pytest.mark.parametrize(
    "method", ["GET", "head", "OPTIONS", "POST", "PUT", "PATCH", "DELETE", "TRACE", "CONNECT", "BREW"]
)
async def test_only_questions_go_out(method: str) -> None:
    """Whatever an action's rehearsal sends, only GET, HEAD and OPTIONS leave the machine."""
    outside = NoEgress()
    egress = ReadingEgress(outside)
    may = method.upper() in ("GET", "HEAD", "OPTIONS")

    if may:
        await egress.send(HttpRequest(method=method, url="http://x.test/"))
    else:
        with pytest.raises(ActionFailed, match="A rehearsal sends no"):
            await egress.send(HttpRequest(method=method, url="http://x.test/"))

    assert len(outside.sent) == may


async def test_nothing_is_saved(tmp_path: Path) -> None:
    """A question whose answer goes into a file is not sent: the file would be written."""
    outside = NoEgress()

    with pytest.raises(ActionFailed, match="saves nothing"):
        await ReadingEgress(outside).send(
            HttpRequest(method="GET", url="http://x.test/", save_to=tmp_path / "f")
        )

    assert outside.sent == []


FROZEN = """
environments: {live: {freeze: [closed]}}
calendars: {closed: {time_zone: UTC, freezes: [{from: 2020-01-01, until: 2099-01-01, title: For ever}]}}
"""


def test_a_start_that_would_be_refused_is_told(project: Path) -> None:
    """A frozen environment refuses the start; the rehearsal says so first, and goes on."""
    (project / "towpath.yaml").write_text("name: frozen\n" + FROZEN)
    (project / "workflows" / "own.yaml").write_text(
        "name: own\nenvironment: live\nsteps: [{uses: log, with: {message: a}}]\n"
    )
    rows = text_of(rehearsed(project, "own")).splitlines()

    assert rows[0].startswith("✗ own (start)  would be refused now: live is frozen: the freeze 'For ever'")
    assert any(row.startswith("= 1 log") for row in rows)
