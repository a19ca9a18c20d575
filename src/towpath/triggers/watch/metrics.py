"""Prometheus is asked, and a query that holds for as long as a trigger says becomes an event: once, until it has stopped holding.

What is known of a query is durable: since when it holds, and whether that was told. A look that fails changes nothing. Whether a query held
while nobody looked is not known: one that has not been told yet begins to hold anew, one that was told is not told again.
"""

from __future__ import annotations

import asyncio
import json
import math
import urllib.parse
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

import msgspec

from towpath.core.run import Json, Micros
from towpath.definition.triggers import Metric
from towpath.errors import StoreUnavailable, TowpathError, Unreachable
from towpath.steps.contract import Egress, HttpRequest
from towpath.store.contract import Events, Mark, NewEvent, StaleMark
from towpath.triggers import listening
from towpath.triggers.contract import Project
from towpath.triggers.inbox import local_event
from towpath.triggers.payloads import source_named
from towpath.triggers.payloads.picking import fingerprint
from towpath.triggers.watch.watcher import SECOND, Looked

QUERY_SECONDS_MAX: Final = 15.0
"""How long a query may take."""
QUERIES_AT_ONCE: Final = 8
SERIES_MAX: Final = 100
"""Of what a query gives: as many series stand in the event."""
ANSWER_BYTES_MAX: Final = 8 * 1024 * 1024
GAP_LOOKS: Final = 3
"""Looks that may be missed before it counts as unknown whether a query held meanwhile."""
GAP_SECONDS_MIN: Final = 60
_SOURCE = source_named("metric")
_OK: Final = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """One series of a result."""

    labels: dict[str, str]
    value: str


class _Known(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a query."""

    since: Micros | None = None
    """Since when it holds."""
    told: bool = False
    """Whether that became an event."""
    looked: Micros = 0


class Metrics:
    """Asks every query that a trigger names, each when its time has come. Used in the loop; reads and writes the store in threads."""

    def __init__(
        self, events: Events, project: Project, egress: Egress, *, now: Callable[[], Micros]
    ) -> None:
        self._events = events
        self._project = project
        self._egress = egress
        self._now = now
        self._due: dict[str, Micros] = {}

    async def look(self) -> Looked:
        """Ask what is due, and keep an event for every query that has held for long enough."""
        asked = {
            _key(settings): settings for settings in await asyncio.to_thread(lambda: tuple(self._asked()))
        }
        now = self._now()
        due = [key for key, settings in asked.items() if self._is_due(key, settings, now)]
        places = asyncio.Semaphore(QUERIES_AT_ONCE)
        kept = 0
        errors: list[tuple[str, str]] = []

        async def ask(key: str) -> None:
            nonlocal kept
            settings = asked[key]
            self._due[key] = now + _every(settings)
            try:
                async with places:
                    kept += await self._look_at(key, settings)
            except StoreUnavailable:
                raise
            except TowpathError as problem:
                errors.append((settings.query, problem.message))

        await asyncio.gather(*(ask(key) for key in due))
        self._due = {key: at for key, at in self._due.items() if key in asked}
        return Looked(kept=kept, errors=tuple(errors), next_at=min(self._due.values(), default=None))

    def _asked(self) -> Iterator[Metric]:
        for _, trigger in listening.entries(self._project.listeners()):
            if isinstance(trigger.settings, Metric):
                yield trigger.settings

    def _is_due(self, key: str, settings: Metric, now: Micros) -> bool:
        """Whether its time has come; a clock that went far back does not keep it waiting."""
        at = self._due.get(key, 0)
        return at <= now or at - now > _every(settings)

    async def _look_at(self, key: str, settings: Metric) -> int:
        series = await self._ask(settings)
        return await asyncio.to_thread(self._note, key, settings, series)

    async def _ask(self, settings: Metric) -> tuple[Series, ...]:
        """What the query gives now: nothing where it does not hold. Raises Unreachable or what the egress raises."""
        headers = {"Content-Type": "application/x-www-form-urlencoded", "Accept": "application/json"}
        if settings.secret is not None:
            token = await asyncio.to_thread(self._project.secret, settings.secret)
            headers["Authorization"] = f"Bearer {token}"
        answer = await self._egress.send(
            HttpRequest(
                method="POST",
                url=f"{settings.server.rstrip('/')}/api/v1/query",
                headers=headers,
                body=urllib.parse.urlencode({"query": settings.query}).encode(),
                timeout_seconds=QUERY_SECONDS_MAX,
                follow_redirects=False,
                response_bytes_max=ANSWER_BYTES_MAX,
            )
        )
        return read_result(answer.status, answer.body)

    def _note(self, key: str, settings: Metric, series: tuple[Series, ...]) -> int:
        """Notes what a look gave; gives how many events were kept."""
        name = f"metric/{key}"
        mark = self._events.mark(name)
        known = _Known() if mark is None else msgspec.json.decode(mark.value, type=_Known)
        after, is_told_now = judged(known, settings, holds=bool(series), now=self._now())
        if after == known or (after.since is None and known.since is None):
            return 0
        events = (self._event(settings, after, series),) if is_told_now else ()
        moved = Mark(name=name, value=msgspec.json.encode(after), version=0 if mark is None else mark.version)
        try:
            kept = self._events.put(events, mark=moved)
        except StaleMark:
            return 0  # another process was quicker, and has kept the same
        return sum(not one.existing for one in kept)

    def _event(self, settings: Metric, known: _Known, series: tuple[Series, ...]) -> NewEvent:
        now = self._now()
        assert known.since is not None
        payload: Json = {
            "server": settings.server,
            "query": settings.query,
            "for_seconds": settings.for_,
            "since": known.since // SECOND,
            "holds_seconds": (now - known.since) // SECOND,
            "series": [{"labels": one.labels, "value": one.value} for one in series[:SERIES_MAX]],
            "series_count": len(series),
        }
        return local_event(_SOURCE, payload, kind="metric", at=now)


def judged(known: _Known, settings: Metric, *, holds: bool, now: Micros) -> tuple[_Known, bool]:
    """What is known after a look, and whether it is to be told now."""
    if not holds:
        return _Known(looked=now), False
    gap = max(GAP_LOOKS * _every(settings), GAP_SECONDS_MIN * SECOND)
    was_looked_at = known.looked <= now <= known.looked + gap
    since = known.since if known.since is not None and (known.told or was_looked_at) else now
    is_told_now = not known.told and now - since >= round(settings.for_ * SECOND)
    # Once it was told there is nothing to remember but that: no look writes anything until it has stopped holding.
    looked = known.looked if known.told else now
    return _Known(since=since, told=known.told or is_told_now, looked=looked), is_told_now


def read_result(status: int, body: bytes) -> tuple[Series, ...]:
    """The series that Prometheus answers with; a number that is not 0 is one too. Raises Unreachable where it answers something else."""
    try:
        answer = json.loads(body)
        data = answer["data"] if answer.get("status") == "success" else None
        if status != _OK or data is None:
            raise Unreachable(f"Prometheus answered {status}: {str(answer.get('error', ''))[:200]}")
        if data["resultType"] == "scalar":
            return _number(str(data["result"][1]))
        if data["resultType"] != "vector":
            raise Unreachable(
                f"the query gives a {str(data['resultType'])[:20]}: it has to give a vector or a scalar"
            )
        return tuple(
            Series(labels={str(k): str(v) for k, v in one["metric"].items()}, value=str(one["value"][1]))
            for one in data["result"]
        )
    except (ValueError, KeyError, TypeError, AttributeError, IndexError):
        raise Unreachable(f"what answered with {status} is no Prometheus") from None


def _number(text: str) -> tuple[Series, ...]:
    value = float(text)
    return () if value == 0 or math.isnan(value) else (Series(labels={}, value=text),)


def _every(settings: Metric) -> Micros:
    return round(settings.every * SECOND)


def _key(settings: Metric) -> str:
    return fingerprint(settings.server, settings.query, settings.for_, settings.secret)
