"""What has to be true of a whole world: while it is written, whenever one looks, and when it is over.

Everything is worked out anew from the journal's records and held against what the product keeps beside them (the list of runs, the list
of open questions, the places of concurrency groups, the outbox), against the ledger of what was really performed, and against what
people were told.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Final

from simulation import laws
from simulation.system import catalogue
from simulation.system.steps import Attempt
from towpath.core import commands, events, gates, stimuli
from towpath.core.run import END_STATES, RunId, is_within
from towpath.engines import history, summaries
from towpath.engines.embedded import mailroom
from towpath.people.outbox import key_of
from towpath.store.contract import QUESTIONS_LISTED_MAX, RunNumber

if TYPE_CHECKING:
    from simulation.system.diary import Saying
    from simulation.system.processes import MailChannel
    from simulation.system.tracked import Tracked
    from simulation.system.world import World

OPEN_FOR_A_WHILE: Final = 60_000_000
"""Microseconds after which people should have heard of a question."""
MARKED: Final = (events.AnswerGiven, events.CommentAdded, events.SignalReceived, events.QuestionHandedOver)
"""Events that stand in the journal once for each saying that was accepted."""


# ---- at every write ---------------------------------------------------------------------------------------------------


def check_write(world: World, tracked: Tracked, facts: tuple[Any, ...]) -> None:
    """What is true at every moment, as far as a change of this run could have broken it."""
    run = tracked.run
    row = world.disk.tables._data.rows[tracked.number]
    assert row.summary.status == run.status, (
        f"run {tracked.number}: the list says {row.summary.status!r} ({row.summary.waiting_for}), the journal {run.status!r}"
    )
    _check_questions(tracked, row.summary)
    if run.group is not None:
        _check_places(world, run.group)
    for environment in run.entered:
        _check_environment(world, environment)
    for fact in facts:
        if isinstance(fact, events.RunEnded):
            left = world.ledger.performs(run.id)
            assert not left, (
                f"P7: run {tracked.number} ended as {fact.status} while {left} is being performed"
            )
        elif isinstance(fact, events.StepEnded) and (run.id, fact.path) in world.ledger.going:
            going = world.ledger.going[run.id, fact.path][1]
            node = run.nodes[fact.path]
            has_begun_again = node.status == "performing" and node.attempt == going.attempt
            assert has_begun_again, (
                f"P7: {fact.path} of run {tracked.number} is {fact.status} and is being performed"
            )


def _check_questions(tracked: Tracked, summary: Any) -> None:
    run = tracked.run
    asking = [node for path in run.leaves if (node := run.nodes[path]).status == "asking"]
    if not asking and not summary.questions:
        return
    told = {
        node.path: (
            node.question.kind if node.question else "",
            node.question.digest if node.question else "",
            len(node.answers),
            node.claimed_by,
            node.handed_to,
            node.told_reminders,
            node.told_rungs,
            len(node.comments),
        )
        for node in asking
    }
    listed = {
        one.path: (
            one.question.kind,
            one.question.digest,
            len(one.answers),
            one.claimed_by,
            one.handed_to,
            one.told_reminders,
            one.told_rungs,
            one.comments,
        )
        for one in summary.questions
    }
    more = max(0, len(told) - QUESTIONS_LISTED_MAX)
    assert summary.questions_more == more, f"run {tracked.number}: {summary.questions_more} more, not {more}"
    assert listed == told or (more and listed.items() <= told.items()), (
        f"run {tracked.number}: the list of questions says {listed}, the journal {told}"
    )


def _check_places(world: World, group: str) -> None:
    """No more runs are in a concurrency group than it has places, and the store counts as the journal does."""
    inside = [t for t in world.tracked.values() if t.run.group == group and t.run.state == "open"]
    if not inside:
        return
    most = inside[0].run.plan.workflow.concurrency.max
    assert len(inside) <= most, f"{[t.number for t in inside]} are in the group {group!r} with {most} places"
    taken = world.disk.tables.reader.slots_taken(group)
    assert taken == len(inside), f"group {group!r}: the store counts {taken}, the journal {len(inside)}"


def _check_environment(world: World, environment: str) -> None:
    """No more runs are in an environment than it has places, but for those that broke the glass."""
    places = catalogue.project().environments[environment].concurrency
    if places is None:
        return
    inside = [t for t in world.tracked.values() if t.is_open and environment in t.run.entered]
    in_order = sorted(t.number for t in inside if not t.run.break_glass)
    assert len(in_order) <= places.max, f"{in_order} are in {environment!r} with {places.max} places"
    taken = world.disk.tables.reader.places_taken(
        environment
    )  # a place is taken a moment before the run goes in
    assert set(in_order) <= set(taken), f"{environment!r}: the store counts {taken}, the journal {in_order}"
    assert len(taken) <= places.max, f"{environment!r}: the store has given {taken} its {places.max} places"


# ---- whenever one looks -----------------------------------------------------------------------------------------------


def check_now(world: World) -> None:
    """What is true whenever everything is at rest enough to look: who waits says why, who runs is performed."""
    data = world.disk.tables._data
    asking = {row.number: {one.path for one in row.questions} for row in _all_questions(world)}
    for number, tracked in world.tracked.items():
        if not tracked.is_open:
            assert number not in asking, f"run {number} has ended and is in the inbox"
            continue
        summary = data.rows[number].summary
        if summary.status in ("waiting", "queued"):
            assert summary.waiting_for, f"P2: run {number} does not say why it is {summary.status}"
            assert summary.waiting_since is not None, (
                f"P2: run {number} does not say since when it is {summary.status}"
            )
        open_paths = {path for path in tracked.run.leaves if tracked.run.nodes[path].status == "asking"}
        listed = asking.get(number, set())
        assert listed == open_paths or len(listed) == QUESTIONS_LISTED_MAX, (
            f"run {number}: the inbox has {sorted(listed)}, the journal asks {sorted(open_paths)}"
        )
        laws.check_what_is_owed(tracked.run)


def _all_questions(world: World) -> list[Any]:
    found: list[Any] = []
    after: RunNumber | None = None
    while page := world.disk.tables.reader.open_questions(after=after, rows_max=50):
        found.extend(page)
        after = page[-1].number
    return found


# ---- when it is over --------------------------------------------------------------------------------------------------


def check_world(world: World, errors: list[str]) -> None:
    """What is true of a world that has come to its end."""
    _check_complaints(world, errors)
    data = world.disk.tables._data
    assert set(data.rows) == set(world.tracked), "every run is in the list and in the journal"
    for number, tracked in world.tracked.items():
        check_run(world, number, tracked)
    _check_starts(world)
    for saying in world.diary.sayings:
        _check_saying(world, saying)
    _check_reviews(world)
    if world.channel is not None:
        _check_outbox(world, world.channel)


def _check_complaints(world: World, errors: list[str]) -> None:
    """Nothing crashed that nobody expected."""
    if world.has_full_disk:
        errors = [error for error in errors if not error.startswith("people.outbox_not_written")]
    assert not errors, f"the product logged an error: {errors[0]}"
    assert not world.machine.complaints, f"a loop complained: {world.machine.complaints[0]}"
    failures = [failure for process in world.everybody for failure in process.loop.failures()]
    failures = [failure for failure in failures if "StoreUnavailable" not in failure]
    assert not failures, f"a task failed and nobody looked: {failures[0]}"


def check_run(world: World, number: RunNumber, tracked: Tracked) -> None:
    """What is true of one run: its journal, its row, and what was performed of it."""
    run, facts = tracked.run, tracked.facts
    data = world.disk.tables._data
    row = data.rows[number]
    stored = [record for _, _, record in data.records[number]]
    assert stored == tracked.journal, f"run {number}: the journal has changed"
    assert history.fold(run.plan, row, data.records[number]) == run, f"run {number} folds differently"
    ordered = [
        command.id
        for fact in facts
        for command in commands.commands(fact)
        if isinstance(command, commands.PerformStep | commands.StartChild)
    ]
    story = SimpleNamespace(run=run, facts=facts, journal=tracked.journal, command_ids=ordered)
    try:
        laws.check_all(story)
    except AssertionError as broken:
        raise AssertionError(f"run {number} ({run.plan.workflow.name}): {broken}") from broken
    _check_row(number, row, run)
    _check_gates(tracked)
    _check_performed(world, tracked)
    _check_unknown(world, tracked)
    _check_children(tracked, world.by_id)


def _check_row(number: RunNumber, row: Any, run: Any) -> None:
    assert row.summary == summaries.summary_of(run, row.summary.waiting_since or 0), (
        f"run {number}: the list says {row.summary}"
    )
    assert run.status in END_STATES, f"P2: run {number} is {run.status}"
    assert row.definition == run.plan.digest, f"P6: run {number} has another definition"
    assert not row.holds_slot, f"run {number} has ended and holds a place"
    accepted = [run.id, run.plan.workflow.name, run.started_by, run.accepted_at]
    listed = [row.id, row.workflow, row.started_by, row.accepted_at]
    assert listed == accepted, f"run {number}: the list says {listed}, the journal {accepted}"


def _check_gates(tracked: Tracked) -> None:
    """P5: who answered was asked, with four eyes and a quorum; and nothing is answered after it was decided."""
    file = catalogue.project()
    run = tracked.run
    asked: dict[str, Any] = {}
    for fact in tracked.facts:
        match fact:
            case events.PeopleAsked():
                asked[fact.path] = SimpleNamespace(
                    question=fact.question, who=set(_people(file, fact.question.who)), answers={}
                )
            case events.EvidenceShown():
                asked[fact.path].question = fact.question
            case events.AnswersVoided():
                asked[fact.path].question, asked[fact.path].answers = fact.question, {}
            case events.PeopleTold(kind="rung"):
                asked[fact.path].who |= set(_people(file, fact.to))
            case events.QuestionHandedOver():
                asked[fact.path].who |= set(_people(file, (fact.to,)))
            case events.AnswerWithdrawn():
                asked[fact.path].answers.pop(fact.by)
            case events.AnswerGiven():
                _check_answer(tracked.number, run, asked.get(fact.path), fact)
            case events.StepEnded() if fact.path in asked:
                _check_decision(tracked, asked.pop(fact.path), fact)
            case _:
                pass


def _check_answer(number: RunNumber, run: Any, gate: Any, fact: events.AnswerGiven) -> None:
    said = f"P5: {fact.answer.by} said {fact.answer.decision!r} to {fact.path} of run {number}"
    assert gate is not None, f"{said}, which is not asked"
    question, by = gate.question, fact.answer.by
    if question.who:  # a rung counts from its time on, even before anybody was told
        climbed = [to for after, to in question.escalate if question.asked_at + after <= fact.answer.at]
        may = gate.who.union(*(_people(catalogue.project(), to) for to in climbed))
        assert by in may, f"{said} and is not one of {sorted(may)}"
    assert fact.answer.decision in question.choices, f"{said}, which is no choice"
    if question.kind == "approval":
        assert by not in gate.answers, f"{said}, for the second time"
    if question.four_eyes and fact.answer.decision == "approve":
        assert by != run.started_by, f"{said} and started the run"
    gate.answers[by] = fact.answer.decision


def _check_decision(tracked: Tracked, gate: Any, fact: events.StepEnded) -> None:
    question = gate.question
    if question.kind != "approval" or fact.status != "succeeded" or fact.reason == "unanswered":
        return
    if question.if_unanswered == "approve" and fact.path.startswith(gates.gate_path("")):
        return  # the gate of an environment does not say that it was silence that opened it
    approvals = [by for by, decision in gate.answers.items() if decision == "approve"]
    assert len(approvals) >= gate.question.quorum, (
        f"P5: {fact.path} of run {tracked.number} was approved by {approvals}, of {gate.question.quorum} needed"
    )


def _people(file: Any, principals: tuple[str, ...]) -> list[str]:
    found: list[str] = []
    for principal in principals:
        kind, _, name = principal.partition(":")
        found += file.people.groups[name].members if kind == "group" else [principal]
    return found


def _check_performed(world: World, tracked: Tracked) -> None:
    """P3: what the journal says of an attempt is what its performer said."""
    current: dict[str, events.StepStarted] = {}
    for fact in tracked.facts:
        match fact:
            case events.StepStarted() if fact.work is not None and fact.child is None:
                current[fact.path] = fact
            case events.StepEnded(status="succeeded", reason="") if fact.path in current:
                began = current.pop(fact.path)
                attempt = Attempt(tracked.run.id, fact.path, began.attempt, began.stage)
                entry = world.ledger.entries.get(attempt)
                told = "nothing" if entry is None else entry.told
                assert told == "ok", (
                    f"P3: run {tracked.number} says that {attempt} went well, its performer said {told!r}"
                )
            case events.StepEnded():
                current.pop(fact.path, None)
            case _:
                pass


def _check_unknown(world: World, tracked: Tracked) -> None:
    """P3: what may not be repeated on its own begins again after an unknown outcome only because a person said so."""
    lost: dict[str, Attempt] = {}
    for fact in tracked.facts:
        match fact:
            case events.AnswerGiven():
                lost.pop(fact.path, None)
            case events.StepsReset():
                for path in [path for path in lost if any(is_within(path, scope) for scope in fact.paths)]:
                    del lost[path]
            case events.StepStarted(stage="main") if fact.work is not None and fact.child is None:
                assert fact.path not in lost, (
                    f"P3: {fact.path} of run {tracked.number} began again (attempt {fact.attempt}) although nobody knows"
                    f" what attempt {lost[fact.path].attempt} did, and nobody was asked"
                )
                attempt = Attempt(tracked.run.id, fact.path, fact.attempt, fact.stage)
                entry = world.ledger.entries.get(attempt)
                if entry is not None and not entry.told and not entry.is_repeatable:
                    lost[fact.path] = attempt
            case _:
                pass


def _check_starts(world: World) -> None:
    """P1: an accepted start is in the journal. P4: one run for each key."""
    rows = world.disk.tables._data.rows
    for told in world.diary.starts:
        if told.started is not None:
            row = rows.get(told.started.number)
            assert row is not None, f"P1: run {told.started.number} was accepted and is lost"
            assert row.id == told.started.id, f"P1: run {told.started.number} is another run now"
            assert not told.key or row.start_key == told.key, (
                f"P4: run {row.number} was not started by {told.key!r}"
            )
    keys = Counter(row.start_key for row in rows.values() if row.start_key is not None)
    twice = [key for key, count in keys.items() if count > 1]
    assert not twice, f"P4: {twice} started more than one run"


def _check_saying(world: World, saying: Saying) -> None:
    """P1 and P5: what was accepted stands in the journal, once; what was refused does not."""
    tracked = world.tracked.get(saying.run)
    assert tracked is not None, f"P1: run {saying.run} is lost"
    if saying.letter is not None:
        reply = world.disk.tables._data.messages[saying.letter].reply
        if reply is not None:
            said = mailroom.read_reply(reply)
            saying.accepted, saying.refused = not said.refused, said.refused
    found = [fact for fact in tracked.facts if _bears(fact, saying.mark)]
    counted = [fact for fact in found if isinstance(fact, MARKED)]
    what = f"{type(saying.stimulus).__name__} {saying.mark} to run {saying.run}"
    twins = [one for one in world.diary.sayings if one.mark == saying.mark]
    assert len(counted) <= len(twins), f"{what} stands in the journal {len(counted)} times"
    leaves_a_mark = isinstance(
        saying.stimulus,
        stimuli.Answered
        | stimuli.Commented
        | stimuli.Signalled
        | stimuli.HandedOver
        | stimuli.Cancel
        | stimuli.Rollback,
    )
    if saying.accepted and leaves_a_mark:
        assert found, f"P1: {what} was accepted and is lost"
    if len(twins) == 1 and saying.refused:
        assert not counted, f"{what} was refused ({saying.refused}) and stands in the journal"


def _bears(fact: Any, mark: str) -> bool:
    borne: Any = None
    match fact:
        case events.AnswerGiven():
            borne = fact.answer.comment
        case events.CommentAdded():
            borne = fact.text
        case events.QuestionHandedOver():
            borne = fact.comment
        case events.SignalReceived() if isinstance(fact.payload, dict):
            borne = fact.payload.get("mark")
        case events.StopRequested() if fact.ending is not None:
            borne = fact.ending[2]
        case events.RunEnded():
            borne = fact.message
        case _:
            pass
    return bool(borne == mark)


def _check_reviews(world: World) -> None:
    """Every run that broke the glass leaves one review behind; what it calls belongs to it."""
    keys = {tracked.start_key for tracked in world.tracked.values()}
    emergencies = [
        t
        for t in world.tracked.values()
        if t.run.break_glass and not (t.start_key or "").startswith("child:")
    ]
    missing = [t.number for t in emergencies if f"review:{t.run.id}" not in keys]
    assert not missing, f"runs {missing} broke the glass and left no review"


def _check_children(tracked: Tracked, by_id: Mapping[RunId, Tracked]) -> None:
    """What a parent says of a child is what the child's own journal says."""
    for node in tracked.run.nodes.values():
        child = by_id.get(node.child) if node.child is not None else None
        if child is None or child.run.parent is None or node.reason == "carried":
            continue
        went_well = child.run.status in ("succeeded", "partially_succeeded")
        assert node.status != "succeeded" or went_well, (
            f"{node.path} of run {tracked.number} succeeded, and its run {child.number} {child.run.status}"
        )


def _check_outbox(world: World, channel: MailChannel) -> None:
    """What people are told is told once for each of them, and nothing waits for ever."""
    rows = world.disk.tables._data.outbox.rows.values()
    keys = Counter((row.notice, row.recipient, row.channel) for row in rows)
    twice = [key for key, count in keys.items() if count > 1]
    assert not twice, f"{twice[0]} is in the outbox more than once"
    _check_received(rows, channel)
    told = {(row.run, row.path, "asked" if row.why == "review" else row.why) for row in rows}
    for number, tracked in world.tracked.items():
        for path, why in _should_be_told(world, tracked.facts):
            assert (number, path, why) in told, f"nobody was told {why!r} of {path}, run {number}"


def _check_received(rows: Iterable[Any], channel: MailChannel) -> None:
    """What counts as sent has arrived; and it arrived twice only where the process that had sent it is gone."""
    received: dict[str, list[Any]] = {}
    for key, process in channel.received:
        received.setdefault(key, []).append(process)
    for row in rows:
        key = key_of(row.notice, row.recipient, row.channel)
        assert row.state != "sent" or key in received, f"{row.notice} for {row.recipient} counts as sent"
        alive = [
            process.name
            for process in received.get(key, ())[:-1]
            if not process.is_dead and not process.is_broken
        ]
        assert not alive, (
            f"{row.notice} was sent to {row.recipient} again, and {alive[0]} had sent it and lives"
        )


def _should_be_told(world: World, facts: Iterable[Any]) -> list[tuple[str, str]]:
    """Questions that were open for a while, reminders and rungs, as far as nothing went wrong any more."""
    since = world.calm_since if world.happened else 0
    asked: dict[str, int] = {}
    found: list[tuple[str, str]] = []
    for fact in facts:
        match fact:
            case events.PeopleAsked() if fact.question.who and fact.at > since:
                asked[fact.path] = fact.at
            case events.PeopleTold() if fact.at > since:
                found.append((fact.path, fact.kind))
            case events.StepEnded() | events.StepsReset():
                ended = [fact.path] if isinstance(fact, events.StepEnded) else list(asked)
                closed = {path: asked.pop(path) for path in ended if path in asked}
                found += [(path, "asked") for path, at in closed.items() if at + OPEN_FOR_A_WHILE < fact.at]
            case _:
                pass
    return found
