"""`tow artifacts`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from towpath.cli import exit_codes, parameters
from towpath.cli.session import Session, pass_session

if TYPE_CHECKING:
    from towpath.store.contract import ArtifactRow


@click.command()
@parameters.run_argument()
@click.argument("name", required=False, metavar="[NAME]")
@parameters.step_option("Only what this step kept.")
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Where to write it; a folder, or - for standard output.",
)
@parameters.json_option("One JSON object for each file.")
@pass_session
def command(
    session: Session, *, run: str, name: str | None, step: str | None, out: Path | None, as_json: bool
) -> int:
    """List the files that a RUN kept, or fetch the one called NAME.

    A fetched file is checked against its digest. Nothing that exists is overwritten.
    """
    from towpath.server.shapes import artifacts as shapes

    app = session.app()
    row = app.reader.run(run)
    kept = [one for one in app.reader.artifacts(row.number) if step is None or one.path == step]
    if name is not None:
        return _fetch(session, shapes.newest(kept, name), out)
    _list(session, kept, as_json=as_json)
    return exit_codes.OK


def _list(session: Session, kept: list[ArtifactRow], *, as_json: bool) -> None:
    from towpath.cli.views import facts
    from towpath.cli.views.lines import line, safe, table
    from towpath.observe import words
    from towpath.server.shapes import artifacts as shapes

    if as_json:
        for one in kept:
            click.echo(facts.json_line(shapes.artifact_object(one)))
    elif kept:
        rows = [
            (
                line((safe(one.name), "name")),
                line(words.size(one.size)),
                line((safe(one.path), "dim")),
                line((one.digest[:12], "dim")),
            )
            for one in kept
        ]
        session.out.show(*table(rows, width=session.out.width, flexible=0))
    else:
        session.out.say("the run kept no files")


def _fetch(session: Session, one: ArtifactRow, out: Path | None) -> int:
    from towpath.errors import Refused

    artifacts = session.app().artifacts
    if str(out) == "-":
        for part in artifacts.read(one.digest):
            sys.stdout.buffer.write(part)
        return exit_codes.OK
    target = Path(Path(one.name).name) if out is None else out / Path(one.name).name if out.is_dir() else out
    if target.exists():
        raise Refused(f"{target} exists already", help="name another file with --out")
    artifacts.copy_to(one.digest, target)
    session.out.say("wrote ", (str(target), "name"))
    return exit_codes.OK
