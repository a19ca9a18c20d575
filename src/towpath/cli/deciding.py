"""What the commands about people's questions have in common: who says what to one, and what came of it.

Which one it is, and who may say what, is settled by the rules that the server asks too (`server.asking`).
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING

import click

from towpath.cli import exit_codes, values
from towpath.cli.session import Session
from towpath.cli.views import questions
from towpath.cli.views.lines import line, safe
from towpath.core import stimuli
from towpath.core.run import Json, Question
from towpath.definition.inputs import complete_inputs, problems_of
from towpath.errors import Refused
from towpath.people import choices
from towpath.server import asking

if TYPE_CHECKING:
    from towpath.app import App
    from towpath.cli.parameters import Spoken
    from towpath.cli.watching.terminal import Keyboard


@dataclass(frozen=True, slots=True, kw_only=True)
class Answering:
    """An answer as the command line gives it."""

    choice: str
    comment: str = ""
    form: tuple[str, ...] = ()
    digest: str | None = None
    """Of what the person saw before; None where it is shown now."""
    is_sure: bool = False


def decide(
    session: Session,
    name: str,
    step: str | None,
    choice: str,
    said: Spoken,
    *,
    form: tuple[str, ...] = (),
    wants_comment: str = "",
) -> int:
    """Decides the question of a run with a choice; gives the exit code.

    Where *wants_comment* says how a script names the reason, it cannot do without one; at a terminal it is asked for.
    """
    actor = session.actor(said["by"])
    asked = asking.find(session.app(), name, step, says=choice, actor=actor)
    if wants_comment and not said["comment"] and not session.is_interactive:
        raise click.UsageError(wants_comment)
    is_report = choice == "done" and asked.question.kind == "task"
    answering = Answering(
        choice=choice,
        comment=said["comment"],
        form=form,
        digest=said["digest"],
        is_sure=said["yes"] or is_report,
    )
    return answer(session, asked, answering, actor=actor)


# --- saying it ----------------------------------------------------------------------------------------------


def tell(app: App, asked: asking.Asked, stimulus: stimuli.AnyStimulus) -> None:
    """Has the owner of the run told; raises Refused, and tells who decided where somebody was quicker."""
    try:
        app.tell(asked.row, stimulus)
    except Refused:
        asking.raise_late(app, asked)
        raise


def answer(session: Session, asked: asking.Asked, answering: Answering, *, actor: str) -> int:
    """Answers a question: shows it on a terminal, completes the form, and tells what came of it; gives the exit code."""
    app, question = session.app(), asked.question
    form = complete_form(question, answering) if not session.is_interactive else None
    comment = answering.comment
    if form is None:
        completed = asyncio.run(_in_dialogue(session, asked, answering, actor=actor))
        if completed is None:
            session.out.say("nothing was said; the question is still open")
            return exit_codes.WAITING
        form, comment = completed
    said = stimuli.Answered(
        at=app.now(),
        path=asked.node.path,
        by=actor,
        decision=answering.choice,
        comment=comment,
        form=form,
        digest=answering.digest or question.digest or None,
        via="cli",
    )
    tell(app, asked, said)
    acknowledge(session, asked, asking.outcome(app, asked, answering.choice, actor=actor))
    return exit_codes.OK


def complete_form(question: Question, answering: Answering) -> dict[str, Json]:
    """The fields of the form, completed and judged; without a form, the outputs that a person gives."""
    given = values.pairs(answering.form, option="--form")
    if answering.choice not in asking.WITH_FORM:
        if given:
            raise click.UsageError(
                f"--form goes with approve and done, not with {asking.spoken(answering.choice)}"
            )
        return {}
    return (
        complete_inputs(asking.declared_fields(question), given, is_text=True)
        if question.form
        else dict(given)
    )


async def _in_dialogue(
    session: Session, asked: asking.Asked, answering: Answering, *, actor: str
) -> tuple[dict[str, Json], str] | None:
    """What the person at the terminal adds to an answer, having seen the evidence; None where they think better of it."""
    from towpath.cli.watching.terminal import Keyboard, quiet_keyboard

    app, question = session.app(), asked.question
    session.out.show(*questions.question_lines(asked.node, session.out, now=app.now()))
    comment = answering.comment
    with quiet_keyboard():
        keyboard = Keyboard(session.out)
        try:
            form = await _fill_in(keyboard, question, answering)
            if not comment and answering.choice in choices.COMMENTED:
                comment = await keyboard.ask(line(("❯ ", "ask"), "why? ", ("(may be empty)", "dim")))
            if not answering.is_sure and not await _is_sure(keyboard, answering.choice, actor):
                return None
        except EOFError:
            return None
    return form, comment


async def _fill_in(keyboard: Keyboard, question: Question, answering: Answering) -> dict[str, Json]:
    """The fields that were not given on the command line are asked for, one after the other."""
    from towpath.cli.watching.asking import ask_field

    given = values.pairs(answering.form, option="--form")
    if answering.choice not in asking.WITH_FORM or not question.form:
        return complete_form(question, answering)
    found: dict[str, Json] = {}
    declared = asking.declared_fields(question)
    for name, declaration in declared.items():
        if name in given:
            continue
        value, is_given = await ask_field(keyboard, name, declaration)
        if is_given and not problems_of(name, value, declaration):
            found[name] = value
    typed = complete_inputs({name: declared[name] for name in given if name in declared}, given, is_text=True)
    return {**found, **typed}


async def _is_sure(keyboard: Keyboard, choice: str, actor: str) -> bool:
    asked = line(
        ("❯ ", "ask"), f"{asking.spoken(choice)}, as {safe(actor.removeprefix('user:'))}? ", ("[y/N]", "dim")
    )
    typed = await keyboard.ask(asked)
    return typed.strip().lower() in ("y", "yes")


# --- what came of it ----------------------------------------------------------------------------------------


def acknowledge(session: Session, asked: asking.Asked, text: str) -> None:
    """Tells that something was said to a question that is still open."""
    session.out.say(f"run {asked.row.number}: ", (safe(asked.node.path), "name"), f" — {safe(text)}")


def step_and_text(given: tuple[str, ...]) -> tuple[str | None, str]:
    """`[STEP] TEXT` from the words that were typed; raises UsageError."""
    match given:
        case (text,):
            return None, text
        case (step, text):
            return step, text
        case _:
            raise click.UsageError("say [STEP] TEXT, and put quotes around a text of several words")
