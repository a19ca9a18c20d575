"""What a repository says of itself, asked through the program `git`: its refs, and what lies between two commits.

Nothing of the repository is run or checked out. A small bare copy is kept, a few commits deep, so that changed files can be
named. Addresses and names come after `--`, helpers and unusual transports are forbidden, nobody is asked for a password, and a
token goes through the environment of the process and not over its command line.
"""

from __future__ import annotations

import base64
import os
import re
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from towpath.core.run import Json
from towpath.errors import LimitExceeded, Refused, Unreachable

REFS_MAX = 20_000
"""Branches and tags of one repository."""
COMMITS_MAX = 50
"""Commits that an event lists, and how deep the copy is."""
PATHS_MAX = 10_000
"""Changed files that an event lists."""
GIT_SECONDS_MAX = 120.0
OUTPUT_BYTES_MAX = 16 * 1024 * 1024
MESSAGE_CHARS_MAX = 500

_PROTOCOLS = "file:git:http:https:ssh"
_KEPT = (
    "PATH",
    "HOME",
    "SSH_AUTH_SOCK",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "HTTPS_PROXY",
    "HTTP_PROXY",
    "NO_PROXY",
)
_PASSWORD = re.compile(r"(//[^/@\s:]*):[^/@\s]*@")
_COMMIT = re.compile(r"[0-9a-f]{40}([0-9a-f]{24})?")


class GitError(Unreachable):
    """The repository could not be asked."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Refs:
    """The branches and tags of a repository, by their full names, each with its commit."""

    default: str
    """The full name of the default branch; empty where there is none."""
    commits: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Between:
    """What lies between two commits, as far as it is known."""

    commits: tuple[Json, ...]
    """The newest first, at most COMMITS_MAX."""
    paths: tuple[str, ...] | None
    """The files that differ; None where that cannot be told."""


class Repository:
    """A repository somewhere else, and the small copy of it here."""

    def __init__(self, url: str, copy: Path, *, token: str | None = None) -> None:
        if url.startswith("-") or not url.isprintable() or "::" in url.partition("//")[0]:
            raise Refused(
                f"{url!r} is not the address of a repository", help="write https://…, ssh://… or a path"
            )
        self.url = url
        self._copy = copy
        self._environment = git_environment(url, token)

    def refs(self) -> Refs:
        """The branches and tags as they are now; raises GitError."""
        found = self._git("ls-remote", "--symref", "--", self.url, "HEAD", "refs/heads/*", "refs/tags/*")
        default = ""
        commits: dict[str, str] = {}
        for row in found.splitlines():
            commit, _, name = row.partition("\t")
            if commit.startswith("ref: "):
                default = commit.removeprefix("ref: ")
            elif name.startswith("refs/") and _COMMIT.fullmatch(commit):
                # An annotated tag is listed twice; what it stands for comes second.
                commits[name.removesuffix("^{}")] = commit
        if len(commits) > REFS_MAX:
            raise LimitExceeded(
                f"{self._shown} has more than REFS_MAX ({REFS_MAX:,}) branches and tags", limit="REFS_MAX"
            )
        return Refs(default=default, commits=commits)

    def between(self, ref: str, before: str, after: str) -> Between:
        """What lies between two commits of a ref; little is known where there was none before. Raises GitError."""
        self._fetch(ref)
        if not self._has(after):
            return Between(commits=(), paths=None)  # it has moved on already; the next look tells
        if not before or not self._has(before):
            return Between(commits=self._log(after, "--max-count=1"), paths=None)
        names = self._here("diff", "--name-only", "-z", "--no-renames", before, after).split("\0")
        paths = tuple(name for name in names if name)
        return Between(
            commits=self._log(f"{before}..{after}", f"--max-count={COMMITS_MAX}"),
            paths=paths if len(paths) <= PATHS_MAX else None,
        )

    def _fetch(self, ref: str) -> None:
        if not (self._copy / "HEAD").exists():
            self._copy.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._git("init", "--quiet", "--bare", "--", str(self._copy))
        # A ref that moved to another history replaces the old one, which stays until git tidies up.
        self._here(
            "fetch", "--quiet", "--no-tags", "--force", f"--depth={COMMITS_MAX}", "--", self.url, f"+{ref}:{ref}"
        )  # fmt: skip

    def _has(self, commit: str) -> bool:
        try:
            self._here("cat-file", "-e", f"{commit}^{{commit}}")
        except GitError:
            return False
        return True

    def _log(self, span: str, *options: str) -> tuple[Json, ...]:
        form = "%H%x1f%an%x1f%ae%x1f%aI%x1f%s"
        rows = self._here("log", "-z", f"--format={form}", *options, span).split("\0")
        return tuple(_commit(row) for row in rows if row)

    def _here(self, *words: str) -> str:
        return self._git("-C", str(self._copy), *words)

    def _git(self, *words: str) -> str:
        try:
            done = subprocess.run(  # noqa: S603 - our own words; addresses and refs come after `--` or are checked
                ["git", "-c", "gc.auto=0", *words],  # noqa: S607 - git is found on the PATH, as everywhere
                env=self._environment,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=GIT_SECONDS_MAX,
                check=False,
            )
        except FileNotFoundError:
            raise GitError(
                "git is not installed", help="install it, or remove the git.poll triggers"
            ) from None
        except subprocess.TimeoutExpired:
            raise GitError(f"{self._shown} did not answer within {GIT_SECONDS_MAX:g} s") from None
        if done.returncode != 0 or len(done.stdout) > OUTPUT_BYTES_MAX:
            raise GitError(f"{self._shown}: {complaint(done.stderr)}")
        return done.stdout.decode(errors="replace")

    @property
    def _shown(self) -> str:
        return _PASSWORD.sub(r"\1:…@", self.url)


def git_environment(url: str, token: str | None) -> dict[str, str]:
    """The whole environment of git: what it needs to reach a repository, and nothing by which it could ask or run anything."""
    kept = {name: os.environ[name] for name in _KEPT if name in os.environ}
    made = {
        **kept,
        "LC_ALL": "C.UTF-8",
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_ASKPASS": "",
        "GIT_ALLOW_PROTOCOL": _PROTOCOLS,
        "GIT_SSH_COMMAND": "ssh -o BatchMode=yes",
        "GIT_OPTIONAL_LOCKS": "0",
    }
    if token is not None:
        word = base64.b64encode(f"x-access-token:{token}".encode()).decode()
        made |= {
            "GIT_CONFIG_COUNT": "1",
            "GIT_CONFIG_KEY_0": f"http.{url}.extraHeader",
            "GIT_CONFIG_VALUE_0": f"Authorization: Basic {word}",
        }
    return made


def _commit(row: str) -> Json:
    commit, name, email, at, message = (row.split("\x1f") + [""] * 5)[:5]
    return {
        "id": commit,
        "message": message[:MESSAGE_CHARS_MAX],
        "timestamp": at,
        "author": {"name": name, "email": email},
    }


def complaint(stderr: bytes) -> str:
    """What git says, on one line and without a password."""
    rows = [row.strip() for row in stderr.decode(errors="replace").splitlines() if row.strip()]
    told = next(
        (row for row in rows if row.startswith(("fatal:", "error:"))), rows[-1] if rows else "git failed"
    )
    return _PASSWORD.sub(r"\1:…@", told)[:MESSAGE_CHARS_MAX]
