"""`tow resume`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from towpath.cli import exit_codes, parameters
from towpath.cli.session import Session, pass_session

if TYPE_CHECKING:
    from towpath.app import App
    from towpath.engines.contract import Engine
    from towpath.store.contract import RunNumber, RunRow


@click.command()
@parameters.run_argument(all_when_left_out=True)
@parameters.as_option()
@parameters.watching_options
@pass_session
def command(
    session: Session, *, run: str | None, by: str | None, as_json: bool, plain: bool, no_ask: bool
) -> int:
    """Take over a RUN whose owner died or went away, and go on with it in the foreground.

    Steps that had ended are not run again. A step that was running runs again when it is idempotent or its check says that it is not
    done; else a person is asked. Without RUN, every run that nobody drives is taken over and all are followed, one after the other.
    """
    from towpath.cli.watching import foreground

    app = session.app()
    numbers = [app.reader.run(run).number] if run is not None else [row.number for row in stranded(app)]
    if not numbers:
        session.out.say("nothing to resume: every open run has a living owner")
        return exit_codes.OK

    async def begin(engine: Engine) -> RunNumber:
        for number in numbers:
            await engine.resume(number)
        return numbers[0]

    manner = foreground.manner(actor=session.actor(by), as_json=as_json, plain=plain, no_ask=no_ask)
    return foreground.drive(session, f"tow resume {' '.join(map(str, numbers))}", begin, manner)


def stranded(app: App) -> list[RunRow]:
    """Open runs that nobody drives and that no other run will take up, the oldest first."""
    from towpath.store.contract import Life, RunFilter

    if not app.folder.database.exists():
        return []
    rows = app.reader.runs(RunFilter(is_open=True, rows_max=1_000))
    alive = {owner.id for owner in app.store.owners.owners() if owner.life is Life.ALIVE}
    found = {row.number: row for row in rows if row.owner not in alive}
    return [row for number, row in sorted(found.items()) if not _is_child_of(row, found)]


def _is_child_of(row: RunRow, others: dict[RunNumber, RunRow]) -> bool:
    return row.origin_reason == "child" and row.origin in others
