"""A project with an engine to try things on: time is wound by hand, and actions do what the test says.

`stage.act` is an action that a test scripts: it answers at once, fails, or holds still until it is released. `stage.safe` is the
same and idempotent. Everything else is real: the store, the loop, the processes.
"""

from __future__ import annotations

import asyncio
import contextlib
import textwrap
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from towpath import app as towpath_app
from towpath.core import stimuli
from towpath.core.events import AnyEvent
from towpath.core.run import Run
from towpath.engines.clock import HandClock
from towpath.engines.contract import Engine, StartRequest
from towpath.settings import Settings
from towpath.steps.contract import ActionFailed, StepContext, action
from towpath.store.contract import RunNumber

SECONDS_MAX = 20.0
"""How long a test waits for what has to come; it comes within milliseconds."""

Behaviour = Callable[[], Awaitable[Mapping[str, Any] | None]]


class Stage:
    """What the scripted actions do, and what they did."""

    def __init__(self) -> None:
        self.performed: list[str] = []
        self.stopped: list[str] = []
        self.now_going = 0
        self.most_at_once = 0
        self._behaviours: dict[str, list[Any]] = {}
        self._held: dict[str, asyncio.Event] = {}

    def answers(self, name: str, *results: Any) -> None:
        """Has the step called *name* answer so: outputs, an exception, or `HOLD`; the last one from then on."""
        self._behaviours[name] = list(results)

    def release(self, name: str) -> None:
        """Lets what is held under *name* go on."""
        self._held.setdefault(name, asyncio.Event()).set()

    async def perform(self, name: str) -> Mapping[str, Any]:
        """What the action does."""
        self.performed.append(name)
        self.now_going += 1
        self.most_at_once = max(self.most_at_once, self.now_going)
        try:
            results = self._behaviours.get(name, [{}])
            result = results.pop(0) if len(results) > 1 else results[0]
            if result is HOLD:
                await self._held.setdefault(name, asyncio.Event()).wait()
                result = {}
        except asyncio.CancelledError:
            self.stopped.append(name)
            raise
        finally:
            self.now_going -= 1
        if isinstance(result, Exception):
            raise result
        return dict(result)


CROWD = tuple(f"u{n}" for n in range(64))
"""Members of the team beside those with names: for answers that come all at once."""
TEAM = ("ann", "bob", "cy", *CROWD)
PROJECT = f"""\
name: home
people:
  users: {{{", ".join(f"{user}: {{}}" for user in TEAM)}}}
  groups: {{team: [{", ".join(f'"user:{user}"' for user in TEAM)}]}}
"""

HOLD = object()
"""A step that goes on until it is released or stopped."""


def failure(message: str = "it broke", *, kind: str = "exit", **more: Any) -> ActionFailed:
    """An action's failure."""
    return ActionFailed(message, kind=kind, **more)


class Home:
    """A project folder, and engines on it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.clock = HandClock()
        self.stage = Stage()
        self.apps: list[towpath_app.App] = []
        (folder / "workflows").mkdir(parents=True, exist_ok=True)
        (folder / "towpath.yaml").write_text(PROJECT)

    def write(self, name: str, text: str) -> str:
        """Writes a workflow file; the name stands in for its `name` key."""
        (self.folder / "workflows" / f"{name}.yaml").write_text(f"name: {name}\n{textwrap.dedent(text)}")
        return name

    def app(self, **different: Any) -> towpath_app.App:
        """The project plugged together once more, as another process would have it."""
        settings = Settings(
            **{"project": self.folder, "data": self.folder / ".towpath", "user": "ann", **different}
        )
        made = towpath_app.build(settings, clock=self.clock)
        points = {name: _point(made_action) for name, made_action in self._actions().items()}
        made.catalogue.__dict__["_entry_points"] = points
        self.apps.append(made)
        return made

    def _actions(self) -> Mapping[str, Any]:
        stage = self.stage

        @action("stage.act")
        async def act(name: str, value: Any = None, *, context: StepContext) -> dict[str, Any]:  # noqa: ARG001
            """Does what the test says."""
            return dict(await stage.perform(name))

        @action("stage.safe", idempotent=True)
        async def safe(name: str, value: Any = None, *, context: StepContext) -> dict[str, Any]:  # noqa: ARG001
            """Does what the test says; twice is as good as once."""
            return dict(await stage.perform(name))

        @action("stage.either", idempotent=lambda inputs: inputs["value"] == "safe")
        async def either(name: str, value: Any = None) -> dict[str, Any]:  # noqa: ARG001
            """Does what the test says; whether twice is as good as once depends."""
            return dict(await stage.perform(name))

        @action("stage.now", instant=True)
        def now(fails: bool = False, crashes: bool = False) -> None:
            """Is over at once, one way or another."""
            if crashes:
                raise RuntimeError("a mistake of the action's author")
            if fails:
                raise failure("it failed at once", kind="conflict")

        return {"stage.act": act, "stage.safe": safe, "stage.either": either, "stage.now": now}

    def close(self) -> None:
        """Closes every store."""
        for made in self.apps:
            made.close()


def _point(made: Any) -> Any:
    return SimpleNamespace(load=lambda: made, dist=None, module="stage", value="stage")


class Bench:
    """An engine that runs, with what a test wants to ask of it."""

    def __init__(self, home: Home, app: towpath_app.App, engine: Engine) -> None:
        self.home = home
        self.app = app
        self.engine = engine
        self.stage = home.stage

    def request(self, name: str, *, by: str = "user:ann", **inputs: Any) -> StartRequest:
        """A start of the workflow with this name."""
        return self.app.request(self.app.find(name), inputs, started_by=by)

    async def start(self, name: str, **inputs: Any) -> RunNumber:
        """Starts the workflow; it is durable."""
        return (await self.engine.start(self.request(name, **inputs))).number

    async def to_end(self, run: RunNumber) -> Run:
        """The run when it has ended."""
        async with asyncio.timeout(SECONDS_MAX):
            return await self.engine.until_ended(run)

    async def run(self, name: str, **inputs: Any) -> Run:
        """Starts the workflow and waits for its end."""
        return await self.to_end(await self.start(name, **inputs))

    async def tell(self, run: RunNumber, kind: type, /, **said: Any) -> None:
        """Tells the run something."""
        async with asyncio.timeout(SECONDS_MAX):
            await self.engine.tell(run, kind(at=self.home.clock.now(), **said))

    async def answer(
        self, run: RunNumber, path: str, decision: str, *, by: str = "user:bob", **said: Any
    ) -> None:
        """Answers a question."""
        await self.tell(run, stimuli.Answered, path=path, decision=decision, by=by, **said)

    async def until_status(self, run: RunNumber, *statuses: str) -> Run:
        """Waits until the journal shows the run so."""
        return await self.until(run, lambda seen: seen.status in statuses)

    async def until(self, run: RunNumber, holds: Callable[[Run], bool]) -> Run:
        """Waits until the journal shows what is wanted of the run."""
        found: list[Run] = []

        def looked() -> bool:
            found.append(self.state(run))
            return holds(found[-1])

        await until(looked)
        return found[-1]

    def state(self, run: RunNumber) -> Run:
        """The run as the journal has it."""
        return self.app.run(str(run))[1]

    def events(self, run: RunNumber) -> list[AnyEvent]:
        """The journal of the run."""
        row, _ = self.app.run(str(run))
        return [event for _, event in self.app.events(row)]

    def kinds(self, run: RunNumber) -> list[str]:
        """The names of the journal's events, in order."""
        return [type(event).__name__ for event in self.events(run)]

    def statuses(self, run: RunNumber) -> dict[str, str]:
        """How every step stands, by path."""
        return {path: node.status for path, node in self.state(run).nodes.items() if path}

    def wind(self, seconds: float) -> None:
        """Lets time pass."""
        self.home.clock.wind(seconds)


async def until(holds: Callable[[], object], *, seconds: float = SECONDS_MAX) -> None:
    """Waits for something that happens elsewhere; fails loudly when it does not come."""
    async with asyncio.timeout(seconds):
        while not holds():
            await asyncio.sleep(0.005)


@contextlib.asynccontextmanager
async def embedded(home: Home, **different: Any) -> AsyncIterator[Bench]:
    """An embedded engine, as one process has it."""
    app = home.app(**different)
    async with app.engine("tow test") as engine:
        yield Bench(home, app, engine)


@contextlib.asynccontextmanager
async def dying(home: Home) -> AsyncIterator[Bench]:
    """An embedded engine whose process dies without a goodbye: what it did not commit is gone.

    Its loop is cut off from the world, its lock is let go and its steps are stopped, but nothing more is written.
    """
    app = home.app()
    engine = app.engine("tow test")
    await engine.__aenter__()
    try:
        yield Bench(home, app, engine)
    finally:
        engine.journal.commit = _lost  # type: ignore[method-assign] # nothing is written any more
        engine.journal.start = _lost  # type: ignore[method-assign] # as above
        engine.store.owners.leave = _not_said(engine.store.owners)  # type: ignore[method-assign] # no goodbye
        await engine.__aexit__(None, None, None)


def _lost(*_: object) -> None:
    """A process that is dead writes nothing."""


def _not_said(owners: Any) -> Callable[[Any], None]:
    return lambda _: owners.forget_inherited()


def paths(steps: Iterable[str]) -> list[str]:
    """Sorted, where the order does not matter."""
    return sorted(steps)
