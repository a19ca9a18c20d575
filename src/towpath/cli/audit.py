"""`tow audit`."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import click

from towpath.cli import exit_codes, parameters
from towpath.cli.session import Session, pass_session

if TYPE_CHECKING:
    from towpath.app import App
    from towpath.cli.remote.app import RemoteApp
    from towpath.observe.audit import Act
    from towpath.store.acts import ActsVerdict
    from towpath.store.chain import Verdict
    from towpath.store.contract import IdentityAct, RunNumber, RunRow

ACTS_DEFAULT = 50
ACTS_MAX = 100_000
PEOPLE_PAGE = 500
"""Acts about people that are read at once."""


@click.group()
def command() -> None:
    """Who did what, and the proof that nobody changed the record of it."""


@command.command("log")
@parameters.run_argument(all_when_left_out=True)
@click.option("--by", metavar="WHO", help="Only what this person did: ada, or user:ada.")
@click.option("--since", metavar="WHEN", help="Only acts since then: 2h, 7d, or 2026-11-22T08:00.")
@click.option(
    "-n",
    "--last",
    "last",
    default=ACTS_DEFAULT,
    show_default=True,
    type=click.IntRange(1, ACTS_MAX),
    metavar="N",
    help="How many acts, the newest.",
)
@click.option(
    "--people",
    is_flag=True,
    help="Instead of runs: what was done to users, tokens, sessions, login links and versions.",
)
@parameters.json_option("One JSON object for each act.")
@pass_session
def log(
    session: Session,
    *,
    run: str | None,
    by: str | None,
    since: str | None,
    last: int,
    people: bool,
    as_json: bool,
) -> int:
    """List who started, approved, rejected, cancelled, signalled what, with their reasons; of one RUN, or of all.

    The oldest act comes first. Every act is an event of its run: `tow show RUN` tells it among the rest. With --people: who let whom in,
    made and revoked which tokens, signed in and out, decided on which version.
    """
    from towpath.errors import Refused
    from towpath.observe import audit

    if people and run is not None:
        raise Refused("what was done to people is no part of a run", help="leave out RUN, or --people")
    app = session.app()
    after = 0 if since is None else _moment(since, app.now())
    actor = None if by is None else by if ":" in by else f"user:{by}"
    if people:
        return _people(session, app, by=actor, after=after, last=last, as_json=as_json)
    found: Iterator[tuple[RunNumber, Act]]
    if run is not None:
        row = app.reader.run(run)
        of_run = [act for act in audit.acts(app.reader.events(row.number)) if act.at >= after]
        found = iter([(row.number, act) for act in reversed(of_run)])
    else:
        found = audit.newest_first(app.reader.act_records, since=after)
    fitting = ((number, act) for number, act in found if actor in (None, act.by))
    newest = list(itertools.islice(fitting, last))[::-1]
    rows = {number: app.reader.run(number) for number, _ in newest}
    acts = [(rows[number], act) for number, act in newest]
    if as_json:
        _as_json(acts)
    elif not acts:
        session.out.say("nobody did anything" + (" that fits" if by or since or run else " yet"))
    else:
        session.out.show(*_table(acts, width=session.out.width, now=app.now()))
    return exit_codes.OK


def _people(session: Session, app: App, *, by: str | None, after: int, last: int, as_json: bool) -> int:
    """What was done to users, tokens, sessions, login links and versions, the oldest first."""
    from towpath.cli.views import facts
    from towpath.cli.views.lines import line, safe, table
    from towpath.observe import words
    from towpath.server.shapes.identities import identity_act_object

    fitting = (act for act in _people_newest_first(app, after) if by in (None, act.by))
    acts = list(itertools.islice(fitting, last))[::-1]
    if as_json:
        for act in acts:
            click.echo(facts.json_line(identity_act_object(act)))
        return exit_codes.OK
    if not acts:
        session.out.say("nobody did anything" + (" that fits" if by or after else " yet"))
        return exit_codes.OK
    now = app.now()
    head = tuple(line((title, "dim")) for title in ("WHEN", "WHO", "DID", "WHAT", ""))
    rows = [
        (
            line((words.moment(act.at, now=now), "dim")),
            line(safe(act.by.removeprefix("user:"))),
            line(safe(act.did)),
            line((safe(act.about), "name")),
            line((safe(" ".join(act.text.split())), "dim")),
        )
        for act in acts
    ]
    session.out.show(*table([head, *rows], width=session.out.width))
    return exit_codes.OK


def _people_newest_first(app: App, after: int) -> Iterator[IdentityAct]:
    """The acts since a moment, page by page."""
    page = app.store.identities.acts(rows_max=PEOPLE_PAGE)
    while page:
        for act in page:
            if act.at >= after:
                yield act
        page = app.store.identities.acts(before=page[-1].number, rows_max=PEOPLE_PAGE)


def _moment(text: str, now: int) -> int:
    """Microseconds since 1970 of `7d` (so long ago) or of a timestamp; raises Refused."""
    import datetime

    from towpath.definition.model import parse_duration
    from towpath.errors import Refused

    try:
        return now - round(parse_duration(text) * 1_000_000)
    except ValueError:
        pass
    try:
        return round(datetime.datetime.fromisoformat(text).astimezone().timestamp() * 1_000_000)
    except ValueError:
        raise Refused(
            f"--since {text}: that is no moment",
            help="write how long ago (2h, 7d) or a date (2026-11-22T08:00)",
        ) from None


def _as_json(found: list[tuple[RunRow, Act]]) -> None:
    from towpath.cli.views import facts
    from towpath.server.shapes import audit as shapes

    for row, act in found:
        click.echo(facts.json_line(shapes.act_object(row, act)))


def _table(found: list[tuple[RunRow, Act]], *, width: int, now: int) -> tuple[Any, ...]:
    from towpath.cli.views.lines import line, safe, table
    from towpath.observe import words

    head = tuple(line((title, "dim")) for title in ("WHEN", "WHO", "DID", "WHAT", ""))
    rows = [
        (
            line((words.moment(act.at, now=now), "dim")),
            line(safe(act.by.removeprefix("user:"))),
            line((act.did, "warn" if act.did in LOUD else "plain")),
            line(
                (f"#{row.number} {safe(row.workflow)}", "name"),
                (f" {safe(act.path)}" if act.path else "", "plain"),
            ),
            line((safe(" ".join(act.text.split())), "dim")),
        )
        for row, act in found
    ]
    return tuple(table([head, *rows], width=width))


LOUD = frozenset({"broke the glass", "rejected", "cancelled", "rolled back", "gave up"})
"""Acts that an auditor looks for first."""


@command.command("verify")
@click.option(
    "--anchor",
    metavar="RUN.RECORD:DIGEST",
    help="What an earlier verification printed: that record has to be there still.",
)
@click.option(
    "--database",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    metavar="FILE",
    help="A database file from anywhere, as it lies in a data folder, instead of this project's.",
)
@parameters.json_option("The verdict as one JSON object.")
@pass_session
def verify(session: Session, *, anchor: str | None, database: Path | None, as_json: bool) -> int:
    """Check that no record of the journal was changed, removed or added afterwards, and say where one was.

    So is the record of what was done to users, tokens, sessions, login links and versions (`tow audit log --people`).

    Every record carries a digest of itself and of the one before it. Whoever can write the database can also make all digests anew: keep
    the anchor that this prints somewhere else, and verify against it.
    """
    verdict, acts = _verified(session, anchor, database)
    if as_json:
        _verdict_as_json(verdict, acts)
    else:
        _say(session, verdict)
        _say_acts(session, acts)
        _say_anchor(session, verdict)
    return exit_codes.OK if verdict.holds and acts.holds else exit_codes.FAILED


def _verified(session: Session, anchor: str | None, database: Path | None) -> tuple[Verdict, ActsVerdict]:
    """What a verification finds in a database here; that of a server is read by the server."""
    from towpath.store import acts, chain
    from towpath.store.connections import connect, explained

    wanted = None if anchor is None else chain.read_anchor(anchor)
    if database is None:
        app = session.app()
        if app.serves_elsewhere:
            from towpath.cli.remote import verifying

            return verifying.verify(cast("RemoteApp", app).wire, anchor)
        _ = app.reader
        database = app.folder.database
    with explained(database):
        connection = connect(database, read_only=True)
        try:
            return chain.verify(connection, wanted), acts.verify_acts(connection)
        finally:
            connection.close()


def _say(session: Session, verdict: Verdict) -> None:
    from towpath.observe import words
    from towpath.server.shapes import moments

    out = session.out
    for found in verdict.breaks:
        place = f"run {found.run}" + (f", record {found.sequence}" if found.sequence else "")
        when = f" ({moments.stamp(found.at)})" if found.at else ""
        out.say(("✗ ", "bad"), (place, "name"), (when, "dim"), f"  {found.text}")
    if verdict.breaks_more:
        out.say(f"… and {verdict.breaks_more:,} more")
    counted = f"{words.counted(verdict.records, 'record')} of {words.counted(verdict.runs, 'run')}"
    if verdict.holds:
        out.say(("✓ ", "good"), f"{counted}: nothing was changed, removed or added")
    else:
        out.say(("✗ ", "bad"), f"{counted}: the journal is not what was written")
    if verdict.forgotten:
        out.say((f"{words.counted(verdict.forgotten, 'run')} removed by retention", "dim"))
    if verdict.unlinked:
        out.say(
            (
                f"{words.counted(verdict.unlinked, 'record')} from before the chain: nothing can be said of them",
                "dim",
            )
        )


def _say_acts(session: Session, verdict: ActsVerdict) -> None:
    from towpath.observe import words
    from towpath.server.shapes import moments

    out = session.out
    for found in verdict.breaks:
        when = f" ({moments.stamp(found.at)})" if found.at else ""
        out.say(("✗ ", "bad"), (f"people, act {found.act}", "name"), (when, "dim"), f"  {found.text}")
    if verdict.breaks_more:
        out.say(f"… and {verdict.breaks_more:,} more")
    counted = f"{words.counted(verdict.acts, 'act')} on users, tokens, sessions, links and versions"
    if verdict.holds:
        out.say(("✓ ", "good"), f"{counted}: nothing was changed or removed")
    else:
        out.say(("✗ ", "bad"), f"{counted}: the record is not what was written")


def _say_anchor(session: Session, verdict: Verdict) -> None:
    if verdict.anchor is not None:
        anchored = f"tow audit verify --anchor {verdict.anchor}"
        session.out.say(("keep elsewhere: ", "dim"), (anchored, "command"))


def _verdict_as_json(verdict: Verdict, acts: ActsVerdict) -> None:
    from towpath.cli.views import facts
    from towpath.server.shapes import audit as shapes

    click.echo(facts.json_line(shapes.verdict_object(verdict, acts)))
