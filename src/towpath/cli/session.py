"""What every command has at hand: where the project and its data are, the streams, and who is at the keyboard."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import click

from towpath.cli.views.lines import Screen, screen_of
from towpath.errors import Refused

if TYPE_CHECKING:
    from towpath.app import App


@dataclass(slots=True, kw_only=True)
class Session:
    """One command line being carried out."""

    project: Path | None = None
    data: Path | None = None
    server: str | None = None
    """The server to which the commands talk; None where they use a data folder."""
    _app: App | None = field(default=None, repr=False)

    def app(self, start: Path | None = None) -> App:
        """The project with its data, plugged together at the first call; *start* is a file that was named."""
        if self._app is None and self.server is not None:
            from towpath.cli.remote import servers
            from towpath.cli.remote.app import RemoteApp
            from towpath.cli.remote.wire import Wire

            self._app = RemoteApp(Wire(self.server, servers.token_for(self.server)))
        if self._app is None:
            from towpath import app, settings

            found = settings.load(start or Path.cwd(), project=self.project, data=self.data)
            self._app = app.build(found)
        return self._app

    def actor(self, by: str | None = None) -> str:
        """Who acts: `user:ada`. On a server that is whose token it is, and nobody else."""
        name = by or self.app().settings.user
        if self.server is not None and name not in (
            known := self.app().settings.user,
            known.partition(":")[2],
        ):
            raise Refused(
                f"on {self.server} you are {known}",
                help="who you are there is told by your token: leave --as out, or use another token",
            )
        return name if ":" in name else f"user:{name}"

    @property
    def out(self) -> Screen:
        """Standard output."""
        return screen_of(sys.stdout)

    @property
    def err(self) -> Screen:
        """Standard error."""
        return screen_of(sys.stderr)

    @property
    def is_interactive(self) -> bool:
        """Whether a person sits there who can be asked."""
        return sys.stdin.isatty() and self.out.is_terminal

    def close(self) -> None:
        """Closes what was opened."""
        if self._app is not None:
            self._app.close()
            self._app = None


pass_session = click.make_pass_decorator(Session, ensure=True)
"""Gives a command its session as the first argument."""
