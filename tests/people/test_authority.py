"""Authority: who may say what to a question, when, and the sentence that says why not."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from people_support import BERLIN, DAY, HOUR, MINUTE, at, calendar, directory, question

from towpath.core.run import Answer
from towpath.people import Allow, Case, Deny, authority

ASKED_AT = at("2026-11-23 10:00")
NOW = ASKED_AT + 10 * MINUTE
PEOPLE: dict[str, Any] = {
    "users": {
        "anna": {"email": "anna@example.org"},
        "ben": {"email": "ben@example.org"},
        "carl": {},
        "dora": {"absences": [{"from": "2026-11-20", "until": "2026-11-30", "deputy": "user:carl"}]},
        "emil": {},
    },
    "groups": {"managers": ["user:anna", "user:ben"], "leads": ["user:carl"]},
    "on_call": {
        "platform": {
            "time_zone": BERLIN,
            "rotations": [
                {
                    "people": ["user:ben", "user:emil"],
                    "every": "1d",
                    "handover": "12:00",
                    "start": "2026-11-22",
                }
            ],
        }
    },
}
FULL = directory(PEOPLE)
BARE = directory()
OIDC = directory({"provider": "oidc"})
ESCALATED = ((HOUR, ("group:leads",)),)


def case(**keys: Any) -> Case:
    """A case; fields of its question stand among its own."""
    own = {name: keys.pop(name) for name in list(keys) if name in Case.__dataclass_fields__}
    return Case(question=question(**{"asked_at": ASKED_AT, "four_eyes": True, **keys}), **own)


def answer(by: str, decision: str = "approve") -> Answer:
    """An answer, given a minute after the question."""
    return Answer(by=by, decision=decision, at=ASKED_AT + MINUTE)


TASK: dict[str, Any] = {"kind": "task", "choices": ("done", "failed"), "four_eyes": False}
FAILURE: dict[str, Any] = {
    "kind": "failure",
    "choices": ("retry", "skip", "rollback", "stop"),
    "who": (),
    "four_eyes": False,
}
ALLOWED: dict[str, tuple[dict[str, Any], str, str]] = {
    "a member approves": ({}, "user:anna", "approve"),
    "a member without the word user": ({}, "anna", "approve"),
    "a member by the address": ({}, "anna@example.org", "approve"),
    "a member of a rung": ({"escalate": ((MINUTE, ("group:leads",)),)}, "user:carl", "approve"),
    "a rung that was told although its time has moved": (
        {"escalate": ESCALATED, "told_rungs": 1},
        "user:carl",
        "approve",
    ),
    "who has the shift": ({"who": ("oncall:platform",)}, "user:ben", "approve"),
    "a deputy": ({"who": ("user:dora",)}, "user:carl", "approve"),
    "handed over to a user": ({"handed_to": ("emil",)}, "user:emil", "approve"),
    "handed over to a group": ({"handed_to": ("group:leads",)}, "user:carl", "approve"),
    "the starter rejects": ({"started_by": "user:anna"}, "user:anna", "reject"),
    "the editor rejects": ({"edited_by": "anna@example.org"}, "user:anna", "reject"),
    "the starter approves where one pair of eyes is enough": (
        {"started_by": "user:anna", "four_eyes": False},
        "user:anna",
        "approve",
    ),
    "somebody else approves": (
        {"started_by": "user:ben", "edited_by": "carl@example.org"},
        "user:anna",
        "approve",
    ),
    "the second approval": ({"quorum": 2, "answers": (answer("user:ben"),)}, "user:anna", "approve"),
    "who claimed it": ({"claimed_by": "user:anna"}, "user:anna", "approve"),
    "a claim of somebody who is away holds nobody up": ({"claimed_by": "user:dora"}, "user:anna", "approve"),
    "a claim of somebody who has left": ({"claimed_by": "user:zed"}, "user:anna", "approve"),
    "a claim": ({}, "user:anna", "claim"),
    "a claim is taken over": ({"claimed_by": "user:ben"}, "user:anna", "take_over"),
    "a claim is released": ({"claimed_by": "user:anna"}, "user:anna", "release"),
    "a comment beside a claim": ({"claimed_by": "user:ben"}, "user:anna", "comment"),
    "a comment by one who was not asked": ({}, "user:emil", "comment"),
    "a reminder by the starter": ({"started_by": "user:emil"}, "user:emil", "remind"),
    "handing over": ({}, "user:anna", "hand_over"),
    "taking an answer back": ({"quorum": 2, "answers": (answer("user:anna"),)}, "user:anna", "withdraw"),
    "taking it back after leaving the group": (
        {"quorum": 2, "answers": (answer("user:emil"),)},
        "user:emil",
        "withdraw",
    ),
    "a task": (TASK, "user:anna", "done"),
    "a task that an earlier answer left open": (
        {**TASK, "answers": (answer("user:anna", "failed"),)},
        "user:anna",
        "done",
    ),
    "a failure is settled by anybody of the project": (FAILURE, "user:emil", "retry"),
}


@pytest.mark.parametrize(("keys", "by", "says"), ALLOWED.values(), ids=ALLOWED.keys())
def test_what_is_allowed(keys: dict[str, Any], by: str, says: str) -> None:
    """Whoever is asked now, by whatever way, may say it."""
    assert Allow() == authority.judge(FULL, case(**keys), by=by, says=says, at=NOW)


DENIED: dict[str, tuple[dict[str, Any], str, str, str]] = {
    "not a member": (
        {},
        "user:emil",
        "approve",
        (
            "emil is not asked: the question goes to group:managers (now anna and ben),"
            " and emil does not belong to group:managers"
        ),
    ),
    "not a person": (
        {},
        "trigger:github",
        "approve",
        "'trigger:github' is not a person, and only people answer questions",
    ),
    "no name at all": ({}, "user:", "approve", "'user:' is not a person, and only people answer questions"),
    "a rung that is not reached": (
        {"escalate": ESCALATED},
        "user:carl",
        "approve",
        (
            "carl is not asked: the question goes to group:managers (now anna and ben),"
            " and carl does not belong to group:managers"
        ),
    ),
    "off shift": (
        {"who": ("oncall:platform",)},
        "user:emil",
        "approve",
        "emil is not asked: the question goes to oncall:platform (now ben), and emil is not on call for platform now: ben is",
    ),
    "away": (
        {"who": ("user:dora",)},
        "user:dora",
        "approve",
        (
            "dora is not asked: the question goes to user:dora (now carl),"
            " and dora is away until Tue 2026-12-01 00:00 UTC; user:carl is asked instead"
        ),
    ),
    "unknown": (
        {},
        "user:zed",
        "approve",
        "zed is not asked: the question goes to group:managers (now anna and ben), and the project knows nobody called zed",
    ),
    "a group that is gone": (
        {"who": ("group:gone",)},
        "user:anna",
        "approve",
        "anna is not asked: the question goes to group:gone (nobody at present), and anna does not belong to group:gone",
    ),
    "the starter": (
        {"started_by": "user:anna"},
        "user:anna",
        "approve",
        "anna started the run and may not approve it (four_eyes)",
    ),
    "the starter by the address": (
        {"started_by": "user:anna"},
        "anna@example.org",
        "approve",
        "anna started the run and may not approve it (four_eyes)",
    ),
    "the editor": (
        {"edited_by": "anna"},
        "user:anna",
        "approve",
        "anna last edited the workflow, and may not approve it (four_eyes)",
    ),
    "the editor by the address": (
        {"edited_by": "Anna <ANNA@example.org>"},
        "user:anna",
        "approve",
        "anna last edited the workflow, as Anna <ANNA@example.org>, and may not approve it (four_eyes)",
    ),
    "the editor by an address that the file does not have": (
        {"edited_by": "carl@laptop.local", "who": ("user:carl",)},
        "user:carl",
        "approve",
        "carl last edited the workflow, as carl@laptop.local, and may not approve it (four_eyes)",
    ),
    "a claim by the starter, which would only be in the way": (
        {"started_by": "user:anna"},
        "user:anna",
        "claim",
        "anna started the run and may not approve it (four_eyes)",
    ),
    "a second answer": (
        {"quorum": 2, "answers": (answer("user:anna"),)},
        "user:anna",
        "reject",
        "anna has answered it already: approve",
    ),
    "a second answer by the address": (
        {"quorum": 2, "answers": (answer("user:anna"),)},
        "anna@example.org",
        "approve",
        "anna has answered it already: approve",
    ),
    "nothing to take back": (
        {},
        "user:anna",
        "withdraw",
        "anna has not answered it, so there is nothing to take back",
    ),
    "claimed": (
        {"claimed_by": "user:ben"},
        "user:anna",
        "approve",
        "ben has claimed it and takes care of it",
    ),
    "claimed, and claimed again": (
        {"claimed_by": "user:ben"},
        "user:anna",
        "claim",
        "ben has claimed it and takes care of it",
    ),
    "handed over by another than the claimer": (
        {"claimed_by": "user:ben"},
        "user:anna",
        "hand_over",
        "ben has claimed it and takes care of it",
    ),
    "taking over without being asked": (
        {"claimed_by": "user:ben"},
        "user:emil",
        "take_over",
        (
            "emil is not asked: the question goes to group:managers (now anna and ben),"
            " and emil does not belong to group:managers"
        ),
    ),
    "handing over without being asked": (
        {},
        "user:emil",
        "hand_over",
        (
            "emil is not asked: the question goes to group:managers (now anna and ben),"
            " and emil does not belong to group:managers"
        ),
    ),
    "nothing to release": (
        {},
        "user:anna",
        "release",
        "anna has not claimed it, so there is nothing to release",
    ),
    "a comment by a stranger": ({}, "user:zed", "comment", "the project knows nobody called zed"),
    "a failure and a stranger": (FAILURE, "user:zed", "retry", "the project knows nobody called zed"),
    "no such choice": ({}, "user:anna", "maybe", "this question cannot be answered with 'maybe'"),
    "decided": (
        {"is_open": False, "answers": (answer("user:ben"),)},
        "user:anna",
        "approve",
        "ben has decided it: approve, Mon 2026-11-23 09:01 UTC",
    ),
    "sent back": (
        {"is_open": False, "quorum": 2, "answers": (answer("user:ben", "send_back"),)},
        "user:anna",
        "approve",
        "ben has decided it: send back, Mon 2026-11-23 09:01 UTC",
    ),
    "ended by silence": (
        {"is_open": False, "quorum": 2, "answers": (answer("user:ben"),)},
        "user:anna",
        "approve",
        "the question is not open any more: it ended without a decision of people",
    ),
}


@pytest.mark.parametrize(("keys", "by", "says", "reason"), DENIED.values(), ids=DENIED.keys())
def test_what_is_denied(keys: dict[str, Any], by: str, says: str, reason: str) -> None:
    """What is not allowed is denied with a sentence that the person can do something with."""
    verdict = authority.judge(FULL, case(**keys), by=by, says=says, at=NOW)

    assert isinstance(verdict, Deny)
    assert reason == verdict.reason


@pytest.mark.parametrize(
    ("minutes", "kept", "expected"),
    [
        (59, None, False),
        (60, None, True),
        (60, calendar(time_zone=BERLIN, hours={"mon-fri": "12:00-17:00"}), False),
        (3 * 60, calendar(time_zone=BERLIN, hours={"mon-fri": "12:00-17:00"}), True),
    ],
)
def test_a_rung_counts_from_its_time_on(minutes: int, kept: Any, expected: bool) -> None:
    """A rung's people may answer from the moment of the rung, in the hours of the question."""
    verdict = authority.judge(
        FULL,
        case(escalate=ESCALATED, calendar=kept),
        by="user:carl",
        says="approve",
        at=ASKED_AT + minutes * MINUTE,
    )

    assert expected is isinstance(verdict, Allow)


def test_the_shift_is_that_of_the_answer() -> None:
    """Whoever has the shift when the answer comes may give it, not who had it when the question was asked."""
    asked = case(who=("oncall:platform",))
    verdicts = [
        [
            isinstance(authority.judge(FULL, asked, by=by, says="approve", at=moment), Allow)
            for by in ("user:ben", "user:emil")
        ]
        for moment in (at("2026-11-23 11:59"), at("2026-11-23 12:00"))
    ]

    assert verdicts == [[True, False], [False, True]]


class TestWithoutPeople:
    """A project whose file names no people."""

    @pytest.mark.parametrize(("by", "expected"), [("user:anna", True), ("anna", True), ("user:ben", False)])
    def test_who_is_named_may_answer(self, by: str, expected: bool) -> None:
        """Who is named answers as that name, and nobody else does."""
        verdict = authority.judge(BARE, case(who=("user:anna",)), by=by, says="approve", at=NOW)

        assert expected is isinstance(verdict, Allow)

    def test_a_group_is_nobody(self) -> None:
        """A group that no file describes is not everybody."""
        verdict = authority.judge(BARE, case(), by="user:anna", says="approve", at=NOW)

        assert isinstance(verdict, Deny)

    def test_a_failure_is_everybodys(self) -> None:
        """A question that names nobody goes to whoever comes."""
        assert Allow() == authority.judge(BARE, case(**FAILURE), by="user:anna", says="skip", at=NOW)

    def test_the_editor_is_known_by_the_name_before_the_at(self) -> None:
        """Without a directory, an address is taken for the person of that name: four eyes rather doubt."""
        edited = case(who=("user:anna",), edited_by="anna@laptop.local")

        assert isinstance(authority.judge(BARE, edited, by="user:anna", says="approve", at=NOW), Deny)


@pytest.mark.parametrize(
    ("groups", "expected"),
    [(("managers",), True), (("others", "managers"), True), ((), False), (("others",), False)],
)
def test_an_identity_provider_vouches_for_groups(groups: tuple[str, ...], expected: bool) -> None:
    """A group that the file does not have counts when the sign-in brings it."""
    verdict = authority.judge(OIDC, case(), by="user:anna", says="approve", at=NOW, groups=groups)

    assert expected is isinstance(verdict, Allow)


def test_groups_of_a_sign_in_count_only_with_a_provider() -> None:
    """In a project whose file says who there is, nobody brings a group along."""
    verdict = authority.judge(FULL, case(), by="user:emil", says="approve", at=NOW, groups=["managers"])

    assert isinstance(verdict, Deny)


OUTLOOKS: dict[str, tuple[dict[str, Any], set[str], int, str]] = {
    "plain": ({}, {"anna", "ben"}, 1, ""),
    "a quorum of two": ({"quorum": 2}, {"anna", "ben"}, 2, ""),
    "one approval is there": ({"quorum": 2, "answers": (answer("user:ben"),)}, {"anna"}, 1, ""),
    "somebody takes care of it": ({"claimed_by": "user:ben"}, {"ben"}, 1, ""),
    "somebody takes care of the first of two": ({"quorum": 2, "claimed_by": "user:ben"}, {"ben"}, 2, ""),
    "who took care of it has answered": (
        {"quorum": 2, "claimed_by": "user:ben", "answers": (answer("user:ben"),)},
        {"anna"},
        1,
        "",
    ),
    "who took care of it is away": (
        {**TASK, "who": ("user:anna",), "claimed_by": "user:dora"},
        {"anna"},
        1,
        "",
    ),
    "a task": (TASK, {"anna", "ben"}, 1, ""),
    "a failure": (FAILURE, {"anna", "ben", "carl", "emil"}, 1, ""),
    "the starter does not count": (
        {"quorum": 2, "started_by": "user:ben"},
        {"anna"},
        2,
        (
            "2 more approvals are needed, and only anna can approve it"
            " (ben started the run and may not approve it (four_eyes))"
        ),
    ),
    "until a rung is reached": (
        {"quorum": 2, "edited_by": "ben", "escalate": ESCALATED},
        {"anna"},
        2,
        (
            "2 more approvals are needed, and only anna can approve it"
            " (ben last edited the workflow, and may not approve it (four_eyes));"
            " from Mon 2026-11-23 10:00 UTC also carl"
        ),
    ),
    "nobody at all": (
        {"who": ("group:gone",)},
        set(),
        1,
        (
            "nobody who is asked now can approve it (the project has no group 'gone':"
            " add it to towpath.yaml under people: groups:)"
        ),
    ),
    "a task for nobody": (
        {**TASK, "who": ("user:zed",)},
        set(),
        1,
        "nobody who is asked now can answer it (the project has no person 'zed')",
    ),
}


@pytest.mark.parametrize(("keys", "people", "needed", "warning"), OUTLOOKS.values(), ids=OUTLOOKS.keys())
def test_who_could_still_decide(keys: dict[str, Any], people: set[str], needed: int, warning: str) -> None:
    """The outlook counts who may still say yes, and warns with the reason where they are too few."""
    found = authority.outlook(FULL, case(**keys), NOW)

    assert (frozenset(people), needed, warning) == (found.people, found.needed, found.warning)


def test_who_joins_in_later() -> None:
    """People of coming rungs are told with their time: the shift is that of the rung, not of today."""
    asked = case(escalate=((HOUR, ("group:leads", "user:anna")), (DAY, ("oncall:platform",))))
    found = authority.outlook(FULL, asked, NOW)

    assert [(ASKED_AT + HOUR, frozenset({"carl"})), (ASKED_AT + DAY, frozenset({"emil"}))] == [
        (each.at, each.people) for each in found.later if each.people != {"ben"}
    ]


@pytest.mark.parametrize(
    ("made", "keys", "is_anybody"), [(BARE, FAILURE, True), (FULL, FAILURE, False), (OIDC, {}, False)]
)
def test_when_nothing_can_be_said_nobody_is_warned(made: Any, keys: dict[str, Any], is_anybody: bool) -> None:
    """Where anybody may answer, or only the identity provider knows who, there is no warning."""
    found = authority.outlook(made, case(**keys), NOW)

    assert (is_anybody, "") == (found.is_anybody, found.warning)


NAMES = ("anna", "ben", "carl", "dora", "emil")


@given(
    st.sampled_from(NAMES),
    st.sampled_from(["", *NAMES, *(f"{name}@example.org" for name in NAMES)]),
    st.sampled_from(["", *(f"user:{name}" for name in NAMES)]),
    st.lists(
        st.sampled_from(["group:managers", "group:leads", "user:dora", "user:emil"]), min_size=1, max_size=3
    ),
    st.lists(st.sampled_from(NAMES), max_size=2, unique=True),
    st.sampled_from(["", *NAMES]),
)
def test_the_outlook_and_the_verdict_agree(
    by: str, editor: str, starter: str, who: list[str], answered: list[str], claimer: str
) -> None:
    """Whom the outlook counts may approve, and nobody else; who started, edited or has answered never may."""
    asked = case(
        who=tuple(who),
        quorum=5,
        edited_by=editor,
        started_by=starter,
        answers=tuple(answer(f"user:{name}") for name in answered),
        claimed_by=claimer and f"user:{claimer}",
    )
    allowed = isinstance(authority.judge(FULL, asked, by=f"user:{by}", says="approve", at=NOW), Allow)
    counted = by in authority.outlook(FULL, asked, NOW).people

    assert allowed == counted
    assert not (allowed and by in (editor.partition("@")[0], starter.removeprefix("user:"), *answered))
