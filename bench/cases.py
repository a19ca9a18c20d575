"""The cases: what is measured, against what, and the limit."""

from __future__ import annotations

import asyncio
import gc
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import lists
import rig
from rig import Figure

from towpath import app, settings
from towpath.people import inbox
from towpath.store.contract import AskingRun, RunFilter, RunRow

ROUNDS = 7
SEQUENTIAL_STEPS = 500
RUNS, STEPS_OF_A_RUN = 5_000, 5
EACH_SMALL, EACH_LARGE = 1_000, 10_000
SPAWNS = 60
WAITING_RUNS = 10_000
OPEN_EVENTS = 100_000
EVENTS_OF_A_RUN = 100


def sequential() -> list[Figure]:
    """One run, one step after the other: every step is one transaction and one sync."""

    async def measure() -> list[Figure]:
        with rig.folder() as project:
            async with rig.engine(project) as (built, made):
                wanted = rig.request(built, rig.steps(SEQUENTIAL_STEPS))
                ratios, raws = [], []
                for counted in range(-1, ROUNDS):
                    theirs = rig.raw_commits(project, SEQUENTIAL_STEPS)
                    ours = await rig.run_to_end(made, wanted)
                    theirs = (theirs + rig.raw_commits(project, SEQUENTIAL_STEPS)) / 2
                    if counted >= 0:
                        ratios.append(theirs / ours)
                        raws.append(SEQUENTIAL_STEPS / theirs)
        note = f"{SEQUENTIAL_STEPS} steps against as many raw commits of the same rows ({rig.median(raws):,.0f}/s)"
        return [
            Figure(
                what="sequential durable steps, of raw FULL commits",
                value=rig.median(ratios),
                unit="×",
                limit=0.8,
                at_least=True,
                note=note,
            )
        ]

    return asyncio.run(measure())


def many() -> list[Figure]:
    """Many runs at once: what gathers shares one sync."""

    async def measure() -> list[Figure]:
        with rig.folder() as project:
            async with rig.engine(project) as (built, made):
                wanted = rig.request(built, rig.steps(STEPS_OF_A_RUN))
                await rig.run_to_end(made, wanted)
                rates, ratios = [], []
                for _ in range(3):
                    rows = RUNS * (2 * STEPS_OF_A_RUN + 2)
                    bulk = rig.raw_bulk(project, rows)
                    began = time.perf_counter()
                    await asyncio.gather(*(made.start(wanted) for _ in range(RUNS)))
                    await made.until_idle()
                    seconds = time.perf_counter() - began
                    rates.append(RUNS * STEPS_OF_A_RUN / seconds)
                    ratios.append(seconds / bulk)
                commits = SEQUENTIAL_STEPS / rig.raw_commits(project, SEQUENTIAL_STEPS)
                counts = built.reader.counts()
        assert counts == {"succeeded": 3 * RUNS + 1}, counts
        note = f"{RUNS:,} runs of {STEPS_OF_A_RUN} steps; raw FULL commits here: {commits:,.0f}/s"
        slower = f"the same, of a raw bulk insert of as many rows ({rows:,})"
        return [
            Figure(
                what="many runs",
                value=rig.median(rates),
                unit="steps/s",
                limit=10_000,
                at_least=True,
                note=note,
            ),
            Figure(
                what=slower,
                value=rig.median(ratios),
                unit="×",
                limit=25,
                at_least=False,
                note="time, ours by theirs",
            ),
        ]

    return asyncio.run(measure())


def each() -> list[Figure]:
    """A large `each`: the cost of an item does not depend on how many there are."""
    text = (
        "name: wide\ninputs: {items: {type: list}}\nsteps:\n"
        "  - {id: all, each: '${{ inputs.items }}', steps: [{uses: bench.nothing}]}\n"
    )

    async def measure() -> list[Figure]:
        with rig.folder() as project:
            async with rig.engine(project) as (built, made):
                small = rig.request(built, text, {"items": list(range(EACH_SMALL))})
                large = rig.request(built, text, {"items": list(range(EACH_LARGE))})
                await rig.run_to_end(made, small)
                ratios = []
                for _ in range(3):
                    ten = 0.0
                    for _ in range(10):
                        gc.collect()
                        ten += await rig.run_to_end(made, small)
                    gc.collect()
                    ratios.append(await rig.run_to_end(made, large) / ten)
        what = f"`each` of {EACH_LARGE:,}, of ten times `each` of {EACH_SMALL:,}"
        return [Figure(what=what, value=rig.median(ratios), unit="×", limit=1.3, at_least=False, note="time")]

    return asyncio.run(measure())


def shell() -> list[Figure]:
    """Shell steps: the whole step, journal and log and files, against a bare spawn of the same shell."""
    argv = ["bash", "--noprofile", "--norc", "-euo", "pipefail", "-c", "true"]

    def spawn() -> float:
        began = time.perf_counter()
        for _ in range(SPAWNS):
            pid = os.posix_spawnp(argv[0], argv, os.environ)
            os.waitpid(pid, 0)
        return time.perf_counter() - began

    async def measure() -> list[Figure]:
        with rig.folder() as project:
            async with rig.engine(project) as (built, made):
                wanted = rig.request(built, rig.steps(SPAWNS, 'run: "true"'))
                ratios, bare = [], []
                for counted in range(-1, ROUNDS):
                    theirs = spawn()
                    ours = await rig.run_to_end(made, wanted)
                    theirs = (theirs + spawn()) / 2
                    if counted >= 0:
                        ratios.append(ours / theirs)
                        bare.append(theirs / SPAWNS * 1000)
        note = f"`true` in bash; bare posix_spawn and wait: {rig.median(bare):.2f} ms"
        return [
            Figure(
                what="a shell step, of a bare spawn",
                value=rig.median(ratios),
                unit="×",
                limit=1.5,
                at_least=False,
                note=note,
            )
        ]

    return asyncio.run(measure())


def waiting() -> list[Figure]:
    """Runs that wait cost next to nothing."""
    text = "name: patient\nsteps:\n  - {wait: 10d}\n"

    async def measure() -> list[Figure]:
        with rig.folder() as project:
            async with rig.engine(project) as (built, made):
                wanted = rig.request(built, text)
                for _ in range(300):
                    await made.start(wanted)
                gc.collect()
                before = rig.resident_bytes()
                for _ in range(WAITING_RUNS // 500):
                    await asyncio.gather(*(made.start(wanted) for _ in range(500)))
                gc.collect()
                grown = rig.resident_bytes() - before
        note = f"{WAITING_RUNS:,} runs that wait ten days; growth of the resident memory"
        return [
            Figure(
                what="memory of a waiting run",
                value=grown / WAITING_RUNS / 1024,
                unit="KiB",
                limit=4,
                at_least=False,
                note=note,
            )
        ]

    return asyncio.run(measure())


def gates() -> list[Figure]:
    """Open gates cost next to nothing, and an inbox reads them without an engine and without folding a run."""
    text = (
        "name: gate\nsteps:\n  - id: go_live\n    approve: Release to production?\n"
        "    who: [group:release_managers]\n    quorum: 2\n    show: {scan: {critical: 0}}\n"
        "    answer_within: 3d\n    if_unanswered: reject\n    remind: 1d\n"
        "    escalate: [{after: 4h, to: [group:team_leads]}]\n"
    )
    people = (
        "name: gates\npeople:\n  users: {anna: {}, ben: {}, carl: {}}\n"
        "  groups: {release_managers: ['user:anna', 'user:ben'], team_leads: ['user:carl']}\n"
    )

    def held() -> int:
        return threading.active_count() + len(asyncio.all_tasks())

    async def measure() -> tuple[float, int, float, float]:
        with rig.folder() as project:
            (project / "towpath.yaml").write_text(people)
            async with rig.engine(project) as (built, made):
                wanted = rig.request(built, text)
                for _ in range(300):
                    await made.start(wanted)
                gc.collect()
                before, held_before = rig.resident_bytes(), held()
                for _ in range(WAITING_RUNS // 500):
                    await asyncio.gather(*(made.start(wanted) for _ in range(500)))
                gc.collect()
                grown, more = rig.resident_bytes() - before, held() - held_before
                listing, looking = [], []
                for _ in range(ROUNDS):
                    began = time.process_time()
                    asking = _asking(built)
                    listing.append(time.process_time() - began)
                    found = inbox.look(
                        asking,
                        directory=built.desk.directory,
                        person="anna",
                        at=built.now(),
                        wanted=_FIRST_PAGE,
                    )
                    looking.append(time.process_time() - began)
                assert (len(asking), len(found.items) + found.left_out) == (WAITING_RUNS + 300,) * 2
        return grown, more, rig.median(listing), rig.median(looking)

    grown, more, listing, looking = asyncio.run(measure())
    count = f"{WAITING_RUNS + 300:,} open gates"
    return [
        Figure(
            what="memory of an open gate",
            value=grown / WAITING_RUNS / 1024,
            unit="KiB",
            limit=4,
            at_least=False,
            note=f"{WAITING_RUNS:,} approvals with reminders and a rung; growth of the resident memory",
        ),
        Figure(
            what="threads and tasks of an open gate",
            value=more / WAITING_RUNS,
            unit="",
            limit=0,
            at_least=False,
            note="the same gates; what the process has more of than with 300",
        ),
        Figure(
            what=f"listing {count}",
            value=listing * 1000,
            unit="ms",
            limit=100,
            at_least=False,
            note="processor time; read page by page, every question with who, until when and what was said",
        ),
        Figure(
            what=f"the inbox of one person among {count}",
            value=looking * 1000,
            unit="ms",
            limit=1_000,
            at_least=False,
            note="processor time; the same, and who may answer, judged and sorted; the first 20 in full",
        ),
    ]


def _asking(built: app.App) -> list[AskingRun]:
    """Every run that asks something, page by page."""
    found: list[AskingRun] = []
    while page := built.reader.open_questions(after=found[-1].number if found else None):
        found.extend(page)
    return found


_FIRST_PAGE = inbox.Wanted(items_max=20)


def recovery() -> list[Figure]:
    """After a crash: folding what is open, until every run is driven again."""
    steps = (EVENTS_OF_A_RUN - 4) // 2
    runs = OPEN_EVENTS // EVENTS_OF_A_RUN
    text = rig.steps(steps) + "  - {wait: 10d}\n"

    async def prepare(project: Path) -> None:
        async with rig.engine(project) as (built, made):
            wanted = rig.request(built, text)
            for _ in range(runs // 250):
                await asyncio.gather(*(made.start(wanted) for _ in range(250)))
            await made.until_idle()

    async def recover(project: Path) -> tuple[float, int]:
        built = app.build(settings.load(project, project=project))
        async with built.engine("bench") as made:
            began = time.perf_counter()
            resumed = await made.resume_all()
            seconds = time.perf_counter() - began
        events = sum(row.last_sequence for row in _open_rows(built))
        assert resumed == runs, resumed
        built.close()
        return seconds, events

    with rig.folder() as project:
        asyncio.run(prepare(project))
        seconds, events = _median_pair([asyncio.run(recover(project)) for _ in range(3)])
    what = f"recovery of {events:,} open events in {runs:,} runs"
    return [
        Figure(
            what=what, value=seconds, unit="s", limit=5, at_least=False, note="from the start of the engine"
        )
    ]


def _median_pair(measured: list[tuple[float, int]]) -> tuple[float, int]:
    return sorted(measured)[len(measured) // 2]


def _open_rows(built: app.App) -> list[RunRow]:
    found: list[RunRow] = []
    before = None
    while True:
        page = built.reader.runs(RunFilter(is_open=True, rows_max=1000, before=before))
        found.extend(page)
        if len(page) < 1000:  # noqa: PLR2004 - the page's size
            return found
        before = page[-1].number


def start_up() -> list[Figure]:
    """How long `tow --help` takes, where Python itself takes its share."""
    tow = str(Path(sys.executable).with_name("tow"))

    def timed(argv: list[str]) -> float:
        began = time.perf_counter()
        subprocess.run(argv, check=True, capture_output=True)
        return time.perf_counter() - began

    measured = rig.pairs(15, lambda: timed([tow, "--help"]), lambda: timed([sys.executable, "-c", "pass"]))
    ours = rig.median([pair[0] for pair in measured]) * 1000
    bare = rig.median([pair[1] for pair in measured]) * 1000
    return [
        Figure(
            what="`tow --help`, of `python -c pass`",
            value=rig.median([a / b for a, b in measured]),
            unit="×",
            limit=5,
            at_least=False,
            note=f"{ours:.0f} ms and {bare:.0f} ms",
        )
    ]


CASES: dict[str, Callable[[], list[Figure]]] = {
    "sequential": sequential,
    "many": many,
    "each": each,
    "shell": shell,
    "waiting": waiting,
    "gates": gates,
    "recovery": recovery,
    "start_up": start_up,
    "lists": lists.lists,
}
