"""A run as a tree of rows: what has ended, what goes on, what comes; large loops are counted, not listed. For terminals and pages.

The tree follows the definition, and looks up how far each step has come. Its cost depends on the rows that are shown, not on how many
items a loop has: of a large `each` only the failed and the running items have rows, and the rest is told from the counters in its node.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from towpath.core.names import names_for
from towpath.core.plan import HANDLERS, PlanStep
from towpath.core.run import Micros, Node, Path, Run
from towpath.definition import model
from towpath.errors import ExpressionError
from towpath.observe import words
from towpath.observe.chronicle import Chronicle
from towpath.observe.plain_text import first_line, safe
from towpath.server.shapes import waits

ITEMS_LISTED_MAX = 12
"""Items of an `each` that all have a row; of more, only those that failed or run."""
ITEMS_FAILED_MAX = 8
ITEMS_RUNNING_MAX = 8

Look: TypeAlias = Literal[
    "pending", "performing", "retrying", "waiting", "asking", "open", "succeeded", "failed", "skipped", "cancelled",
    "undone", "folded",
]  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One line of the tree, and the rows below it."""

    look: Look
    label: str
    path: Path = ""
    took: str = ""
    note: str = ""
    tail: tuple[str, ...] = ()
    """The last lines of the step's log."""
    rows: tuple[Row, ...] = ()

    @property
    def is_settled(self) -> bool:
        """Whether nothing here, or below, needs attention."""
        return self.look in ("succeeded", "skipped", "pending", "folded") and all(
            row.is_settled for row in self.rows
        )

    @property
    def urgency(self) -> int:
        """What has to be seen first: 0 for questions and failures, 1 for what goes on, 2 for the rest."""
        own = 0 if self.look in ("asking", "failed") else 2 if self.is_settled else 1
        return min([own, *(row.urgency for row in self.rows)])


@dataclass(frozen=True, slots=True, kw_only=True)
class Detail:
    """What is shown besides the state."""

    now: Micros
    chronicle: Chronicle = field(default_factory=Chronicle)
    tails: Mapping[Path, tuple[str, ...]] = field(default_factory=dict)
    everything: bool = False
    """Every item and round of every loop."""
    items_listed_max: int = ITEMS_LISTED_MAX
    """Items of an `each` that all have a row."""


def tree(run: Run, detail: Detail) -> tuple[Row, ...]:
    """The rows of *run*."""
    return _Builder(run, detail).root_rows()


class _Builder:
    """The tree of one run at one moment."""

    def __init__(self, run: Run, detail: Detail) -> None:
        self.run = run
        self.detail = detail
        self._running: dict[Path, dict[Path, None]] | None = None
        self._leaves_of: dict[Path, list[Path]] = {}

    def root_rows(self) -> tuple[Row, ...]:
        root = self.run.plan.root
        rows = list(self._list(root.lists.get("steps", ()), ""))
        for handler in ("rollback", "catch", "on_failure", "finally"):
            rows += self._handler(root, "", handler)
        return tuple(rows)

    def _list(self, steps: Iterable[PlanStep], frame: Path) -> Iterator[Row]:
        for planned in steps:
            path = f"{frame}/{planned.key}" if frame else planned.key
            yield self._step(planned, path)

    def _step(self, planned: PlanStep, path: Path) -> Row:
        node = self.run.nodes.get(path)
        if node is None or node.status == "reset":
            return self._pending(planned, path, node)
        look = look_of(node)
        return Row(
            look=look,
            label=label_of(planned),
            path=path,
            took=self._took(node),
            note=self._note(planned, node),
            tail=self.detail.tails.get(path, ()) if node.is_open else (),
            rows=(*self._body(planned, node), *self._handlers(planned, path)),
        )

    def _pending(self, planned: PlanStep, path: Path, node: Node | None) -> Row:
        title = self._title(planned, path)
        note = (
            "will run again"
            if node is not None
            else "not reached"
            if self.run.has_ended
            else title or outline(planned)
        )
        rows: tuple[Row, ...] = ()
        if planned.kind in ("steps", "parallel") and not self.run.has_ended and node is None:
            rows = tuple(self._list(planned.lists.get(planned.kind, ()), path))
        return Row(look="pending", label=label_of(planned), path=path, note=note, rows=rows)

    # --- what is inside a block --------------------------------------------------------------------------

    def _body(self, planned: PlanStep, node: Node) -> tuple[Row, ...]:
        if node.status == "skipped":
            return ()
        match planned.kind:
            case "steps" | "parallel":
                return tuple(self._list(planned.lists[planned.kind], node.path))
            case "each":
                return self._items(planned, node)
            case "repeat":
                return self._rounds(planned, node)
            case "choose":
                return self._branch(planned, node)
            case _:
                return ()

    def _items(self, planned: PlanStep, node: Node) -> tuple[Row, ...]:
        items = node.items or ()
        if len(items) <= self.detail.items_listed_max or self.detail.everything:
            return tuple(self._item(planned, f"{node.path}[{key}]", key) for key, _ in items)
        failed = self._failed_items(node)
        running = sorted(
            (frame for frame in self._running_items().get(node.path, {}) if frame not in failed),
            key=lambda frame: self.run.nodes[frame].position,
        )
        shown = [*failed[:ITEMS_FAILED_MAX], *running[:ITEMS_RUNNING_MAX]]
        rows = [self._short_item(frame) for frame in shown]
        hidden = len(items) - len(shown)
        more = Row(look="folded", label=f"{hidden:,} more", path=node.path, note=self._counts(node, shown))
        rows.append(more)
        return tuple(rows)

    def _failed_items(self, node: Node) -> list[Path]:
        known = self.detail.chronicle.failed_items.get(node.path)
        if known:
            return list(known)
        if not node.failed:
            return []
        frames = (f"{node.path}[{key}]" for key, _ in node.items or ())
        return [
            frame
            for frame in frames
            if (child := self.run.nodes.get(frame)) is not None and child.status == "failed"
        ]

    def _running_items(self) -> dict[Path, dict[Path, None]]:
        """The frames with open leaves, by their `each`: found from the leaves, of which there are few."""
        if self._running is None:
            self._running = {}
            self._leaves_of = {}
            for leaf in self.run.leaves:
                end = 0
                while (end := leaf.find("]", end + 1)) > 0:
                    frame = leaf[: end + 1]
                    self._running.setdefault(frame[: frame.rindex("[")], {})[frame] = None
                    self._leaves_of.setdefault(frame, []).append(leaf)
        return self._running

    def _short_item(self, frame: Path) -> Row:
        """An item of a large loop on one line: which of its steps failed, or goes on."""
        node = self.run.nodes[frame]
        look = look_of(node)
        if node.error is not None and not node.is_open:
            where = node.error.step.removeprefix(f"{frame}/")
            note = f"{safe(where)}: {first_line(node.error.message)}"
        else:
            leaves = self._leaves_of.get(frame, ())
            note = ", ".join(safe(leaf.removeprefix(f"{frame}/")) for leaf in leaves)
            looks = {look_of(self.run.nodes[leaf]) for leaf in leaves}
            look = looks.pop() if len(looks) == 1 else look
        return Row(look=look, label=_instance(frame), path=frame, took=self._took(node), note=note)

    def _item(self, planned: PlanStep, frame: Path, key: str) -> Row:
        node = self.run.nodes.get(frame)
        if node is None or node.status == "reset":
            note = "not reached" if self.run.has_ended else ""
            return Row(look="pending", label=key, path=frame, note=note)
        steps = planned.lists["steps"]
        if len(steps) == 1 and steps[0].is_leaf:
            only = self._step(steps[0], f"{frame}/{steps[0].key}")
            return dataclasses.replace(only, label=safe(key))
        look = look_of(node)
        rows: tuple[Row, ...] = ()
        if look not in ("succeeded", "skipped") or self.detail.everything:
            rows = tuple(self._list(steps, frame))
        elif any(self._was_undone(step, frame) for step in steps):
            look = "undone"
        return Row(
            look=look,
            label=safe(key),
            path=frame,
            took=self._took(node),
            note=self._frame_note(node),
            rows=rows,
        )

    def _was_undone(self, planned: PlanStep, frame: Path) -> bool:
        node = self.run.nodes.get(f"{frame}/{planned.key}")
        return node is not None and node.undone

    def _rounds(self, planned: PlanStep, node: Node) -> tuple[Row, ...]:
        rounds = range(1, node.cursor + 1)
        if self.detail.everything:
            return tuple(self._round(planned, f"{node.path}[{number}]", number) for number in rounds)
        return (
            tuple(self._list(planned.lists["repeat"], f"{node.path}[{node.cursor}]")) if node.cursor else ()
        )

    def _round(self, planned: PlanStep, frame: Path, number: int) -> Row:
        node = self.run.nodes.get(frame)
        if node is None:
            return Row(look="pending", label=f"round {number}", path=frame)
        rows = tuple(self._list(planned.lists["repeat"], frame))
        return Row(look=look_of(node), label=f"round {number}", path=frame, took=self._took(node), rows=rows)

    def _branch(self, planned: PlanStep, node: Node) -> tuple[Row, ...]:
        for position, (_, slot) in enumerate(planned.branches, start=1):
            if f"{node.path}[{position}]" in self.run.nodes:
                return tuple(self._list(planned.lists.get(slot, ()), f"{node.path}[{position}]"))
        return ()

    # --- what handles a step's end -----------------------------------------------------------------------

    def _handlers(self, planned: PlanStep, path: Path) -> Iterator[Row]:
        for handler in HANDLERS:
            yield from self._handler(planned, path, handler)

    def _handler(self, planned: PlanStep, path: Path, handler: str) -> Iterator[Row]:
        frame = f"{path}~{handler}"
        node = self.run.nodes.get(frame)
        if node is None:
            return
        look = look_of(node)
        if handler == "rollback" and look == "succeeded" and not self.detail.everything:
            return  # its step's own row says that it was undone
        rows = tuple(self._list(planned.lists.get(handler, ()), frame))
        note = self._frame_note(node)
        yield Row(
            look=look, label=_HANDLER_LABELS[handler], path=frame, took=self._took(node), note=note, rows=rows
        )

    def _frame_note(self, node: Node) -> str:
        if node.status == "asking" and node.question is not None:
            return first_line(node.question.text)
        if node.reason == "carried":
            return "done in the run before"
        if node.reason == "by_hand":
            return "undone by hand"
        if node.reason == "given_up":
            return "given up"
        return ""

    # --- words -------------------------------------------------------------------------------------------

    def _took(self, node: Node) -> str:
        if not node.started_at or node.reason == "carried":
            return ""
        return words.duration((node.ended_at or self.detail.now) - node.started_at)

    def _note(self, planned: PlanStep, node: Node) -> str:
        parts = [part for part in (self._state_note(planned, node), self._progress(planned, node)) if part]
        if not parts or (node.status in ("succeeded", "performing") and not planned.lists):
            title = self._title(planned, node.path)
            parts = [title, *parts] if title else parts
        return " · ".join(parts)

    def _state_note(self, planned: PlanStep, node: Node) -> str:
        match node.status:
            case "failed":
                return self._failure_note(node)
            case "performing" | "open":
                return self._working_note(planned, node)
            case "retrying" | "waiting" | "asking":
                return self._wait_note(planned, node)
            case "succeeded":
                return self._success_note(planned, node)
            case status:
                words_of = _SKIPPED if status == "skipped" else _CANCELLED
                return words_of.get(node.reason, safe(node.reason))

    def _working_note(self, planned: PlanStep, node: Node) -> str:
        if node.stopping or node.path in self.run.stops:
            return f"stopping: {self.run.stops.get(node.path) or 'asked to end'}"
        if node.phase == "rollback":
            return f"rolling back {node.cursor + 1} of {len(node.undo)}"
        if node.status == "performing" and node.stage == "check":
            return "checking whether it is done already"
        if node.child is not None:
            return f"run {node.child}"
        return _attempt_words(planned, node) if node.tries > 1 and node.status == "performing" else ""

    def _success_note(self, planned: PlanStep, node: Node) -> str:
        if node.undone:
            return self._undone_note(planned, node)
        if node.tries > 1:
            return _attempt_words(planned, node)
        return _SUCCEEDED.get(node.reason, safe(node.reason))

    def _undone_note(self, planned: PlanStep, node: Node) -> str:
        frame = self.run.nodes.get(f"{node.path}~rollback")
        if frame is not None and frame.reason == "by_hand":
            return "undone by hand"
        names = [
            step.key for step in planned.lists.get("rollback", ()) if step.step is not None and step.step.id
        ]
        return f"rolled back by {', '.join(names)}" if names else "rolled back"

    def _failure_note(self, node: Node) -> str:
        if node.error is not None and node.error.step != node.path and not node.settled:
            return ""  # the row of the step that failed says it
        message = first_line(node.error.message) if node.error is not None else "failed"
        if node.settled:
            message += f" ({_SETTLED.get(node.reason, 'settled')})"
        return message if node.attempt <= 1 or node.tries <= 1 else f"{message} (after {node.tries} attempts)"

    def _wait_note(self, planned: PlanStep, node: Node) -> str:
        wait = waits.wait_of(self.run, node, self.detail.chronicle)
        if wait is None:
            return ""
        now = self.detail.now
        if node.status == "retrying" and node.due is not None:
            message = first_line(node.error.message) if node.error is not None else ""
            return f"{_next_attempt(planned, node)} {words.ahead(node.due, now=now)}: {message}"
        note = safe(wait.reason)
        if wait.until is not None:
            note += f", until {words.moment(wait.until, now=now)} ({words.ahead(wait.until, now=now)})"
        return note

    def _progress(self, planned: PlanStep, node: Node) -> str:
        match planned.kind:
            case "each" if node.items is not None:
                return self._each_progress(planned, node)
            case "repeat" if node.cursor:
                times = planned.step.times if isinstance(planned.step, model.RepeatStep) else None
                return f"round {node.cursor}" + (f" of {times}" if times and node.is_open else "")
            case "choose" if node.status != "skipped":
                return self._chosen(planned, node)
            case "approve" if (
                node.status in ("succeeded", "failed") and node.answers and node.status == "succeeded"
            ):
                return "approved by " + ", ".join(safe(answer.by) for answer in node.answers)
            case "task" if node.status == "succeeded" and node.answers:
                return f"done by {safe(node.answers[-1].by)}"
            case _:
                return ""

    def _each_progress(self, planned: PlanStep, node: Node) -> str:
        count = len(node.items or ())
        done = node.cursor - node.active - node.failed
        text = f"{done:,} of {count:,}"
        if node.failed:
            text += f", {node.failed:,} failed"
        if node.is_open and node.active:
            text += f", {node.active:,} running"
        if node.reason == "continued" and node.failed:
            text += "; the run went on"
        step = planned.step
        if node.is_open and isinstance(step, model.EachStep) and step.batch is not None:
            text += f" · {batch_words(step, node)}"
        return text

    def _counts(self, node: Node, shown: list[Path]) -> str:
        """How many of the items without a row are in which state."""
        open_shown = sum(self.run.nodes[frame].is_open for frame in shown)
        waiting = len(node.items or ()) - node.cursor
        numbers = (
            (node.cursor - node.active - node.failed, "succeeded"),
            (node.failed - (len(shown) - open_shown), "failed"),
            (node.active - open_shown, "running"),
            (waiting, "to come" if node.is_open else "not reached"),
        )
        return ", ".join(f"{number:,} {word}" for number, word in numbers if number > 0)

    def _chosen(self, planned: PlanStep, node: Node) -> str:
        step = planned.step
        assert isinstance(step, model.ChooseStep)
        for position, branch in enumerate(step.choose, start=1):
            if f"{node.path}[{position}]" in self.run.nodes:
                return "else" if branch.else_ is not None else f"if {first_line(branch.if_ or '')}"
        return ""

    def _title(self, planned: PlanStep, path: Path) -> str:
        template = planned.texts.get("title") if planned.step is not None else None
        if template is None:
            return ""
        if template.is_constant:
            return first_line(str(template.constant))
        try:
            value, _ = template.render(names_for(self.run, path, template.references))
        except (ExpressionError, KeyError):
            return first_line(planned.step.title or "") if planned.step is not None else ""
        return first_line(str(value))


def look_of(node: Node) -> Look:
    """How a node is shown."""
    if node.undone and node.status == "succeeded":
        return "undone"
    return "pending" if node.status == "reset" else node.status


def label_of(planned: PlanStep) -> str:
    """What a step is called: its id, or its position with what it does."""
    step = planned.step
    if step is None or step.id is not None:
        return planned.key
    return f"{planned.key} {step.uses if isinstance(step, model.UsesStep) else step.kind}"


def outline(planned: PlanStep) -> str:  # noqa: PLR0911 - one for each kind of step
    """What a step without a title will do, in a few words."""
    step = planned.step
    match step:
        case model.UsesStep():
            return step.uses
        case model.ApproveStep():
            return first_line(step.approve)
        case model.TaskStep():
            return first_line(step.task)
        case model.EachStep():
            return f"each of {first_line(str(step.each))}" if isinstance(step.each, str) else "each"
        case model.WorkflowStep():
            return f"workflow {step.workflow}"
        case model.RepeatStep():
            return f"until {first_line(step.until)}"
        case _:
            return ""


def batch_words(step: model.EachStep, node: Node) -> str:
    """Which batch of an `each` is going on: `batch 2 of 3`."""
    from towpath.core.blocks.each import batch_ends

    batch = step.batch if isinstance(step.batch, tuple) else (step.batch or 1,)
    ends = batch_ends(batch, len(node.items or ()))
    number = next((index for index, end in enumerate(ends, start=1) if node.cursor <= end), len(ends))
    return f"batch {number} of {len(ends)}"


def _instance(frame: Path) -> str:
    return safe(frame[frame.rindex("[") + 1 : -1])


def _attempt_words(planned: PlanStep, node: Node) -> str:
    retry = planned.step.retry if planned.step is not None else None
    return f"attempt {node.tries}" + (f" of {retry.attempts}" if retry and node.is_open else "")


def _next_attempt(planned: PlanStep, node: Node) -> str:
    retry = planned.step.retry if planned.step is not None else None
    return f"attempt {node.tries + 1}" + (f" of {retry.attempts}" if retry else "")


_HANDLER_LABELS = {"rollback": "rollback", "catch": "catch", "on_failure": "on failure", "finally": "finally"}
_SUCCEEDED = {"continued": "", "carried": "done in the run before", "unanswered": "nobody answered in time"}
_SKIPPED = {
    "condition": "skipped: its `if` does not hold",
    "already_done": "done already",
    "carried": "done in the run before",
    "no branch holds": "no branch holds",
}
_CANCELLED = {"stopped": "not started: the run was being stopped", "": "cancelled"}
_SETTLED = {"caught": "caught", "continued": "the run went on", "skipped": "passed over"}
