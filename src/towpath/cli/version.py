"""`tow version`."""

from __future__ import annotations

import platform
import sqlite3

import click

import towpath


@click.command()
@click.option("--json", "as_json", is_flag=True, help="As a JSON object.")
def command(*, as_json: bool) -> None:
    """Print the version, and those of what it runs on."""
    parts = {
        "towpath": towpath.__version__,
        "python": platform.python_version(),
        "sqlite": sqlite3.sqlite_version,
        "system": f"{platform.system()} {platform.release()}",
    }
    if as_json:
        from towpath.cli.views import facts

        click.echo(facts.json_line(parts))
    else:
        click.echo(
            f"tow {parts['towpath']} (Python {parts['python']}, SQLite {parts['sqlite']}, {parts['system']})"
        )
