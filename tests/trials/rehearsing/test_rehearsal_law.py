"""What a rehearsal calls certain is what happens: random workflows are rehearsed, and then played by the core where all goes well."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any, NoReturn

from hypothesis import assume, given, settings

from simulation.workflows import plans
from simulation.world import Script, World
from towpath.core import Plan
from towpath.core.run import Run
from towpath.engines.rehearsing import Forecast
from towpath.engines.rehearsing.calls import imagine
from towpath.engines.rehearsing.ground import Surroundings
from towpath.engines.rehearsing.knowledge import Knowledge
from towpath.engines.rehearsing.walking import Walk
from towpath.errors import NotFound
from towpath.store.contract import Definition, RunNumber

LEAVES = frozenset({"run", "uses", "approve", "task", "wait", "workflow", "end"})
INPUTS = {"yes": True}
SIGNALS = 50
OTHER_WAYS = ("~catch", "~on_failure", "~rollback")


class NoLibrary:
    """Knows no other workflow."""

    def find(self, name: str, *, commit: str = "") -> NoReturn:  # noqa: ARG002 - the contract of a library
        """Finds nothing."""
        raise NotFound(f"there is no workflow {name}")

    def edited_by(self, definition: Definition) -> str:  # noqa: ARG002 - the contract of a library
        """Nobody."""
        return ""


class Willing(dict[str, Any]):
    """Answers every question so that the run goes on."""

    def __init__(self, plan: Plan) -> None:
        super().__init__()
        self._plan = plan

    def get(self, path: str, default: Any = None) -> Any:
        """Two approvals, or a task that is done."""
        step = self._plan.by_id.get(path.rpartition("/")[2])
        decision = {"approve": "approve", "task": "done"}.get("" if step is None else step.kind)
        if decision is None:  # something failed: nobody looks at this run any more
            return default
        return [{"decision": decision}, {"decision": decision, "by": "user:cat"}]


class Soon(dict[str, float]):
    """Every window opens in a second."""

    def get(self, name: str, default: Any = None) -> Any:  # noqa: ARG002 - the shape of a dict
        """A second."""
        return 1.0


def played(plan: Plan) -> Run:
    """The run of a plan in a world where everything succeeds, everybody agrees, and signals are there."""
    signals = [{"at": 0.5, "do": "signal", "name": "go"}] * SIGNALS
    script = Script(answers=Willing(plan), windows=Soon(), happens=signals)
    return World(plan, script).start(inputs=INPUTS).run


def foreseen(plan: Plan) -> tuple[Forecast, ...]:
    """The same plan, rehearsed without a look at anything."""
    run = imagine(plan.workflow, "digest", INPUTS, started_by="user:ann")
    around = Surroundings(looker=None, library=NoLibrary(), effects_of=lambda _: None, number=RunNumber(0))
    return asyncio.run(Walk(run, Knowledge(run), around).whole())


def leaves(forecasts: tuple[Forecast, ...], *, is_certain: bool = True) -> Iterator[tuple[Forecast, bool]]:
    """Every forecast of a leaf, and whether it and all around it are certain."""
    for one in forecasts:
        certain = is_certain and one.happens == "yes"
        if one.kind in LEAVES:
            yield one, certain
        yield from leaves(one.inside, is_certain=certain)


@settings(max_examples=150, deadline=None, derandomize=True)
@given(plans())
def test_what_is_certain_happens(plan: Plan) -> None:
    """A step that would run runs, one that would be skipped does not, and none runs that the rehearsal does not show."""
    found = list(leaves(foreseen(plan)))
    run = played(plan)
    assume(run.has_ended)
    assume(not any(node.status in ("failed", "cancelled") for node in run.nodes.values()))
    ran = {path for path, node in run.nodes.items() if node.status not in ("skipped", "reset")}
    shown = {one.path for one, _ in found if one.happens != "no"}
    first_rounds = {path for path in ran if _is_shown(plan, path)}

    assert {one.path for one, certain in found if certain} - ran == set()
    assert {one.path for one, _ in found if one.happens == "no"} & ran == set()
    assert first_rounds - shown == set()


def _is_shown(plan: Plan, path: str) -> bool:
    """Whether a node is a leaf of the first round, on the way where all goes well."""
    step = plan.by_id.get(path.rpartition("/")[2].rpartition("~")[2])
    if step is None or step.kind not in LEAVES or any(way in path for way in OTHER_WAYS):
        return False
    return not any(_is_later_round(plan, path, position) for position, char in enumerate(path) if char == "[")


def _is_later_round(plan: Plan, path: str, position: int) -> bool:
    block = plan.by_id[path[:position].rpartition("/")[2]]
    return block.kind == "repeat" and not path[position:].startswith("[1]")
