"""`tow backup`."""

from __future__ import annotations

from pathlib import Path

import click

from towpath.cli import exit_codes
from towpath.cli.session import Session, pass_session


@click.command()
@click.argument("file", type=click.Path(path_type=Path), metavar="FILE")
@click.option(
    "--keys",
    is_flag=True,
    help="With the key of the encrypted secrets; keep such a file as safe as the secrets.",
)
@click.option("--force", is_flag=True, help="Overwrite FILE.")
@pass_session
def command(session: Session, *, file: Path, keys: bool, force: bool) -> int:
    """Write the whole data folder into FILE while runs go on, and check what was written.

    It holds the journal, the logs, the kept files and the encrypted secrets; the key of the secrets only with --keys.
    """
    from towpath.observe import words
    from towpath.store import backup

    manifest = backup.back_up(session.app().settings.data, file, keys=keys, overwrite=force)
    what = f"{words.counted(len(manifest.files), 'file')}, {words.size(manifest.bytes)}"
    session.out.say(
        "wrote and checked ", (str(file), "name"), f": {what}", ("" if keys else ", without keys", "dim")
    )
    return exit_codes.OK
