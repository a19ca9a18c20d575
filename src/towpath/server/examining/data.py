"""The data folder: whose it is, who else may read it, where it lies, how much room there is, and whether it opens."""

from __future__ import annotations

import os
import shutil
import stat
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Final

from towpath.errors import TowpathError
from towpath.observe import words
from towpath.server.examining.finding import Finding, bad, good, odd
from towpath.store.contract import Life

if TYPE_CHECKING:
    from towpath.app import App

FREE_BYTES_LOW: Final = 512 * 1024 * 1024
FREE_BYTES_LEAST: Final = 64 * 1024 * 1024
REMOTE: Final = frozenset({"nfs", "nfs4", "cifs", "smb3", "9p", "fuse.sshfs", "glusterfs", "ceph", "afs"})
"""File systems on which locks, or what is synced, may not be what they seem."""
PASSING: Final = frozenset({"tmpfs", "ramfs"})
OTHERS: Final = stat.S_IRWXG | stat.S_IRWXO
LISTED_MAX: Final = 3


def examine(app: App) -> Iterator[Finding]:
    """Everything about the data folder."""
    root = app.folder.root
    if not root.exists():
        parent = next(one for one in root.parents if one.exists())
        if not os.access(parent, os.W_OK):
            yield bad(
                "data folder",
                f"{root} cannot be made",
                do=f"make {root} for this user, or name another one with --data",
            )
        else:
            yield good("data folder", f"{root} is made at the first start")
        yield from _disk(parent)
        return
    yield _access(root)
    yield from _disk(root)
    yield _permissions(app)
    yield from _store(app)


def _access(root: Path) -> Finding:
    if not os.access(root, os.R_OK | os.W_OK | os.X_OK):
        return bad(
            "data folder", f"this user may not write {root}", do=f"run tow as the user to whom {root} belongs"
        )
    if root.stat().st_uid != os.getuid():
        return odd(
            "data folder",
            f"{root} belongs to another user",
            do="run tow as that user: two users spoil each other's files",
        )
    return good("data folder", str(root))


def _disk(place: Path) -> Iterator[Finding]:
    kind = file_system_of(place)
    if kind in REMOTE:
        yield bad(
            "file system", f"{place} is on {kind}: two machines could believe that each has it alone",
            do="put the data folder on a disk of this machine (--data)",
        )  # fmt: skip
    elif kind in PASSING:
        yield odd(
            "file system",
            f"{place} is on {kind}: it is gone when the machine restarts",
            do="put the data folder on a disk (--data)",
        )
    else:
        yield good("file system", kind or "unknown")
    usage = shutil.disk_usage(place)
    left = f"{words.size(usage.free)} of {words.size(usage.total)} are free"
    if usage.free < FREE_BYTES_LEAST:
        yield bad("disk space", left, do="free some: tow gc removes old runs; a full disk stops the server")
    elif usage.free < FREE_BYTES_LOW:
        yield odd("disk space", left, do="free some: tow gc removes old runs")
    else:
        yield good("disk space", left)


def file_system_of(place: Path, mounts: str | None = None) -> str:
    """The kind of file system that a place lies on; empty where nobody can tell."""
    try:
        table = (
            Path("/proc/self/mounts").read_text(encoding="utf-8", errors="replace")
            if mounts is None
            else mounts
        )
    except OSError:
        return ""
    found = ("", "")
    where = f"{os.path.realpath(place)}/"
    for row in table.splitlines():
        _, point, kind, *_ = row.split(" ")
        point = point.replace("\\040", " ")
        if where.startswith(f"{point.rstrip('/')}/") and len(point) >= len(found[0]):
            found = (point, kind)
    return found[1]


def _permissions(app: App) -> Finding:
    """Whether nobody else may read keys, secrets and the journal."""
    folder = app.folder
    files = [
        folder.root,
        folder.database,
        folder.root / "secrets.json",
        folder.keys,
        *sorted(folder.keys.glob("*")),
    ]
    open_ones = [file for file in files if file.exists() and file.stat().st_mode & OTHERS]
    if open_ones:
        names = " ".join(str(file) for file in open_ones[:LISTED_MAX])
        return bad("permissions", f"others may read {names}", do=f"chmod go-rwx {names}")
    return good("permissions", "keys, secrets and journal are this user's alone")


def _store(app: App) -> Iterator[Finding]:
    if not app.folder.database.exists():
        yield good("database", "it is made at the first start")
        return
    began = time.perf_counter()
    try:
        counts = app.reader.counts()
        newest = app.reader.runs()[:1]
        owners = app.store.owners.owners()
    except TowpathError as error:
        yield bad("database", error.message, do=error.help or "tow restore brings back a backup")
        return
    seconds = time.perf_counter() - began
    yield good("database", f"{words.counted(sum(counts.values()), 'run')}, read in {seconds * 1000:.0f} ms")
    if newest and newest[0].accepted_at > app.now():
        yield odd(
            "clock",
            f"run {newest[0].number} was accepted in the future",
            do="the clock went back: see that NTP runs",
        )
    gone = [owner for owner in owners if owner.life is not Life.ALIVE]
    if gone:
        yield odd(
            "stranded runs", f"{words.counted(len(gone), 'process')} left open runs behind",
            do="tow up takes them over by itself; without a server: tow resume",
        )  # fmt: skip
