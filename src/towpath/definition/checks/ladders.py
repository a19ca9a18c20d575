"""Reminders and turns that do not do what they seem to say: those that come too often, and those that never come.

They load and run all the same, so these are warnings. Rungs out of order, or beyond the time to answer, are errors (`keys`).
"""

from __future__ import annotations

from towpath.definition import model
from towpath.definition.checks.context import Bench, Context
from towpath.definition.project import ProjectFile
from towpath.definition.source import DataPath

SHORTEST_SECONDS = 60.0
"""The shortest distance between two reminders, and the shortest turn of a rota; a shorter one is taken as this long."""


def check_reminders(context: Context) -> None:
    """Tell what is odd about the reminders of every question."""
    for place in context.places:
        if isinstance(place.step, model.Question) and not place.stand_in:
            _check_remind(context, (*place.path, "remind"), place.step)


def _check_remind(context: Context, path: DataPath, step: model.Question) -> None:
    if step.remind is None:
        return
    if step.remind < SHORTEST_SECONDS:
        context.tell(
            "too-often",
            "people are reminded once a minute at most",
            path,
            help="write 1m, or better 30m: a reminder that comes all the time is not read",
        )
    elif step.answer_within is not None and step.remind >= step.answer_within:
        context.tell(
            "never-reminded",
            "nobody is reminded: the time to answer is over by then",
            path,
            help="make it shorter than `answer_within`, or leave it out",
        )


def check_turns(bench: Bench, file: ProjectFile) -> None:
    """Tell of turns of a rota that are too short."""
    for name, rota in file.people.on_call.items():
        for position, rotation in enumerate(rota.rotations):
            if rotation.every < SHORTEST_SECONDS:
                bench.tell(
                    "too-often",
                    "a turn takes a minute at least",
                    ("people", "on_call", name, "rotations", position, "every"),
                    help="write how long somebody is on call, such as 12h or 7d",
                )
