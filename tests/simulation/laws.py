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
                is_gate = fact.path.startswith("~gate_")  # undoing and last steps may need to be let in
                scopes = [
                    scope
                    for scope in stopped
                    if is_within(fact.path, scope) and not is_protected(fact.path, scope) and not is_gate
                ]
                assert scopes == [], f"{fact} in {scopes}"


def check_undoing(run: Run, facts: list[events.AnyEvent]) -> None:
    """What a scope undoes is undone once, the latest start first; and nothing is left out."""
    ledger = _Ledger(run)
    for number, fact in enumerate(facts):
        ledger.read(number, fact)
    root = run.nodes.get(ROOT)
    if run.has_ended and root is not None and root.outcome in ("failed", "cancelled") and not root.settled:
        ledger.check_scope(ROOT)


class _Ledger:
    """Who started, who was undone, and whether scopes undo at all; read from the journal alone."""

    def __init__(self, run: Run) -> None:
        self.run = run
        self.started: dict[str, int] = {}
        self.undone: set[str] = set()
        self.again: set[str] = set()
        """Steps that did something before they were sent back or carried over: their next start counts, also of a check."""
        self.went_well: set[str] = set()
        """Scopes whose body went well: when their last steps fail, what was done is left to the scope outside."""
        self.rolls_back = True
        self.ends_well = False

    def read(self, number: int, fact: events.AnyEvent) -> None:
        """Takes a fact down, and judges it."""
        match fact:
            case events.RunAccepted():
                self.again |= {carried.path for carried in fact.carried if carried.started}
            case events.StepStarted(frame="") if self.run.plan[fact.plan].has_rollback:
                self._take_start(number, fact)
            case events.StepsReset():
                self.again |= {
                    path for path in self.started if any(is_within(path, scope) for scope in fact.paths)
                }
            case events.StopRequested():
                self.rolls_back = self.rolls_back if fact.rollback is None else fact.rollback
                self.ends_well = self.ends_well or (fact.ending is not None and fact.ending[0] == "succeeded")
            case events.BodyEnded(outcome="succeeded"):
                self.went_well.add(fact.path)
            case events.PhaseStarted(phase="rollback"):
                order = [self.started[path] for path in fact.undo if path in self.started]
                assert order == sorted(order, reverse=True), f"{fact.path} undoes {fact.undo}"
            case events.StepUndone():
                assert fact.path not in self.undone, f"{fact.path} was undone twice"
                self.undone.add(fact.path)
                self.again.discard(fact.path)
            case events.StepEnded(status="failed" | "cancelled"):
                self.check_scope(fact.path)
            case _:
                pass

    def _take_start(self, number: int, fact: events.StepStarted) -> None:
        is_again = fact.path in self.again
        if fact.stage == "check" and not is_again:
            return
        if fact.path not in self.started or fact.path in self.undone or is_again:
            self.started[fact.path] = number
            self.undone.discard(fact.path)
            self.again.discard(fact.path)

    def check_scope(self, scope: str) -> None:
        """A scope that failed or was cancelled has undone everything that was started in it."""
        node = self.run.nodes.get(scope)
        is_scope = scope == ROOT or (
            node is not None and (node.frame or not self.run.plan[node.plan].is_leaf)
        )
        if not is_scope or not self.rolls_back or self.ends_well or scope in self.went_well:
            return
        left = [
            path
            for path in self.started
            if path not in self.undone
            and path != scope
            and is_within(path, scope)
            and not is_protected(path, scope)
            and not path[len(scope) :].startswith(("~catch", "~on_failure"))
        ]
        assert left == [], f"{scope or 'the run'} failed and left {left} standing"


def check_what_is_owed(run: Run) -> None:
    """Every open leaf of an open run is owed something by the world, so a restart goes on."""
    owed = {command.path for command in commands.outstanding(run)}
    silent = [node.path for node in run.open_leaves() if node.path not in owed and not _waits_for_word(node)]
    assert silent == [], f"nobody owes anything to {silent}"


def _waits_for_word(node: Node) -> bool:
    """Whether a person or a program will send what the node waits for, or the gate of its environment lets it go on."""
    words = ("signal", "event", "environment")
    return node.status == "waiting" and node.awaited is not None and node.awaited.kind in words


def check_end(run: Run) -> None:
    """An ended run has no loose ends."""
    assert run.status in END_STATES
    assert not run.leaves
    assert run.performing == 0
    is_never_begun = run.nodes.get(ROOT) is None or run.status == "skipped" or not run.nodes[ROOT].active
    assert is_never_begun
    still_open = [path for path, node in run.nodes.items() if path != ROOT and node.is_open]
    assert still_open == []
    busy = [path for path, node in run.nodes.items() if node.active]
    assert busy == []
