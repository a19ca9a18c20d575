"""Backups: whole, proven, restored only after everything was checked."""

from __future__ import annotations

import io
import json
import tarfile
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from store_support import NOW, call_now, commit, new_run, program, records, start

from towpath.errors import NotFound, Refused, StoreUnavailable
from towpath.store.backup import back_up, check_backup, restore
from towpath.store.contract import ArtifactRow, Change, RunNumber
from towpath.store.logs import LogReader
from towpath.store.migrations import current_version
from towpath.store.sqlite import open_store

if TYPE_CHECKING:
    from collections.abc import Callable

ONE = RunNumber(1)


@pytest.fixture
def filled(data: Path) -> Path:
    """Give a data folder in which something has run."""
    store = open_store(data)
    journal = store.open_journal(call_now)
    run = start(journal, new_run())
    assert commit(journal, Change(run, 2, records(3, 50))) is None
    store.logs.step(run, "build", 1).write("stdout", b"hello\n")
    kept = store.artifacts.keep(io.BytesIO(b"artifact"))
    store.keep_artifact(
        ArtifactRow(
            run=run, path="build", attempt=1, name="a", digest=kept.digest, size=kept.size, kept_at=NOW
        )
    )
    (data / "keys" / "secrets.key").write_bytes(b"key")
    (data / "secrets.json").write_bytes(b"sealed")
    (data / "workspaces" / "1").mkdir()
    (data / "workspaces" / "1" / "big").write_bytes(b"x")
    store.close()
    return data


def assert_the_same(data: Path) -> None:
    """Check that a data folder holds what `filled` has put there."""
    store = open_store(data)
    assert tuple(store.reader.events(ONE)) == records(1, 50)
    (kept,) = store.reader.artifacts(ONE)
    assert b"".join(store.artifacts.read(kept.digest)) == b"artifact"
    with store.log_reader(ONE) as log:
        assert [line.text for line in log.more()] == ["hello"]
    assert (data / "secrets.json").read_bytes() == b"sealed"
    journal = store.open_journal(call_now)
    assert commit(journal, Change(ONE, 50, records(51, 51))) is None
    store.close()


def test_what_was_backed_up_is_restored(filled: Path, tmp_path: Path) -> None:
    """A restored folder holds everything, readable by its owner only, and runs go on in it."""
    made = back_up(filled, tmp_path / "backup.tar")

    restored = restore(tmp_path / "backup.tar", tmp_path / "new")

    assert restored == made == check_backup(tmp_path / "backup.tar")
    assert made.version == current_version()
    assert made.bytes > 0
    assert (tmp_path / "backup.tar").stat().st_mode & 0o077 == 0
    assert (tmp_path / "new").stat().st_mode & 0o077 == 0
    assert_the_same(tmp_path / "new")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["backup.tar", "data", "new"]


@pytest.mark.parametrize("keys", [False, True])
def test_keys_are_saved_only_when_asked_for(filled: Path, tmp_path: Path, keys: bool) -> None:
    """A backup that is passed on does not open the secrets, unless somebody wanted that."""
    made = back_up(filled, tmp_path / "backup.tar", keys=keys)

    restore(tmp_path / "backup.tar", tmp_path / "new")

    assert made.has_keys is keys
    assert ("keys/secrets.key" in made.files) is keys
    assert (tmp_path / "new" / "keys" / "secrets.key").exists() is keys
    assert not [name for name in made.files if name.startswith(("workspaces", "owners"))]


def test_a_backup_is_taken_while_a_run_goes_on(data: Path, tmp_path: Path) -> None:
    """Nobody has to stop: the copy is one moment of a run that another process drives."""
    with program("chain", data, "here") as chain:
        assert chain.stdout is not None
        for _ in range(50):
            chain.stdout.readline()

        back_up(data, tmp_path / "backup.tar")

        at_least = 49
        chain.kill()
        chain.communicate(timeout=60)

    restore(tmp_path / "backup.tar", tmp_path / "new")
    store = open_store(tmp_path / "new")
    kept = [sequence for sequence, _, _ in store.reader.events(ONE)]
    assert kept == list(range(1, len(kept) + 1))
    assert len(kept) >= at_least
    store.close()


def test_a_log_that_grows_meanwhile_is_saved_as_it_was(filled: Path, tmp_path: Path) -> None:
    """What is printed during the backup does not spoil it."""
    store = open_store(filled)
    step = store.logs.step(ONE, "noisy", 1)
    stop = threading.Event()

    def print_on() -> None:
        while not stop.is_set():
            step.write("stdout", b"x" * 5_000 + b"\n")

    printing = threading.Thread(target=print_on)
    printing.start()
    try:
        for n in range(5):
            back_up(filled, tmp_path / f"backup{n}.tar")
    finally:
        stop.set()
        printing.join()
        store.close()

    restore(tmp_path / "backup4.tar", tmp_path / "new")
    with LogReader(tmp_path / "new" / "logs" / "1", step="build") as log:
        assert [line.text for line in log.more()] == ["hello"]


def members(archive: Path) -> list[tuple[tarfile.TarInfo, bytes]]:
    """Read the members of a backup."""
    with tarfile.open(archive) as tar:
        return [(member, (tar.extractfile(member) or io.BytesIO()).read()) for member in tar]


def rewrite(archive: Path, change: Callable[[list[tuple[tarfile.TarInfo, bytes]]], None]) -> None:
    """Forge a backup."""
    content = members(archive)
    change(content)
    with tarfile.open(archive, "w") as tar:
        for info, data in content:
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))


def replace_file(name: str, data: bytes) -> Callable[[list[tuple[tarfile.TarInfo, bytes]]], None]:
    """Exchange the bytes of a member."""

    def change(content: list[tuple[tarfile.TarInfo, bytes]]) -> None:
        position = next(n for n, (info, _) in enumerate(content) if info.name == name)
        content[position] = (content[position][0], data)

    return change


def drop(name: str) -> Callable[[list[tuple[tarfile.TarInfo, bytes]]], None]:
    """Take a member away."""
    return lambda content: content.remove(next(entry for entry in content if entry[0].name == name))


def add(name: str, kind: bytes = tarfile.REGTYPE) -> Callable[[list[tuple[tarfile.TarInfo, bytes]]], None]:
    """Add a member in front."""

    def change(content: list[tuple[tarfile.TarInfo, bytes]]) -> None:
        info = tarfile.TarInfo(name)
        info.type = kind
        info.linkname = "/etc/passwd"
        content.insert(0, (info, b""))

    return change


def edit_manifest(**values: object) -> Callable[[list[tuple[tarfile.TarInfo, bytes]]], None]:
    """Change fields of the manifest."""

    def change(content: list[tuple[tarfile.TarInfo, bytes]]) -> None:
        info, data = content[-1]
        content[-1] = (info, json.dumps({**json.loads(data), **values}).encode())

    return change


@pytest.mark.parametrize(
    ("forge", "message"),
    [
        pytest.param(
            replace_file("secrets.json", b"forged"), "secrets.json is not what was saved", id="changed"
        ),
        pytest.param(
            replace_file("towpath.db", b"forged"), "towpath.db is not what was saved", id="database"
        ),
        pytest.param(drop("secrets.json"), "secrets.json is missing", id="missing"),
        pytest.param(drop("towpath.db"), "no database", id="no-database"),
        pytest.param(drop("MANIFEST.json"), "no manifest", id="no-manifest"),
        pytest.param(add("more"), "more is not what was saved", id="more"),
        pytest.param(add("../outside"), "not allowed", id="outside"),
        pytest.param(add("/outside-of-towpath"), "not allowed", id="absolute"),
        pytest.param(add("secrets.json"), "not allowed", id="twice"),
        pytest.param(add("link", tarfile.SYMTYPE), "not a file", id="link"),
        pytest.param(add("device", tarfile.CHRTYPE), "not a file", id="device"),
        pytest.param(edit_manifest(format=99), "format is 99", id="format"),
        pytest.param(edit_manifest(files=7), "cannot be read", id="manifest"),
        pytest.param(edit_manifest(version=99), "version 99", id="newer"),
        pytest.param(edit_manifest(version=0), "not that of the manifest", id="another-version"),
    ],
)
def test_a_wrong_backup_changes_nothing(
    filled: Path,
    tmp_path: Path,
    forge: Callable[[list[tuple[tarfile.TarInfo, bytes]]], None],
    message: str,
) -> None:
    """Whatever is wrong with a backup is found before the data folder is touched, even with --force."""
    archive = tmp_path / "backup.tar"
    back_up(filled, archive)
    rewrite(archive, forge)

    with pytest.raises(StoreUnavailable, match=message):
        restore(archive, filled, force=True)

    assert_the_same(filled)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["backup.tar", "data"]
    assert not Path("/outside-of-towpath").exists()


@pytest.mark.parametrize("part", [0.0, 0.3, 0.9])
def test_a_backup_that_was_cut_short_is_refused(filled: Path, tmp_path: Path, part: float) -> None:
    """Half a backup is none."""
    archive = tmp_path / "backup.tar"
    back_up(filled, archive)
    whole = archive.read_bytes()
    archive.write_bytes(whole[: int(len(whole.rstrip(b"\0")) * part)])

    with pytest.raises(StoreUnavailable) as caught:
        restore(archive, tmp_path / "new")

    assert caught.value.help
    assert not (tmp_path / "new").exists()


def test_a_folder_that_holds_something_is_kept(filled: Path, tmp_path: Path) -> None:
    """Without --force nothing is exchanged; with it, the old folder stays beside, and its keys come along."""
    back_up(filled, tmp_path / "backup.tar")

    with pytest.raises(Refused, match="not empty"):
        restore(tmp_path / "backup.tar", filled)
    (filled / "mark").write_text("old")
    restore(tmp_path / "backup.tar", filled, force=True)

    assert_the_same(filled)
    assert (filled / "keys" / "secrets.key").read_bytes() == b"key"
    (old,) = tmp_path.glob("data.before-restore-*")
    assert (old / "mark").read_text() == "old"


def test_a_folder_in_which_somebody_works_is_never_exchanged(filled: Path, tmp_path: Path) -> None:
    """A living owner is a reason to refuse, --force or not."""
    back_up(filled, tmp_path / "backup.tar")
    store = open_store(filled)
    store.owners.enter("tow up")

    with pytest.raises(Refused, match="drives runs"):
        restore(tmp_path / "backup.tar", filled, force=True)

    store.close()


def test_an_empty_folder_is_filled(filled: Path, tmp_path: Path) -> None:
    """A folder without anything in it is no reason to refuse."""
    back_up(filled, tmp_path / "backup.tar")
    (tmp_path / "new").mkdir()

    restore(tmp_path / "backup.tar", tmp_path / "new")

    assert_the_same(tmp_path / "new")


def test_a_backup_does_not_overwrite_by_itself(filled: Path, tmp_path: Path) -> None:
    """An existing file is kept, unless somebody says otherwise."""
    (tmp_path / "backup.tar").write_text("precious")

    with pytest.raises(Refused):
        back_up(filled, tmp_path / "backup.tar")
    assert (tmp_path / "backup.tar").read_text() == "precious"

    back_up(filled, tmp_path / "backup.tar", overwrite=True)
    check_backup(tmp_path / "backup.tar")


def test_places_that_make_no_sense_are_refused(filled: Path, tmp_path: Path) -> None:
    """No data, no backup, or a backup inside of what it saves: each is said."""
    with pytest.raises(NotFound):
        back_up(tmp_path / "nothing", tmp_path / "backup.tar")
    with pytest.raises(NotFound):
        restore(tmp_path / "nothing.tar", tmp_path / "new")
    with pytest.raises(Refused, match="inside"):
        back_up(filled, filled / "backup.tar")
    with pytest.raises(StoreUnavailable):
        back_up(filled, tmp_path / "no" / "such" / "folder" / "backup.tar")


def test_a_damaged_database_is_not_backed_up_as_if_it_were_sound(filled: Path, tmp_path: Path) -> None:
    """A backup of damage would be found when it is too late."""
    database = filled / "towpath.db"
    whole = database.read_bytes()
    database.write_bytes(whole[:8_192] + bytes(len(whole) - 8_192))

    with pytest.raises(StoreUnavailable, match="damaged"):
        back_up(filled, tmp_path / "backup.tar")

    assert sorted(path.name for path in tmp_path.iterdir()) == ["data"]
    assert not list(filled.glob(".snapshot-*"))
