"""The outbox at the command line: who was told what, what could not be told, and sending it after all."""

from __future__ import annotations

import contextlib
import http.server
import json
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from towpath.cli import exit_codes

Tow = Callable[..., Any]  # the fixture of this folder
Write = Callable[[str, str], None]
Spawn = Callable[..., subprocess.Popen[str]]
PATIENCE_SECONDS = 40.0

PEOPLE = """
name: tests
people:
  users: {anna: {}, ben: {}, dora: {}, ada: {}}
  groups: {managers: ["user:anna", "user:ben"]}
"""
GATE = """
steps:
  - {id: go_live, approve: Release?, who: [group:managers], four_eyes: false}
"""


class Receiver(http.server.BaseHTTPRequestHandler):
    """Answers every webhook, and keeps what it said."""

    received: list[dict[str, Any]]

    def do_POST(self) -> None:
        """Keeps one."""
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.received.append(json.loads(body)["data"])
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Says nothing."""


@contextlib.contextmanager
def receiving(port: int) -> Iterator[list[dict[str, Any]]]:
    """A webhook's receiver on a port, and what it received."""
    handler = type("Own", (Receiver,), {"received": []})
    with http.server.ThreadingHTTPServer(("127.0.0.1", port), handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield handler.received  # type: ignore[attr-defined] # it was given above
        server.shutdown()
        thread.join()


@pytest.fixture
def port() -> int:
    """A port at which nothing listens."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        number: int = free.getsockname()[1]
        return number


@pytest.fixture
def gate(project: Path, write: Write) -> Path:
    """A project that names people, and a release that asks two of them."""
    (project / "towpath.yaml").write_text(PEOPLE)
    write("release", GATE)
    return project


def with_channel(project: Path, port: int) -> None:
    """Gives the project a channel to a port of this machine."""
    hook = f'channels: {{hook: {{kind: webhook, url: "http://127.0.0.1:{port}/in", default: true}}}}\n'
    (project / "towpath.yaml").write_text(PEOPLE + hook)


def outbox(tow: Tow, *words: str) -> list[dict[str, Any]]:
    """What is in the outbox, as data, oldest first."""
    return [json.loads(row) for row in reversed(tow("outbox", "--json", *words).out.splitlines())]


def until(tow: Tow, holds: Callable[[list[dict[str, Any]]], bool]) -> list[dict[str, Any]]:
    """Waits until something holds of the outbox."""
    end = time.monotonic() + PATIENCE_SECONDS
    while not holds(found := outbox(tow)):
        assert time.monotonic() < end, found
        time.sleep(0.05)
    return found


def brief(found: list[dict[str, Any]]) -> list[tuple[str, str, str]]:
    """Why, to whom, and what became of it."""
    return [(one["why"], one["recipient"], one["state"]) for one in found]


def ended(owner: subprocess.Popen[str]) -> None:
    """Waits for the end of a run's process."""
    owner.communicate(timeout=PATIENCE_SECONDS)


@pytest.mark.usefixtures("gate")
def test_what_nobody_could_be_told_is_on_record(tow: Tow, spawn: Spawn) -> None:
    """In a project without channels the outbox says of everybody who is asked that they could not be told, and why; so does `tow show`."""
    assert tow("outbox").out == "nobody was told anything yet\n"
    owner = spawn("run", "release", "--no-ask")
    found = until(tow, bool)
    shown = tow("show", "1").out
    assert tow("approve", "1", "--as", "anna").code == exit_codes.OK
    ended(owner)

    assert brief(found) == [("asked", "user:anna", "unreachable"), ("asked", "user:ben", "unreachable")]
    assert "anna has no contact or e-mail address" in found[0]["error"]
    assert "✗ not told: anna, ben (no channel leads to them)" in shown
    listed = tow("outbox").out
    assert listed.startswith("2 without a way to anybody\n")
    assert "next  tow outbox --try-again" in listed


def test_who_was_told_what(gate: Path, tow: Tow, spawn: Spawn, port: int) -> None:
    """Asked, handed over, decided: each is sent once to those whom it concerns, listed with its state, and found by filters."""
    with_channel(gate, port)
    with receiving(port) as received:
        owner = spawn("run", "release", "--no-ask")
        until(tow, bool)
        assert tow("hand-over", "1", "--to", "dora", "--as", "anna").code == exit_codes.OK
        assert tow("approve", "1", "--as", "dora", "-m", "looks good").code == exit_codes.OK
        ended(owner)

    found = outbox(tow)
    assert sorted(brief(found)) == [
        ("asked", "to:", "sent"),
        ("decided", "to:", "sent"),
        ("handed_over", "to:", "sent"),
    ]
    told = {one["why"]: one for one in received}
    assert [one["why"] for one in received].count("asked") == 1
    assert told["handed_over"]["to"] == ["dora"]
    assert told["decided"]["to"] == ["anna", "ben", "dora"]
    assert "Approved by dora" in told["decided"]["subject"]
    assert tow("outbox").out.startswith("3 sent\n")
    assert "nothing in the outbox fits" in tow("outbox", "--failed").out
    assert [len(outbox(tow, *words)) for words in (("--to", "hook"), ("--state", "given_up"), ("1",))] == [
        3,
        0,
        3,
    ]
    shown = tow("show", "1").out
    assert "dora: approved — looks good" in shown
    assert shown.count("✓ hook ") == 3


def test_what_failed_is_sent_when_the_channel_works_again(
    gate: Path, tow: Tow, spawn: Spawn, port: int
) -> None:
    """Nothing is lost when a channel is broken and every process is gone; `--try-again` sends what still matters and tells how that went."""
    with_channel(gate, port)
    owner = spawn("run", "release", "--no-ask")
    until(tow, lambda found: any(one["attempts"] for one in found))
    assert tow("approve", "1", "--as", "anna").code == exit_codes.OK
    ended(owner)

    broken = tow("outbox", "--try-again")
    with receiving(port) as received:
        mended = tow("outbox", "--try-again")

    assert (broken.code, "cannot be reached" in broken.out) == (exit_codes.FAILED, True)
    assert (mended.code, "sent just now" in mended.out) == (exit_codes.OK, True)
    assert [one["why"] for one in received] == ["decided"]
    assert sorted(brief(outbox(tow))) == [("asked", "to:", "recalled"), ("decided", "to:", "sent")]
    assert tow("outbox", "--try-again").out == "nothing has failed\n"


def test_a_way_that_is_found_later_is_used(gate: Path, tow: Tow, spawn: Spawn, port: int) -> None:
    """Who could not be told when it was asked is told once somebody has added a channel, while the question is open; then no more."""
    owner = spawn("run", "release", "--no-ask")
    until(tow, bool)
    with_channel(gate, port)
    with receiving(port) as received:
        found = tow("outbox", "--try-again")
        assert (found.code, [one["why"] for one in received]) == (exit_codes.OK, ["asked"])
        assert brief(outbox(tow)) == [("asked", "to:", "sent")]
        tow("cancel", "1")
        ended(owner)
        again = tow("outbox", "--try-again")

    assert [one["why"] for one in received] == ["asked"]
    assert again.code == exit_codes.OK
