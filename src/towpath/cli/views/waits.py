"""Why a run waits, on a terminal."""

from __future__ import annotations

import dataclasses

from towpath.cli.views.lines import Line, line, safe
from towpath.core.run import Micros, Node, Run
from towpath.observe import words
from towpath.observe.chronicle import Chronicle
from towpath.server.shapes import waits as told
from towpath.server.shapes.waits import OpensAt, Wait, quoted

__all__ = ["WAITS_SHOWN_MAX", "OpensAt", "Wait", "described", "quoted", "wait_of", "waits"]

WAITS_SHOWN_MAX = 20


def waits(run: Run, chronicle: Chronicle, *, opens_at: OpensAt | None = None) -> tuple[Wait, ...]:
    """Everything that an open run waits for, questions to people first; with *opens_at*, until when windows are closed."""
    return tuple(_safe(wait) for wait in told.waits(run, chronicle, opens_at=opens_at))


def wait_of(run: Run, node: Node, chronicle: Chronicle) -> Wait | None:
    """What one open leaf waits for; None while it is being performed."""
    wait = told.wait_of(run, node, chronicle)
    return None if wait is None else _safe(wait)


def _safe(wait: Wait) -> Wait:
    """The same wait, in words that a terminal can be shown."""
    return dataclasses.replace(wait, reason=safe(wait.reason), hint=safe(wait.hint))


def described(wait: Wait, *, now: Micros, with_path: bool = True) -> Line:
    """One wait on one line: what for, since when, until when."""
    parts: list[str] = []
    if wait.since is not None:
        parts.append(f"for {words.rough(now - wait.since)}")
    if wait.until is not None:
        until = f"until {words.moment(wait.until, now=now)} ({words.ahead(wait.until, now=now)})"
        parts.append(f"{until}, {wait.then}" if wait.then else until)
    name = f"{safe(wait.path)} " if with_path and wait.path else ""
    return line(
        (name, "name"),
        wait.reason.removeprefix("waits").lstrip(),
        (f"  {'; '.join(parts)}" if parts else "", "dim"),
    )
