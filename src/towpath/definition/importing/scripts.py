"""Shell scripts as text: where the quotes are, so that a value can be put in as an environment variable.

A value that stood in a script as text (`<host>`, `${{ inputs.host }}`) becomes a variable. What has to be written
depends on where it stands: `"$HOST"` outside quotes, `$HOST` inside double ones, `'"$HOST"'` inside single ones.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Final

SHELLS: Final = {
    "": "bash",
    "bash": "bash",
    "sh": "bash",
    "shell": "bash",
    "console": "bash",
    "shell-session": "bash",
    "shellsession": "bash",
    "terminal": "bash",
    "zsh": "bash",
    "python": "python",
    "python3": "python",
    "py": "python",
    "powershell": "pwsh",
    "pwsh": "pwsh",
    "ps1": "pwsh",
}
"""Languages of code blocks that can be run, and the `shell` that runs them."""
PROMPT_LINE_CHARS_MAX: Final = 2_000
"""A longer line of a code block is no line of a terminal."""
_PROMPT = re.compile(r"^\s*(?:\[[^\]\n]*\]|[\w.-]+@[\w.:~/-]+)?\s*[$#%]\s+(?=\S)")
_HERE = re.compile(r"<<(-?)\s*(?:'([^'\n]+)'|\"([^\"\n]+)\"|\\?([A-Za-z_][A-Za-z0-9_]*))")


class Place(Enum):
    """What is around a character of a script."""

    BARE = "bare"
    SINGLE = "single"
    DOUBLE = "double"
    COMMENT = "comment"
    HERE = "here"
    """A here-document in which variables are read."""
    HERE_RAW = "here_raw"
    """A here-document in which nothing is read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """A stretch of a script that a variable takes the place of."""

    start: int
    end: int
    variable: str
    may_be_empty: bool = False
    """Whether nothing may come of it: as a word of its own it is left out then, as text that was put in was."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Replaced:
    """A script with variables in it."""

    text: str
    unread: tuple[Span, ...]
    """Spans that stand where the shell reads no variable: the text says the variable, and nobody puts in a value."""


def replace(script: str, spans: Sequence[Span]) -> Replaced:
    """The script with every span as a variable, quoted as its place needs it."""
    places = _places(script)
    parts: list[str] = []
    unread: list[Span] = []
    end = 0
    for span in sorted(spans, key=lambda each: each.start):
        place = places[span.start]
        if place is Place.HERE_RAW:
            unread.append(span)
        start, stop = span.start, span.end
        text = _written(span, place, script[stop : stop + 1])
        if span.may_be_empty and place is Place.BARE and _is_whole_word(script, span):
            text = f'${{{span.variable}:+"${span.variable}"}}'
        if place is Place.SINGLE and start > end and places[start - 1] is Place.BARE:
            start, text = start - 1, text.removeprefix("'")  # the quote before it would hold nothing
        if place is Place.SINGLE and script[stop : stop + 1] == "'":
            stop, text = stop + 1, text.removesuffix("'")  # and so would the one behind it
        parts += [script[end:start], text]
        end = stop
    return Replaced(text="".join(parts) + script[end:], unread=tuple(unread))


def _written(span: Span, place: Place, following: str) -> str:
    needs_braces = following.isalnum() or following in ("_", "[")
    name = f"${{{span.variable}}}" if needs_braces and following else f"${span.variable}"
    match place:
        case Place.BARE:
            return f'"{name}"'
        case Place.SINGLE:
            return f"'\"{name}\"'"
        case _:
            return name


def _is_whole_word(script: str, span: Span) -> bool:
    before, after = script[: span.start][-1:], script[span.end : span.end + 1]
    return before in ("", " ", "\t", "\n") and after in ("", " ", "\t", "\n", ";")


def begins_a_command(script: str, offset: int) -> bool:
    """Whether the word at *offset* is the name of a command."""
    before = script[:offset].rpartition("\n")[2]
    is_first = re.search(r"(?:^|[;&|(]|\bthen|\bdo|\belse)[ \t]*$", before)
    return bool(is_first) and _places(script)[offset] is Place.BARE


@functools.lru_cache(maxsize=16)
def _places(script: str) -> tuple[Place, ...]:
    """What is around every character; an approximation of the shell's own reading that knows quotes and here-documents."""
    places: list[Place] = []
    position, state = 0, Place.BARE
    waiting: list[tuple[str, bool, bool]] = []
    while position < len(script):
        character = script[position]
        if state is Place.BARE and character == "\n" and waiting:
            places.append(Place.BARE)
            position = _here_documents(script, position + 1, waiting, places)
            waiting = []
            continue
        if state is Place.BARE and (found := _here_at(script, position)) is not None:
            quoted = found[2] or found[3]
            waiting.append((quoted or found[4], bool(quoted) or "\\" in found[0], bool(found[1])))
            places.extend([state] * len(found[0]))
            position = found.end()
            continue
        width = 2 if character == "\\" and state in (Place.BARE, Place.DOUBLE) else 1
        places.extend([state] * min(width, len(script) - position))
        if width == 1:
            state = _after(state, script, position)
        position += width
    places.append(state)
    return tuple(places)


def _here_at(script: str, position: int) -> re.Match[str] | None:
    if not script.startswith("<<", position) or script.startswith("<<<", position):
        return None
    if position and script[position - 1] == "<":
        return None
    return _HERE.match(script, position)


def _after(state: Place, script: str, position: int) -> Place:  # noqa: PLR0911 - a table
    """What comes behind the character at *position*."""
    character = script[position]
    match state, character:
        case Place.BARE, "'":
            return Place.SINGLE
        case Place.BARE, '"':
            return Place.DOUBLE
        case Place.BARE, "#" if position == 0 or script[position - 1] in " \t\n;&|(":
            return Place.COMMENT
        case Place.SINGLE, "'":
            return Place.BARE
        case Place.DOUBLE, '"':
            return Place.BARE
        case Place.COMMENT, "\n":
            return Place.BARE
        case _:
            return state


def _here_documents(
    script: str, position: int, waiting: Sequence[tuple[str, bool, bool]], places: list[Place]
) -> int:
    for word, is_raw, strips_tabs in waiting:
        while position < len(script):
            end = script.find("\n", position)
            end = len(script) if end < 0 else end + 1
            line = script[position:end].rstrip("\n")
            places.extend([Place.HERE_RAW if is_raw else Place.HERE] * (end - position))
            position = end
            if (line.lstrip("\t") if strips_tabs else line) == word:
                break
    return position


def _prompt_of(line: str) -> re.Match[str] | None:
    return _PROMPT.match(line) if len(line) <= PROMPT_LINE_CHARS_MAX else None


def without_prompts(code: str) -> str:
    """The commands of a terminal's transcript: prompts go, and so does what the commands printed."""
    lines = code.splitlines()
    if not any(_prompt_of(line) and not line.lstrip().startswith("# ") for line in lines):
        return code
    kept: list[str] = []
    goes_on = False
    for line in lines:
        found = _prompt_of(line)
        if found and not (goes_on and line.lstrip().startswith("#")):
            kept.append(line[found.end() :])
        elif goes_on:
            kept.append(line.removeprefix("> "))
        else:
            continue
        goes_on = kept[-1].endswith("\\")
    return "\n".join(kept) + "\n"


_ASSIGNED = re.compile(
    r"(?:^|[\s;(&|])(?:(?:export|local|readonly|declare(?:\s+-\w+)*)\s+)?([A-Za-z_]\w*)\+?="
    r"|\bfor\s+([A-Za-z_]\w*)\s+in\b|\bread\s+(?:-\w+\s+)*([A-Za-z_]\w*)",
    re.MULTILINE,
)
_READ = re.compile(r"(?<!\\)\$(?:\{([A-Z][A-Z0-9_]+)[}:\-+?=%#/]|([A-Z][A-Z0-9_]+)\b)")
KNOWN_VARIABLES: Final = frozenset(
    (  # noqa: SIM905 - a list of words is read more easily as a text
        "PATH HOME USER LOGNAME LANG LC_ALL TZ TMPDIR PWD OLDPWD SHELL HOSTNAME UID EUID PPID RANDOM "
        "SECONDS LINENO IFS BASH BASHPID BASH_VERSION EDITOR PAGER TERM DISPLAY VIRTUAL_ENV FUNCNAME "
        "PIPESTATUS OPTARG OPTIND REPLY "
    ).split()
)
"""Variables that every shell or machine has."""


def variables_set(script: str) -> frozenset[str]:
    """The names of variables that a script gives a value."""
    return frozenset(
        name for found in _ASSIGNED.finditer(script) for name in found.groups() if name is not None
    )


def variables_read(script: str) -> tuple[str, ...]:
    """The names, in capital letters, of variables that a script reads and that are not everybody's."""
    places = _places(script)
    names = [
        found[1] or found[2]
        for found in _READ.finditer(script)
        if places[found.start()] not in (Place.SINGLE, Place.COMMENT, Place.HERE_RAW)
    ]
    return tuple(name for name in dict.fromkeys(names) if name not in KNOWN_VARIABLES)
