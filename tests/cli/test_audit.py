"""`tow audit`: who did what, and the proof that nobody changed the record of it."""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from remote_support import elsewhere
from server_support import write_project

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

    assert "✓ 0 acts on users" in verdict.out
    assert (verdict.code, "✗ run 1, record 1" in verdict.out) == (exit_codes.FAILED, True)
    assert tow("audit", "verify", "--database", str(database)).code == exit_codes.FAILED
    assert tow("audit", "verify", "--anchor", "nonsense").code == exit_codes.REFUSED


def people(tow: Tow, *words: str) -> list[tuple[str, str, str]]:
    """Who did what to whom."""
    told = [json.loads(row) for row in tow("audit", "log", "--people", "--json", *words).out.splitlines()]
    return [(row["by"], row["did"], row["about"]) for row in told]


@pytest.fixture
def peopled(tow: Tow) -> None:
    """A project in which ada and dora added and disabled people."""
    for words in (("add", "ben"), ("add", "cy"), ("disable", "ben", "--as", "dora")):
        assert tow("users", *words).code == exit_codes.OK


ADDED = [("user:ada", "made a user", "user:ben"), ("user:ada", "made a user", "user:cy")]
DISABLED = [("user:dora", "disabled a user", "user:ben")]


@pytest.mark.usefixtures("peopled")
def test_what_was_done_to_people_is_listed_too(tow: Tow) -> None:
    """With --people: who added and disabled whom, the oldest first; filtered by person, number and moment."""
    assert people(tow) == ADDED + DISABLED
    assert people(tow, "--by", "dora") == DISABLED
    assert people(tow, "--last", "1") == DISABLED
    assert people(tow, "--by", "ada", "--last", "1") == ADDED[1:]
    assert people(tow, "--since", "1h") == ADDED + DISABLED
    assert people(tow, "--since", "2999-01-01T00:00") == []
    assert tow("audit", "log", "--json").out == ""
    said = tow("audit", "log", "--people").out
    assert ["dora" in said, "disabled a user" in said, "user:cy" in said] == [True] * 3
    assert tow("audit", "log", "--people", "--by", "nobody").out == "nobody did anything that fits\n"
    assert tow("audit", "log", "1", "--people").code == exit_codes.REFUSED


@pytest.mark.usefixtures("peopled")
@pytest.mark.parametrize(
    ("sql", "kind", "act"),
    [
        ("UPDATE identity_acts SET by = 'user:eve' WHERE id = 2", "changed", 2),
        ("DELETE FROM identity_acts WHERE id = 2", "missing", 2),
        ("DELETE FROM identity_acts WHERE id = 3", "cut", 3),
    ],
)
def test_harm_to_the_record_of_people_is_located(
    tow: Tow, project: Path, sql: str, kind: str, act: int
) -> None:
    """An act that was changed, removed or cut off is named on a line and in a field of its own, and the exit code says so."""
    sound = tow("audit", "verify")
    sound_json = json.loads(tow("audit", "verify", "--json").out)
    connection = sqlite3.connect(project / ".towpath" / "towpath.db", isolation_level=None)
    connection.executescript("DROP TRIGGER identity_acts_stay; DROP TRIGGER identity_acts_hold;" + sql)
    connection.close()
    harmed, harmed_json = tow("audit", "verify"), tow("audit", "verify", "--json")
    told = json.loads(harmed_json.out)

    assert (sound.code, "✓ 3 acts on users" in sound.out) == (exit_codes.OK, True)
    assert (sound_json["holds"], sound_json["access"]["holds"], sound_json["access"]["acts"]) == (
        True,
        True,
        3,
    )
    assert (harmed.code, harmed_json.code) == (exit_codes.FAILED, exit_codes.FAILED)
    assert f"✗ people, act {act}" in harmed.out
    assert "✓ 0 records of 0 runs" in harmed.out
    assert (told["holds"], told["breaks"], told["access"]["holds"]) == (False, [], False)
    assert [(one["kind"], one["act"]) for one in told["access"]["breaks"]] == [(kind, act)]


def test_what_was_done_to_people_is_listed_over_http(
    tow: Tow, project: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The acts that a server tells are, letter for letter, those beside its data folder; only who may audit is told."""
    folder = tmp_path_factory.mktemp("there")
    write_project(folder, {})
    monkeypatch.setenv("XDG_CONFIG_HOME", str(project / "config"))
    commands = [["--people"], ["--people", "--json", "--last", "1"], ["--people", "--by", "ada"]]
    with elsewhere(folder) as there:
        for name in ("ben", "cy"):
            assert tow("--project", str(folder), "users", "disable", name).code == exit_codes.OK
        here = [tow("--project", str(folder), "audit", "log", *words) for words in commands]
        monkeypatch.setenv("TOW_SERVER", there.url)
        monkeypatch.setenv("TOW_TOKEN", "ada")
        over_http = [tow("audit", "log", *words) for words in commands]
        monkeypatch.setenv("TOW_TOKEN", "vic")
        refused = tow("audit", "log", "--people")

    assert [said.out for said in over_http] == [said.out for said in here]
    assert here[0].out.count("disabled a user") == 2
    assert (refused.code, "audit.view" in refused.err) == (exit_codes.REFUSED, True)
