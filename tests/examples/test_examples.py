"""The examples do what they say, run by `tow` as a person runs it."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from towpath.cli import exit_codes

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
RUN_SECONDS_MAX = 120


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A copy of the examples in which nothing has run yet."""
    folder = tmp_path / "examples"
    shutil.copytree(EXAMPLES, folder, ignore=shutil.ignore_patterns("var", ".towpath", "__pycache__"))
    return folder


def tow(project: Path, *words: str, code: int = exit_codes.OK) -> str:
    """What `tow` prints; its exit code has to be *code*."""
    done = subprocess.run(
        [sys.executable, "-m", "towpath", *words],
        cwd=project,
        env=environment(),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=RUN_SECONDS_MAX,
        check=False,
    )
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout


def environment() -> Mapping[str, str]:
    """The environment of a person who set nothing for Towpath."""
    return {name: value for name, value in os.environ.items() if not name.startswith("TOW_")}


def shown(project: Path) -> dict[str, Any]:
    """The last run as data."""
    return dict(json.loads(tow(project, "show", "last", "--json")))


def live(project: Path) -> str:
    """The version that the shop's site serves."""
    served = subprocess.run(
        [sys.executable, "release/smoke.py", "var/site"],
        cwd=project,
        capture_output=True,
        text=True,
        check=False,
    )
    return served.stdout.splitlines()[0].split()[-1] if served.returncode == 0 else served.stdout


def test_a_release_goes_live(project: Path) -> None:
    """A release that passes its smoke test is what the site serves."""
    tow(project, "run", "release_shop", "-i", "version=1.2.3")

    assert live(project) == "1.2.3"
    assert shown(project)["status"] == "succeeded"


def test_a_broken_release_is_rolled_back(project: Path) -> None:
    """When its smoke test fails, the version before is served again, and the exit code says so."""
    tow(project, "run", "release_shop", "-i", "version=1.0.0")
    before = (project / "var/site/current").readlink()

    tow(
        project,
        "run",
        "release_shop",
        "-i",
        "version=1.1.0",
        "-i",
        "broken=true",
        code=exit_codes.ROLLED_BACK,
    )

    assert (project / "var/site/current").readlink() == before
    assert live(project) == "1.0.0"
    assert shown(project)["status"] == "rolled_back"


def test_the_first_release_is_rolled_back_to_nothing(project: Path) -> None:
    """A first release that fails leaves no half-made site behind."""
    tow(project, "run", "release_shop", "-i", "broken=true", code=exit_codes.ROLLED_BACK)

    assert not os.path.lexists(project / "var/site/current")


def test_a_backup_holds_every_row(project: Path) -> None:
    """The backup is a database with the rows of the original, and only so many are kept."""
    for _ in range(3):
        tow(project, "run", "backup_database", "-i", "keep=2")
    kept = sorted((project / "var/backup/kept").glob("*.db"))
    with closing(sqlite3.connect(kept[0])) as database:
        orders = database.execute("SELECT count(*) FROM orders").fetchone()

    assert len(kept) == 2
    assert orders == (5_000,)
    assert list((project / "var/backup").glob("restored-*")) == []


def test_a_damaged_database_makes_no_backup(project: Path) -> None:
    """What cannot be read is not kept as a backup, and what the attempt left is taken away."""
    broken = project / "var/backup/orders.db"
    broken.parent.mkdir(parents=True)
    broken.write_bytes(b"SQLite format 3\0" + b"\xff" * 8_192)

    tow(project, "run", "backup_database", code=exit_codes.ROLLED_BACK)

    assert list((project / "var/backup").glob("kept/*.db*")) == []


def test_a_fleet_gets_a_new_version(project: Path) -> None:
    """Every service of the fleet has the version in the end, and none of them is left running."""
    tow(project, "run", "restart_fleet", "-i", "version=v7")

    assert versions(project) == {"v7"}
    assert services_alive(project) == []


def test_a_bad_version_stops_at_the_canary(project: Path) -> None:
    """When the canary does not come up it goes back, and no other service was touched."""
    tow(project, "run", "restart_fleet", "-i", "version=bad", code=exit_codes.ROLLED_BACK)

    assert versions(project) == {"v1"}
    assert services_alive(project) == []


def versions(project: Path) -> set[str]:
    """The versions of all services."""
    return {path.read_text().strip() for path in (project / "var/fleet").glob("*/version")}


def services_alive(project: Path) -> list[str]:
    """The processes that still work in the fleet's folder."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            words = (process / "cmdline").read_bytes().decode(errors="replace")
            folder = (process / "cwd").readlink()
        except OSError:
            continue
        if folder == project and "HTTPServer" in words:
            found.append(words)
    return found


def test_a_killed_run_goes_on(project: Path) -> None:
    """After `kill -9` no process is left; `tow resume` goes on, and every service gets its version."""
    with started(project, "restart_fleet", "-i", "version=v9", "-i", "pause=1") as process:
        wait_until(lambda: "v9" in versions(project), process)
        process.kill()
    wait_until(lambda: services_alive(project) == [])
    killed = shown(project)

    tow(project, "resume")

    assert (killed["status"], killed["owner_life"]) == ("running", "dead")
    assert shown(project)["status"] == "succeeded"
    assert versions(project) == {"v9"}
    assert services_alive(project) == []


def test_a_check_list_is_done_by_people(project: Path) -> None:
    """People answer from other terminals; only those who were asked may, and what they found is kept."""
    with started(project, "maintenance_checklist") as process:
        for step, who, words in (
            ("announce", "ada", ("--done", "--form", "link=https://shop.example/news")),
            ("backup_seen", "ada", ("--done", "--form", "age_hours=3")),
            ("colleague", "grace", ("--done", "--form", "name=Ada")),
            ("go", "mary", ("--approve",)),
            ("work", "ada", ("--done", "--form", "went_well=true")),
            ("reopen", "ada", ("--done",)),
        ):
            wait_until(lambda step=step: step in questions(project), process)
            if step == "go":
                tow(project, "answer", "last", step, *words, "--by", "ada", code=exit_codes.REFUSED)
            tow(project, "answer", "last", step, *words, "--by", who)
        assert process.wait(RUN_SECONDS_MAX) == exit_codes.OK
    steps = {step["path"]: step.get("outputs") for step in shown(project)["steps"]}

    assert steps["announce"] == {"link": "https://shop.example/news"}
    assert steps["go"]["by"] == ["user:mary"]
    assert "room" in steps


def questions(project: Path) -> set[str]:
    """The steps that ask somebody now."""
    told = tow(project, "answer", "--json") if (project / ".towpath").exists() else ""
    return {json.loads(line)["path"].rpartition("/")[2] for line in told.splitlines()}


@contextmanager
def started(project: Path, *words: str) -> Iterator[subprocess.Popen[bytes]]:
    """A run in another terminal; it is ended with the test."""
    with subprocess.Popen(
        [sys.executable, "-m", "towpath", "run", *words],
        cwd=project,
        env=environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def wait_until(is_so: Callable[[], bool], process: subprocess.Popen[bytes] | None = None) -> None:
    """Look again until it is so; fails when the process ends before, or after a long time."""
    until = time.monotonic() + RUN_SECONDS_MAX
    while not is_so():
        assert process is None or process.poll() is None, "the run ended too soon"
        assert time.monotonic() < until
        time.sleep(0.05)


def test_old_files_are_cleaned_up_and_new_ones_stay(project: Path) -> None:
    """Old files lie in the wastebasket, whatever their names; what lay there long enough is gone."""
    tow(project, "run", "clean_up")
    left = sorted(
        str(path.relative_to(project / "var/scratch"))
        for path in (project / "var/scratch").rglob("*")
        if path.is_file()
    )

    assert left == ["uploads/fresh.bin", "waste/forgotten.bin", "waste/old name with spaces.tmp"]


def test_every_combination_is_built(project: Path) -> None:
    """The matrix has a build for each combination, kept with the run, and the smallest is named."""
    tow(project, "run", "matrix_build")
    outputs = shown(project)["outputs"]
    built = {path.name: path.stat().st_size for path in (project / "var/matrix").glob("*.pyz")}
    smallest = min(built, key=lambda name: built[name])

    assert len(built) == 6
    assert outputs["smallest"] == f"{built[smallest]} var/matrix/{smallest}"
