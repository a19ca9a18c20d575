"""Deciding: what an event starts, what waits for it, and that nothing of it happens twice."""

from __future__ import annotations

import pytest
from inbox_support import NOW, SECOND, World, push

from towpath.errors import Refused, StoreUnavailable
from towpath.store.contract import EventSettled, Started
from towpath.triggers import deciding
from towpath.triggers.contract import Broken, Wanted


@pytest.fixture
def world() -> World:
    """A world with a workflow that is released on a push."""
    made = World()
    made.project.add(
        "release",
        '- github.push: {branches: [main]}\n  inputs: {version: "${{ event.after }}"}',
        inputs="inputs: {version: {}}\n",
    )
    return made


async def test_an_event_starts_what_listens_to_it(world: World) -> None:
    """The run has the inputs of its entry, the payload as its event, and its trigger as the one who started it."""
    world.inbox.accept(push())

    assert await world.decider.work() == (1,)
    (wanted,) = world.runs.wanted
    assert (wanted.workflow, wanted.inputs, wanted.started_by) == (
        "release",
        {"version": "abc"},
        "trigger:github.push",
    )
    assert wanted.event["after"] == "abc"
    assert (world.row().state, world.made_of()) == ("matched", [("release", 1, "")])


async def test_every_workflow_answers(world: World) -> None:
    """An event tells of every entry that listens to its kind what it made of it; one that does not load is named."""
    world.project.add("docs", "- github.push: {paths: ['docs/**'], branches: [next]}")
    world.project.add("manual", "- manual")
    world.project.found.append(Broken(name="half", why="`steps` is missing", text="on: [github.push]"))
    world.project.found.append(Broken(name="other", why="it is empty", text="on: [manual]"))
    world.inbox.accept(push())
    await world.decider.work()

    assert world.made_of() == [
        ("release", 1, ""),
        ("docs", None, "the branch is 'main', and next is asked for"),
        ("half", None, "the workflow does not load: `steps` is missing"),
    ]


async def test_an_event_that_starts_nothing_says_why(world: World) -> None:
    """Where no entry listens to an event, the event itself says so."""
    star = push(action="created")
    headers = {**star.headers, "X-GitHub-Event": "star"}
    world.inbox.accept(type(star)(path=star.path, headers=headers, body=star.body))
    await world.decider.work()

    assert (world.row().kind, world.row().state) == ("github.star", "ignored")
    assert world.row().because == "no trigger is called github.star"


async def test_a_replay_starts_nothing_twice(world: World) -> None:
    """Deciding about an event again finds the run that it has started; a changed file may start what was missing."""
    world.inbox.accept(push())
    await world.decider.work()
    world.project.add("docs", "- github.push")
    world.store.events.again(world.row().id)
    await world.decider.work()

    assert [wanted.workflow for wanted in world.runs.wanted] == ["release", "docs"]
    assert [(one.workflow, one.run, one.existing) for one in world.row().reactions] == [
        ("release", 1, True),
        ("docs", 2, False),
    ]


async def test_a_crash_between_start_and_note_starts_nothing_twice(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process that dies after the start leaves the event to another one, which finds the run by its key."""

    def die(settled: EventSettled) -> None:
        assert settled.reactions[0].run == 1
        raise KeyboardInterrupt

    world.inbox.accept(push())
    store = world.store.another()
    dying = world.another_decider(store)
    monkeypatch.setattr(dying, "_settle", die)
    with pytest.raises(KeyboardInterrupt):
        await dying.work()
    assert (world.row().state, len(world.runs.wanted)) == ("received", 1)

    assert await world.decider.work() == ()
    store.die()
    assert await world.decider.work() == (1,)

    assert (world.row().state, len(world.runs.wanted), world.row().attempts) == ("matched", 1, 2)


async def test_an_event_that_ends_its_process_is_left_alone(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a few such ends the event has failed, and those behind it are decided about."""
    monkeypatch.setattr(deciding, "ATTEMPTS_MAX", 0)
    world.inbox.accept(push())
    await world.decider.work()

    assert (world.row().state, world.row().because) == (
        "failed",
        "the process that decided about it ended 0 times",
    )
    assert world.runs.wanted == []


async def test_a_start_that_is_refused_is_told(world: World) -> None:
    """What a start was refused for stands with the event, and the event has failed."""
    world.runs.error = Refused("production is frozen")
    world.inbox.accept(push())
    await world.decider.work()

    assert (world.row().state, world.made_of()) == ("failed", [("release", None, "production is frozen")])


async def test_a_full_disk_loses_no_event(world: World) -> None:
    """Where nothing can be written the event waits, and is decided about when that is over."""
    world.runs.error = StoreUnavailable("the disk is full")
    world.inbox.accept(push())
    with pytest.raises(StoreUnavailable):
        await world.decider.work()
    assert world.row().state == "received"

    world.runs.error = None
    await world.decider.work()
    assert world.row().state == "matched"


async def test_dedupe_starts_one_run_for_each_value(world: World) -> None:
    """Two deliveries with one value are one run; the second says which."""
    world.project.add("once", '- github.push: {}\n  dedupe: "${{ event.after }}"')
    for delivery, after in (("d1", "a"), ("d2", "a"), ("d3", "b")):
        world.inbox.accept(push(delivery=delivery, after=after))
    await world.decider.work()

    once = [
        reaction
        for row in reversed(world.store.events.events())
        for reaction in row.reactions
        if reaction.workflow == "once"
    ]
    assert [(one.run == once[0].run, one.existing) for one in once] == [
        (True, False),
        (True, True),
        (False, False),
    ]


async def test_debounce_starts_one_run_for_the_last_event(world: World) -> None:
    """While events keep coming nothing starts; when it was quiet for long enough, one run starts with the last of them."""
    world.project.found.clear()
    world.project.add(
        "build",
        '- github.push: {}\n  debounce: 30s\n  inputs: {version: "${{ event.after }}"}',
        inputs="inputs: {version: {}}\n",
    )
    for number in range(3):
        world.at = NOW + number * 20 * SECOND
        world.inbox.accept(push(delivery=f"d{number}", after=f"v{number}"))
        await world.decider.work()
    assert world.runs.wanted == []
    assert [row.state for row in world.store.events.events()] == ["held", "ignored", "ignored"]

    world.at = NOW + 69 * SECOND
    assert await world.decider.work() == ()
    world.at = NOW + 70 * SECOND
    assert await world.decider.work() == (3,)
    assert await world.decider.work() == ()

    assert [wanted.inputs for wanted in world.runs.wanted] == [{"version": "v2"}]
    assert [row.state for row in world.store.events.events()] == ["matched", "ignored", "ignored"]
    assert world.made_of(1) == [("build", None, "event 2 came after it")]


async def test_an_entry_that_is_gone_starts_nothing_later(world: World) -> None:
    """What was held back for an entry that was removed meanwhile says so."""
    world.project.found.clear()
    world.project.add("build", "- github.push: {}\n  debounce: 30s")
    world.inbox.accept(push())
    await world.decider.work()
    world.project.found.clear()
    world.at = NOW + 30 * SECOND
    await world.decider.work()

    assert world.made_of() == [("build", None, "the entry is not there any more")]


async def test_what_nobody_verified_starts_only_what_says_so(world: World) -> None:
    """A forged delivery that one careless entry lets in starts that entry's workflow and no other."""
    world.project.add("open", "- github.push: {unsafe_unverified: true}")
    world.inbox.accept(push(secret="guess"))
    await world.decider.work()

    assert [wanted.workflow for wanted in world.runs.wanted] == ["open"]
    assert world.runs.wanted[0].without_secrets
    assert world.made_of()[0][2].startswith("nobody knows who sent it")


@pytest.mark.parametrize("error", [KeyError("surprise"), RecursionError("too deep"), ValueError()])
async def test_a_poisonous_event_stops_nobody(
    world: World, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    """What breaks while one event is decided about fails that event, with its name; the next one starts its run."""
    world.inbox.accept(push(delivery="d1", after="poison"))
    world.inbox.accept(push(delivery="d2"))
    start = world.runs.start

    async def starts(wanted: Wanted) -> Started:
        if wanted.event["after"] == "poison":
            raise error
        return await start(wanted)

    monkeypatch.setattr(world.runs, "start", starts)
    await world.decider.work()

    assert world.row(1).state == "failed"
    assert type(error).__name__ in world.row(1).because
    assert world.row(2).state == "matched"


async def test_a_payload_that_cannot_be_read_any_more_has_failed(world: World) -> None:
    """What is kept is read again when it is decided about; a shape that is not known any more is a failure with its reason."""
    world.inbox.accept(push())
    world.store.events._data.payloads[world.row().id] = b"[]"
    await world.decider.work()

    assert (world.row().state, world.row().because[:36]) == ("failed", "this is no delivery of GitHub: it ha")


async def test_a_held_event_that_breaks_something_is_held_no_longer(world: World) -> None:
    """What goes wrong when it is released stands with the event, and it is not tried for ever."""
    world.project.found.clear()
    world.project.add("build", "- github.push: {}\n  debounce: 30s")
    world.inbox.accept(push())
    await world.decider.work()
    world.runs.error = KeyError("surprise")
    world.at = NOW + 30 * SECOND
    await world.decider.work()

    assert (world.row().state, world.made_of()) == ("failed", [("build", None, "KeyError: 'surprise'")])
    assert world.store.events.next_hold() is None
