"""`tow inbox`."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import click

from towpath.cli import exit_codes, parameters
from towpath.cli.session import Session, pass_session

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from towpath.app import App
    from towpath.people.inbox import Inbox, Item, Wanted
    from towpath.store.contract import AskingRun, Life, RunNumber

ITEMS_DEFAULT = 20
LOOK_SECONDS = 1.0
"""How often --watch looks."""


@click.command()
@click.option("-a", "--all", "everything", is_flag=True, help="What others are asked, too.")
@click.option(
    "-g",
    "--group",
    is_flag=False,
    flag_value="*",
    metavar="[NAME]",
    help="Only what comes through a group or a rota of yours; with NAME, all that goes to that one.",
)
@click.option("-r", "--run", metavar="RUN", help="Only what this run asks.")
@click.option(
    "-n", "--last", "rows", default=ITEMS_DEFAULT, show_default=True, metavar="N", help="At most so many."
)
@click.option("-w", "--watch", is_flag=True, help="Go on looking; a pipe gets what is new.")
@parameters.as_option()
@parameters.json_option("One JSON object for each question.")
@pass_session
def command(
    session: Session,
    *,
    everything: bool,
    group: str | None,
    run: str | None,
    rows: int,
    watch: bool,
    by: str | None,
    as_json: bool,
) -> int:
    """Show what waits for you, the most urgent first: why you, since when, until when, and what happens if you do nothing.

    Approvals, tasks, failures that somebody has to settle, unknown outcomes and failed rollbacks: each with the commands to type.
    """
    from towpath.people.inbox import ITEMS_MAX, Wanted
    from towpath.server import asking

    app = session.app()
    person = asking.person(app, session.actor(by))
    number = app.reader.run(run).number if run is not None else None
    wanted = Wanted(everything=everything, group=group, run=number, items_max=max(1, min(rows, ITEMS_MAX)))
    if watch:
        return _watch(session, app, person, wanted, as_json=as_json)
    found = _look(app, person, wanted)
    _show(session, app, person, found, wanted, as_json=as_json)
    return exit_codes.OK


def _look(app: App, person: str, wanted: Wanted) -> Inbox:
    from towpath.people import inbox

    asking = _asking(app) if app.folder.database.exists() else ()
    return inbox.look(asking, directory=app.desk.directory, person=person, at=app.now(), wanted=wanted)


def _asking(app: App) -> Iterator[AskingRun]:
    """Every run that asks something, page by page."""
    from towpath.store.contract import PAGE_ROWS_MAX

    after: RunNumber | None = None
    while page := app.reader.open_questions(after=after):
        yield from page
        if len(page) < PAGE_ROWS_MAX:
            return
        after = page[-1].number


def _lives(app: App, found: Inbox) -> Mapping[RunNumber, Life]:
    """Whether the runs of the questions are driven by a process that lives."""
    from towpath.store.contract import Life

    if not found.items:
        return {}
    owners = {owner.id: owner.life for owner in app.store.owners.owners()}
    runs = {item.run.number: item.run.owner for item in found.items}
    return {
        number: Life.DEAD if owner is None else owners.get(owner, Life.DEAD) for number, owner in runs.items()
    }


def _show(session: Session, app: App, person: str, found: Inbox, wanted: Wanted, *, as_json: bool) -> None:
    from towpath.cli.views import facts, inbox
    from towpath.server.shapes import questions as shapes

    lives = _lives(app, found)
    if as_json:
        for item in found.items:
            click.echo(facts.json_line(shapes.item_object(item, life=lives.get(item.run.number))))
        return
    session.out.show(
        *inbox.inbox_lines(
            found, session.out, now=app.now(), person=person, lives=lives, everything=wanted.everything
        )
    )


def _watch(session: Session, app: App, person: str, wanted: Wanted, *, as_json: bool) -> int:
    """Looks again and again, until Ctrl-C: a terminal shows the whole inbox, a pipe gets what is new or has changed."""
    if session.out.is_terminal and not as_json:
        return _watch_on_terminal(session, app, person, wanted)
    seen: dict[tuple[RunNumber, str], Item] = {}
    while True:
        found = _look(app, person, wanted)
        fresh = {(item.run.number, item.path): item for item in found.items}
        _tell_changes(session, app, found, seen, fresh, as_json=as_json)
        seen = fresh
        time.sleep(LOOK_SECONDS)


def _watch_on_terminal(session: Session, app: App, person: str, wanted: Wanted) -> int:
    from towpath.cli.views import inbox
    from towpath.cli.views.lines import clip
    from towpath.cli.watching.terminal import Region

    region = Region(session.out)
    try:
        while True:
            found = _look(app, person, wanted)
            lines = inbox.inbox_lines(
                found,
                session.out,
                now=app.now(),
                person=person,
                lives=_lives(app, found),
                everything=wanted.everything,
            )
            region.draw([clip(one, session.out.width) for one in lines[: session.out.height - 1]])
            time.sleep(LOOK_SECONDS)
    finally:
        region.leave()


def _tell_changes(
    session: Session,
    app: App,
    found: Inbox,
    seen: Mapping[tuple[RunNumber, str], Item],
    fresh: Mapping[tuple[RunNumber, str], Item],
    *,
    as_json: bool,
) -> None:
    from towpath.cli.views import facts, inbox
    from towpath.server.shapes import questions as shapes

    lives = _lives(app, found)
    for key, item in fresh.items():
        before = seen.get(key)
        if before is not None and before.open == item.open and before.standing == item.standing:
            continue
        life = lives.get(item.run.number)
        if as_json:
            what = "new" if before is None else "changed"
            click.echo(facts.json_line({"change": what, **shapes.item_object(item, life=life)}))
        else:
            session.out.show(*inbox.item_lines(item, session.out, now=app.now(), life=life), ())
    for number, path in seen.keys() - fresh.keys():
        if as_json:
            click.echo(facts.json_line({"change": "gone", "run_number": number, "path": path}))
        else:
            session.out.say(f"run {number}, {path}: does not wait for you any more")
