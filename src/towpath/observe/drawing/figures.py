"""What there is to draw: a definition as boxes, columns, lanes and frames, before anything has a place.

A figure follows the definition one to one; what a run adds is only the state of each box. The layout reads figures and nothing else.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias

from towpath.core.plan import Plan, PlanStep
from towpath.definition import model
from towpath.observe.drawing.progress import Progress, State

TEXT_CHARS_MAX = 120

FrameKind: TypeAlias = Literal["steps", "parallel", "each", "repeat", "choose", "handler"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Box:
    """A step without steps inside, or the beginning or the end of the run."""

    kind: str
    """The step's kind; `start` or `stop` for the two ends."""
    title: str
    detail: str = ""
    notes: tuple[str, ...] = ()
    """Small print: retries, time limits, how it is undone."""
    state: State = "pending"
    path: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """Figures one after the other."""

    parts: tuple[Figure, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Lanes:
    """Figures side by side; *needs* says which ones come before which, by position."""

    parts: tuple[Figure, ...]
    needs: tuple[tuple[int, ...], ...] = ()
    labels: tuple[str, ...] = ()
    """What stands above each lane: the condition of a branch."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """A figure with a border and a title."""

    kind: FrameKind
    title: str
    inner: Figure
    detail: str = ""
    notes: tuple[str, ...] = ()
    state: State = "pending"
    path: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Beside:
    """A figure with what handles its failure, or its end, at its side."""

    main: Figure
    sides: tuple[Frame, ...]


Figure: TypeAlias = Box | Column | Lanes | Frame | Beside


def figure_of(plan: Plan, progress: Mapping[int, Progress] | None = None) -> Figure:
    """The figure of a whole workflow; with the progress of a run its boxes have states."""
    return _Figures(plan, progress or {}).whole()


class _Figures:
    """Makes figures of the steps of one plan."""

    def __init__(self, plan: Plan, progress: Mapping[int, Progress]) -> None:
        self._plan = plan
        self._progress = progress

    def whole(self) -> Figure:
        root = self._plan.root
        workflow = self._plan.workflow
        start = Box(
            kind="start", title=workflow.name, detail=short(workflow.title or ""), notes=_triggers(workflow)
        )
        body = self._column(root.lists.get("steps", ()))
        sides = tuple(self._handler(root, name) for name in ("catch", "on_failure") if root.lists.get(name))
        main: Figure = Beside(main=body, sides=sides) if sides else body
        last = (self._handler(root, "finally"),) if root.lists.get("finally") else ()
        return Column(parts=(start, main, *last, Box(kind="stop", title="end")))

    def _column(self, steps: Iterable[PlanStep]) -> Figure:
        parts = tuple(self._step(planned) for planned in steps)
        return parts[0] if len(parts) == 1 else Column(parts=parts)

    def _step(self, planned: PlanStep) -> Figure:
        main = self._main(planned)
        handlers = [name for name in ("catch", "on_failure", "finally") if planned.lists.get(name)]
        if planned.lists.get("rollback") and not _is_small_rollback(planned):
            handlers.insert(0, "rollback")
        if not handlers:
            return main
        return Beside(main=main, sides=tuple(self._handler(planned, name) for name in handlers))

    def _main(self, planned: PlanStep) -> Figure:
        step = planned.step
        match step:
            case model.GroupStep():
                return self._frame(planned, "steps", self._column(planned.lists["steps"]))
            case model.ParallelStep():
                return self._frame(planned, "parallel", self._parallel(planned))
            case model.EachStep():
                return self._frame(
                    planned, "each", self._column(planned.lists["steps"]), detail=_each_detail(step)
                )
            case model.RepeatStep():
                detail = f"until {short(step.until)}"
                return self._frame(planned, "repeat", self._column(planned.lists["repeat"]), detail=detail)
            case model.ChooseStep():
                return self._frame(planned, "choose", self._branches(planned, step))
            case _:
                return self._box(planned)

    def _parallel(self, planned: PlanStep) -> Figure:
        children = planned.lists["parallel"]
        position = {child.key: index for index, child in enumerate(children)}
        needs = tuple(
            tuple(position[key] for key in (child.step.needs if child.step else ()) if key in position)
            for child in children
        )
        return Lanes(parts=tuple(self._step(child) for child in children), needs=needs)

    def _branches(self, planned: PlanStep, step: model.ChooseStep) -> Figure:
        labels = tuple(
            "else" if branch.else_ is not None else short(branch.if_ or "") for branch in step.choose
        )
        parts = tuple(self._branch(planned, slot) for slot, _ in step.body())
        return Lanes(parts=parts, labels=labels)

    def _branch(self, planned: PlanStep, slot: str) -> Figure:
        steps = planned.lists.get(slot, ())
        return self._column(steps) if steps else Box(kind="nothing", title="nothing")

    def _handler(self, planned: PlanStep, name: str) -> Frame:
        inner = self._column(planned.lists[name])
        return Frame(kind="handler", title=name.replace("_", " "), inner=inner)

    def _frame(self, planned: PlanStep, kind: FrameKind, inner: Figure, *, detail: str = "") -> Frame:
        return Frame(
            kind=kind,
            title=title_of(planned),
            inner=inner,
            detail=detail,
            notes=self._notes(planned),
            state=self._state(planned),
            path=_path(planned),
        )

    def _box(self, planned: PlanStep) -> Box:
        return Box(
            kind=planned.kind,
            title=title_of(planned),
            detail=detail_of(planned.step),
            notes=self._notes(planned),
            state=self._state(planned),
            path=_path(planned),
        )

    def _state(self, planned: PlanStep) -> State:
        known = self._progress.get(planned.number)
        return known.state if known is not None else "pending"

    def _notes(self, planned: PlanStep) -> tuple[str, ...]:
        notes = list(notes_of(planned))
        known = self._progress.get(planned.number)
        if known is not None and known.instances > 1:
            notes.insert(0, ", ".join(f"{count:,} {state}" for state, count in known.counts.items()))
        return tuple(notes)


def title_of(planned: PlanStep) -> str:
    """What a box is called: the id, or the title of a step without one."""
    step = planned.step
    if step is None or step.id is not None:
        return planned.key
    return short(step.title) if step.title else planned.kind


def detail_of(step: model.Step | None) -> str:  # noqa: PLR0911 - one for each kind of step
    """What a leaf does, in a few words."""
    if step is not None and step.title and step.id is not None:
        return short(step.title)
    match step:
        case model.RunStep():
            return short(next((row for row in step.run.splitlines() if row.strip()), ""))
        case model.UsesStep():
            return step.uses
        case model.ApproveStep():
            return short(step.approve)
        case model.TaskStep():
            return short(step.task)
        case model.WaitStep():
            return f"wait {_wait_words(step.wait)}"
        case model.WorkflowStep():
            return f"workflow {step.workflow}"
        case model.EndStep():
            return step.end.status
        case _:
            return ""


def notes_of(planned: PlanStep) -> tuple[str, ...]:
    """What is worth knowing about how a step is run."""
    step = planned.step
    if step is None:
        return ()
    notes: list[str] = []
    if step.if_ is not None:
        notes.append(f"if {short(step.if_)}")
    if isinstance(step, model.ApproveStep | model.TaskStep):
        people = step.who if isinstance(step, model.ApproveStep) else step.assign
        quorum = f"{step.quorum} of " if isinstance(step, model.ApproveStep) and step.quorum > 1 else ""
        notes.append(f"asks {quorum}{', '.join(people)}")
    if step.retry is not None:
        notes.append(f"up to {step.retry.attempts} attempts")
    if isinstance(step.on_failure, str) and step.on_failure != "stop":
        notes.append(f"on failure: {step.on_failure}")
    if _is_small_rollback(planned):
        notes.append(f"rollback: {title_of(planned.lists['rollback'][0])}")
    return tuple(notes)


def _is_small_rollback(planned: PlanStep) -> bool:
    """Whether the rollback is one leaf, which is named in the box instead of having one of its own."""
    steps = planned.lists.get("rollback", ())
    return len(steps) == 1 and steps[0].is_leaf


def _path(planned: PlanStep) -> str:
    return planned.static_path or "".join(planned.chain).removeprefix("/")


def _each_detail(step: model.EachStep) -> str:
    if isinstance(step.each, model.Matrix):
        over = f"matrix of {', '.join(step.each.matrix)}"
    elif isinstance(step.each, str):
        over = f"each of {short(step.each)}"
    else:
        over = f"each of {len(step.each)} items"
    if step.batch is None:
        return over
    sizes = step.batch if isinstance(step.batch, tuple) else (step.batch,)
    return f"{over}, batches of {', '.join(map(str, sizes))}"


def _wait_words(wait: object) -> str:
    match wait:
        case model.WaitUntil():
            return f"until {short(wait.until)}"
        case model.WaitWindow():
            return f"for the window {wait.window}"
        case model.WaitEvent():
            return f"for {wait.event}"
        case model.WaitSignal():
            return f"for the signal {wait.signal}"
        case _:
            return short(str(wait))


def _triggers(workflow: model.Workflow) -> tuple[str, ...]:
    names = []
    for entry in workflow.on:
        name = entry if isinstance(entry, str) else next((key for key in entry if key not in _BESIDE), "")
        if name and name != "manual":
            names.append(str(name))
    return (f"on {', '.join(names)}",) if names else ()


_BESIDE = frozenset({"if", "inputs", "dedupe", "debounce"})


def short(text: str) -> str:
    """Text on one line, not too long, without control characters."""
    row = " ".join("".join(one if one.isprintable() else " " for one in text).split())
    return row if len(row) <= TEXT_CHARS_MAX else row[: TEXT_CHARS_MAX - 1] + "…"
