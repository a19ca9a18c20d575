"""Running a script inside an image: the command line for podman or docker.

What holds outside holds inside: the workspace and the files of the step stand at the same paths, so
`$TOW_OUTPUT` and relative paths mean the same. Values of the environment are not on the command line, where
`ps` would show them: the client is told the names and takes the values from its own environment.

A container has a name made by us. Under docker it is no descendant of ours, so a command that was stopped
is followed by `rm --force NAME`.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, Literal

from towpath.errors import Refused
from towpath.steps.processes.contract import EndedBy, OutputSink, ProcessResult, ProcessSpec
from towpath.steps.processes.runner import ProcessRunner

ContainerEngine = Literal["podman", "docker"]

REMOVE_SECONDS: Final = 30.0
_IMAGE: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/@+\-]{0,511}")
_NAME: Final = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.\-]{0,127}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Container:
    """Where a command is to run."""

    engine: ContainerEngine
    image: str
    name: str
    """Ours, unique for the attempt: the container is removed by it."""
    folders: tuple[Path, ...] = ()
    """Folders that stand at the same path inside, writable: the workspace and the files of the step."""
    user: str | None = None
    """`uid:gid` for docker, so that what the step writes is not root's; podman maps the user itself."""


def find_engine(search_path: str) -> ContainerEngine:
    """Podman where it is installed, docker otherwise."""
    for engine in ("podman", "docker"):
        if shutil.which(engine, path=search_path):
            return "podman" if engine == "podman" else "docker"
    raise Refused(
        "The step has `container`, but neither podman nor docker is on the PATH.", help="Install podman."
    )


async def run_in_container(
    runner: ProcessRunner,
    spec: ProcessSpec,
    container: Container,
    sink: OutputSink | None = None,
    *,
    client_env: Mapping[str, str],
) -> ProcessResult:
    """Run *spec* inside *container*, and remove the container when it does not end on its own.

    Args:
        runner: Runs the client.
        spec: The command as it would run outside; its `env` is for the inside only.
        container: Where it runs.
        sink: Takes the output.
        client_env: The environment of the client itself (PATH, HOME, XDG_RUNTIME_DIR, DOCKER_HOST).

    """
    inside = replace(
        spec, argv=run_argv(spec, container, client_env=client_env), env={**spec.env, **client_env}
    )
    remove = ProcessSpec(argv=remove_argv(container), cwd="/", env=client_env, timeout_seconds=REMOVE_SECONDS)
    ended = False
    try:
        result = await runner.run(inside, sink)
        ended = result.ended_by in (EndedBy.EXIT, EndedBy.SPAWN_ERROR) and result.signal is None
    finally:
        if not ended:
            removing = runner.start(remove)
            await removing.gone()
    return result


def run_argv(
    spec: ProcessSpec, container: Container, *, client_env: Mapping[str, str] | None = None
) -> tuple[str, ...]:
    """The command line that runs *spec* inside *container*, for a client in *client_env*."""
    _check(container)
    return (
        container.engine,
        "run",
        "--rm",
        "--init",
        f"--name={container.name}",
        *(("--interactive",) if spec.stdin else ()),
        *_user(container),
        *(f"--mount={_bind(folder)}" for folder in container.folders),
        f"--workdir={spec.cwd}",
        *(f"--env={_variable(name, value, client_env or {})}" for name, value in sorted(spec.env.items())),
        container.image,
        *spec.argv,
    )


def remove_argv(container: Container) -> tuple[str, ...]:
    """The command line that ends the container at once, if it is still there."""
    _check(container)
    return (container.engine, "rm", "--force", "--volumes", container.name)


def _user(container: Container) -> tuple[str, ...]:
    if container.user is None:
        return ()
    return ("--userns=keep-id",) if container.engine == "podman" else (f"--user={container.user}",)


def _variable(name: str, value: str, client_env: Mapping[str, str]) -> str:
    """The name alone, or with its value where the client needs another value under this name (PATH, HOME)."""
    return f"{name}={value}" if client_env.get(name, value) != value else name


def _bind(folder: Path) -> str:
    """A mount of *folder* on itself; the fields are CSV to both engines."""
    path = str(folder)
    if not folder.is_absolute() or any(character in path for character in '"\n\r'):
        raise Refused(
            f"The folder {path!r} cannot be given to a container.",
            help="Use an absolute path without quotes.",
        )
    fields = ("type=bind", f"source={path}", f"target={path}")
    return ",".join(f'"{part}"' if "," in part else part for part in fields)


def _check(container: Container) -> None:
    if not _IMAGE.fullmatch(container.image):
        raise Refused(
            f"`container: {container.image}` is not the name of an image.", help="For example python:3.12."
        )
    if not _NAME.fullmatch(container.name):
        raise Refused(f"`{container.name}` cannot be the name of a container.")
