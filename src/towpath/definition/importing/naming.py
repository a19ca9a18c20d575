"""Ids made from words that people wrote: readable, unique in the file, and the same at the next import."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from typing import Final

from towpath.definition import model

WORDS_CHARS_MAX: Final = 40
"""An id made from a sentence is cut at a word before this length."""
_LETTERS = str.maketrans({"ß": "ss", "æ": "ae", "ø": "o", "đ": "d", "ł": "l", "œ": "oe", "þ": "th", "ð": "d"})


def slug(text: str, *, otherwise: str = "step") -> str:
    """An id that is close to *text*; where no letter can be kept, *otherwise* and a mark of the text."""
    plain = unicodedata.normalize("NFKD", text.lower().translate(_LETTERS))
    plain = "".join(one for one in plain if not unicodedata.combining(one))
    words = re.sub(r"[^a-z0-9]+", "_", re.sub(r"['’`]", "", plain)).strip("_")
    if not words:
        return f"{otherwise}_{hashlib.sha256(text.encode()).hexdigest()[:6]}"
    if not words[0].isalpha():
        words = f"{otherwise}_{words}"
    return _cut(words, WORDS_CHARS_MAX)


def is_id(text: str) -> bool:
    """Whether a text can be an id as it is."""
    return bool(re.fullmatch(model.ID_PATTERN, text)) and len(text) <= model.ID_CHARS_MAX


def _cut(words: str, length: int) -> str:
    if len(words) <= length:
        return words
    short = words[:length]
    if words[length] != "_" and "_" in short[length // 2 :]:
        short = short[: short.rindex("_")]
    return short.strip("_")


_KINDS: Final = (
    ("incident", r"incident|outage|failover|fail over|disaster|emergency|recover|on.?call|degraded"),
    ("deployment", r"releas|deploy|roll.?out|go.?live|launch"),
    ("backup", r"backup|restore|snapshot"),
    ("provisioning", r"provision|onboard|set ?up|install|new (?:host|server|account)|migrat"),
    ("maintenance", r"maintenance|upgrad|patch|rotat|renew|restart|reboot|clean"),
    ("request", r"request|access|offboard"),
)
"""Words in a title that say what kind of workflow it is."""


def kind_of(title: str) -> str:
    """What kind of workflow a title speaks of."""
    found = (kind for kind, words in _KINDS if re.search(rf"\b(?:{words})", title, re.IGNORECASE))
    return next(found, "task")


class Ids:
    """The ids of one file; asking for one takes it."""

    def __init__(self, *, shared: frozenset[str] = frozenset()) -> None:
        self._taken: set[str] = set()
        self._shared = shared
        # Words that stand at several places: all of these get the name of where they stand, so that adding
        # one more leaves the others as they are.

    def take(self, word: str, *, within: str = "") -> str:
        """An id close to *word*; where the word stands at several places, *within* names this one."""
        candidate = word
        if within and (word in self._shared or word in self._taken):
            candidate = _cut(f"{within}_{word}", model.ID_CHARS_MAX)
        found, count = candidate, 1
        while found in self._taken:
            count += 1
            mark = f"_{count}"
            found = _cut(candidate, model.ID_CHARS_MAX - len(mark)) + mark
        self._taken.add(found)
        return found
