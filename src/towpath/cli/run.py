"""`tow run`."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING

import click

from towpath.cli import parameters
from towpath.cli.session import Session, pass_session

if TYPE_CHECKING:
    from towpath.engines.contract import Engine
    from towpath.store.contract import RunNumber


@click.command()
@parameters.workflow_argument("[WORKFLOW]", required=False)
@click.option(
    "-i", "--input", "inputs", multiple=True, metavar="KEY=VALUE", help="An input; KEY=@FILE reads a file."
)
@click.option(
    "--inputs",
    "file",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Inputs from a YAML or JSON file.",
)
@parameters.as_option()
@click.option(
    "--break-glass",
    metavar="REASON",
    default="",
    help="An emergency: go into protected environments without their rules, and leave a review task.",
)
@click.option("--dry-run", is_flag=True, help="Tell what would be done, and do nothing.")
@click.option(
    "--no-reads", is_flag=True, help="With --dry-run: look at nothing outside of the file, and ask no check."
)
@click.option(
    "--save",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="With --dry-run: keep the plan, so that a start can be held to it.",
)
@click.option(
    "--plan",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Start what a saved plan says, and only if the same would happen now.",
)
@parameters.watching_options
@pass_session
def command(  # noqa: PLR0913 - the options of the command
    session: Session,
    *,
    workflow: str | None,
    inputs: tuple[str, ...],
    file: Path | None,
    by: str | None,
    break_glass: str,
    dry_run: bool,
    no_reads: bool,
    save: Path | None,
    plan: Path | None,
    as_json: bool,
    plain: bool,
    no_ask: bool,
) -> int:
    """Run a workflow, from a FILE or by its NAME, and watch it to its end.

    On a terminal a live tree shows the steps; a pipe gets one line for each thing that happens. A run that waits for people goes on
    waiting; it is answered here, or from another terminal: `tow inbox` lists what waits, and what to type.

    Ctrl-C asks whether to cancel the run and undo what it did, to leave it as it is (`tow resume` goes on), or to go on. Without a
    terminal, SIGINT cancels and SIGTERM leaves.

    --dry-run rehearses: it looks at the world, tells what would be done, and does nothing. --save keeps that as a plan; --plan starts it,
    unless something else would happen by then.
    """
    from towpath.cli import values
    from towpath.cli.watching import foreground

    if (no_reads or save is not None) and not dry_run:
        raise click.UsageError("--no-reads and --save go with --dry-run.")
    given = {**(values.read_file(file) if file is not None else {}), **values.pairs(inputs, option="-i")}
    planned = None
    if plan is not None:
        if workflow is not None or given or dry_run:
            raise click.UsageError("--plan says the workflow and its inputs: give it alone.")
        from towpath.cli import rehearsing

        planned = rehearsing.read_plan(plan)
        workflow, given = planned.workflow, dict(planned.inputs)
    if workflow is None:
        raise click.UsageError("Missing argument 'WORKFLOW'.")
    app = session.app(parameters.start_of(workflow))
    loaded = app.find(workflow)
    actor = session.actor(by)
    is_file = Path(workflow).is_file()
    if not is_file and not dry_run:
        app.note_version(loaded)
    request = app.request(loaded, given, started_by=actor, break_glass=break_glass, is_file=is_file)
    if dry_run:
        from towpath.cli import rehearsing

        wish = rehearsing.Wish(
            workflow=workflow,
            command=_command(workflow, inputs, file),
            as_json=as_json,
            looks=not no_reads,
            save=save,
        )
        return rehearsing.rehearse(session, request, wish)
    if planned is not None:
        from towpath.cli import rehearsing

        rehearsing.hold_to(session, request, planned)

    if break_glass:
        session.err.say(
            ("the glass is broken", "bad"),
            f": no rule of an environment holds this run up, and it will be reviewed ({break_glass})",
        )

    async def begin(engine: Engine) -> RunNumber:
        return (await engine.start(request)).number

    manner = foreground.manner(actor=actor, as_json=as_json, plain=plain, no_ask=no_ask)
    return foreground.drive(session, f"tow run {loaded.workflow.name}", begin, manner)


def _command(workflow: str, inputs: tuple[str, ...], file: Path | None) -> str:
    """What starts the run that was rehearsed."""
    from_file = ["--inputs", str(file)] if file is not None else []
    given = [word for one in inputs for word in ("-i", one)]
    return shlex.join(["tow", "run", workflow, *from_file, *given])
