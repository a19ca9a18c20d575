"""The file actions: what they do to a real folder, what they refuse, and that a rehearsal changes nothing."""

from __future__ import annotations

import asyncio
import hashlib
import os
import stat
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from action_support import FakeContext, NoEgress, picture

from towpath.steps import ActionFailed, Rehearsal
from towpath.steps.builtin import blocking
from towpath.steps.catalogue import Catalogue

CATALOGUE = Catalogue.load()
KEY_DIGEST = hashlib.sha256(b"key").hexdigest()


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A workspace with some files, inside a folder in which nothing may change unasked."""
    folder = tmp_path / "work"
    (folder / "site" / "css").mkdir(parents=True)
    (folder / "hello.txt").write_text("hello\n")
    (folder / "empty").mkdir()
    (folder / "key").write_text("key")
    (folder / "key").chmod(0o600)
    (folder / "data.json").write_text('{"a": [1, 2]}')
    (folder / "binary").write_bytes(b"\xff\xfe")
    (folder / "site" / "index.html").write_text("<h1>hi</h1>")
    (folder / "site" / "css" / "a.css").write_text("a{}")
    (folder / "site" / "run.sh").write_text("#!/bin/sh\n")
    (folder / "site" / "run.sh").chmod(0o755)
    (folder / "site" / "home").symlink_to("index.html")
    (folder / "releases" / "1").mkdir(parents=True)
    (folder / "releases" / "2").mkdir()
    (folder / "current").symlink_to("releases/1")
    (folder / "page.tmpl").write_text("Hello {{ name }}, {{count}} of {{ok}} {{ not a place }}")
    os.mkfifo(folder / "pipe")
    return folder


async def perform(place: Path, name: str, /, **values: Any) -> Any:
    """Performs an action in the workspace."""
    return await CATALOGUE.get(name).perform(values, FakeContext(workspace=place, egress=NoEgress()))


async def rehearse(place: Path, name: str, /, **values: Any) -> Rehearsal:
    """Rehearses an action in the workspace."""
    return await CATALOGUE.get(name).rehearse(values, FakeContext(workspace=place, egress=NoEgress()))


# action, inputs, the outputs that matter, what is there afterwards (path → text, "→ target", or None)
GOOD = [
    ("file.write", {"path": "new", "content": "a\n"}, {"changed": True, "bytes": 2}, {"new": "a\n"}),
    ("file.write", {"path": "hello.txt", "content": "hello\n"}, {"changed": False}, {"hello.txt": "hello\n"}),
    ("file.write", {"path": "hello.txt", "content": "bye\n"}, {"changed": True}, {"hello.txt": "bye\n"}),
    (
        "file.write",
        {"path": "a/b/c", "content": "x", "make_folders": True},
        {"changed": True},
        {"a/b/c": "x"},
    ),
    (
        "file.write",
        {"path": "n.json", "content": {"ä": [1]}},
        {"changed": True},
        {"n.json": '{\n  "ä": [\n    1\n  ]\n}\n'},
    ),
    ("file.write", {"path": "key", "content": "key", "mode": "0640"}, {"changed": True}, {"key": "key"}),
    (
        "file.write",
        {"path": "site/home", "content": "x"},
        {"changed": True},
        {"site/home": "→ index.html", "site/index.html": "x"},
    ),
    (
        "file.template",
        {"source": "page.tmpl", "target": "page", "values": {"name": "{{count}}", "count": 3, "ok": True}},
        {"changed": True},
        {"page": "Hello {{count}}, 3 of true {{ not a place }}"},
    ),
    ("file.read", {"path": "hello.txt"}, {"content": "hello\n", "json": None, "bytes": 6}, {}),
    ("file.read", {"path": "data.json", "parse": "json"}, {"json": {"a": [1, 2]}}, {}),
    ("file.read", {"path": "hello.txt", "parse": "lines"}, {"lines": ["hello"]}, {}),
    ("file.checksum", {"path": "key"}, {"digest": KEY_DIGEST, "bytes": 3}, {}),
    ("file.checksum", {"path": "key", "expected": KEY_DIGEST.upper()}, {"digest": KEY_DIGEST}, {}),
    ("file.stat", {"path": "nothing"}, {"exists": False, "kind": "nothing", "bytes": None, "mode": None}, {}),
    ("file.stat", {"path": "key"}, {"exists": True, "kind": "file", "bytes": 3, "mode": "0600"}, {}),
    ("file.stat", {"path": "current"}, {"kind": "link", "target": "releases/1"}, {}),
    ("file.stat", {"path": "pipe"}, {"kind": "other"}, {}),
    ("file.find", {"path": "site", "pattern": "*.html"}, {"count": 1, "bytes": 11}, {}),
    ("file.find", {"path": "site", "pattern": "**/*.css"}, {"count": 1}, {}),
    ("file.find", {"path": "site", "pattern": "**"}, {"count": 3}, {}),
    ("file.find", {"path": "site", "kind": "folder"}, {"count": 1}, {}),
    ("file.find", {"path": "site", "kind": "any", "pattern": "**/*"}, {"count": 5}, {}),
    ("file.find", {"pattern": "*", "older_than": "1h"}, {"count": 0, "paths": []}, {}),
    ("file.find", {"pattern": "*.txt", "newer_than": "1h"}, {"count": 1}, {}),
    ("file.find", {"pattern": "*", "larger_than": 100}, {"count": 0}, {}),
    ("file.copy", {"source": "key", "target": "key2"}, {"changed": True}, {"key2": "key", "key": "key"}),
    (
        "file.copy",
        {"source": "key", "target": "hello.txt", "overwrite": True},
        {"changed": True},
        {"hello.txt": "key"},
    ),
    (
        "file.copy",
        {"source": "site", "target": "site2"},
        {"changed": True},
        {"site2/css/a.css": "a{}", "site2/home": "→ index.html"},
    ),
    (
        "file.copy",
        {"source": "site", "target": "releases", "overwrite": True},
        {"changed": True},
        {"releases/index.html": "<h1>hi</h1>", "releases/1": None},
    ),
    ("file.copy", {"source": "current", "target": "c2"}, {"changed": True}, {"c2": "→ releases/1"}),
    (
        "file.move",
        {"source": "key", "target": "k/2", "make_folders": True},
        {"changed": True},
        {"key": None, "k/2": "key"},
    ),
    (
        "file.move",
        {"source": "site", "target": "empty", "overwrite": True},
        {"changed": True},
        {"site": None, "empty/home": "→ index.html"},
    ),
    (
        "file.move",
        {"source": "current", "target": "old"},
        {"changed": True},
        {"current": None, "old": "→ releases/1"},
    ),
    ("file.remove", {"path": "key"}, {"changed": True}, {"key": None}),
    ("file.remove", {"path": "nothing"}, {"changed": False}, {}),
    ("file.remove", {"path": "hello.txt/inside"}, {"changed": False}, {"hello.txt": "hello\n"}),
    ("file.remove", {"path": "empty"}, {"changed": True}, {"empty": None}),
    ("file.remove", {"path": "site", "recursive": True}, {"changed": True}, {"site": None}),
    (
        "file.remove",
        {"path": "current", "recursive": True},
        {"changed": True},
        {"current": None, "releases/1": ""},
    ),
    (
        "file.symlink",
        {"path": "current", "target": "releases/2"},
        {"changed": True, "previous": "releases/1"},
        {"current": "→ releases/2"},
    ),
    (
        "file.symlink",
        {"path": "current", "target": "releases/1"},
        {"changed": False},
        {"current": "→ releases/1"},
    ),
    (
        "file.symlink",
        {"path": "current", "target": "releases/2", "previous": "before"},
        {"changed": True, "previous": "releases/1"},
        {"current": "→ releases/2", "before": "→ releases/1"},
    ),
    (
        "file.symlink",
        {"path": "l", "target": "later", "must_exist": False},
        {"previous": None},
        {"l": "→ later"},
    ),
    ("file.make_folder", {"path": "a/b", "mode": "0750"}, {"changed": True}, {"a/b": ""}),
    ("file.make_folder", {"path": "empty"}, {"changed": False}, {}),
    ("file.archive", {"source": "site", "target": "s.tar.gz"}, {"entries": 5}, {}),
    ("file.archive", {"source": "site", "target": "s.zip", "exclude": ["*.css"]}, {"entries": 4}, {}),
    ("file.archive", {"source": "site", "target": "s.tar", "exclude": ["css"]}, {"entries": 3}, {}),
    ("file.archive", {"source": "key", "target": "a/k.tgz", "make_folders": True}, {"entries": 1}, {}),
]


def found_at(path: Path) -> str | None:
    """What stands at a path, in one text."""
    if path.is_symlink():
        return f"→ {path.readlink()}"
    if path.is_dir():
        return ""
    return path.read_text() if path.exists() else None


@pytest.mark.parametrize(("name", "values", "outputs", "there"), GOOD)
async def test_it_does_what_it_says(
    name: str, values: dict[str, Any], outputs: dict[str, Any], there: dict[str, str | None], place: Path
) -> None:
    """The outputs are right, the folder is as expected, and no hidden leftover is in it."""
    found = await perform(place, name, **values)

    assert outputs == {key: found[key] for key in outputs}
    assert there == {path: found_at(place / path) for path in there}
    assert [path for path in picture(place) if ".part" in path] == []


@pytest.mark.parametrize(("name", "values"), [row[:2] for row in GOOD])
async def test_a_rehearsal_changes_nothing_and_is_right(
    name: str, values: dict[str, Any], place: Path
) -> None:
    """The folder is the same to the nanosecond; what was foretold is what then happens."""
    before = picture(place.parent)
    told = await rehearse(place, name, **values)

    assert before == picture(place.parent)
    found = await perform(place, name, **values)
    if told.known:
        assert bool(told.changes) == (before != picture(place.parent))
        assert told.outputs is None or dict(told.outputs) == found


@pytest.mark.parametrize(("name", "values"), [row[:2] for row in GOOD])
async def test_twice_is_as_good_as_once_where_it_is_promised(
    name: str, values: dict[str, Any], place: Path
) -> None:
    """An action that is idempotent for its inputs leaves the same folder when it is performed again."""
    await perform(place, name, **values)
    if CATALOGUE.get(name).idempotent_with(values):
        contents = {path: told.split(" ")[-1] for path, told in picture(place).items()}
        await perform(place, name, **values)

        assert contents == {path: told.split(" ")[-1] for path, told in picture(place).items()}
    else:
        assert name in ("file.move", "file.symlink")


BAD = [
    ("file.write", {"path": "no/where", "content": "x"}, "invalid", "no folder"),
    ("file.write", {"path": "site", "content": "x"}, "conflict", "is a folder"),
    ("file.write", {"path": "pipe", "content": "x"}, "conflict", "not a file"),
    ("file.write", {"path": "hello.txt/x", "content": "x"}, "invalid", "no folder"),
    ("file.write", {"path": "x", "content": "x", "mode": "644"}, "invalid", "must look like"),
    ("file.write", {"path": "x", "content": "x", "mode": 644}, "invalid", "put it in quotes"),
    ("file.write", {"path": "x", "content": 5}, "invalid", "must be text or a list or a map"),
    ("file.write", {"path": "x\0y", "content": "x"}, "invalid", "must be a path"),
    ("file.write", {"path": "x" * 300, "content": "x"}, "invalid", "name too long"),
    ("file.write", {"content": "x"}, "invalid", "`path` is required"),
    (
        "file.template",
        {"source": "page.tmpl", "target": "x", "values": {"name": "a"}},
        "invalid",
        "wants count, ok",
    ),
    ("file.template", {"source": "nothing", "target": "x", "values": {}}, "invalid", "No such file"),
    ("file.read", {"path": "nothing"}, "invalid", "No such file"),
    ("file.read", {"path": "site"}, "invalid", "no file"),
    ("file.read", {"path": "pipe"}, "invalid", "no file"),
    ("file.read", {"path": "binary"}, "invalid", "no UTF-8"),
    ("file.read", {"path": "hello.txt", "parse": "json"}, "invalid", "no JSON"),
    ("file.read", {"path": "hello.txt", "bytes_max": 5}, "invalid", "larger than 5 bytes"),
    ("file.read", {"path": "hello.txt", "parse": "yaml"}, "invalid", "one of text, json, lines"),
    ("file.checksum", {"path": "key", "expected": "00"}, "conflict", "not 00"),
    ("file.checksum", {"path": "nothing"}, "invalid", "No such file"),
    ("file.find", {"path": "nothing"}, "invalid", "no folder"),
    ("file.find", {"pattern": "../*"}, "invalid", "does not leave"),
    ("file.find", {"pattern": "/etc/*"}, "invalid", "does not leave"),
    ("file.find", {"path": "site", "pattern": "**", "count_max": 1}, "invalid", "More than 1"),
    ("file.copy", {"source": "nothing", "target": "x"}, "invalid", "nothing at"),
    ("file.copy", {"source": "pipe", "target": "x"}, "invalid", "neither"),
    ("file.copy", {"source": "key", "target": "hello.txt"}, "conflict", "overwrite"),
    ("file.copy", {"source": "key", "target": "site", "overwrite": True}, "conflict", "is a folder"),
    ("file.copy", {"source": "site", "target": "site/copy"}, "invalid", "inside the other"),
    ("file.copy", {"source": "site/css", "target": "site", "overwrite": True}, "invalid", "inside the other"),
    ("file.copy", {"source": ".", "target": "../copy"}, "invalid", "neither a file nor a folder"),
    ("file.move", {"source": "nothing", "target": "x"}, "invalid", "nothing at"),
    ("file.move", {"source": "key", "target": "hello.txt"}, "conflict", "overwrite"),
    ("file.move", {"source": "site", "target": "site/x"}, "invalid", "inside the other"),
    ("file.move", {"source": ".", "target": "../x"}, "denied", "workspace"),
    ("file.remove", {"path": "site"}, "conflict", "recursive"),
    ("file.remove", {"path": ".", "recursive": True}, "denied", "workspace"),
    ("file.remove", {"path": "", "recursive": True}, "denied", "workspace"),
    ("file.remove", {"path": "..", "recursive": True}, "denied", "workspace"),
    ("file.remove", {"path": "site/..", "recursive": True}, "denied", "workspace"),
    ("file.remove", {"path": "/", "recursive": True}, "denied", "workspace"),
    ("file.symlink", {"path": "key", "target": "hello.txt"}, "conflict", "not a link"),
    ("file.symlink", {"path": "site", "target": "hello.txt"}, "conflict", "not a link"),
    ("file.symlink", {"path": "current", "target": "releases/3"}, "invalid", "not there"),
    ("file.symlink", {"path": "current", "target": ""}, "invalid", "empty"),
    (
        "file.symlink",
        {"path": "current", "target": "releases/2", "previous": "key"},
        "conflict",
        "not a link",
    ),
    ("file.make_folder", {"path": "key"}, "conflict", "not a folder"),
    ("file.make_folder", {"path": "key/x"}, "invalid", "Not a directory"),
    ("file.archive", {"source": "site", "target": "site.rar"}, "invalid", "how it is packed"),
    ("file.archive", {"source": "nothing", "target": "x.zip"}, "invalid", "no file and no folder"),
    ("file.archive", {"source": ".", "target": "x.zip"}, "invalid", "neither"),
    ("file.archive", {"source": "site", "target": "no/x.zip"}, "invalid", "no folder"),
]


@pytest.mark.parametrize(("name", "values", "kind", "told"), BAD)
async def test_what_cannot_be_done_is_told_and_changes_nothing(
    name: str, values: dict[str, Any], kind: str, told: str, place: Path
) -> None:
    """The failure has the right kind and says what is in the way; the folder is as it was."""
    before = picture(place.parent)
    with pytest.raises(ActionFailed) as caught:
        await perform(place, name, **values)

    assert (kind, True) == (
        caught.value.kind,
        told.lower() in (caught.value.message + caught.value.help).lower(),
    )
    assert before == picture(place.parent)


MODES = [
    ("file.write", {"path": "new", "content": "x"}, "new", 0o644),
    ("file.write", {"path": "new", "content": "x", "mode": "0600"}, "new", 0o600),
    ("file.write", {"path": "key", "content": "other"}, "key", 0o600),
    ("file.write", {"path": "site/run.sh", "content": "x", "mode": "0700"}, "site/run.sh", 0o700),
    ("file.copy", {"source": "site/run.sh", "target": "run"}, "run", 0o755),
    ("file.copy", {"source": "key", "target": "hello.txt", "overwrite": True}, "hello.txt", 0o600),
    ("file.copy", {"source": "site", "target": "s"}, "s/run.sh", 0o755),
    ("file.make_folder", {"path": "f", "mode": "0700"}, "f", 0o700),
]


@pytest.mark.parametrize(("name", "values", "path", "mode"), MODES)
async def test_permissions_are_kept_or_set(
    name: str, values: dict[str, Any], path: str, mode: int, place: Path
) -> None:
    """A file keeps its permissions when its content changes, and a copy has those of its source."""
    await perform(place, name, **values)

    assert mode == stat.S_IMODE((place / path).stat().st_mode)


async def test_a_file_that_is_right_is_not_touched(place: Path) -> None:
    """The same content keeps the time of the last change: nothing that watches the file is woken."""
    before = (place / "hello.txt").stat()
    await perform(place, "file.write", path="hello.txt", content="hello\n")

    assert (before.st_ino, before.st_mtime_ns) == (
        (place / "hello.txt").stat().st_ino,
        (place / "hello.txt").stat().st_mtime_ns,
    )


async def test_a_rehearsal_shows_the_difference(place: Path) -> None:
    """What would change in a file is shown line by line, unless not everybody may read the file."""
    open_file = await rehearse(place, "file.write", path="hello.txt", content="bye\n")
    closed = await rehearse(place, "file.write", path="key", content="new", mode="0640")

    assert "-hello\n+bye" in open_file.changes[0].detail
    assert "mode 0600 → 0640" in closed.changes[0].detail
    assert "-key" not in closed.changes[0].detail


async def test_the_rehearsal_of_a_copy_shows_the_difference(place: Path) -> None:
    """A copy over a file tells what the file would lose and get; of one that is not for everybody only that it differs."""
    (place / "other.txt").write_text("other\n")
    shown = await rehearse(place, "file.copy", source="other.txt", target="hello.txt", overwrite=True)
    hidden = await rehearse(place, "file.copy", source="key", target="hello.txt", overwrite=True)

    assert "-hello\n+other" in shown.changes[0].detail
    assert "not shown" in hidden.changes[0].detail
    assert "+key" not in hidden.changes[0].detail


async def test_a_link_is_never_missing_while_it_is_switched(place: Path) -> None:
    """A reader that looks all the time finds the link to one of the two, always."""
    seen: set[str | None] = set()
    done = threading.Event()

    def look() -> None:
        while not done.is_set():
            try:
                seen.add(str((place / "current").readlink()))
            except FileNotFoundError:
                seen.add(None)

    watcher = threading.Thread(target=look)
    watcher.start()
    for number in range(40):
        await perform(place, "file.symlink", path="current", target=f"releases/{1 + number % 2}")
    done.set()
    watcher.join()

    assert seen == {"releases/1", "releases/2"}


async def test_a_repeated_switch_still_knows_what_was_before(place: Path) -> None:
    """With a second link, a repetition after a crash answers with the same previous target."""
    values = {"path": "current", "target": "releases/2", "previous": "before"}
    first = await perform(place, "file.symlink", **values)
    second = await perform(place, "file.symlink", **values)

    assert (first["previous"], first["changed"]) == ("releases/1", True)
    assert (second["previous"], second["changed"]) == ("releases/1", False)


async def test_removing_follows_no_link(place: Path, tmp_path: Path) -> None:
    """A link inside a removed folder goes, and what it points to stays."""
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "precious").write_text("x")
    (place / "site" / "out").symlink_to(outside)
    await perform(place, "file.remove", path="site", recursive=True)

    assert (outside / "precious").exists()


async def test_a_folder_without_write_permission_is_copied(place: Path) -> None:
    """Folders get their permissions when they are filled."""
    (place / "site" / "css").chmod(0o555)
    await perform(place, "file.copy", source="site", target="s")
    mode = stat.S_IMODE((place / "s" / "css").stat().st_mode)
    for path in (place / "site" / "css", place / "s" / "css"):
        path.chmod(0o755)

    assert mode == 0o555


async def test_a_cancelled_copy_stops_and_cleans_up(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """When the cancellation has gone through, nothing is copied any more and no half file is there."""
    (place / "large").write_bytes(b"x" * 8_000_000)
    before = set(picture(place))
    reached = threading.Event()

    class SlowStop(blocking.Stop):
        def check(self) -> None:
            reached.set()
            time.sleep(0.02)
            super().check()

    monkeypatch.setattr(blocking, "Stop", SlowStop)
    task = asyncio.ensure_future(perform(place, "file.copy", source="large", target="copy"))
    await asyncio.to_thread(reached.wait, 10)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    assert before == set(picture(place))


async def test_a_failed_write_leaves_the_old_file(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a full disk the old content stands, and nothing hidden is left."""

    def full(_handle: int) -> None:
        raise OSError(28, "No space left on device")

    before = picture(place)
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(ActionFailed) as caught:
        await perform(place, "file.write", path="hello.txt", content="new")

    assert "No space left" in caught.value.message
    assert before == picture(place)
