"""What differs between two contents of a file, as people read it; bounded."""

from __future__ import annotations

import difflib
import stat
from pathlib import Path
from typing import Final

__all__ = ["between", "between_files", "may_be_shown", "start_of"]

DIFF_LINES_MAX: Final = 200
DIFF_BYTES_MAX: Final = 256 * 1024
HIDDEN: Final = "the content changes (not shown, for not everybody may read the file)"


def between(before: bytes, after: bytes) -> str:
    """The lines that differ; in words, where there are too many or none."""
    if len(before) > DIFF_BYTES_MAX or len(after) > DIFF_BYTES_MAX:
        return f"the content becomes {len(after)} bytes (too long to compare)"
    try:
        old, new = before.decode().splitlines(), after.decode().splitlines()
    except UnicodeDecodeError:
        return f"the content becomes {len(after)} bytes (not text)"
    lines = list(difflib.unified_diff(old, new, lineterm="", n=2))[2:]
    more = [f"… and {len(lines) - DIFF_LINES_MAX} lines more"] if len(lines) > DIFF_LINES_MAX else []
    return "\n".join(lines[:DIFF_LINES_MAX] + more)


def between_files(before: Path, after: Path) -> str:
    """The same for two files; where one of them is not for everybody, only that they differ."""
    if not (may_be_shown(before) and may_be_shown(after)):
        return HIDDEN
    if max(before.stat().st_size, after.stat().st_size) > DIFF_BYTES_MAX:
        return f"the content becomes {after.stat().st_size} bytes (too long to compare)"
    return between(before.read_bytes(), after.read_bytes())


def may_be_shown(path: Path) -> bool:
    """Whether everybody on the machine may read a file, so that a plan may hold it."""
    return bool(path.stat().st_mode & stat.S_IROTH)


def start_of(path: Path) -> bytes:
    """As much of a file as is compared, and one byte more."""
    with path.open("rb") as file:
        return file.read(DIFF_BYTES_MAX + 1)
