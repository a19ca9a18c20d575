"""What is true of every journal, whatever the workflow and whatever happened to it."""

from __future__ import annotations

from collections import Counter
from typing import Any

from towpath.core import Run, commands, events, new_run
from towpath.core.evolve import evolve
from towpath.core.run import END_STATES, ROOT, Node, is_protected, is_within
from towpath.store import encoding


def check_all(world: Any) -> None:
    """Asks every law of the journal of *world*."""
    run, facts = world.run, world.facts
    check_replay(run, world.journal)
    check_command_ids(world.command_ids)
    check_nothing_starts_in_a_stopped_scope(facts)
    check_undoing(run, facts)
    check_what_is_owed(run)
    if run.has_ended:
        check_end(run)


def check_replay(run: Run, journal: list[bytes]) -> None:
    """The journal, read back, gives the same run: nothing is decided again."""
    again = new_run(run.plan, run.id)
    for record in journal:
        again = evolve(again, encoding.decode(record))
    assert again == run


def check_command_ids(ids: list[str]) -> None:
    """Every attempt and every child run has an id of its own."""
    assert [name for name, count in Counter(ids).items() if count > 1] == []


def check_nothing_starts_in_a_stopped_scope(facts: list[events.AnyEvent]) -> None:
    """Where a stop was asked for, nothing begins any more but undoing and last steps."""
    stopped: dict[str, str] = {}
    for fact in facts:
        match fact:
            case events.StopRequested():
                stopped[fact.path] = fact.reason
            case events.BodyEnded() | events.StepEnded():
                stopped.pop(fact.path, None)
            case events.StepStarted() if fact.work is None:
                pass
            case events.StepStarted() | events.WaitStarted() | events.PeopleAsked():
                scopes = [
                    scope
                    for scope in stopped
                    if is_within(fact.path, scope) and not is_protected(fact.path, scope)
                ]
                assert scopes == [], f"{fact} in {scopes}"


def check_undoing(run: Run, facts: list[events.AnyEvent]) -> None:
    """What a scope undoes is undone once, one at a time, the latest start first; and nothing is left out."""
    started: dict[str, int] = {}
    undone: dict[str, int] = {}
    sent_back: set[str] = set()
    rolls_back = True
    ends_well = False
    went_well: set[str] = set()
    for number, fact in enumerate(facts):
        match fact:
            case events.StepStarted() if (
                fact.stage == "main" and run.plan[fact.plan].has_rollback and not fact.frame
            ):
                if fact.path not in started or fact.path in undone or fact.path in sent_back:
                    started[fact.path] = number
                    undone.pop(fact.path, None)
                    sent_back.discard(fact.path)
            case events.StepsReset():
                sent_back |= {path for path in started if any(is_within(path, scope) for scope in fact.paths)}
            case events.StopRequested():
                rolls_back = rolls_back if fact.rollback is None else fact.rollback
                ends_well = ends_well or (fact.ending is not None and fact.ending[0] == "succeeded")
            case events.BodyEnded(outcome="succeeded"):
                went_well.add(
                    fact.path
                )  # its last steps may fail yet; what was done is left to the scope outside
            case events.PhaseStarted(phase="rollback"):
                order = [started[path] for path in fact.undo if path in started]
                assert order == sorted(order, reverse=True), f"{fact.path} undoes {fact.undo}"
            case events.StepUndone():
                assert fact.path not in undone, f"{fact.path} was undone twice"
                undone[fact.path] = number
            case events.StepEnded(status="failed" | "cancelled") if rolls_back and not ends_well:
                if fact.path not in went_well:
                    _check_left(run, fact.path, started, undone)
            case _:
                pass
    root = run.nodes.get(ROOT)
    is_bad = root is not None and root.outcome in ("failed", "cancelled") and not root.settled
    if run.has_ended and is_bad and rolls_back and not ends_well and ROOT not in went_well:
        _check_left(run, ROOT, started, undone)


def _check_left(run: Run, scope: str, started: dict[str, int], undone: dict[str, int]) -> None:
    left = [
        path
        for path in started
        if path not in undone
        and path != scope
        and is_within(path, scope)
        and not is_protected(path, scope)
        and not path[len(scope) :].startswith(("~catch", "~on_failure"))
    ]
    node = run.nodes.get(scope)
    is_scope = scope == ROOT or (node is not None and (node.frame or not run.plan[node.plan].is_leaf))
    assert not is_scope or left == [], f"{scope or 'the run'} failed and left {left} standing"


def check_what_is_owed(run: Run) -> None:
    """Every open leaf of an open run is owed something by the world, so a restart goes on."""
    owed = {command.path for command in commands.outstanding(run)}
    silent = [node.path for node in run.open_leaves() if node.path not in owed and not _waits_for_word(node)]
    assert silent == []


def _waits_for_word(node: Node) -> bool:
    """Whether a person or a program will send what the node waits for."""
    return node.status == "waiting" and node.awaited is not None and node.awaited.kind in ("signal", "event")


def check_end(run: Run) -> None:
    """An ended run has no loose ends."""
    assert run.status in END_STATES
    assert not run.leaves
    assert run.performing == 0
    is_never_begun = run.nodes.get(ROOT) is None or run.status in ("skipped",) or not run.nodes[ROOT].active
    assert is_never_begun
    still_open = [path for path, node in run.nodes.items() if path != ROOT and node.is_open]
    assert still_open == []
    busy = [path for path, node in run.nodes.items() if node.active]
    assert busy == []
