"""Texts that have a form of their own: times to wait for, events, names of variables, paths, items of loops.

They may hold expressions, so the model takes any text; what is written out is judged here, and not when the
run gets there.
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Mapping
from pathlib import PurePosixPath

from towpath.definition import model
from towpath.definition.checks.context import Context, Place
from towpath.definition.problems import did_you_mean
from towpath.definition.source import DataPath
from towpath.definition.triggers import TRIGGER_CLASSES

OPEN = "${{"
RESERVED_PREFIX = "TOW_"
"""What the names of Towpath's own environment variables start with."""
OWN_OUTPUTS = frozenset({"stdout", "exit_code", "json"})
"""Outputs that every script has; it cannot declare them."""
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def check_forms(context: Context) -> None:
    """Tell texts that are not written as they have to be."""
    _check_variables(context, ("env",), context.workflow.env)
    for place in context.places:
        if place.stand_in:
            continue
        step = place.step
        _check_variables(context, (*place.path, "env"), step.env)
        if step.check is not None:
            _check_variables(context, (*place.path, "check", "env"), step.check.env)
        if step.rehearse is not None:
            _check_variables(context, (*place.path, "rehearse", "env"), step.rehearse.env)
        _check_paths(context, place)
        _check_outputs(context, place)
        if isinstance(step, model.WaitStep):
            _check_wait(context, place, step)
        if isinstance(step, model.EachStep):
            _check_items(context, place, step)


def _check_variables(context: Context, path: DataPath, env: Mapping[str, object]) -> None:
    for name in env:
        if name.startswith(RESERVED_PREFIX):
            context.tell(
                "bad-format",
                f"`{name}`: names that start with {RESERVED_PREFIX} are Towpath's own",
                (*path, name),
                of_key=True,
                help="choose another name",
            )
        elif not _VARIABLE.fullmatch(name):
            context.tell(
                "bad-format",
                f"`{name}` is not the name of an environment variable",
                (*path, name),
                of_key=True,
                help="letters, digits and `_`, not starting with a digit",
            )


def _check_paths(context: Context, place: Place) -> None:
    step = place.step
    if step.cwd is not None:
        _check_path(context, (*place.path, "cwd"), step.cwd, "`cwd`")
    for position, pattern in enumerate(step.artifacts):
        _check_path(context, (*place.path, "artifacts", position), pattern, "an artifact")


def _check_path(context: Context, path: DataPath, text: str, what: str) -> None:
    parts = PurePosixPath(text.partition(OPEN)[0]).parts
    if not text or (parts and (parts[0] in ("/", "//", "~") or ".." in parts)):
        context.tell(
            "outside-workspace",
            f"{what} is a path inside the workspace",
            path,
            help="write it from the workspace on, without `..`",
        )


def _check_outputs(context: Context, place: Place) -> None:
    for position, name in enumerate(place.step.outputs):
        if name in OWN_OUTPUTS and place.kind == "run":
            is_list = isinstance(place.step.outputs, tuple)
            context.tell(
                "bad-format",
                f"`{name}` is an output that every script has",
                (*place.path, "outputs", position if is_list else name),
                of_key=not is_list,
                help="choose another name",
            )


def _check_wait(context: Context, place: Place, step: model.WaitStep) -> None:
    path = (*place.path, "wait")
    match step.wait:
        case str() as text if OPEN not in text:
            _check_duration(context, path, text)
        case model.WaitUntil(until=text) if OPEN not in text:
            _check_instant(context, (*path, "until"), text)
        case model.WaitEvent(event=kind) if kind not in TRIGGER_CLASSES:
            context.tell(
                "unknown-trigger",
                f"there is no event `{kind}`",
                (*path, "event"),
                help=did_you_mean(kind, TRIGGER_CLASSES, otherwise="the events are the kinds of triggers"),
            )
        case _:
            return


def _check_duration(context: Context, path: DataPath, text: str) -> None:
    try:
        model.parse_duration(text)
    except ValueError as error:
        message, _, advice = str(error).partition(": ")
        context.tell("bad-format", f"`{text}` {message}", path, help=advice)


def _check_instant(context: Context, path: DataPath, text: str) -> None:
    try:
        instant = datetime.datetime.fromisoformat(text)
    except ValueError:
        instant = None
    if instant is None or instant.tzinfo is None:
        context.tell(
            "bad-format",
            f"`{text}` is not a point in time",
            path,
            help="write it with its time zone: 2026-12-24T18:00:00Z, or 2026-12-24T18:00:00+01:00",
        )


def _check_items(context: Context, place: Place, step: model.EachStep) -> None:
    path = (*place.path, "each")
    if isinstance(step.each, str) and OPEN not in step.each:
        context.tell(
            "wrong-type",
            "`each` takes a list, a map, an expression that gives one, or a `matrix`",
            path,
            help=f"write [{step.each}] for a list, or ${{{{ {step.each} }}}} for an expression",
        )
    if isinstance(step.each, model.Matrix):
        for name, values in step.each.matrix.items():
            if isinstance(values, str) and OPEN not in values:
                context.tell(
                    "wrong-type",
                    f"`{name}` takes a list, or an expression that gives one",
                    (*path, "matrix", name),
                    help=f"write {name}: [{values}]",
                )
