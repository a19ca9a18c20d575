"""Rotas: whose turn it is, as arithmetic on wall clocks.

A rotation hands over at times of the day on the wall clocks of its rota's time zone: a turn that starts on
Monday at 09:00 ends on a Monday at 09:00, whether the week had 167, 168 or 169 hours. A handover in the hour
that the clocks jump over happens when they jump; one in the hour that comes twice happens the first time, and
only then.

The first turn starts on the day `start`, at the time of day of the handover. Where `handover` names a day of
the week, turns are counted from that day, so a rotation that starts on a Wednesday and hands over on Mondays
begins with a short turn. Before its start a rotation does not count, and neither outside its `days` and `hours`;
turns go by all the same.

Of the overrides that cover an instant, the last one in the file counts; without one, the last rotation that
counts. Who stands there and is away without a deputy leaves the turn to the one below, so all of them are told
here, the strongest first.
"""

from __future__ import annotations

import zoneinfo
from collections.abc import Iterator
from dataclasses import dataclass

from towpath.core.run import Micros
from towpath.definition.project import WEEKDAYS, Layer, OnCall, days_of, parse_clock
from towpath.people import calendars, civil_time
from towpath.people.civil_time import DAY, FOREVER, MINUTE, SECOND, Wall

TURN_MIN: Micros = MINUTE
"""The shortest turn, in microseconds; a shorter one is taken as this long."""
FIRST_DAY = "2024-01-01"
"""The day on which the first turn starts where a rotation does not say; a Monday."""
_WEEK_DAYS = 7
_WHOLE_DAY: calendars.Spans = ((0, DAY),)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rotation:
    """One layer of a rota, read."""

    people: tuple[str, ...]
    turn: Micros
    anchor: Wall
    """When the first person's turn is counted from."""
    begins: Micros
    """From when the rotation counts at all."""
    counts: calendars.Timetable | None
    """When it counts; None for always."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Replacement:
    """One override, read."""

    start: Micros
    end: Micros
    who: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Rota:
    """A rota, read once for many questions."""

    zone: zoneinfo.ZoneInfo
    rotations: tuple[Rotation, ...]
    replacements: tuple[Replacement, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Holder:
    """Who has a turn, and what says so."""

    principal: str
    because: str
    """`an override`, or `rotation 1`."""


def read(on_call: OnCall) -> Rota:
    """The rota that the project's file describes."""
    zone = civil_time.zone_of(on_call.time_zone)
    return Rota(
        zone=zone,
        rotations=tuple(_rotation(layer, zone) for layer in on_call.rotations),
        replacements=tuple(
            Replacement(
                start=civil_time.start_of(each.from_, zone),
                end=civil_time.end_of(each.until, zone),
                who=each.who,
            )
            for each in on_call.overrides
        ),
    )


def holders(rota: Rota, at: Micros) -> Iterator[Holder]:
    """Who has the turn at an instant: the one that counts first, then those below it."""
    for override in reversed(rota.replacements):
        if override.start <= at < override.end:
            yield Holder(principal=override.who, because="an override")
    for position in reversed(range(len(rota.rotations))):
        rotation = rota.rotations[position]
        if _counts(rotation, at):
            person = rotation.people[_turn_at(rotation, rota.zone, at) % len(rotation.people)]
            yield Holder(principal=person, because=f"rotation {position + 1}")


def next_change(rota: Rota, at: Micros) -> Micros:
    """The first instant after *at* at which the holders may be others."""
    edges = [edge for each in rota.replacements for edge in (each.start, each.end) if edge > at]
    edges.extend(_rotation_changes(rotation, rota.zone, at) for rotation in rota.rotations)
    return min(edges, default=FOREVER)


# --- turns --------------------------------------------------------------------------------------------------


def _counts(rotation: Rotation, at: Micros) -> bool:
    if at < rotation.begins:
        return False
    return rotation.counts is None or calendars.piece_at(rotation.counts, at).is_open


def _turn_at(rotation: Rotation, zone: zoneinfo.ZoneInfo, at: Micros) -> int:
    """The number of the turn that *at* falls into, from 0.

    The wall clock gives a first guess. It is wrong only in a night in which the clocks change, and then by the
    turns that begin in the hour that comes twice or not at all.
    """
    turn = (civil_time.wall_at(zone, at) - rotation.anchor) // rotation.turn
    while _starts(rotation, zone, turn + 1) <= at:
        turn += 1
    while _starts(rotation, zone, turn) > at:
        turn -= 1
    return turn


def _starts(rotation: Rotation, zone: zoneinfo.ZoneInfo, turn: int) -> Micros:
    return civil_time.instant_of(zone, rotation.anchor + turn * rotation.turn)


def _rotation_changes(rotation: Rotation, zone: zoneinfo.ZoneInfo, at: Micros) -> Micros:
    if at < rotation.begins:
        return rotation.begins
    handover = _starts(rotation, zone, _turn_at(rotation, zone, at) + 1)
    return handover if rotation.counts is None else min(handover, calendars.piece_at(rotation.counts, at).end)


# --- reading ------------------------------------------------------------------------------------------------


def _rotation(layer: Layer, zone: zoneinfo.ZoneInfo) -> Rotation:
    day, _, clock = layer.handover.rpartition(" ")
    turn = max(round(layer.every * SECOND), TURN_MIN)
    first_day = civil_time.day_named(layer.start or FIRST_DAY)
    begins = first_day * DAY + parse_clock(clock) * MINUTE
    return Rotation(
        people=layer.people,
        turn=turn,
        anchor=_anchor(begins, turn, day.strip().lower()),
        begins=civil_time.instant_of(zone, begins),
        counts=_when_it_counts(layer, zone),
    )


def _anchor(begins: Wall, turn: Micros, weekday: str) -> Wall:
    """The start of the turn that *begins* falls into, where turns are counted from a day of the week."""
    if not weekday:
        return begins
    days_before = (civil_time.weekday_of(civil_time.day_of(begins)) - WEEKDAYS.index(weekday)) % _WEEK_DAYS
    gone = days_before * DAY
    return begins - gone % turn


def _when_it_counts(layer: Layer, zone: zoneinfo.ZoneInfo) -> calendars.Timetable | None:
    if layer.days is None and layer.hours is None:
        return None
    days = range(_WEEK_DAYS) if layer.days is None else days_of(layer.days)
    spans = _WHOLE_DAY if layer.hours is None else calendars.spans_of_day(layer.hours)
    return calendars.Timetable(
        zone=zone,
        hours=tuple(spans if day in days else () for day in range(_WEEK_DAYS)),
        hours_entry=calendars.Entry(kind="hours", text=f"{layer.days or ''} {layer.hours or ''}".strip()),
        holidays={},
        maintenance=(),
        freezes=(),
    )
