"""One server for each data folder: proven by a file lock, told by what stands in the file.

The kernel lets go of the lock when its process ends, however it ends, so a dead server holds nobody up. Commands such as `tow run` work
beside a server; only a second one would look at the same schedules.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import weakref
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from towpath.core.run import Micros
from towpath.errors import Refused, StoreUnavailable
from towpath.store.folder import FILE_MODE, DataFolder

LOCK_NAME: Final = "server.lock"
_TEXT_BYTES_MAX: Final = 4_096


@dataclass(frozen=True, slots=True, kw_only=True)
class Holder:
    """The server of a data folder."""

    pid: int
    address: str
    """Where it is reached."""
    started_at: Micros


class Held:
    """The lock of this process."""

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor
        _HELD.add(self)

    def tell(self, address: str, *, at: Micros) -> None:
        """Writes down who holds it and where it is reached, for whoever comes second."""
        text = json.dumps(asdict(Holder(pid=os.getpid(), address=address, started_at=at))).encode()
        os.ftruncate(self.descriptor, 0)
        os.pwrite(self.descriptor, text, 0)

    def release(self) -> None:
        """Lets go."""
        if self.descriptor >= 0:
            os.close(self.descriptor)
            self.descriptor = -1


@contextlib.contextmanager
def only_server(folder: DataFolder) -> Iterator[Held]:
    """Holds a data folder as its only server; raises Refused, naming the one that does."""
    path = folder.root / LOCK_NAME
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, FILE_MODE)
    except OSError as error:
        raise StoreUnavailable(
            f"cannot lock {path}: {error.strerror or error}",
            help="choose a data folder that this user may write, on a disk that is not full",
        ) from error
    held = Held(descriptor)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise _taken(folder, _read(path)) from None
        yield held
    finally:
        held.release()


def holder_of(folder: DataFolder) -> Holder | None:
    """The server that holds a data folder now; None where there is none. The question disturbs nobody."""
    path = folder.root / LOCK_NAME
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return _read(path) or Holder(pid=0, address="", started_at=0)
    finally:
        os.close(descriptor)
    return None


def _taken(folder: DataFolder, holder: Holder | None) -> Refused:
    if holder is None:
        return Refused(
            f"another server is just starting on {folder.root}", help="look again in a few seconds"
        )
    return Refused(
        f"process {holder.pid} serves {folder.root} already, at {holder.address}",
        help=f"open {holder.address}, or stop it first: kill {holder.pid}; another project needs another data folder (--data)",
    )


def _read(path: Path) -> Holder | None:
    try:
        found = json.loads(path.read_bytes()[:_TEXT_BYTES_MAX])
        return Holder(
            pid=int(found["pid"]), address=str(found["address"]), started_at=int(found["started_at"])
        )
    except (OSError, ValueError, KeyError, TypeError):
        return None  # it was locked, and nothing has been written yet


def _forget_inherited() -> None:
    for held in list(_HELD):
        held.release()


_HELD: weakref.WeakSet[Held] = weakref.WeakSet()
os.register_at_fork(after_in_child=_forget_inherited)
