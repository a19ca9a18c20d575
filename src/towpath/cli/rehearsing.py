"""`tow run --dry-run`: what a run would do, as far as it can be known, and nothing done.

Every step is looked at in the order of the file. What its keys say is worked out from the inputs; what depends on results of earlier
steps is named as such. An action that can be rehearsed is asked what it would change.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path as FilePath
from typing import TYPE_CHECKING

import click

from towpath.cli import exit_codes
from towpath.cli.views import facts, summary, tree, words
from towpath.cli.views.lines import Line, first_line, line, safe, table
from towpath.core import decide, stimuli, values
from towpath.core.blocks.each import items_of
from towpath.core.names import names_for
from towpath.core.plan import HANDLERS, Plan, PlanStep
from towpath.core.run import ROOT, Json, Run, RunId
from towpath.definition import model
from towpath.errors import ExpressionError, TowpathError

if TYPE_CHECKING:
    from towpath.app import App
    from towpath.cli.session import Session
    from towpath.engines.contract import StartRequest
    from towpath.steps.contract import Change, Egress, LogLevel, Rehearsal
    from towpath.steps.processes import ProcessResult, ProcessSpec

SCRIPT_LINES_MAX = 6
REHEARSAL_SECONDS = 30.0
"""How long an action may take to tell what it would do."""
_UNKNOWN_ROOTS = frozenset({"steps", "error", "step", "event"})
_HIDDEN = "(a secret)"


@dataclass(frozen=True, slots=True, kw_only=True)
class Forecast:
    """What one step would do."""

    path: str
    kind: str
    depth: int
    look: tree.Look = "pending"
    says: tuple[str, ...] = ()
    changes: tuple[str, ...] = ()
    details: Mapping[str, Json] = field(default_factory=dict)


def rehearse(session: Session, request: StartRequest, *, as_json: bool) -> int:
    """Tells what the run would do; gives the exit code."""
    app = session.app()
    plan = Plan(request.workflow, request.definition.digest)
    run = _imagined(plan, request, at=app.now())
    forecasts = asyncio.run(_Rehearsal(app, run).all())
    if as_json:
        _print_json(request, forecasts)
        return exit_codes.OK
    out = session.out
    out.say((request.workflow.name, "name"), ("  dry run: nothing is done", "warn"))
    if request.inputs:
        out.show(*summary.values_lines("inputs", request.inputs, out))
    out.say()
    out.show(*_lines(forecasts, width=out.width))
    out.say()
    out.say(
        (f"{words.counted(len(forecasts), 'step')}; ", "dim"),
        (f"tow run {request.definition.path or ''}", "command"),
    )
    return exit_codes.OK


def _imagined(plan: Plan, request: StartRequest, *, at: int) -> Run:
    """The run as it would be when it has just been accepted."""
    start = stimuli.Start(
        at=at,
        run=RunId("dry-run"),
        digest=request.definition.digest,
        inputs=request.inputs,
        started_by=request.started_by,
        queue=True,
    )
    return decide.advance(decide.new_run(plan, "dry-run"), start).run


class _Rehearsal:
    """Walks over the steps of one plan."""

    def __init__(self, app: App, run: Run) -> None:
        self._app = app
        self._run = run
        self._forecasts: list[Forecast] = []

    async def all(self) -> list[Forecast]:
        """The forecasts of every step, in the order of the file."""
        root = self._run.plan.root
        await self._steps(root.lists.get("steps", ()), depth=0)
        for handler in ("catch", "on_failure", "finally"):
            await self._handler(root, handler, depth=0)
        return self._forecasts

    async def _steps(self, steps: tuple[PlanStep, ...], *, depth: int) -> None:
        for planned in steps:
            await self._step(planned, depth=depth)

    async def _step(self, planned: PlanStep, *, depth: int) -> None:
        forecast = await self._forecast(planned, depth)
        self._forecasts.append(forecast)
        if forecast.look == "skipped":
            return
        for slot, steps in planned.lists.items():
            if slot not in HANDLERS:
                await self._branch(planned, slot, steps, depth=depth + 1)
        for handler in ("catch", "on_failure", "finally"):
            await self._handler(planned, handler, depth=depth + 1)

    async def _branch(self, planned: PlanStep, slot: str, steps: tuple[PlanStep, ...], *, depth: int) -> None:
        if isinstance(planned.step, model.ChooseStep):
            branch = planned.step.choose[int(slot.split("/")[1])]
            text = "else" if branch.else_ is not None else f"if {first_line(branch.if_ or '')}"
            self._forecasts.append(Forecast(path=text, kind="", depth=depth))
            depth += 1
        await self._steps(steps, depth=depth)

    async def _handler(self, planned: PlanStep, handler: str, *, depth: int) -> None:
        steps = planned.lists.get(handler, ())
        if steps:
            self._forecasts.append(Forecast(path=handler.replace("_", " "), kind="", depth=depth))
            await self._steps(steps, depth=depth + 1)

    async def _forecast(self, planned: PlanStep, depth: int) -> Forecast:
        says = self._title(planned)
        if planned.condition is not None:
            holds = self._holds(planned.condition)
            if holds is False:
                return self._made(planned, depth, look="skipped", says=("skipped: its `if` does not hold",))
            if holds is None:
                says.append(f"if {first_line(planned.condition.source)}")
        if planned.step is not None and planned.step.check is not None:
            says.append("looks first whether it is done already")
        says += self._block_words(planned)
        details, unknown = self._details(planned)
        rehearsal = None
        if isinstance(planned.step, model.UsesStep) and not unknown:
            rehearsal = await self._ask_action(planned, details)
        if rehearsal is not None:
            says.append(first_line(rehearsal.summary))
        elif isinstance(planned.step, model.UsesStep):
            says.append(f"performs {planned.step.uses}")
        if unknown:
            says.append(f"known when it runs: {', '.join(unknown)}")
        if planned.has_rollback:
            says.append(f"undone by {', '.join(tree.label_of(step) for step in planned.lists['rollback'])}")
        changes = _changes(rehearsal) if rehearsal is not None else ()
        return self._made(planned, depth, says=tuple(says), changes=changes, details=details)

    def _made(
        self,
        planned: PlanStep,
        depth: int,
        *,
        look: tree.Look = "pending",
        says: tuple[str, ...] = (),
        changes: tuple[str, ...] = (),
        details: Mapping[str, Json] | None = None,
    ) -> Forecast:
        return Forecast(
            path=tree.label_of(planned),
            kind=planned.kind,
            depth=depth,
            look=look,
            says=says,
            changes=changes,
            details=details or {},
        )

    # --- what can be known -------------------------------------------------------------------------------

    def _holds(self, condition: values.Condition) -> bool | None:
        """Whether a condition holds; None where that depends on what happens."""
        if any(reference[0] in _UNKNOWN_ROOTS for reference in condition.references):
            return None
        try:
            return condition.holds(names_for(self._run, ROOT, condition.references))
        except (ExpressionError, KeyError):
            return None

    def _value(self, template: values.Template) -> tuple[Json, bool]:
        """The value of a template, and whether it is known."""
        if template.is_constant:
            return template.constant, True
        if any(reference[0] in _UNKNOWN_ROOTS for reference in template.references):
            return None, False
        try:
            value, secrets = template.render(names_for(self._run, ROOT, template.references))
        except (ExpressionError, KeyError):
            return None, False
        for use in secrets:
            value = _with_secret_named(value, use.at)
        return value, True

    def _details(self, planned: PlanStep) -> tuple[dict[str, Json], list[str]]:
        """What the step is given, and the names of what is known only later."""
        found: dict[str, Json] = {}
        unknown: list[str] = []
        for name in ("with", "env", "stdin", "cwd", "container"):
            template = planned.texts.get(name)
            if template is None:
                continue
            value, is_known = self._value(template)
            if not is_known:
                unknown.append(name)
            elif value:
                found[name] = value
        if isinstance(planned.step, model.RunStep):
            found["run"] = planned.step.run
        return found, unknown

    def _block_words(self, planned: PlanStep) -> list[str]:  # noqa: PLR0911 - one for each kind of step
        step = planned.step
        match step:
            case model.EachStep():
                return [self._each_words(planned, step)]
            case model.RepeatStep():
                most = f", at most {step.times} rounds" if step.times else ""
                return [f"until {first_line(step.until)}{most}"]
            case model.ApproveStep():
                return [f"asks {', '.join(step.who)}: {self._text(planned, 'approve')}"]
            case model.TaskStep():
                return [f"asks {', '.join(step.assign)}: {self._text(planned, 'task')}"]
            case model.WaitStep():
                return [f"waits: {self._text(planned, 'wait')}"]
            case model.WorkflowStep():
                return [f"runs the workflow {step.workflow}"]
            case model.EndStep():
                return [f"ends the run: {step.end.status}"]
            case _:
                return []

    def _each_words(self, planned: PlanStep, step: model.EachStep) -> str:
        value, is_known = self._value(planned.texts["each"])
        if not is_known:
            return "for each item, known when it runs"
        try:
            items = items_of(value, is_matrix=isinstance(step.each, model.Matrix))
        except ExpressionError as error:
            return error.message
        names = ", ".join(safe(key) for key, _ in items[:8])
        more = ", …" if len(items) > 8 else ""  # noqa: PLR2004 - as many as are named
        return (
            f"for {words.counted(len(items), 'item')}: {names}{more}"
            if items
            else "for no item: nothing to do"
        )

    def _title(self, planned: PlanStep) -> list[str]:
        template = planned.texts.get("title")
        if template is None:
            return []
        value, is_known = self._value(template)
        return [first_line(str(value) if is_known or planned.step is None else planned.step.title or "")]

    def _text(self, planned: PlanStep, name: str) -> str:
        value, is_known = self._value(planned.texts[name])
        if not is_known:
            return first_line(str(getattr(planned.step, name)))
        return summary.value_text(value)

    # --- what actions say --------------------------------------------------------------------------------

    async def _ask_action(self, planned: PlanStep, details: Mapping[str, Json]) -> Rehearsal | None:
        """What the action says that it would do; None where it cannot be asked."""
        step = planned.step
        assert isinstance(step, model.UsesStep)
        if _HIDDEN in facts.compact(details.get("with", {})):
            return None
        try:
            action = self._app.catalogue.get(step.uses)
            context = _Context(self._app, planned.key)
            async with asyncio.timeout(REHEARSAL_SECONDS):
                return await action.rehearse(details.get("with", {}), context)
        except (TowpathError, TimeoutError) as error:
            from towpath.steps.contract import Rehearsal

            return Rehearsal(summary=f"would fail now: {error}", known=False)


def _with_secret_named(value: Json, at: tuple[str | int, ...]) -> Json:
    if not at:
        return _HIDDEN
    copy: Json = dict(value) if isinstance(value, Mapping) else list(value)
    copy[at[0]] = _with_secret_named(copy[at[0]], at[1:])
    return copy


def _changes(rehearsal: Rehearsal) -> tuple[str, ...]:
    return tuple(row for change in rehearsal.changes for row in _change_rows(change))


def _change_rows(change: Change) -> list[str]:
    return [f"{change.verb} {first_line(change.target)}", *(safe(row) for row in change.detail.splitlines())]


class _Context:
    """What an action is given that only tells: see `steps.contract.StepContext`."""

    def __init__(self, app: App, path: str) -> None:
        self._app = app
        self._path = path
        self._until = time.monotonic() + REHEARSAL_SECONDS

    @property
    def run_id(self) -> str:
        """No run."""
        return "dry-run"

    @property
    def path(self) -> str:
        """Where the step stands."""
        return self._path

    @property
    def attempt(self) -> int:
        """The first that would be."""
        return 1

    @property
    def idempotency_key(self) -> str:
        """Never used: nothing is done."""
        return f"dry-run/{self._path}#1"

    @property
    def workspace(self) -> FilePath:
        """The project's folder."""
        return self._app.settings.project

    @property
    def environment(self) -> Mapping[str, str]:
        """Enough to find programs."""
        return {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}

    @property
    def egress(self) -> Egress:
        """The guarded HTTP client, for questions that change nothing."""
        from towpath.steps.egress import GuardedEgress

        return GuardedEgress()

    def remaining_seconds(self) -> float | None:
        """The time that is left for telling."""
        return max(0.0, self._until - time.monotonic())

    def log(self, text: str, *, level: LogLevel = "info") -> None:
        """Nothing is kept."""

    async def run_process(self, spec: ProcessSpec) -> ProcessResult:
        """Runs a program that only looks."""
        from towpath.steps.processes import ProcessRunner

        return await ProcessRunner().run(spec, lambda *_: None)


# --- showing ---------------------------------------------------------------------------------------------


def _lines(forecasts: list[Forecast], *, width: int) -> list[Line]:
    heads = table(
        [(_head(one), line((one.kind, "busy"))) for one in forecasts], width=max(20, width // 2), flexible=0
    )
    column = max((sum(len(text) for text, _ in head) for head in heads), default=0)
    made: list[Line] = []
    for one, head in zip(forecasts, heads, strict=True):
        used = sum(len(text) for text, _ in head)
        said = " · ".join(one.says)
        made.append((*head, (" " * (column - used + 2), "plain"), (said, "dim")))
        below = "  " * one.depth + "    "
        made += [line(below, (text, "warn")) for text in one.changes]
        made += _script_lines(one, below)
        made += _detail_lines(one, below)
    return made


def _head(one: Forecast) -> Line:
    if not one.kind:
        return line("  " * one.depth, (one.path, "dim"))
    return line("  " * one.depth, tree.GLYPHS[one.look], " ", (one.path, "name"))


def _script_lines(one: Forecast, below: str) -> list[Line]:
    rows = [safe(row) for row in str(one.details.get("run", "")).splitlines() if row.strip()]
    shown = [line(below, ("┃ ", "frame"), (row, "dim")) for row in rows[:SCRIPT_LINES_MAX]]
    if len(rows) > SCRIPT_LINES_MAX:
        shown.append(line(below, (f"┃ … {len(rows) - SCRIPT_LINES_MAX} more lines", "frame")))
    return shown


def _detail_lines(one: Forecast, below: str) -> list[Line]:
    made = []
    for name in ("with", "env"):
        given = one.details.get(name)
        if isinstance(given, Mapping):
            made += [
                line(below, (f"{safe(str(key))}=", "frame"), summary.value_text(value))
                for key, value in given.items()
            ]
    return made


def _print_json(request: StartRequest, forecasts: list[Forecast]) -> None:
    told = {
        "dry_run": True,
        "workflow": request.workflow.name,
        "inputs": dict(request.inputs),
        "steps": [
            {"path": one.path, "kind": one.kind, "depth": one.depth, "skipped": one.look == "skipped",
             "says": list(one.says), "changes": list(one.changes), "given": dict(one.details)}
            for one in forecasts
        ],
    }  # fmt: skip
    click.echo(facts.json_text(told))
