"""When two states are the same: as far as anything that can still happen, or that is asked of the end, can tell.

Times, counts of attempts and messages are left out. Of a step that has ended only that stays which somebody may still read: its outputs
while a condition waits for them, that it can be undone, that it left something behind. Rounds of a `repeat` that are over are one, and the
items of an `each` that no condition tells apart stand for each other.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass

from towpath.core.evolve import parent_path
from towpath.core.plan import Plan, PlanStep
from towpath.core.retries import NEVER_RETRIED
from towpath.core.run import Error, Node, Path, Question, Run
from towpath.definition import model
from towpath.trials.checking.reading import Reading
from towpath.trials.checking.sources import Owner
from towpath.trials.checking.timers import Timers
from towpath.trials.checking.world import Situation

ATTEMPTS_TOLD_MAX = 10
"""Attempts that are told apart where a condition asks how many there were."""
_PAST = "past"
_NOW = "now"


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """What is kept in mind besides what the run itself needs, because a finding may need it."""

    effects: frozenset[int] = frozenset()
    """Steps that leave something behind when they have done their work."""
    decisions: frozenset[int] = frozenset()
    """Approvals whose outcome is kept to the end."""


def _asked(question: Question) -> Hashable:
    """What matters of a question: what may be said, and whether its evidence was read."""
    return (question.kind, question.choices, all(name in question.evidence for name in question.files))


def _is_final(node: Node) -> bool:
    """Whether a failure is of a kind that decides how the run ends."""
    return node.error is not None and node.error.kind in NEVER_RETRIED


class Keys:
    """Makes the keys of the states of one plan."""

    def __init__(self, plan: Plan, reading: Reading, kept: Kept) -> None:
        self._plan = plan
        self._reading = reading
        self._kept = kept
        self._sends_back = any(getattr(one.step, "send_back_to", None) for one in plan.steps)
        self._has_rounds = any(one.kind == "repeat" for one in plan.steps)
        self._alike = frozenset(
            one.number
            for one in plan.steps
            if one.kind == "each" and one.number not in reading.reads_items_of
        )
        self._quiet = frozenset(
            one.number
            for one in plan.steps
            if not one.has_rollback
            and one.number not in kept.effects | kept.decisions
            and one.number not in reading.readers.keys() | reading.text_readers.keys()
            and one.slot != "parallel"
        )
        """Steps of which nothing matters when they have ended."""
        self._tells_kinds = None in reading.error_kinds
        self._tells_codes = None in reading.exit_codes
        self._error_read = bool(reading.reads_error)

    def of(self, here: Situation, start: int) -> int:
        """The key of a state; *start* says with which inputs the run was started."""
        run = here.run
        live: dict[int, tuple[bool, bool]] = {}
        entries: list[tuple[Path, Hashable]] = []
        for path, node in run.nodes.items():
            entry = self._open(run, node, here.timers) if node.is_open else self._closed(run, node, live)
            if entry is not None:
                entries.append((self._renamed(run, path), entry))
        whole = (
            start,
            self._standing(run),
            run.state,
            run.end_state if run.has_ended else "",
            run.entered,
            run.rolls_back,
            run.rollback_failed,
            run.partial,
            run.ending,
            tuple((kind, name) for kind, name, _ in run.signals),
        )
        return hash((whole, frozenset(self._folded(run, entries))))

    def _standing(self, run: Run) -> Hashable:
        """Which steps were undone, and which left something behind: what a finding has to know at the end."""
        effects = self._kept.effects
        if not effects:
            return None
        nodes = run.nodes.values()
        return (
            frozenset(node.plan for node in nodes if node.undone),
            frozenset(node.plan for node in nodes if node.plan in effects and node.status == "succeeded"),
        )

    # Nodes.

    def _open(self, run: Run, node: Node, timers: Timers) -> Hashable:
        planned = self._plan[node.plan]
        return (
            node.status,
            node.phase,
            node.stage,
            self._tries(planned, node),
            node.stopping,
            node.outcome,
            node.settled,
            node.started,
            node.undone,
            node.undid,
            self._cursor(planned, node),
            node.active,
            node.failed if self._counts_failures(planned, node) else 0,
            self._error(node.error),
            None if node.outputs is None else repr(node.outputs),
            self._items(planned, node),
            None if node.question is None else _asked(node.question),
            sum(answer.decision == "approve" for answer in node.answers),
            None if node.awaited is None else (node.awaited.kind, node.awaited.name),
            run.stops.get(node.path),
            None if node.due is None else timers.key_of(node.path, "due", node.due),
            None if node.timeout_at is None else timers.key_of(node.path, "timeout", node.timeout_at),
        )

    def _counts_failures(self, planned: PlanStep, node: Node) -> bool:
        return not node.frame and node.phase == "body" and planned.kind in ("parallel", "each")

    def _tries(self, planned: PlanStep, node: Node) -> int:
        """Whether it is the first attempt or a later one; all later ones lead to the same."""
        if node.plan in self._reading.reads_attempts:
            return min(node.attempt, ATTEMPTS_TOLD_MAX)
        retry = planned.step.retry if planned.step is not None else None
        return 0 if retry is None or node.frame or retry.attempts == 1 else min(node.tries, 2)

    def _cursor(self, planned: PlanStep, node: Node) -> int:
        if node.phase not in ("body", "rollback"):
            return 0
        if planned.kind != "repeat" or node.frame or node.phase != "body":
            return node.cursor
        step = planned.step
        assert isinstance(step, model.RepeatStep)
        if step.times is not None:
            return node.cursor
        return min(node.cursor, self._reading.index_limit + 1) if self._reading.reads_index else 0

    def _items(self, planned: PlanStep, node: Node) -> Hashable:
        if node.items is None:
            return None
        return len(node.items) if planned.number in self._alike else repr(node.items)

    def _error(self, error: Error | None) -> Hashable:
        if error is None:
            return None
        kind = error.kind if self._tells_kinds or error.kind in NEVER_RETRIED else ""
        code = error.exit_code if self._tells_codes else None
        return (kind, code, error.step if self._reading.reads_messages else "")

    def _closed(self, run: Run, node: Node, live: dict[int, tuple[bool, bool]]) -> Hashable | None:
        if node.frame:
            return self._closed_frame(run, node)
        if node.plan in self._quiet:
            return None
        parts: list[Hashable] = []
        planned = self._plan[node.plan]
        if planned.has_rollback and node.started and not node.undone:
            parts.append("undo")
        if node.plan in self._kept.decisions:
            parts.append(((node.outputs or {}).get("decision"), node.reason == "unanswered"))
        if (
            node.status == "reset"
            and node.started
            and planned.step is not None
            and planned.step.check is not None
        ):
            parts.append("reset")
        if self._stands_open(run, node) in ("parallel", "each"):
            parts.append((node.status, node.settled, self._error(node.error)))
        parts.extend(self._read_of(run, node, live))
        return tuple(parts) or None

    def _closed_frame(self, run: Run, node: Node) -> Hashable | None:
        if node.frame == "gate":
            return (node.status, bool(node.answers))
        if node.frame == "item" and node.status == "failed" and self._stands_open(run, node):
            return self._error(node.error) if self._tells_kinds or _is_final(node) else None
        return None

    def _stands_open(self, run: Run, node: Node) -> str:
        """The kind of the block around a node while that is open."""
        above = parent_path(node.path)
        holder = run.nodes.get(above) if above is not None else None
        if holder is None or not holder.is_open:
            return ""
        return "frame" if holder.frame and node.frame != "item" else self._plan[holder.plan].kind

    def _read_of(self, run: Run, node: Node, live: dict[int, tuple[bool, bool]]) -> Iterable[Hashable]:
        """What somebody may still read of a step that has ended."""
        number = node.plan
        if number not in live:
            live[number] = (
                self._is_live(run, self._reading.readers.get(number, ())),
                self._is_live(run, self._reading.text_readers.get(number, ())),
            )
        values, texts = live[number]
        if values:
            outputs = None if node.outputs is None else repr(node.outputs)
            attempts = min(node.attempt, ATTEMPTS_TOLD_MAX) if number in self._reading.reads_attempts else 0
            error = self._error(node.error) if self._error_read else None
            yield ("read", node.status, outputs, attempts, error)
        elif texts:
            yield ("named", node.status in ("succeeded", "skipped"), tuple(sorted(node.outputs or ())))

    def _is_live(self, run: Run, readers: Iterable[Owner]) -> bool:
        return any(owner is None or self._may_read(run, owner) for owner in readers)

    def _may_read(self, run: Run, owner: int) -> bool:
        """Whether the step with this number may still work out its expressions."""
        if self._sends_back:
            return True
        planned: PlanStep | None = self._plan[owner]
        while planned is not None and planned.number >= 0:
            if planned.static_path is not None:
                node = run.nodes.get(planned.static_path)
                if node is not None and not node.is_open and node.status != "reset":
                    return False
            planned = planned.parent
        return not run.has_ended

    # Paths.

    def _renamed(self, run: Run, path: Path) -> Path:
        """The path with rounds of a `repeat` named by whether they are over."""
        if not self._has_rounds or "[" not in path:
            return path
        name, copied, end = "", 0, -1
        while (end := path.find("]", end + 1)) >= 0:
            frame = run.nodes.get(path[: end + 1])
            if frame is None or frame.frame != "round":
                continue
            start = path.rindex("[", 0, end)
            is_now = frame.position + 1 == run.nodes[path[:start]].cursor
            if is_now and self._reading.reads_index:
                continue
            name += path[copied:start] + (f"[{_NOW}]" if is_now else f"[{_PAST}]")
            copied = end + 1
        return name + path[copied:]

    def _folded(self, run: Run, entries: list[tuple[Path, Hashable]]) -> Iterable[Hashable]:
        """The entries; those of items that are alike only counted."""
        if not self._alike:
            return entries
        items: dict[tuple[Path, str], list[Hashable]] = {}
        plain: list[Hashable] = []
        for path, entry in entries:
            found = self._item_of(run, path)
            if found is None:
                plain.append((path, entry))
            else:
                loop, key, rest = found
                items.setdefault((loop, key), []).append((rest, entry))
        counted: Mapping[Hashable, int] = Counter(
            (loop, frozenset(inner)) for (loop, _), inner in items.items()
        )
        return (*plain, *counted.items())

    def _item_of(self, run: Run, path: Path) -> tuple[Path, str, Path] | None:
        """The outermost loop of items that are alike around *path*, the item, and the rest of the path."""
        start = path.find("[")
        while start >= 0:
            loop = run.nodes.get(path[:start])
            if loop is not None and not loop.frame and loop.items is not None and loop.plan in self._alike:
                end = path.index("]", start)
                return path[:start], path[start + 1 : end], path[end + 1 :]
            start = path.find("[", start + 1)
        return None
