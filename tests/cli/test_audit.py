"""`tow audit`: who did what, and the proof that nobody changed the record of it."""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from towpath.cli import exit_codes

Tow = Callable[..., Any]  # the fixture of this folder
Write = Callable[[str, str], None]
PATIENCE_SECONDS = 60.0

FAILS = """
steps:
  - {id: a, run: "false", on_failure: ask}
  - {id: b, wait: {signal: go}}
"""


@pytest.fixture
def acted(tow: Tow, write: Write, spawn: Callable[..., Any]) -> None:
    """A run that ada started, in which ben passed over a failure and dora sent a signal."""
    write("fails", FAILS)
    run = spawn("run", "fails")
    _until(tow, lambda: tow("inbox", "--all", "--json").out)
    assert tow("skip", "1", "a", "--as", "ben", "--reason", "not needed today").code == exit_codes.OK
    _until(tow, lambda: "signal" in tow("ps", "--json").out)
    assert tow("signal", "1", "go", "--as", "dora").code == exit_codes.OK
    run.wait(timeout=60)


def _until(tow: Tow, holds: Callable[[], Any]) -> None:
    end = time.monotonic() + PATIENCE_SECONDS
    while not holds():
        assert time.monotonic() < end, tow("ps", "--all").out
        time.sleep(0.05)


def acts(tow: Tow, *words: str) -> list[tuple[str, str, str, str]]:
    """Who, what, at which step, why."""
    rows = [json.loads(row) for row in tow("audit", "log", "--json", *words).out.splitlines()]
    return [(row["by"], row["did"], row["step"], row["text"]) for row in rows]


STARTED = ("user:ada", "started", "", "")
SKIPPED = ("user:ben", "passed over", "a", "not needed today")
SENT = ("user:dora", "sent the signal", "", "go")


@pytest.mark.usefixtures("acted")
def test_every_act_is_told_once_and_in_order(tow: Tow) -> None:
    """Who started, decided and signalled what, and why; filtered by person, number, moment and run."""
    assert acts(tow) == [STARTED, SKIPPED, SENT]
    assert acts(tow, "1") == [STARTED, SKIPPED, SENT]
    assert acts(tow, "--by", "ben") == [SKIPPED]
    assert acts(tow, "--last", "1") == [SENT]
    assert acts(tow, "--since", "1h") == [STARTED, SKIPPED, SENT]
    assert acts(tow, "--since", "2999-01-01T00:00") == []
    assert tow("audit", "log", "--since", "yesterday-ish").code == exit_codes.REFUSED
    said = tow("audit", "log").out
    assert ["ben" in said, "passed over" in said, "not needed today" in said] == [True] * 3
    assert tow("audit", "log", "--by", "nobody").out == "nobody did anything that fits\n"


def test_a_journal_is_verified_and_harm_is_located(tow: Tow, write: Write, project: Path) -> None:
    """What nobody touched holds, also against an anchor; a changed record is named, and the exit code says so."""
    write("good", "steps: [{id: a, run: 'true'}]")
    assert tow("run", "good").code == exit_codes.OK
    good = tow("audit", "verify", "--json")
    anchor = json.loads(good.out)["anchor"]
    assert tow("audit", "verify", "--anchor", anchor).code == exit_codes.OK
    assert "nothing was changed" in tow("audit", "verify").out
    database = project / ".towpath" / "towpath.db"
    connection = sqlite3.connect(database)
    connection.executescript(
        "DROP TRIGGER journal_never_changes;"
        "UPDATE journal SET record = CAST(replace(record, 'ada', 'eve') AS BLOB) WHERE run = 1 AND sequence = 1"
    )
    connection.close()

    verdict = tow("audit", "verify")

    assert (verdict.code, "✗ run 1, record 1" in verdict.out) == (exit_codes.FAILED, True)
    assert tow("audit", "verify", "--database", str(database)).code == exit_codes.FAILED
    assert tow("audit", "verify", "--anchor", "nonsense").code == exit_codes.REFUSED
