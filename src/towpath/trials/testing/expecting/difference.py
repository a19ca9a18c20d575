"""One thing that is not as it was expected, and values as a report shows them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import msgspec

from towpath.core.run import Json

LIST_SHOWN_MAX: Final = 100
"""Lines of a list that are shown where it is not as expected."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """One thing that is not as it was expected."""

    what: str
    """What was looked at: `status`, `path`, `commands.build.env`."""
    expected: str
    got: str
    help: str = ""
    """What to try, where anything comes to mind."""


def plain(what: str, expected: Json, got: Json) -> Difference:
    """One value that is another one."""
    return Difference(what=what, expected=shown(expected), got=shown(got))


def maps(what: str, expected: Mapping[str, Json], got: Mapping[str, Json]) -> Iterator[Difference]:
    """One difference for each key, so that nobody has to compare long lines by eye."""
    for name in dict.fromkeys((*expected, *got)):
        wanted = as_json(expected[name]) if name in expected else "nothing"
        found = as_json(got[name]) if name in got else "nothing"
        if wanted != found:
            yield Difference(what=f"{what}.{name}", expected=wanted, got=found)


def numbered(lines: Sequence[str]) -> str:
    """Lines with their numbers, the first of them."""
    rows = [f"{number:>2}  {text}" for number, text in enumerate(lines[:LIST_SHOWN_MAX], start=1)]
    if len(lines) > LIST_SHOWN_MAX:
        rows.append(f"and {len(lines) - LIST_SHOWN_MAX} more")
    return "\n".join(rows) or "nobody is told anything"


def shown(value: Json) -> str:
    """A value as a report shows it."""
    if value is None:
        return "nothing"
    return value if isinstance(value, str) else as_json(value)


def as_json(value: Json) -> str:
    """A value on one line, its keys in order."""
    return msgspec.json.encode(value, order="sorted", enc_hook=_plain_value).decode()


def _plain_value(value: object) -> object:
    return dict(value) if isinstance(value, Mapping) else str(value)
