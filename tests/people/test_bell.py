"""What an engine wants people to be told becomes notices: for the right people, and once."""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import click
import immutables
import pytest
from outbox_support import MINUTE, NOW, Scripted, notice, process
from people_support import HOUR, calendar, directory, question

from towpath.cli.group import root
from towpath.core.run import Answer, Node, Run, RunId
from towpath.definition.project import ProjectFile
from towpath.errors import BugError, Refused
from towpath.people.bell import OutboxBell
from towpath.people.channels.contract import Notice
from towpath.people.channels.routes import Routes
from towpath.people.messages import command_of
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
    return Node(**({"path": "go_live", "plan": 1, "status": "asking", "question": asked} | different))


def run_of(one: Node) -> Run:
    """A run that waits for it."""
    plan = SimpleNamespace(workflow=SimpleNamespace(name="release_shop"))
    return Run(
        id=RunId("r1"),
        plan=plan,
        started_by="user:eve",
        nodes=immutables.Map({one.path: one}),
        url="https://t/12",
    )


def bell(outbox: Outbox) -> OutboxBell:
    """A bell over an outbox."""
    known = directory(PEOPLE)
    return OutboxBell(
        outbox,
        directory=lambda: known,
        calendar=lambda name: calendar(hours={"mon-fri": "09:00-17:00"}) if name else None,
        now=lambda: NOW,
    )


async def told(store: MemoryStore, *rings: tuple[Node, str, int, tuple[str, ...]]) -> list[Notice]:
    """The notices that come of some rings, oldest first."""
    mail = {"mail": {"kind": "email", "to": "ops@example.com"}}
    ways = Routes.of(ProjectFile.model_validate({"people": PEOPLE, "channels": mail}))
    async with process(store, {"mail": Scripted()}, ways=lambda: ways) as outbox:
        ringing = bell(outbox)
        for one, why, times, to in rings:
            ringing.ring(RUN, run_of(one), one, why=why, times=times, to=to)
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
