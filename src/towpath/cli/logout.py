"""`tow logout`."""

from __future__ import annotations

import click

from towpath.cli import exit_codes
from towpath.cli.session import Session, pass_session


@click.command()
@click.argument("url", metavar="URL")
@pass_session
def command(session: Session, *, url: str) -> int:
    """Forget the token for the server at URL. The token itself stays valid: `tow tokens revoke` ends it."""
    from towpath.cli.remote import servers
    from towpath.cli.remote.wire import check_url
    from towpath.errors import NotFound

    address = check_url(url)
    if address not in servers.known():
        raise NotFound(f"no token for {address} is kept here")
    servers.keep(address, None)
    session.out.say(f"the token for {address} is forgotten here")
    return exit_codes.OK
