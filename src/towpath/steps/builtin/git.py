"""`git.clone`: a repository at a commit, in a folder.

The address and the ref come from people and events, so neither may be taken for an option: a leading dash
is refused and `--` stands before them. Only transports that move files are allowed (`ext::` would run a
command). A password goes to git through its environment, never through arguments, which every user of the
machine can read, and never into the clone's configuration. Git asks nobody and reads no configuration but
its own defaults and what stands here.

The clone is made beside its place and moved there when it is whole.
"""

from __future__ import annotations

import base64
import re
import secrets
import shlex
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Final
from urllib.parse import urlsplit

from towpath.steps.builtin.blocking import beside_the_loop
from towpath.steps.builtin.files.places import Kind, at, kind_of, meaning, sync_folder
from towpath.steps.contract import ActionFailed, Change, ErrorKind, Rehearsal, StepContext, action
from towpath.steps.processes import EndedBy, ProcessResult, ProcessSpec
from towpath.steps.shapes import Range

__all__ = ["clone"]

TRANSPORTS: Final = "file:git:http:https:ssh"
REF_CHARS_MAX: Final = 250
SSH_CONNECT_SECONDS: Final = 20

_COMMIT = re.compile(r"[0-9a-f]{40}([0-9a-f]{24})?")
_BAD_REF = re.compile(r"[\x00-\x20~^:?*\[\\\x7f]|\.\.|@\{|//|^[-/]|/$|\.lock$|\.$")
_SCP_LIKE = re.compile(r"[A-Za-z0-9._-]+@[A-Za-z0-9.-]+:[^:].*")


@dataclass(frozen=True, slots=True, kw_only=True)
class GitAuth:
    """Who asks, for http and https."""

    password: Annotated[str, "A password or a token, usually `${{ secrets.… }}`"] = field(repr=False)
    username: Annotated[str, "Most servers take any with a token"] = "git"


@dataclass(frozen=True, slots=True, kw_only=True)
class CloneInputs:
    """What `git.clone` takes."""

    url: Annotated[str, "Where the repository is: https://, ssh://, git@host:path, file:// or a path"]
    path: Annotated[Path, "The folder for the clone; it is made"]
    ref: Annotated[str | None, "A branch, a tag or a whole commit id; the default branch when left out"] = (
        None
    )
    depth: Annotated[int | None, "How many commits of history to take; all when left out", Range(1)] = None
    submodules: Annotated[bool, "Fetch the submodules too"] = False
    auth: Annotated[GitAuth | None, "Who asks, for http and https"] = None
    ssh_key: Annotated[Path | None, "The file with the private key, for ssh"] = None
    overwrite: Annotated[bool, "Replace the folder when it is there"] = False

    def __post_init__(self) -> None:
        _check_address(self.url)
        if self.ref is not None and (
            not self.ref or len(self.ref) > REF_CHARS_MAX or _BAD_REF.search(self.ref)
        ):
            raise ValueError("`ref` is no name of a branch, a tag or a commit")
        if self.auth is not None and not self.url.startswith(("http://", "https://")):
            raise ValueError("`auth` is for http and https")


@dataclass(frozen=True, slots=True, kw_only=True)
class CloneOutputs:
    """What was cloned."""

    path: Annotated[str, "The folder, as an absolute path"]
    commit: Annotated[str, "The id of the commit that is checked out"]
    changed: Annotated[bool, "False when the folder was a clean clone at this very commit already"]


@action(
    "git.clone",
    # A commit id names the same content for ever; a branch may have moved between two tries.
    idempotent=lambda inputs: inputs.overwrite or bool(inputs.ref and _COMMIT.fullmatch(inputs.ref)),
    effects="files",
    secrets=("auth",),
    binaries=("git",),
)
async def clone(inputs: CloneInputs, context: StepContext) -> CloneOutputs:
    """Clones a repository and checks a commit out; the folder appears when it is whole."""
    git = _Git(inputs=inputs, context=context)
    target = at(context, inputs.path)
    if (there := await git.commit_in(target)) is not None:
        return CloneOutputs(path=str(target), commit=there, changed=False)
    _check_place(target, inputs)
    fresh = target.parent / f".{target.name[:100]}.{secrets.token_hex(4)}.part"
    with meaning(f"{target} cannot be made"):
        target.parent.mkdir(parents=True, exist_ok=True)
    try:
        await git.fetch_into(fresh)
        commit = await git.output("rev-parse", "--verify", "HEAD", folder=fresh)
        with meaning(f"{target} cannot be replaced"):
            await beside_the_loop(lambda _stop: _take_place(fresh, target))
    finally:
        await beside_the_loop(lambda _stop: shutil.rmtree(fresh, ignore_errors=True))
    context.log(f"{_shown(inputs.url)} is at {commit} in {target}")
    return CloneOutputs(path=str(target), commit=commit, changed=True)


@clone.rehearsal
async def rehearse_clone(inputs: CloneInputs, context: StepContext) -> Rehearsal:
    """Asks the server which commit it would be."""
    git = _Git(inputs=inputs, context=context)
    target = at(context, inputs.path)
    if (there := await git.commit_in(target)) is not None:
        outputs = {"path": str(target), "commit": there, "changed": False}
        return Rehearsal(summary=f"leaves {target} at {there}", outputs=outputs)
    _check_place(target, inputs)
    commit = await git.remote_commit()
    change = Change(
        verb="create" if kind_of(target) == Kind.NOTHING else "change",
        target=str(target),
        detail=f"{_shown(inputs.url)} at {commit}",
    )
    outputs = {"path": str(target), "commit": commit, "changed": True}
    return Rehearsal(summary=f"clones {_shown(inputs.url)} into {target}", changes=(change,), outputs=outputs)


def _check_place(target: Path, inputs: CloneInputs) -> None:
    kind = kind_of(target)
    if kind not in (Kind.NOTHING, Kind.FOLDER):
        raise ActionFailed(f"{target} is a {kind}, not a folder.", kind="conflict")
    with meaning(f"{target} cannot be looked at"):
        if kind == Kind.FOLDER and not inputs.overwrite and any(target.iterdir()):
            raise ActionFailed(
                f"{target} is not empty.",
                kind="conflict",
                help="Say `overwrite: true` to replace the folder.",
            )


def _take_place(fresh: Path, target: Path) -> None:
    if kind_of(target) != Kind.NOTHING:
        old = target.parent / f".{target.name[:100]}.{secrets.token_hex(4)}.part"
        target.rename(old)
        fresh.rename(target)
        shutil.rmtree(old, ignore_errors=True)
    else:
        fresh.rename(target)
    sync_folder(target.parent)


def _check_address(url: str) -> None:
    """Refuses what git would take for an option, a command or a password in the open."""
    if not url or url.startswith("-") or re.search(r"[\x00-\x1f\x7f]", url):
        raise ValueError("`url` is no address of a repository")
    if _SCP_LIKE.fullmatch(url):
        return
    scheme, colons, _ = url.partition("::")
    if colons and "/" not in scheme:
        raise ValueError(f"`url` uses the transport {scheme}, which may run commands and is not allowed")
    if "://" not in url:
        return
    parts = urlsplit(url)
    if parts.scheme not in TRANSPORTS.split(":"):
        raise ValueError(f"`url` uses {parts.scheme}, which is not allowed; use https, ssh, git or file")
    if parts.password or (parts.username and parts.scheme in ("http", "https")):
        raise ValueError("`url` holds a user or a password; use `auth`")
    if (parts.hostname or "").startswith("-") or (parts.username or "").startswith("-"):
        raise ValueError("`url` is no address of a repository")


def _shown(url: str) -> str:
    return re.split(r"[?#]", url, maxsplit=1)[0]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Git:
    """Git as this action runs it."""

    inputs: CloneInputs
    context: StepContext

    async def fetch_into(self, folder: Path) -> None:
        """A clone with the ref checked out."""
        ref, depth = self.inputs.ref, self.inputs.depth
        history = [f"--depth={depth}"] if depth else []
        if ref and _COMMIT.fullmatch(ref):
            await self._fetch_commit(folder, ref, history)
        else:
            branch = [f"--branch={ref}"] if ref else []
            # --no-local: a path is fetched from like any address, so `depth` holds and nothing is shared.
            options = ("--quiet", "--no-local", "--template=", *branch, *history)
            await self._run("clone", *options, "--", self.inputs.url, str(folder), folder=folder.parent)
        if self.inputs.submodules:
            await self._run(
                "submodule",
                "update",
                "--quiet",
                "--init",
                "--recursive",
                *history,
                folder=folder,
                is_foreign=True,
            )

    async def _fetch_commit(self, folder: Path, commit: str, history: list[str]) -> None:
        """A repository with this commit; `git clone` takes only names."""
        await self._run("init", "--quiet", "--template=", "--", str(folder), folder=folder.parent)
        await self._run("remote", "add", "--", "origin", self.inputs.url, folder=folder)
        if not history:
            await self._run("fetch", "--quiet", "--tags", "--", "origin", folder=folder)
        if history or await self._is_missing(commit, folder):
            await self._run("fetch", "--quiet", *history, "--", "origin", commit, folder=folder)
        await self._run("checkout", "--quiet", "--detach", commit, "--", folder=folder)

    async def _is_missing(self, commit: str, folder: Path) -> bool:
        result = await self._result("cat-file", "-e", f"{commit}^{{commit}}", folder=folder)
        return not result.succeeded

    async def commit_in(self, target: Path) -> str | None:
        """The commit of the folder when it is exactly what was asked for; only a whole commit id can tell."""
        ref = self.inputs.ref
        if ref is None or not _COMMIT.fullmatch(ref) or not (target / ".git").is_dir():
            return None
        for expected, arguments in (
            (ref, ("rev-parse", "--verify", "HEAD")),
            (self.inputs.url, ("config", "--get", "remote.origin.url")),
            ("", ("status", "--porcelain", "--untracked-files=normal")),
        ):
            result = await self._result(*arguments, folder=target)
            if not result.succeeded or result.stdout_tail.decode(errors="replace").strip() != expected:
                return None
        return ref

    async def remote_commit(self) -> str:
        """The commit that the server has for the ref."""
        ref = self.inputs.ref or "HEAD"
        if _COMMIT.fullmatch(ref):
            return ref
        names = (f"refs/tags/{ref}^{{}}", f"refs/tags/{ref}", f"refs/heads/{ref}", ref)
        told = await self.output(
            "ls-remote", "--quiet", "--", self.inputs.url, *names, folder=self.context.workspace
        )
        found = {name: commit for commit, _, name in (line.partition("\t") for line in told.splitlines())}
        for name in names:
            if name in found:
                return found[name]
        raise ActionFailed(f"{_shown(self.inputs.url)} has no branch or tag {ref}.", kind="invalid")

    async def output(self, *arguments: str, folder: Path) -> str:
        """What git says; raises ActionFailed."""
        result = await self._run(*arguments, folder=folder)
        return result.stdout_tail.decode(errors="replace").strip()

    async def _run(self, *arguments: str, folder: Path, is_foreign: bool = False) -> ProcessResult:
        result = await self._result(*arguments, folder=folder, is_foreign=is_foreign)
        if not result.succeeded:
            raise self._failure(arguments[0], result)
        return result

    async def _result(self, *arguments: str, folder: Path, is_foreign: bool = False) -> ProcessResult:
        return await self.context.run_process(
            ProcessSpec(
                # What a folder's own configuration may run is switched off.
                argv=("git", "-c", "core.fsmonitor=false", "-c", "core.hooksPath=/dev/null", *arguments),
                cwd=str(folder),
                env=self._environment(is_foreign=is_foreign),
            )
        )

    def _environment(self, *, is_foreign: bool) -> Mapping[str, str]:
        """What git needs; *is_foreign* when addresses come from the repository and not from the author."""
        made = {
            **self.context.environment,
            "LC_ALL": "C",  # its messages are read below
            "GIT_TERMINAL_PROMPT": "0",
            "GIT_OPTIONAL_LOCKS": "0",  # looking at a folder writes nothing into it
            "GIT_ASKPASS": "",
            "SSH_ASKPASS": "",
            "GIT_ALLOW_PROTOCOL": TRANSPORTS.removeprefix("file:") if is_foreign else TRANSPORTS,
            "GIT_SSH_COMMAND": self._ssh_command(),
        }
        if self.inputs.auth is not None:
            pair = f"{self.inputs.auth.username}:{self.inputs.auth.password}".encode()
            parts = urlsplit(self.inputs.url)
            origin = f"{parts.scheme}://{parts.netloc}/"
            settings = {
                f"http.{origin}.extraHeader": f"Authorization: Basic {base64.b64encode(pair).decode()}",
                # A redirect would carry the header to a stranger.
                "http.followRedirects": "false",
            }
            made["GIT_CONFIG_COUNT"] = str(len(settings))
            for number, (name, value) in enumerate(settings.items()):
                made[f"GIT_CONFIG_KEY_{number}"] = name
                made[f"GIT_CONFIG_VALUE_{number}"] = value
        return made

    def _ssh_command(self) -> str:
        words = ["ssh", "-o", "BatchMode=yes", "-o", f"ConnectTimeout={SSH_CONNECT_SECONDS}"]
        if self.inputs.ssh_key is not None:
            key = str(at(self.context, self.inputs.ssh_key))
            words += ["-i", key, "-o", "IdentitiesOnly=yes"]
        return shlex.join(words)

    def _failure(self, verb: str, result: ProcessResult) -> ActionFailed:
        if result.ended_by is EndedBy.SPAWN_ERROR:
            return ActionFailed(
                f"git could not be started. {result.message}", kind="invalid", help="Is git installed here?"
            )
        if result.ended_by is EndedBy.LOST:
            return ActionFailed(result.message, kind="interrupted")
        said = result.stderr_tail.decode(errors="replace").strip()
        kinds = (kind for pattern, kind in _SAID if re.search(pattern, said, re.IGNORECASE))
        kind: ErrorKind = next(kinds, "exit")
        last = next(
            (line for line in reversed(said.splitlines()) if line.startswith(("fatal:", "error:"))), said
        )
        return ActionFailed(
            f"git {verb} of {_shown(self.inputs.url)} failed: {last[-500:] or result.message}",
            kind=kind,
            exit_code=result.shell_exit_code,
        )


_SAID: tuple[tuple[str, ErrorKind], ...] = (
    ("authentication failed|permission denied|could not read (username|password)|error: 40[13]", "denied"),
    ("transport .* not allowed", "denied"),
    (
        "could ?n[o']t resolve host|connection (refused|reset|closed)|unable to connect|failed to connect",
        "unreachable",
    ),
    ("timed out|no route to host|network is unreachable|early eof|the remote end hung up", "unreachable"),
    ("not found|could ?n[o']t find remote ref|does not (exist|appear to be)|not our ref|no such", "invalid"),
    ("unable to update url base from redirection", "denied"),
)
"""What git says, and what kind of error that is; the first that fits."""
