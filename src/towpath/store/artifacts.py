"""Files that steps keep with their runs, stored once for each content.

The name of a stored file is the sha256 of its bytes, so the same file kept by a hundred runs lies here once,
and reading it again proves that it is still what was kept. A file gets its name only when it is whole and on
the disk: written beside, synced, renamed, and the folder synced. Which run kept what under which name stands
in the database (`ArtifactRow`).
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import secrets
import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO

from towpath.errors import LimitExceeded, NotFound, StoreUnavailable
from towpath.store.connections import RESTORE_HELP
from towpath.store.folder import FILE_MODE, FOLDER_MODE, sync_folder

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ARTIFACT_BYTES_MAX = 2 * 1024 * 1024 * 1024
"""One kept file."""
PIECE_BYTES = 1024 * 1024
"""How much of a file is in memory at once."""
UNREFERENCED_SECONDS_MIN = 24 * 3600
"""A file that no run refers to is left alone for so long: its run may be about to note it."""
UNFINISHED_SECONDS_MAX = 24 * 3600
"""A file without a name that is older was left by a crash."""

_DIGEST = re.compile(r"[0-9a-f]{64}")
_UNFINISHED = "unfinished-"


@dataclass(frozen=True, slots=True, kw_only=True)
class Artifact:
    """A stored file."""

    digest: str
    size: int


class Artifacts:
    """The kept files of a data folder; any number of processes may use it at once."""

    def __init__(self, folder: Path, *, bytes_max: int = ARTIFACT_BYTES_MAX) -> None:
        self._folder = folder
        self._bytes_max = bytes_max

    def keep(self, source: BinaryIO) -> Artifact:
        """Store what *source* holds; it is durable when this returns. The same bytes are stored once."""
        unfinished = self._folder / f"{_UNFINISHED}{secrets.token_hex(8)}"
        with _explained(self._folder):
            try:
                artifact = self._copy(source, unfinished)
                self._name(unfinished, artifact)
            finally:
                unfinished.unlink(missing_ok=True)
        return artifact

    def keep_file(self, path: Path) -> Artifact:
        """Store a file."""
        try:
            source = path.open("rb")
        except OSError as error:
            raise NotFound(
                f"cannot read {path}: {error.strerror}", help="Name a file that the step has written."
            ) from error
        with source:
            return self.keep(source)

    def read(self, digest: str) -> Iterator[bytes]:
        """Yield the bytes of a stored file; raises at the end when they are not what was kept."""
        path = self.path(digest)
        seen = hashlib.sha256()
        with _explained(self._folder), path.open("rb") as file:
            while piece := file.read(PIECE_BYTES):
                seen.update(piece)
                yield piece
        if seen.hexdigest() != digest:
            raise StoreUnavailable(f"the stored file {path} is damaged", help=RESTORE_HELP)

    def copy_to(self, digest: str, target: Path) -> None:
        """Write a stored file to *target*, whole and verified, or not at all."""
        unfinished = target.with_name(f".{target.name}.{secrets.token_hex(4)}")
        try:
            with unfinished.open("xb") as file:
                for piece in self.read(digest):
                    file.write(piece)
            unfinished.replace(target)
        finally:
            unfinished.unlink(missing_ok=True)

    def has(self, digest: str) -> bool:
        """Tell whether a file with this content is stored."""
        return self._place(digest).exists()

    def path(self, digest: str) -> Path:
        """Return where a stored file lies; raises NotFound."""
        place = self._place(digest)
        if not place.exists():
            raise NotFound(
                f"the stored file {digest} is not there", help="`tow gc` may have removed it with its run."
            )
        return place

    def stored(self) -> Iterator[Artifact]:
        """List what is stored."""
        for folder in sorted(self._folder.glob("??")):
            for path in sorted(folder.iterdir()):
                if _DIGEST.fullmatch(path.name):
                    yield Artifact(digest=path.name, size=path.stat().st_size)

    def remove(self, digest: str) -> bool:
        """Remove a stored file that no run refers to; one that was kept just now is left to its run."""
        place = self._place(digest)
        with self.locked(fcntl.LOCK_EX):
            if not place.exists() or time.time() - place.stat().st_mtime < UNREFERENCED_SECONDS_MIN:
                return False
            place.unlink()
            return True

    @contextmanager
    def locked(self, operation: int = fcntl.LOCK_SH) -> Iterator[None]:
        """Keep files from being removed (LOCK_SH), or from being named and read by a backup (LOCK_EX)."""
        descriptor = os.open(self._folder / ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, FILE_MODE)
        try:
            fcntl.flock(descriptor, operation)
            yield
        finally:
            os.close(descriptor)

    def remove_unfinished(self) -> int:
        """Remove what crashes have left half written; returns how many bytes."""
        removed = 0
        for path in self._folder.glob(f"{_UNFINISHED}*"):
            status = path.stat()
            if time.time() - status.st_mtime > UNFINISHED_SECONDS_MAX:
                path.unlink(missing_ok=True)
                removed += status.st_size
        return removed

    def _place(self, digest: str) -> Path:
        if not _DIGEST.fullmatch(digest):
            raise NotFound(f"{digest!r} is not the digest of a stored file", help="It has 64 hex digits.")
        return self._folder / digest[:2] / digest

    def _copy(self, source: BinaryIO, unfinished: Path) -> Artifact:
        digest, size = hashlib.sha256(), 0
        descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, FILE_MODE)
        with os.fdopen(descriptor, "wb") as file:
            while piece := source.read(PIECE_BYTES):
                size += len(piece)
                if size > self._bytes_max:
                    raise LimitExceeded(
                        f"a kept file is larger than {self._bytes_max} bytes",
                        limit="ARTIFACT_BYTES_MAX",
                        help="Keep big files in a storage of their own and keep their address.",
                    )
                digest.update(piece)
                file.write(piece)
            file.flush()
            os.fsync(file.fileno())
        return Artifact(digest=digest.hexdigest(), size=size)

    def _name(self, unfinished: Path, artifact: Artifact) -> None:
        """Give a whole file its name, and make the name durable; a file that is there already is as good."""
        place = self._place(artifact.digest)
        if not place.parent.exists():
            place.parent.mkdir(mode=FOLDER_MODE, exist_ok=True)
            sync_folder(self._folder)
        with self.locked():
            unfinished.replace(place)
        sync_folder(place.parent)


@contextmanager
def _explained(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise StoreUnavailable(
            f"the stored files in {folder} cannot be used: {error.strerror or error}",
            help="Free some space on the disk of the data folder, or mend its access rights.",
        ) from error
