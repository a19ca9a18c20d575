"""In which groups and rotas somebody stands; who has which turn is remembered for a moment, for pages ask with every part that they show.

A project's file that changes counts at once, for its directory is another one then. A shift that begins counts within STANDING_SECONDS.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from towpath.core.run import Micros
    from towpath.people.directory import Directory, Duties

STANDING_SECONDS: Final = 10.0
_MICROS: Final = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class _Seen:
    """Who had which turn when it was looked."""

    directory: Directory
    at: Micros
    duties: Duties


class Standings:
    """Asks the directory, and remembers who has which turn; may be used by threads, of which each sees one whole answer."""

    def __init__(self) -> None:
        self._seen: _Seen | None = None

    def principals_of(
        self, directory: Directory, name: str, at: Micros, groups: Iterable[str]
    ) -> frozenset[str]:
        """All whom a grant may name when it means somebody."""
        seen = self._seen
        if (
            seen is None
            or seen.directory is not directory
            or not 0 <= at - seen.at < STANDING_SECONDS * _MICROS
        ):
            seen = self._seen = _Seen(directory=directory, at=at, duties=directory.duties(at))
        return directory.principals_of(name, at, groups=groups, duties=seen.duties)
