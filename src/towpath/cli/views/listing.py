"""The list of runs: what is on its way, what waits and why, whose owner is gone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from towpath.cli.views.lines import Line, Screen, Span, first_line, line, safe, table
from towpath.cli.views.timeline import status_span
from towpath.observe import words
from towpath.people import choices
from towpath.store.contract import Life, Microseconds, OwnerId, OwnerRow, RunRow

WORKFLOW_CELLS_MAX = 32


def listing(
    rows: Sequence[RunRow], owners: Mapping[OwnerId, OwnerRow], screen: Screen, *, now: Microseconds
) -> tuple[Line, ...]:
    """A table of runs, newest first, with a headline."""
    head = tuple(line((title, "dim")) for title in ("RUN", "WORKFLOW", "STATUS", "STARTED", "TOOK", ""))
    body = [
        (
            line((str(row.number), "place")),
            line((safe(row.workflow)[:WORKFLOW_CELLS_MAX], "name")),
            line(status_of(row, owners)),
            line(words.ago(row.accepted_at, now=now)),
            line((words.rough((row.summary.ended_at or now) - row.accepted_at), "dim")),
            note_of(row, owners, now=now),
        )
        for row in rows
    ]
    return table([head, *body], width=screen.width)


def life_of(row: RunRow, owners: Mapping[OwnerId, OwnerRow]) -> Life | None:
    """What is known of the process that drives an open run; None for an ended run."""
    if not row.is_open:
        return None
    owner = owners.get(row.owner) if row.owner is not None else None
    return Life.DEAD if owner is None else owner.life


def status_of(row: RunRow, owners: Mapping[OwnerId, OwnerRow]) -> Span:
    """The status; an open run that nobody drives is not running, whatever its row says."""
    life = life_of(row, owners)
    if life in (Life.DEAD, Life.STOPPED):
        return "stranded" if life is Life.DEAD else "left", "bad" if life is Life.DEAD else "warn"
    return status_span(row.summary.status)


def note_of(row: RunRow, owners: Mapping[OwnerId, OwnerRow], *, now: Microseconds) -> Line:
    """What an operator has to know of a run: who drives it no more, what it waits for, how it ended."""
    match life_of(row, owners):
        case Life.DEAD:
            return line(("owner died — ", "bad"), (f"tow resume {row.number}", "command"))
        case Life.STOPPED:
            return line(("owner left — ", "warn"), (f"tow resume {row.number}", "command"))
        case _:
            return (*_broken_glass(row), *_course_of(row, owners, now=now))


def _broken_glass(row: RunRow) -> Line:
    """That a run went into environments without their rules."""
    return (("broke the glass  ", "bad"),) if "break_glass" in row.labels else ()


def _course_of(row: RunRow, owners: Mapping[OwnerId, OwnerRow], *, now: Microseconds) -> Line:
    """What a run waits for, or how it ended."""
    summary = row.summary
    if summary.waiting_for:
        since = (
            f"  for {words.rough(now - summary.waiting_since)}" if summary.waiting_since is not None else ""
        )
        return line(first_line(summary.waiting_for), (since, "dim"), *_verb(row))
    if summary.ended_at is None:
        return _owner_note(row, owners)
    parts = [safe(part) for part in (summary.outcome, first_line(summary.message or "")) if part]
    if row.origin is not None:
        parts.insert(0, f"{safe(row.origin_reason or 'after')} of {row.origin}")
    return line((" · ".join(parts), "dim"))


def _verb(row: RunRow) -> tuple[Span, ...]:
    """What to type, where the run asks something."""
    questions = row.summary.questions
    if not questions:
        return ()
    first = questions[0]
    is_only = len(questions) == 1 and not row.summary.questions_more
    command = choices.first_command(str(row.number), first.path, first.question.kind, is_only=is_only)
    return (("  ", "plain"), (command, "command"))


def _owner_note(row: RunRow, owners: Mapping[OwnerId, OwnerRow]) -> Line:
    owner = owners.get(row.owner) if row.owner is not None else None
    process: Line = line((f"process {owner.pid}", "dim")) if owner is not None else ()
    return (*process, *_verb(row))


def owner_text(row: RunRow, owner: OwnerRow | None, *, now: Microseconds) -> Line:
    """Who drives a run, in a sentence."""
    if owner is None or owner.life is Life.DEAD:
        gone = f"process {owner.pid} on {safe(owner.host)} died" if owner is not None else "its owner died"
        return line((f"{gone} — ", "bad"), (f"tow resume {row.number}", "command"))
    if owner.life is Life.STOPPED:
        return line((f"process {owner.pid} left it — ", "warn"), (f"tow resume {row.number}", "command"))
    age = words.rough(now - owner.started_at)
    return line(
        f"process {owner.pid} on {safe(owner.host)}, {safe(owner.command)}", (f"  since {age}", "dim")
    )
