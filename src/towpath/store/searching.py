"""Searching the list of runs: every word has to stand somewhere in what the list shows of a run.

One pass over the rows, the newest first, until a page is full. A hundred thousand runs take some thirty milliseconds where nothing is
found, so that no index has to be kept with every run that starts and ends. Capital letters count as small ones, within ASCII.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from towpath.errors import LimitExceeded
from towpath.store import rows

if TYPE_CHECKING:
    from towpath.store.contract import RunRow
    from towpath.store.rows import Row

SEARCH_CHARS_MAX: Final = 200
SEARCH_WORDS_MAX: Final = 8
_COLUMNS: Final = ("workflow", "environment", "message", "waiting_for", "started_by", "labels")
_ESCAPED: Final = str.maketrans({"%": r"\%", "_": r"\_", "\\": r"\\"})
_SMALL: Final = {letter: letter + 32 for letter in range(ord("A"), ord("Z") + 1)}


def words_of(text: str) -> tuple[str, ...]:
    """The words of a search; raises LimitExceeded where it is too long."""
    words = tuple(dict.fromkeys(text.translate(_SMALL).split()))
    if len(text) > SEARCH_CHARS_MAX or len(words) > SEARCH_WORDS_MAX:
        raise LimitExceeded(
            f"a search has at most {SEARCH_WORDS_MAX} words and {SEARCH_CHARS_MAX} characters",
            limit="SEARCH_WORDS_MAX" if len(words) > SEARCH_WORDS_MAX else "SEARCH_CHARS_MAX",
            help="Search for fewer words; `--workflow`, `--environment` and `--label` filter besides.",
        )
    return words


def conditions(text: str) -> list[tuple[str, Row]]:
    """What SQLite is asked, for each word a condition with its values."""
    return [_condition(word) for word in words_of(text)]


def is_found(row: RunRow, text: str) -> bool:
    """Whether a search finds a run."""
    return all(_stands_in(row, word) for word in words_of(text))


def _condition(word: str) -> tuple[str, Row]:
    inside = [f"{column} LIKE ? ESCAPE '\\'" for column in _COLUMNS]
    pattern = f"%{word.translate(_ESCAPED)}%"
    sql = " OR ".join((*inside, "id = ?"))
    values: Row = (*(pattern for _ in inside), word)
    number = _number(word)
    return (f"({sql})", values) if number is None else (f"({sql} OR number = ?)", (*values, number))


def _stands_in(row: RunRow, word: str) -> bool:
    shown = (
        row.workflow,
        row.environment,
        row.summary.message,
        row.summary.waiting_for,
        row.started_by,
        rows.labels_text(row.labels),
    )
    return (
        word == row.id
        or row.number == _number(word)
        or any(word in (text or "").translate(_SMALL) for text in shown)
    )


def _number(word: str) -> int | None:
    """The number of a run, as people write it: `12`, `#12`."""
    digits = word.removeprefix("#")
    is_number = digits.isascii() and digits.isdecimal() and len(digits) < len(str(2**63))
    return int(digits) if is_number else None
