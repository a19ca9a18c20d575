"""Performing a script: its files, its environment, its process, and what came of it."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path as FilePath
from typing import TYPE_CHECKING

from towpath.core.run import Error, Json
from towpath.definition import model
from towpath.engines.performing.orders import WORKSPACE, Ending, is_ours_alone
from towpath.errors import Refused, StepError, StoreUnavailable
from towpath.steps.processes import (
    Container,
    EndedBy,
    ProcessResult,
    ProcessSpec,
    StepFiles,
    find_engine,
    make_environment,
    run_in_container,
    shell_named,
)
from towpath.steps.processes.environment import SEARCH_PATH
from towpath.store.contract import ArtifactRow

if TYPE_CHECKING:
    from towpath.engines.performing.orders import AttemptLog, Order
    from towpath.engines.performing.performer import Performer

ARTIFACTS_MAX = 1_000
"""Files that one attempt may keep."""
MESSAGE_CHARS_MAX = 500
NOT_DONE = 1
"""The exit code by which a check says that the step is not done yet."""
SUMMARY_NAME = "summary.md"
MAKE_TRIES = 10
_PATH_DIGEST_CHARS = 12


async def perform(performer: Performer, order: Order, log: AttemptLog) -> Ending:
    """Runs the script of a `run` step or of a check."""
    script, shell_name = _script(order)
    tools = performer.tools
    env, _, stdin = tools.secrets.fill(order.command.work, order.place)
    masker = tools.secrets.masker_for(order.plan, order.place)
    shell = shell_named(shell_name)
    folder = attempt_folder(performer, order)
    in_container = order.command.work.container is not None
    files = StepFiles.prepare(folder, shell=shell, script=script, on_disk=in_container)
    try:
        workspace = workspace_of(performer, order)
        spec = ProcessSpec(
            argv=files.argv,
            files=files.in_memory,
            cwd=str(folder_in(workspace, order.command.work.cwd)),
            env=step_environment(performer, order, env, files.facts()),
            stdin=(stdin or "").encode(),
            timeout_seconds=_timeout(order),
            masker=masker,
        )
        result = await _run(performer, order, spec, log, folders=(workspace, folder))
        return _read(performer, order, result, files, workspace)
    finally:
        files.remove()


async def _run(
    performer: Performer, order: Order, spec: ProcessSpec, log: AttemptLog, *, folders: tuple[FilePath, ...]
) -> ProcessResult:
    tools = performer.tools
    image = order.command.work.container
    if image is None:
        return await tools.processes.run(spec, log.write)
    client = tools.environment_base.variables
    spec = dataclasses.replace(spec, env=_env_inside(spec.env, client))
    container = Container(
        engine=find_engine(client.get("PATH", SEARCH_PATH)),
        image=image,
        name=f"tow-{order.run}-{folders[1].name}",
        folders=folders,
        user=f"{os.getuid()}:{os.getgid()}" if os.getuid() else None,
    )
    return await run_in_container(tools.processes, spec, container, log.write, client_env=client)


def _env_inside(env: Mapping[str, str], client: Mapping[str, str]) -> dict[str, str]:
    """The environment inside a container: where programs and homes are outside (PATH, HOME) is not told to the image."""
    return {name: value for name, value in env.items() if client.get(name) != value}


def _script(order: Order) -> tuple[str, str | tuple[str, ...]]:
    step = order.planned.step
    if order.command.stage == "check":
        assert step is not None, "the run itself is not performed"
        assert step.check is not None, "a check was ordered"
        return step.check.run or "", step.check.shell or "bash"
    assert isinstance(step, model.RunStep), "a script was ordered"
    return step.run, step.shell


def _timeout(order: Order) -> float | None:
    return order.planned.step.timeout if order.planned.step is not None else None


def _read(
    performer: Performer, order: Order, result: ProcessResult, files: StepFiles, workspace: FilePath
) -> Ending:
    """What the process and its files tell."""
    outputs: dict[str, Json] = {"stdout": result.stdout_tail.decode("utf-8", "replace").rstrip("\n")}
    if result.shell_exit_code is not None:
        outputs["exit_code"] = result.shell_exit_code
    error = error_of(result)
    if order.command.stage == "check":
        return _read_check(outputs, error)
    step = order.planned.step
    assert isinstance(step, model.RunStep), "a script was ordered"
    if files.output.exists():
        declared = step.outputs if isinstance(step.outputs, tuple) else None
        outputs.update(files.outputs(declared=declared))
    keep_artifacts(performer, order, workspace, files)
    if step.parse == "json" and error is None:
        outputs["json"] = _parsed(result, outputs)
    return Ending(outputs=outputs, error=error)


def _read_check(outputs: dict[str, Json], error: Error | None) -> Ending:
    if error is None:
        return Ending(outputs=outputs, done=True)
    if error.exit_code == NOT_DONE:
        return Ending(outputs=outputs, done=False)
    return Ending(outputs=outputs, error=error)


def _parsed(result: ProcessResult, outputs: Mapping[str, Json]) -> Json:
    if result.stdout_bytes > len(result.stdout_tail):
        raise StepError("parse: json: standard output is longer than 64 KiB", kind="invalid")
    try:
        return json.loads(outputs["stdout"])
    except ValueError as error:
        raise StepError(f"parse: json: standard output is no JSON: {error}", kind="invalid") from None


def error_of(result: ProcessResult) -> Error | None:
    """The error that a process's end means; None where it succeeded."""
    if result.succeeded:
        return None
    kind = {
        EndedBy.EXIT: "exit",
        EndedBy.TIMEOUT: "timeout",
        EndedBy.CANCELLED: "cancelled",
        EndedBy.SPAWN_ERROR: "invalid",
        EndedBy.LOST: "interrupted",
    }[result.ended_by]
    message = result.message
    if kind == "exit":
        ending = f"exit code {result.exit_code}" if result.signal is None else message.removesuffix(".")
        last = _last_line(result)
        message = f"{ending}: {last}" if last else ending
    return Error(kind=kind, message=message[:MESSAGE_CHARS_MAX], exit_code=result.shell_exit_code)


def _last_line(result: ProcessResult) -> str:
    for tail in (result.stderr_tail, result.stdout_tail):
        lines = tail.decode("utf-8", "replace").strip().splitlines()
        if lines:
            return lines[-1].strip()
    return ""


def step_environment(
    performer: Performer, order: Order, env: Mapping[str, str], facts: Mapping[str, str]
) -> dict[str, str]:
    """The whole environment of a step's programs."""
    tools = performer.tools
    command = order.command
    told = {
        "TOW": "1",
        "TOW_RUN": str(order.number),
        "TOW_RUN_ID": order.run,
        "TOW_WORKFLOW": order.plan.workflow.name,
        "TOW_STEP": command.path,
        "TOW_ATTEMPT": str(command.attempt),
        "TOW_STARTED_BY": order.started_by,
        **facts,
    }
    if order.place:
        told["TOW_ENVIRONMENT"] = order.place
    said = {**tools.environment_variables.get(order.place, {}), **env}
    return make_environment(tools.environment_base, said, told)


def attempt_folder(performer: Performer, order: Order) -> FilePath:
    """A new folder for the attempt; its name is made here, of nothing that came from outside."""
    command = order.command
    digest = hashlib.sha256(command.path.encode()).hexdigest()[:_PATH_DIGEST_CHARS]
    home = performer.tools.private / order.run
    folder = home / f"{digest}-{command.attempt}-{command.stage}"
    if home not in performer.homes:
        _make_home(performer.tools.private, home)
        performer.homes.add(home)
    if folder.exists():
        _clear(folder)
    return folder


def _make_home(private: FilePath, home: FilePath) -> None:
    """Makes the folder of a run, and the one that holds it: another process that ends may remove that meanwhile."""
    for _ in range(MAKE_TRIES):
        try:
            home.mkdir(mode=0o700, exist_ok=True)
        except FileNotFoundError:
            private.mkdir(mode=0o700, exist_ok=True)
            continue
        if not is_ours_alone(private):
            raise Refused(f"{private} belongs to somebody else", help="Remove it, or run `tow` as its owner.")
        return
    raise StoreUnavailable(f"cannot make the folder {home}", help="See whether something removes it again.")


def _clear(folder: FilePath) -> None:
    """Removes what an attempt left whose process died with it."""
    import shutil

    shutil.rmtree(folder, ignore_errors=True)


def workspace_of(performer: Performer, order: Order) -> FilePath:
    """The folder in which the steps of the run work."""
    if order.plan.workflow.workspace == "project":
        return performer.tools.project(order.commit)
    folder = performer.tools.workspaces / order.run / WORKSPACE
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return folder


def folder_in(workspace: FilePath, cwd: str | None) -> FilePath:
    """The folder *cwd* of a step, relative to the workspace; raises Refused where there is none."""
    if not cwd:
        return workspace
    folder = workspace / cwd
    if not folder.is_dir():
        raise Refused(f"cwd: {folder} is not a folder", help="Make it in an earlier step.")
    return folder


def keep_artifacts(
    performer: Performer, order: Order, workspace: FilePath, files: StepFiles | None = None
) -> None:
    """Keeps the files that the step names with the run, and its summary."""
    if files is not None and files.summary.exists():
        files.summary.write_text(
            performer.tools.secrets.masker_for(order.plan, order.place).text(files.summary_text())
        )
        _keep(performer, order, files.summary, SUMMARY_NAME)
    folder = folder_in(workspace, order.command.work.cwd)
    found = 0
    for pattern in order.command.work.artifacts:
        for path in sorted(_matching(folder, pattern)):
            found += 1
            if found > ARTIFACTS_MAX:
                raise StepError(f"artifacts: more than ARTIFACTS_MAX ({ARTIFACTS_MAX}) files", kind="invalid")
            _keep(performer, order, path, path.relative_to(folder).as_posix())


def _matching(folder: FilePath, pattern: str) -> list[FilePath]:
    if pattern.startswith("/") or ".." in FilePath(pattern).parts:
        raise StepError(f"artifacts: {pattern!r} leads out of the step's folder", kind="invalid")
    home = folder.resolve()
    return [path for path in folder.glob(pattern) if path.is_file() and path.resolve().is_relative_to(home)]


def _keep(performer: Performer, order: Order, path: FilePath, name: str) -> None:
    command = order.command
    row = ArtifactRow(
        run=order.number, path=command.path, attempt=command.attempt, name=name, digest="", size=0, kept_at=0
    )
    performer.tools.keep_artifact(path, row)
