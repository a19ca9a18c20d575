"""Sendings, as people look at them: what, whom, whether it went wrong, and what can be done about it."""

from __future__ import annotations

from typing import Any

import pytest
from outbox_support import NOW, notice

from towpath.people import sendings
from towpath.people.outbox import encode
from towpath.store.contract import NoticeId, OwnerId, RunNumber, SendingId, SendingRow

ME = OwnerId("me")
ALIVE = frozenset({ME})


def row(**different: Any) -> SendingRow:
    """A sending of the question that ada is asked."""
    told = notice()
    values: dict[str, Any] = {
        "id": SendingId(1),
        "notice": NoticeId(told.id),
        "run": RunNumber(12),
        "path": "go_live",
        "why": "asked",
        "at": NOW,
        "body": encode(told),
        "recipient": "user:ada",
        "channel": "mail",
        "address": "ada@example.com",
        "state": "sent",
        "owner": ME,
        "attempts": 1,
        "due_at": NOW,
        "tried_at": NOW,
        "ended_at": NOW,
        "error": "",
    }
    return SendingRow(**(values | different))


@pytest.mark.parametrize(
    ("recipient", "channel", "expected"),
    [
        ("user:ada", "mail", "ada"),
        ("to:#ops", "chat", "#ops"),
        ("to:", "hook", "hook"),
        ("user:", "", "nobody"),
    ],
)
def test_whom_a_sending_is_for(recipient: str, channel: str, expected: str) -> None:
    """A person by name, a place by its name, and a channel that leads to one by itself by its own."""
    assert sendings.whom(row(recipient=recipient, channel=channel)) == expected


@pytest.mark.parametrize(
    ("why", "number", "expected"),
    [
        ("asked", 0, "asked"),
        ("rung", 2, "rung 2"),
        ("reminder", 3, "reminder 3"),
        ("handed_over", 1, "handed over"),
    ],
)
def test_what_a_sending_says(why: str, number: int, expected: str) -> None:
    """Reminders and rungs are told apart by their number."""
    assert sendings.what(row(why=why, body=encode(notice(why=why, number=number)))) == expected


def test_a_sending_that_cannot_be_read_is_listed_all_the_same() -> None:
    """A damaged notice keeps nobody from looking at the outbox."""
    damaged = row(body=b"{")

    assert (sendings.notice_of(damaged), sendings.what(damaged)) == (None, "asked")


@pytest.mark.parametrize(
    ("different", "is_failing", "is_left"),
    [
        ({}, False, False),
        ({"state": "recalled"}, False, False),
        ({"state": "waiting", "attempts": 0}, False, False),
        ({"state": "waiting", "attempts": 2}, True, False),
        ({"state": "waiting", "attempts": 0, "owner": OwnerId("gone")}, True, True),
        ({"state": "waiting", "attempts": 0, "owner": None}, True, True),
        ({"state": "sending", "owner": OwnerId("gone")}, True, True),
        ({"state": "sending"}, False, False),
        ({"state": "given_up"}, True, False),
        ({"state": "unreachable", "owner": OwnerId("gone")}, True, False),
    ],
)
def test_what_has_failed(different: dict[str, Any], is_failing: bool, is_left: bool) -> None:
    """What failed, found no way, or was left by a process that is gone needs somebody; what waits for its first attempt does not."""
    one = row(**different)

    assert (sendings.is_failing(one, ALIVE), sendings.is_left(one, ALIVE)) == (is_failing, is_left)


@pytest.mark.parametrize(
    ("different", "is_asked", "is_known", "expected"),
    [
        ({"state": "given_up"}, True, True, "again"),
        ({"state": "waiting", "attempts": 3}, True, True, "again"),
        ({"state": "given_up"}, False, True, "over"),
        ({"state": "given_up", "why": "decided"}, False, True, "again"),
        ({"state": "unreachable"}, True, False, "anew"),
        ({"state": "unreachable"}, True, True, "partly"),
        ({"state": "unreachable"}, False, False, "over"),
        ({"state": "recalled", "why": "decided"}, False, True, "over"),
        ({"state": "sent"}, True, True, "told"),
    ],
)
def test_what_can_be_done(
    different: dict[str, Any], is_asked: bool, is_known: bool, expected: sendings.How
) -> None:
    """Nobody is called to a question that is over; how it ended is told however late; a way is looked for where there was none."""
    found = sendings.trying([row(**different)], is_asked=lambda _: is_asked, is_known=lambda _: is_known)

    assert [one.how for one in found] == [expected]
