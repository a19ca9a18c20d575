"""Everything of a project that has to be looked at, each when its time has come."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal, Protocol, TypeAlias

from towpath.core.run import Micros
from towpath.definition.triggers import File, GitPoll
from towpath.errors import StoreUnavailable, TowpathError
from towpath.store.contract import Events, StaleMark
from towpath.triggers import listening
from towpath.triggers.contract import Project
from towpath.triggers.watch.files import FileWatch
from towpath.triggers.watch.polling import GitPolling

SECOND: Micros = 1_000_000
Kind: TypeAlias = Literal["repository", "file"]
KINDS: tuple[Kind, ...] = ("repository", "file")
AT_ONCE = 4
"""Repositories and paths that are looked at at the same time: one that does not answer holds up few others."""
FILES_EVERY_SECONDS = 2
"""How often files are looked at."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Looked:
    """What one look gave."""

    kept: int = 0
    """Events."""
    errors: tuple[tuple[str, str], ...] = ()
    """What could not be looked at, and why; it is tried again when its time comes."""
    next_at: Micros | None = None
    """When something is to be looked at next; None where nothing is watched."""


class _Watch(Protocol):
    """One thing that is looked at."""

    def look(self, now: Micros) -> int:
        """Keep an event for every change; returns how many."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Watched:
    """What is looked at, how often, and how it is made."""

    name: str
    kind: Kind
    every: Micros
    make: Callable[[], _Watch]


class Watcher:
    """Looks at repositories and files; its methods block as long as git and the disk take, so call them in a thread."""

    def __init__(
        self, events: Events, project: Project, *, folder: Path, copies: Path, now: Callable[[], Micros]
    ) -> None:
        self._events = events
        self._project = project
        self._folder = folder
        self._copies = copies
        self._now = now
        self._due: dict[Kind, dict[str, Micros]] = {kind: {} for kind in KINDS}

    def look(self, kinds: Sequence[Kind] = KINDS) -> Looked:
        """Look at everything whose time has come, and keep an event for every change.

        Each kind may be looked at by a thread of its own: a repository that does not answer holds up no files.
        """
        found = [self._look(kind) for kind in kinds]
        return Looked(
            kept=sum(one.kept for one in found),
            errors=tuple(error for one in found for error in one.errors),
            next_at=min((one.next_at for one in found if one.next_at is not None), default=None),
        )

    def _look(self, kind: Kind) -> Looked:
        now = self._now()
        due = self._due[kind]
        watched = [one for one in self._watched() if one.kind == kind]
        ripe = [one for one in watched if not now < due.get(one.name, 0) <= now + one.every]
        self._due[kind] = due = {one.name: due.get(one.name, 0) for one in watched}
        due.update({one.name: now + one.every for one in ripe})
        kept = 0
        errors: list[tuple[str, str]] = []
        with ThreadPoolExecutor(AT_ONCE, thread_name_prefix=f"watch-{kind}") as pool:
            for one, looking in [(one, pool.submit(_look_at, one, now)) for one in ripe]:
                try:
                    kept += looking.result()
                except StoreUnavailable:
                    raise
                except TowpathError as problem:
                    errors.append((one.name, problem.message))
        return Looked(kept=kept, errors=tuple(errors), next_at=min(due.values(), default=None))

    def _watched(self) -> Iterator[_Watched]:
        repositories: defaultdict[str, list[GitPoll]] = defaultdict(list)
        files: defaultdict[str, list[File]] = defaultdict(list)
        for _, trigger in listening.entries(self._project.listeners()):
            if isinstance(trigger.settings, GitPoll):
                repositories[trigger.settings.url].append(trigger.settings)
            elif isinstance(trigger.settings, File):
                files[trigger.settings.path].append(trigger.settings)
        for url, polls in repositories.items():
            every = round(min(poll.every for poll in polls) * SECOND)
            yield _Watched(
                name=url, kind="repository", every=every, make=partial(self._repository, url, polls)
            )
        for path, watches in files.items():
            settle = round(min(watch.settle for watch in watches) * SECOND)
            make = partial(FileWatch, self._events, path, self._folder, settle=settle)
            yield _Watched(name=path, kind="file", every=FILES_EVERY_SECONDS * SECOND, make=make)

    def _repository(self, url: str, polls: list[GitPoll]) -> GitPolling:
        """A repository, for all who ask for it; the token is that of the first who names one."""
        secret = next((poll.secret for poll in polls if poll.secret is not None), None)
        token = None if secret is None else self._project.secret(secret)
        return GitPolling(self._events, url, self._copies, token=token, wanted=polls)


def _look_at(one: _Watched, now: Micros) -> int:
    try:
        return one.make().look(now)
    except StaleMark:
        return 0  # another process was quicker, and has kept the same
