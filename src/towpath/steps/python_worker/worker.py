"""The process in which one function of a project is called.

It is started as a file, by any Python from 3.11 on, without the caller's environment. The call comes as
JSON on standard input, what the function prints goes to the step's log, and the answer goes as JSON to a
descriptor of its own, so that nothing printed can be mistaken for it. Whatever the function does (raise,
exit, crash, answer with something that has no JSON) becomes an answer that says so, or a missing one.

Only the standard library and the few modules of the action contract are loaded: each is paid for by every
call.
"""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import json
import os
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    import traceback

    from towpath.steps.contract import LogLevel

RESULT_FD: Final = 3
MESSAGE_CHARS_MAX: Final = 4_000


def main() -> None:
    """Reads one call, makes it, and answers."""
    os.set_inheritable(RESULT_FD, False)  # noqa: FBT003 - the system's own call
    # What is printed shall be seen when it is printed.
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr] # it is a text stream
    call = json.load(sys.stdin)
    _prepare_imports(call)
    answer = _answer(call)
    sys.stdout.flush()
    sys.stderr.flush()
    with os.fdopen(RESULT_FD, "wb") as result:
        result.write(answer)
    if threading.active_count() > 1:
        # The call is over; a thread that it left behind would keep the process for ever.
        os._exit(0)


def _prepare_imports(call: dict[str, Any]) -> None:
    """The project comes before installed packages and behind the standard library."""
    places = [str(Path(call["project"])), str(Path(call["project"], "actions"))]
    installed = (i for i, path in enumerate(sys.path) if path.endswith(("site-packages", "dist-packages")))
    first = next(installed, len(sys.path))
    here = str(Path(__file__).parent)
    sys.path[first:first] = places
    sys.path[:] = [path for path in sys.path if path != here]
    # Last: only where this interpreter has no Towpath of its own.
    sys.path.append(call["towpath"])
    sys.dont_write_bytecode = True


def _answer(call: dict[str, Any]) -> bytes:
    from towpath.steps import contract

    try:
        value = _called(call)
    except contract.ActionFailed as error:
        answer = _failure(error.message, error.kind, outputs=dict(error.outputs), exit_code=error.exit_code)
        answer["help"] = error.help
    except SystemExit as error:
        answer = _exited(error)
    except BaseException as error:  # noqa: BLE001 - the edge of the author's code: everything becomes an answer
        answer = _raised(error)
    else:
        answer = {"ok": True, "value": value}
    try:
        return json.dumps(answer, allow_nan=False).encode()
    except (TypeError, ValueError, RecursionError) as error:
        return json.dumps(_failure(f"The answer has no JSON form: {error}", "invalid")).encode()


def _called(call: dict[str, Any]) -> Any:  # noqa: ANN401 - plain JSON
    from towpath.steps import contract, shapes

    found = _find(call)
    function: Callable[..., Any] = found
    if isinstance(found, contract.FunctionAction):
        if call["operation"] == "rehearse":
            if found.rehearse_function is None:
                raise contract.ActionFailed(f"{call['name']} cannot be rehearsed.", kind="invalid")
            signature, function = found.signature, found.rehearse_function
        else:
            signature, function = found.signature, found.function
    else:
        signature = contract.signature_of(found, name=call["name"])
    arguments = signature.read(call["arguments"], call["name"])
    if signature.takes_context:
        arguments["context"] = _LocalContext(
            **{**call["context"], "workspace": Path(call["context"]["workspace"])}
        )
    value = function(**arguments)
    if inspect.iscoroutine(value):
        import asyncio

        value = asyncio.run(value)
    try:
        return shapes.write(value)
    except TypeError as error:
        raise contract.ActionFailed(
            f"{call['name']} answered with something that has no JSON form: {error}.",
            kind="invalid",
            help="Answer with text, numbers, booleans, lists, maps or a dataclass.",
        ) from None


def _find(call: dict[str, Any]) -> Any:  # noqa: ANN401 - whatever stands under the name
    """The function, or the action that was made of it."""
    from towpath.steps import contract

    try:
        module = _load_file(call["file"]) if call["file"] else importlib.import_module(call["module"])
    except ModuleNotFoundError as error:
        raise contract.ActionFailed(
            f"There is no module {error.name}.",
            kind="invalid",
            help=f"It is looked for in {call['project']} and where {sys.executable} has its packages.",
        ) from None
    found: Any = module
    for part in call["function"].split("."):
        found = getattr(found, part, None)
    if not callable(found):
        raise contract.ActionFailed(f"{module.__name__} has no function {call['function']}.", kind="invalid")
    return found


def _load_file(path: str) -> ModuleType:
    # Under a name of its own: a file may be called like a module of the standard library.
    name = f"towpath_actions.{Path(path).stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses look their annotations up there
    spec.loader.exec_module(module)
    return module


@dataclass(frozen=True, slots=True, kw_only=True)
class _LocalContext:
    """What a local function gets that asks for `context`: facts, and the log."""

    run_id: str
    path: str
    attempt: int
    idempotency_key: str
    workspace: Path
    seconds_left: float | None

    def remaining_seconds(self) -> float | None:
        """The time that was left when the call began."""
        return self.seconds_left

    def log(self, text: str, *, level: LogLevel = "info") -> None:
        """Writes a line into the step's log."""
        print(text if level == "info" else f"{level}: {text}", file=sys.stdout, flush=True)  # noqa: T201 - what is printed is the log


def _failure(
    message: str, kind: str, *, outputs: dict[str, Any] | None = None, exit_code: int | None = None
) -> dict[str, Any]:
    return {
        "ok": False,
        "message": message[:MESSAGE_CHARS_MAX],
        "kind": kind,
        "outputs": outputs or {},
        "exit_code": exit_code,
        "help": "",
    }


def _exited(error: SystemExit) -> dict[str, Any]:
    """`sys.exit(3)`, `sys.exit("why")`, and `sys.exit()`, which is no answer either."""
    if isinstance(error.code, str):
        return _failure(error.code, "exit", exit_code=1)
    code = error.code if isinstance(error.code, int) else 0
    return _failure(f"The function called sys.exit({code}) instead of answering.", "exit", exit_code=code)


_KINDS: tuple[tuple[type[BaseException], str], ...] = (
    (TimeoutError, "timeout"),
    (ConnectionError, "unreachable"),
    (PermissionError, "denied"),
    (FileExistsError, "conflict"),
)


def _raised(error: BaseException) -> dict[str, Any]:
    """The error in a sentence; the traceback, without our own lines, goes to the log."""
    import traceback

    # `error` went through `_answer`, `_called` and perhaps the loader: the author's lines come behind ours.
    lines = traceback.TracebackException.from_exception(error)
    ours = (__file__, "<frozen importlib", importlib.__file__ or "", importlib.util.__file__ or "")
    for one in _chain(lines):
        one.stack = traceback.StackSummary.from_list(
            [frame for frame in one.stack if not frame.filename.startswith(ours)]
        )
    sys.stderr.write("".join(lines.format()))
    where = f" ({_short(lines.stack[-1].filename)}:{lines.stack[-1].lineno})" if lines.stack else ""
    kind = next((kind for family, kind in _KINDS if isinstance(error, family)), "exit")
    said = str(error)
    name = type(error).__name__
    return _failure(f"{name}: {said}{where}" if said else f"{name}{where}", kind)


def _chain(lines: traceback.TracebackException) -> list[traceback.TracebackException]:
    found: list[traceback.TracebackException] = []
    one: traceback.TracebackException | None = lines
    while one is not None and one not in found:
        found.append(one)
        one = one.__cause__ or one.__context__
    return found


def _short(filename: str) -> str:
    return "/".join(Path(filename).parts[-2:])


if __name__ == "__main__":
    main()
