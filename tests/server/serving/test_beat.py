"""The beat: everything that has to be looked at is looked at, in its time, and one thing that breaks stops none of the others."""

from __future__ import annotations

import asyncio
import datetime
from collections import Counter
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from server_support import KnownByName, write_project

from towpath.app import App, build
from towpath.engines.clock import WallClock
from towpath.errors import StoreUnavailable, Unreachable
from towpath.server.call import Parts
from towpath.server.live import Live
from towpath.server.pulse import Pulse
from towpath.server.running import beating
from towpath.server.running.beating import Part, PartFailed, keep
from towpath.settings import Settings
from towpath.store.contract import RunFilter

SECOND = 1_000_000
DAY = 86_400
NOON = int(datetime.datetime(2026, 3, 10, 12, tzinfo=datetime.UTC).timestamp())


class Wound(WallClock):
    """The machine's clock, set to another time; it may jump."""

    def __init__(self, seconds: float) -> None:
        self.ahead = round(seconds * SECOND) - super().now()

    def now(self) -> int:
        """Microseconds since the epoch."""
        return super().now() + self.ahead

    def jump(self, seconds: float) -> None:
        """From one moment to the next."""
        self.ahead += round(seconds * SECOND)


async def until(condition: Callable[[], object]) -> None:
    """Waits until something is so."""
    async with asyncio.timeout(60):
        while not condition():
            await asyncio.sleep(0.01)


DAILY = """
name: {name}
on: [{{schedule: {{cron: "30 3 * * *", catch_up: {catch_up}}}}}]
steps: [{{id: note, uses: log, with: {{message: night}}}}]
"""


def nightly(folder: Path, clock: Wound) -> App:
    """A project with a workflow for every way of catching up."""
    ways = {
        f"catch_{way}": DAILY.format(name=f"catch_{way}", catch_up=way) for way in ("none", "latest", "all")
    }
    write_project(folder, ways)
    return build(Settings(project=folder, data=folder / ".towpath", user="ada"), clock=clock)


async def serve_until(app: App, condition: Callable[[], object]) -> None:
    """Has everything looked at until something is so, and then twice more."""
    async with app.engine("tow up") as engine:
        parts = Parts(app=app, engine=engine, identity=KnownByName(app), live=Live())
        async with beating.beating(parts):
            await until(lambda: looks(parts) >= 1 and condition())
            for part in ("schedules", "events") * 2:
                before = looks(parts, part)
                parts.pulse.wake(part)
                await until(lambda part=part, before=before: looks(parts, part) > before)  # type: ignore[misc] # bound now
        await engine.until_idle()


def looks(parts: Parts, name: str = "schedules") -> int:
    """How often a part has looked."""
    return next((one.looks for one in parts.pulse.conditions() if one.part == name), 0)


def runs(app: App) -> Counter[str]:
    """How many runs each workflow had."""
    return Counter(row.workflow for row in app.reader.runs(RunFilter(rows_max=1_000)))


async def test_a_server_that_was_down_for_400_days_obeys_catch_up(tmp_path: Path) -> None:
    """`none` lets all of them go, `latest` makes up for one, `all` for as many as CATCH_UP_MAX; and no start comes twice."""
    clock = Wound(NOON)
    first = nightly(tmp_path, clock)
    await serve_until(first, lambda: True)
    begun = runs(first)
    first.close()
    clock.jump(400 * DAY)
    second = nightly(tmp_path, clock)
    await serve_until(second, lambda: runs(second)["catch_all"] == 100)

    assert begun == {}
    assert runs(second) == {"catch_latest": 1, "catch_all": 100}
    second.close()


async def test_a_clock_that_jumps_repeats_nothing(tmp_path: Path) -> None:
    """A day forward starts the night's runs once, back again starts nothing, and forward once more neither."""
    clock = Wound(NOON)
    app = nightly(tmp_path, clock)
    await serve_until(app, lambda: True)
    clock.jump(DAY)
    await serve_until(app, lambda: runs(app)["catch_all"] == 1)
    forward = runs(app)
    for jump in (-DAY, 10, DAY):
        clock.jump(jump)
        await serve_until(app, lambda: True)

    assert runs(app) == forward
    assert forward["catch_latest"] == 1
    app.close()


def part(look: Callable[[], Awaitable[int | None]], *, every_seconds: float = 0.01) -> Part:
    """A part of the beat."""
    return Part(name="part", does="looks", every_seconds=every_seconds, look=look)


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (Unreachable("nobody answers"), "nobody answers"),
        (StoreUnavailable("the disk is full"), "the disk is full"),
        (ZeroDivisionError("oops"), "ZeroDivisionError: oops"),
        (PartFailed("one of two", due=0), "one of two"),
    ],
)
async def test_a_part_that_breaks_is_told_and_tried_again(
    error: Exception, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever a look raises, it is told, counted, and looked at again; when it is over, that is told too."""
    monkeypatch.setattr(beating, "FAILED_SECONDS", 0.01)
    pulse, told = Pulse(), []
    left = [error, error]

    async def look() -> int | None:
        told.extend(pulse.conditions())
        if left:
            raise left.pop()
        return None

    task = asyncio.create_task(keep(part(look), pulse, WallClock().now))
    await until(lambda: len(told) >= 4)
    task.cancel()

    assert [(one.is_well, one.why, one.failures) for one in told[:4]] == [
        (True, "", 0),
        (False, said, 1),
        (False, said, 2),
        (True, "", 2),
    ]


async def test_one_part_that_hangs_or_breaks_stops_none_of_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Schedules that break and watches that hang: what arrives is decided all the same."""
    write_project(
        tmp_path, {"hello": "name: hello\non: [manual]\nsteps: [{id: a, uses: log, with: {message: x}}]\n"}
    )
    app = build(Settings(project=tmp_path, data=tmp_path / ".towpath", user="ada"))

    def broken() -> None:
        raise RuntimeError("a mistake of ours")

    async def hanging() -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr(app.scheduler, "look", broken)
    monkeypatch.setattr(app.metrics, "look", hanging)
    async with app.engine("tow up") as engine:
        parts = Parts(app=app, engine=engine, identity=KnownByName(app), live=Live())
        async with beating.beating(parts):
            await until(lambda: looks(parts, "events") > 1 and looks(parts, "ends") > 1 and looks(parts) > 0)
            conditions = {one.part: one for one in parts.pulse.conditions()}
    app.close()

    assert not conditions["schedules"].is_well
    assert conditions["metrics"].looks == 0
    assert conditions["events"].is_well


async def test_a_part_that_is_woken_looks_at_once() -> None:
    """Whoever has just kept an event does not have it wait for the next look."""
    pulse, seen = Pulse(), []

    async def look() -> int | None:
        seen.append(1)
        return None

    task = asyncio.create_task(keep(part(look, every_seconds=3_600), pulse, WallClock().now))
    await until(lambda: len(seen) == 1)
    pulse.wake("part")
    await until(lambda: len(seen) == 2)
    task.cancel()

    assert len(seen) == 2


def test_no_work_is_taken_before_the_start_and_after_the_end() -> None:
    """A server says why it takes no work: it starts, it stops, or nothing can be written."""
    pulse, reasons = Pulse(), [""]
    pulse.refuse_while(lambda: reasons[0])
    said = [pulse.refusal()]
    pulse.is_serving = True
    said.append(pulse.refusal())
    reasons[0] = "the disk is full"
    said.append(pulse.refusal())
    pulse.is_stopping = True
    said.append(pulse.refusal())

    assert said == ["the server is starting", "", "the disk is full", "the server is stopping"]
