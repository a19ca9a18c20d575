"""Ids are unique in a file; a file has so many steps and so many levels at the most."""

from __future__ import annotations

from towpath.definition import model
from towpath.definition.checks.context import Context


def check_ids(context: Context) -> None:
    """Tell every id that stands twice."""
    first: dict[str, int] = {}
    for place in context.places:
        if place.id is None:
            continue
        path = (*place.path, "id")
        line, _ = context.source.line_and_column(context.source.value_span(path)[0])
        if place.id in first:
            context.tell(
                "duplicate-id",
                f"the id `{place.id}` is taken: the first step with it is in line {first[place.id]}",
                path,
                help="ids are unique in the file, so that steps.ID means one thing wherever it stands",
            )
        else:
            first[place.id] = line


def check_size(context: Context) -> None:
    """Tell when there are too many steps, or too many levels; of too many, the first ones are looked at."""
    if len(context.places) > model.STEPS_MAX:
        context.tell(
            "too-many-steps",
            f"the file defines {len(context.places):,} steps; {model.STEPS_MAX:,} are allowed",
            context.places[model.STEPS_MAX].path,
            help="split it: a `workflow` step calls another file, and `each` repeats one body",
        )
        context.places = context.places[: model.STEPS_MAX]
    for place in context.places:
        if len(place.chain()) == model.NESTING_MAX + 1:
            context.tell(
                "nested-too-deep",
                f"steps stand more than {model.NESTING_MAX} levels deep",
                place.path,
                help="split the workflow: a `workflow` step calls another file",
            )
