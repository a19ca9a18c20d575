"""`tow backup` and `tow restore`: a whole data folder in one file, proven before and after.

A backup is a tar file. It is taken while runs go on: the database as a consistent copy (SQLite's backup API),
the stored files, the logs as long as they are at that moment, and whatever else lies in the folder; keys only
when asked for, locks and workspaces never. Its last member, `MANIFEST.json`, names every file with its size
and sha256. The finished backup is read once more before it gets its name.

Restoring first unpacks beside the data folder and checks everything: the manifest, every digest, the version,
and SQLite's integrity check. Only then the folder is exchanged, and the old one is kept beside it under
another name.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import secrets
import shutil
import sqlite3
import tarfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, BinaryIO

from towpath import __version__
from towpath.errors import LimitExceeded, NotFound, Refused, StoreUnavailable
from towpath.store.artifacts import Artifacts
from towpath.store.connections import connect, explained
from towpath.store.folder import FILE_MODE, FOLDER_MODE, DataFolder, sync_folder
from towpath.store.migrations import current_version, version_of
from towpath.store.owners import is_locked

FORMAT = 1
MANIFEST = "MANIFEST.json"
MANIFEST_BYTES_MAX = 256 * 1024 * 1024
DATABASE = "towpath.db"
PIECE_BYTES = 1024 * 1024
NOT_BACKED_UP = ("owners", "workspaces", "git", f"{DATABASE}-wal", f"{DATABASE}-shm", DATABASE)
KEYS = "keys"
SNAPSHOT = ".snapshot-"
SNAPSHOT_SECONDS_MAX = 24 * 3600
"""A copy of the database that is older was left by a crash."""
DAMAGED_HELP = "Take another backup file; this one was cut short or has changed since it was made."


@dataclass(frozen=True, slots=True, kw_only=True)
class FileEntry:
    """A file in a backup."""

    size: int
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """What a backup holds."""

    version: int
    """Of the database."""
    created_at: int
    """Microseconds since 1970, UTC."""
    towpath: str
    """The program that made it."""
    has_keys: bool
    files: Mapping[str, FileEntry]

    @property
    def bytes(self) -> int:
        """How much all files are together."""
        return sum(entry.size for entry in self.files.values())


def back_up(data: Path, target: Path, *, keys: bool = False, overwrite: bool = False) -> Manifest:
    """Write a verified backup of a data folder to *target*, which appears when whole; runs may go on."""
    folder = DataFolder(data)
    if not folder.database.exists():
        raise NotFound(
            f"there is no data at {data}",
            help="Name the data folder of a project in which something has run.",
        )
    if target.exists() and not overwrite:
        raise Refused(f"{target} exists", help="Choose another name, or say `--force`.")
    if target.absolute().resolve().is_relative_to(data.resolve()):
        raise Refused(f"{target} lies inside of the data folder", help="Put the backup somewhere else.")
    _remove_old_snapshots(folder.root)
    unfinished = target.with_name(f".{target.name}.{secrets.token_hex(4)}")
    snapshot = folder.root / f"{SNAPSHOT}{secrets.token_hex(8)}.db"
    with _explained(target):
        try:
            version = _snapshot(folder.database, snapshot)
            with Artifacts(folder.artifacts).locked():
                written = _write(folder, snapshot, unfinished, version=version, keys=keys)
            if check_backup(unfinished) != written:
                raise StoreUnavailable(
                    f"the backup {target} was not written as it should be", help=DAMAGED_HELP
                )
            unfinished.replace(target)
            sync_folder(target.absolute().parent)
        finally:
            unfinished.unlink(missing_ok=True)
            snapshot.unlink(missing_ok=True)
    return written


def check_backup(archive: Path) -> Manifest:
    """Read a whole backup and compare it with its manifest; raises StoreUnavailable when anything differs."""
    return _read(archive, target=None)


def restore(archive: Path, data: Path, *, force: bool = False) -> Manifest:
    """Put a data folder in the place of *data*, after everything in the backup was checked.

    A folder that holds something is refused without *force*; with it, the folder is kept under another name.
    While a process owns runs there, nothing is exchanged.
    """
    _check_place(data, force=force)
    staging = data.absolute().with_name(f".{data.name}.restoring-{secrets.token_hex(4)}")
    with _explained(data):
        try:
            staging.mkdir(mode=FOLDER_MODE, parents=True)
            manifest = _read(archive, target=staging)
            _check_database(staging / DATABASE, manifest)
            DataFolder(staging).make()
            _check_place(data, force=force)
            if not manifest.has_keys and (data / KEYS).is_dir():
                shutil.copytree(data / KEYS, staging / KEYS, dirs_exist_ok=True)
            _exchange(staging, data)
        finally:
            shutil.rmtree(staging, ignore_errors=True)
    return manifest


# Writing.


def _snapshot(database: Path, snapshot: Path) -> int:
    """Copy the database as it is at one moment; returns its version."""
    with explained(database):
        source = connect(database, read_only=True)
        snapshot.touch(mode=FILE_MODE)
        copy = sqlite3.connect(snapshot, isolation_level=None)
        try:
            source.backup(copy)
            copy.execute("PRAGMA journal_mode = DELETE")
            _check_integrity(copy, database)
            return version_of(copy)
        finally:
            copy.close()
            source.close()


def _remove_old_snapshots(root: Path) -> None:
    for path in root.glob(f"{SNAPSHOT}*"):
        if time.time() - path.stat().st_mtime > SNAPSHOT_SECONDS_MAX:
            path.unlink(missing_ok=True)


def _write(folder: DataFolder, snapshot: Path, target: Path, *, version: int, keys: bool) -> Manifest:
    entries: dict[str, FileEntry] = {}
    descriptor = os.open(target, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, FILE_MODE)
    with os.fdopen(descriptor, "wb") as file:
        with tarfile.open(fileobj=file, mode="w", format=tarfile.PAX_FORMAT) as tar:
            for name, path in ((DATABASE, snapshot), *_files(folder.root, keys=keys)):
                with suppress(FileNotFoundError):  # a ring of a log has moved on
                    entries[name] = _add(tar, name, path)
            manifest = Manifest(
                version=version,
                created_at=time.time_ns() // 1_000,
                towpath=__version__,
                has_keys=keys,
                files=entries,
            )
            text = json.dumps(_manifest_data(manifest), indent=1).encode()
            info = _info(MANIFEST, len(text))
            tar.addfile(info, io.BytesIO(text))
        file.flush()
        os.fsync(file.fileno())
    return manifest


def _files(root: Path, *, keys: bool) -> Iterator[tuple[str, Path]]:
    """Walk over what is to be saved, in a fixed order; links are not followed."""
    for path in sorted(root.iterdir()):
        if path.name in NOT_BACKED_UP or path.name.startswith(SNAPSHOT) or (path.name == KEYS and not keys):
            continue
        if path.is_symlink():
            continue
        inside = sorted(path.rglob("*")) if path.is_dir() else [path]
        for file in inside:
            if file.is_file() and not file.is_symlink():
                yield file.relative_to(root).as_posix(), file


def _add(tar: tarfile.TarFile, name: str, path: Path) -> FileEntry:
    """Add a file as long as it is now; what is appended meanwhile is left to the next backup."""
    with path.open("rb") as file:
        source = _Hashing(file)
        info = _info(name, os.fstat(file.fileno()).st_size)
        tar.addfile(info, source)
    return FileEntry(size=info.size, sha256=source.digest.hexdigest())


def _info(name: str, size: int) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.size = size
    info.mode = FILE_MODE
    info.mtime = int(time.time())
    return info


class _Hashing(io.RawIOBase):
    """Reads through to a file and hashes what was read."""

    def __init__(self, file: BinaryIO | IO[bytes]) -> None:
        super().__init__()
        self._file = file
        self.digest = hashlib.sha256()

    def read(self, size: int = -1) -> bytes:
        """Read and hash."""
        piece = self._file.read(size)
        self.digest.update(piece)
        return piece


# Reading.


def _read(archive: Path, *, target: Path | None) -> Manifest:
    """Read every member, compare with the manifest, and write what is in it below *target*."""
    found: dict[str, FileEntry] = {}
    manifest: Manifest | None = None
    try:
        with tarfile.open(archive, mode="r:") as tar:
            for member in tar:
                if not member.isreg():
                    raise _damaged(archive, f"{member.name!r} is not a file")
                source = tar.extractfile(member)
                if source is None or manifest is not None:
                    raise _damaged(archive, f"{member.name!r} should not be there")
                if member.name == MANIFEST:
                    manifest = _parse_manifest(archive, member, source)
                else:
                    name = _safe(archive, member.name, found)  # before anything is written under it
                    found[name] = _copy(source, name, target)
    except (tarfile.TarError, EOFError) as error:
        raise _damaged(archive, str(error)) from error
    except FileNotFoundError as error:
        if error.filename == str(archive):
            raise NotFound(
                f"there is no backup {archive}", help="Name a file that `tow backup` has written."
            ) from error
        raise
    if manifest is None:
        raise _damaged(archive, "it has no manifest: it was cut short, or is no backup")
    _compare(archive, manifest, found)
    return manifest


def _copy(source: IO[bytes], name: str, target: Path | None) -> FileEntry:
    digest, size = hashlib.sha256(), 0
    with _sink(name, target) as sink:
        while piece := source.read(PIECE_BYTES):
            digest.update(piece)
            size += len(piece)
            if sink is not None:
                sink.write(piece)
    return FileEntry(size=size, sha256=digest.hexdigest())


@contextmanager
def _sink(name: str, target: Path | None) -> Iterator[BinaryIO | None]:
    if target is None:
        yield None
        return
    path = target / name
    path.parent.mkdir(mode=FOLDER_MODE, parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, FILE_MODE)
    with os.fdopen(descriptor, "wb") as file:
        yield file
        file.flush()
        os.fsync(file.fileno())


def _safe(archive: Path, name: str, found: Mapping[str, FileEntry]) -> str:
    """Refuse a name that leads out of the folder or comes twice."""
    parts = PurePosixPath(name).parts
    if not parts or name.startswith("/") or ".." in parts or "\\" in name or "\0" in name or name in found:
        raise _damaged(archive, f"the name {name!r} is not allowed")
    return name


def _compare(archive: Path, manifest: Manifest, found: Mapping[str, FileEntry]) -> None:
    if DATABASE not in found:
        raise _damaged(archive, "it holds no database")
    for name in sorted(manifest.files.keys() | found.keys()):
        if name not in found:
            raise _damaged(archive, f"{name} is missing")
        if manifest.files.get(name) != found[name]:
            raise _damaged(archive, f"{name} is not what was saved")


def _check_database(database: Path, manifest: Manifest) -> None:
    """Ask SQLite whether the database is sound, and whether this program understands it."""
    if manifest.version > current_version():
        raise StoreUnavailable(
            f"the backup has version {manifest.version}; this Towpath knows up to {current_version()}",
            help="A newer Towpath has written it: install that version.",
        )
    with explained(database):
        connection = sqlite3.connect(database, isolation_level=None)
        try:
            _check_integrity(connection, database)
            if version_of(connection) != manifest.version:
                raise _damaged(database, "the version of the database is not that of the manifest")
        finally:
            connection.close()


def _check_integrity(connection: sqlite3.Connection, database: Path) -> None:
    (first,) = connection.execute("PRAGMA integrity_check(1)").fetchone()
    if first != "ok":
        raise StoreUnavailable(
            f"the database file is damaged: {database}: {first}",
            help="Bring an earlier backup back: `tow restore FILE`.",
        )


def _check_place(data: Path, *, force: bool) -> None:
    """Refuse to exchange a folder in which something is, or in which somebody works."""
    if not data.exists() or (data.is_dir() and not any(data.iterdir())):
        return
    if not force:
        raise Refused(
            f"{data} is not empty", help="Say `--force` to exchange it; the old folder is kept beside it."
        )
    for lock in (data / "owners").glob("*.lock"):
        if is_locked(lock):
            raise Refused(
                f"a process drives runs in {data}",
                help="End it first: `tow ps` names it.",
            )


def _exchange(staging: Path, data: Path) -> None:
    """Put the checked folder in the place of the old one, which is kept."""
    if data.exists():
        if any(data.iterdir()):
            stamp = time.strftime("%Y%m%dT%H%M%S", time.gmtime())
            data.rename(data.with_name(f"{data.name}.before-restore-{stamp}-{secrets.token_hex(2)}"))
        else:
            data.rmdir()
    staging.rename(data)
    sync_folder(data.absolute().parent)


def _manifest_data(manifest: Manifest) -> Mapping[str, object]:
    return {
        "format": FORMAT,
        "version": manifest.version,
        "created_at": manifest.created_at,
        "towpath": manifest.towpath,
        "has_keys": manifest.has_keys,
        "files": {name: [entry.size, entry.sha256] for name, entry in manifest.files.items()},
    }


def _parse_manifest(archive: Path, member: tarfile.TarInfo, source: IO[bytes]) -> Manifest:
    if member.size > MANIFEST_BYTES_MAX:
        raise LimitExceeded(
            f"{archive}: the manifest has {member.size} bytes", limit="MANIFEST_BYTES_MAX", help=DAMAGED_HELP
        )
    try:
        data = json.loads(source.read())
        if data["format"] != FORMAT:
            raise _damaged(archive, f"its format is {data['format']}; this Towpath knows {FORMAT}")
        files = {
            str(name): FileEntry(size=int(size), sha256=str(sha))
            for name, (size, sha) in data["files"].items()
        }
        return Manifest(
            version=int(data["version"]),
            created_at=int(data["created_at"]),
            towpath=str(data["towpath"]),
            has_keys=bool(data["has_keys"]),
            files=files,
        )
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise _damaged(archive, f"its manifest cannot be read: {error}") from error


def _damaged(archive: Path, what: str) -> StoreUnavailable:
    return StoreUnavailable(f"the backup {archive} cannot be used: {what}", help=DAMAGED_HELP)


@contextmanager
def _explained(place: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise StoreUnavailable(
            f"{place}: {error.strerror or error}",
            help="Free some space there, or mend the access rights; nothing was changed.",
        ) from error
