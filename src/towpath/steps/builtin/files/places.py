"""What all file actions share: where a path is, what a system error means, how a file appears whole."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, BinaryIO, Final, TypeAlias

from towpath.steps.builtin.blocking import PIECE_BYTES, Stop
from towpath.steps.contract import ActionFailed, ErrorKind, StepContext
from towpath.steps.shapes import Range

__all__ = [
    "Kind",
    "Mode",
    "appearing",
    "at",
    "check_folder",
    "copy_bytes",
    "digest_of",
    "folder_for",
    "kind_of",
    "meaning",
    "mode_number",
    "sync_folder",
]

Mode: TypeAlias = Annotated[str, "Permissions as four octal digits, in quotes", Range(pattern=r"^0[0-7]{3}$")]
NEW_FILE_MODE: Final = 0o644
NEW_FOLDER_MODE: Final = 0o755

_KINDS: dict[int, ErrorKind] = {
    errno.EACCES: "denied",
    errno.EPERM: "denied",
    errno.EROFS: "denied",
    errno.EEXIST: "conflict",
    errno.ENOTEMPTY: "conflict",
    errno.ETXTBSY: "conflict",
    errno.EBUSY: "conflict",
    errno.ENOENT: "invalid",
    errno.EISDIR: "invalid",
    errno.ENOTDIR: "invalid",
    errno.ELOOP: "invalid",
    errno.ENAMETOOLONG: "invalid",
    errno.EINVAL: "invalid",
}


def at(context: StepContext, path: Path) -> Path:
    """Where a path of the author's is: relative ones start in the workspace."""
    if str(path) in ("", "."):
        return context.workspace
    return context.workspace / path


@contextlib.contextmanager
def meaning(what: str) -> Iterator[None]:
    """Turns an error of the system into the step's failure: *what* could not be done, and why."""
    try:
        yield
    except OSError as error:
        kind = _KINDS.get(error.errno or 0, "exit")
        raise ActionFailed(f"{what}: {_said(error)}.", kind=kind) from None


def _said(error: OSError) -> str:
    where = f" ({os.fsdecode(error.filename)})" if error.filename else ""
    return f"{error.strerror or error}{where}"


class Kind:
    """What stands at a path: file, folder, link, other, or nothing."""

    FILE = "file"
    FOLDER = "folder"
    LINK = "link"
    OTHER = "other"
    NOTHING = "nothing"


def kind_of(path: Path) -> str:
    """What stands at a path, without following a link."""
    try:
        mode = path.lstat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        return Kind.NOTHING
    if stat.S_ISREG(mode):
        return Kind.FILE
    if stat.S_ISDIR(mode):
        return Kind.FOLDER
    return Kind.LINK if stat.S_ISLNK(mode) else Kind.OTHER


def mode_number(mode: str | None) -> int | None:
    """The number that four octal digits say."""
    return None if mode is None else int(mode, 8)


def folder_for(path: Path, *, make_folders: bool) -> None:
    """Sees to it that the folder of a path is there."""
    if make_folders:
        path.parent.mkdir(mode=NEW_FOLDER_MODE, parents=True, exist_ok=True)
    elif not path.parent.is_dir():
        raise ActionFailed(
            f"There is no folder {path.parent}.",
            kind="invalid",
            help="Say `make_folders: true` to have it made.",
        )


def check_folder(path: Path, *, make_folders: bool) -> None:
    """The same for a rehearsal: raises where the folder would be missing, and makes none."""
    if not make_folders:
        folder_for(path, make_folders=False)


@contextlib.contextmanager
def appearing(path: Path, *, mode: int | None = None) -> Iterator[BinaryIO]:
    """A new file that takes the place of *path* at once and whole, or not at all.

    Without *mode* it keeps the mode of the file that it replaces. Owner and group stay where that is allowed.
    """
    handle, name = tempfile.mkstemp(prefix=f".{path.name[:100]}.", suffix=".part", dir=path.parent)
    part = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            yield file
            file.flush()
            _take_over(path, file.fileno(), mode)
            os.fsync(file.fileno())
        part.replace(path)
        sync_folder(path.parent)
    finally:
        part.unlink(missing_ok=True)


def _take_over(path: Path, handle: int, mode: int | None) -> None:
    try:
        before = path.stat()
    except OSError:
        os.fchmod(handle, NEW_FILE_MODE if mode is None else mode)
        return
    with contextlib.suppress(PermissionError):
        os.fchown(handle, before.st_uid, before.st_gid)
    os.fchmod(handle, stat.S_IMODE(before.st_mode) if mode is None else mode)


def sync_folder(folder: Path) -> None:
    """Makes a rename in a folder last."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno != errno.EINVAL:  # some file systems have nothing to sync in a folder
            raise
    finally:
        os.close(handle)


def copy_bytes(source: BinaryIO, target: BinaryIO, stop: Stop, *, bytes_max: int | None = None) -> int:
    """Copies what is left of *source*, and says how much it was."""
    total = 0
    while piece := source.read(PIECE_BYTES):
        stop.check()
        total += len(piece)
        if bytes_max is not None and total > bytes_max:
            raise ActionFailed(f"It is larger than {bytes_max} bytes.", kind="invalid")
        target.write(piece)
    return total


def digest_of(path: Path, stop: Stop, *, algorithm: str = "sha256") -> tuple[str, int]:
    """The digest of a file in hexadecimal digits, and its size."""
    machine = hashlib.new(algorithm)
    size = 0
    with path.open("rb") as file:
        while piece := file.read(PIECE_BYTES):
            stop.check()
            size += len(piece)
            machine.update(piece)
    return machine.hexdigest(), size
