"""Files that only grow, and rings of them that keep the end of something endless."""

from __future__ import annotations

import os
from contextlib import suppress
from typing import TYPE_CHECKING

from towpath.store.folder import FILE_MODE

if TYPE_CHECKING:
    from pathlib import Path

RING_FILES = 8
"""Into how many files a ring is cut; the oldest goes as a whole."""


class AppendFile:
    """A file that only grows; a write that fails leaves it as it was."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._descriptor = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, FILE_MODE)
        self.size = os.fstat(self._descriptor).st_size

    def append(self, parts: tuple[bytes, ...], size: int) -> None:
        """Write all parts or nothing."""
        try:
            written = os.writev(self._descriptor, parts)
            if written < size:
                _write_all(self._descriptor, b"".join(parts)[written:])
        except OSError:
            with suppress(OSError):
                os.ftruncate(self._descriptor, self.size)
            raise
        self.size += size

    def cut(self, size: int) -> None:
        """Remove what lies behind *size*."""
        if size < self.size:
            os.ftruncate(self._descriptor, size)
            self.size = size

    def close(self) -> None:
        """Close the file."""
        os.close(self._descriptor)


class Ring:
    """The last bytes of something endless, in a few files of which the oldest is removed."""

    def __init__(self, folder: Path, prefix: str, bytes_max: int) -> None:
        self._folder = folder
        self._prefix = prefix
        self._file_bytes_max = max(bytes_max // RING_FILES, 1)
        found = [(offset, path, path.stat().st_size) for offset, path in ring_files(folder, prefix)]
        self._kept = [(path, size) for _, path, size in found if size]
        self._offset = max((offset + size for offset, _, size in found), default=0)
        self._file: AppendFile | None = None

    def append(self, parts: tuple[bytes, ...], size: int) -> int:
        """Append a block; returns by how much the ring has grown."""
        before = self._bytes()
        if self._file is None or self._file.size + size > self._file_bytes_max:
            self._roll()
        if self._file is not None:
            self._file.append(parts, size)
            self._offset += size
        return self._bytes() - before

    def close(self) -> None:
        """Close the newest file."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def _roll(self) -> None:
        if self._file is not None:
            self._kept.append((self._file.path, self._file.size))
            self.close()
        self._file = AppendFile(self._folder / f"{self._prefix}-{self._offset}.log")
        while len(self._kept) >= RING_FILES:
            path, _ = self._kept.pop(0)
            path.unlink(missing_ok=True)

    def _bytes(self) -> int:
        return sum(size for _, size in self._kept) + (self._file.size if self._file else 0)


def ring_files(folder: Path, prefix: str) -> list[tuple[int, Path]]:
    """Return the files of a ring, oldest first, each with how much was printed before it."""
    names = (path for path in folder.glob(f"{prefix}-*.log"))
    return sorted((int(path.stem.rpartition("-")[2]), path) for path in names)


def _write_all(descriptor: int, data: bytes) -> None:
    while data:
        data = data[os.write(descriptor, data) :]
