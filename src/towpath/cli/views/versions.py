"""Versions of workflows and commits of the project, as lines."""

from __future__ import annotations

import datetime
from typing import Any, Final

from towpath.cli.views.lines import Line, Role, line
from towpath.observe.words import ago

DIGEST_CHARS: Final = 12
MESSAGE_CHARS: Final = 60
_STATES: Final[dict[str, tuple[str, Role, str]]] = {
    "current": ("●", "good", "runs take it"),
    "canary": ("◐", "busy", "some runs try it"),
    "aborted": ("✗", "bad", "sent back: no run takes it"),
    "broken": ("✗", "bad", "does not load"),
    "former": ("○", "dim", ""),
}

Object = dict[str, Any]  # JSON: the shapes of `server.shapes.versions`


def version_lines(one: Object, *, now: int, names_workflow: bool = False) -> list[Line]:
    """A version, and what became of it."""
    sign, role, does = _STATES[one["state"]]
    name = f"{one['workflow']}  " if names_workflow else ""
    told = [
        line(
            (f"{sign} ", role),
            (f"{name}{short(one['digest'])}", "name"),
            f"  {one['state']}",
            (f" ({does})" if does else "", role),
            (f"  since {_ago(one['since'], now)}, {_runs(one)}", "dim"),
        ),
        line((f"  {_written(one)}", "dim")),
    ]
    if one["state"] == "canary" and one["trial"] is not None:
        told.append(line((f"  {_tried(one['trial'])}", "busy")))
    if one["because"]:
        by = f" ({one['decided_by']})" if one["decided_by"] else ""
        told.append(line((f"  {one['because']}{by}", "dim")))
    return [*told, *_problem_lines(one)]


def commit_lines(one: Object, *, now: int) -> list[Line]:
    """A commit of the project, and what became of it."""
    sign, role, _ = _STATES[one["state"]]
    does = "runs take it" if one["state"] == "current" else "does not load; the one before goes on"
    head = line(
        (f"{sign} ", role),
        (f"commit {short(one['commit'])}", "name"),
        f" of {one['url']} {one['ref']}: ",
        (does, role),
    )
    written = line((f"  {one['author']}, {_ago(one['since'], now)}: {shortened(one['message'])}", "dim"))
    return [head, written, *_problem_lines(one)]


def diff_lines(text: str) -> list[Line]:
    """A unified diff."""
    return [line((one, _role(one))) for one in text.splitlines()]


def short(digest: str) -> str:
    """As much of a digest as people read."""
    return digest[:DIGEST_CHARS]


def shortened(text: str) -> str:
    """A message on one line."""
    return text if len(text) <= MESSAGE_CHARS else f"{text[: MESSAGE_CHARS - 1]}…"


def _role(text: str) -> Role:
    if text.startswith(("+++", "---")):
        return "name"
    roles: dict[str, Role] = {"+": "good", "-": "bad", "@": "dim"}
    return roles.get(text[:1], "plain")


def _runs(one: Object) -> str:
    if not one["runs"]:
        return "no runs"
    failed = f", {one['failed']} failed" if one["failed"] else ""
    return f"{one['runs']} run{'' if one['runs'] == 1 else 's'}{failed}"


def _written(one: Object) -> str:
    commit = f", commit {short(one['commit'])}" if one["commit"] else ""
    message = f": {shortened(one['message'])}" if one["message"] else ""
    return f"{one['author'] or 'nobody knows who wrote it'}{commit}{message}"


def _tried(trial: Object) -> str:
    return (
        f"{trial['runs_started']} of {trial['runs_wanted']} runs have started; "
        f"{trial['runs_judged']} ended, {trial['runs_failed']} of them failed"
    )


def _problem_lines(one: Object) -> list[Line]:
    if one["until"] is not None:
        return []
    shown = [text for problem in one["problems"] for text in ["", *problem["shown"].splitlines()]]
    return [line((f"  {text}" if text else "", "bad" if ": error " in text else "plain")) for text in shown]


def _ago(stamp: str, now: int) -> str:
    at = datetime.datetime.fromisoformat(stamp)
    return ago(round(at.timestamp() * 1_000_000), now=now)
