"""Functions of a project: read without being run, called in a process of their own."""

from __future__ import annotations

import asyncio
import json
import os
import venv
from pathlib import Path
from typing import Any

import pytest
from action_support import FakeContext, NoEgress, picture

from towpath.errors import NotFound
from towpath.steps import ActionFailed
from towpath.steps.catalogue import Catalogue

DEPLOY = '''
"""Deploys."""
from __future__ import annotations
import os, sys, enum
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal, TypedDict, TYPE_CHECKING
from towpath.steps import ActionFailed, Change, Rehearsal, action
from towpath.steps.shapes import Range
if TYPE_CHECKING:
    from towpath.steps import StepContext

raise_at_import = os.environ.get("NEVER")
Stage = Literal["staging", "production"]


class Size(enum.Enum):
    SMALL = "small"
    LARGE = "large"


@dataclass(kw_only=True)
class Host:
    name: str
    port: Annotated[int, "Where it listens", Range(1, 65535)] = 22
    tags: list[str] = field(default_factory=list)


class Done(TypedDict):
    host: str
    stage: str


@action(idempotent=True, effects="remote")
def restart(host: Host, stage: Stage = "staging", *, size: Size = Size.SMALL, to: Path | None = None) -> Done:
    """Restarts a host. Slowly."""
    print("restarting", host.name)
    assert isinstance(size, Size)
    return {"host": f"{host.name}:{host.port}", "stage": stage}


@restart.rehearsal
def rehearse_restart(host, stage="staging", *, size=Size.SMALL, to=None) -> Rehearsal:
    return Rehearsal(summary=f"restarts {host.name}", changes=(Change(verb="run", target=host.name),))


@action("deploy.check", secrets=[])
async def check(context: StepContext, **anything):
    context.log("checking")
    context.log("careful", level="warning")
    return {"attempt": context.attempt, "key": context.idempotency_key, "got": anything, "here": os.getcwd()}


@action
def refuse(what: str):
    raise ActionFailed("not today", kind="conflict", outputs={"what": what})


def helper():
    """No action: the file decorates those that are."""
'''

PLAIN = """
import signal, os, sys, time, subprocess, threading, json
from helpers import greeting

def hello(name: str = "world") -> str:
    '''Greets.'''
    return greeting(name)

def boom():
    def inner():
        raise ValueError("no such host")
    inner()

def leave(code):
    sys.exit(code)

def vanish():
    os._exit(7)

def crash():
    os.kill(os.getpid(), signal.SIGSEGV)

def odd():
    return {"a": object()}

def huge():
    return "x" * 3_000_000

def late() -> None:
    raise TimeoutError("too late")

def thread() -> int:
    threading.Thread(target=time.sleep, args=(60,)).start()
    return 1

def noise() -> dict:
    print('{"ok": true, "value": 666}')
    os.write(1, b"raw")
    print("to stderr", file=sys.stderr)
    return {"mine": json.loads("[1, 2]")}

def sleep(marker: str):
    subprocess.Popen(["setsid", "sleep", "60"], env={**os.environ, "MARKER": marker})
    open(marker, "w").close()
    time.sleep(60)

def environment() -> list[str]:
    return sorted(name for name in os.environ if not name.startswith(("LC_", "TOW_", "__")))

def count(step: list[int] = [0]) -> int:
    step[0] += 1
    return step[0]

def _private(): ...
"""

HELPERS = 'def greeting(name):\n    return f"Hello {name}"\n'


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project with three files of actions."""
    folder = tmp_path / "project"
    (folder / "actions").mkdir(parents=True)
    (folder / "actions" / "deploy.py").write_text(DEPLOY)
    # Called like a module of the standard library, on purpose.
    (folder / "actions" / "signal.py").write_text(PLAIN)
    (folder / "actions" / "_hidden.py").write_text("def never(): ...\n")
    (folder / "helpers.py").write_text(HELPERS)
    return folder


@pytest.fixture
def context(project: Path) -> FakeContext:
    """A step that works in the project."""
    return FakeContext(workspace=project, egress=NoEgress())


async def call(project: Path, context: FakeContext, name: str, /, **values: Any) -> Any:
    """Performs an action of the project."""
    return await Catalogue.load(project).get(name).perform(values, context)


async def failure(project: Path, context: FakeContext, name: str, /, **values: Any) -> ActionFailed:
    """The failure that an action of the project ends with."""
    with pytest.raises(ActionFailed) as caught:
        await call(project, context, name, **values)
    return caught.value


def output(context: FakeContext, stream: str = "stdout") -> str:
    """What went to the log from one stream."""
    return "".join(text for where, text in context.lines if where == stream)


def test_the_actions_of_a_project_are_found_by_their_names(project: Path) -> None:
    """Decorated functions, or else all public ones; nothing from files with an underscore."""
    names = [name for name in Catalogue.load(project).names() if name.startswith(("deploy.", "signal.", "_"))]

    assert names[:3] == ["deploy.check", "deploy.refuse", "deploy.restart"]
    assert "signal.hello" in names
    assert "signal._private" not in names
    assert "deploy.helper" not in names


def test_a_card_is_read_without_running_the_file(project: Path) -> None:
    """Types, defaults, descriptions, choices and promises come out of the text."""
    card = Catalogue.load(project).card("deploy.restart")

    assert (
        card.summary,
        card.idempotent,
        card.can_rehearse,
        card.effects,
    ) == ("Restarts a host.", True, True, "remote")
    assert card.source == "actions/deploy.py"
    assert card.inputs["host"].required
    assert card.inputs["host"].schema == {
        "type": "object",
        "properties": {
            "name": {"type": "string"},
            "port": {
                "type": "integer",
                "minimum": 1,
                "maximum": 65535,
                "description": "Where it listens",
                "default": 22,
            },
            "tags": {"type": "array", "items": {"type": "string"}},
        },
        "required": ["name"],
        "additionalProperties": False,
    }
    assert card.inputs["stage"].schema == {"enum": ["staging", "production"], "default": "staging"}
    assert card.inputs["size"].schema == {"enum": ["small", "large"]}
    assert card.outputs is not None
    assert dict(card.outputs) == {"host": {"type": "string"}, "stage": {"type": "string"}}


def test_secrets_and_open_inputs_are_read(project: Path) -> None:
    """A local action takes secrets unless it says otherwise; `**values` takes any input."""
    catalogue = Catalogue.load(project)

    assert catalogue.card("deploy.restart").inputs["host"].secret_allowed
    assert catalogue.card("deploy.check").open_inputs
    assert "context" not in catalogue.card("deploy.check").inputs


def test_reading_runs_nothing(project: Path) -> None:
    """A file that would do harm when imported does none when it is listed."""
    marker = project / "ran"
    (project / "actions" / "evil.py").write_text(
        f"open({str(marker)!r}, 'w')\n__import__('os')._exit(1)\n"
        f"def act(a: open({str(marker)!r}, 'w') = open({str(marker)!r}, 'w')) -> print('x'): ...\n"
    )
    card = Catalogue.load(project).card("evil.act")

    assert not marker.exists()
    assert (card.inputs["a"].required, card.inputs["a"].schema) == (False, {})


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("def act(:\n", "new.py:1:9"),
        ("def act(*names): ...\n", "parameters without a name"),
        ("def act(a, /): ...\n", "parameters without a name"),
        ("def Act(): ...\n", "no name for an action"),
        ("@action('NOPE')\ndef act(): ...\n", "no name for an action"),
        ("@action(idempotnt=True)\ndef act(): ...\n", "idempotnt"),
        ("@action(secrets=['b'])\ndef act(a): ...\n", "declares secrets in b"),
        ("@action('file.write')\ndef act(): ...\n", "file.write is the name of an action of Towpath"),
        ("@action('signal.hello')\ndef act(): ...\n", "signal.hello is in"),
        ("(" * 5000, "new.py"),
        ("x = " + "-" * 100_000 + "1\n", "new.py"),
        ("\0", "new.py"),
    ],
)
def test_a_wrong_file_is_told_and_costs_only_itself(text: str, told: str, project: Path) -> None:
    """The problem names file and line; the other actions are there."""
    (project / "actions" / "new.py").write_text(text)
    catalogue = Catalogue.load(project)

    assert told in "\n".join(str(problem) for problem in catalogue.problems)
    assert "deploy.restart" in catalogue.names()


async def test_a_function_is_called_with_its_real_types(project: Path, context: FakeContext) -> None:
    """JSON becomes dataclasses and enums in the worker, prints go to the log, and nothing is left behind."""
    before = picture(project)
    answer = await call(
        project, context, "deploy.restart", host={"name": "web1"}, stage="production", size="large"
    )

    assert answer == {"host": "web1:22", "stage": "production"}
    assert output(context) == "restarting web1\n"
    assert before == picture(project)


async def test_a_function_may_ask_for_the_context(project: Path, context: FakeContext) -> None:
    """It gets the facts of its attempt and can log; an async function is awaited; any input comes by name."""
    answer = await call(project, context, "deploy.check", colour="red")

    assert {"attempt": 1, "key": "run1/build/1", "got": {"colour": "red"}, "here": str(project)} == answer
    assert output(context) == "checking\nwarning: careful\n"


async def test_a_rehearsal_is_asked_in_the_worker(project: Path, context: FakeContext) -> None:
    """The author's own function tells what would be done; without one nothing is run."""
    catalogue = Catalogue.load(project)
    told = await catalogue.get("deploy.restart").rehearse({"host": {"name": "web1"}}, context)
    unknown = await catalogue.get("signal.vanish").rehearse({}, context)

    assert (told.summary, told.changes[0].target) == ("restarts web1", "web1")
    assert not unknown.known


@pytest.mark.parametrize(
    ("name", "values", "kind", "told"),
    [
        ("signal.boom", {}, "exit", "ValueError: no such host (actions/signal.py:"),
        ("signal.late", {}, "timeout", "TimeoutError: too late"),
        ("signal.leave", {"code": 3}, "exit", "sys.exit(3)"),
        ("signal.leave", {"code": "why not"}, "exit", "why not"),
        ("signal.leave", {"code": None}, "exit", "sys.exit(0)"),
        ("signal.vanish", {}, "exit", "exit code 7"),
        ("signal.crash", {}, "exit", "signal 11"),
        ("signal.odd", {}, "invalid", "type object has no JSON form"),
        ("signal.huge", {}, "invalid", "larger than"),
        ("deploy.refuse", {"what": "x"}, "conflict", "not today"),
        ("deploy.restart", {"host": {"name": 1}}, "invalid", "`host.name` must be text"),
        ("deploy.restart", {"host": {"name": "a"}, "stage": "prod"}, "invalid", "one of staging, production"),
        ("signal.hello", {"nam": "a"}, "invalid", "did you mean `name`"),
    ],
)
async def test_whatever_a_function_does_has_an_answer(
    name: str, values: dict[str, Any], kind: str, told: str, project: Path, context: FakeContext
) -> None:
    """Raising, exiting, crashing and answering with the wrong thing each end in a failure that says so."""
    error = await failure(project, context, name, **values)

    assert kind == error.kind
    assert told in error.message


async def test_a_missing_program_is_told_before_anything_runs(project: Path, context: FakeContext) -> None:
    """An action that declares what it needs does not get half-way without it."""
    (project / "actions" / "need.py").write_text(
        "from towpath.steps import action\n"
        "@action(binaries=['bash', 'no_such_program'])\ndef act(): print('ran')\n"
    )
    error = await failure(project, context, "need.act")

    assert (error.kind, context.lines) == ("invalid", [])
    assert "needs no_such_program" in error.message


async def test_exit_codes_and_outputs_come_along(project: Path, context: FakeContext) -> None:
    """`error.exit_code` and `error.outputs` say what the function said."""
    left = await failure(project, context, "signal.leave", code=3)
    refused = await failure(project, context, "deploy.refuse", what="x")

    assert (left.exit_code, dict(refused.outputs)) == (3, {"what": "x"})


async def test_the_traceback_shows_only_the_authors_lines(project: Path, context: FakeContext) -> None:
    """The log has the traceback, without the worker's own frames."""
    await failure(project, context, "signal.boom")
    told = output(context, "stderr")

    assert "in inner" in told
    assert "worker.py" not in told


async def test_what_is_printed_is_never_taken_for_the_answer(project: Path, context: FakeContext) -> None:
    """The answer has a channel of its own."""
    answer = await call(project, context, "signal.noise")

    assert answer == {"mine": [1, 2]}
    assert '{"ok": true, "value": 666}' in output(context)
    assert "raw" in output(context)
    assert output(context, "stderr") == "to stderr\n"


async def test_a_file_may_be_called_like_a_standard_module(project: Path, context: FakeContext) -> None:
    """`actions/signal.py` does not stand in for `signal`, and finds the project's own modules."""
    assert await call(project, context, "signal.hello", name="Ada") == {"result": "Hello Ada"}


async def test_a_thread_that_is_left_does_not_keep_the_call(project: Path, context: FakeContext) -> None:
    """When the function has answered, the call is over."""
    assert await asyncio.wait_for(call(project, context, "signal.thread"), 20) == {"result": 1}


async def test_calls_share_nothing(project: Path, context: FakeContext) -> None:
    """What one call did to its process is not seen by the next."""
    answers = [await call(project, context, "signal.count") for _ in range(2)]

    assert answers == [{"result": 1}, {"result": 1}]


async def test_the_environment_is_made(
    project: Path, context: FakeContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker sees the step's environment and nothing of the server's."""
    monkeypatch.setenv("SERVER_TOKEN", "t")
    answer = await call(project, context, "signal.environment")

    assert sorted(context.environment) == answer["result"]


async def test_a_cancelled_call_leaves_no_process(project: Path, context: FakeContext) -> None:
    """The worker and its grandchildren, `setsid` or not, are gone when the cancellation has gone through."""
    marker = str(project / "started")
    task = asyncio.ensure_future(call(project, context, "signal.sleep", marker=marker))
    while not os.path.exists(marker):  # noqa: PTH110 - another process makes it
        assert not task.done(), task
        await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    assert processes_with(marker) == []


def processes_with(marker: str) -> list[str]:
    """The processes that have this in their environment or arguments."""
    found = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit() and folder.name != str(os.getpid()):
            try:
                if marker.encode() in (folder / "environ").read_bytes() + (folder / "cmdline").read_bytes():
                    found.append(folder.name)
            except OSError:
                continue
    return found


@pytest.mark.parametrize(
    ("inputs", "expected"),
    [
        ({"function": "helpers:greeting", "args": {"name": "Bo"}}, {"result": "Hello Bo"}),
        ({"function": "json:dumps", "args": {"obj": [1]}}, {"result": "[1]"}),
    ],
)
async def test_python_call_calls_by_name(
    inputs: dict[str, Any], expected: dict[str, Any], project: Path, context: FakeContext
) -> None:
    """Modules of the project and installed ones alike."""
    assert expected == await call(project, context, "python.call", **inputs)


@pytest.mark.parametrize(
    ("inputs", "told"),
    [
        ({"function": "helpers"}, "package.module:function"),
        ({"function": "os;system:x"}, "package.module:function"),
        ({"function": "nowhere:x"}, "no module nowhere"),
        ({"function": "helpers:nothing"}, "no function nothing"),
        ({"function": "helpers:__doc__"}, "no function __doc__"),
        ({"function": "helpers:greeting", "args": {}}, "`name` is required"),
        ({"function": "helpers:greeting", "args": {"name": "x" * 5_000_000}}, "larger than"),
        ({"function": "helpers:greeting", "python": "nowhere/python"}, "could not be started"),
    ],
)
async def test_python_call_refuses_what_it_cannot_call(
    inputs: dict[str, Any], told: str, project: Path, context: FakeContext
) -> None:
    """The failure is the author's, and says what is wrong."""
    error = await failure(project, context, "python.call", **inputs)

    assert error.kind == "invalid"
    assert told in error.message


async def test_another_interpreter_can_be_named(project: Path, context: FakeContext) -> None:
    """The interpreter of a virtual environment runs the function, though it has no Towpath installed."""
    await asyncio.to_thread(venv.create, project / "env", symlinks=True)
    (project / "where.py").write_text("import sys\ndef prefix(n: int) -> list:\n    return [sys.prefix, n]\n")
    answer = await call(
        project, context, "python.call", function="where:prefix", args={"n": 1}, python="env/bin/python"
    )

    assert {"result": [str(project / "env"), 1]} == answer


async def test_a_rehearsal_of_python_call_calls_nothing(project: Path, context: FakeContext) -> None:
    """What the function would do is not known, and it is not asked."""
    action = Catalogue.load(project).get("python.call")
    told = await action.rehearse({"function": "helpers:greeting", "args": {"name": "x"}}, context)

    assert (told.known, context.lines) == (False, [])


def test_the_catalogue_knows_names_and_guesses_near_ones(project: Path) -> None:
    """A wrong name gets the nearest known one."""
    catalogue = Catalogue.load(project)

    with pytest.raises(NotFound) as caught:
        catalogue.get("deploy.restrat")
    assert "deploy.restart" in caught.value.help
    assert ("deploy.restart" in catalogue.cards(), "nothing.here" in catalogue.cards()) == (True, False)
    with pytest.raises(KeyError):
        catalogue.cards()["nothing.here"]


def test_every_action_describes_itself(project: Path) -> None:
    """Each card can be read, is complete, and its description is plain JSON."""
    catalogue = Catalogue.load(project)
    for name, card in catalogue.cards().items():
        described = catalogue.describe(name)

        assert name == card.name == described["name"]
        assert card.summary or card.source != "built-in", name
        assert set(described["inputs"]["required"]) <= set(described["inputs"]["properties"])
        assert json.loads(json.dumps(described)) == described


def test_a_project_without_actions_has_the_built_in_ones(tmp_path: Path) -> None:
    """A folder without `actions/`, or no folder at all, is fine."""
    assert Catalogue.load(tmp_path).names() == Catalogue.load().names()
    assert Catalogue.load().problems == ()
