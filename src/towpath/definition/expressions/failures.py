"""Why an evaluation failed, in words that say what is missing, where, and what to try."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from towpath.definition.expressions import messages
from towpath.definition.expressions.faults import Code, EvaluationError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from towpath.definition.expressions.analysis import Reference


def limit(message: str, source: str) -> EvaluationError:
    """Return the error for a limit that *source* ran into."""
    return EvaluationError(
        f"`{shortened(source)}` is stopped: {message}",
        source=source,
        help="work with less at a time",
        code=Code.LIMIT,
    )


def shortened(source: str) -> str:
    """Return *source* on one line of a terminal."""
    text = " ".join(source.split())
    return text if len(text) <= 80 else text[:79] + "…"  # noqa: PLR2004 - one line of a terminal


def failure(
    message: str,
    source: str,
    references: Iterable[Reference],
    names: Mapping[str, object],
    labels: Mapping[str, str],
) -> EvaluationError:
    """Return the error for what CEL said in *message* when it worked out *source* from *names*.

    *labels* says what to call the names that the author of *source* did not write.
    """
    missing = _first_missing(message, source, references, names, labels)
    if missing is not None:
        return missing
    text, help_text = explained(message)
    return failed(text, source, help=help_text)


def failed(reason: str, source: str, *, help: str = "") -> EvaluationError:  # noqa: A002 - the error tree's word
    """Return the error for *source* with its *reason*."""
    return EvaluationError(f"`{shortened(source)}` fails: {reason}", source=source, help=help, reason=reason)


def absent_name(message: str) -> str:
    """Return the name whose absence CEL tells of in *message*, or an empty text."""
    found = _ABSENT_NAME.search(message)
    return found.group(1) if found else ""


_ABSENT_NAME: Final = re.compile(r'No value with name "(.*?)"')
_ABSENT_KEY: Final = re.compile(r"(?:Key not found in map : |No value with name )\"(.*?)\"", re.DOTALL)


def _first_missing(
    message: str,
    source: str,
    references: Iterable[Reference],
    names: Mapping[str, object],
    labels: Mapping[str, str],
) -> EvaluationError | None:
    """Return the error for the first path that is not there and that *message* can be about."""
    found = _ABSENT_KEY.search(message)
    if found is None and "Applying SELECT" not in message:
        return None
    for reference in references:
        path = reference.path[:-1] if reference.tested else reference.path
        depth, value = _reached(path, names)
        if depth < len(path) and not reference.guarded and (found is None or found.group(1) == path[depth]):
            return _missing(source, (labels.get(path[0], path[0]), *path[1:]), depth, value)
    return None


def _reached(path: tuple[str, ...], names: Mapping[str, object]) -> tuple[int, object]:
    """Return how many words of *path* are there in *names*, and the value that the last one leads to."""
    value: Any = names
    for depth, word in enumerate(path):
        if not isinstance(value, Mapping) or word not in value:
            return depth, value
        value = value[word]
    return len(path), value


def _missing(source: str, path: tuple[str, ...], depth: int, value: object) -> EvaluationError:
    word, above = path[depth], ".".join(path[:depth])
    if depth == 0:
        message, help_text = f"there is no `{word}` here", ""
    elif isinstance(value, Mapping):
        message = f"{above} has no `{word}`"
        keys = ", ".join(sorted(str(key) for key in value)[:12])
        help_text = f"it has {keys}" if keys else "it is empty"
        help_text += "; default(a, b) chooses b where a is missing"
    else:
        message = f"{above} is {messages.with_article(messages.type_of(value))}, and has no `{word}`"
        help_text = "json(…) reads a text that is JSON" if isinstance(value, str) else ""
    return EvaluationError(message, source=source, help=help_text)


def too_large(number: object) -> str:
    """Return what is wrong with a whole *number* that CEL cannot hold."""
    return f"the number {str(number)[:40]} does not fit into 64 bits"


_EXPLANATIONS: Final[tuple[tuple[str, Callable[[str], str], str], ...]] = (
    (
        "Key not found in map",
        lambda text: f"no such key: {text.partition(': ')[2]}",
        "default(a, b) chooses b where a is missing",
    ),
    (
        "Index error: index=",
        lambda text: (
            "the list has no item " + text.partition("index=")[2].replace(" size=", "; its size is ")
        ),
        "items are counted from 0",
    ),
    ("Index error", lambda _: "a list is indexed with a whole number", ""),
    (
        "out of range for",
        lambda text: too_large(text.partition("'")[2].partition("'")[0]),
        "keep such a number as text",
    ),
    ("integer overflow", lambda _: "the number does not fit into 64 bits", ""),
    ("divide by zero", lambda _: "division by zero", ""),
    ("modulus by zero", lambda _: "division by zero", ""),
    ("cannot convert", lambda text: text, "look at the text that is converted"),
    ("String to Timestamp", lambda _: "the text is no timestamp", "write it like 2026-01-31T09:00:00Z"),
    ("String to Duration", lambda _: "the text is no duration", "write it like 90s, 10m or 1h30m"),
    ("invalid regular expression", lambda text: text, "patterns are written in RE2"),
    ("construction from null", lambda _: "it reads text that holds half a character", ""),
    ("Applying SELECT", lambda _: "a field is read of something that is no map", ""),
)


def explained(message: str) -> tuple[str, str]:
    """Return CEL's *message* in our words, and what to try."""
    overload = messages.runtime_overload(message)
    if overload is not None:
        return overload
    text = messages.without_status(message)
    for sign, explain, help_text in _EXPLANATIONS:
        if sign in text:
            return explain(text), help_text
    return text, ""
