"""Calls a function of a project in a worker, and `python.call`, which does it by name.

The code of a project is never loaded into this process. Each call has a process of its own: it runs one
call and ends; a timeout or a cancellation kills it with everything that it started; a crash is an answer
like any other. What one call did to its process cannot be seen by the next.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Final, Literal

from towpath.steps import contract, shapes
from towpath.steps.contract import ActionFailed, Change, Rehearsal, StepContext, Values, action
from towpath.steps.processes import EndedBy, ProcessResult, ProcessSpec
from towpath.steps.python_worker import worker
from towpath.steps.python_worker.place import FunctionPlace

__all__ = ["PythonCall", "call_function", "rehearse_function"]

ARGUMENTS_BYTES_MAX: Final = 4 * 1024 * 1024
RESULT_BYTES_MAX: Final = 1024 * 1024

_WORKER_FILE = str(Path(worker.__file__).resolve())
_TOWPATH_FOLDER = str(Path(contract.__file__).resolve().parents[2])
"""Where the package lies, for an interpreter that does not have it."""


async def call_function(place: FunctionPlace, name: str, arguments: Values, context: StepContext) -> Values:
    """The outputs of a function, called in a worker; raises ActionFailed."""
    value = await _work(place, name, arguments, context, operation="perform")
    return contract.outputs_of(value, name)


async def rehearse_function(
    place: FunctionPlace, name: str, arguments: Values, context: StepContext
) -> Rehearsal:
    """What a function says that it would do, asked in a worker; raises ActionFailed."""
    value = await _work(place, name, arguments, context, operation="rehearse")
    try:
        return shapes.read(value, Rehearsal)  # type: ignore[no-any-return] # the type is the argument
    except shapes.ShapeError as error:
        raise ActionFailed(f"The rehearsal of {name} is no Rehearsal: {error}.", kind="invalid") from None


async def _work(
    place: FunctionPlace,
    name: str,
    arguments: Values,
    context: StepContext,
    *,
    operation: Literal["perform", "rehearse"],
) -> Any:  # noqa: ANN401 - plain JSON
    call = {
        "operation": operation,
        "name": name,
        "project": str(place.project.resolve()),
        "towpath": _TOWPATH_FOLDER,
        "file": None if place.file is None else str(place.file.resolve()),
        "module": place.module,
        "function": place.function,
        "arguments": dict(arguments),
        "context": _facts(context),
    }
    sent = json.dumps(call).encode()
    if len(sent) > ARGUMENTS_BYTES_MAX:
        raise ActionFailed(
            f"The inputs of {name} are larger than {ARGUMENTS_BYTES_MAX} bytes.",
            kind="invalid",
            help="Pass large values through a file.",
        )
    result = await context.run_process(
        ProcessSpec(
            # -I: neither the environment nor the working folder decides what is loaded.
            argv=(str(place.python or sys.executable), "-I", "-X", "utf8", _WORKER_FILE),
            cwd=str(context.workspace),
            env=context.environment,
            stdin=sent,
            result_fd=worker.RESULT_FD,
            result_bytes_max=RESULT_BYTES_MAX,
        )
    )
    return _value_of(result, name)


def _facts(context: StepContext) -> dict[str, object]:
    return {
        "run_id": context.run_id,
        "path": context.path,
        "attempt": context.attempt,
        "idempotency_key": context.idempotency_key,
        "workspace": str(context.workspace),
        "seconds_left": context.remaining_seconds(),
    }


def _value_of(result: ProcessResult, name: str) -> Any:  # noqa: ANN401 - plain JSON
    """What the worker answered, or why it did not."""
    if result.ended_by is not EndedBy.EXIT:
        raise _not_ended(result, name)
    if result.result_too_long:
        raise ActionFailed(
            f"The answer of {name} is larger than {RESULT_BYTES_MAX} bytes.",
            kind="invalid",
            help="Write it into a file and answer with the path.",
        )
    try:
        answer = json.loads(result.result)
    except ValueError:
        code = result.shell_exit_code
        told = f"was ended by signal {result.signal}" if result.signal else f"ended with exit code {code}"
        raise ActionFailed(
            f"The process of {name} {told} and did not answer.", kind="exit", exit_code=code
        ) from None
    if answer["ok"]:
        return answer["value"]
    raise ActionFailed(
        answer["message"],
        kind=contract.check_kind(answer["kind"]),
        outputs=answer["outputs"],
        exit_code=answer["exit_code"],
        help=answer["help"],
    )


def _not_ended(result: ProcessResult, name: str) -> ActionFailed:
    if result.ended_by is EndedBy.SPAWN_ERROR:
        return ActionFailed(f"{name} could not be started. {result.message}", kind="invalid")
    if result.ended_by is EndedBy.LOST:
        return ActionFailed(f"{name}: {result.message}", kind="interrupted")
    if result.ended_by is EndedBy.TIMEOUT:
        return ActionFailed(f"{name} ran out of time and was stopped.", kind="timeout")
    return ActionFailed(f"{name} was cancelled.", kind="cancelled")


# --- python.call --------------------------------------------------------------------------------------

_FUNCTION = re.compile(r"(?!\d)\w+(\.(?!\d)\w+)*:(?!\d)\w+(\.(?!\d)\w+)*")


@dataclass(frozen=True, slots=True, kw_only=True)
class CallInputs:
    """What `python.call` takes."""

    function: Annotated[str, "The module and the function: `package.module:function`"]
    args: Annotated[dict[str, Any], "The arguments by name"] = field(default_factory=dict, repr=False)
    python: Annotated[
        Path | None, "The interpreter (Python 3.11 or newer), for example of a virtual environment"
    ] = None

    def __post_init__(self) -> None:
        if not _FUNCTION.fullmatch(self.function):
            raise ValueError("`function` is written as `package.module:function`")


class PythonCall(contract.FunctionAction):
    """`python.call`, which finds modules in the project's folder first."""

    def __init__(self, project: Path | None = None, *, python: Path | None = None) -> None:
        super().__init__(_call.function, _call.declaration)
        self._project = project
        self._python = python
        self.rehearse_function = _rehearse_call

    async def perform(self, values: Values, context: StepContext) -> Mapping[str, Any]:
        """Calls the function in a worker."""
        inputs: CallInputs = self.signature.read(values, self.name)["inputs"]
        return await call_function(self._place(inputs, context), inputs.function, inputs.args, context)

    def _place(self, inputs: CallInputs, context: StepContext) -> FunctionPlace:
        module, _, function = inputs.function.partition(":")
        python = context.workspace / inputs.python if inputs.python else self._python
        return FunctionPlace(
            project=self._project or context.workspace, module=module, function=function, python=python
        )


@action("python.call", effects="anything", secrets=("args",))
async def _call(inputs: CallInputs, context: StepContext) -> Any:  # noqa: ANN401 - whatever the function answers
    """Calls a Python function in a process of its own; a mapping that it answers with becomes the outputs."""
    return await PythonCall().perform({"function": inputs.function, "args": inputs.args}, context)


async def _rehearse_call(inputs: CallInputs, context: StepContext) -> Rehearsal:  # noqa: ARG001 - the contract of a rehearsal
    change = Change(
        verb="run", target=inputs.function, detail=f"with {', '.join(inputs.args) or 'no arguments'}"
    )
    return Rehearsal(summary=f"calls {inputs.function}", changes=(change,), known=False)
