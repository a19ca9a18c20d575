"""`tow login`."""

from __future__ import annotations

import sys

import click

from towpath.cli import exit_codes
from towpath.cli.session import Session, pass_session

TOKEN_CHARS_MAX = 1_000


@click.command()
@click.argument("url", metavar="URL")
@pass_session
def command(session: Session, *, url: str) -> int:
    """Keep a token for the server at URL, so that `tow --server URL` is let in.

    The token is asked for without showing it, or read from standard input; `tow tokens create` or the page of your settings makes one. It
    is tried before it is kept, in a file that only this user can read.
    """
    from towpath.cli.remote import servers
    from towpath.cli.remote.app import say_hello
    from towpath.cli.remote.wire import Wire, check_url
    from towpath.errors import Refused

    address = check_url(url)
    is_typed = sys.stdin.isatty()
    typed = click.prompt("token", hide_input=True) if is_typed else sys.stdin.read(TOKEN_CHARS_MAX + 1)
    token = typed.strip()
    if not token or len(token) > TOKEN_CHARS_MAX or not token.isascii() or not token.isprintable():
        raise Refused("this is no token", help="`tow tokens create` on the server's machine makes one")
    wire = Wire(address, token)
    try:
        hello = say_hello(wire)
    finally:
        wire.close()
    servers.keep(address, token)
    session.out.say("you are ", (hello.name, "name"), f" on {address} (Towpath {hello.version})")
    session.out.say(
        ("use it with ", "dim"),
        (f"tow --server {address} ps", "command"),
        (", or for all commands: ", "dim"),
        (f"export TOW_SERVER={address}", "command"),
    )
    return exit_codes.OK
