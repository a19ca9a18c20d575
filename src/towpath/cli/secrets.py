"""`tow secrets`."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from towpath.cli import exit_codes, parameters
from towpath.cli.session import Session, pass_session

VALUE_BYTES_MAX = 64 * 1024


@click.group()
def command() -> None:
    """Keep secrets in the encrypted store of the data folder.

    A workflow names a secret as ${{ secrets.NAME }}; it is opened at the moment of use and masked in everything that is stored. The key
    is made at first use and readable by this user only.
    """


@command.command("set")
@click.argument("name")
@click.option(
    "--file", type=click.Path(path_type=Path), metavar="FILE", help="Take the value from a file, as it is."
)
@pass_session
def set_(session: Session, *, name: str, file: Path | None) -> int:
    """Keep a value under NAME; it is asked for without showing it, or read from standard input.

    A last newline of what is piped in is not part of the value. There is no option for the value: other users would see it.
    """
    value = _value(name, file)
    session.app().folder.make()
    session.app().sealed_secrets.set(name, value)
    session.out.say(
        "the secret ",
        (name, "name"),
        " is kept; steps read it as ",
        ("${{ secrets." + name + " }}", "command"),
    )
    return exit_codes.OK


def _value(name: str, file: Path | None) -> str:
    from towpath.errors import LimitExceeded, Refused

    if file is not None:
        try:
            data = file.read_bytes()
        except OSError as error:
            raise Refused(f"{file} cannot be read: {error.strerror}") from None
    elif sys.stdin.isatty():
        data = click.prompt(f"value of {name}", hide_input=True, confirmation_prompt=True).encode()
    else:
        data = sys.stdin.buffer.read(VALUE_BYTES_MAX + 2).removesuffix(b"\n")
    if len(data) > VALUE_BYTES_MAX:
        raise LimitExceeded(f"a secret has at most {VALUE_BYTES_MAX // 1024} KiB", limit="VALUE_BYTES_MAX")
    if not data:
        raise Refused("the value is empty: nothing was kept")
    try:
        return data.decode()
    except UnicodeDecodeError:
        raise Refused("the value is not UTF-8 text", help="encode it, for example as base64") from None


@command.command("list")
@parameters.json_option("One JSON object for each secret.")
@pass_session
def list_(session: Session, *, as_json: bool) -> int:
    """List the names of the secrets and when they were set; no value is ever shown."""
    from towpath.cli.views import facts
    from towpath.cli.views.lines import line, table

    entries = session.app().sealed_secrets.list()
    if as_json:
        for entry in entries:
            click.echo(facts.json_line({"name": entry.name, "set_at": entry.set_at.isoformat()}))
        return exit_codes.OK
    if not entries:
        session.out.say("no secrets; ", ("tow secrets set NAME", "command"), " keeps one")
        return exit_codes.OK
    rows = [
        (line((entry.name, "name")), line((f"set {entry.set_at.astimezone():%Y-%m-%d %H:%M}", "dim")))
        for entry in entries
    ]
    session.out.show(*table(rows, width=session.out.width))
    return exit_codes.OK


@command.command("rm")
@click.argument("names", nargs=-1, required=True, metavar="NAME...")
@pass_session
def rm(session: Session, *, names: tuple[str, ...]) -> int:
    """Forget secrets."""
    for name in names:
        session.app().sealed_secrets.remove(name)
        session.out.say("the secret ", (name, "name"), " is forgotten")
    return exit_codes.OK
