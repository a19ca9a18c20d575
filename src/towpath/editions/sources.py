"""Where a project comes from: a plain folder, or one ref of a repository."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Final

from towpath.definition.problems import Problem, make_problem
from towpath.editions import authors
from towpath.editions.edition import Reading, read_folder
from towpath.editions.folder import LiveFolder
from towpath.editions.keeper import Edited, Found
from towpath.editions.repository import Checkouts, LeadsOutside, Remote
from towpath.errors import LimitExceeded, TowpathError
from towpath.steps.catalogue import Catalogue
from towpath.store.versions import CommitsStanding, NewCommit
from towpath.triggers.watch.git import GitError, complaint, git_environment

GIT_SECONDS_MAX: Final = 30.0
"""Anything that git is asked about a plain folder."""
SECOND: Final = 1_000_000
_GIT: Final = ("git", "-c", "core.fsmonitor=false", "-c", "core.hooksPath=/dev/null")


class FolderSource:
    """A plain folder; keeps `keeper.Source`."""

    def __init__(self, folder: Path, kept: Path) -> None:
        """*kept* is where towpath.yaml is kept as it was when it had no errors last."""
        self.folder = folder
        self._live = LiveFolder(folder, kept=kept)
        self._edited: dict[tuple[str, str], Edited] = {}

    @property
    def shown(self) -> str:
        """The folder."""
        return str(self.folder)

    def resume(self) -> Found | None:
        """Nothing: the folder is what it is now."""
        return None

    def look(self) -> Found | None:
        """What the folder holds now; None where it is what it was."""
        reading = self._live.look()
        if reading is None:
            return None
        digests = reading.digests
        asked = [path for path, digest in digests.items() if (path, digest) not in self._edited]
        fresh = authors.of_folder(partial(git_in, self.folder), self.folder, asked) if asked else {}
        known = {path: self._edited.get((path, digest)) for path, digest in digests.items()}
        self._edited = {
            (path, digest): fresh.get(path) or known[path] or Edited() for path, digest in digests.items()
        }
        return Found(reading=reading, edited={path: edited for (path, _), edited in self._edited.items()})

    def tidy(self, needed: frozenset[str]) -> None:
        """Nothing: there is only this folder."""


class GitSource:
    """One ref of a repository; keeps `keeper.Source`."""

    def __init__(self, remote: Remote, checkouts: Checkouts, known: Callable[[], CommitsStanding]) -> None:
        """*known* tells the commits that were kept last."""
        self._remote = remote
        self._checkouts = checkouts
        self._known = known
        self._seen = ""
        """The commit that was found last, whether it loads or not."""
        self._commit = ""
        """The last one that loads."""

    @property
    def shown(self) -> str:
        """The repository and the ref, without a password."""
        return f"{self._remote.shown} {self._remote.ref}"

    @property
    def folder(self) -> Path:
        """The folder of the last commit that loads."""
        return self._checkouts.folder(self._commit)

    def resume(self) -> Found | None:
        """The commit that was current when a process kept it last."""
        known = self._known()
        if known.current is None:
            return None
        row = known.current
        commit = NewCommit(
            url=row.url,
            ref=row.ref,
            commit=row.commit,
            author=row.author,
            authored_at=row.authored_at,
            message=row.message,
        )
        try:
            found = self._found(commit)
        except TowpathError:
            return None  # its folder cannot be made any more: the repository is asked anew
        self._commit = row.commit
        is_of_here = (row.url, row.ref) == (self._remote.shown, self._remote.ref)
        if is_of_here:
            self._seen = row.commit if known.broken is None else known.broken.commit
        return found

    def look(self) -> Found | None:
        """The commit that the ref names now; None where it was found before."""
        self._checkouts.begin()
        name, commit = self._remote.commit()
        if commit == self._seen:
            return None
        commit = self._remote.fetch(name)
        facts = self._checkouts.facts(commit)
        new = NewCommit(
            url=self._remote.shown,
            ref=self._remote.ref,
            commit=commit,
            author=facts.author,
            authored_at=facts.authored_at * SECOND,
            message=facts.message,
        )
        try:
            found = self._found(new)
        except (LeadsOutside, LimitExceeded) as error:
            problem = make_problem(
                "leads-outside" if isinstance(error, LeadsOutside) else "unreadable",
                error.message,
                path=getattr(error, "path", f"commit {commit[:12]}"),
                help=error.help,
            )
            found = Found(reading=_unreadable(problem), edited={}, commit=new)
        self._seen = commit
        if not found.reading.errors:
            self._commit = commit
        return found

    def tidy(self, needed: frozenset[str]) -> None:
        """Remove the folders of commits that nobody needs."""
        self._checkouts.tidy(needed | {self._commit})

    def _found(self, commit: NewCommit) -> Found:
        reading = read_folder(self._checkouts.folder(commit.commit))
        paths = tuple(reading.digests)
        git = self._checkouts.git
        default = Edited(author=commit.author, at=commit.authored_at, message=commit.message)
        edited = authors.of_commit(git, commit.commit, paths)
        whole = {path: known if (known := edited.get(path)) and known.author else default for path in paths}
        return Found(reading=reading, edited=whole, commit=commit)


def _unreadable(problem: Problem) -> Reading:
    return Reading(project=None, catalogue=Catalogue.load(), workflows={}, broken=(), problems=(problem,))


def git_in(folder: Path, *words: str) -> str:
    """What git says in a folder; raises GitError."""
    try:
        done = subprocess.run(  # noqa: S603 - our own words
            [*_GIT, "-C", str(folder), *words],
            env=git_environment("", None),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=GIT_SECONDS_MAX,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise GitError(f"git did not answer: {error}") from None
    if done.returncode != 0:
        raise GitError(complaint(done.stderr))
    return done.stdout.decode(errors="replace")
