"""Watching files: what changed and has settled becomes one event."""

from __future__ import annotations

import json
import os
import threading
from pathlib import Path
from typing import Any

import pytest
from inbox_support import World

from towpath.triggers.watch import Looked, Watcher, files

SECOND = 1_000_000


class Files:
    """A folder that is watched."""

    def __init__(self, folder: Path, on: str) -> None:
        self.world = World()
        self.folder = folder
        self.world.project.add("load", on)
        self.watcher = self.another()
        self.look()

    def another(self) -> Watcher:
        """Another process that looks."""
        events = self.world.store.another().events
        return Watcher(
            events, self.world.project, folder=self.folder, copies=self.folder, now=lambda: self.world.at
        )

    def write(self, name: str, text: str) -> None:
        """Writes a file; its time is always another one."""
        file = self.folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        self.world.at += 1
        os.utime(file, ns=(self.world.at, self.world.at))

    def look(self, seconds: int = 10) -> Looked:
        """Looks after so many seconds."""
        self.world.at += seconds * SECOND
        return self.watcher.look()

    def told(self) -> list[tuple[str, str]]:
        """Path and change of every event, oldest first."""
        events = self.world.store.events
        payloads: list[dict[str, Any]] = [
            json.loads(events.payload(row.id)) for row in reversed(events.events())
        ]
        return [(payload["path"], payload["change"]) for payload in payloads]


def test_what_changes_becomes_an_event_when_it_has_settled(tmp_path: Path) -> None:
    """What was there starts nothing; a new, a changed and a removed file are one event each, after their time."""
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "old.csv").write_text("1")
    files_ = Files(tmp_path, "- file: {path: 'in/*.csv', settle: 5s}")
    files_.write("in/new.csv", "1")
    files_.write("in/old.csv", "22")
    files_.write("in/other.txt", "1")

    assert [files_.look(seconds).kept for seconds in (2, 3, 4, 2)] == [0, 0, 2, 0]
    (tmp_path / "in" / "old.csv").unlink()
    files_.look()
    files_.look()

    assert files_.told() == [("in/new.csv", "created"), ("in/old.csv", "modified"), ("in/old.csv", "deleted")]


def test_a_file_that_grows_is_one_event(tmp_path: Path) -> None:
    """While a file keeps changing there is no event; one comes when it has stayed as it is."""
    files_ = Files(tmp_path, "- file: {path: big.bin, settle: 5s}")
    for size in range(5):
        files_.write("big.bin", "x" * size)
        assert files_.look(3).kept == 0

    assert [files_.look(3).kept for _ in range(3)] == [0, 1, 0]


def test_a_file_that_comes_and_goes_is_nothing(tmp_path: Path) -> None:
    """What is as it was before is no change."""
    files_ = Files(tmp_path, "- file: {path: '*.csv', settle: 5s}")
    files_.write("a.csv", "1")
    files_.look(2)
    (tmp_path / "a.csv").unlink()

    assert [files_.look().kept for _ in range(2)] == [0, 0]


async def test_a_change_starts_what_asks_for_it(tmp_path: Path) -> None:
    """`events` says which changes count; the same file may change again and again."""
    files_ = Files(tmp_path, "- file: {path: data, events: modified, settle: 1s}")
    for text in ("1", "22", "333"):
        files_.write("data/a.csv", text)
        files_.look()
        files_.look()
    await files_.world.decider.work()

    assert files_.told() == [
        ("data/a.csv", "created"),
        ("data/a.csv", "modified"),
        ("data/a.csv", "modified"),
    ]
    assert [wanted.workflow for wanted in files_.world.runs.wanted] == ["load", "load"]
    assert files_.world.made_of(1) == [("load", None, "the file was created")]


def test_a_restart_forgets_nothing(tmp_path: Path) -> None:
    """A change while nobody looked is seen by the next process, by one of several."""
    files_ = Files(tmp_path, "- file: {path: '*.csv', settle: 1s}")
    files_.write("a.csv", "1")
    files_.another().look()
    files_.world.at += 2 * SECOND

    assert [files_.another().look().kept for _ in range(3)] == [1, 0, 0]


def test_odd_names_are_kept_as_text(tmp_path: Path) -> None:
    """A name that is no text, or looks like a command, is data like any other."""
    files_ = Files(tmp_path, "- file: {path: 'in/**', settle: 1s}")
    files_.write("in/$(reboot) ${{ x }}.csv", "1")
    with open(os.fsencode(tmp_path / "in") + b"/\xff.csv", "wb") as file:  # noqa: PTH123 - a name in bytes
        file.write(b"1")
    files_.look()
    files_.look()

    assert sorted(files_.told()) == [
        ("in/$(reboot) ${{ x }}.csv", "created"),
        ("in/\N{REPLACEMENT CHARACTER}.csv", "created"),
    ]


def test_too_many_files_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A pattern that means half the disk is an error with the limit's name, and no event."""
    monkeypatch.setattr(files, "FILES_MAX", 2)
    for number in range(3):
        (tmp_path / f"{number}.csv").write_text("1")
    files_ = Files(tmp_path, "- file: {path: '*.csv'}")

    assert [why for _, why in files_.look().errors] == ["*.csv means more than FILES_MAX (2) files"]


def test_a_repository_that_does_not_answer_holds_up_no_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Repositories and files are looked at in threads of their own: the one goes on while the other hangs."""
    (tmp_path / "in").mkdir()
    files = Files(
        tmp_path, "- file: {path: in, settle: 0s}\n- git.poll: {url: 'https://git.invalid/shop.git'}"
    )
    answers = threading.Event()
    monkeypatch.setattr(
        "towpath.triggers.watch.watcher.GitPolling.look", lambda *_: int(not answers.wait(60))
    )
    files.world.at += 100 * SECOND
    hanging = threading.Thread(target=files.watcher.look, args=(("repository",),))
    hanging.start()
    files.write("in/new.csv", "1")
    looked = [files.watcher.look(("file",)).kept]
    files.world.at += 10 * SECOND
    looked.append(files.watcher.look(("file",)).kept)
    is_hanging = hanging.is_alive()
    answers.set()
    hanging.join()

    assert (sum(looked), is_hanging) == (1, True)
