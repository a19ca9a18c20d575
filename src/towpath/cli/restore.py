"""`tow restore`."""

from __future__ import annotations

from pathlib import Path

import click

from towpath.cli import exit_codes
from towpath.cli.session import Session, pass_session


@click.command()
@click.argument("file", type=click.Path(path_type=Path), metavar="FILE")
@click.option(
    "--force", is_flag=True, help="Replace the data that is there; it is kept beside under another name."
)
@click.option("--check", is_flag=True, help="Only check FILE; change nothing.")
@pass_session
def command(session: Session, *, file: Path, force: bool, check: bool) -> int:
    """Bring the data folder back from a backup, after everything in it was checked.

    Nothing is touched when the file is damaged, or while a process drives runs in the data folder. Runs that were open when the backup
    was made go on with `tow resume`.
    """
    from towpath.observe import words
    from towpath.store import backup

    data = session.app().settings.data
    manifest = backup.check_backup(file) if check else backup.restore(file, data, force=force)
    when = words.moment(manifest.created_at, now=session.app().now())
    what = f"{words.counted(len(manifest.files), 'file')}, {words.size(manifest.bytes)}, of {when}"
    session.out.say(
        "whole and undamaged: " if check else "restored ", (str(file if check else data), "name"), f": {what}"
    )
    return exit_codes.OK
