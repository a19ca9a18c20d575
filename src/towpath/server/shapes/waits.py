"""Why a run waits, since when, until when, and what somebody can do about it.

The words hold text from outside: whoever shows them makes them safe.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from towpath.core.run import Micros, Node, Path, Run
from towpath.engines.summaries import awaited_in_words
from towpath.observe.chronicle import Chronicle
from towpath.people import choices

OpensAt: TypeAlias = Callable[[str], Micros | None]
"""When the window of a name opens; None where it never does."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wait:
    """One reason why a run does not go on by itself."""

    path: Path
    reason: str
    """In words: `asks group:shop: Go live?`."""
    since: Micros | None = None
    until: Micros | None = None
    then: str = ""
    """What happens when the time is up."""
    hint: str = ""
    """The command that would end the wait, with `RUN` for the run's name."""
    asks: bool = False
    """Whether people are asked; that comes first."""


def waits(run: Run, chronicle: Chronicle, *, opens_at: OpensAt | None = None) -> tuple[Wait, ...]:
    """Everything that an open run waits for, questions to people first; with *opens_at*, until when windows are closed."""
    if run.state == "queued":
        return (
            Wait(
                path="",
                reason=f"waits for a place in its concurrency group {run.group}",
                since=run.accepted_at,
            ),
        )
    nodes = [run.nodes[path] for path in run.leaves]
    found = [
        _until_open(wait, node, opens_at)
        for node in nodes
        if (wait := wait_of(run, node, chronicle)) is not None
    ]
    return tuple(sorted(found, key=lambda wait: (not wait.asks, wait.since or 0, wait.path)))


def _until_open(wait: Wait, node: Node, opens_at: OpensAt | None) -> Wait:
    """The same wait; for a window, with the moment at which it opens, as its calendars stand."""
    if opens_at is None or node.awaited is None or node.awaited.kind != "window":
        return wait
    return dataclasses.replace(wait, until=opens_at(node.awaited.name))


def wait_of(run: Run, node: Node, chronicle: Chronicle) -> Wait | None:
    """What one open leaf waits for; None while it is being performed."""
    since = chronicle.since.get(node.path, node.started_at or None)
    match node.status:
        case "asking":
            return _question(run, node, since)
        case "retrying":
            message = _first_line(node.error.message) if node.error is not None else ""
            return Wait(
                path=node.path,
                reason=f"will be tried again: {message}",
                since=since,
                until=node.due,
                hint=f"tow retry RUN --step {quoted(node.path)}",
            )
        case "waiting":
            return _awaiting(node, since)
        case _:
            return None


def _question(run: Run, node: Node, since: Micros | None) -> Wait:
    question = node.question
    assert question is not None
    text = _first_line(question.text)
    asked = ", ".join(question.who)
    reason = f"asks {asked}: {text}" if asked else f"asks: {text}"
    if question.quorum > 1:
        said = sum(answer.decision == "approve" for answer in node.answers)
        reason += f" ({said} of {question.quorum} approvals)"
    is_only = sum(run.nodes[path].status == "asking" for path in run.leaves) == 1
    return Wait(
        path=node.path,
        reason=reason,
        since=since,
        until=question.due,
        then=f"then {choices.silence(question.if_unanswered)}" if question.if_unanswered else "",
        hint=choices.first_command("RUN", node.path, question.kind, is_only=is_only),
        asks=True,
    )


def _awaiting(node: Node, since: Micros | None) -> Wait:
    awaited = node.awaited
    assert awaited is not None
    match awaited.kind:
        case "signal":
            name = awaited.name
            return Wait(
                path=node.path,
                reason=f"waits for the signal {name}",
                since=since,
                hint=f"tow signal RUN {name}",
            )
        case "time":
            return Wait(path=node.path, reason="waits", since=since, until=awaited.due)
        case _:
            return Wait(path=node.path, reason=f"waits for {awaited_in_words(awaited)}", since=since)


def quoted(path: Path) -> str:
    """A path as a word for the shell."""
    return (
        path
        if all(c.isalnum() or c in "_/.:@%+=,-" for c in path)
        else "'" + path.replace("'", "'\\''") + "'"
    )


def _first_line(text: str) -> str:
    return next((part.strip() for part in text.splitlines() if part.strip()), "")
