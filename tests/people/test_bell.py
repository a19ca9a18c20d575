"""What an engine wants people to be told becomes notices: for the right people, and once."""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import click
import immutables
import pytest
from outbox_support import BUSY, MINUTE, NOW, Scripted, notice, process
from people_support import HOUR, calendar, directory, question

from towpath.cli.group import root
from towpath.core.run import Answer, Node, Run, RunId
from towpath.definition.project import ProjectFile
from towpath.engines.clock import HandClock
from towpath.errors import BugError, Refused
from towpath.people.bell import OutboxBell
from towpath.people.channels.contract import Notice
from towpath.people.channels.routes import Routes
from towpath.people.messages import command_of, subject_of
from towpath.people.outbox import Outbox, decode
from towpath.store.contract import RunNumber
from towpath.store.memory import MemoryStore

RUN = RunNumber(12)
PEOPLE = {
    "users": {
        "ada": {"email": "ada@example.com"},
        "ben": {
            "email": "ben@example.com",
            "absences": [{"from": "2026-11-01", "until": "2026-11-30", "deputy": "user:carl"}],
        },
        "carl": {"email": "carl@example.com"},
        "dora": {"email": "dora@example.com"},
    },
    "groups": {"managers": ["user:ada", "user:ben"], "leads": ["user:dora", "user:ada"]},
}

MAIL = {"mail": {"kind": "email", "to": "ops@example.com"}}


@pytest.fixture
def store() -> Iterator[MemoryStore]:
    """Give a store without a disk."""
    opened = MemoryStore()
    yield opened
    opened.close()


def node(**different: Any) -> Node:
    """A step that asks."""
    asked = question(
        who=("group:managers",),
        asked_at=NOW,
        escalate=((30 * MINUTE, ("group:leads",)), (60 * MINUTE, ("user:dora",))),
        answer_within=4 * HOUR,
        if_unanswered="reject",
    )
    values: dict[str, Any] = {"path": "go_live", "plan": 1, "status": "asking", "question": asked}
    return Node(**(values | different))


def run_of(one: Node, *, started_by: str = "user:eve") -> Run:
    """A run that waits for it."""
    plan = SimpleNamespace(workflow=SimpleNamespace(name="release_shop"))
    return Run(
        id=RunId("r1"),
        plan=plan,
        started_by=started_by,
        nodes=immutables.Map({one.path: one}),
        url="https://t/12",
    )


def bell(outbox: Outbox, *, now: int = NOW) -> OutboxBell:
    """A bell over an outbox."""
    known = directory(PEOPLE)
    return OutboxBell(
        outbox,
        directory=lambda: known,
        calendar=lambda name: calendar(hours={"mon-fri": "09:00-17:00"}) if name else None,
        now=lambda: now,
    )


async def told(
    store: MemoryStore,
    *rings: tuple[Node, str, int, tuple[str, ...]],
    now: int = NOW,
    started_by: str = "user:eve",
) -> list[Notice]:
    """The notices that come of some rings, oldest first."""
    ways = Routes.of(ProjectFile.model_validate({"people": PEOPLE, "channels": MAIL}))
    async with process(store, {"mail": Scripted()}, ways=lambda: ways) as outbox:
        ringing = bell(outbox, now=now)
        for one, why, times, to in rings:
            run = run_of(one, started_by=started_by)
            ringing.ring(RUN, run, one, why=why, times=times, to=to)
        await outbox.flush()
    rows = {row.notice: decode(row.body) for row in reversed(store.outbox.sendings())}
    return list(rows.values())


async def test_a_question_is_told_to_those_who_stand_behind_it(store: MemoryStore) -> None:
    """Each person is told through which principal they are asked, deputies in the place of those who are away."""
    (one,) = await told(store, (node(), "asked", NOW, ("group:managers",)))

    assert one.to == {"ada": "group:managers", "carl": "group:managers"}
    assert (one.workflow, one.path, one.why, one.question) == ("release_shop", "go_live", "asked", "Release?")
    assert (one.until, one.if_unanswered, one.url) == (NOW + 4 * HOUR, "reject", "https://t/12")


async def test_a_restart_rings_for_what_was_reached_and_no_more(store: MemoryStore) -> None:
    """A question that is asked again after a crash brings its rungs and last reminder along, each only once."""
    reached = node(told_rungs=1, told_reminders=3)
    ask = (reached, "asked", NOW, ("group:managers",))

    first = await told(store, ask, (reached, "rung", 1, ("group:leads",)))
    again = await told(store, ask)

    assert [(one.why, one.number, sorted(one.to)) for one in first] == [
        ("asked", 0, ["ada", "carl"]),
        ("rung", 1, ["ada", "dora"]),
        ("reminder", 3, ["ada", "carl", "dora"]),
    ]
    assert again == first


async def test_every_telling_has_an_id_of_its_own(store: MemoryStore) -> None:
    """The second reminder is not the first, and a question that is asked anew has its own reminders."""
    anew = node(question=question(asked_at=NOW + 1), attempt=1)
    who = ("group:managers",)

    notices = await told(
        store,
        (node(), "reminder", 1, who),
        (node(), "reminder", 2, who),
        (node(), "rung", 1, who),
        (anew, "reminder", 1, who),
    )

    assert len({one.id for one in notices}) == 4


async def test_that_it_is_asked_again_is_told_once(store: MemoryStore) -> None:
    """When answers are void people get one message, and it says why they are asked again."""
    who = ("group:managers",)

    notices = await told(store, (node(), "asked", NOW, who), (node(), "voided", NOW, who))

    assert [one.why for one in notices] == ["voided"]


async def test_a_decision_is_told_and_calls_nobody_any_more(store: MemoryStore) -> None:
    """Those who were asked hear who decided; what was still to be sent to them is not."""
    answer = Answer(by="user:ada", decision="approve", at=NOW, comment="looks good")
    decided = node(answers=(answer,), status="succeeded", handed_to=("user:dora",))
    who = ("group:managers",)

    notices = await told(store, (node(), "asked", NOW, who), (decided, "decided", 1, who))

    assert [(one.why, one.decision, one.by, one.comment, sorted(one.to)) for one in notices] == [
        ("decided", "approve", "user:ada", "looks good", ["ada", "carl", "dora"])
    ]


@pytest.mark.parametrize(
    ("answers", "quorum", "now", "expected"),
    [
        ([("ada", "approve")], 1, NOW, "Approved by ada"),
        ([("ada", "approve"), ("ben", "approve")], 2, NOW, "Approved by ada and ben"),
        ([("ada", "approve"), ("ben", "reject")], 2, NOW, "Rejected by ben"),
        ([("ada", "approve")], 2, NOW + 4 * HOUR, "The time was up, it counts as rejected"),
        ([], 1, NOW + 4 * HOUR, "The time was up, it counts as rejected"),
        ([("ada", "approve")], 2, NOW, "No longer asked"),
    ],
)
async def test_how_a_question_ended_is_told_as_it_was(
    store: MemoryStore, answers: list[tuple[str, str]], quorum: int, now: int, expected: str
) -> None:
    """All whose approvals it took are named; an approval that was one too few decided nothing when the time was up."""
    given = tuple(Answer(by=f"user:{by}", decision=said, at=NOW) for by, said in answers)
    asked = question(
        who=("group:managers",), asked_at=NOW, quorum=quorum, answer_within=4 * HOUR, if_unanswered="reject"
    )
    over = node(question=asked, answers=given)

    (one,) = await told(store, (over, "decided", NOW, ("group:managers",)), now=now)

    assert subject_of(one) == f"{expected}: release_shop #12, go_live"


async def test_who_was_handed_a_question_is_told(store: MemoryStore) -> None:
    """An heir hears of it at once, once for each hand-over also after a restart, and later how it ended."""
    handed = node(handed_to=("user:dora",))
    who = ("group:managers",)

    first = await told(store, (node(), "asked", NOW, who), (handed, "handed_over", 1, ("user:dora",)))
    again = await told(store, (handed, "asked", NOW, who), (handed, "withdrawn", NOW, who))

    assert [(one.why, sorted(one.to)) for one in first] == [
        ("asked", ["ada", "carl"]),
        ("handed_over", ["dora"]),
    ]
    assert [(one.why, sorted(one.to)) for one in again[2:]] == [("withdrawn", ["ada", "carl", "dora"])]


async def test_what_names_nobody_is_told_to_who_started_it(store: MemoryStore) -> None:
    """A failure waits for whoever operates: the person who started the run hears of it; a trigger is nobody."""
    failed = node(question=question(kind="failure", who=(), choices=("retry", "stop"), asked_at=NOW))

    (one,) = await told(store, (failed, "asked", NOW, ()))
    by_clock = await told(MemoryStore(), (failed, "asked", NOW, ()), started_by="schedule:nightly")

    assert (one.to, one.asked) == ({"eve": ""}, ())
    assert [each.to for each in by_clock] == [{}]


async def test_a_stop_calls_nobody_any_more(store: MemoryStore) -> None:
    """What waits to be sent about a question of a run that was stopped is not sent."""
    ways = Routes.of(ProjectFile.model_validate({"people": PEOPLE, "channels": MAIL}))
    clock = HandClock(NOW)
    async with process(store, {"mail": Scripted(BUSY, BUSY)}, clock=clock, ways=lambda: ways) as outbox:
        ringing = bell(outbox)
        ringing.ring(RUN, run_of(node()), node(), why="asked", times=NOW, to=("group:managers",))
        await outbox.settle()
        ringing.ring(RUN, run_of(node()), node(), why="withdrawn", times=NOW, to=("group:managers",))
        await outbox.settle()

    assert sorted((row.why, row.state) for row in store.outbox.sendings()) == [
        ("asked", "recalled"),
        ("asked", "recalled"),
        ("withdrawn", "sent"),
        ("withdrawn", "sent"),
    ]


async def test_deadlines_are_those_of_the_calendar(store: MemoryStore) -> None:
    """With `hours` the end of the time is told as the calendar has it."""
    asked = question(asked_at=NOW, answer_within=HOUR, if_unanswered="reject", hours="office")

    (one,) = await told(store, (node(question=asked), "asked", NOW, ("group:managers",)))

    assert one.until == 1_795_428_000_000_000  # Mon 23 Nov 2026 10:00 UTC: an hour after the office opens


async def test_a_step_that_asks_nothing_tells_nothing(store: MemoryStore) -> None:
    """A node without a question rings no bell."""
    assert await told(store, (node(question=None), "asked", NOW, ("group:managers",))) == []


async def test_a_project_that_cannot_be_read_stops_no_engine(store: MemoryStore) -> None:
    """Where nobody can be found out because towpath.yaml has errors just now, that is on record, and ringing raises nothing."""

    def broken() -> Any:
        raise Refused("towpath.yaml has errors")

    async with process(store, {}) as outbox:
        ringing = OutboxBell(outbox, directory=broken, calendar=lambda _: None, now=lambda: NOW)
        ringing.ring(RUN, run_of(node()), node(), why="asked", times=NOW, to=("group:managers",))
        with pytest.raises(BugError):
            ringing.ring(RUN, run_of(node()), node(), why="bored", times=NOW, to=())
        await outbox.flush()

    assert [row.error for row in store.outbox.sendings()] == ["nobody could be told: towpath.yaml has errors"]


@pytest.mark.parametrize(
    "choice",
    ["approve", "reject", "send_back", "done", "failed", "retry", "skip", "rollback", "stop", "give_up"],
)
def test_what_people_are_told_to_type_can_be_typed(choice: str) -> None:
    """Every command in a message is one that `tow` takes, with the run and the step where they belong."""
    _, name, *arguments = command_of(notice(path="fleet[a]/x"), choice).replace("'", "").split()
    command = root.get_command(click.Context(root, info_name="tow"), name)

    assert command is not None
    with command.make_context(name, arguments) as context:
        given = [value for value in context.params.values() if value]
    flat = [part for value in given for part in (value if isinstance(value, tuple) else (value,))]
    assert {"12", "fleet[a]/x"} <= {str(part) for part in flat}
