"""The workflows of a project as triggers see them: what each listens to, and whether a run of it could come to a secret."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TypeAlias

from towpath.core.run import Json, Micros
from towpath.definition import loader, model, projects
from towpath.definition.triggers import Trigger
from towpath.engines.contract import StartRequest
from towpath.errors import NotFound, TowpathError
from towpath.triggers.contract import Broken, Listener, Wanted

_SECRET = re.compile(r"\bsecrets\b")
Stamp: TypeAlias = tuple[int, int]
"""When a file was changed, and its length: another one has to be read again."""
Workflows: TypeAlias = Mapping[str, loader.Loaded | Broken]
Request: TypeAlias = Callable[[loader.Loaded, Mapping[str, Json], str], StartRequest]


class ProjectWorkflows:
    """Keeps `contract.Project`: every workflow is read when it is first asked, and again when its file has changed."""

    def __init__(
        self,
        *,
        project: Callable[[], projects.Project],
        load: Callable[[str], loader.Loaded],
        request: Request,
        secret: Callable[[str], str],
        is_open: Callable[[str, Micros], bool],
        workflows: Callable[[], Workflows | None] = lambda: None,
    ) -> None:
        """*workflows* gives all of them where somebody else keeps them up to date; else they are read here."""
        self._project = project
        self._load = load
        self._request = request
        self._secret = secret
        self._is_open = is_open
        self._kept = workflows
        self._read: dict[Path, tuple[Stamp, loader.Loaded | Broken]] = {}
        self._known: tuple[Workflows, tuple[Listener | Broken, ...]] | None = None
        """What was loaded last, and what it listens to: most events find nothing changed."""

    def listeners(self) -> Sequence[Listener | Broken]:
        """Every workflow, as it is now; of several with one name the first."""
        loaded = self.workflows()
        if self._known is None or self._known[0] != loaded:
            self._known = loaded, tuple(self._heard(one, loaded) for one in loaded.values())
        return self._known[1]

    def listener(self, loaded: loader.Loaded) -> Listener:
        """One workflow, which may be a file outside of the project."""
        return _listener(loaded, self.workflows())

    def _heard(self, one: loader.Loaded | Broken, others: Workflows) -> Listener | Broken:
        return one if isinstance(one, Broken) else _listener(one, others)

    def request(self, wanted: Wanted) -> StartRequest:
        """The start of a run; raises TowpathError where its inputs do not fit."""
        loaded = self.workflows().get(wanted.workflow)
        if not isinstance(loaded, loader.Loaded):
            raise NotFound(f"there is no workflow {wanted.workflow!r} any more")
        return request_for(loaded, wanted, self._request)

    def secret(self, name: str) -> str:
        """The value of a secret; raises NotFound or Refused."""
        return self._secret(name)

    def is_open(self, calendar: str, at: Micros) -> bool:
        """Whether a calendar of the project is open at an instant; raises NotFound."""
        return self._is_open(calendar, at)

    def workflows(self) -> Workflows:
        """Every workflow of the project as it is now, by its name; of several with one name the first."""
        kept = self._kept()
        if kept is not None:
            return kept
        found: dict[str, loader.Loaded | Broken] = {}
        for path in self._project().workflow_files():
            one = self._loaded(path)
            found.setdefault(one.name if isinstance(one, Broken) else one.workflow.name, one)
        return found

    def _loaded(self, path: Path) -> loader.Loaded | Broken:
        try:
            stat = path.stat()
        except OSError as error:
            return Broken(name=path.stem, why=error.strerror or str(error), path=str(path))
        stamp = (stat.st_mtime_ns, stat.st_size)
        kept = self._read.get(path)
        if kept is None or kept[0] != stamp:
            kept = (stamp, self._fresh(path))
            self._read[path] = kept
        return kept[1]

    def _fresh(self, path: Path) -> loader.Loaded | Broken:
        try:
            return self._load(str(path))
        except TowpathError as problem:
            text = projects.read_file(path).text
            why = problem.message.strip().splitlines()[0]
            return Broken(name=path.stem, why=why, text=text, path=str(path))


def request_for(loaded: loader.Loaded, wanted: Wanted, request: Request) -> StartRequest:
    """The start of the run that a trigger of a workflow wants; raises TowpathError where its inputs do not fit."""
    made = request(loaded, wanted.inputs, wanted.started_by)
    return dataclasses.replace(made, start_key=wanted.start_key, event=wanted.event)


def entries(listeners: Sequence[Listener | Broken]) -> Iterator[tuple[Listener, Trigger]]:
    """Every entry of `on:` of every workflow that loads."""
    for listener in listeners:
        if isinstance(listener, Listener):
            for trigger in listener.triggers:
                yield listener, trigger


def _listener(loaded: loader.Loaded, others: Workflows) -> Listener:
    names_secrets = any(_SECRET.search(one.source.text) for one in _with_called(loaded, others))
    return Listener(workflow=loaded.workflow, names_secrets=names_secrets)


def _with_called(loaded: loader.Loaded, known: Workflows) -> Iterator[loader.Loaded]:
    """A workflow and those that it calls, however far down."""
    seen = {loaded.workflow.name}
    waiting = [loaded]
    while waiting:
        here = waiting.pop()
        yield here
        for name in _calls(here.workflow):
            called = known.get(name)
            if name not in seen and isinstance(called, loader.Loaded):
                seen.add(name)
                waiting.append(called)


def _calls(part: model.Workflow | model.Step) -> Iterator[str]:
    if isinstance(part, model.WorkflowStep):
        yield part.workflow
    for _, steps in part.children():
        for step in steps:
            yield from _calls(step)
