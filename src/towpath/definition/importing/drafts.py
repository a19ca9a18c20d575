"""Steps on their way from a runbook into a workflow, and what a sentence says about who, how long and which values."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final, Literal

from towpath.definition.importing import naming

TITLE_CHARS_MAX: Final = 120
"""A longer sentence is shortened; the whole of it goes into the instructions."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Code:
    """A block of code, or a command in a sentence."""

    line: int
    language: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Text:
    """A piece of Markdown that stays as it is."""

    line: int
    kind: Literal["prose", "code"]
    markdown: str


@dataclass(slots=True, kw_only=True)
class Draft:
    """A step, or a group of steps, before it has an id."""

    line: int
    title: str
    lead: Text | None = None
    """The text that its title is, where that is no heading and no item."""
    body: list[Text] = field(default_factory=list)
    codes: list[Code] = field(default_factory=list)
    children: list[Draft] = field(default_factory=list)
    comments: list[str] = field(default_factory=list)
    owners: list[str] = field(default_factory=list)
    takes: str | None = None

    def place_of_code(self) -> int:
        """Where in its text the first command stands; the end where there is none."""
        return next((place for place, text in enumerate(self.body) if text.kind == "code"), len(self.body))

    def first_leaf(self) -> Draft:
        """The first step in it, or itself."""
        return self.children[0].first_leaf() if self.children else self

    def last_leaf(self) -> Draft:
        """The last step in it, or itself."""
        return self.children[-1].last_leaf() if self.children else self

    def leaves(self) -> Iterator[Draft]:
        """Every step in it."""
        if not self.children:
            yield self
        for child in self.children:
            yield from child.leaves()

    def count(self) -> int:
        """Steps and groups in it, itself included."""
        return 1 + sum(child.count() for child in self.children)


OWNER_LINE_CHARS_MAX: Final = 300
"""A longer paragraph says more than who does it."""


# --- who, and how long ----------------------------------------------------------------------------------------------------

_OWNER_WORDS = r"(?:owners?|assignees?|assigned to|responsible|responsibility|done by)"
_OWNER_LINE = re.compile(rf"^[*_>\s]*{_OWNER_WORDS}[*_]*\s*:[*_]*\s*(?P<who>[^\n]+?)[*_\s.]*$", re.IGNORECASE)
_OWNER_BEHIND = re.compile(
    rf"\s*(?:[-–—|,;.]\s*)?\b{_OWNER_WORDS}\s*:\s*(?P<who>@?[\w @.,/&+-]+?)\s*\.?$", re.IGNORECASE
)
MENTION = re.compile(r"(?<![\w@/.`-])@([A-Za-z0-9](?:[\w.-]*\w)?)(?:/([A-Za-z0-9][\w.-]*))?")
_ASIDE = re.compile(r"\s*(?:\(([^()\n]{1,80})\)|\[([^\[\]\n]{1,80})\])(?!\()")
_BEHIND = re.compile(r"\s+(?:[-–—|]\s*)?((?:@[\w./-]+(?:\s*(?:,|and|&)\s*)?)+)$")


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """A sentence, and what it says besides: who does it, and how long it takes."""

    text: str
    """The sentence without what stands in brackets only to say who and how long."""
    owners: tuple[str, ...] = ()
    takes: str | None = None


def facts_of(text: str) -> Facts:
    """What a sentence such as `Tell support (@anna, 5 min)` says."""
    text = " ".join(text.split())
    owners: list[str] = []
    takes: str | None = None
    for found in reversed(list(_ASIDE.finditer(text))):
        aside = _aside(found[1] or found[2])
        if aside is not None:
            owners = [*aside.owners, *owners]
            takes = aside.takes or takes
            text = text[: found.start()] + text[found.end() :]
    if labelled := _OWNER_BEHIND.search(text):
        owners += principals(labelled["who"])
        text = text[: labelled.start()]
    bare = re.sub(r"`[^`]*`", lambda code: " " * len(code[0]), text)
    owners += [_of_mention(found) for found in MENTION.finditer(bare)]
    if (
        (behind := _BEHIND.search(bare))
        and behind.start()
        and not re.search(
            r"\b(?:to|by|with|from|ask|tell|and|or|at|for|call|page)$", bare[: behind.start()], re.IGNORECASE
        )
    ):
        text = text[: behind.start()]
    return Facts(text=text.strip(), owners=tuple(dict.fromkeys(owners)), takes=takes)


def _aside(text: str) -> Facts | None:
    """What stands in brackets, where all of it says who or how long; None otherwise."""
    owners: list[str] = []
    takes: str | None = None
    labelled = re.match(rf"\s*{_OWNER_WORDS}\s*:\s*(.+)", text, re.IGNORECASE)
    if labelled:
        return Facts(text="", owners=tuple(principals(labelled[1])))
    for part in re.split(r"[,;]", text):
        if found := _TAKES.fullmatch(part.strip()):
            takes = f"{int(found[1])}{found[2][0].lower()}" if int(found[1]) else takes
        elif re.fullmatch(r"\s*(?:@[\w./-]+\s*(?:and|&|/)?\s*)+", part):
            owners += [_of_mention(mention) for mention in MENTION.finditer(part)]
        else:
            return None
    return Facts(text="", owners=tuple(owners), takes=takes)


def owner_line(text: str) -> list[str]:
    """Who a paragraph such as `Owner: platform team` names; nobody where it says something else."""
    text = text.strip()
    found = _OWNER_LINE.match(text) if len(text) <= OWNER_LINE_CHARS_MAX else None
    return principals(found["who"]) if found else []


def principals(text: str) -> list[str]:
    """`@anna, platform team` as principals: people behind an `@`, groups otherwise."""
    found: list[str] = []
    for part in re.split(r",|;|&|\band\b|\bor\b", text):
        word = part.strip(" *_`.")
        if mention := MENTION.search(word):
            found.append(_of_mention(mention))
        elif re.fullmatch(r"(?:user|group|oncall):[A-Za-z0-9_.@-]+", word):
            found.append(word)
        elif word:
            found.append(f"group:{_group_name(word)}")
    return list(dict.fromkeys(found))


def _of_mention(found: re.Match[str]) -> str:
    return f"group:{_group_name(found[2])}" if found[2] else f"user:{found[1]}"


def _group_name(words: str) -> str:
    words = re.sub(r"^the\s+|\s+(?:team|group|squad)$", "", words.strip(), flags=re.IGNORECASE)
    return naming.slug(words, otherwise="group")


_TAKES = re.compile(
    r"(?:takes\s+|about\s+|approx\.?\s+|ca\.?\s+|est\.?\s+|~\s*|≈\s*)*"
    r"(?:\d{1,3}\s*[-–]\s*)?(\d{1,3})\s*(minutes?|mins?|m|hours?|hrs?|h|days?|d)",
    re.IGNORECASE,
)


# --- which values -------------------------------------------------------------------------------------------

_ANGLE = re.compile(r"(?<![<\\\w])<([A-Za-z](?:[\w .-]{0,40}\w)?)>(?!>)")
_HTML = frozenset(
    (  # noqa: SIM905 - a list of words is read more easily as a text
        "a abbr b big blockquote br button center cite code col dd del details dfn div dl dt em "
        "figcaption figure font footer form h1 h2 h3 h4 h5 h6 head header hr html i iframe img input ins "
        "kbd label li link main mark meta nav ol option p pre q s samp script section select small span "
        "strike strong style sub summary sup svg table tbody td textarea tfoot th thead time tr tt u ul "
        "var video "
    ).split()
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Placeholder:
    """A place in a text where a value is to be put in."""

    start: int
    end: int
    written: str
    name: str
    """The input that it becomes."""


def placeholders(text: str) -> Iterator[Placeholder]:
    """Every `<host>` in a text that is no HTML."""
    for found in _ANGLE.finditer(text):
        if found[1].lower() in _HTML:
            continue
        words = re.sub(r"^(?:your|the|my|a|an)[\s_-]+", "", found[1], flags=re.IGNORECASE)
        yield Placeholder(
            start=found.start(), end=found.end(), written=found[0], name=naming.slug(words, otherwise="value")
        )


def shortened(text: str) -> tuple[str, bool]:
    """A sentence as a title, and whether something had to be left out."""
    text = " ".join(text.split())
    if len(text) <= TITLE_CHARS_MAX:
        return text.rstrip(":").rstrip() or text, False
    sentence = re.match(r"(.{8,%d}?)(?:[.!?:;](?=\s)|\s[-–—]\s)" % TITLE_CHARS_MAX, text)  # noqa: UP031 - braces
    if sentence:
        return sentence[1].rstrip(":"), True
    return text[:TITLE_CHARS_MAX].rsplit(" ", 1)[0] + " …", True
