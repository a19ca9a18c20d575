"""What the commands about people's questions have in common: which question is meant, who says what to it, and what came of it.

The owner of the run judges whether a person may say something, at the moment when it decides. Here a question is found and shown, and
whoever comes too late is told who was quicker.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, get_args

import click

from towpath.cli import exit_codes, membership, values
from towpath.cli.session import Session
from towpath.cli.views import questions, waits
from towpath.cli.views.lines import line, safe
from towpath.core import stimuli
from towpath.core.run import Json, Node, Path, Question, Run
from towpath.definition.inputs import complete_inputs, problems_of
from towpath.definition.model import Input
from towpath.errors import NotFound, Refused
from towpath.observe import words
from towpath.people import authority, choices, decided

if TYPE_CHECKING:
    from towpath.app import App
    from towpath.cli.parameters import Spoken
    from towpath.cli.watching.terminal import Keyboard
    from towpath.store.contract import RunRow

STEPS_NAMED_MAX = 10
_SAYINGS: frozenset[str] = frozenset(get_args(authority.Saying))


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """An open question that somebody has something to say to."""

    row: RunRow
    run: Run
    node: Node

    @property
    def question(self) -> Question:
        """What is asked."""
        assert self.node.question is not None, f"{self.node.path} asks nothing"
        return self.node.question


@dataclass(frozen=True, slots=True, kw_only=True)
class Answering:
    """An answer as the command line gives it."""

    choice: str
    comment: str = ""
    form: tuple[str, ...] = ()
    digest: str | None = None
    """Of what the person saw before; None where it is shown now."""
    is_sure: bool = False


# --- which question -----------------------------------------------------------------------------------------


def find(app: App, name: str, step: str | None, *, says: str, actor: str) -> Asked:
    """The question that is meant; raises Refused or NotFound, and tells who decided it where it is over.

    Args:
        app: the project and its data.
        name: the run.
        step: a path, or the end of one; None for the only question that the person may say this to.
        says: a choice, or what else may be said to a question.
        actor: who wants to say it.

    """
    row, run = app.run(name)
    asking = [node for node in run.open_leaves() if node.status == "asking"]
    node = _named(app, row, asking, step) if step is not None else _only(app, row, run, asking, says, actor)
    found = Asked(row=row, run=run, node=node)
    if says not in found.question.choices and says not in _SAYINGS:
        raise Refused(
            f"{node.path} of run {row.number} cannot be answered with {_words(says)!r}",
            help="\n".join(
                choices.command_of(row.number, node.path, choice) for choice in found.question.choices
            ),
        )
    return found


def _named(app: App, row: RunRow, asking: list[Node], step: str) -> Node:
    found = [node for node in asking if node.path == step] or [
        node for node in asking if _is_at(node.path, step)
    ]
    if len(found) == 1:
        return found[0]
    if found:
        raise Refused(f"run {row.number} asks at several places that end in {step}", help=_listed(found))
    tell_late(app, row, step)
    known = f"it asks at: {_listed(asking)}" if asking else f"`tow show {row.number}` tells what it waits for"
    raise NotFound(f"run {row.number} asks nothing at {step!r}", help=known)


def _only(app: App, row: RunRow, run: Run, asking: list[Node], says: str, actor: str) -> Node:
    """The only question that takes this answer; where several do, the only one that the person may give it to."""
    fitting = [node for node in asking if _takes(node, says)]
    if len(fitting) > 1:
        allowed = [node for node in fitting if not membership.refusal(app, run, node, says=says, actor=actor)]
        fitting = allowed or fitting
    if len(fitting) == 1:
        return fitting[0]
    if fitting:
        listed = "\n".join(_typed(row.number, node.path, says) for node in fitting[:STEPS_NAMED_MAX])
        raise Refused(
            f"run {row.number} asks {len(fitting)} things that this could answer; name the step", help=listed
        )
    tell_late(app, row, None, says=says)
    if asking:
        return asking[0]
    if run.has_ended:
        raise Refused(f"run {row.number} has ended: {run.status}", help=f"`tow show {row.number}` tells how")
    raise Refused(f"run {row.number} asks nothing", help=f"`tow show {row.number}` tells what it waits for")


def _takes(node: Node, says: str) -> bool:
    assert node.question is not None, f"{node.path} asks nothing"
    return says in node.question.choices or says in _SAYINGS


def _is_at(path: Path, step: str) -> bool:
    """Whether *step* is the end of a path, or the environment whose gate it is."""
    return path.endswith(f"/{step}") or path in (f"~{step}", f"~gate_{step}")


def _listed(nodes: list[Node]) -> str:
    more = f" and {len(nodes) - STEPS_NAMED_MAX} more" if len(nodes) > STEPS_NAMED_MAX else ""
    return ", ".join(node.path for node in nodes[:STEPS_NAMED_MAX]) + more


def _typed(number: int, path: Path, says: str) -> str:
    return f"tow {says.replace('_', '-')} {number} {waits.quoted(path)}"


def _words(says: str) -> str:
    return says.replace("_", " ")


def check(app: App, asked: Asked, *, says: str, actor: str) -> None:
    """Raises Refused where the person may not say this; for what the owner of the run does not judge itself."""
    verdict = membership.judged(app, asked.run, asked.node, says=says, actor=actor)
    if isinstance(verdict, authority.Deny):
        raise Refused(verdict.reason, help=verdict.help)


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
    asked = find(session.app(), name, step, says=choice, actor=actor)
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


def tell(app: App, asked: Asked, stimulus: stimuli.AnyStimulus) -> None:
    """Has the owner of the run told; raises Refused, and tells who decided where somebody was quicker."""
    try:
        app.tell(asked.row, stimulus)
    except Refused:
        row, run = app.run(str(asked.row.number))
        node = run.nodes.get(asked.node.path)
        if node is None or node.status != "asking" or node.question is None:
            tell_late(app, row, asked.node.path)
        raise


def answer(session: Session, asked: Asked, answering: Answering, *, actor: str) -> int:
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
    _tell_outcome(session, asked, answering.choice, actor=actor)
    return exit_codes.OK


def complete_form(question: Question, answering: Answering) -> dict[str, Json]:
    """The fields of the form, completed and judged; without a form, the outputs that a person gives."""
    given = values.pairs(answering.form, option="--form")
    if answering.choice not in ("approve", "done"):
        if given:
            raise click.UsageError(f"--form goes with approve and done, not with {_words(answering.choice)}")
        return {}
    return complete_inputs(declared_fields(question), given, is_text=True) if question.form else dict(given)


def declared_fields(question: Question) -> dict[str, Input]:
    """The fields of a question's form."""
    return {name: Input.model_validate(dict(raw)) for name, raw in question.form.items()}


async def _in_dialogue(
    session: Session, asked: Asked, answering: Answering, *, actor: str
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
    if answering.choice not in ("approve", "done") or not question.form:
        return complete_form(question, answering)
    found: dict[str, Json] = {}
    declared = declared_fields(question)
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
        ("❯ ", "ask"), f"{_words(choice)}, as {safe(actor.removeprefix('user:'))}? ", ("[y/N]", "dim")
    )
    typed = await keyboard.ask(asked)
    return typed.strip().lower() in ("y", "yes")


# --- what came of it ----------------------------------------------------------------------------------------


def _tell_outcome(session: Session, asked: Asked, choice: str, *, actor: str) -> None:
    """Whether the answer decided the question, or who else has to give theirs."""
    app = session.app()
    _, run = app.run(str(asked.row.number))
    node = run.nodes.get(asked.node.path)
    said = f"{choices.decision_of(choice)} by {actor.removeprefix('user:')}"
    if node is None or node.status != "asking" or node.question is None:
        acknowledge(session, asked, f"{said}; {_next(run)}")
        return
    case = authority.case_of(run, node, app.desk.calendar(node.question.hours))
    if not case.answers:
        acknowledge(session, asked, f"{said}; it is asked again")
        return
    given = sum(one.decision == "approve" for one in case.answers)
    missing = _missing(authority.outlook(app.desk.directory, case, app.now()))
    acknowledge(session, asked, f"{said}: {given} of {node.question.quorum}; {missing}")


def acknowledge(session: Session, asked: Asked, text: str) -> None:
    """Tells that something was said to a question that is still open."""
    session.out.say(f"run {asked.row.number}: ", (safe(asked.node.path), "name"), f" — {safe(text)}")


def _next(run: Run) -> str:
    return f"the run has ended: {run.status}" if run.has_ended else "the run goes on"


def _missing(outlook: authority.Outlook) -> str:
    if outlook.warning:
        return outlook.warning
    who = ", ".join(sorted(outlook.people)) or "somebody"
    return f"{outlook.needed} more needed, from: {who}"


def tell_late(app: App, row: RunRow, step: str | None, *, says: str = "") -> None:
    """Raises Refused with who decided the question at *step*, or the latest that took *says*; nothing where there was none."""
    found = decided.histories(fact for _, fact in app.events(row))
    over = [
        known
        for path, known in found.items()
        if known.ended_at is not None
        and (says in known.question.choices if step is None else path == step or _is_at(path, step))
    ]
    if not over:
        return
    last = max(over, key=_ended_at)
    when = words.moment(last.ended_at or 0, now=app.now())
    raise Refused(
        f"{last.path} of run {row.number}: {last.sentence(when=when)}",
        help=f"`tow show {row.number} --timeline` tells everything that was said",
    )


def _ended_at(known: decided.History) -> int:
    return known.ended_at or 0


# --- people -------------------------------------------------------------------------------------------------


def person(app: App, actor: str) -> str:
    """The name of the user who acts; raises Refused for what is no person."""
    found = authority.person_of(app.desk.directory, actor)
    if found is None:
        raise Refused(f"{actor} is not a person", help="say who you are: --as NAME")
    return found


def principal(app: App, name: str) -> str:
    """A principal as people type it: `ben` is `user:ben`; raises Refused where nobody stands behind it."""
    full = name if ":" in name else f"user:{name}"
    found = app.desk.directory.resolve((full,), app.now())
    if found.nobody and not found.groups_elsewhere:
        raise Refused(f"nobody stands behind {full}: {found.nobody[0].reason}")
    return full


def step_and_text(given: tuple[str, ...]) -> tuple[str | None, str]:
    """`[STEP] TEXT` from the words that were typed; raises UsageError."""
    match given:
        case (text,):
            return None, text
        case (step, text):
            return step, text
        case _:
            raise click.UsageError("say [STEP] TEXT, and put quotes around a text of several words")
