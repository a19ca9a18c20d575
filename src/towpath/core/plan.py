"""The definition, laid out for the decider: every step gets a number, and what never changes is worked out once.

Paths: a step is `parent/key`, where the key is its id, or its position (from 1) where it has none. Frames add an instance
in brackets (`fleet[web1]`, `poll[2]`, `pick[1]`) or a handler after a tilde (`install~rollback`, `~finally`).
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Container, Mapping
from typing import Any, TypeAlias

from towpath.core import values
from towpath.core.run import Json, Path
from towpath.definition import model

HANDLERS = ("rollback", "catch", "on_failure", "finally")
Slot: TypeAlias = str
Repeatable: TypeAlias = Callable[[str, Mapping[str, Json]], bool]
"""Whether an action, by name, may be performed twice with these inputs."""
ROOT_NUMBER = -1


class PlanStep:
    """One step of the definition; *lists* names the lists of steps in it by their slot."""

    def __init__(
        self, step: model.Step | None, *, number: int, key: str, parent: PlanStep | None, slot: Slot
    ) -> None:
        self.step = step
        self.number = number
        self.key = key
        self.parent = parent
        self.slot = slot
        self.kind = step.kind if step is not None else "run"
        self.lists: dict[Slot, tuple[PlanStep, ...]] = {}
        self.static_path: Path | None = None
        """The step's path where it never varies; None below an `each` or a `repeat`."""
        self.chain: tuple[str, ...] = ()
        """The path's parts from the root, `*` for an instance that varies."""

    @functools.cached_property
    def is_leaf(self) -> bool:
        """Whether the step has no list of steps as its body."""
        return self.kind in _LEAVES

    @functools.cached_property
    def condition(self) -> values.Condition | None:
        """The step's `if`."""
        return self._condition(self.step.if_ if self.step else None)

    @functools.cached_property
    def success_when(self) -> values.Condition | None:
        """The step's `success_when`."""
        return self._condition(self.step.success_when if self.step else None)

    @functools.cached_property
    def retry_when(self) -> values.Condition | None:
        """The `when` of the step's `retry`."""
        return self._condition(self.step.retry.when if self.step and self.step.retry else None)

    @functools.cached_property
    def until(self) -> values.Condition | None:
        """The `until` of a `repeat`."""
        return self._condition(self.step.until if isinstance(self.step, model.RepeatStep) else None)

    @functools.cached_property
    def wait_if(self) -> values.Condition | None:
        """The `if` of a wait for an event."""
        wait = self.step.wait if isinstance(self.step, model.WaitStep) else None
        return self._condition(wait.if_ if isinstance(wait, model.WaitEvent) else None)

    @functools.cached_property
    def branches(self) -> tuple[tuple[values.Condition | None, Slot], ...]:
        """The branches of a `choose`: (condition or None for else, slot)."""
        if not isinstance(self.step, model.ChooseStep):
            return ()
        slots = [slot for slot, _ in self.step.body()]
        return tuple((self._condition(b.if_), slot) for b, slot in zip(self.step.choose, slots, strict=True))

    @functools.cached_property
    def needed(self) -> tuple[PlanStep, ...]:
        """The siblings that the step's `needs` names."""
        if self.step is None or self.parent is None or not self.step.needs:
            return ()
        siblings = {child.key: child for child in self.parent.lists[self.slot]}
        return tuple(siblings[key] for key in self.step.needs)

    @functools.cached_property
    def dependents(self) -> Mapping[str, tuple[PlanStep, ...]]:
        """Of a `parallel`: which children need the child with this key."""
        found: dict[str, tuple[PlanStep, ...]] = {}
        for child in self.lists.get("parallel", ()):
            for other in child.needed:
                found[other.key] = (*found.get(other.key, ()), child)
        return found

    @functools.cached_property
    def texts(self) -> Mapping[str, values.Template]:
        """The templates of the step's own keys, compiled: `with`, `env`, `title`, `wait`, `each` and the like."""
        step = self.step
        if step is None:
            return {}
        raw: dict[str, Any] = {name: getattr(step, name, None) for name in _TEMPLATE_FIELDS}
        raw["with"] = getattr(step, "with_", None)
        raw["artifacts"] = list(step.artifacts) or None
        if isinstance(step, model.EachStep) and isinstance(step.each, model.Matrix):
            raw["each"] = dict(step.each.matrix)
        if isinstance(step, model.WaitStep) and not isinstance(step.wait, str):
            raw["wait"] = step.wait.model_dump(by_alias=True, exclude={"if_"})
        if isinstance(step, model.EndStep):
            raw["end"] = {"outcome": step.end.outcome, "message": step.end.message}
        if isinstance(step.outputs, Mapping):
            raw["outputs"] = dict(step.outputs)
        found = {name: values.compile_template(value) for name, value in raw.items() if value is not None}
        found["env"] = values.compile_template(self.own_environment())
        return found

    @functools.cached_property
    def check_texts(self) -> Mapping[str, values.Template]:
        """The templates of the step's `check`, in place of those of the step."""
        check = self.step.check if self.step is not None else None
        if check is None:
            return {}
        environment = {**self.own_environment(), **check.env}
        return {
            "with": values.compile_template(dict(check.with_)),
            "env": values.compile_template(environment),
        }

    @functools.cached_property
    def done_when(self) -> values.Condition | None:
        """The `done_when` of the step's `check`."""
        return self._condition(self.step.check.done_when if self.step and self.step.check else None)

    @functools.cached_property
    def is_constant(self) -> bool:
        """Whether what a performer gets never depends on the run."""
        return all(self.texts[name].is_constant for name in _WORK_FIELDS if name in self.texts) and (
            self.environment_template is None or self.environment_template.is_constant
        )

    @functools.cached_property
    def environment_template(self) -> values.Template | None:
        """The text of the nearest `environment` key, outwards; the workflow's own is known when the run starts."""
        if self.step is not None and self.step.environment is not None:
            return values.compile_template(self.step.environment)
        return self.parent.environment_template if self.parent is not None else None

    @functools.cached_property
    def has_rollback(self) -> bool:
        """Whether the step says how it is undone."""
        return bool(self.lists.get("rollback"))

    def _condition(self, source: str | None) -> values.Condition | None:
        return None if source is None else values.compile_condition(source)

    def own_environment(self) -> dict[str, Any]:
        """The `env` that scripts of this step get, those of the blocks around it included."""
        outer = self.parent.own_environment() if self.parent is not None else {}
        return {**outer, **(self.step.env if self.step is not None else {})}


class RootStep(PlanStep):
    """The run itself, as the step that holds all others."""

    def __init__(self, workflow: model.Workflow) -> None:
        super().__init__(None, number=ROOT_NUMBER, key="", parent=None, slot="")
        self.workflow = workflow
        self.static_path = ""

    @functools.cached_property
    def texts(self) -> Mapping[str, values.Template]:
        """The templates of the workflow's own keys."""
        w = self.workflow
        raw = {
            "vars": dict(w.vars),
            "outputs": dict(w.outputs),
            "environment": w.environment,
            "group": w.concurrency.group if w.concurrency else None,
        }
        return {name: values.compile_template(value) for name, value in raw.items() if value is not None}

    def own_environment(self) -> dict[str, Any]:
        """The `env` that scripts of this step get, those of the blocks around it included."""
        return dict(self.workflow.env)


class Plan:
    """A whole definition, laid out."""

    def __init__(
        self,
        workflow: model.Workflow,
        digest: str,
        *,
        idempotent_actions: Container[str] = frozenset(),
        repeatable: Repeatable | None = None,
    ) -> None:
        self.workflow = workflow
        self.digest = digest
        self._repeatable = repeatable or (lambda name, _: name in idempotent_actions)
        self.root = RootStep(workflow)
        self.steps: list[PlanStep] = []
        self.by_id: dict[str, PlanStep] = {}
        for slot, steps in workflow.children():
            prefix = () if slot == "steps" else (f"~{slot}",)
            self.root.lists[slot] = self._lay_out(steps, parent=self.root, slot=slot, chain=prefix)

    def __getitem__(self, number: int) -> PlanStep:
        return self.root if number == ROOT_NUMBER else self.steps[number]

    def is_idempotent(self, planned: PlanStep, with_: Mapping[str, Json]) -> bool:
        """Whether running the step twice is harmless: the file says so, or the action does of these inputs."""
        step = planned.step
        if step is None or step.idempotent is not None:
            return bool(step and step.idempotent)
        return isinstance(step, model.UsesStep) and self._repeatable(step.uses, with_)

    def _lay_out(
        self, steps: tuple[model.AnyStep, ...], *, parent: PlanStep, slot: Slot, chain: tuple[str, ...]
    ) -> tuple[PlanStep, ...]:
        return tuple(
            self._lay_out_step(step, key=step.id or str(position), parent=parent, slot=slot, chain=chain)
            for position, step in enumerate(steps, start=1)
        )

    def _lay_out_step(
        self, step: model.AnyStep, *, key: str, parent: PlanStep, slot: Slot, chain: tuple[str, ...]
    ) -> PlanStep:
        planned = PlanStep(step, number=len(self.steps), key=key, parent=parent, slot=slot)
        planned.chain = (*chain, f"/{key}")
        planned.static_path = None if "*" in planned.chain else "".join(planned.chain).removeprefix("/")
        self.steps.append(planned)
        if step.id is not None:
            self.by_id[step.id] = planned
        for inner, children in step.children():
            if children:
                below = (*planned.chain, *_instance(step, inner))
                planned.lists[inner] = self._lay_out(children, parent=planned, slot=inner, chain=below)
        return planned


def _instance(step: model.Step, slot: Slot) -> tuple[str, ...]:
    """What a list of steps adds to the path of its step."""
    if slot in HANDLERS:
        return (f"~{slot}",)
    if isinstance(step, model.EachStep | model.RepeatStep):
        return ("*",)
    if isinstance(step, model.ChooseStep):
        return (f"[{int(slot.split('/')[1]) + 1}]",)
    return ()


_LEAVES = frozenset({"run", "uses", "approve", "task", "wait", "workflow", "end"})
_WORK_FIELDS = ("env", "with", "stdin", "cwd", "container", "artifacts")
_TEMPLATE_FIELDS = (
    "title",
    "stdin",
    "cwd",
    "container",
    "approve",
    "show",
    "task",
    "instructions",
    "wait",
    "each",
)
