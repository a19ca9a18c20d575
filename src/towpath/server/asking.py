"""Which question of a run is meant, who may say something to it, and what came of it: asked alike by page, API and command line.

The owner of the run judges whether a person may say something, at the moment when it decides. Here a question is found, and whoever comes
too late is told who was quicker.
"""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING

from towpath.core.run import Node, Path, Question, Run
from towpath.definition.model import Input
from towpath.errors import NotFound, Refused
from towpath.observe import words
from towpath.people import authority, choices, decided

if TYPE_CHECKING:
    from towpath.app import App
    from towpath.store.contract import RunRow

STEPS_NAMED_MAX = 10
"""Questions that one answer names, where several can be meant."""
WITH_FORM = frozenset({"approve", "done"})
"""Choices that a form goes along with."""
BOUND = frozenset({"approve", "reject", "done"})
"""Choices that are bound to what the person saw."""


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
    if says not in found.question.choices and says not in authority.SAYINGS:
        raise Refused(
            f"{node.path} of run {row.number} cannot be answered with {spoken(says)!r}",
            help="\n".join(
                choices.command_of(row.number, node.path, choice) for choice in found.question.choices
            ),
        )
    return found


def _named(app: App, row: RunRow, asking: list[Node], step: str) -> Node:
    found = [node for node in asking if node.path == step] or [
        node for node in asking if is_at(node.path, step)
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
        allowed = [node for node in fitting if not refusal(app, run, node, says=says, actor=actor)]
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
    return says in node.question.choices or says in authority.SAYINGS


def is_at(path: Path, step: str) -> bool:
    """Whether *step* is the end of a path, or the environment whose gate it is."""
    return path.endswith(f"/{step}") or path in (f"~{step}", f"~gate_{step}")


def _listed(nodes: list[Node]) -> str:
    more = f" and {len(nodes) - STEPS_NAMED_MAX} more" if len(nodes) > STEPS_NAMED_MAX else ""
    return ", ".join(node.path for node in nodes[:STEPS_NAMED_MAX]) + more


def _typed(number: int, path: Path, says: str) -> str:
    return f"tow {says.replace('_', '-')} {number} {shlex.quote(path)}"


def spoken(says: str) -> str:
    """A choice, or what else may be said, in words."""
    return says.replace("_", " ")


# --- who may say it -----------------------------------------------------------------------------------------


def judged(app: App, run: Run, node: Node, *, says: str, actor: str) -> authority.Verdict:
    """Whether *actor* may say this to the question of *node* now: by the rules by which the owner of the run judges it."""
    return app.desk.verdict(run, node, by=actor, says=says, at=app.now())


def refusal(app: App, run: Run, node: Node, *, says: str, actor: str) -> str:
    """Why *actor* may not say this to the question of *node*; empty where they may."""
    verdict = judged(app, run, node, says=says, actor=actor)
    return verdict.reason if isinstance(verdict, authority.Deny) else ""


def check(app: App, asked: Asked, *, says: str, actor: str) -> None:
    """Raises Refused where the person may not say this; for what the owner of the run does not judge itself."""
    verdict = judged(app, asked.run, asked.node, says=says, actor=actor)
    if isinstance(verdict, authority.Deny):
        raise Refused(verdict.reason, help=verdict.help)


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


def declared_fields(question: Question) -> dict[str, Input]:
    """The fields of a question's form."""
    return {name: Input.model_validate(dict(raw)) for name, raw in question.form.items()}


# --- what came of it ----------------------------------------------------------------------------------------


def outcome(app: App, asked: Asked, choice: str, *, actor: str) -> str:
    """Whether an answer decided the question, or who else has to give theirs, in words."""
    _, run = app.run(str(asked.row.number))
    node = run.nodes.get(asked.node.path)
    said = f"{choices.decision_of(choice)} by {actor.removeprefix('user:')}"
    if node is None or node.status != "asking" or node.question is None:
        return f"{said}; {_next(run)}"
    case = authority.case_of(run, node, app.desk.calendar(node.question.hours))
    if not case.answers:
        return f"{said}; it is asked again"
    given = sum(one.decision == "approve" for one in case.answers)
    missing = _missing(authority.outlook(app.desk.directory, case, app.now()))
    return f"{said}: {given} of {node.question.quorum}; {missing}"


def _next(run: Run) -> str:
    return f"the run has ended: {run.status}" if run.has_ended else "the run goes on"


def _missing(outlook: authority.Outlook) -> str:
    if outlook.warning:
        return outlook.warning
    who = ", ".join(sorted(outlook.people)) or "somebody"
    return f"{outlook.needed} more needed, from: {who}"


def reminded(app: App, asked: Asked) -> str:
    """Whom a reminder went to, in words."""
    case = authority.case_of(asked.run, asked.node, app.desk.calendar(asked.question.hours))
    people = ", ".join(sorted(authority.asked(app.desk.directory, case, app.now())))
    return f"reminded {people or 'whoever operates'}"


def raise_late(app: App, asked: Asked) -> None:
    """Raises Refused with who decided, where the question is over meanwhile; for one whose word was refused."""
    row, run = app.run(str(asked.row.number))
    node = run.nodes.get(asked.node.path)
    if node is None or node.status != "asking" or node.question is None:
        tell_late(app, row, asked.node.path)


def tell_late(app: App, row: RunRow, step: str | None, *, says: str = "") -> None:
    """Raises Refused with who decided the question at *step*, or the latest that took *says*; nothing where there was none."""
    found = decided.histories(fact for _, fact in app.events(row))
    over = [
        known
        for path, known in found.items()
        if known.ended_at is not None
        and (says in known.question.choices if step is None else path == step or is_at(path, step))
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
