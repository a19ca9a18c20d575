"""`tow events`: what arrived, which runs it started, and if none, why not."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from towpath.cli import exit_codes

Tow = Callable[..., Any]
Write = Callable[[str, str], None]
Spawn = Callable[..., "subprocess.Popen[str]"]

RELEASE = """
on:
  - github.push: {branches: [main]}
    inputs: {version: "${{ event.after }}"}
inputs: {version: {default: none}}
steps:
  - run: echo "releasing $VERSION"
    env: {VERSION: "${{ inputs.version }}"}
"""
PUSH = ("--source", "github", "--header", "X-GitHub-Event=push")
WAIT_SECONDS = 60


@pytest.fixture
def add(project: Path, write: Write, tow: Tow) -> Callable[..., Any]:
    """Takes a push in by hand."""
    write("release", RELEASE)

    def push(*words: str, **different: Any) -> Any:
        said = {
            "ref": "refs/heads/main",
            "after": "abc",
            "repository": {"full_name": "octo/shop"},
            **different,
        }
        (project / "push.json").write_text(json.dumps(said))
        return tow("events", "add", "push.json", *PUSH, *words)

    return push


def told(tow: Tow, *words: str) -> list[dict[str, Any]]:
    """What `tow events --json` lists."""
    return [json.loads(line) for line in tow("events", *words, "--json").out.splitlines()]


def test_nothing_has_arrived(tow: Tow) -> None:
    """An empty list says what can be done, and makes no data folder."""
    said = tow("events")

    assert said.out == "nothing has arrived yet; `tow events add FILE` takes a payload in by hand\n"
    assert tow("events", "show").code == exit_codes.NOT_FOUND
    assert not Path(".towpath").exists()


def test_an_event_starts_its_run_and_it_is_watched(tow: Tow, add: Callable[..., Any]) -> None:
    """What is taken in by hand starts what it would have started, here and to its end."""
    said = add()

    assert said.code == exit_codes.OK
    assert "event 1  push octo/shop main" in said.out
    assert "✓ release entry 1  run 1 started" in said.out
    assert "releasing abc" in said.out
    assert "(trigger:github.push)" in said.out
    (event,) = told(tow)
    assert (event["state"], event["reactions"][0]["run"], event["verified"]) == ("matched", 1, "local")


def test_the_same_delivery_starts_nothing_twice(tow: Tow, add: Callable[..., Any]) -> None:
    """Adding it again says that it is known, and starts and watches nothing."""
    add()
    again = add()

    assert "was here already" in again.out
    assert "releasing" not in again.out
    assert [event["repeats"] for event in told(tow)] == [1]
    assert len(tow("ps", "--all", "--json").out.splitlines()) == 1


def test_an_event_that_starts_nothing_tells_why(tow: Tow, add: Callable[..., Any]) -> None:
    """Every entry that was asked says its reason; that is no failure."""
    said = add(ref="refs/heads/next")

    assert said.code == exit_codes.OK
    assert "– release entry 1  the branch is 'next', and main is asked for" in said.out
    assert "the branch is 'next'" in tow("events", "show").out


def test_a_replay_asks_the_workflows_as_they_are_now(tow: Tow, add: Callable[..., Any], write: Write) -> None:
    """A workflow that was mended meanwhile starts; one that had started is not started again."""
    add(ref="refs/heads/next")
    write("release", RELEASE.replace("[main]", "[next]"))

    first, second = tow("events", "replay", "1"), tow("events", "replay", "last")

    assert "✓ release entry 1  run 1 started" in first.out
    assert "releasing abc" in first.out
    assert "✓ release entry 1  run 1 had started before" in second.out
    assert len(tow("ps", "--all", "--json").out.splitlines()) == 1


def test_an_event_can_be_kept_for_later(tow: Tow, add: Callable[..., Any]) -> None:
    """With --no-run nothing is decided; the next process that looks decides about all that waits."""
    add("--no-run")
    assert "received" in tow("events").out
    assert "nobody has looked at it yet" in tow("events", "show", "1").out

    add(after="def")

    assert [event["state"] for event in told(tow)] == ["matched", "matched"]
    assert len(tow("ps", "--all", "--json").out.splitlines()) == 2


def test_an_event_is_shown_with_its_payload(tow: Tow, add: Callable[..., Any]) -> None:
    """As lines and as data: who sent it, what it holds, what came of it."""
    add()
    lines = tow("events", "show", "1").out
    data = json.loads(tow("events", "show", "1", "--json").out)

    assert "matched, arrived" in lines
    assert '"after": "abc"' in lines
    assert (data["kind"], data["payload"]["after"]) == ("github.push", "abc")
    assert data["headers"] == {"x-github-event": "push"}


def test_text_from_outside_moves_no_cursor(tow: Tow, add: Callable[..., Any]) -> None:
    """Escape sequences in a payload are shown as nothing, in the list and in full."""
    add(ref="refs/heads/\x1b[2Jevil\x1b]0;x\x07", repository={"full_name": "a\nb"})

    for said in (tow("events"), tow("events", "show"), add(ref="refs/heads/\x1b[2Jevil")):
        assert "\x1b" not in said.out
        assert "\x07" not in said.out


def test_filters_and_wrong_words(tow: Tow, add: Callable[..., Any]) -> None:
    """The list can be narrowed; what cannot be says so."""
    add(ref="refs/heads/next")

    assert len(told(tow, "--source", "github", "--kind", "github", "--state", "ignored")) == 1
    assert tow("events", "--state", "matched").out == "no such event\n"
    assert tow("events", "show", "7").code == exit_codes.NOT_FOUND
    assert tow("events", "show", "x").code == exit_codes.USAGE
    assert tow("events", "add", "push.json", "--source", "nobody").code == exit_codes.NOT_FOUND
    assert tow("events", "add", "push.json", "--source", "webhook").code == exit_codes.REFUSED
    assert tow("events", "add", "missing.json", "--source", "github").code == exit_codes.REFUSED


INCIDENT = """
on: [{alertmanager: {names: [DiskFull]}}]
steps:
  - run: echo mending
  - id: over
    wait: {event: alertmanager, if: event.status == "resolved"}
  - run: echo "over since ${AT}"
    env: {AT: "${{ steps.over.outputs.alerts[0].endsAt }}"}
"""


def alert(project: Path, status: str) -> str:
    """A notification of Alertmanager; gives its file."""
    one = {
        "status": status,
        "labels": {"alertname": "DiskFull"},
        "startsAt": "2026-11-22T18:00:00Z",
        "endsAt": "2026-11-22T18:30:00Z",
    }
    (project / f"{status}.json").write_text(json.dumps({"status": status, "groupKey": "g", "alerts": [one]}))
    return f"{status}.json"


def test_an_event_lets_a_waiting_run_go_on(tow: Tow, write: Write, project: Path, spawn: Spawn) -> None:
    """The alert starts a run in one process; its end, taken in by another one, lets the run go on, once."""
    write("incident", INCIDENT)
    alert(project, "firing")
    alert(project, "resolved")
    owner = spawn("events", "add", "firing.json", "--source", "alertmanager")
    until = time.monotonic() + WAIT_SECONDS
    while '"status":"waiting"' not in tow("ps", "--json").out:
        assert time.monotonic() < until
        time.sleep(0.05)

    said = tow("events", "add", "resolved.json", "--source", "alertmanager")
    out, _ = owner.communicate(timeout=WAIT_SECONDS)

    assert "✓ incident  run 1 goes on" in said.out
    assert "– incident entry 1  DiskFull is resolved, and firing is asked for" in said.out
    assert owner.returncode == exit_codes.OK
    assert "over since 2026-11-22T18:30:00Z" in out
    assert "run 1 goes on" not in tow("events", "replay", "last").out


def test_old_events_are_removed_and_start_nothing_twice(tow: Tow, add: Callable[..., Any]) -> None:
    """`tow gc` removes what was decided about, also where the run goes; the same delivery again finds its key used."""
    add()
    kept = json.loads(tow("gc", "--older-than", "1h", "--json").out)
    runs_only = json.loads(tow("gc", "--older-than", "0s", "--workflow", "other", "--json").out)
    would = json.loads(tow("gc", "--older-than", "0s", "--dry-run", "--json").out)
    gone = tow("gc", "--older-than", "0s").out
    again = add()

    assert (kept["events"], runs_only["events"], would["events"]) == (0, 0, 1)
    assert "1 event" in gone
    assert "releasing" not in again.out
    assert told(tow)[0]["event"] == 2
