"""A script in a container finds what it would find outside, and its container does not outlive it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from towpath.errors import Refused
from towpath.steps.processes import (
    Container,
    EndedBy,
    ProcessRunner,
    ProcessSpec,
    containers,
    run_in_container,
)


@pytest_asyncio.fixture
async def processes() -> AsyncIterator[ProcessRunner]:
    """A runner that is closed after the test."""
    async with ProcessRunner() as made:
        yield made


def spec(**more: object) -> ProcessSpec:
    """A script as it would run outside."""
    values = {"argv": ("bash", "/files/script.sh"), "cwd": "/work", "env": {"B": "2", "A": "secret"}, **more}
    return ProcessSpec(**values)  # type: ignore[arg-type] # a table's columns


def container(**more: object) -> Container:
    """Where it runs."""
    values = {"engine": "podman", "image": "python:3.12", "name": "tow-1", **more}
    return Container(**values)  # type: ignore[arg-type] # a table's columns


RUN = "run --rm --init --name=tow-1"
SCRIPT = "bash /files/script.sh"
DIGEST = "registry.example:5000/a/b@sha256:" + "0" * 64
MOUNTS = "--mount=type=bind,source=/work,target=/work --mount=type=bind,source=/files,target=/files"
COMMANDS = {
    "podman": (
        spec(),
        container(folders=(Path("/work"), Path("/files"))),
        f"podman {RUN} {MOUNTS} --workdir=/work --env=A --env=B python:3.12 {SCRIPT}",
    ),
    "docker with input and a user": (
        spec(stdin=b"x", env={}),
        container(engine="docker", user="1000:100"),
        f"docker {RUN} --interactive --user=1000:100 --workdir=/work python:3.12 {SCRIPT}",
    ),
    "podman maps the user": (
        spec(env={}),
        container(user="1000:100"),
        f"podman {RUN} --userns=keep-id --workdir=/work python:3.12 {SCRIPT}",
    ),
    "an odd folder and a digest": (
        spec(env={}),
        container(folders=(Path("/a,b"),), image=DIGEST),
        f'podman {RUN} --mount=type=bind,"source=/a,b","target=/a,b" --workdir=/work {DIGEST} {SCRIPT}',
    ),
}


@pytest.mark.parametrize("name", COMMANDS)
def test_the_command_line(name: str) -> None:
    """The command line names the variables and never their values, and mounts every folder on itself."""
    process, where, expected = COMMANDS[name]

    assert " ".join(containers.run_argv(process, where)) == expected


def test_a_variable_that_the_client_needs_otherwise_is_given_with_its_value() -> None:
    """The PATH of the client is not the PATH inside."""
    argv = containers.run_argv(spec(env={"PATH": "/in", "A": "x"}), container(), client_env={"PATH": "/out"})

    assert [word for word in argv if word.startswith("--env")] == ["--env=A", "--env=PATH=/in"]


WRONG = {
    "an option as image": container(image="--privileged"),
    "an image with a space": container(image="a b"),
    "no image": container(image=""),
    "an option as name": container(name="-x"),
    "a relative folder": container(folders=(Path("work"),)),
    "a folder with a quote": container(folders=(Path('/a"b'),)),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_could_become_an_option_is_refused(name: str) -> None:
    """Neither image nor name nor folder can turn into another option."""
    with pytest.raises(Refused):
        containers.run_argv(spec(), WRONG[name])


def engine_in(folder: Path, script: str) -> dict[str, str]:
    """The environment of a client whose `podman` is a script that notes its calls."""
    program = folder / "podman"
    program.write_text(f'#!/bin/bash\necho "$@" >>{folder}/calls\n{script}\n')
    program.chmod(0o755)
    return {"PATH": f"{folder}:/usr/bin:/bin"}


async def test_a_container_that_ends_is_left_to_itself(processes: ProcessRunner, tmp_path: Path) -> None:
    """The values reach the client's environment, the exit code comes back, and nothing more is called."""
    env = engine_in(tmp_path, 'echo "$A"; exit 5')
    result = await run_in_container(processes, spec(cwd="/"), container(), client_env=env)
    calls = (tmp_path / "calls").read_text().splitlines()

    assert (result.exit_code, result.stdout_tail, len(calls)) == (5, b"secret\n", 1)


async def test_a_container_that_is_stopped_is_removed(processes: ProcessRunner, tmp_path: Path) -> None:
    """After a timeout the container is removed by its name."""
    env = engine_in(tmp_path, '[ "$1" = run ] && sleep 1000')
    result = await run_in_container(
        processes, spec(cwd="/", timeout_seconds=0.2), container(), client_env=env
    )
    calls = (tmp_path / "calls").read_text().splitlines()

    assert (result.ended_by, calls[1:]) == (EndedBy.TIMEOUT, ["rm --force --volumes tow-1"])


def test_an_engine_is_looked_for(tmp_path: Path) -> None:
    """Podman is taken before docker; with neither the error says what to install."""
    with pytest.raises(Refused) as refused:
        containers.find_engine(str(tmp_path))
    found = []
    for engine in ("docker", "podman"):
        (tmp_path / engine).write_text("")
        (tmp_path / engine).chmod(0o755)
        found.append(containers.find_engine(str(tmp_path)))

    assert (found, refused.value.help) == (["docker", "podman"], "Install podman.")
