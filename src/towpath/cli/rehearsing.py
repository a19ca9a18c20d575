"""`tow run --dry-run`: how a rehearsal is shown; what is found out comes from `trials.rehearsing`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from towpath.cli import exit_codes
from towpath.cli.views import facts, summary
from towpath.cli.views.lines import Line, Role, cells, clip, line, safe, wrap
from towpath.engines.rehearsing import MEANINGS, RehearsedRun, Row, digest_of, rows_of, sum_of, telling
from towpath.trials import rehearsing

if TYPE_CHECKING:
    from towpath.cli.session import Session
    from towpath.engines.contract import StartRequest

DIGEST_CHARS: Final = 12
SAID_WIDTH_MIN: Final = 24
"""Where less room is left behind a name, what is said about it goes below."""
_MARKS: Final[Mapping[str, Role]] = {
    "~": "warn", "=": "good", "✓": "good", "!": "warn", "✗": "bad", "?": "ask", "◷": "warn", "–": "dim", "·": "dim", "■": "place",
}  # fmt: skip
_ROWS: Final[Mapping[telling.Role, Role]] = {
    "create": "good", "remove": "bad", "change": "warn", "script": "dim", "value": "plain", "says": "dim",
}  # fmt: skip


def rehearse(
    session: Session, request: StartRequest, *, as_json: bool, looks: bool, save: Path | None, start: str
) -> int:
    """Tells what the run would do, and keeps it as a plan where that is wanted; gives the exit code."""
    found = rehearsing.rehearse_now(session.app(), request, looks=looks)
    if save is not None:
        rehearsing.save(save, found, workflow=start)
    if as_json:
        click.echo(facts.json_text(rehearsing.as_json(found)))
        return exit_codes.OK
    _show(session, found)
    if save is not None:
        session.out.say((f"the plan is in {safe(str(save))}; ", "dim"), (f"tow run --plan {save}", "command"))
    else:
        session.out.say((f"tow run {start}", "command"), (" does it", "dim"))
    return exit_codes.OK


def read_plan(path: Path) -> rehearsing.SavedPlan:
    """The plan in a file; raises NotFound, or Refused where it is none."""
    return rehearsing.load(path)


def hold_to(session: Session, request: StartRequest, plan: rehearsing.SavedPlan) -> None:
    """Rehearses again, and raises Refused where something else would happen than the plan says."""
    plan.check_definition(request.definition.digest)
    now = rehearsing.rehearse_now(session.app(), request, looks=plan.looked)
    plan.check(now)


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
    legend = "   ".join(f"{mark} {meaning}" for mark, meaning in MEANINGS.items() if mark in used)
    out.show(*(line((part, "dim")) for part in wrap(legend, out.width)))


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
    if not said:
        yield clip(head, width)
        return
    if used + 2 + cells(said) <= width or width - used - 2 >= SAID_WIDTH_MIN * 2:
        parts = list(wrap(said, max(SAID_WIDTH_MIN, width - used - 2)))
        yield clip((*head, ("  ", "plain"), (parts[0], "dim")), width)
        yield from (line(" " * (used + 2), (part, "dim")) for part in parts[1:])
        return
    yield clip(head, width)
    below = f"{indent}    "
    yield from (line(below, (part, "dim")) for part in wrap(said, max(SAID_WIDTH_MIN, width - cells(below))))
