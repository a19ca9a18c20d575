"""Keeps the edition of a process that lives for long: looks where the project comes from, and replaces the edition as a whole.

What does not load never replaces what does. In a folder every file stands for itself: of one that does not load the version before goes
on, as it was kept with the versions. A commit stands for all of its files: where one of them does not load, the commit before goes on.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import Final, Protocol

from towpath.definition import loader
from towpath.definition.problems import DefinitionProblems, Problem
from towpath.editions import trying
from towpath.editions.edition import BrokenFile, Edition, Reading, Ready, reload_text
from towpath.errors import BugError, StoreUnavailable, TowpathError
from towpath.store.contract import Microseconds
from towpath.store.versions import NewCommit, Seen, SqliteVersions, Standing, VersionRow

_LOG = logging.getLogger("towpath.project")
RELOADS_MAX: Final = 1_000
"""Older versions that are kept laid out."""
PROBLEMS_LOGGED_MAX: Final = 5
"""Problems of one look that go to the log."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Edited:
    """Who edited a file last, when, and why."""

    author: str = ""
    at: Microseconds | None = None
    message: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What a look at where the project comes from has found."""

    reading: Reading
    edited: Mapping[str, Edited]
    """By the file's name from the project's folder."""
    commit: NewCommit | None = None
    """None in a plain folder."""


class Source(Protocol):
    """Where a project comes from; used by one thread at a time, and may block."""

    @property
    def shown(self) -> str:
        """How people call it; no password in it."""

    @property
    def folder(self) -> Path:
        """Where the files of what was found last lie."""

    def resume(self) -> Found | None:
        """What it was when a process kept it last; None where that is not known, or is what it is now."""

    def look(self) -> Found | None:
        """What it is now; None where that is what was found last. Raises TowpathError."""

    def tidy(self, needed: frozenset[str]) -> None:
        """Remove what belongs to no commit of these."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KeeperState:
    """How the following of the project goes, for health, metrics and pages."""

    source: str
    """The folder, or the repository without a password."""
    commit: str = ""
    """The commit that runs take; empty in a plain folder."""
    looked_at: Microseconds = 0
    """When it was looked at last with success."""
    error: str = ""
    """Why it cannot be looked at; what was there before goes on."""
    problems: tuple[Problem, ...] = ()
    """Everything because of which what is there now is not taken, or not all of it."""
    broken_commit: str = ""
    """A newer commit that does not load."""


class Keeper:
    """Keeps the edition; `look` may be called by any thread, one at a time gets in."""

    def __init__(
        self,
        source: Source,
        versions: SqliteVersions,
        *,
        text_of: Callable[[str], str],
        now: Callable[[], Microseconds],
        every_seconds: float,
        is_git: bool,
    ) -> None:
        """*text_of* gives the text of a version by its digest; *every_seconds* is how often its owner means to look."""
        self.every_seconds = every_seconds
        self.is_git = is_git
        self._source = source
        self._versions = versions
        self._text_of = text_of
        self._now = now
        self._lock = threading.Lock()
        self._found: Found | None = None
        self._standing: Mapping[str, Standing] = {}
        self._edition: Edition | None = None
        self._reloads: dict[str, loader.Loaded | None] = {}
        self._state = KeeperState(source=source.shown)

    @property
    def edition(self) -> Edition:
        """The project as it is now."""
        if self._edition is None:
            raise BugError("the project was not looked at yet")
        return self._edition

    @property
    def state(self) -> KeeperState:
        """How it goes."""
        return self._state

    def begin(self) -> None:
        """The first look; raises TowpathError where there is nothing that loads, neither now nor from before."""
        with self._lock:
            before = self._source.resume()
            if before is not None and not before.reading.errors:
                self._found = before
                self._publish()
                broken = self._versions.commits_standing().broken
                if broken is not None:
                    self._state = replace(self._state, problems=broken.problems, broken_commit=broken.commit)
            self._look()
        if self._edition is not None:
            return
        if self._state.problems:
            raise DefinitionProblems(self._state.problems)
        raise StoreUnavailable(
            f"{self._source.shown} cannot be read: {self._state.error}",
            help="it was never read before, so there is nothing to go on with",
        )

    def look(self) -> bool:
        """Looks, takes what is new and loads, and judges versions that are tried; tells whether the edition changed."""
        with self._lock:
            return self._look()

    def look_again(self) -> bool:
        """Takes what somebody decided about versions, and asks nobody else."""
        with self._lock:
            return self._found is not None and self._publish()

    def find_commits(self) -> frozenset[str]:
        """The commits of which starts may still take a version."""
        standing = (one.current for one in self._standing.values())
        found = {row.commit for row in standing if row is not None and row.commit}
        return frozenset({*found, *({self.edition.commit} - {""})})

    def tidy(self, needed: frozenset[str]) -> None:
        """Remove what belongs to no commit of these, nor to one that starts may take."""
        with self._lock:
            self._source.tidy(needed | self.find_commits())

    def _look(self) -> bool:
        is_new = False
        try:
            found = self._source.look()
            if found is not None:
                is_new = self._take(found)
            self._state = replace(self._state, looked_at=self._now(), error="")
        except StoreUnavailable:
            raise
        except TowpathError as error:
            if self._state.error != error.message:
                _LOG.warning("project.not_read: what it was before goes on: %s", error.message)
            self._state = replace(self._state, error=error.message)
        if self._found is None:
            return False
        self._judge()
        return self._publish(is_new=is_new)

    # What was found.

    def _take(self, found: Found) -> bool:
        """Notes what was found, and takes it where it loads; tells whether it was taken."""
        reading, at = found.reading, self._now()
        problems = reading.errors
        if found.commit is not None:
            return self._take_commit(found, found.commit, problems, at)
        self._state = replace(self._state, problems=problems)
        _tell(problems, self._source.shown)
        if reading.project is None:
            return False  # nothing was ever read here that loads
        seen = (*_good(found), *_broken(found, self._versions.all_standing()))
        self._versions.see(seen, at=at, is_all=True)
        self._found = found
        return True

    def _take_commit(
        self, found: Found, commit: NewCommit, problems: tuple[Problem, ...], at: Microseconds
    ) -> bool:
        if problems:
            _tell(problems, f"{self._source.shown} at {commit.commit[:12]}")
            self._versions.follow(
                replace(commit, problems=problems), _broken(found, self._versions.all_standing()), at=at
            )
            self._state = replace(self._state, problems=problems, broken_commit=commit.commit)
            return False
        self._versions.follow(commit, _good(found), at=at)
        self._state = replace(self._state, problems=(), broken_commit="", commit=commit.commit)
        _LOG.info("project.taken commit=%s author=%s", commit.commit[:12], commit.author)
        self._found = found
        return True

    def _judge(self) -> None:
        for name, standing in self._versions.all_standing().items():
            row = standing.next
            if row is not None and row.state == "canary":
                loaded = self._loaded(name, row)
                release = None if loaded is None else loaded.workflow.release
                trying.judge(self._versions, row, release, at=self._now())

    # What starts take.

    def _publish(self, *, is_new: bool = False) -> bool:
        """Makes the edition anew where something of it changed."""
        assert self._found is not None, "there is something to make it of"
        standing = self._versions.all_standing()
        if self._edition is not None and not is_new and standing == self._standing:
            return False
        self._standing = standing
        reading, commit = self._found.reading, self._found.commit
        project = reading.project
        assert project is not None, "what does not load is not taken"
        self._edition = Edition(
            project=project,
            catalogue=reading.catalogue,
            workflows=MappingProxyType(dict(self._ready(self._found, standing))),
            broken=reading.broken,
            problems=reading.problems,
            commit="" if commit is None else commit.commit,
        )
        self._state = replace(self._state, commit=self._edition.commit)
        return True

    def _ready(self, found: Found, standing: Mapping[str, Standing]) -> Iterator[tuple[str, Ready]]:
        commit = "" if found.commit is None else found.commit.commit
        for name, loaded in found.reading.workflows.items():
            known = standing.get(name, Standing())
            before = self._steady(known) if trying.is_sent_back(known, loaded.digest) else None
            edited = found.edited.get(loaded.path, Edited())
            yield name, before or Ready(loaded=loaded, edited_by=edited.author, commit=commit)
        names = {name_of(one, standing) for one in found.reading.broken} - found.reading.workflows.keys()
        for name in sorted(names):
            before = self._steady(standing.get(name, Standing()))
            if before is not None:
                yield name, before

    def _steady(self, standing: Standing) -> Ready | None:
        """The version before the newest, as it was kept."""
        row = standing.current
        loaded = None if row is None else self._reloaded(row)
        return None if row is None or loaded is None else ready_of(row, loaded)

    def _loaded(self, name: str, row: VersionRow) -> loader.Loaded | None:
        known = None if self._found is None else self._found.reading.workflows.get(name)
        return known if known is not None and known.digest == row.digest else self._reloaded(row)

    def _reloaded(self, row: VersionRow) -> loader.Loaded | None:
        if row.digest not in self._reloads:
            if len(self._reloads) >= RELOADS_MAX:
                self._reloads.pop(next(iter(self._reloads)))
            self._reloads[row.digest] = reload_text(self._text_of(row.digest), row.path)
        return self._reloads[row.digest]


def ready_of(row: VersionRow, loaded: loader.Loaded) -> Ready:
    """A version that was kept, as starts take it."""
    return Ready(loaded=loaded, edited_by=row.author, commit=row.commit)


def seen_of(loaded: loader.Loaded, *, edited: Edited, commit: str = "") -> Seen:
    """A version that loads, as it is noted."""
    release = loaded.workflow.release
    return Seen(
        workflow=loaded.workflow.name,
        digest=loaded.digest,
        text=loaded.source.text,
        path=loaded.path,
        commit=commit,
        author=edited.author,
        authored_at=edited.at,
        message=edited.message,
        trial_runs=None if release is None else release.canary.next,
    )


def name_of(one: BrokenFile, standing: Mapping[str, Standing]) -> str:
    """The workflow that a broken file is about: the one that stood in it before, else what the file says itself."""
    by_path = (
        name
        for name, known in standing.items()
        if known.current is not None and known.current.path == one.path
    )
    return one.name if one.name in standing else next(by_path, one.name)


def _good(found: Found) -> Iterator[Seen]:
    commit = "" if found.commit is None else found.commit.commit
    for loaded in found.reading.workflows.values():
        yield seen_of(loaded, edited=found.edited.get(loaded.path, Edited()), commit=commit)


def _broken(found: Found, standing: Mapping[str, Standing]) -> Iterator[Seen]:
    """The files that do not load; of several about one workflow, and of one about a workflow that loads elsewhere, the first counts."""
    told = set(found.reading.workflows) if found.commit is None else set()
    for one in found.reading.broken:
        name = name_of(one, standing)
        if name in told or not one.problems:
            continue
        told.add(name)
        edited = found.edited.get(one.path, Edited())
        yield Seen(
            workflow=name,
            digest=one.digest,
            text=one.text,
            path=one.path,
            commit="" if found.commit is None else found.commit.commit,
            author=edited.author,
            authored_at=edited.at,
            message=edited.message,
            problems=one.problems,
        )


def _tell(problems: tuple[Problem, ...], where: str) -> None:
    for problem in problems[:PROBLEMS_LOGGED_MAX]:
        _LOG.warning(
            "project.broken: %s: %s %s: %s; what it was before goes on",
            where,
            problem.place,
            problem.name,
            problem.message,
        )
