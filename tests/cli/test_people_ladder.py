"""The ladder on the screen: what happened, who was told and how that went, what is due, and what comes."""

from __future__ import annotations

import io
from typing import Any

from towpath.cli.views import ladder
from towpath.cli.views.lines import Screen
from towpath.core.run import Answer, Node, Question
from towpath.people.channels.contract import Notice
from towpath.people.decided import History, Told
from towpath.people.outbox import encode
from towpath.server import ladders
from towpath.store.contract import NoticeId, OwnerId, RunNumber, SendingId, SendingRow

SCREEN = Screen(stream=io.StringIO(), fixed_width=100)
MINUTE = 60_000_000
ASKED = 1_795_400_000_000_000
ME = OwnerId("me")
QUESTION = Question(
    kind="approval",
    text="Release?",
    choices=("approve", "reject"),
    who=("group:managers",),
    quorum=2,
    asked_at=ASKED,
    answer_within=240 * MINUTE,
    if_unanswered="reject",
    remind=60 * MINUTE,
    escalate=((30 * MINUTE, ("group:leads",)), (50 * MINUTE, ("oncall:platform",))),
)


def sending(why: str, number: int = 0, **different: Any) -> SendingRow:
    """A sending about the question."""
    notice = Notice(
        id=f"r1/go#0@{ASKED}!{why}{number}",
        run=1,
        run_id="r1",
        workflow="w",
        path="go",
        why=why,  # type: ignore[arg-type] # one of them
        number=number,
        at=ASKED,
    )
    values: dict[str, Any] = {
        "id": SendingId(1),
        "notice": NoticeId(notice.id),
        "run": RunNumber(1),
        "path": "go",
        "why": why,
        "at": ASKED,
        "body": encode(notice),
        "recipient": "user:ada",
        "channel": "mail",
        "address": "",
        "state": "sent",
        "owner": ME,
        "attempts": 1,
        "due_at": ASKED,
        "tried_at": ASKED,
        "ended_at": ASKED,
        "error": "",
    }
    return SendingRow(**(values | different))


def shown(node: Node, history: History, *rows: SendingRow, now: int) -> list[str]:
    """The lines, without the times at their beginning."""
    told = ladders.told_of(rows, history)
    lines = ladder.ladder_lines(node, history, told, SCREEN, calendar=None, alive=frozenset({ME}), now=now)
    return [SCREEN.text(one)[24:].strip() for one in lines]


def test_an_open_question() -> None:
    """Below each thing that people were told stands who was and who was not; a rung that is due and not told yet says so; then what comes."""
    node = Node(path="go", plan=1, status="asking", question=QUESTION, told_rungs=1)
    told = (Told(kind="rung", number=1, at=ASKED + 30 * MINUTE, to=("group:leads",)),)
    history = History(path="go", question=QUESTION, asked_at=ASKED, told=told)
    broken = {"state": "waiting", "attempts": 2, "error": "it is busy", "due_at": ASKED + 56 * MINUTE}

    found = shown(
        node,
        history,
        sending("rung", 1, recipient="to:#ops", channel="chat", **broken),
        sending("asked", recipient="user:eve", channel="", state="unreachable", error="no way to eve"),
        sending("asked"),
        sending("asked", notice=NoticeId("r1/go#0@1!asked1"), recipient="user:old"),
        now=ASKED + 55 * MINUTE,
    )

    assert found[0] == "asked group:managers"
    assert found[1].startswith("✓ ada by mail ")
    assert found[2:7] == [
        "✗ no way to eve",
        "rung 1: told group:leads",
        "… #ops by chat: attempt 2 failed, again in 1m: it is busy",
        "rung 2 is due: oncall:platform may answer, and will be told",
        "reminder 1 (in 5m): tells group:managers, group:leads, oncall:platform",
    ]
    assert found[-1] == "the time is up (in 3h), then it counts as rejected"


def test_a_decided_question() -> None:
    """All whose approvals it took stand there, and who was told how it ended; nothing is to come any more."""
    answers = tuple(
        Answer(by=f"user:{name}", decision="approve", at=ASKED + minute * MINUTE)
        for minute, name in enumerate(("ben", "cy"), 1)
    )
    history = History(
        path="go", question=QUESTION, asked_at=ASKED, answers=answers, ended_at=ASKED + 2 * MINUTE
    )
    node = Node(path="go", plan=1, status="succeeded")

    found = shown(node, history, sending("decided"), now=ASKED + 55 * MINUTE)

    assert found[:4] == [
        "asked group:managers",
        "ben: approved",
        "cy: approved",
        "decided by ben and cy: approved",
    ]
    assert found[4].startswith("✓ ada by mail ")
    assert len(found) == 5


def test_a_crowd_is_counted() -> None:
    """Of very many who were told, and who could not be told, the first are named and the others counted."""
    history = History(path="go", question=QUESTION, asked_at=ASKED, ended_at=ASKED + MINUTE, stopped="x")
    told = [sending("asked", recipient=f"user:u{number}") for number in range(20)]
    lost = [
        sending("asked", recipient=f"user:v{number}", channel="", state="unreachable") for number in range(20)
    ]

    found = " ".join(shown(Node(path="go", plan=1), history, *told, *lost, now=ASKED + 2 * MINUTE))

    assert found.count(" by mail ") == 8
    assert "and 12 more" in found
    assert "not told: v19, v18" in found
    assert found.count("and 12 more") == 2
