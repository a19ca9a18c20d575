"""The one place where things are plugged together: settings in, an `App` out.

Everything is made when it is first asked for, so that a command which only reads a list opens no engine and loads no action.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import functools
import hashlib
import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from towpath.core import continuing, stimuli
from towpath.core.events import AnyEvent, SignalReceived
from towpath.core.run import Carried, Json, Run
from towpath.definition import loader, model, projects
from towpath.definition.inputs import complete_inputs
from towpath.definition.problems import DefinitionProblems
from towpath.engines.clock import Clock, WallClock
from towpath.engines.contract import StartRequest, Steady
from towpath.engines.history import PLANS_MAX, Plans, load_run
from towpath.engines.summaries import WAITING_FOR_CHARS_MAX
from towpath.errors import NotFound, Refused, StoreUnavailable, TowpathError
from towpath.settings import Settings
from towpath.store import encoding
from towpath.store.contract import (
    PAGE_ROWS_MAX,
    ArtifactRow,
    Definition,
    Life,
    OwnerRow,
    RunFilter,
    RunNumber,
    RunRow,
    Started,
    Trial,
)
from towpath.store.folder import DataFolder

if TYPE_CHECKING:
    from towpath.definition.actions import ActionCards
    from towpath.definition.project import Environment, ProjectFile
    from towpath.editions.edition import Edition, Ready
    from towpath.editions.keeper import Keeper
    from towpath.editions.pinned import Pinned
    from towpath.editions.repository import Checkouts
    from towpath.engines.embedded import EmbeddedEngine
    from towpath.engines.performing import Tools
    from towpath.engines.rehearsing.rehearser import Rehearser
    from towpath.people.channels.terminal import Terminal
    from towpath.people.desk import Desk
    from towpath.people.latest import LatestFile
    from towpath.people.telling import Telling
    from towpath.steps.catalogue import Catalogue
    from towpath.steps.contract import Action, Egress, HttpRequest, HttpResponse
    from towpath.steps.secrets import SealedSecrets, SecretChain, SecretProvider
    from towpath.store.artifacts import Artifacts
    from towpath.store.logs import LogReader, Logs
    from towpath.store.reader import SqliteReader
    from towpath.store.sqlite import SqliteStore
    from towpath.store.versions import Standing
    from towpath.triggers.contract import Broken, Wanted
    from towpath.triggers.deciding import Decider
    from towpath.triggers.inbox import Inbox
    from towpath.triggers.listening import ProjectWorkflows
    from towpath.triggers.scheduler import Scheduler
    from towpath.triggers.watch import Ends, Metrics, Watcher

Value = TypeVar("Value")

PROJECT_COPIES = "project"
"""The folder of the data folder with the repository that is followed, and its commits."""
PINNED_MAX = 50
"""Commits whose files are known at the same time."""
REPLY_SECONDS = 10.0
"""How long one who leaves a letter waits for the owner's answer."""
REPLY_LOOK_SECONDS = 0.02
OWNER_LOOK_SECONDS = 0.2
"""How often that one looks whether there is still somebody to answer."""
GIT_SECONDS = 10.0
"""How long git may take to say who edited a file."""


class App:
    """A project with its data folder, ready to be used by the command line or the server."""

    serves_elsewhere = False
    """Whether the data lie with a server, and its engine drives the runs that are followed here."""

    def __init__(self, settings: Settings, *, clock: Clock | None = None) -> None:
        self.settings = settings
        self.clock: Clock = clock or WallClock()
        self.folder = DataFolder(settings.data)
        self.keeper: Keeper | None = None
        """What keeps the project up to date in a process that lives for long; None in one that carries out a command."""
        self._pinned: dict[str, Pinned] = {}
        self._steady_versions: dict[str, loader.Loaded | None] = {}
        self._secrets_known: tuple[object, SecretChain] | None = None
        self._heard: tuple[Edition, Mapping[str, loader.Loaded | Broken]] | None = None

    # What there is.

    @property
    def edition(self) -> Edition | None:
        """The project as it is now, in a process that lives for long."""
        return None if self.keeper is None else self.keeper.edition

    @property
    def project(self) -> loader.Project:
        """The project; raises DefinitionError where towpath.yaml has errors."""
        edition = self.edition
        return self._own.project if edition is None else edition.project

    @property
    def catalogue(self) -> Catalogue:
        """Every action that can be used."""
        edition = self.edition
        return self._own.catalogue if edition is None else edition.catalogue

    @functools.cached_property
    def _own(self) -> Pinned:
        """The project as one command sees it, from its beginning to its end."""
        from towpath.editions.pinned import Pinned

        commit = self._followed_commit()
        return self.at(commit) if commit else Pinned(self.settings.project)

    def _followed_commit(self) -> str:
        """The commit that `tow up --git` serves from this data folder, for a command that is used outside of any project."""
        is_project = any(
            (self.settings.project / name).exists()
            for name in (projects.PROJECT_FILE, projects.WORKFLOW_FOLDER)
        )
        if is_project or not self.folder.database.exists():
            return ""
        current = self.reader.versions.commits_standing().current
        return "" if current is None else current.commit

    # Other commits.

    @functools.cached_property
    def checkouts(self) -> Checkouts:
        """The commits of a project that is followed in Git."""
        from towpath.editions.repository import Checkouts

        return Checkouts(self.folder.root / PROJECT_COPIES)

    def folder_at(self, commit: str) -> Path:
        """The project's folder, as it is at a commit; the folder itself without one."""
        return self.checkouts.folder(commit) if commit else self.settings.project

    def at(self, commit: str) -> Pinned:
        """The project as it is at a commit."""
        from towpath.editions.pinned import Pinned

        known = self._pinned.get(commit)
        if known is None or not known.folder.is_dir():
            while len(self._pinned) >= PINNED_MAX:
                self._pinned.pop(next(iter(self._pinned)))
            git = self.checkouts.git
            known = self._pinned[commit] = Pinned(self.folder_at(commit), commit=commit, git=git)
        return known

    def _action(self, name: str, commit: str) -> Action:
        edition = self.edition
        current = (edition.commit if edition is not None else self._own.commit) or ""
        return (self.catalogue if commit in ("", current) else self.at(commit).catalogue).get(name)

    @property
    def cards(self) -> ActionCards:
        """The cards of all actions."""
        return self.catalogue.cards()

    @functools.cached_property
    def plans(self) -> Plans:
        """Definitions laid out."""
        return Plans(self._is_repeatable)

    @functools.cached_property
    def store(self) -> SqliteStore:
        """The store, open for writing; the data folder is made where there is none."""
        from towpath.store.sqlite import open_store

        return open_store(self.settings.data)

    @functools.cached_property
    def reader(self) -> SqliteReader:
        """The store, for reading only; one that is old, or never finished its first start, is brought up to date."""
        from towpath.store.sqlite import open_reader

        try:
            return open_reader(self.settings.data)
        except StoreUnavailable:
            if not self.folder.database.exists():
                raise
            with contextlib.suppress(StoreUnavailable):
                _ = self.store
            return open_reader(self.settings.data)

    @functools.cached_property
    def logs(self) -> Logs:
        """What steps print."""
        from towpath.store.logs import Logs

        return Logs(self.folder.logs)

    def log_reader(
        self, number: RunNumber, *, step: str | None = None, attempt: int | None = None
    ) -> LogReader:
        """What a run's steps print: everything, or a step with all that is inside of it."""
        from towpath.store.logs import LogReader

        return LogReader(self.logs.folder_of(number), step=step, attempt=attempt)

    @functools.cached_property
    def artifacts(self) -> Artifacts:
        """The files that steps keep."""
        from towpath.store.artifacts import Artifacts

        return Artifacts(self.folder.artifacts)

    @functools.cached_property
    def desk(self) -> Desk:
        """Who may say what, and when calendars are open, as the project says now."""
        from towpath.people.desk import Desk
        from towpath.people.vouched import Vouched

        known = Vouched(lambda: self.store.identities, self.clock.now)
        return Desk(self.project_file, lambda run: self.folder_at(run.commit), known=known)

    def project_file(self) -> ProjectFile:
        """What towpath.yaml says now, or said when it had no errors last."""
        edition = self.edition
        return self._latest_file() if edition is None else edition.project.file

    @functools.cached_property
    def _latest_file(self) -> LatestFile:
        from towpath.people.latest import LatestFile

        return LatestFile(self.project.folder, self.project.file)

    @functools.cached_property
    def sealed_secrets(self) -> SealedSecrets:
        """The encrypted store of `tow secrets`."""
        from towpath.steps.secrets import SealedSecrets

        return SealedSecrets(
            path=self.settings.data / "secrets.json", key_path=self.folder.keys / "secrets.key"
        )

    @property
    def secrets(self) -> SecretChain:
        """Where the secrets of steps come from, in the order of towpath.yaml."""
        from towpath.steps.secrets import SecretChain

        said = self.project.file.secrets
        if self._secrets_known is None or self._secrets_known[0] != said:
            chain = SecretChain(providers=tuple(map(self._provider, said.providers)))
            self._secrets_known = said, chain
        return self._secrets_known[1]

    def _provider(self, provider: object) -> SecretProvider:
        from towpath.steps.secrets import EnvironmentSecrets, FileSecrets

        env, file = getattr(provider, "env", None), getattr(provider, "file", None)
        if env is not None:
            return EnvironmentSecrets(environ=os.environ, prefix=env.prefix)
        if file is not None:
            return FileSecrets(folder=self.settings.project / file.folder)
        if getattr(provider, "sealed", None) is not None:
            return self.sealed_secrets
        raise Refused(
            "towpath.yaml names a secret provider that this version cannot use",
            help="use env, file or sealed under `secrets: providers:`",
        )

    # Workflows.

    def find(self, name: str) -> loader.Loaded:
        """The workflow of a file or of a name in the project, checked; raises DefinitionProblems or NotFound.

        A process that lives for long knows names only: who asks it from elsewhere names no files.
        """
        edition = self.edition
        if edition is not None:
            return _in_edition(edition, name)
        path = Path(name)
        if not path.is_file():
            found = self.project.find_workflow(name)
            if found is None:
                raise NotFound(
                    f"there is no workflow {name!r}, and no such file",
                    help=_names(self.project.workflows)
                    or f"{self.project.folder / 'workflows'} has no workflows",
                )
            path = found
        return loader.load_workflow(path, path=self._shown(path), project=self.project, cards=self.cards)

    def _shown(self, path: Path) -> str:
        """A file as people would type it; in a commit's folder, where it stands in the project."""
        return path.relative_to(self._own.folder).as_posix() if self._own.commit else _shown(path)

    def request(
        self,
        loaded: loader.Loaded,
        inputs: Mapping[str, Json],
        *,
        started_by: str | None = None,
        break_glass: str = "",
        is_file: bool = False,
    ) -> StartRequest:
        """A start of a workflow, its inputs completed and judged; texts may stand for other types.

        Args:
            loaded: the newest version of the workflow.
            inputs: as they were given.
            started_by: who starts it; whoever is at the keyboard where that is left out.
            break_glass: the reason of an emergency start.
            is_file: whether this very text is meant, because a file was named: else a version that is being tried, or was sent back,
                gives way to the one that holds.

        """
        ready, trial, steady = self._version_for(loaded, follows=not is_file, tries=not break_glass)
        try:
            completed = complete_inputs(ready.loaded.workflow.inputs, inputs, is_text=True)
        except TowpathError:
            if steady is None:
                raise
            ready, trial, steady = steady, None, None
            completed = complete_inputs(ready.loaded.workflow.inputs, inputs, is_text=True)
        return StartRequest(
            workflow=ready.loaded.workflow,
            definition=_definition(ready),
            inputs=completed,
            started_by=started_by or f"user:{self.settings.user}",
            edited_by=ready.edited_by,
            break_glass=break_glass,
            commit=ready.commit,
            labels={"break_glass": break_glass[:100]} if break_glass else {},
            trial=trial,
            steady=None if steady is None else _steady(steady, inputs),
        )

    # Versions of workflows.

    def steady(self, loaded: loader.Loaded) -> Ready:
        """The version of a workflow that holds, be it that a newer one is being tried."""
        ready, trial, steady = self._version_for(loaded, follows=True, tries=False)
        return ready if trial is None or steady is None else steady

    def pinned_ready(self, loaded: loader.Loaded, commit: str) -> Ready:
        """A version as it stands in a commit."""
        from towpath.editions.edition import Ready

        return Ready(loaded=loaded, edited_by=self.at(commit).editor_of(loaded.path), commit=commit)

    def _version_for(
        self, loaded: loader.Loaded, *, follows: bool, tries: bool
    ) -> tuple[Ready, Trial | None, Ready | None]:
        """The version that a start takes, its place among the first runs of it, and what it takes where there is none."""
        from towpath.editions import trying

        newest = self._ready(loaded)
        standing = self._standing_of(loaded) if follows else None
        if standing is None or standing.next is None:
            return newest, None, None
        steady = self._steady_of(standing)
        row = trying.trial_of(standing, loaded.digest)
        if steady is None or (row is None and not trying.is_sent_back(standing, loaded.digest)):
            return newest, None, None
        if row is None or not tries:
            return steady, None, None
        trial = Trial(after=row.trial_after or RunNumber(0), maximum=row.trial_runs or 0)
        return newest, trial, steady

    def _ready(self, loaded: loader.Loaded) -> Ready:
        """A version as it was found, with who edited it and the commit to which its runs belong."""
        from towpath.editions.edition import Ready

        edition = self.edition
        if edition is not None:
            known = edition.workflows.get(loaded.workflow.name)
            is_same = known is not None and known.loaded.digest == loaded.digest
            return known if known is not None and is_same else Ready(loaded=loaded, commit=edition.commit)
        if self._own.commit and not Path(loaded.path).is_file():
            return Ready(loaded=loaded, edited_by=self._own.editor_of(loaded.path), commit=self._own.commit)
        return Ready(loaded=loaded, edited_by=self.editor_of(Path(loaded.path)))

    def _standing_of(self, loaded: loader.Loaded) -> Standing | None:
        """What is known of the versions of one of the project's workflows; None of another file."""
        name = loaded.workflow.name
        if not self.folder.database.exists():
            return None
        if self.edition is None and not self._is_of_project(loaded):
            return None
        return self.reader.versions.standing(name)

    def _is_of_project(self, loaded: loader.Loaded) -> bool:
        path = self.project.find_workflow(loaded.workflow.name)
        return path is not None and path.resolve() in (
            Path(loaded.path).resolve(),
            (self.project.folder / loaded.path).resolve(),
        )

    def _steady_of(self, standing: Standing) -> Ready | None:
        """The version that holds while another one is tried, or was sent back."""
        from towpath.editions.edition import reload_text
        from towpath.editions.keeper import ready_of

        row = standing.current
        if row is None:
            return None
        if row.digest not in self._steady_versions:
            text = self.reader.definition(row.digest).text
            while len(self._steady_versions) >= PLANS_MAX:
                self._steady_versions.pop(next(iter(self._steady_versions)))
            self._steady_versions[row.digest] = reload_text(text, row.path)
        loaded = self._steady_versions[row.digest]
        return None if loaded is None else ready_of(row, loaded)

    def note_version(self, loaded: loader.Loaded) -> None:
        """Notes the version of a workflow that a command is about to start, and judges one that is tried.

        A process that lives for long does so by itself; a version that is known already costs one look.
        """
        from towpath.editions import trying
        from towpath.editions.keeper import seen_of

        if self.keeper is not None or self.serves_elsewhere or not self._is_of_project(loaded):
            return
        versions, name = self.store.versions, loaded.workflow.name
        standing = versions.standing(name)
        if loaded.digest not in {row.digest for row in (standing.current, standing.next) if row is not None}:
            edited = self._own.edited(self._own.shown(self.project.find_workflow(name) or Path(loaded.path)))
            versions.see((seen_of(loaded, edited=edited, commit=self._own.commit),), at=self.now())
            standing = versions.standing(name)
        row = trying.trial_of(standing, loaded.digest)
        if row is not None:
            trying.judge(versions, row, loaded.workflow.release, at=self.now())

    def _heard_workflows(self) -> Mapping[str, loader.Loaded | Broken] | None:
        """What the workflows of the edition listen to; None where a command reads the files itself."""
        from towpath.triggers.contract import Broken

        edition = self.edition
        if edition is None:
            return None
        if self._heard is None or self._heard[0] is not edition:
            found: dict[str, loader.Loaded | Broken] = {
                one.name: Broken(
                    name=one.name,
                    why=next((problem.message for problem in one.problems), ""),
                    text=one.text,
                    path=one.path,
                )
                for one in edition.broken
            }
            found |= {name: ready.loaded for name, ready in edition.workflows.items()}
            self._heard = edition, found
        return self._heard[1]

    def editor_of(self, path: Path) -> str:
        """Who last edited a workflow: its last commit's author, or who is at the keyboard where it is not committed."""
        edition = self.edition
        if edition is not None:
            known = (one.edited_by for one in edition.workflows.values() if one.loaded.path == str(path))
            return next(known, "")
        here = f"user:{self.settings.user}"
        if not path.is_file():
            return ""
        changed = _git(path.parent, "status", "--porcelain", "--", path.name)
        if changed is None or changed.strip():
            return here
        return (_git(path.parent, "log", "-1", "--format=%ae", "--", path.name) or "").strip() or here

    def continued(self, row: RunRow, reason: str, *, started_by: str | None = None) -> StartRequest:
        """A new run that goes on from an ended one (`retry`), undoes it (`rollback`) or repeats it (`rerun`)."""
        if row.is_open:
            raise Refused(
                f"run {row.number} has not ended: {row.summary.status}",
                help=f"`tow cancel {row.number}` ends it, `tow show {row.number}` tells what it waits for",
            )
        run = load_run(self.reader, row, self.plans)
        workflow: model.Workflow = run.plan.workflow
        carried: tuple[Carried, ...] = ()
        if reason == "retry":
            carried = continuing.carried_for_retry(run)
        elif reason == "rollback":
            carried = continuing.carried_for_rollback(run)
        return StartRequest(
            workflow=workflow,
            definition=self.reader.definition(row.definition),
            inputs=run.inputs,
            started_by=started_by or f"user:{self.settings.user}",
            edited_by=run.edited_by,
            commit=run.commit,
            event=run.event,
            mode="rollback" if reason == "rollback" else "forward",
            continues=run.id if carried else None,
            carried=carried,
            origin=row.number,
            origin_reason=reason,  # type: ignore[arg-type] # one of the three
        )

    @functools.cached_property
    def listening(self) -> ProjectWorkflows:
        """What the workflows listen to, and how what they want is started."""
        from towpath.triggers.listening import ProjectWorkflows

        return ProjectWorkflows(
            project=lambda: self.project,
            load=self.find,
            request=lambda loaded, inputs, by: self.request(loaded, inputs, started_by=by),
            secret=lambda name: self.secrets.get(name),  # noqa: PLW0108 - providers are made when one is asked for
            is_open=self._is_open,
            workflows=self._heard_workflows,
        )

    @functools.cached_property
    def inbox(self) -> Inbox:
        """The door for what arrives: verified, and kept before anybody is answered."""
        from towpath.triggers.inbox import Inbox

        return Inbox(self.store.events, self.listening, now=self.clock.now)

    @functools.cached_property
    def egress(self) -> Egress:
        """The guarded HTTP client of this process."""
        return _LazyEgress()

    @functools.cached_property
    def scheduler(self) -> Scheduler:
        """Keeps an event for every start of a schedule that is due."""
        from towpath.triggers.scheduler import Scheduler

        return Scheduler(self.store.events, self.listening, now=self.clock.now)

    @functools.cached_property
    def watcher(self) -> Watcher:
        """Keeps an event for everything that changed in the repositories and files that triggers name."""
        from towpath.triggers.watch import Watcher

        copies = self.settings.data / "git"
        return Watcher(
            self.store.events, self.listening, folder=self.settings.project, copies=copies, now=self.clock.now
        )

    @functools.cached_property
    def ends(self) -> Ends:
        """Keeps an event for every end of a run that a trigger asks for."""
        from towpath.triggers.watch import Ends

        return Ends(
            self.store.events,
            self.listening,
            lambda: self.reader,
            load=lambda row: load_run(self.reader, row, self.plans),
            now=self.clock.now,
        )

    @functools.cached_property
    def metrics(self) -> Metrics:
        """Keeps an event for every query of a trigger that has held for long enough."""
        from towpath.triggers.watch import Metrics

        return Metrics(self.store.events, self.listening, _LazyEgress(), now=self.clock.now)

    def decider(self, engine: EmbeddedEngine) -> Decider:
        """Decides what the events that were kept start; an engine of this process drives the runs."""
        from towpath.triggers.deciding import Decider

        runs = _TriggeredRuns(self, engine)
        return Decider(self.store.events, self.listening, runs, owner=engine.owner, now=self.clock.now)

    def _is_open(self, calendar: str, at: int) -> bool:
        """Whether a calendar of towpath.yaml is open at an instant."""
        from towpath.people import calendars

        known = self.desk.calendar(calendar)
        if known is None:
            raise NotFound(f"there is no calendar {calendar!r}", help="towpath.yaml names them")
        return calendars.is_open(known, at).is_open

    # Runs.

    def engine(self, command: str, telling: Telling | None = None) -> EmbeddedEngine:
        """An engine of this process; it becomes an owner of runs when it is entered, and people are told from then on."""
        from towpath.engines.embedded import EmbeddedEngine
        from towpath.engines.performing import Performer

        return EmbeddedEngine(
            self.store,
            plans=self.plans,
            performer=Performer(self._tools()),
            library=_ProjectLibrary(self),
            people=self.desk,
            beside=(telling or self.telling()).of,
            clock=self.clock,
            command=command,
            performing_max=self.settings.performing_max,
            base_url=self.settings.base_url,
        )

    def telling(self, terminal: Terminal | None = None) -> Telling:
        """What has people told; *terminal* is where somebody sits in front of this process."""
        from towpath.people.telling import Telling

        return Telling(
            lambda: self.store.outbox,
            desk=self.desk,
            project=self.project_file,
            secrets=_LazySecrets(self),
            egress=_LazyEgress(),
            clock=self.clock,
            terminal=terminal,
        )

    def run(self, name: str) -> tuple[RunRow, Run]:
        """A run by number, id, beginning of an id, or `last`, as the journal has it now."""
        row = self.reader.run(name)
        return row, load_run(self.reader, row, self.plans)

    def events(self, row: RunRow, *, after: int = 0) -> Iterator[tuple[int, AnyEvent]]:
        """The events of a run with their sequences, in order."""
        for sequence, _, record in self.reader.events(row.number, after=after):
            yield sequence, encoding.decode(record)

    def owner_of(self, row: RunRow) -> OwnerRow | None:
        """The process that drives, or drove, an open run."""
        return next((owner for owner in self.store.owners.owners() if owner.id == row.owner), None)

    def tell(self, row: RunRow, stimulus: stimuli.AnyStimulus) -> None:
        """Has the owner of a run told something, and waits until it is durable; raises Refused."""
        from towpath.engines.embedded import mailroom

        if (gone := self._gone(row.number)) is not None:
            raise gone
        letter = self.store.mailbox.post(row.number, mailroom.write_letter(stimulus))
        began = looked = time.monotonic()
        while (now := time.monotonic()) < began + REPLY_SECONDS:
            if now >= looked + OWNER_LOOK_SECONDS:
                looked, gone = now, self._gone(row.number, has_letter=True)
            reply = self.store.mailbox.message(letter).reply
            if reply is not None:
                answer = mailroom.read_reply(reply)
                if answer.refused:
                    raise Refused(answer.refused, help=answer.help)
                return
            if gone is not None:
                raise gone
            time.sleep(REPLY_LOOK_SECONDS)
        raise Refused(
            f"the owner of run {row.number} did not answer within {REPLY_SECONDS:g} s",
            help="it has the letter and will read it; `tow show` tells what came of it",
        )

    async def tell_with(self, engine: EmbeddedEngine, row: RunRow, stimulus: stimuli.AnyStimulus) -> None:
        """Has a run told something by the engine of this process where that drives it, else by its owner; raises Refused."""
        if engine.owns(row.number):
            await engine.tell(row.number, stimulus)
        else:
            await asyncio.to_thread(self.tell, row, stimulus)

    def _gone(self, number: RunNumber, *, has_letter: bool = False) -> Refused | None:
        """Why nobody answers a letter to a run: it has ended, or its owner is gone; None where somebody will."""
        row = self.reader.run(number)
        if not row.is_open:
            return Refused(
                f"run {number} has ended: {row.summary.status}",
                help=f"`tow retry {number}`, `tow rerun {number}` and `tow rollback {number}` start new runs",
            )
        if row.owner is None or self.store.owners.life(row.owner) is not Life.ALIVE:
            later = ", and then reads what you said" if has_letter else ""
            return Refused(
                f"nobody drives run {number}: its owner died",
                help=f"`tow resume {number}` goes on with it{later}",
            )
        return None

    def now(self) -> int:
        """Microseconds since the epoch."""
        return self.clock.now()

    def close(self) -> None:
        """Closes what was opened."""
        for name in ("store", "reader", "logs"):
            opened = self.__dict__.pop(name, None)
            if opened is not None:
                opened.close()

    def _tools(self) -> Tools:
        from towpath.engines.performing import Tools
        from towpath.engines.performing.secrets_in_use import SecretsInUse
        from towpath.steps.processes import EnvironmentBase, ProcessRunner

        _ = self.project  # what is wrong with towpath.yaml is told now
        tools = Tools(
            processes=ProcessRunner(),
            actions=self._action,
            secrets=SecretsInUse(_LazySecrets(self), _OfEnvironments(self, lambda env: env.secrets)),
            egress=_LazyEgress(),
            environment_base=EnvironmentBase.of_host(os.environ, let_through=("VIRTUAL_ENV",)),
            project=self.folder_at,
            workspaces=self.folder.workspaces,
            private=_private_folder(self.folder),
            logs=self.logs,
            keep_artifact=self._keep_artifact,
            labels=frozenset({"local", os.uname().nodename, sys.platform}),
            environment_variables=_OfEnvironments(self, lambda env: env.vars),
            environment_labels=_OfEnvironments(self, lambda env: frozenset(env.runs_on)),
        )
        return dataclasses.replace(tools, rehearse=self._rehearser(tools).for_step)

    def rehearser(self) -> Rehearser:
        """What tells what a run would do; it reads and writes nothing."""
        return self._rehearser(self._tools())

    def _rehearser(self, tools: Tools) -> Rehearser:
        from towpath.engines.rehearsing.rehearser import Rehearser

        return Rehearser(tools, _ProjectLibrary(self), effects_of=self._effects_of)

    def _effects_of(self, action: str) -> str | None:
        """What an action may change, by its card; None where there is none."""
        try:
            return self.catalogue.card(action).effects
        except TowpathError:
            return None

    def _is_repeatable(self, action: str, with_: Mapping[str, Json]) -> bool:
        """Whether an action may be performed twice with these inputs; asked only where an outcome is unknown."""
        try:
            return self.catalogue.get(action).idempotent_with(with_)
        except TowpathError:
            return False

    def _keep_artifact(self, path: Path, row: ArtifactRow) -> None:
        kept = self.artifacts.keep_file(path)
        self.store.keep_artifact(
            dataclasses.replace(row, digest=kept.digest, size=kept.size, kept_at=self.clock.now())
        )


MEMORY = Path("/dev/shm")  # noqa: S108 - the folder in it is ours alone, or it is not used
_PRIVATE_DIGEST_CHARS = 16


def _private_folder(data: DataFolder) -> Path:
    """A folder in memory for this user and this data folder; one on disk where that cannot be had."""
    from towpath.engines.performing.orders import is_ours_alone

    digest = hashlib.sha256(os.fsencode(data.root.resolve())).hexdigest()[:_PRIVATE_DIGEST_CHARS]
    folder = MEMORY / f"towpath-{os.getuid()}-{digest}"
    is_usable = os.access(MEMORY, os.W_OK | os.X_OK) and is_ours_alone(folder)
    return folder if is_usable else data.workspaces


def build(settings: Settings, *, clock: Clock | None = None) -> App:
    """Plugs everything together."""
    return App(settings, clock=clock)


class _ProjectLibrary:
    """The project's workflows, as they are now."""

    def __init__(self, app: App) -> None:
        self._app = app
        self._editors: dict[tuple[str, str], str] = {}

    def find(self, name: str, *, commit: str = "") -> tuple[model.Workflow, Definition]:
        """A workflow as it was at a commit, or the version that holds now; raises NotFound or DefinitionError.

        Versions are tried by runs that somebody or something starts; what runs call is no trial.
        """
        if commit:
            loaded = self._app.at(commit).find(name)
            ready = self._app.pinned_ready(loaded, commit)
        else:
            ready = self._app.steady(self._app.find(name))
        self._editors[ready.loaded.digest, ready.commit] = ready.edited_by
        return ready.loaded.workflow, _definition(ready)

    def edited_by(self, definition: Definition) -> str:
        """Who last edited a definition."""
        known = self._editors.get((definition.digest, definition.commit or ""))
        return self._app.editor_of(Path(definition.path or "")) if known is None else known


class _OfEnvironments(Mapping[str, Value]):
    """Something of every environment, as towpath.yaml says now."""

    def __init__(self, app: App, of: Callable[[Environment], Value]) -> None:
        self._app = app
        self._of = of

    def __getitem__(self, name: str) -> Value:
        return self._of(self._app.project_file().environments[name])

    def __iter__(self) -> Iterator[str]:
        return iter(self._app.project_file().environments)

    def __len__(self) -> int:
        return len(self._app.project_file().environments)


class _LazySecrets:
    """The project's secrets, plugged together when the first one is asked for."""

    name = "secrets"

    def __init__(self, app: App) -> None:
        self._app = app

    def get(self, name: str) -> str:
        """The value of a secret."""
        return self._app.secrets.get(name)


class _TriggeredRuns:
    """The runs of the data folder, as far as events are about them; those that are started here are driven here."""

    def __init__(self, app: App, engine: EmbeddedEngine) -> None:
        self._app = app
        self._engine = engine

    async def start(self, wanted: Wanted) -> Started:
        """Starts a run, or finds the one that the same key has started."""
        request = await asyncio.to_thread(self._app.listening.request, wanted)
        return await self._engine.start(request)

    def open_runs(self, kinds: Sequence[str]) -> Iterator[tuple[RunRow, Run]]:
        """The open runs in which a step may wait for an event of one of these kinds."""
        before: RunNumber | None = None
        while rows := self._app.reader.runs(RunFilter(is_open=True, before=before, rows_max=PAGE_ROWS_MAX)):
            before = rows[-1].number
            for row in rows:
                if _may_wait_for(row.summary.waiting_for, kinds):
                    yield row, load_run(self._app.reader, row, self._app.plans)

    def was_told(self, row: RunRow, by: str) -> bool:
        """Whether a run has been told something by this one."""
        told = (event for _, event in self._app.events(row) if isinstance(event, SignalReceived))
        return any(event.by == by for event in told)

    async def tell(self, row: RunRow, stimulus: stimuli.Signalled) -> None:
        """Tells a run something, through its owner."""
        await self._app.tell_with(self._engine, row, stimulus)


def _may_wait_for(waiting_for: str | None, kinds: Sequence[str]) -> bool:
    """Whether a run that says why it waits could wait for such an event: the one line may not name everything."""
    if waiting_for is None or "more)" in waiting_for or len(waiting_for) >= WAITING_FOR_CHARS_MAX:
        return True
    return any(kind in waiting_for for kind in kinds)


class _LazyEgress:
    """The guarded HTTP client, made at the first request."""

    @functools.cached_property
    def _egress(self) -> Egress:
        from towpath.steps.egress import GuardedEgress

        return GuardedEgress()

    async def send(self, request: HttpRequest) -> HttpResponse:
        """Sends one request."""
        return await self._egress.send(request)


def _git(folder: Path, *words: str) -> str | None:
    """What git says in a folder; None where there is no repository, or no git."""
    import subprocess

    try:
        done = subprocess.run(  # noqa: S603 - our own words, and git is found on the PATH
            ["git", "-C", str(folder), *words],  # noqa: S607 - as above
            capture_output=True,
            text=True,
            timeout=GIT_SECONDS,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout


def _in_edition(edition: Edition, name: str) -> loader.Loaded:
    ready = edition.workflows.get(name)
    if ready is not None:
        return ready.loaded
    for one in edition.broken:
        if name in (one.name, one.path):
            raise DefinitionProblems(one.problems)
    raise NotFound(f"there is no workflow {name!r}", help=_names(edition.workflows))


def _definition(ready: Ready) -> Definition:
    loaded = ready.loaded
    return Definition(
        digest=loaded.digest, text=loaded.source.text, path=loaded.path, commit=ready.commit or None
    )


def _steady(ready: Ready, inputs: Mapping[str, Json]) -> Steady | None:
    """What a start takes where it finds no place among those that try a new version; None where its inputs do not fit."""
    try:
        completed = complete_inputs(ready.loaded.workflow.inputs, inputs, is_text=True)
    except TowpathError:
        return None
    return Steady(
        workflow=ready.loaded.workflow,
        definition=_definition(ready),
        inputs=completed,
        edited_by=ready.edited_by,
        commit=ready.commit,
    )


def _shown(path: Path) -> str:
    """A path as people would type it from here."""
    try:
        return str(path.absolute().relative_to(Path.cwd()))
    except ValueError:
        return str(path)


def _names(workflows: Mapping[str, object]) -> str:
    return f"there are: {', '.join(sorted(workflows))}" if workflows else ""
