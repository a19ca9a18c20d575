"""`tow trigger`: what an event would start, and what schedules start next."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from towpath.cli import exit_codes

Tow = Callable[..., Any]
Write = Callable[[str, str], None]

RELEASE = """
on:
  - github.push: {branches: [main]}
    inputs: {version: "${{ event.after }}", hosts: "${{ event.count }}"}
  - github.push: {branches: ["**"]}
    if: event.missing
  - schedule: {cron: "0 3 * * *", timezone: Europe/Berlin}
  - manual
inputs: {version: {default: none}, hosts: {type: integer, default: 1}}
steps: [{run: make}]
"""


@pytest.fixture
def push(project: Path, write: Write) -> Callable[..., str]:
    """Writes a payload; gives its file."""
    write("release", RELEASE)

    def payload(**different: Any) -> str:
        said = {
            "ref": "refs/heads/main",
            "after": "abc",
            "count": 3,
            "repository": {"full_name": "octo/shop"},
        }
        (project / "push.json").write_text(json.dumps(said | different))
        return "push.json"

    return payload


def test_every_entry_says_what_it_would_start(tow: Tow, push: Callable[..., str]) -> None:
    """The entry that wants the event shows its inputs, every other one its reason; the exit code says that something starts."""
    said = tow("trigger", "test", "release", "--event", push(), "--source", "github")

    assert said.code == exit_codes.OK
    assert [line.rstrip() for line in said.out.splitlines()] == [
        "github.push  push octo/shop main",
        "",
        "  1 github.push  ✓ starts release",
        '                   version = "abc"',
        "                   hosts = 3",
        "  2 github.push  ✗ event has no `missing`",
        "  3 schedule     – it listens to `schedule`",
        "  4 manual       – it listens to `manual`",
        "",
        "it would start a run",
    ]


def test_nothing_is_started_and_nothing_is_kept(tow: Tow, push: Callable[..., str], project: Path) -> None:
    """Trying a trigger out leaves no run, no event and no data folder behind."""
    tow("trigger", "test", "release", "--event", push(), "--source", "github")

    assert not (project / ".towpath").exists()


def test_an_event_that_starts_nothing_says_so_to_scripts(tow: Tow, push: Callable[..., str]) -> None:
    """As JSON, every entry tells its reason, and the exit code says that nothing would start."""
    said = tow(
        "trigger",
        "test",
        "release",
        "--event",
        push(count="many"),
        "--header",
        "X-GitHub-Event: push",
        "--json",
    )
    told = json.loads(said.out)

    assert said.code == exit_codes.FAILED
    assert (told["kinds"], [entry["starts"] for entry in told["entries"]]) == (["github.push"], [False] * 4)
    assert told["entries"][0]["because"] == "its inputs do not fit: `hosts` has to be an integer, not 'many'"


@pytest.mark.parametrize(
    ("words", "code", "expected"),
    [
        (["--source", "nobody"], exit_codes.NOT_FOUND, "there is no source 'nobody'"),
        (["--source", "alertmanager"], exit_codes.REFUSED, "it has no alerts"),
        (["--header", "x"], exit_codes.USAGE, "--header takes NAME=VALUE"),
        ([], exit_codes.REFUSED, "it is not clear who sends this: the workflow listens to github, schedule"),
    ],
)
def test_what_cannot_be_read_is_told(
    tow: Tow, push: Callable[..., str], words: list[str], code: int, expected: str
) -> None:
    """A wrong source, a payload of another shape and a wrong option each say what is wrong."""
    said = tow("trigger", "test", "release", "--event", push(), *words)

    assert said.code == code
    assert expected in said.err


def test_a_sender_without_a_name_is_guessed(tow: Tow, write: Write, project: Path) -> None:
    """Where a workflow listens to one sender only, or the headers tell, nobody has to say who it is."""
    write("fix", "on: [{alertmanager: {names: [Disk*]}}]\nsteps: [{run: 'true'}]\n")
    alert = {"status": "firing", "labels": {"alertname": "DiskFull"}, "startsAt": "2026-11-22T18:00:00Z"}
    (project / "alert.json").write_text(json.dumps({"status": "firing", "alerts": [alert]}))

    assert "✓ starts fix" in tow("trigger", "test", "fix", "--event", "alert.json").out


def test_a_webhook_is_tried_with_its_path(tow: Tow, write: Write, project: Path) -> None:
    """A workflow with one webhook is tried on its path; another path says so."""
    write(
        "deploy",
        """
        on:
          - webhook: {path: /deploy, verify: {token: {secret: deploy}}}
            inputs: {what: "${{ event.what }}"}
        inputs: {what: {}}
        steps: [{run: 'true'}]
        """,
    )
    (project / "body.json").write_text('{"what": "shop"}')

    assert 'what = "shop"' in tow("trigger", "test", "deploy", "--event", "body.json").out
    other = tow("trigger", "test", "deploy", "--event", "body.json", "--path", "/other")
    assert "it came to /other" in other.out


def test_what_comes_next_is_shown(tow: Tow, write: Write) -> None:
    """The starts ahead of all schedules, in order and in their own time zone, as lines and as data."""
    write("nightly", "on: [{schedule: {cron: '0 3 * * *', timezone: Asia/Tokyo}}]\nsteps: [{run: 'true'}]\n")
    write("often", "on: [{schedule: {every: 90m}}]\nsteps: [{run: 'true'}]\n")

    shown = tow("trigger", "next", "nightly", "-n", "2")
    told = [json.loads(line) for line in tow("trigger", "next", "-n", "20", "--json").out.splitlines()]

    assert all("03:00 JST" in line for line in shown.out.splitlines()[1:])
    assert len(told) == 20
    assert [start["at"] for start in told] == sorted(start["at"] for start in told)
    assert {start["workflow"] for start in told} == {"nightly", "often"}
    assert {start["schedule"] for start in told} == {"0 3 * * *", "every 1h30m"}


def test_no_schedule_is_said(tow: Tow, write: Write) -> None:
    """A project without schedules gives a sentence and no empty table."""
    write("release", RELEASE.replace('  - schedule: {cron: "0 3 * * *", timezone: Europe/Berlin}\n', ""))

    assert tow("trigger", "next").out == "no workflow has a schedule\n"
    assert tow("trigger", "next", "release").out == "release has no schedule\n"
