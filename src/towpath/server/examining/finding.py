"""What one look gave."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

State = Literal["good", "odd", "bad"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that was looked at."""

    about: str
    """What was looked at, in a word or two."""
    state: State
    """`odd`: it works, and somebody should know; `bad`: something does not work, or is not safe."""
    says: str
    help: str = ""
    """What to do about it."""

    def as_json(self) -> dict[str, Any]:
        """For programs."""
        return asdict(self)


def good(about: str, says: str) -> Finding:
    """It is as it should be."""
    return Finding(about=about, state="good", says=says)


def odd(about: str, says: str, *, do: str) -> Finding:
    """It works, and somebody should know."""
    return Finding(about=about, state="odd", says=says, help=do)


def bad(about: str, says: str, *, do: str) -> Finding:
    """It does not work, or is not safe."""
    return Finding(about=about, state="bad", says=says, help=do)
