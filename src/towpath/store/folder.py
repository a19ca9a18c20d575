"""The data folder: what lies where, and who may read it.

Paths are made of ids that the server gave, never of names.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from towpath.errors import StoreUnavailable

if TYPE_CHECKING:
    from pathlib import Path

FOLDER_MODE = 0o700
FILE_MODE = 0o600


@dataclass(frozen=True, slots=True)
class DataFolder:
    """Where a store keeps its things."""

    root: Path

    @property
    def database(self) -> Path:
        """The journal and what is derived from it."""
        return self.root / "towpath.db"

    @property
    def logs(self) -> Path:
        """What steps printed, one folder for each run."""
        return self.root / "logs"

    @property
    def artifacts(self) -> Path:
        """Kept files, by content."""
        return self.root / "artifacts"

    @property
    def owners(self) -> Path:
        """The lock files of living processes."""
        return self.root / "owners"

    @property
    def workspaces(self) -> Path:
        """The folders that steps work in."""
        return self.root / "workspaces"

    @property
    def keys(self) -> Path:
        """Keys that never leave this machine."""
        return self.root / "keys"

    def make(self) -> None:
        """Create what is missing, for this user only."""
        try:
            is_new = not self.root.exists()
            for folder in (self.root, self.logs, self.artifacts, self.owners, self.workspaces, self.keys):
                folder.mkdir(mode=FOLDER_MODE, parents=True, exist_ok=True)
            if is_new:
                (self.root / ".gitignore").write_text("*\n", encoding="utf-8")
        except OSError as error:
            raise StoreUnavailable(
                f"cannot make the data folder {self.root}: {error.strerror or error}",
                help="Choose a folder that this user may write, on a disk that is not full.",
            ) from error


def sync_folder(folder: Path) -> None:
    """Make the names in *folder* survive a power loss."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
