"""Every check, one after the other."""

from __future__ import annotations

from collections.abc import Callable

from towpath.definition import model
from towpath.definition.actions import ActionCards
from towpath.definition.checks import (
    calls,
    forms,
    ids,
    keys,
    ladders,
    loops,
    numbers,
    order,
    people,
    project_file,
    texts,
    triggers,
    values,
)
from towpath.definition.checks.context import Bench, Context, open_context
from towpath.definition.problems import Problem
from towpath.definition.project import ProjectFile
from towpath.definition.projects import Project
from towpath.definition.shape import Shaped
from towpath.definition.source import Source

CHECKS: tuple[Callable[[Context], None], ...] = (
    ids.check_size,  # bounds the work of the others
    triggers.read_triggers,  # the others see what it reads
    triggers.check_triggers,
    ids.check_ids,
    keys.check_keys,
    forms.check_forms,
    values.check_inputs,
    order.check_needs,
    order.check_reachable,
    order.check_places,
    loops.check_loops,
    numbers.check_numbers,
    texts.check_texts,
    texts.check_scripts,
    calls.check_actions,
    calls.check_workflow_name,
    calls.check_workflow_calls,
    people.check_people,
    ladders.check_reminders,
)


def check(
    source: Source, shaped: Shaped[model.Workflow], *, project: Project | None, cards: ActionCards | None
) -> list[Problem]:
    """Everything that the checks have to say about the sound part of a workflow file."""
    if shaped.value is None:
        return []
    context = open_context(source, shaped, project=project, cards=cards)
    for one in CHECKS:
        one(context)
    return context.problems


def check_project(source: Source, shaped: Shaped[ProjectFile]) -> list[Problem]:
    """Everything that the checks have to say about the sound part of a project's file."""
    bench = Bench(source=source, cut=shaped.cut)
    if shaped.value is not None:
        project_file.check_file(bench, shaped.value)
    return bench.problems
