"""A project that a server serves, for the commands: what they ask of an App is asked of the server.

The project's own files (towpath.yaml and the workflows) are fetched when a command needs them, into a folder that goes with the command.
So people, calendars and workflows are worked out here by the code that does it everywhere; runs are folded here from their facts. What
is decided is decided by the server.
"""

from __future__ import annotations

import functools
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, NoReturn

import towpath
from towpath.app import App
from towpath.cli.remote.artifacts import RemoteArtifacts
from towpath.cli.remote.engine import RemoteEngine
from towpath.cli.remote.reader import (
    HERE_HELP,
    ReadOnly,
    RemoteEvents,
    RemoteIdentities,
    RemoteLog,
    RemoteOutbox,
    RemoteOwners,
    RemoteReader,
)
from towpath.cli.remote.secrets import RemoteSecrets
from towpath.cli.remote.telling import order_of
from towpath.cli.remote.wire import API, Wire
from towpath.core.run import Json
from towpath.definition import loader
from towpath.definition.inputs import complete_inputs
from towpath.engines.contract import StartRequest
from towpath.errors import NotFound, Refused
from towpath.server.shapes import rows
from towpath.settings import Settings
from towpath.store.contract import Definition, RunNumber, RunRow, SendingId

if TYPE_CHECKING:
    from towpath.core.stimuli import AnyStimulus
    from towpath.editions.pinned import Pinned
    from towpath.people.channels.terminal import Terminal
    from towpath.people.desk import Desk


class RemoteApp(App):
    """An App that reaches its data over HTTP."""

    serves_elsewhere = True

    def __init__(self, wire: Wire) -> None:
        self.wire = wire
        try:
            hello = say_hello(wire)
        except BaseException:
            wire.close()
            raise
        self._mirror = Path(tempfile.mkdtemp(prefix="tow-"))
        """Where the project's files are put; the folder of the data folder's place, which stays empty, lies beside it."""
        data = self._mirror / "data"
        super().__init__(Settings(project=self._mirror / "project", data=data, user=hello.name))
        self.folder.root.mkdir()
        self.folder.database.touch()
        self.settings.project.mkdir()

    @functools.cached_property
    def _own(self) -> Pinned:
        """The project, fetched."""
        from towpath.editions.pinned import Pinned

        files: rows.Files = self.wire.rows("project", rows.Files)
        for name, text in files.texts.items():
            path = self.settings.project / _inside(name)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        return Pinned(self.settings.project)

    @functools.cached_property
    def reader(self) -> RemoteReader:  # type: ignore[override] # the same questions, over HTTP
        """What is in the server's store."""
        return RemoteReader(self.wire)

    @functools.cached_property
    def store(self) -> RemoteStore:  # type: ignore[override] # the part of a store that commands read
        """The server's store, to read."""
        return RemoteStore(self.wire, self.reader)

    @functools.cached_property
    def desk(self) -> Desk:
        """Who may say what, as the server's project says; what the server alone knows of people, it judges itself."""
        from towpath.people.desk import Desk

        return Desk(self.project_file, self.settings.project)

    @functools.cached_property
    def sealed_secrets(self) -> RemoteSecrets:  # type: ignore[override] # names come, values only go
        """The server's encrypted store of secrets."""
        return RemoteSecrets(self.wire)

    def log_reader(  # type: ignore[override] # the same lines, over HTTP
        self, number: RunNumber, *, step: str | None = None, attempt: int | None = None
    ) -> RemoteLog:
        """What a run's steps print."""
        return RemoteLog(self.wire, number, step=step, attempt=attempt)

    @functools.cached_property
    def artifacts(self) -> RemoteArtifacts:  # type: ignore[override] # the same files, over HTTP
        """The files that runs keep."""
        return RemoteArtifacts(self.wire, self.reader)

    def find(self, name: str) -> loader.Loaded:
        """A workflow of the server's project, or of a file here."""
        path = Path(name)
        if path.is_file():
            return loader.load_workflow(path, path=name)
        found = self.project.find_workflow(name)
        if found is None:
            known = ", ".join(sorted(self.project.workflows))
            raise NotFound(
                f"the server has no workflow {name!r}", help=f"there are: {known}" if known else ""
            )
        shown = found.relative_to(self.settings.project).as_posix()
        return loader.load_workflow(found, path=shown, project=self.project)

    def request(
        self,
        loaded: loader.Loaded,
        inputs: Mapping[str, Json],
        *,
        started_by: str | None = None,
        break_glass: str = "",
        is_file: bool = False,
    ) -> StartRequest:
        """A start for the server, which completes and judges it."""
        if is_file or Path(loaded.path).is_file():
            raise Refused(
                f"{loaded.path} is a file here, and the server runs the workflows of its own project",
                help="name the workflow, or run the file without --server",
            )
        complete_inputs(loaded.workflow.inputs, inputs, is_text=True)
        return StartRequest(
            workflow=loaded.workflow,
            definition=Definition(digest=loaded.digest, text=loaded.source.text, path=loaded.path),
            inputs=inputs,
            started_by=started_by or self.settings.user,
            break_glass=break_glass,
        )

    def engine(self, command: str, telling: object = None) -> RemoteEngine:  # type: ignore[override] # noqa: ARG002 - the same promises
        """What follows and tells runs of the server."""
        return RemoteEngine(self, self.wire)

    def telling(self, terminal: Terminal | None = None) -> Silent:  # type: ignore[override] # noqa: ARG002 - the server tells people
        """People are told by the server."""
        return Silent()

    def tell(self, row: RunRow, stimulus: AnyStimulus) -> None:
        """Has the server tell a run something; raises Refused."""
        self.wire.post(*order_of(row.number, stimulus))

    def send_again(self, sendings: Sequence[SendingId]) -> None:
        """Has the server send again what could not be told."""
        for one in sendings:
            self.wire.post(f"{API}/outbox/{one}/retry")

    def rehearser(self) -> NoReturn:
        """A server rehearses over its API only."""
        raise Refused("--dry-run looks at the world from here, and the run would be there", help=HERE_HELP)

    def now(self) -> int:
        """Microseconds since the epoch, as the clock here says."""
        return self.clock.now()

    def close(self) -> None:
        """Ends the connections and removes what was fetched."""
        self.wire.close()
        shutil.rmtree(self._mirror, ignore_errors=True)


class RemoteStore(ReadOnly):
    """The part of a store that commands read, over HTTP."""

    def __init__(self, wire: Wire, reader: RemoteReader) -> None:
        self.reader = reader
        self.owners = RemoteOwners(wire)
        self.outbox = RemoteOutbox(wire)
        self.events = RemoteEvents(wire)
        self.identities = RemoteIdentities(wire)


class Silent:
    """Tells nobody: the server does."""

    async def settle_terminal(self) -> None:
        """Nothing is under way here."""


def say_hello(wire: Wire) -> rows.Hello:
    """What the server says of itself; raises Refused where it is of another version."""
    try:
        hello: rows.Hello = wire.rows("hello", rows.Hello)
    except NotFound as error:
        raise Refused(
            f"{wire.url} is no Towpath server, or one of another version than this ({towpath.__version__})",
            help="use the version of the server here",
        ) from error
    if hello.protocol != rows.PROTOCOL:
        raise Refused(
            f"{wire.url} is Towpath {hello.version}, and this is {towpath.__version__}: they do not understand each other",
            help=f"install towpath=={hello.version} here",
        )
    return hello


def _inside(name: str) -> PurePosixPath:
    """A path from elsewhere, as long as it stays inside."""
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or "\\" in name:
        raise Refused(f"the server names a file outside of its project: {name!r}")
    return path
