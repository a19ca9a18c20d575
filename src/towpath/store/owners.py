"""Who drives which run, proven by file locks.

An owner is one process for as long as it lives. It holds an exclusive `flock` on a file of its own under
`owners/`; the kernel lets go of it when the process ends, however it ends. So "is it alive?" is a question to
the kernel, never to a clock or to a process number that somebody else may have got by now. The file is locked
before it gets its name, so nobody sees it unlocked; owner ids are never used twice; and no child
process inherits the lock, neither by `exec` nor by `fork`.

A run is claimed by comparing and setting its owner in one transaction: of several that try, one wins.
"""

from __future__ import annotations

import fcntl
import os
import secrets
import socket
import threading
import time
import weakref
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from towpath.errors import NotFound, StoreUnavailable
from towpath.store.connections import transaction
from towpath.store.contract import Life, OwnerId, OwnerRow
from towpath.store.folder import FILE_MODE
from towpath.store.queries import queries

if TYPE_CHECKING:
    from towpath.store.contract import RunNumber
    from towpath.store.desk import Desk
    from towpath.store.rows import Row

COMMAND_CHARACTERS_MAX = 500
"""How much of a command line is kept."""
UNNAMED_SECONDS_MAX = 3_600
"""A lock file that got no name within this time was left by a crash."""

_SQL = queries("owners")


class SqliteOwners:
    """Keeps `contract.Owners`."""

    def __init__(self, desk: Desk, folder: Path) -> None:
        self._desk = desk
        self._folder = folder
        self._guard = threading.Lock()
        self._held: dict[OwnerId, int] = {}
        _ALL.add(self)

    def enter(self, command: str) -> OwnerId:
        """Become an owner until `leave`, or until the process ends in any way."""
        owner = OwnerId(secrets.token_hex(8))
        descriptor = self._lock(owner)
        values = (owner, os.getpid(), socket.gethostname(), command[:COMMAND_CHARACTERS_MAX], _now())
        try:
            with self._desk.connection() as connection:
                connection.execute(_SQL["enter"], values)
        except BaseException:
            self._path(owner).unlink(missing_ok=True)
            os.close(descriptor)
            raise
        with self._guard:
            self._held[owner] = descriptor
        self._clean()
        return owner

    def leave(self, owner: OwnerId) -> None:
        """Say goodbye: the lock is released and the owner's runs may be claimed."""
        with self._guard:
            descriptor = self._held.pop(owner, None)
        if descriptor is None:
            return
        try:
            with self._desk.connection() as connection:
                connection.execute(_SQL["leave"], (_now(), owner))
        finally:
            self._path(owner).unlink(missing_ok=True)
            os.close(descriptor)

    def life(self, owner: OwnerId) -> Life:
        """Tell whether the owner's process still lives."""
        if self._is_locked(owner):
            return Life.ALIVE
        with self._desk.connection() as connection:
            row = connection.execute(_SQL["owner"], (owner,)).fetchone()
        return Life.STOPPED if row and row[5] is not None else Life.DEAD

    def lock_of(self, owner: OwnerId) -> int | None:
        """Return the descriptor of our lock; whoever holds it too keeps the owner alive."""
        with self._guard:
            return self._held.get(owner)

    def owners(self) -> tuple[OwnerRow, ...]:
        """List the owners that live or still own an open run."""
        with self._desk.connection() as connection:
            known = connection.execute(_SQL["owners"]).fetchall()
            busy = {
                row[0] for row in known if connection.execute(_SQL["owns_open_run"], (row[0],)).fetchone()
            }
        listed = [(row, self._life_of(row)) for row in known]
        return tuple(_owner_row(row, life) for row, life in listed if life is Life.ALIVE or row[0] in busy)

    def claim(self, run: RunNumber, owner: OwnerId) -> bool:
        """Take a run over from an owner that is gone, or from nobody; of several who try, one gets True."""
        with self._desk.connection() as connection:
            found = connection.execute(_SQL["owner_of"], (run,)).fetchone()
        if not found:
            raise NotFound(f"no run {run}", help="List the runs with `tow ps --all`.")
        previous: OwnerId | None = found[0]
        if previous == owner:
            return True
        if previous is not None and self._is_locked(previous):
            return False
        with self._desk.connection() as connection, transaction(connection):
            return connection.execute(_SQL["claim"], (owner, run, previous)).rowcount == 1

    def close(self) -> None:
        """Leave for every owner that was entered here."""
        for owner in tuple(self._held):
            self.leave(owner)

    def forget_inherited(self) -> None:
        """Let go, in a forked child, of the locks that belong to the parent."""
        for descriptor in self._held.values():
            os.close(descriptor)
        self._held.clear()

    def _life_of(self, row: Row) -> Life:
        if self._is_locked(row[0]):
            return Life.ALIVE
        return Life.DEAD if row[5] is None else Life.STOPPED

    def _path(self, owner: OwnerId) -> Path:
        return self._folder / f"{owner}.lock"

    def _lock(self, owner: OwnerId) -> int:
        """Make a lock file that is locked from the moment on when it has its name."""
        unnamed = self._folder / f"{owner}.new"
        try:
            descriptor = os.open(unnamed, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, FILE_MODE)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                os.write(descriptor, f"{os.getpid()}\n".encode())
                unnamed.rename(self._path(owner))
            except BaseException:
                os.close(descriptor)
                unnamed.unlink(missing_ok=True)
                raise
        except OSError as error:
            raise StoreUnavailable(
                f"cannot lock {self._path(owner)}: {error.strerror or error}",
                help="Put the data folder on a local disk that is not full and that this user may write.",
            ) from error
        return descriptor

    def _is_locked(self, owner: OwnerId) -> bool:
        return owner in self._held or is_locked(self._path(owner))

    def _clean(self) -> None:
        """Remove the lock files that the dead have left; whose lock can be had belongs to nobody."""
        for path in self._folder.glob("*.lock"):
            if path.stem not in self._held and not is_locked(path):
                path.unlink(missing_ok=True)
        for path in self._folder.glob("*.new"):
            with suppress(OSError):
                if time.time() - path.stat().st_mtime > UNNAMED_SECONDS_MAX:
                    path.unlink()


def is_locked(path: Path) -> bool:
    """Ask the kernel whether somebody holds the exclusive lock; the question disturbs nobody."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    except OSError as error:
        raise StoreUnavailable(
            f"cannot tell whether an owner lives: {path}: {error.strerror or error}",
            help="Run `tow` as the user to whom the data folder belongs.",
        ) from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def _forget_inherited() -> None:
    for owners in _ALL:
        owners.forget_inherited()


_ALL: weakref.WeakSet[SqliteOwners] = weakref.WeakSet()
os.register_at_fork(after_in_child=_forget_inherited)


def _owner_row(row: Row, life: Life) -> OwnerRow:
    return OwnerRow(id=row[0], pid=row[1], host=row[2], command=row[3], started_at=row[4], life=life)


def _now() -> int:
    return time.time_ns() // 1_000
