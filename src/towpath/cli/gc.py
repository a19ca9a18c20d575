"""`tow gc`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from towpath.cli import exit_codes, parameters
from towpath.cli.session import Session, pass_session

if TYPE_CHECKING:
    from towpath.store.retention import RetentionPlan

LISTED_MAX = 20


@click.command()
@click.option(
    "--older-than", default="30d", show_default=True, metavar="AGE", help="Runs that ended so long ago go."
)
@click.option(
    "--keep",
    type=click.IntRange(min=0),
    metavar="N",
    help="Of each workflow, no more than the newest N ended runs stay.",
)
@click.option("-w", "--workflow", metavar="NAME", help="Only runs of this workflow.")
@click.option("-s", "--status", multiple=True, metavar="STATUS", help="Only runs that ended so; repeatable.")
@click.option("--dry-run", is_flag=True, help="Tell what would go, and do nothing.")
@parameters.json_option("What went as a JSON object.")
@pass_session
def command(
    session: Session,
    *,
    older_than: str,
    keep: int | None,
    workflow: str | None,
    status: tuple[str, ...],
    dry_run: bool,
    as_json: bool,
) -> int:
    """Remove ended runs that are old: their journal, their logs, and files and definitions that only they need.

    Events that were decided about so long ago go too, unless only some runs are asked for. A delivery that comes again after that
    starts nothing twice all the same. So do sessions and login links that were over so long ago; the record of who came in stays.

    An open run is never removed. Room in the database is used again; its file does not shrink.
    """
    from towpath.definition.model import parse_duration
    from towpath.store.retention import RetentionRule

    try:
        age = round(parse_duration(older_than) * 1_000_000)
    except ValueError as error:
        raise click.UsageError(f"--older-than {older_than} {error}") from None
    app = session.app()
    retention = app.store.retention
    rule = RetentionRule(workflow=workflow, status=status, age_max=age, runs_max=keep)
    never = RetentionRule()  # whatever the rule does not fit stays
    plan = retention.plan((rule, never), now=app.now())
    if not dry_run:
        plan = retention.carry_out(plan, now=app.now())
    # Who asks for some runs only does not mean events.
    is_about_runs = bool(workflow or status) or keep is not None
    events = 0 if is_about_runs else app.store.events.forget(app.now() - age, dry_run=dry_run)
    sessions = 0 if is_about_runs else app.store.identities.forget(app.now() - age, dry_run=dry_run)
    _tell(session, plan, events=events, sessions=sessions, dry_run=dry_run, as_json=as_json)
    return exit_codes.OK


def _tell(
    session: Session, plan: RetentionPlan, *, events: int, sessions: int, dry_run: bool, as_json: bool
) -> None:
    from towpath.cli.views import facts
    from towpath.cli.views.lines import line, safe, table
    from towpath.observe import words

    if as_json:
        told = {
            "dry_run": dry_run,
            "runs": [run.number for run in plan.runs],
            "artifacts": len(plan.artifacts),
            "definitions": len(plan.definitions),
            "events": events,
            "sessions": sessions,
            "bytes": plan.bytes,
        }
        click.echo(facts.json_line(told))
        return
    now = session.app().now()
    rows = [
        (
            line((str(run.number), "place")),
            line((safe(run.workflow), "name")),
            line(run.status),
            line((f"ended {words.ago(run.ended_at, now=now)}", "dim")),
            line((words.size(run.journal_bytes + run.log_bytes), "dim")),
        )
        for run in plan.runs[:LISTED_MAX]
    ]
    session.out.show(*table(rows, width=session.out.width))
    if len(plan.runs) > LISTED_MAX:
        session.out.say((f"and {len(plan.runs) - LISTED_MAX:,} more", "dim"))
    verb = "would go" if dry_run else "gone"
    parts = [
        words.counted(len(plan.runs), "run"),
        words.counted(len(plan.artifacts), "file"),
        words.size(plan.bytes),
        *([words.counted(events, "event")] if events else []),
        *([words.counted(sessions, "session")] if sessions else []),
    ]
    session.out.say(f"{verb}: {', '.join(parts)}")
