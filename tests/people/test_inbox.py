"""The inbox: what waits for whom, why, until when, who else could, and what to type."""

from __future__ import annotations

from typing import Any

import pytest
from people_support import BERLIN, HOUR, MINUTE, at, question

from towpath.core.run import Answer, RunId
from towpath.definition.project import ProjectFile
from towpath.people import Directory, Rung, choices, inbox
from towpath.people.inbox import Because, Inbox, Item, Wanted
from towpath.store.contract import AskingRun, OpenQuestion, RunNumber

ASKED_AT = at("2026-11-23 10:00")
NOW = ASKED_AT + 10 * MINUTE
PROJECT = ProjectFile.model_validate(
    {
        "people": {
            "users": {
                "anna": {},
                "ben": {},
                "carl": {},
                "dora": {"absences": [{"from": "2026-11-20", "until": "2026-11-30", "deputy": "user:carl"}]},
                "emil": {"email": "emil@example.org"},
            },
            "groups": {"managers": ["user:anna", "user:ben"], "leads": ["user:carl"]},
            "on_call": {"platform": {"time_zone": BERLIN, "rotations": [{"people": ["user:ben"]}]}},
        },
        "calendars": {"office": {"time_zone": BERLIN, "hours": {"mon-fri": "09:00-17:00"}}},
    }
)
DIRECTORY = Directory(PROJECT)
LADDER = ((HOUR, ("group:leads",)), (2 * HOUR, ("oncall:platform",)))
FAILURE: dict[str, Any] = {"kind": "failure", "who": (), "choices": ("retry", "skip", "rollback", "stop")}


def asking(number: int = 1, *questions: OpenQuestion, more: int = 0, **run: Any) -> AskingRun:
    """An open run that asks these questions."""
    given: dict[str, Any] = {"started_by": "user:emil", "environment": None, "workflow": "shop", **run}
    return AskingRun(
        number=RunNumber(number),
        id=RunId(f"r{number}"),
        kind="task",
        owner=None,
        accepted_at=ASKED_AT,
        questions=questions,
        questions_more=more,
        **given,
    )


def asked(path: str = "go", **keys: Any) -> OpenQuestion:
    """An open question; what is not one of its own fields is one of `Question`."""
    own = {name: keys.pop(name) for name in list(keys) if name in OpenQuestion.__struct_fields__}
    return OpenQuestion(path=path, question=question(**{"asked_at": ASKED_AT, **keys}), **own)


def look(person: str, *runs: AskingRun, now: int = NOW, **wanted: Any) -> Inbox:
    """The inbox of a person."""
    return inbox.look(runs, directory=DIRECTORY, person=person, at=now, wanted=Wanted(**wanted))


def only(person: str, open_question: OpenQuestion, *, now: int = NOW, **run: Any) -> Item:
    """The one question as a person sees it who looks at everything."""
    (item,) = look(person, asking(1, open_question, **run), now=now, everything=True).items
    return item


@pytest.mark.parametrize(
    ("person", "keys", "expected", "words"),
    [
        ("anna", {}, Because("group:managers", "asked"), "group:managers"),
        ("anna", {"who": ("user:anna",)}, Because("user:anna", "asked"), "user:anna"),
        ("ben", {"who": ("oncall:platform",)}, Because("oncall:platform", "asked"), "oncall:platform"),
        ("carl", {"who": ("user:dora",)}, Because("user:dora", "asked", 0, "dora"), "instead of dora"),
        (
            "carl",
            {"escalate": LADDER, "told_rungs": 1},
            Because("group:leads", "rung", 1),
            "rung 1: group:leads",
        ),
        (
            "carl",
            {"handed_to": ("user:carl",)},
            Because("user:carl", "handed_over"),
            "handed over to user:carl",
        ),
        ("emil", FAILURE, Because("", "everybody"), "whoever operates (nobody is named)"),
    ],
)
def test_a_question_says_why_it_comes_to_a_person(
    person: str, keys: dict[str, Any], expected: Because, words: str
) -> None:
    """Groups, rotas, deputies, rungs and hand-overs each bring a question, and are named."""
    item = only(person, asked(**keys), started_by="user:anna" if person == "emil" else "user:emil")

    assert (item.standing, item.because, item.because[0].words) == ("asked", (expected,), words)


def test_whoever_belongs_to_several_is_told_all_of_them() -> None:
    """A person who is asked by name and through two principals reads all three reasons, and no other."""
    question_to_all = asked(who=("user:ben", "group:managers", "group:leads", "oncall:platform"))

    found = only("ben", question_to_all)

    assert [each.principal for each in found.because] == ["user:ben", "group:managers", "oncall:platform"]


@pytest.mark.parametrize(
    ("person", "keys", "standing", "reason"),
    [
        ("anna", {}, "asked", ""),
        ("carl", {}, "others", ""),
        ("carl", {"escalate": LADDER}, "others", ""),
        ("carl", {"escalate": LADDER, "asked_at": ASKED_AT - HOUR}, "asked", ""),
        (
            "anna",
            {"answers": (Answer(by="user:anna", decision="approve", at=NOW),), "quorum": 2},
            "answered",
            "",
        ),
        (
            "anna",
            {"four_eyes": True, "edited_by": "anna"},
            "held",
            "anna last edited the workflow, and may not approve it (four_eyes)",
        ),
        ("anna", {"claimed_by": "user:ben"}, "held", "ben has claimed it and takes care of it"),
        ("ben", {"claimed_by": "user:ben"}, "asked", ""),
        ("dora", {"who": ("user:dora",)}, "others", ""),
        ("emil", FAILURE, "asked", ""),
        ("zoe", FAILURE, "others", "the project knows nobody called zoe"),
    ],
)
def test_where_a_person_stands(person: str, keys: dict[str, Any], standing: str, reason: str) -> None:
    """Whoever is asked sees whether the answer is open to them, given already, or barred, with the reason."""
    found = only(person, asked(**keys))

    assert (found.standing, found.reason) == (standing, reason)


def test_four_eyes_leave_the_rejection_open() -> None:
    """Who started the run may not approve it, is told so, and is offered what they may do."""
    found = only(
        "anna",
        asked(four_eyes=True, choices=("approve", "reject", "send_back")),
        started_by="user:anna",
    )

    assert found.standing == "held"
    assert [command.choice for command in found.commands] == ["reject", "send_back"]


def test_others_are_seen_only_by_who_looks_at_everything() -> None:
    """A question to other people stays out of the inbox, and an answer of one's own keeps it in."""
    waiting = asking(1, asked("mine"), asked("theirs", who=("group:leads",)))

    assert [item.path for item in look("anna", waiting).items] == ["mine"]
    assert [item.path for item in look("anna", waiting, everything=True).items] == ["mine", "theirs"]


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        ({"group": "*"}, ["by_group", "by_rota"]),
        ({"group": "managers"}, ["by_group"]),
        ({"group": "oncall:platform"}, ["by_rota"]),
        ({"group": "platform"}, ["by_rota"]),
        ({"group": "leads"}, ["by_others"]),
        ({"run": 2}, []),
    ],
)
def test_a_group_can_be_looked_at_alone(wanted: dict[str, Any], expected: list[str]) -> None:
    """`--group` leaves what comes by name; with a name it shows what goes to that one, one's own or not."""
    waiting = asking(
        1,
        asked("by_name", who=("user:ben",)),
        asked("by_group"),
        asked("by_rota", who=("oncall:platform",)),
        asked("by_others", who=("group:leads",)),
    )

    assert [item.path for item in look("ben", waiting, **wanted).items] == expected


def test_what_runs_out_first_comes_first() -> None:
    """Urgent before old, old before new, what can be answered before what cannot; runs in their order."""
    waiting = [
        asking(1, asked("new", asked_at=NOW - 1), asked("barred", claimed_by="user:anna", due=NOW + 1)),
        asking(2, asked("old"), asked("later", due=NOW + HOUR), asked("soon", due=NOW + MINUTE)),
    ]

    found = look("ben", *waiting).items

    assert [item.path for item in found] == ["soon", "later", "old", "new", "barred"]


def test_a_look_is_bounded_and_says_what_it_leaves_out() -> None:
    """Of many questions the most urgent are given, and the rest is counted; so is what the list does not hold."""
    waiting = [asking(number, asked(due=NOW + number)) for number in range(1, 51)]

    found = look("anna", *waiting, asking(99, asked(due=NOW), more=7), items_max=3)

    assert [item.run.number for item in found.items] == [99, 1, 2]
    assert (found.left_out, found.unlisted) == (48, {99: 7})


def test_time_counts_in_the_hours_of_the_question() -> None:
    """With hours, the end of the time to answer and the next rung are moments of the calendar."""
    friday = at("2026-11-20 16:00")
    found = only(
        "anna",
        asked(
            asked_at=friday, hours="office", answer_within=3 * HOUR, escalate=LADDER, if_unanswered="reject"
        ),
        now=friday + MINUTE,
    )

    assert found.until == at("2026-11-23 11:00")
    assert found.next_rung == Rung(at=at("2026-11-23 09:00"), kind="rung", number=1, to=("group:leads",))


def test_what_is_missing_and_who_could_give_it() -> None:
    """Of a quorum it says how many are missing, who could still approve now, and who from when on."""
    found = only(
        "ben",
        asked(
            quorum=2,
            four_eyes=True,
            escalate=LADDER,
            answers=(Answer(by="user:anna", decision="approve", at=NOW),),
        ),
    )

    assert (found.needed, found.others, found.warning) == (1, frozenset(), "")
    assert [(later.at, later.people) for later in found.later] == [(ASKED_AT + HOUR, frozenset({"carl"}))]


def test_a_question_that_nobody_can_decide_says_so() -> None:
    """Where four eyes leave too few, the inbox warns before the time is up."""
    found = only("ben", asked(quorum=2, four_eyes=True), started_by="user:anna")

    assert found.warning.startswith("2 more approvals are needed, and only ben can approve it")


def test_after_an_answer_one_can_take_it_back() -> None:
    """Who has answered a question that is still open is offered the way back, and sees what they said."""
    said = Answer(by="user:anna", decision="approve", at=NOW)

    found = only("anna", asked(quorum=2, answers=(said,)))

    assert (found.mine, [command.line for command in found.commands]) == (said, ["tow withdraw 1 go"])


@pytest.mark.parametrize(
    ("path", "choice", "fields", "expected"),
    [
        ("go_live", "approve", (), "tow approve 12 go_live"),
        ("go_live", "approve", ("ticket",), "tow approve 12 go_live --form ticket=…"),
        ("go_live", "reject", ("ticket",), 'tow reject 12 go_live --comment "…"'),
        ("go_live", "send_back", (), 'tow send-back 12 go_live --comment "…"'),
        ("fleet[web1]/note", "done", (), "tow done 12 'fleet[web1]/note'"),
        ("note", "failed", (), 'tow answer 12 note failed --comment "…"'),
        ("deploy", "give_up", (), "tow answer 12 deploy give_up"),
        ("~gate_production", "approve", (), "tow approve 12 '~gate_production'"),
    ],
)
def test_every_choice_has_a_command(path: str, choice: str, fields: tuple[str, ...], expected: str) -> None:
    """What the inbox tells people to type is what the command line takes, quoted for a shell."""
    assert choices.command_of(RunNumber(12), path, choice, fields) == expected


@pytest.mark.parametrize(
    ("path", "kind", "is_only", "expected"),
    [
        ("go_live", "approval", True, "tow approve 12"),
        ("go_live", "approval", False, "tow approve 12 go_live"),
        ("fleet[web1]/note", "task", False, "tow done 12 'fleet[web1]/note'"),
        ("build", "failure", True, "tow answer 12"),
        ("build", "unknown", False, "tow answer 12 build"),
    ],
)
def test_the_verb_that_gets_on_with_a_question(path: str, kind: str, is_only: bool, expected: str) -> None:
    """Whoever looks at a run that waits is told the question's own verb; where no choice comes first, the command that explains them."""
    assert choices.first_command("12", path, kind, is_only=is_only) == expected
