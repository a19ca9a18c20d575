"""`tow run --dry-run`: how a rehearsal is shown; what is found out comes from `trials.rehearsing`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, cast

import click

from towpath.cli import exit_codes
from towpath.cli.views import facts, summary
from towpath.cli.views.lines import Line, Role, cells, clip, line, safe, wrap
from towpath.engines.rehearsing import MEANINGS, RehearsedRun, Row, digest_of, rows_of, sum_of, telling
from towpath.errors import Refused
from towpath.trials import rehearsing

if TYPE_CHECKING:
    from towpath.cli.remote.app import RemoteApp
    from towpath.cli.session import Session
    from towpath.engines.contract import StartRequest

CLEAR_LINE: Final = "\r\x1b[K"
DIGEST_CHARS: Final = 12
SAID_WIDTH_MIN: Final = 24
"""Where less room is left behind a name, what is said about it goes below."""
_MARKS: Final[Mapping[str, Role]] = {
    "~": "warn", "=": "good", "✓": "good", "!": "warn", "✗": "bad", "?": "ask", "◷": "warn", "–": "dim", "·": "dim", "■": "place",
}  # fmt: skip
_ROWS: Final[Mapping[telling.Role, Role]] = {
    "create": "good", "remove": "bad", "change": "warn", "script": "dim", "value": "plain", "says": "dim",
}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """How a rehearsal is wanted."""

    workflow: str
    """As it was typed."""
    command: str
    """What starts the run."""
    as_json: bool
    looks: bool
    save: Path | None


def rehearse(session: Session, request: StartRequest, wish: Wish) -> int:
    """Tells what the run would do, and keeps it as a plan where that is wanted; gives the exit code."""
    save = wish.save
    found = _found(session, request, looks=wish.looks)
    if save is not None:
        rehearsing.save(save, found, workflow=wish.workflow)
    if wish.as_json:
        click.echo(facts.json_text(rehearsing.as_json(found)))
        return exit_codes.OK
    _show(session, found)
    if save is not None:
        session.out.say((f"the plan is in {safe(str(save))}; ", "dim"), (f"tow run --plan {save}", "command"))
    else:
        session.out.say((safe(wish.command), "command"), (" does it", "dim"))
    return exit_codes.OK


def read_plan(path: Path) -> rehearsing.SavedPlan:
    """The plan in a file; raises NotFound, or Refused where it is none."""
    return rehearsing.load(path)


def hold_to(session: Session, request: StartRequest, plan: rehearsing.SavedPlan) -> None:
    """Rehearses again, and raises Refused where something else would happen than the plan says."""
    plan.check_definition(request.definition.digest)
    difference = plan.difference(_found(session, request, looks=plan.looked))
    if difference:
        session.err.show(*(clip(line((safe(row), _diff_role(row))), session.err.width) for row in difference))
        raise Refused(
            "the plan is out of date: something else would happen now",
            help="rehearse it again, and save a new plan",
        )


def _diff_role(row: str) -> Role:
    return "good" if row.startswith("+") else "bad" if row.startswith("-") else "dim"


def _found(session: Session, request: StartRequest, *, looks: bool) -> RehearsedRun:
    """What the run would do; meanwhile a terminal is told what is looked at."""
    err = session.err
    app = session.app()
    if app.serves_elsewhere:
        from towpath.cli.remote.rehearsing import rehearse as rehearse_there

        return rehearse_there(cast("RemoteApp", app).wire, request, looks=looks)
    if not err.is_terminal:
        return rehearsing.rehearse_now(app, request, looks=looks)

    def announce(path: str) -> None:
        looking = clip(line((f"looking at {safe(path)} …", "dim")), err.width - 1)
        err.stream.write(f"{CLEAR_LINE}{err.text(looking)}")
        err.stream.flush()

    try:
        return rehearsing.rehearse_now(app, request, looks=looks, announce=announce)
    finally:
        err.stream.write(CLEAR_LINE)
        err.stream.flush()


def _show(session: Session, found: RehearsedRun) -> None:
    out = session.out
    looked = "" if not found.is_static else ", and nothing outside of the file was looked at"
    out.say((found.workflow, "name"), (f"  dry run: nothing is done{looked}", "warn"))
    if found.inputs:
        out.show(*summary.values_lines("inputs", found.inputs, out))
    out.say()
    rows = rows_of(found)
    for row in rows:
        out.show(*_lines(row, out.width))
    out.say()
    out.show(*(line((part, "name")) for part in wrap(f"{sum_of(found)}.", out.width)))
    out.say((f"plan {digest_of(found)[:DIGEST_CHARS]}", "dim"))
    used = {row.mark for row in rows if row.role == "step"}
    out.show(*_legend([f"{mark} {meaning}" for mark, meaning in MEANINGS.items() if mark in used], out.width))


def _legend(parts: list[str], width: int) -> Iterator[Line]:
    row = ""
    for part in parts:
        longer = f"{row}   {part}" if row else part
        if row and cells(longer) > width:
            yield line((row, "dim"))
            longer = part
        row = longer
    if row:
        yield line((row, "dim"))


def _lines(row: Row, width: int) -> Iterator[Line]:
    if row.role in ("step", "frame"):
        yield from _step_lines(row, width)
        return
    indent = "  " * row.depth
    role = _ROWS[row.role]
    if row.key:
        yield clip(line(indent, (f"{safe(row.key)}=", "frame"), (safe(row.text), role)), width)
    elif row.mark:
        yield clip(
            line(indent, (f"{row.mark} ", "frame" if row.role == "script" else role), (safe(row.text), role)),
            width,
        )
    else:
        yield clip(line(indent, (safe(row.text), role)), width)


def _step_lines(row: Row, width: int) -> Iterator[Line]:
    """Mark, name, kind, and what is said: behind them where it fits, else below."""
    indent = "  " * row.depth
    mark = f"{row.mark} " if row.mark else ""
    name = safe(row.text)
    kind = f"  {safe(row.kind)}" if row.kind else ""
    head = line(
        indent,
        (mark, _MARKS.get(row.mark, "dim")),
        (name, "name" if row.role == "step" else "place"),
        (kind, "busy"),
    )
    used = sum(cells(text) for text, _ in head)
    said = safe(row.says)
    role: Role = "bad" if row.mark == "✗" else "dim"
    if not said:
        yield clip(head, width)
        return
    if used + 2 + cells(said) <= width or width - used - 2 >= SAID_WIDTH_MIN * 2:
        parts = list(wrap(said, max(SAID_WIDTH_MIN, width - used - 2)))
        yield clip((*head, ("  ", "plain"), (parts[0], role)), width)
        yield from (line(" " * (used + 2), (part, role)) for part in parts[1:])
        return
    yield clip(head, width)
    below = f"{indent}    "
    yield from (line(below, (part, role)) for part in wrap(said, max(SAID_WIDTH_MIN, width - cells(below))))
