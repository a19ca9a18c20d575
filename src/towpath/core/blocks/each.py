"""`each`: the body for every item, in batches, with a bound on how many may fail."""

from __future__ import annotations

import bisect
import functools
import itertools
import re
from collections.abc import Mapping

from towpath.core import events, flow
from towpath.core.blocks.group import check_room, start_block
from towpath.core.plan import PlanStep
from towpath.core.run import Error, Json, Node, Path
from towpath.core.turn import Turn
from towpath.definition import model
from towpath.errors import ExpressionError

ITEMS_MAX = 100_000
"""Items that one `each` may have."""
PARALLEL_DEFAULT = 20
"""Items that run at the same time where the file does not say `max_parallel`."""
_PLAIN_KEY = re.compile(r"[A-Za-z0-9._:@+,=-]{1,64}")


def enter(turn: Turn, planned: PlanStep, path: Path) -> None:
    """Works out the items and starts the first ones."""
    step = _step(planned)
    value = turn.plain(planned.texts["each"], path)
    items = items_of(value, is_matrix=isinstance(step.each, model.Matrix))
    check_room(turn.run, len(items))
    start_block(turn, planned, path, items=items)
    _go_on(turn, path, planned)


def child_ended(turn: Turn, node: Node, child: Node) -> None:
    """Starts the next items, or ends the step."""
    planned = turn.planned(node)
    step = _step(planned)
    too_many = turn.node(node.path).failed > allowed_failures(step.max_failures, len(node.items or ()))
    if too_many and step.fail_fast and child.status == "failed" and turn.stop_reason(node.path) is None:
        _stop_others(turn, node)
    _go_on(turn, node.path, planned)


def _stop_others(turn: Turn, node: Node) -> None:
    for key, _ in (node.items or ())[: node.cursor]:
        frame = turn.run.nodes[f"{node.path}[{key}]"]
        if frame.is_open and frame.path not in turn.run.stops:
            flow.stop(turn, frame.path, reason="too many items failed")


def items_of(value: Json, *, is_matrix: bool = False) -> tuple[tuple[str, Json], ...]:
    """Key and value of every item; raises ExpressionError for what is no list, map or matrix, or has too many items."""
    if is_matrix:
        return _matrix_items(value)
    if isinstance(value, Mapping):
        _check_count(len(value))
        return _keyed([(str(key), {"key": key, "value": inner}) for key, inner in value.items()])
    if isinstance(value, list | tuple):
        _check_count(len(value))
        return _keyed([(item if isinstance(item, str) else "", item) for item in value])
    raise ExpressionError(f"`each` needs a list or a map, not {type(value).__name__}")


def _matrix_items(value: Mapping[str, Json]) -> tuple[tuple[str, Json], ...]:
    names = list(value)
    count = 1
    for name in names:
        if not isinstance(value[name], list | tuple):
            raise ExpressionError(f"the matrix values of {name!r} have to be a list")
        count *= len(value[name])
    _check_count(count)
    found = []
    for combination in itertools.product(*(value[name] for name in names)):
        key = ",".join(f"{name}={part}" for name, part in zip(names, combination, strict=True))
        found.append((key, dict(zip(names, combination, strict=True))))
    return _keyed(found)


def _check_count(count: int) -> None:
    if count > ITEMS_MAX:
        raise ExpressionError(f"`each` has {count:,} items; the limit EACH_ITEMS_MAX is {ITEMS_MAX:,}")


def _keyed(items: list[tuple[str, Json]]) -> tuple[tuple[str, Json], ...]:
    """Items under their own words where these are plain and unique, else under their positions from 1."""
    seen: set[str] = set()
    found = []
    for position, (word, item) in enumerate(items, start=1):
        key = word if _PLAIN_KEY.fullmatch(word) and word not in seen else f"#{position}"
        seen.add(key)
        found.append((key, item))
    return tuple(found)


def allowed_failures(limit: int | str, count: int) -> int:
    """How many of *count* items may fail: a number, or a percentage rounded down."""
    if isinstance(limit, int):
        return limit
    return count * int(limit.removesuffix("%")) // 100


@functools.lru_cache(maxsize=256)
def batch_ends(batch: tuple[int | str, ...], count: int) -> tuple[int, ...]:
    """Where every batch of *count* items ends; a percentage is of all items, at least one, and the last size repeats."""
    ends: list[int] = []
    done = 0
    for position in itertools.count():
        if done >= count:
            return tuple(ends) or (0,)
        size = batch[min(position, len(batch) - 1)]
        wanted = size if isinstance(size, int) else -(-count * int(size.removesuffix("%")) // 100)
        done = min(count, done + max(1, wanted))
        ends.append(done)
    raise AssertionError("unreachable")


def _go_on(turn: Turn, path: Path, planned: PlanStep) -> None:
    """Starts items as far as the batch, `max_parallel` and the failures allow; ends the step when none is left."""
    step = _step(planned)
    node = turn.node(path)
    items = node.items or ()
    places = step.max_parallel or PARALLEL_DEFAULT
    failures_max = allowed_failures(step.max_failures, len(items))
    while node.cursor < _batch_end(step, node) and node.active < places and node.failed <= failures_max:
        if turn.stop_reason(path) is not None:
            break
        _start_item(turn, planned, path, items[node.cursor][0])
        node = turn.node(path)
    if not node.active:
        _end(turn, node, failures_max)


def _batch_end(step: model.EachStep, node: Node) -> int:
    count = len(node.items or ())
    if step.batch is None:
        return count
    batch = step.batch if isinstance(step.batch, tuple) else (step.batch,)
    ends = batch_ends(batch, count)
    if node.active:
        return ends[bisect.bisect_left(ends, node.cursor)] if node.cursor else ends[0]
    return ends[min(bisect.bisect_right(ends, node.cursor), len(ends) - 1)]


def _start_item(turn: Turn, planned: PlanStep, path: Path, key: str) -> None:
    frame = f"{path}[{key}]"
    before = turn.run.nodes.get(frame)
    if before is not None and before.carried and before.went_well:
        flow.carry(turn, planned, before)
        return
    attempt = 1 if before is None else before.attempt + 1
    turn.emit(events.StepStarted(at=turn.at, path=frame, plan=planned.number, frame="item", attempt=attempt))
    turn.later_advance(frame)


def _end(turn: Turn, node: Node, failures_max: int) -> None:
    items = node.items or ()
    if turn.stop_reason(node.path) is not None:
        flow.settle(turn, node.path, "cancelled")
    elif node.failed > failures_max:
        flow.settle(turn, node.path, "failed", error=_error(turn, node))
    elif node.cursor >= len(items):
        if node.failed:
            turn.emit(events.FailureSettled(at=turn.at, path=node.path, how="continued"))
        flow.settle(turn, node.path, "succeeded")


def _error(turn: Turn, node: Node) -> Error:
    """The error of the first item that failed, saying how many did."""
    items = node.items or ()
    frames = (turn.run.nodes.get(f"{node.path}[{key}]") for key, _ in items[: node.cursor])
    failed = [frame for frame in frames if frame is not None and frame.status == "failed"]
    first = failed[0].error or Error(kind="exit", message="", step=failed[0].path)
    message = f"{len(failed)} of {len(items)} items failed; the first, {failed[0].path}: {first.message}"
    return Error(
        kind=first.kind, message=message, step=first.step, exit_code=first.exit_code, outputs=first.outputs
    )


def _step(planned: PlanStep) -> model.EachStep:
    assert isinstance(planned.step, model.EachStep)
    return planned.step
