"""The walk of a rehearsal: over the steps in their order, as the run would take them, without taking any.

The walk assumes that all goes well. What would come otherwise (`catch`, `on_failure`) is shown and not looked at. Where a condition cannot
be known, both sides are walked, and what is learnt on one side is not known after it. A look at the world counts as firm until a step
comes that would change something; after that it tells how things are now, and decides nothing.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from typing import Final

from towpath.core import values
from towpath.core.blocks.each import items_of
from towpath.core.plan import PlanStep
from towpath.core.run import Json, Path, Run
from towpath.definition import model
from towpath.engines.rehearsing.forecast import Effect, Forecast, Happens
from towpath.engines.rehearsing.ground import Ground, Surroundings, listed, told
from towpath.engines.rehearsing.knowledge import Foreseen, Knowledge, Loop
from towpath.engines.rehearsing.working import Working
from towpath.errors import ExpressionError, TowpathError

ITEMS_WALKED_MAX: Final = 20
"""Items of an `each` that are rehearsed; the others are counted."""
CALLS_DEEP_MAX: Final = 5
"""Workflows inside each other that are rehearsed."""
ITEM_CHARS_MAX: Final = 60


class Walk:
    """One walk over the steps of one run."""

    def __init__(
        self, run: Run, knowledge: Knowledge, around: Surroundings, *, has_changed: bool = False
    ) -> None:
        self._ground = Ground(run=run, knowledge=knowledge, around=around, has_changed=has_changed)
        self._working = Working(self._ground)
        self._has_ended = False
        self._entered = set(run.entered)

    @property
    def would_change(self) -> bool:
        """Whether anything that was walked over would change something, or might."""
        return self._ground.has_changed

    async def whole(self) -> tuple[Forecast, ...]:
        """Every step of the run, and what comes at its end."""
        root = self._ground.run.plan.root
        found = await self._list(root.lists.get("steps", ()), above="")
        return (*found, *await self._handlers(root, path=""))

    async def these(self, steps: tuple[tuple[PlanStep, Path], ...]) -> tuple[Forecast, ...]:
        """Only these steps, in their order."""
        found: list[Forecast] = []
        for planned, path in steps:
            found += await self._step(planned, path)
        return tuple(found)

    async def _list(self, steps: tuple[PlanStep, ...], *, above: Path) -> tuple[Forecast, ...]:
        found: list[Forecast] = []
        for planned in steps:
            found += await self._step(planned, f"{above}/{planned.key}".removeprefix("/"))
        return tuple(found)

    # --- one step -------------------------------------------------------------------------------------------

    async def _step(self, planned: PlanStep, path: Path) -> tuple[Forecast, ...]:
        """The forecast of one step, and before it that of a gate that it would open."""
        base = Forecast(
            path=path,
            name=_name_of(planned),
            kind=planned.kind,
            does=_callee(planned),
            title=self._title(planned),
        )
        if self._has_ended:
            return (dataclasses.replace(base, happens="no", says=("not reached: the run has ended",)),)
        happens, says = self._would_happen(planned)
        base = dataclasses.replace(base, happens=happens, says=says)
        if happens == "no":
            self._ground.knowledge.learn(planned, Foreseen(status="skipped"))
            return (base,)
        gates = self._gate(planned)
        if happens == "yes":
            return (*gates, await self._happening(planned, base))
        ended = self._has_ended
        with self._ground.knowledge.aside():
            forecast = await self._happening(planned, base)
        self._ground.knowledge.forget(planned)
        self._has_ended = ended
        return (*gates, forecast)

    def _would_happen(self, planned: PlanStep) -> tuple[Happens, tuple[str, ...]]:
        if planned.condition is None:
            return "yes", ()
        source = " ".join(planned.condition.source.split())
        judged = self._ground.knowledge.judge(planned.condition)
        if judged.problem:
            return "perhaps", (f"if {source}: would fail: {judged.problem}",)
        if judged.holds is None:
            return "perhaps", (f"if {source}: depends on {listed(judged.later)}",)
        if not judged.is_firm:
            return "perhaps", (
                f"if {source}: {'holds' if judged.holds else 'does not hold'} as things are now",
            )
        return ("yes", ()) if judged.holds else ("no", (f"skipped: {source} does not hold",))

    def _title(self, planned: PlanStep) -> str:
        template = planned.texts.get("title")
        return "" if template is None else str(self._ground.knowledge.sketch(template.constant).shown)

    async def _happening(self, planned: PlanStep, base: Forecast) -> Forecast:
        forecast = await self._inside(planned, base)
        undone_by = tuple(_name_of(step) for step in planned.lists.get("rollback", ()))
        handlers = await self._handlers(planned, path=base.path)
        return dataclasses.replace(forecast, undone_by=undone_by, inside=(*forecast.inside, *handlers))

    async def _inside(self, planned: PlanStep, base: Forecast) -> Forecast:  # noqa: C901, PLR0911 - one for each kind of step
        step = planned.step
        match step:
            case model.RunStep() | model.UsesStep():
                return await self._working.forecast(planned, base)
            case model.ApproveStep():
                return self._approval(planned, base, step)
            case model.TaskStep():
                return self._task(planned, base, step)
            case model.WaitStep():
                return self._wait(planned, base)
            case model.EndStep():
                self._has_ended = True
                return told(base, f"ends the run: {step.end.status}", effect="ends")
            case model.ParallelStep():
                return await self._parallel(planned, base)
            case model.ChooseStep():
                return await self._choose(planned, base)
            case model.EachStep():
                return await self._each(planned, base, step)
            case model.RepeatStep():
                return await self._repeat(planned, base, step)
            case model.WorkflowStep():
                return await self._call(planned, base, step)
            case _:
                inside = await self._list(planned.lists.get("steps", ()), above=base.path)
                return dataclasses.replace(base, inside=inside)

    def _gate(self, planned: PlanStep) -> tuple[Forecast, ...]:
        """The gate of a protected environment, before the first step in it."""
        name = self._ground.environment(planned)
        protection = None if name is None else self._ground.run.protections.get(name)
        if name is None or protection is None or name in self._entered:
            return ()
        self._entered.add(name)
        if self._ground.run.break_glass:
            says = ("nothing is asked: the glass is broken",)
        else:
            window = ("waits for its window",) if protection.has_window else ()
            quorum = f" ({protection.quorum} approvals)" if protection.quorum > 1 else ""
            asks = (f"asks {', '.join(protection.who)}{quorum}",) if protection.who else ()
            says = (*window, *asks)
        effect: Effect = "people" if protection.who and not self._ground.run.break_glass else "waits"
        self._ground.has_changed = True
        return (Forecast(path=f"~gate_{name}", name=f"into {name}", kind="gate", effect=effect, says=says),)

    # --- what comes at the end ------------------------------------------------------------------------------

    async def _handlers(self, planned: PlanStep, *, path: Path) -> tuple[Forecast, ...]:
        found = [
            await self._handler(planned, path, name, says)
            for name, says in (
                ("catch", "if it fails: these recover"),
                ("on_failure", "if it fails"),
                ("finally", "at the end, in any case"),
            )
            if planned.lists.get(name)
        ]
        return tuple(found)

    async def _handler(self, planned: PlanStep, path: Path, name: str, says: str) -> Forecast:
        is_certain = name == "finally"
        before = (self._ground.has_changed, self._has_ended, self._ground.may_look)
        self._has_ended = False
        self._ground.may_look = self._ground.may_look and is_certain
        with self._ground.knowledge.afterwards():
            inside = await self._list(planned.lists[name], above=f"{path}~{name}")
        self._has_ended, self._ground.may_look = before[1:]
        if not is_certain:
            self._ground.has_changed = before[0]
            inside = tuple(_doubted(one) for one in inside)
        return Forecast(
            path=f"{path}~{name}",
            name=name.replace("_", " "),
            kind="handler",
            happens="yes" if is_certain else "perhaps",
            says=(says,),
            inside=inside,
        )

    # --- people and time ------------------------------------------------------------------------------------

    def _approval(self, planned: PlanStep, base: Forecast, step: model.ApproveStep) -> Forecast:
        quorum = f" ({step.quorum} approvals)" if step.quorum > 1 else ""
        says = f"asks {', '.join(step.who)}{quorum}: {self._text(planned, 'approve')}"
        self._ground.has_changed = True
        decided = {} if step.if_unanswered == "continue" else {"decision": "approved"}
        self._ground.learn(planned, Foreseen(outputs=decided, is_whole=False))
        forecast = self._ground.with_values(base, planned, "show")
        return told(forecast, says, effect="people")

    def _task(self, planned: PlanStep, base: Forecast, step: model.TaskStep) -> Forecast:
        self._ground.has_changed = True
        self._ground.learn(planned, Foreseen(is_whole=False))
        says = f"asks {', '.join(step.assign)}: {self._text(planned, 'task')}"
        return told(base, says, effect="people")

    def _wait(self, planned: PlanStep, base: Forecast) -> Forecast:
        self._ground.has_changed = True  # what the world is like after it, nobody knows
        self._ground.learn(planned, Foreseen(is_whole=False))
        return told(base, f"waits: {self._text(planned, 'wait')}", effect="waits")

    def _text(self, planned: PlanStep, name: str) -> str:
        shown = self._ground.knowledge.sketch(planned.texts[name].constant).shown
        if isinstance(shown, Mapping):
            return ", ".join(f"{key} {value}" for key, value in shown.items() if value is not None)
        return str(shown)

    # --- blocks ---------------------------------------------------------------------------------------------

    async def _parallel(self, planned: PlanStep, base: Forecast) -> Forecast:
        """Side by side: what one finds may be changed by another at the same time."""
        steps = planned.lists["parallel"]
        if len(steps) > 1 and any(self._may_change(step) for step in steps):
            self._ground.has_changed = True
        found: dict[str, tuple[Forecast, ...]] = {}
        for step in _by_need(steps):
            found[step.key] = await self._step(step, f"{base.path}/{step.key}")
        inside = tuple(one for step in steps for one in found[step.key])
        return dataclasses.replace(base, inside=inside, says=(*base.says, "side by side"))

    async def _choose(self, planned: PlanStep, base: Forecast) -> Forecast:
        inside: list[Forecast] = []
        is_decided = is_open = False
        for position, (condition, slot) in enumerate(planned.branches):
            path = f"{base.path}[{position + 1}]"
            happens, says = self._would_take(condition, is_decided=is_decided, is_open=is_open)
            forecast = Forecast(path=path, name=says[0], kind="branch", happens=happens, says=says[1:])
            if happens == "no":
                inside.append(forecast)
                continue
            is_decided, is_open = is_decided or happens == "yes", is_open or happens == "perhaps"
            body = planned.lists.get(slot, ())
            if happens == "yes":
                inside.append(dataclasses.replace(forecast, inside=await self._list(body, above=path)))
            else:
                inside.append(dataclasses.replace(forecast, inside=await self._perhaps(body, above=path)))
        return dataclasses.replace(base, inside=tuple(inside))

    def _would_take(  # noqa: PLR0911 - one for each way it can be
        self, condition: values.Condition | None, *, is_decided: bool, is_open: bool
    ) -> tuple[Happens, tuple[str, ...]]:
        name = "else" if condition is None else f"if {' '.join(condition.source.split())}"
        if is_decided:
            return "no", (name, "not taken: an earlier one is")
        if condition is None:
            return ("perhaps", (name, "taken where no other one is")) if is_open else ("yes", (name, "taken"))
        judged = self._ground.knowledge.judge(condition)
        if judged.problem:
            return "perhaps", (name, f"would fail: {judged.problem}")
        if judged.holds is None:
            return "perhaps", (name, f"depends on {listed(judged.later)}")
        if not judged.is_firm:
            return "perhaps", (name, f"{'holds' if judged.holds else 'does not hold'} as things are now")
        if not judged.holds:
            return "no", (name, "not taken: it does not hold")
        return ("perhaps", (name, "holds")) if is_open else ("yes", (name, "taken: it holds"))

    async def _perhaps(self, steps: tuple[PlanStep, ...], *, above: Path) -> tuple[Forecast, ...]:
        """Steps on a way that may not be taken."""
        ended = self._has_ended
        with self._ground.knowledge.aside():
            found = await self._list(steps, above=above)
        self._has_ended = ended
        return tuple(_doubted(one) for one in found)

    async def _each(self, planned: PlanStep, base: Forecast, step: model.EachStep) -> Forecast:
        body = planned.lists["steps"]
        sketch = self._ground.knowledge.sketch(planned.texts["each"].constant)
        if not sketch.is_known:
            why = sketch.problem or f"the items are known when it runs: {listed(sketch.later)}"
            loop = Loop(name=step.as_, is_known=False)
            with self._ground.knowledge.within(loop):
                inside = await self._perhaps(body, above=f"{base.path}[*]")
            item = Forecast(
                path=f"{base.path}[*]", name="each item", kind="item", happens="perhaps", inside=inside
            )
            return dataclasses.replace(base, says=(*base.says, why), inside=(item,))
        try:
            items = items_of(sketch.filled, is_matrix=isinstance(step.each, model.Matrix))
        except ExpressionError as problem:
            return told(base, f"would fail: {problem.message}", effect="fails")
        if not items:
            return told(base, "for no item: nothing to do", effect="nothing")
        if len(items) > 1 and any(self._may_change(one) for one in body):
            self._ground.has_changed = True  # items do not wait for each other
        inside = await self._items(items, body, base.path, step.as_)
        if not sketch.is_firm:
            inside = tuple(_doubted(one) for one in inside)
        says = f"for {len(items)} item{'s' if len(items) > 1 else ''}"
        return dataclasses.replace(base, says=(*base.says, says, *_batches(step)), inside=inside)

    async def _items(
        self, items: tuple[tuple[str, Json], ...], body: tuple[PlanStep, ...], path: Path, name: str
    ) -> tuple[Forecast, ...]:
        found: list[Forecast] = []
        for index, (key, value) in enumerate(items[:ITEMS_WALKED_MAX]):
            ended = self._has_ended
            with self._ground.knowledge.within(Loop(name=name, value=value, index=index)):
                inside = await self._list(body, above=f"{path}[{key}]")
            self._has_ended = ended
            title = "" if key == value else _short(value)
            found.append(Forecast(path=f"{path}[{key}]", name=key, kind="item", title=title, inside=inside))
        rest = items[ITEMS_WALKED_MAX:]
        if rest:
            # They are in the digest of the plan, though nobody has looked at them.
            digest = hashlib.sha256(json.dumps(rest, default=str).encode()).hexdigest()
            found.append(
                Forecast(
                    path=f"{path}[…{digest}]",
                    name=f"and {len(rest)} more, not rehearsed",
                    kind="more",
                    effect="unknown",
                )
            )
        return tuple(found)

    async def _repeat(self, planned: PlanStep, base: Forecast, step: model.RepeatStep) -> Forecast:
        most = f", at most {step.times} times" if step.times else ""
        with self._ground.knowledge.within(Loop(name="", index=0)):
            inside = await self._list(planned.lists["repeat"], above=f"{base.path}[1]")
        says = f"again until {' '.join(step.until.split())}{most}; the first round:"
        return dataclasses.replace(base, says=(*base.says, says), inside=inside)

    async def _call(self, planned: PlanStep, base: Forecast, step: model.WorkflowStep) -> Forecast:
        """Another workflow: what its run would do."""
        from towpath.engines.rehearsing.calls import rehearse_call

        sketch = self._ground.knowledge.sketch(planned.texts["with"].constant)
        self._ground.learn(planned, Foreseen(is_whole=False))
        forecast = self._ground.with_values(base, planned, "with")
        around = (
            self._ground.around
            if self._ground.may_look
            else dataclasses.replace(self._ground.around, looker=None)
        )
        if len(around.calls) >= CALLS_DEEP_MAX:
            self._ground.has_changed = True
            return told(forecast, f"runs {step.workflow}; not looked at so deep inside", effect="unknown")
        try:
            inside, would_change = await rehearse_call(
                step.workflow, sketch, self._ground.run, around, has_changed=self._ground.has_changed
            )
        except TowpathError as problem:
            self._ground.has_changed = True
            return told(forecast, f"would fail: {problem.message}", effect="fails")
        self._ground.has_changed = self._ground.has_changed or would_change or step.detach
        says = f"runs the workflow {step.workflow}" + (" and does not wait for it" if step.detach else "")
        return dataclasses.replace(forecast, says=(*forecast.says, says), inside=inside)

    def _may_change(self, planned: PlanStep) -> bool:
        """Whether a step, or one inside it, may change something; told from the file alone."""
        step = planned.step
        if isinstance(step, model.UsesStep):
            return self._ground.around.effects_of(step.uses) != "none"
        if planned.is_leaf:
            return True
        return any(self._may_change(one) for steps in planned.lists.values() for one in steps)


def _doubted(forecast: Forecast) -> Forecast:
    """The same on a way that may not be taken."""
    happens: Happens = "perhaps" if forecast.happens == "yes" else forecast.happens
    return dataclasses.replace(
        forecast, happens=happens, inside=tuple(_doubted(one) for one in forecast.inside)
    )


def _name_of(planned: PlanStep) -> str:
    """What a step is called: its id, or its position with what it does."""
    step = planned.step
    if step is None or step.id is not None:
        return planned.key
    return f"{planned.key} {step.uses if isinstance(step, model.UsesStep) else step.kind}"


def _callee(planned: PlanStep) -> str:
    match planned.step:
        case model.UsesStep(uses=name) | model.WorkflowStep(workflow=name):
            return name
        case _:
            return ""


def _short(value: Json) -> str:
    """A value in a few words."""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= ITEM_CHARS_MAX else f"{text[: ITEM_CHARS_MAX - 1]}…"


def _by_need(steps: tuple[PlanStep, ...]) -> tuple[PlanStep, ...]:
    """Siblings in an order in which each comes after those that it needs."""
    found: dict[str, PlanStep] = {}

    def take(step: PlanStep) -> None:
        if step.key not in found:
            for needed in step.needed:
                take(needed)
            found[step.key] = step

    for step in steps:
        take(step)
    return tuple(found.values())


def _batches(step: model.EachStep) -> tuple[str, ...]:
    if step.batch is None:
        return ()
    sizes = step.batch if isinstance(step.batch, tuple) else (step.batch,)
    return (f"in batches of {', '.join(str(size) for size in sizes)}",)
