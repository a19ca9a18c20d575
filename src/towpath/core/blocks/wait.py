"""`wait`: for time, for a window, for an event or for a signal."""

from __future__ import annotations

import datetime

from towpath.core import events, flow
from towpath.core.blocks.group import MICROS, start_block
from towpath.core.plan import PlanStep
from towpath.core.run import Awaited, Json, Node, Path
from towpath.core.turn import Turn
from towpath.definition import model
from towpath.errors import ExpressionError


def enter(turn: Turn, planned: PlanStep, path: Path) -> None:
    """Starts to wait, unless what is waited for has come already."""
    awaited = _awaited(turn, planned, path)
    start_block(turn, planned, path)
    position = _kept(turn, planned, path, awaited)
    if position is not None:
        payload = turn.run.signals[position][2]
        turn.emit(events.SignalTaken(at=turn.at, position=position))
        flow.settle(turn, path, "succeeded", outputs=outputs_of(payload))
        return
    turn.emit(events.WaitStarted(at=turn.at, path=path, awaited=awaited))


def child_ended(turn: Turn, node: Node, child: Node) -> None:
    """A wait has no children."""
    raise AssertionError(f"{node.path} has no child {child.path}")


def matches(turn: Turn, node: Node, kind: str, name: str, payload: Json) -> bool:
    """Whether *node* waits for this signal or event."""
    awaited = node.awaited
    if awaited is None or awaited.kind != kind or awaited.name != name:
        return False
    return _wanted(turn, turn.planned(node), node.path, payload)


def outputs_of(payload: Json) -> dict[str, Json]:
    """The outputs of a wait: the payload's own keys, or `payload` where it is no map."""
    if isinstance(payload, dict):
        return payload
    return {} if payload is None else {"payload": payload}


def _kept(turn: Turn, planned: PlanStep, path: Path, awaited: Awaited) -> int | None:
    if awaited.kind not in ("signal", "event"):
        return None
    for position, (kind, name, payload) in enumerate(turn.run.signals):
        if kind == awaited.kind and name == awaited.name and _wanted(turn, planned, path, payload):
            return position
    return None


def _wanted(turn: Turn, planned: PlanStep, path: Path, payload: Json) -> bool:
    if planned.wait_if is None:
        return True
    try:
        return turn.holds(planned.wait_if, path, {"event": payload})
    except ExpressionError:
        return False


def _awaited(turn: Turn, planned: PlanStep, path: Path) -> Awaited:
    value = turn.plain(planned.texts["wait"], path)
    if isinstance(value, str):
        try:
            seconds = model.parse_duration(value)
        except ValueError as problem:
            raise ExpressionError(f"wait: {value!r} {problem}") from None
        return Awaited(kind="time", due=turn.at + round(seconds * MICROS))
    match value:
        case {"until": until}:
            return Awaited(kind="time", due=instant(until))
        case {"window": window}:
            return Awaited(kind="window", name=str(window))
        case {"event": event}:
            return Awaited(kind="event", name=str(event))
        case {"signal": signal}:
            return Awaited(kind="signal", name=str(signal))
        case _:
            raise ExpressionError(f"wait: {value!r} is not a duration: write for example 30s, 10m or 1h30m")


def instant(text: Json) -> int:
    """Microseconds since the epoch of an RFC 3339 timestamp; raises ExpressionError."""
    try:
        found = datetime.datetime.fromisoformat(str(text))
        if found.tzinfo is not None:
            return round(found.timestamp() * MICROS)
    except (ValueError, OverflowError):
        pass
    raise ExpressionError(
        f"{text!r} is not an RFC 3339 timestamp with a time zone, such as 2026-11-22T22:00:00Z"
    )
