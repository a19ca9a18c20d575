"""A whole project with people, calendars and environments, on the real engine and store; its time is wound by hand.

The office is open from Monday to Friday, nine to five, in Berlin. Nothing here sleeps: what is due happens when the clock is wound
past it, and the journal tells at which moment.
"""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import os
import subprocess
import sys
import zoneinfo
from collections.abc import AsyncIterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import people_support as clocks

from engines.engine_support import Bench, Home, embedded, until
from towpath.core import events
from towpath.core.run import Question
from towpath.engines.clock import HandClock
from towpath.store.contract import RunNumber, SendingFilter

if TYPE_CHECKING:
    from towpath.engines.embedded import EmbeddedEngine

ZONE = clocks.BERLIN
FRIDAY = "2026-11-20 16:00"
"""An hour before the weekend begins."""
PATIENCE_SECONDS = 60

QUIET = """
name: office
people:
  users:
    ann: {contact: {hook: ann}}
    bob: {contact: {hook: bob}}
    cy: {contact: {hook: cy}}
    dora: {contact: {hook: dora}}
    eve: {contact: {hook: eve}}
  groups:
    managers: ["user:bob", "user:cy"]
    leads: ["user:dora"]
    owners: ["user:eve"]
calendars:
  office: {time_zone: Europe/Berlin, hours: {mon-fri: "09:00-17:00"}}
  with_holiday: {time_zone: Europe/Berlin, hours: {mon-fri: "09:00-17:00"}, holidays: ["2026-11-23"]}
  nights: {time_zone: Europe/Berlin, hours: {sat-sun: "00:00-06:00"}}
  year_end:
    time_zone: Europe/Berlin
    freezes: [{from: "2026-12-20 00:00", until: "2027-01-02 00:00", title: Year end}]
environments:
  staging: {}
  production:
    approval: {who: ["group:managers"]}
    windows: office
    freeze: [year_end]
"""
"""The project without a way to anybody."""
PROJECT = (
    QUIET
    + """
channels:
  hook: {kind: webhook, url: "http://127.0.0.1:9/nobody"}
"""
)
"""Nothing listens at port 9: what is to be told stands in the outbox, and no test depends on whether it was sent."""


@contextlib.asynccontextmanager
async def office(
    folder: Path, *, now: str = FRIDAY, project: str = PROJECT, user: str = "ann", **workflows: str
) -> AsyncIterator[Bench]:
    """An engine on a project with these workflows, at a moment in Berlin; *user* sits at its keyboard, and has edited them."""
    home = opened(folder, now=now, project=project, **workflows)
    try:
        async with embedded(home, user=user) as bench:
            yield bench
    finally:
        home.close()


def opened(folder: Path, *, now: str = FRIDAY, project: str = PROJECT, **workflows: str) -> Home:
    """The project itself, for whoever wants to have several processes on it, one after the other."""
    home = Home(folder)
    home.clock = HandClock(clocks.at(now))
    (folder / "towpath.yaml").write_text(project)
    for name, text in workflows.items():
        home.write(name, text)
    return home


def wind_to(bench: Bench, moment: str, *, less_seconds: int = 0) -> None:
    """Lets time pass until the clocks in Berlin show this, or will in a moment."""
    seconds = (clocks.at(moment) - bench.home.clock.now()) / clocks.SECOND - less_seconds
    assert seconds >= 0, moment
    bench.wind(seconds)


async def settled(bench: Bench) -> None:
    """Waits until all that was decided is durable and what it asked for has begun: every run has ended, or waits."""
    await cast("EmbeddedEngine", bench.engine).until_idle()


async def until_driven(bench: Bench, run: RunNumber) -> RunNumber:
    """Waits until the engine has heard that a run is accepted: the journal may show it a moment before."""
    await until(lambda: cast("EmbeddedEngine", bench.engine).owns(run))
    return run


def shown(at: int) -> str:
    """A moment as the clocks in Berlin show it: `Mon 23 Nov 10:00 CET`."""
    moment = datetime.datetime.fromtimestamp(at // clocks.SECOND, zoneinfo.ZoneInfo(ZONE))
    return (
        f"{moment:%a %d %b %H:%M %Z}" if at % clocks.MINUTE == 0 else f"{moment} and {at % clocks.SECOND} µs"
    )


def told(bench: Bench, run: RunNumber, path: str = "gate") -> list[str]:
    """What a question's ladder did, and when: `Mon 23 Nov 10:00 CET rung 1 → group:leads`."""
    return [
        f"{shown(fact.at)} {fact.kind} {fact.number} → {', '.join(fact.to)}"
        for fact in bench.events(run)
        if isinstance(fact, events.PeopleTold) and fact.path == path
    ]


def ended_at(bench: Bench, run: RunNumber) -> str:
    """When the run ended."""
    (end,) = [fact for fact in bench.events(run) if isinstance(fact, events.RunEnded)]
    return shown(end.at)


def notices(bench: Bench, run: RunNumber, *whys: str) -> list[tuple[str, str, str]]:
    """What stands in the outbox about a run, oldest first: when, why, and whom it tells; with *whys*, only for those reasons."""
    rows = bench.app.store.outbox.sendings(SendingFilter(run=run, rows_max=1_000))
    return [
        (shown(row.at), row.why, row.recipient)
        for row in sorted(rows, key=lambda row: (row.at, row.why, row.recipient))
        if not whys or row.why in whys
    ]


async def until_noticed(
    bench: Bench, run: RunNumber, expected: list[tuple[str, str, str]], *whys: str
) -> None:
    """Waits until exactly this stands in the outbox; what is told there comes a moment after what happened."""
    with contextlib.suppress(TimeoutError):
        await until(lambda: notices(bench, run, *whys) == expected)
    assert notices(bench, run, *whys) == expected


def question(bench: Bench, run: RunNumber, path: str = "gate") -> Question:
    """What is asked at a step, as the journal has it."""
    asked: Question | None = bench.state(run).nodes[path].question
    assert asked is not None, path
    return asked


async def until_asked(bench: Bench, run: RunNumber, path: str = "gate") -> Question:
    """Waits until a step asks, and all that it shows has been read."""

    def asks(seen: Any) -> bool:
        node = seen.nodes.get(path)
        return (
            node is not None
            and node.status == "asking"
            and set(node.question.files) <= set(node.question.evidence)
        )

    await bench.until(run, asks)
    return question(bench, run, path)


async def tow(bench: Bench, *words: str, by: str = "ann") -> subprocess.CompletedProcess[str]:
    """`tow WORDS…` as somebody types it at their own terminal, while the engine goes on."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "towpath",
        *words,
        cwd=bench.home.folder,
        env={**os.environ, "TOW_USER": by, "NO_COLOR": "1", "COLUMNS": "150"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    async with asyncio.timeout(PATIENCE_SECONDS):
        out, err = await process.communicate()
    assert b"made a mistake" not in err, err.decode()
    return subprocess.CompletedProcess(words, process.returncode or 0, out.decode(), err.decode())
