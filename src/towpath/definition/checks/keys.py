"""Keys that go together, keys that exclude each other, and keys that a kind of step cannot follow."""

from __future__ import annotations

from collections.abc import Mapping

from towpath.definition import model
from towpath.definition.checks.context import Context, Place
from towpath.definition.problems import article

RETRIED = frozenset({"run", "uses"})
"""Kinds of step that have attempts."""
LEAVES = frozenset({"run", "uses", "approve", "task", "wait", "workflow", "end"})
ONLY_FOR: Mapping[str, frozenset[str]] = {
    "retry": RETRIED,
    "success_when": RETRIED,
    "check": RETRIED,
    "rehearse": RETRIED,
    "idempotent": RETRIED,
    "outputs": RETRIED,
    "container": frozenset({"run"}),
    "cwd": RETRIED,
    "artifacts": RETRIED,
    "env": frozenset({"run", "uses", "steps", "parallel", "each", "choose", "repeat"}),
    "runs_on": frozenset({"run", "uses", "steps", "parallel", "each", "choose", "repeat"}),
    "timeout": frozenset(
        {
            "run",
            "uses",
            "wait",
            "workflow",
            "steps",
            "parallel",
            "each",
            "choose",
            "repeat",
            "approve",
            "task",
        }
    ),
}
"""Common keys that only some kinds of step can follow."""
_ADVICE: Mapping[str, str] = {
    "retry": "put it on the steps inside, or use `repeat` with `until`",
    "success_when": "use `if` and `end`, or a `run` step that decides",
    "outputs": "the steps inside have their own outputs, and ids are unique: read steps.ID.outputs",
    "idempotent": "say it of the scripts and actions inside",
    "check": "put it on the scripts and actions inside",
    "rehearse": "put it on the scripts and actions inside",
    "container": "put it on the scripts inside",
    "cwd": "put it on the scripts inside",
    "artifacts": "put it on the scripts inside",
}


def check_keys(context: Context) -> None:
    """Tell keys that cannot be followed where they stand."""
    for place in context.places:
        if place.stand_in:
            continue
        _check_kind(context, place)
        _check_pairs(context, place)
        if place.step.check is not None:
            _check_asked(context, (*place.path, "check"), place.step.check)
        if place.step.rehearse is not None:
            _check_asked(context, (*place.path, "rehearse"), place.step.rehearse)
        if isinstance(place.step, model.Question):
            _check_question(context, place, place.step)
    _check_retries(context)


def _check_kind(context: Context, place: Place) -> None:
    for key, kinds in ONLY_FOR.items():
        if key in place.step.model_fields_set and place.kind not in kinds:
            context.tell(
                "key-without-effect",
                f"{article(place.kind)} `{place.kind}` step cannot follow `{key}`",
                (*place.path, key),
                of_key=True,
                help=_ADVICE.get(key, "remove it"),
            )


def _check_pairs(context: Context, place: Place) -> None:
    step = place.step
    if isinstance(step.outputs, tuple) and step.outputs and isinstance(step, model.UsesStep):
        context.tell(
            "key-without-effect",
            "an action declares its own outputs; only a script lists what it writes",
            (*place.path, "outputs"),
            of_key=True,
            help="remove it, or map names to expressions: outputs: {name: ${{ outputs.… }}}",
        )
    if isinstance(step, model.RunStep) and step.container is not None and step.shell == "pwsh":
        return
    if isinstance(step, model.EachStep) and step.fail_fast and step.max_parallel == 1:
        context.tell(
            "ignored-key",
            "`fail_fast` changes nothing where one item runs at a time",
            (*place.path, "fail_fast"),
            of_key=True,
            help="remove it",
        )


def _check_asked(context: Context, path: tuple[str | int, ...], check: model.Check | model.Rehearse) -> None:
    """A check or a rehearsal is a script or an action, and not both."""
    name = str(path[-1])
    has_cut = any(cut[: len(path)] == path for cut in context.cut)
    if (check.run is None) == (check.uses is None) and not has_cut:
        context.tell(
            "keys-go-together",
            f"`{name}` is either a script (`run`) or an action (`uses`)",
            path,
            of_key=True,
            help=f"write {name}: {{run: …}} or {name}: {{uses: …, with: {{…}}, {_CONDITIONS[name]}: …}}",
        )
    if check.uses is None and check.with_:
        _alone(context, (*path, "with"), "`with` belongs to `uses`")
    if check.run is None and check.shell is not None:
        _alone(context, (*path, "shell"), "`shell` belongs to `run`")


_CONDITIONS = {"check": "done_when", "rehearse": "changes_when"}


def _alone(context: Context, path: tuple[str | int, ...], message: str) -> None:
    context.tell("keys-go-together", message, path, of_key=True, help="remove it")


def _check_question(context: Context, place: Place, step: model.Question) -> None:
    within, unanswered = step.answer_within, step.if_unanswered
    if within is not None and unanswered is None:
        context.tell(
            "keys-go-together",
            "`answer_within` needs `if_unanswered`: nothing is decided by silence unless it is written",
            (*place.path, "answer_within"),
            of_key=True,
            help="add if_unanswered: reject, approve, fail or continue",
        )
    if unanswered is not None and within is None:
        context.tell(
            "keys-go-together",
            "`if_unanswered` needs `answer_within`",
            (*place.path, "if_unanswered"),
            of_key=True,
            help="add answer_within: 4h",
        )
    if isinstance(step, model.TaskStep) and unanswered in ("approve", "reject"):
        context.tell(
            "not-one-of",
            f"a task is done or not; `{unanswered}` is for approvals",
            (*place.path, "if_unanswered"),
            help="write fail or continue",
        )
    _check_rungs(context, place, step)


def _check_rungs(context: Context, place: Place, step: model.Question) -> None:
    earlier = -1.0
    for position, rung in enumerate(step.escalate):
        path = (*place.path, "escalate", position, "after")
        if rung.after <= earlier:
            context.tell(
                "out-of-range", "rungs come in the order of their times", path, help="sort them by `after`"
            )
        elif step.answer_within is not None and rung.after >= step.answer_within:
            context.tell(
                "out-of-range",
                "this rung comes when the time for an answer is over",
                path,
                help="make it shorter than `answer_within`",
            )
        earlier = rung.after


def _check_retries(context: Context) -> None:
    for place in context.places:
        retry = place.step.retry
        if retry is None or place.stand_in:
            continue
        path = (*place.path, "retry")
        if retry.attempts == 1:
            context.tell(
                "ignored-key",
                "one attempt is no retry",
                (*path, "attempts"),
                help="write 2 or more, or remove `retry`",
            )
        if "max_delay" in retry.model_fields_set and retry.max_delay < retry.delay:
            context.tell(
                "out-of-range",
                "`max_delay` is shorter than `delay`",
                (*path, "max_delay"),
                help="make it longer",
            )
