"""Where a function of a project is found."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

__all__ = ["FunctionPlace"]


@dataclass(frozen=True, slots=True, kw_only=True)
class FunctionPlace:
    """Where a function is found: in a file of the project, or in a module."""

    project: Path
    function: str
    file: Path | None = None
    module: str = ""
    python: Path | None = None
    """The interpreter; None for the one that runs Towpath."""

    @property
    def shown(self) -> str:
        """The function for people."""
        home = self.module or (self.file.name if self.file else "")
        return f"{home}:{self.function}"
