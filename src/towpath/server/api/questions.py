"""Questions: what waits for people, and one question with all that there is to see before an answer."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Final

from fastapi import Query
from pydantic import Field

from towpath.core.run import Node, Path, Run
from towpath.engines import summaries
from towpath.errors import NotFound
from towpath.people import authority, decided, inbox
from towpath.people.decided import History
from towpath.people.inbox import ITEMS_MAX, Inbox, Wanted
from towpath.server import asking, ladders
from towpath.server.api import finding
from towpath.server.api.told import Json, Told
from towpath.server.call import Asked, Call, target_of
from towpath.server.routing import Routes
from towpath.server.shapes import questions as shapes
from towpath.store.contract import (
    PAGE_ROWS_MAX,
    AskingRun,
    Life,
    RunNumber,
    RunRow,
    SendingFilter,
    SendingRow,
)

ROUTES = Routes(prefix="/api/v1", tag="questions")
COMING_MAX: Final = 100
"""Reminders and rungs to come that one answer tells."""


class Because(Told):
    """Why a question comes to somebody."""

    principal: str = Field(description="Behind which the person stands; empty where nobody is named.")
    how: str = Field(description="`asked`, `rung`, `handed_over` or `everybody`.")
    words: str = Field(description="The same in words.")


class Rung(Told):
    """What the ladder of a question does next."""

    kind: str = Field(description="`rung` or `reminder`.")
    number: int = Field(description="Which one, from 1.")
    at: str = Field(description="When.")
    to: list[str] = Field(description="Whom it goes to.")


class Given(Told):
    """An answer that was given."""

    by: str = Field(description="Who: `user:ada`.")
    decision: str = Field(description="The choice.")
    at: str = Field(description="When.")


class Later(Told):
    """Somebody who may answer later."""

    at: str = Field(description="From when on.")
    people: list[str] = Field(description="Names of users.")


class Item(Told):
    """An open question, as a list shows it to one person."""

    run_number: int = Field(description="The run that asks.")
    run: str = Field(description="Its id.")
    workflow: str = Field(description="Its workflow.")
    environment: str | None = Field(description="Its environment.")
    started_by: str = Field(description="Who started it.")
    path: str = Field(description="The step that asks.")
    kind: str = Field(description="`approval`, `task`, `failure`, `unknown` or `rollback`.")
    text: str = Field(description="What is asked, in one line.")
    standing: str = Field(
        description="`asked`, `held`, `answered` or `others`: where the person stands to it."
    )
    reason: str = Field(description="What stands against the person's answer; empty where nothing does.")
    because: list[Because] = Field(description="Why it comes to the person, or whom else it goes to.")
    who: list[str] = Field(description="Principals who are asked.")
    asked_at: str = Field(description="Since when.")
    until: str | None = Field(description="When silence counts; null where it never does.")
    if_unanswered: str | None = Field(description="What silence means; null: the step fails.")
    next: Rung | None = Field(description="What the ladder does next.")
    quorum: int = Field(description="Approvals that it takes.")
    needed: int = Field(description="Answers that are missing.")
    answers: list[Given] = Field(description="What was said so far.")
    mine: str | None = Field(description="What the person has said already.")
    others: list[str] = Field(description="Who else could bring it to its good end now.")
    later: list[Later] = Field(description="Who may join in when a rung is reached.")
    warning: str = Field(description="Why those who are asked cannot decide it; empty when they can.")
    claimed_by: str = Field(description="Who takes care of it; empty where nobody does.")
    handed_to: list[str] = Field(description="Whom it was handed over to.")
    comments: int = Field(description="How many comments there are.")
    choices: list[str] = Field(description="What it can be answered with.")
    fields: list[str] = Field(description="Fields of the form that an answer has to fill in.")
    commands: dict[str, str] = Field(
        description="The choices that are open to the person, and what to type for each."
    )
    digest: str = Field(description="What an answer is bound to.")
    owner_life: str | None = Field(
        description="Whether the process that drives the run is `alive`, `stopped` or `dead`."
    )


class Questions(Told):
    """What waits, the most urgent first."""

    person: str = Field(description="For whom.")
    items: list[Item] = Field(description="The questions.")
    left_out: int = Field(description="Questions beyond `limit`.")
    unlisted: dict[str, int] = Field(description="Runs that ask more than a list holds, and how much more.")


class Choice(Told):
    """One of the answers that a question takes."""

    choice: str = Field(description="The word for it.")
    refusal: str = Field(description="Why the person may not say it; empty where they may.")


class Said(Given):
    """An answer with its comment."""

    comment: str = Field(description="What was said besides.")
    via: str = Field(description="Where it was said: `cli`, `web`, `api`.")


class Comment(Told):
    """What somebody said without deciding."""

    by: str = Field(description="Who.")
    at: str = Field(description="When.")
    text: str = Field(description="What.")


class Sent(Told):
    """Somebody who was told."""

    recipient: str = Field(description="Who.")
    channel: str = Field(description="Through which channel; empty where none leads to them.")
    state: str = Field(description="What became of it: `sent`, `waiting`, `given_up`, …")
    error: str = Field(description="What went wrong.")


class Happened(Told):
    """Something that happened to a question."""

    at: str = Field(description="When.")
    text: str = Field(description="What, in words.")
    told: list[Sent] = Field(description="Who was told of it.")


class NextRung(Told):
    """Something that the ladder will do while nobody answers."""

    at: str = Field(description="When.")
    kind: str = Field(description="`reminder`, `rung` or `expiry`.")
    number: int = Field(description="Which one, from 1.")
    text: str = Field(description="What, in words.")


class Question(Told):
    """One question in full, open or over."""

    run_number: int = Field(description="The run that asks.")
    run: str = Field(description="Its id.")
    workflow: str = Field(description="Its workflow.")
    environment: str | None = Field(description="Its environment.")
    started_by: str = Field(description="Who started it.")
    path: str = Field(description="The step that asks.")
    kind: str = Field(description="`approval`, `task`, `failure`, `unknown` or `rollback`.")
    text: str = Field(description="What is asked, in full.")
    instructions: str | None = Field(description="How to do it.")
    who: list[str] = Field(description="Principals who are asked.")
    quorum: int = Field(description="Approvals that it takes.")
    four_eyes: bool = Field(
        description="Whether neither who started the run nor who edited the file may approve."
    )
    if_unanswered: str | None = Field(description="What silence means; null: the step fails.")
    send_back_to: str | None = Field(description="Where `send_back` lets the run go on from.")
    evidence: dict[str, Json] = Field(
        description="What is shown, by name; a file has `file`, `digest` and `text`."
    )
    digest: str = Field(description="What an answer is bound to: say it with `approve`, `reject` and `done`.")
    form: dict[str, Json] = Field(description="The fields of the form, declared as inputs are.")
    choices: list[Choice] = Field(description="What it can be answered with.")
    says: list[str] = Field(description="What else the person may say: `claim`, `comment`, `hand_over`, …")
    asked_at: str = Field(description="Since when.")
    is_open: bool = Field(description="Whether it can still be answered.")
    ended_at: str | None = Field(description="When it was over.")
    ending: str | None = Field(description="How it ended, in words.")
    answers: list[Said] = Field(description="What was said so far.")
    comments: list[Comment] = Field(description="What was said without deciding.")
    happened: list[Happened] = Field(description="What happened to it so far, in order.")
    coming: list[NextRung] = Field(description="What its ladder will do while nobody answers.")
    standing: Item | None = Field(description="How the person stands to it; null when it is over.")


class OfRun(Told):
    """What a run asks."""

    items: list[Item] = Field(description="The open questions, the most urgent first.")


@ROUTES.get(
    "/questions",
    permission="question.view",
    operation_id="list_questions",
)
def list_questions(
    call: Asked,
    everything: Annotated[bool, Query(description="What goes to others, too.")] = False,  # noqa: FBT002 - a query
    group: Annotated[
        str | None,
        Query(description="Only what comes through this group or rota; `*`: through any of yours."),
    ] = None,
    limit: Annotated[int, Query(ge=1, le=ITEMS_MAX, description="At most so many.")] = 100,
) -> Questions:
    """List what waits for whoever asks, the most urgent first: why, since when, until when, and what happens then."""
    found = waiting(call, Wanted(everything=everything, group=group, items_max=limit))
    return Questions(
        person=person_of(call),
        items=_items(call, found),
        left_out=found.left_out,
        unlisted={str(number): more for number, more in found.unlisted.items()},
    )


@ROUTES.get(
    "/runs/{run}/questions",
    permission="question.view",
    operation_id="list_run_questions",
)
def list_questions_of_run(call: Asked, run: str) -> OfRun:
    """List what a run asks now, with how whoever asks stands to it."""
    row = finding.find_run(call, run, "question.view")
    folded = finding.state_of(call, row)
    asked = [node for node in folded.open_leaves() if node.status == "asking"][:ITEMS_MAX]
    found = _look(call, [asking_run(row, folded, asked)] if asked else [], Wanted(everything=True))
    return OfRun(items=_items(call, found))


@ROUTES.get(
    "/runs/{run}/questions/{path:path}",
    permission="question.view",
    operation_id="show_question",
)
def get_question(call: Asked, run: str, path: str) -> Question:
    """Look at a question, open or over: its text, its evidence with the digest that an answer is bound to, its form, its ladder."""
    return Question.model_validate(shapes.question_object(see(call, run, path)))


def waiting(call: Call, wanted: Wanted) -> Inbox:
    """What waits for whoever asks, of the runs whose questions they may see."""
    return _look(call, _visible(call), wanted)


def person_of(call: Call) -> str:
    """The name of whoever asks, as questions know people."""
    found = authority.person_of(call.app.desk.directory, call.by)
    return call.by if found is None else found


def see(call: Call, name: str, path: Path) -> shapes.Seen:
    """The question at a step with everything that whoever asks may see of it; raises NotFound where none was ever asked there."""
    row = finding.find_run(call, name, "question.view")
    run = finding.state_of(call, row)
    history = decided.histories(fact for _, fact in call.app.events(row)).get(path)
    if history is None:
        raise NotFound(
            f"run {row.number} has never asked anything at {path!r}", help="GET …/questions tells where"
        )
    node = run.nodes.get(path)
    if node is not None and (node.status != "asking" or node.question is None or run.has_ended):
        node = None
    told = _told(call, row, history)
    return shapes.Seen(
        row=row,
        history=history,
        node=node,
        item=None if node is None else _item_of(call, row, run, node),
        life=_lives(call).get(row.owner) if row.is_open else None,
        refusals={} if node is None else refusals(call, row, run, node),
        past=ladders.past(history, told),
        told=told,
        coming=() if node is None else _coming(call, node, history),
    )


def refusals(call: Call, row: RunRow, run: Run, node: Node) -> Mapping[str, str]:
    """Why whoever asks may not say each of the things that may be said to a question; empty texts where they may."""
    assert node.question is not None, f"{node.path} asks nothing"
    if not call.may("question.answer", target_of(row)):
        kept_out = f"{call.by} may not answer questions here (question.answer)"
        return dict.fromkeys((*node.question.choices, *authority.SAYINGS), kept_out)
    return {
        says: asking.refusal(call.app, run, node, says=says, actor=call.by)
        for says in (*node.question.choices, *sorted(authority.SAYINGS))
    }


def asking_run(row: RunRow, run: Run, nodes: list[Node]) -> AskingRun:
    """A run with some of its open questions, as the list of them has it."""
    return AskingRun(
        number=row.number,
        id=row.id,
        workflow=row.workflow,
        kind=row.kind,
        environment=row.environment,
        started_by=row.started_by,
        owner=row.owner,
        accepted_at=row.accepted_at,
        questions=tuple(summaries.open_question(run, node) for node in nodes),
    )


def _item_of(call: Call, row: RunRow, run: Run, node: Node) -> inbox.Item | None:
    found = _look(call, [asking_run(row, run, [node])], Wanted(everything=True))
    return next(iter(found.items), None)


def _look(call: Call, runs: Iterator[AskingRun] | list[AskingRun], wanted: Wanted) -> Inbox:
    directory = call.app.desk.directory
    return inbox.look(runs, directory=directory, person=person_of(call), at=call.app.now(), wanted=wanted)


def _visible(call: Call) -> Iterator[AskingRun]:
    """Every run that asks something and whose questions whoever asks may see, page by page."""
    after: RunNumber | None = None
    while page := call.app.reader.open_questions(after=after):
        yield from (run for run in page if call.may("question.view", target_of(run)))
        if len(page) < PAGE_ROWS_MAX:
            return
        after = page[-1].number


def _items(call: Call, found: Inbox) -> list[Item]:
    lives = _lives(call) if found.items else {}
    return [
        Item.model_validate(shapes.item_object(item, life=lives.get(item.run.owner, Life.DEAD)))
        for item in found.items
    ]


def _lives(call: Call) -> Mapping[Any, Life]:  # Any: an owner's id, or None
    return {owner.id: owner.life for owner in call.app.store.owners.owners()}


def _told(call: Call, row: RunRow, history: History) -> dict[ladders.Key, list[SendingRow]]:
    """Who was told of a question, where whoever asks may see that."""
    if not call.may("outbox.view", target_of(row)):
        return {}
    where = SendingFilter(run=row.number, path=history.path, rows_max=PAGE_ROWS_MAX)
    return ladders.told_of(call.app.store.outbox.sendings(where), history)


def _coming(call: Call, node: Node, history: History) -> list[ladders.Happening]:
    calendar = call.app.desk.calendar(history.question.hours)
    return list(ladders.coming(node, history.question, calendar, now=call.app.now()))[:COMING_MAX]
