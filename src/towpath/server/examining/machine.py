"""The machine: Python, SQLite, the clock, open files, programs."""

from __future__ import annotations

import ctypes
import platform
import resource
import shutil
import sqlite3
import sys
from collections.abc import Iterable, Iterator
from typing import Final

from towpath.server.examining.finding import Finding, bad, good, odd
from towpath.store.connections import SQLITE_VERSION_MIN

PYTHON_MIN: Final = (3, 11)
FILES_LOW: Final = 4_096
"""With fewer open files allowed, a thousand connections are too many."""
NEEDED: Final = {
    "bash": "steps are run by it",
    "git": "it says who edited a workflow, and watches repositories",
}
_TIMEX_BYTES: Final = 512
_TIME_ERROR: Final = 5


def examine(programs: Iterable[tuple[str, str]] = ()) -> Iterator[Finding]:
    """The machine, and the programs that workflows name, each with who names it."""
    yield _python()
    yield _sqlite()
    yield _clock()
    yield _files()
    for name, why in NEEDED.items():
        yield _program(name, why)
    for name, who in programs:
        yield _program(name, f"{who} uses it")


def _python() -> Finding:
    version = platform.python_version()
    if sys.version_info < PYTHON_MIN:
        return bad("Python", f"{version} is too old", do="use Python 3.11 or newer")
    return good("Python", version)


def _sqlite() -> Finding:
    if sqlite3.sqlite_version_info < SQLITE_VERSION_MIN:
        least = ".".join(map(str, SQLITE_VERSION_MIN))
        return bad(
            "SQLite", f"{sqlite3.sqlite_version} is too old", do=f"use a Python with SQLite {least} or newer"
        )
    return good("SQLite", sqlite3.sqlite_version)


def _clock() -> Finding:
    """Whether somebody keeps the clock right, as the kernel knows it."""
    try:
        state = ctypes.CDLL(None).adjtimex(ctypes.create_string_buffer(_TIMEX_BYTES))
    except (OSError, AttributeError):
        state = -1
    if state < 0:
        return odd(
            "clock", "the kernel does not say whether it is kept right", do="see that NTP runs on the machine"
        )
    if state == _TIME_ERROR:
        return odd(
            "clock",
            "nothing keeps it right; schedules and signed deliveries go by it",
            do="start systemd-timesyncd, chrony or ntpd: timedatectl set-ntp true",
        )
    return good("clock", "it is kept right")


def _files() -> Finding:
    allowed, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if allowed != resource.RLIM_INFINITY and allowed < FILES_LOW:
        return odd(
            "open files",
            f"a process may have {allowed:,}",
            do=f"LimitNOFILE={FILES_LOW} in the unit, or ulimit -n {FILES_LOW}",
        )
    return good(
        "open files", "unlimited" if allowed == resource.RLIM_INFINITY else f"{allowed:,} are allowed"
    )


def _program(name: str, why: str) -> Finding:
    found = shutil.which(name)
    if found is None:
        return bad(name, f"it is not installed; {why}", do=f"install {name}, or put it on the PATH")
    return good(name, found)
