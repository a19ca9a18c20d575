"""towpath.yaml as it is now, for processes that live for weeks: people come and go, and freezes are declared, while questions wait.

The file is looked at whenever somebody wants to know what it says, and read again when it has changed. While it has errors, or is gone,
what it said before holds: a slip of the pen neither lets somebody in nor keeps everybody out.
"""

from __future__ import annotations

import logging
from pathlib import Path

from towpath.definition import loader
from towpath.definition.project import ProjectFile
from towpath.definition.projects import PROJECT_FILE
from towpath.errors import TowpathError

_LOG = logging.getLogger("towpath.people")
Stamp = tuple[int, int, int]
"""By which a change is noticed: when it was written, how long it is, and which file it is."""


class LatestFile:
    """What a project's file says; call it to know."""

    def __init__(self, folder: Path, file: ProjectFile) -> None:
        """Begins with what was read from *folder* just now."""
        self._folder = folder
        self._path = folder / PROJECT_FILE
        self._stamp = self._look()
        self._file = file

    def __call__(self) -> ProjectFile:
        """The file as it is, or as it last was without errors; the same object as long as it stays the same."""
        stamp = self._look()
        if stamp not in (self._stamp, None):
            self._stamp = stamp
            self._read()
        return self._file

    def _look(self) -> Stamp | None:
        try:
            found = self._path.stat()
        except OSError:
            return None
        return found.st_mtime_ns, found.st_size, found.st_ino

    def _read(self) -> None:
        try:
            self._file = loader.load_project(self._folder).file
        except (TowpathError, OSError) as error:
            _LOG.warning("people.project_not_read: what it said before holds: %s", error)
