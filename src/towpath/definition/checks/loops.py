"""Loops have a limit, and it is known at load time where the items are."""

from __future__ import annotations

import math

from towpath.definition import model
from towpath.definition.checks.context import Context, Place
from towpath.definition.expressions import RESERVED_NAMES

EACH_ITEMS_MAX = 100_000
"""Items that one `each` may have."""
_ROOTS = frozenset(
    {"inputs", "vars", "steps", "event", "run", "secrets", "error", "step", "outputs", "stdout", "index"}
)


def check_loops(context: Context) -> None:
    """Tell loops that are too long, and item names that cannot be used."""
    for place in context.places:
        if isinstance(place.step, model.EachStep) and not place.stand_in:
            _check_count(context, place, place.step)
            _check_name(context, place, place.step)


def _check_count(context: Context, place: Place, step: model.EachStep) -> None:
    if isinstance(step.each, model.Matrix):
        lists = [values for values in step.each.matrix.values() if isinstance(values, tuple)]
        count = math.prod(len(values) for values in lists) if lists else 0
        shape = " by ".join(str(len(values)) for values in lists)
        empty = [name for name, values in step.each.matrix.items() if values == ()]
        if empty:
            path = (*place.path, "each", "matrix", empty[0])
            context.tell("out-of-range", f"`{empty[0]}` has no values: the loop has no items", path)
    else:
        count = len(step.each) if isinstance(step.each, tuple | dict) else 0
        shape = str(count)
    if count > EACH_ITEMS_MAX:
        context.tell(
            "too-many-items",
            f"the loop has {shape} = {count:,} items; the limit EACH_ITEMS_MAX is {EACH_ITEMS_MAX:,}"
            if " by " in shape
            else f"the loop has {count:,} items; the limit EACH_ITEMS_MAX is {EACH_ITEMS_MAX:,}",
            (*place.path, "each"),
            of_key=True,
            help="split it into several runs: a `workflow` step inside a smaller loop",
        )


def _check_name(context: Context, place: Place, step: model.EachStep) -> None:
    path = (*place.path, "as")
    if step.as_ in _ROOTS or step.as_ in RESERVED_NAMES:
        context.tell(
            "bad-format",
            f"`{step.as_}` has a meaning of its own in expressions",
            path,
            help="choose another name for the item",
        )
        return
    around = [p for p in place.chain()[:-1] if isinstance(p.step, model.EachStep)]
    if any(isinstance(p.step, model.EachStep) and p.step.as_ == step.as_ for p in around):
        context.tell(
            "ambiguous-name",
            f"the loop around this one calls its item `{step.as_}` too",
            path if "as_" in step.model_fields_set else (*place.path, "each"),
            of_key="as_" not in step.model_fields_set,
            help="give each loop an `as` of its own; inside, the outer item cannot be read",
        )
