"""`tow up`."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click

from towpath import settings
from towpath.cli.session import Session, pass_session

if TYPE_CHECKING:
    from towpath.server.serving import Announcement


@click.command()
@click.option(
    "--listen",
    metavar="ADDRESS:PORT",
    help=f"Where to listen ({settings.LISTEN_DEFAULT}, which only this machine reaches).",
)
@click.option("--base-url", metavar="URL", help="How people reach it, where that is not the address itself.")
@click.option(
    "--allow-host",
    "allowed_hosts",
    multiple=True,
    metavar="NAME",
    help="Another name by which it may be called; repeatable.",
)
@click.option("--tls-cert", type=click.Path(path_type=Path), metavar="FILE", help="The certificate (PEM).")
@click.option("--tls-key", type=click.Path(path_type=Path), metavar="FILE", help="Its key (PEM).")
@click.option(
    "--trust-proxy",
    "trusted_proxies",
    multiple=True,
    metavar="ADDRESS",
    help="A proxy whose X-Forwarded headers count; repeatable.",
)
@click.option("--unsafe-plain-http", is_flag=True, help="Let other machines reach it without TLS.")
@click.option("--git", metavar="URL", help="Serve the project of a repository, and follow it.")
@click.option("--ref", metavar="NAME", help="Its branch or tag (main).")
@click.option("--interval", metavar="DURATION", help="How often the repository is looked at (30s).")
@click.option("--log-format", type=click.Choice(["text", "json"]), help="How the log is written.")
@pass_session
def command(  # noqa: PLR0913 - the options of the command
    session: Session,
    *,
    listen: str | None,
    base_url: str | None,
    allowed_hosts: tuple[str, ...],
    tls_cert: Path | None,
    tls_key: Path | None,
    trusted_proxies: tuple[str, ...],
    unsafe_plain_http: bool,
    git: str | None,
    ref: str | None,
    interval: str | None,
    log_format: Literal["text", "json"] | None,
) -> int:
    """Serve the project: pages and an API, schedules, webhooks and everything else that starts runs.

    One process for each data folder; `tow run` and the other commands work beside it. Only this machine reaches it until told
    otherwise. The first start prints a link with which whoever started it signs in.

    Ctrl-C and SIGTERM end it in order: its steps are ended, and its runs go on when it is started again. A second signal ends it at once.
    """
    from towpath.server.serving import serve

    serving = settings.load_serving(
        listen=listen,
        allowed_hosts=allowed_hosts,
        tls_cert=tls_cert,
        tls_key=tls_key,
        trusted_proxies=trusted_proxies,
        unsafe_plain_http=unsafe_plain_http,
        log_format=log_format,
        git=git,
        ref=ref,
        git_seconds=settings.load_seconds(interval, "--interval") if interval else None,
    )
    own = session.app().settings
    url = base_url or own.base_url
    return serve(
        dataclasses.replace(own, base_url=settings.load_base_url(url) if url else ""),
        serving,
        lambda told: _announce(session, told),
    )


def _announce(session: Session, told: Announcement) -> None:
    out = session.out
    out.say("Towpath serves ", (told.project, "name"), " at ", (told.address, "command"))
    if told.login_link:
        out.say("sign in with this link; it works once: ", (told.login_link, "command"))
    out.stream.flush()
