"""Every place in a file where an expression may stand: which names it sees, and when it is worked out.

One table for each kind of step; the checks walk it, and so can the docs. A text that is in no table is fixed
when the file loads.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from towpath.definition import model
from towpath.definition.checks.context import HANDLERS, Context, Place
from towpath.definition.checks.scope import Moment
from towpath.definition.source import DataPath


@dataclass(frozen=True, slots=True, kw_only=True)
class Spot:
    """One text with expressions in it, or one bare expression."""

    path: DataPath
    text: str
    place: Place | None = None
    """The step; None for the file's own keys."""
    moment: Moment = Moment.BEFORE
    is_condition: bool = False
    """Whether the whole text is a bare expression that has to be true or false."""
    takes_secrets: bool = False
    roots: frozenset[str] = frozenset()
    """Names that are there only here: `outputs`, `stdout`, `error`, `step`, …"""
    only: frozenset[str] | None = None
    """The only names that are there, where the usual ones are not."""
    wants: tuple[str, ...] = ()
    """Types that the value may have, where one whole expression decides it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """How the texts under one key are read."""

    key: str
    moment: Moment = Moment.BEFORE
    is_condition: bool = False
    takes_secrets: bool = False
    roots: frozenset[str] = frozenset()
    wants: tuple[str, ...] = ()


_RESULT = frozenset({"outputs", "stdout"})
COMMON = (
    Rule(key="if", is_condition=True),
    Rule(key="title"),
    Rule(key="env", takes_secrets=True),
    Rule(key="container"),
    Rule(key="environment"),
    Rule(key="cwd"),
    Rule(key="artifacts"),
    Rule(key="success_when", moment=Moment.AFTER, is_condition=True, roots=_RESULT),
)
KINDS: Mapping[str, tuple[Rule, ...]] = {
    "run": (Rule(key="stdin", takes_secrets=True),),
    "uses": (Rule(key="with", takes_secrets=True),),
    "approve": (Rule(key="approve"), Rule(key="show")),
    "task": (Rule(key="task"), Rule(key="instructions")),
    "wait": (),
    "steps": (),
    "parallel": (),
    "each": (Rule(key="each", wants=("list", "map")),),
    "choose": (),
    "repeat": (Rule(key="until", moment=Moment.AFTER, is_condition=True, roots=frozenset({"index"})),),
    "workflow": (Rule(key="with"),),
    "end": (),
}
"""Keys of each kind of step whose texts may hold expressions; nested ones are below."""
USUAL = frozenset({"inputs", "vars", "event", "run"})
"""Names that are there everywhere in a workflow."""
LAW_ROOTS = frozenset({"status"})
"""What the laws under `check` see besides."""
EVENT_ONLY = frozenset({"event"})
"""What the entries of `on` see: the run is not there yet."""


def spots(context: Context) -> Iterator[Spot]:
    """Every text of the file in which an expression may stand."""
    yield from _workflow_spots(context.workflow)
    yield from _trigger_spots(context)
    for place in context.places:
        if not place.stand_in:
            yield from _step_spots(place)


def _workflow_spots(workflow: model.Workflow) -> Iterator[Spot]:
    if workflow.environment is not None:
        yield Spot(path=("environment",), text=workflow.environment, only=USUAL)
    for path, text in texts_in(workflow.vars, ("vars",)):
        yield Spot(path=path, text=text, only=USUAL - {"vars"})
    for path, text in texts_in(workflow.env, ("env",)):
        yield Spot(path=path, text=text, only=USUAL, takes_secrets=True)
    if workflow.concurrency is not None:
        yield Spot(path=("concurrency", "group"), text=workflow.concurrency.group, only=USUAL)
    for path, text in texts_in(workflow.outputs, ("outputs",)):
        yield Spot(path=path, text=text, moment=Moment.AFTER)
    for key in ("never", "always"):
        for path, text in texts_in(getattr(workflow.check, key, ()), ("check", key)):
            yield Spot(path=path, text=text, moment=Moment.AFTER, is_condition=True, roots=LAW_ROOTS)
    if workflow.release is not None:
        yield Spot(
            path=("release", "abort_when"),
            text=workflow.release.abort_when,
            is_condition=True,
            only=frozenset({"failure_rate", "runs"}),
        )


def _trigger_spots(context: Context) -> Iterator[Spot]:
    for trigger in context.triggers:
        path: DataPath = ("on", trigger.position)
        if trigger.if_ is not None:
            yield Spot(path=(*path, "if"), text=trigger.if_, is_condition=True, only=EVENT_ONLY)
        for inner, text in texts_in(trigger.inputs, (*path, "inputs")):
            yield Spot(path=inner, text=text, only=EVENT_ONLY)
        if trigger.dedupe is not None:
            yield Spot(path=(*path, "dedupe"), text=trigger.dedupe, only=EVENT_ONLY)


def _step_spots(place: Place) -> Iterator[Spot]:
    for rule in (*COMMON, *KINDS[place.kind]):
        value = _value(place.step, rule.key)
        for path, text in texts_in(value, (*place.path, rule.key)):
            yield _spot(place, rule, path, text)
    yield from _nested_spots(place)


def _spot(place: Place, rule: Rule, path: DataPath, text: str) -> Spot:
    is_whole_value = len(path) == len(place.path) + 1
    return Spot(
        path=path,
        text=text,
        place=place,
        moment=rule.moment,
        is_condition=rule.is_condition,
        takes_secrets=rule.takes_secrets,
        roots=rule.roots | handler_roots(place),
        wants=rule.wants if is_whole_value else (),
    )


def _nested_spots(place: Place) -> Iterator[Spot]:
    step = place.step
    if isinstance(step.outputs, Mapping):
        rule = Rule(key="outputs", moment=Moment.AFTER, roots=_RESULT)
        for path, text in texts_in(step.outputs, (*place.path, "outputs")):
            yield _spot(place, rule, path, text)
    if step.retry is not None and step.retry.when is not None:
        rule = Rule(key="when", moment=Moment.AFTER, is_condition=True, roots=frozenset({"error"}))
        yield _spot(place, rule, (*place.path, "retry", "when"), step.retry.when)
    if step.check is not None:
        yield from _asked_spots(place, "check", step.check)
        yield from _condition_spot(place, ("check", "done_when"), step.check.done_when)
    if step.rehearse is not None:
        yield from _asked_spots(place, "rehearse", step.rehearse)
        yield from _condition_spot(place, ("rehearse", "changes_when"), step.rehearse.changes_when)
    yield from _kind_spots(place)


def _kind_spots(place: Place) -> Iterator[Spot]:
    step = place.step
    match step:
        case model.WaitStep():
            yield from _wait_spots(place, step)
        case model.ChooseStep():
            for position, branch in enumerate(step.choose):
                if branch.if_ is not None:
                    path = (*place.path, "choose", position, "if")
                    yield _spot(place, Rule(key="if", is_condition=True), path, branch.if_)
        case model.EndStep():
            for key in ("outcome", "message"):
                for path, text in texts_in(getattr(step.end, key), (*place.path, "end", key)):
                    yield _spot(place, Rule(key=key), path, text)
        case _:
            return


def _asked_spots(place: Place, name: str, asked: model.Check | model.Rehearse) -> Iterator[Spot]:
    for key, value in (("with", asked.with_), ("env", asked.env)):
        for path, text in texts_in(value, (*place.path, name, key)):
            yield _spot(place, Rule(key=key, takes_secrets=True), path, text)


def _condition_spot(place: Place, below: tuple[str, str], condition: str | None) -> Iterator[Spot]:
    if condition is not None:
        rule = Rule(key=below[1], moment=Moment.AFTER, is_condition=True, roots=_RESULT)
        yield _spot(place, rule, (*place.path, *below), condition)


def _wait_spots(place: Place, step: model.WaitStep) -> Iterator[Spot]:
    match step.wait:
        case str() as text:
            yield _spot(place, Rule(key="wait"), (*place.path, "wait"), text)
        case model.WaitUntil(until=text):
            yield _spot(place, Rule(key="until"), (*place.path, "wait", "until"), text)
        case model.WaitEvent(if_=str() as condition):
            yield _spot(place, Rule(key="if", is_condition=True), (*place.path, "wait", "if"), condition)
        case _:
            return


def handler_roots(place: Place) -> frozenset[str]:
    """Names that a step has because it stands in a handler."""
    slots = {step.slot for step in place.chain()}
    found: set[str] = set()
    if slots & set(HANDLERS):
        found.add("error")
    if "rollback" in slots:
        found.add("step")
    return frozenset(found)


def _value(step: model.Step, key: str) -> object:
    value = getattr(step, {"if": "if_", "with": "with_"}.get(key, key), None)
    return {"matrix": value.matrix} if isinstance(value, model.Matrix) else value


def texts_in(value: object, path: DataPath) -> Iterator[tuple[DataPath, str]]:
    """Every text inside a JSON value, with its path."""
    if isinstance(value, str):
        yield path, value
    elif isinstance(value, Mapping):
        for key, inner in value.items():
            yield from texts_in(inner, (*path, str(key)))
    elif isinstance(value, list | tuple):
        for position, inner in enumerate(value):
            yield from texts_in(inner, (*path, position))
