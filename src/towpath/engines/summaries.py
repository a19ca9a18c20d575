"""What lists show of a run: its status, what it waits for in one line, and what it asks people.

The open questions of all runs can be listed without folding a single run: they stand in the rows of the list, and a change that
touches a question brings a new row in the same transaction.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Mapping

import msgspec

from towpath.core import events
from towpath.core.gates import WINDOW_PREFIX
from towpath.core.run import ROOT, Answer, Awaited, Json, Micros, Node, Path, Run, is_within
from towpath.store.contract import QUESTIONS_LISTED_MAX, OpenQuestion, Summary

WAITING_FOR_CHARS_MAX = 200
QUESTION_CHARS_MAX = 200
"""Of a question's text."""


def summary_of(run: Run, since: Micros) -> Summary:
    """The row that lists show; *since* is when the run came to its present status."""
    root = run.nodes.get(ROOT)
    started_at = root.started_at if root is not None and run.state != "queued" else None
    if run.has_ended:
        message = run.message or (run.error.message if run.error is not None else None)
        return Summary(
            status=run.status,
            started_at=started_at,
            ended_at=run.ended_at,
            outcome=run.outcome,
            message=message,
        )
    questions, more = open_questions(run)
    if run.status == "running":
        return Summary(status="running", started_at=started_at, questions=questions, questions_more=more)
    return Summary(
        status=run.status,
        waiting_for=waiting_reason(run),
        waiting_since=since,
        started_at=started_at,
        questions=questions,
        questions_more=more,
    )


def touches_questions(before: Run, facts: Iterable[events.AnyEvent]) -> bool:
    """Whether facts open, change or close a question, so that the row for the lists is not true any more."""
    for fact in facts:
        kind = type(fact)
        if kind in _ABOUT_QUESTIONS:
            return True
        if kind in _ENDS and _is_asking(before.nodes, fact.path):  # type: ignore[union-attr] # those two have one
            return True
    return False


def closed_questions(before: Run, after: Run, facts: Iterable[events.AnyEvent]) -> list[Path]:
    """Where something was asked in *before* that is decided, or needs no answer any more, since *facts*."""
    named: dict[Path, None] = {}
    for fact in facts:
        kind = type(fact)
        if kind is events.StepsReset:
            above = fact.paths  # type: ignore[union-attr] # it has them
            named.update((path, None) for path in before.leaves if any(is_within(path, one) for one in above))
        elif kind in _MAY_CLOSE:
            named[fact.path] = None  # type: ignore[union-attr] # those have one
    return [path for path in named if _is_asking(before.nodes, path) and _is_over(before, after, path)]


def _is_over(before: Run, after: Run, path: Path) -> bool:
    if not _is_asking(after.nodes, path):
        return True
    was, is_ = before.nodes[path].question, after.nodes[path].question
    return was is not None and is_ is not None and was.asked_at != is_.asked_at


def open_questions(run: Run) -> tuple[tuple[OpenQuestion, ...], int]:
    """What people are asked, the oldest question first, and how many more there are than are listed."""
    asking = [node for path in run.leaves if (node := run.nodes[path]).status == "asking"]
    listed = heapq.nsmallest(QUESTIONS_LISTED_MAX, asking, key=_age)
    return tuple(open_question(run, node) for node in listed), len(asking) - len(listed)


def waiting_reason(run: Run) -> str:
    """Why the run waits: the first open leaf's reason, and how many more there are."""
    if run.state == "queued":
        return f"a place in the concurrency group {run.group!r}"
    leaves = [run.nodes[path] for path in run.leaves]
    # What is held at a gate waits for what the gate waits for.
    leaves = [leaf for leaf in leaves if not _is_held(leaf)] or leaves
    if not leaves:
        return ""
    first = leaf_reason(leaves[0])
    more = f" (and {len(leaves) - 1} more)" if len(leaves) > 1 else ""
    return first[: WAITING_FOR_CHARS_MAX - len(more)] + more


def leaf_reason(node: Node) -> str:
    """Why one open leaf waits."""
    match node.status:
        case "asking" if node.question is not None:
            return f"{node.path}: {node.question.text}"
        case "retrying":
            return f"{node.path}: the retry of attempt {node.attempt}"
        case "waiting" if node.awaited is not None:
            return f"{node.path}: {awaited_in_words(node.awaited)}"
        case _:
            return f"{node.path}: its attempt"


def awaited_in_words(awaited: Awaited) -> str:
    """What a step waits for, without since when and until when."""
    match awaited.kind:
        case "time":
            return "time"
        case "place":
            return f"a place in {awaited.name}"
        case "environment":
            return f"the gate of {awaited.name}"
        case "window" if awaited.name.startswith(WINDOW_PREFIX):
            return f"the window of {awaited.name.removeprefix(WINDOW_PREFIX)} (change scheduled)"
        case "window":
            return f"the window {awaited.name} (change scheduled)"
        case kind:
            return f"the {kind} {awaited.name}"


def _is_held(node: Node) -> bool:
    return node.awaited is not None and node.awaited.kind == "environment"


_ABOUT_QUESTIONS: frozenset[type] = frozenset(
    {
        events.PeopleAsked,
        events.AnswerGiven,
        events.AnswerWithdrawn,
        events.AnswersVoided,
        events.EvidenceShown,
        events.QuestionClaimed,
        events.ClaimReleased,
        events.QuestionHandedOver,
        events.CommentAdded,
        events.PeopleTold,
    }
)
_ENDS: frozenset[type] = frozenset({events.StepEnded, events.BodyEnded, events.WaitStarted})
_MAY_CLOSE: frozenset[type] = _ENDS | {events.AnswerGiven}


def _is_asking(nodes: Mapping[Path, Node], path: Path) -> bool:
    node = nodes.get(path)
    return node is not None and node.status == "asking"


def _age(node: Node) -> tuple[Micros, Path]:
    return (0 if node.question is None else node.question.asked_at) or node.started_at, node.path


def open_question(run: Run, node: Node) -> OpenQuestion:
    """What a node asks, as the lists show it."""
    question = node.question
    assert question is not None, f"{node.path} asks nothing"
    # What a failure, an unknown outcome or a failed rollback asks had no moment of its own in older journals.
    asked_at = question.asked_at or node.started_at
    return OpenQuestion(
        path=node.path,
        question=msgspec.structs.replace(
            question,
            asked_at=asked_at,
            text=_one_line(question.text),
            instructions=None,
            evidence={},
            form={},
            files={},
        ),
        fields=tuple(name for name, field in question.form.items() if _is_wanted(field)),
        edited_by=run.edited_by,
        answers=tuple(
            Answer(by=answer.by, decision=answer.decision, at=answer.at) for answer in node.answers
        ),
        claimed_by=node.claimed_by,
        handed_to=node.handed_to,
        told_reminders=node.told_reminders,
        told_rungs=node.told_rungs,
        comments=len(node.comments),
    )


def _is_wanted(field: Json) -> bool:
    """Whether an answer has to fill in a field of the form."""
    return isinstance(field, Mapping) and "default" not in field and field.get("required") is not False


def _one_line(text: str) -> str:
    line = next((line.strip() for line in text.splitlines() if line.strip()), "")
    return line if len(line) <= QUESTION_CHARS_MAX else f"{line[: QUESTION_CHARS_MAX - 1]}…"
