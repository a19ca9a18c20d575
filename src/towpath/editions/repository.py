"""The repository of a project, kept here: a bare copy with all of one ref's history, and a folder for every commit that is needed.

Git is asked through its program. Nothing of the repository is run: no hooks, no submodules, no programs that its files name.
The address, which may hold a password, goes through the environment of the process and not over its command line; who we are is
git's own business (credential helpers, ssh keys), and nobody is asked for a password.

A commit's folder is made elsewhere and appears when it is whole. Links in it that lead out of it make the commit unusable.
"""

from __future__ import annotations

import os
import re
import secrets
import shutil
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from towpath.errors import LimitExceeded, NotFound, Refused
from towpath.store.folder import FOLDER_MODE, sync_folder
from towpath.triggers.watch.git import GitError, complaint, git_environment

FETCH_SECONDS_MAX: Final = 1_800.0
"""One fetch; the first one brings everything."""
GIT_SECONDS_MAX: Final = 120.0
"""Anything else that git is asked."""
PACK_BYTES_MAX: Final = 2 * 1024**3
"""One file that git writes here: what one fetch may bring."""
CHECKOUT_FILES_MAX: Final = 50_000
"""Files of one commit."""
CHECKOUT_BYTES_MAX: Final = 1024**3
"""All files of one commit together."""
SYNCED_SINGLY_MAX: Final = 500
"""Files that are written to the disk one by one; of more, the whole disk is."""
REF_CHARS_MAX: Final = 250
UNUSED_SECONDS: Final = 600.0
"""A commit's folder that nobody needs stays for so long: somebody may be about to need it."""

_REMOTE: Final = "towpath"
_HERE: Final = "refs/towpath/"
_BLOCK_BYTES: Final = 512
_COMMIT = re.compile(r"[0-9a-f]{40}([0-9a-f]{24})?")
_BAD_REF = re.compile(r"[\x00-\x20~^:?*\[\\\x7f]|\.\.|@\{|//|^[-/.]|/$|\.lock$|\.$")
_USER = re.compile(r"//[^/@\s]*@")
_OWN_WAYS = (
    "GIT_ASKPASS",
    "GIT_SSH_COMMAND",
    "GIT_CONFIG_GLOBAL",
    "GIT_CONFIG_SYSTEM",
    "XDG_CONFIG_HOME",
    "SSH_ASKPASS",
)
"""Variables by which an operator tells git who we are."""
_LIMITED = 'ulimit -f "$1" && shift && exec git "$@"'
"""A file that grows longer than it may ends git."""
_SAFE: Final = (
    "-c", "core.hooksPath=/dev/null",
    "-c", "core.fsmonitor=false",
    "-c", "core.attributesFile=/dev/null",
    "-c", "gc.autoDetach=false",
    "-c", "protocol.ext.allow=never",
    "-c", "fetch.recurseSubmodules=false",
    "-c", "advice.detachedHead=false",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class CommitFacts:
    """What a commit says of itself."""

    commit: str
    author: str
    authored_at: int
    """Seconds since 1970."""
    message: str


class LeadsOutside(Refused):
    """A link of a commit leads out of its folder."""

    def __init__(self, path: str) -> None:
        super().__init__(
            f"the link {path} leads out of the project",
            help="put what it leads to into the repository, or remove the link",
        )
        self.path = path


class Checkouts:
    """The folders of commits, and the repository that they are made from; any process may use them."""

    def __init__(self, home: Path) -> None:
        """*home* is a folder of the data folder."""
        self._home = home
        self._bare = home / "repository.git"
        self._commits = home / "commits"

    def folder(self, commit: str) -> Path:
        """The folder of a commit, made anew where it is gone; raises GitError, LimitExceeded and LeadsOutside."""
        check_commit(commit)
        folder = self._commits / commit
        if not folder.is_dir():
            self._make(commit, folder)
        _touch(folder)
        return folder

    def existing(self) -> Iterator[tuple[str, Path]]:
        """The commits that have a folder."""
        if self._commits.is_dir():
            for folder in sorted(self._commits.iterdir()):
                if _COMMIT.fullmatch(folder.name):
                    yield folder.name, folder

    def tidy(self, needed: frozenset[str]) -> tuple[str, ...]:
        """Remove the folders that belong to none of these commits and were not asked for lately; returns their commits."""
        gone = []
        for commit, folder in self.existing():
            if commit not in needed and _is_unused(folder):
                doomed = self._commits / f".{secrets.token_hex(8)}.gone"
                folder.rename(doomed)
                gone.append(commit)
        if self._commits.is_dir():
            for left in self._commits.iterdir():
                if left.name.startswith(".") and (left.name.endswith(".gone") or _is_unused(left)):
                    _remove(left)
        return tuple(gone)

    def git(
        self, *words: str, seconds: float = GIT_SECONDS_MAX, url: str = "", index: Path | None = None
    ) -> str:
        """What git says in the bare repository; raises GitError. *index* is where it lists what it checks out."""
        environment = _environment(url) | ({} if index is None else {"GIT_INDEX_FILE": str(index)})
        limit = str(PACK_BYTES_MAX // _BLOCK_BYTES)
        # The address is no word of the command line: whoever lists processes would read a password in it.
        command = ["/bin/sh", "-c", _LIMITED, "sh", limit, "--git-dir", str(self._bare), *_SAFE, *words]
        try:
            done = subprocess.run(  # noqa: S603 - our own words; refs, commits and paths are checked or come after `--`
                command,
                env=environment,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=seconds,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise GitError(f"git did not answer within {seconds:g} s") from None
        if done.returncode != 0:
            said = masked(complaint(done.stderr) if done.stderr.strip() else f"exit code {done.returncode}")
            raise GitError(said.replace(url, shown_url(url)) if url else said)
        return done.stdout.decode(errors="replace")

    def begin(self) -> None:
        """Make the bare repository where there is none; raises GitError."""
        self._commits.mkdir(mode=FOLDER_MODE, parents=True, exist_ok=True)
        if shutil.which("git") is None:
            raise GitError("git is not installed", help="install it, and start again")
        if not (self._bare / "HEAD").exists():
            self.git("init", "--quiet", "--bare", "--template=")

    def facts(self, commit: str) -> CommitFacts:
        """What a commit says of itself."""
        told = self.git("show", "--no-patch", "--format=%ae%x1f%at%x1f%s", check_commit(commit), "--")
        author, at, message = [*told.strip().split("\x1f"), "", "", ""][:3]
        return CommitFacts(
            commit=commit, author=author, authored_at=int(at) if at.isdecimal() else 0, message=message
        )

    def _make(self, commit: str, folder: Path) -> None:
        if not (self._bare / "HEAD").exists():
            raise NotFound(
                f"the files of commit {commit[:12]} are not there any more",
                help="restore the data folder's `project`, or start `tow up --git …` once",
            )
        self._check_size(commit)
        fresh = self._commits / f".{secrets.token_hex(8)}.part"
        fresh.mkdir(mode=FOLDER_MODE, parents=True)
        try:
            index = fresh.with_suffix(".index")
            self.git("read-tree", commit, index=index)
            self.git(
                "--work-tree", str(fresh), "checkout-index", "--all", "--quiet", f"--prefix={fresh}/", index=index
            )  # fmt: skip
            _check_links(fresh)
            _sync(fresh)
            try:
                fresh.rename(folder)
            except OSError:
                if not folder.is_dir():  # another process was quicker: it made the same
                    raise
            sync_folder(self._commits)
        finally:
            shutil.rmtree(fresh, ignore_errors=True)
            fresh.with_suffix(".index").unlink(missing_ok=True)

    def _check_size(self, commit: str) -> None:
        files = [entry for entry in self.git("ls-tree", "-r", "-l", "-z", commit).split("\0") if entry]
        if len(files) > CHECKOUT_FILES_MAX:
            raise LimitExceeded(
                f"commit {commit[:12]} has {len(files):,} files, more than CHECKOUT_FILES_MAX ({CHECKOUT_FILES_MAX:,})",
                limit="CHECKOUT_FILES_MAX",
            )
        size = sum(
            int(found) for entry in files if (found := entry.partition("\t")[0].split()[3]).isdecimal()
        )
        if size > CHECKOUT_BYTES_MAX:
            raise LimitExceeded(
                f"commit {commit[:12]} has {size:,} bytes, more than CHECKOUT_BYTES_MAX ({CHECKOUT_BYTES_MAX:,})",
                limit="CHECKOUT_BYTES_MAX",
            )


class Remote:
    """One ref of a repository somewhere else."""

    def __init__(self, url: str, ref: str, checkouts: Checkouts) -> None:
        self._url = check_url(url)
        self._ref = check_ref(ref)
        self._checkouts = checkouts

    @property
    def shown(self) -> str:
        """The address without who we are."""
        return shown_url(self._url)

    @property
    def ref(self) -> str:
        """The branch or tag."""
        return self._ref

    def commit(self) -> tuple[str, str]:
        """The full name of the ref and the commit that it names now; raises GitError and NotFound."""
        names = self._names()
        told = self._checkouts.git(
            "ls-remote", "--quiet", _REMOTE, *names, *(f"{name}^{{}}" for name in names), url=self._url
        )
        found = {name: commit for commit, _, name in (line.partition("\t") for line in told.splitlines())}
        for name in names:
            commit = found.get(f"{name}^{{}}") or found.get(name)
            if commit is not None and _COMMIT.fullmatch(commit):
                return name, commit
        raise NotFound(f"{self.shown} has no branch or tag {self._ref}")

    def fetch(self, name: str) -> str:
        """Bring a ref with all its history here; returns its commit, which may be a later one by now. Raises GitError."""
        here = f"{_HERE}head"
        self._checkouts.git(
            "fetch", "--quiet", "--no-tags", "--force", "--no-write-fetch-head", _REMOTE, f"+{name}:{here}",
            url=self._url, seconds=FETCH_SECONDS_MAX,
        )  # fmt: skip
        commit = self._checkouts.git("rev-parse", "--verify", f"{here}^{{commit}}").strip()
        # A commit that runs belong to stays when its branch goes on without it.
        self._checkouts.git("update-ref", f"{_HERE}commits/{commit}", commit)
        return commit

    def _names(self) -> tuple[str, ...]:
        if self._ref.startswith("refs/"):
            return (self._ref,)
        return (f"refs/heads/{self._ref}", f"refs/tags/{self._ref}")


def check_url(url: str) -> str:
    """An address that git may be given; raises Refused."""
    scheme = url.partition("://")[0] if "://" in url else ""
    is_allowed = scheme in ("", "file", "git", "http", "https", "ssh")
    if (
        not url
        or url.startswith("-")
        or not url.isprintable()
        or "::" in url.partition("//")[0]
        or not is_allowed
    ):
        raise Refused(
            f"{shown_url(url)!r} is not the address of a repository",
            help="write https://…, ssh://… or a path",
        )
    return url


def check_ref(ref: str) -> str:
    """A name of a branch or a tag; raises Refused."""
    if not ref or len(ref) > REF_CHARS_MAX or _BAD_REF.search(ref):
        raise Refused(f"{ref!r} is no name of a branch or a tag", help="write main, or refs/heads/main")
    return ref


def check_commit(commit: str) -> str:
    """The id of a commit; raises Refused: it becomes the name of a folder."""
    if not _COMMIT.fullmatch(commit):
        raise Refused(f"{commit!r} is no id of a commit")
    return commit


def shown_url(url: str) -> str:
    """An address without a password, and over HTTP without a user, who may be a token."""
    parts = urlsplit(url) if "://" in url else None
    if parts is not None and (parts.scheme in ("http", "https") or parts.password):
        return _USER.sub("//…@", url.partition("?")[0].partition("#")[0])
    return url


def masked(text: str) -> str:
    """What git says, without anybody's credentials."""
    return re.sub(r"(https?:)//[^/@\s]*@", r"\1//…@", text)


def _environment(url: str) -> dict[str, str]:
    own = {name: os.environ[name] for name in _OWN_WAYS if os.environ.get(name)}
    made = {**git_environment("", None), **own, "GIT_TERMINAL_PROMPT": "0", "GIT_NO_REPLACE_OBJECTS": "1"}
    if url:
        made |= {
            "GIT_CONFIG_COUNT": "1",
            "GIT_CONFIG_KEY_0": f"remote.{_REMOTE}.url",
            "GIT_CONFIG_VALUE_0": url,
        }
    return made


def _check_links(folder: Path) -> None:
    """Raises LeadsOutside for a link that leads out, however many others it goes through."""
    home = folder.resolve()
    for where, folders, files in os.walk(folder):
        for name in (*folders, *files):
            path = Path(where, name)
            if path.is_symlink() and not Path(os.path.realpath(path)).is_relative_to(home):
                raise LeadsOutside(path.relative_to(folder).as_posix())


def _remove(left: Path) -> None:
    if left.is_dir():
        shutil.rmtree(left, ignore_errors=True)
    else:
        left.unlink(missing_ok=True)


def _sync(folder: Path) -> None:
    """Has all files on the disk: a folder that appears has to survive a power loss with what is in it."""
    files = [Path(where, name) for where, _, names in os.walk(folder) for name in names]
    if len(files) > SYNCED_SINGLY_MAX:
        os.sync()
        return
    for file in files:
        if not file.is_symlink():
            with file.open("rb") as opened:
                os.fsync(opened.fileno())


def _touch(folder: Path) -> None:
    """Notes that somebody needs it now."""
    try:
        os.utime(folder)
    except OSError:
        return  # it is read-only, or went: whoever needs it finds out


def _is_unused(folder: Path) -> bool:
    try:
        return time.time() - folder.stat().st_mtime > UNUSED_SECONDS
    except OSError:
        return False
