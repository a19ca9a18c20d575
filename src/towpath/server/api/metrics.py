"""What is measured, for Prometheus; whoever scrapes shows a token that may see health (`authorization: credentials_file`)."""

from __future__ import annotations

import os
import resource
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from starlette.responses import PlainTextResponse

import towpath
from towpath.server.call import Asked, Call
from towpath.server.pulse import Pulse
from towpath.server.routing import Routes
from towpath.server.shapes import metrics as shapes
from towpath.server.shapes.metrics import Measure, Sample

ROUTES = Routes(tag="metrics")
MICROS: Final = 1_000_000


@ROUTES.get("/metrics", permission="health.view", response_class=PlainTextResponse)
def scrape(call: Asked) -> PlainTextResponse:
    """Give every measurement in the text format of Prometheus."""
    return PlainTextResponse(shapes.text_of(measures(call)), media_type=shapes.MEDIA_TYPE)


def measures(call: Call) -> tuple[Measure, ...]:
    """Everything that is measured."""
    pulse = call.parts.pulse
    return (*_of_runs(call), *_of_server(call), *_of_parts(pulse), *pulse.measured(), *_of_process(pulse))


def _of_runs(call: Call) -> Iterator[Measure]:
    app = call.app
    began = time.perf_counter()
    counts = app.reader.counts()
    seconds = time.perf_counter() - began
    yield shapes.by("status", counts, "towpath_runs", "Runs that are on record, by status.")
    yield shapes.one("towpath_runs_asking", "Open runs that ask people something.", app.reader.count_asking())
    yield shapes.by(
        "fact",
        call.parts.engine.counts,
        "towpath_facts_total",
        "Facts that this process has written, by kind: RunAccepted, StepStarted, StepFailed, …",
        kind="counter",
    )
    events = {str(state): count for state, count in app.store.events.counts().items()}
    yield shapes.by("state", events, "towpath_events", "What arrived from outside, by what became of it.")
    sendings = {str(state): count for state, count in app.store.outbox.counts().items()}
    yield shapes.by("state", sendings, "towpath_outbox", "What people are to be told, by what became of it.")
    yield shapes.one("towpath_store_read_seconds", "How long counting the runs took just now.", seconds)


def _of_server(call: Call) -> Iterator[Measure]:
    pulse = call.parts.pulse
    yield Measure(
        name="towpath_build_info",
        help="The version.",
        samples=(Sample(value=1, labels={"version": towpath.__version__}),),
    )
    yield shapes.one("towpath_ready", "Whether work is taken.", not pulse.refusal())
    yield shapes.one("towpath_streams", "Live streams that are open.", call.parts.live.followers)
    yield shapes.one(
        "towpath_store_write_seconds",
        "How long the last durable write took that only looks whether one can be done.",
        pulse.write_seconds,
    )
    yield shapes.by(
        "answer",
        pulse.hooks,
        "towpath_hooks_total",
        "Deliveries to /hooks, by how they were answered.",
        kind="counter",
    )


def _of_parts(pulse: Pulse) -> Iterator[Measure]:
    conditions = pulse.conditions()
    yield shapes.by(
        "part",
        {one.part: one.is_well for one in conditions},
        "towpath_part_well",
        "Whether a part that looks round by itself does so without errors.",
    )
    yield shapes.by(
        "part",
        {one.part: one.looks for one in conditions},
        "towpath_part_looks_total",
        "How often it has looked.",
        kind="counter",
    )
    yield shapes.by(
        "part",
        {one.part: one.failures for one in conditions},
        "towpath_part_failures_total",
        "How often that went wrong.",
        kind="counter",
    )
    yield shapes.by(
        "part",
        {one.part: one.seconds for one in conditions},
        "towpath_part_look_seconds",
        "How long its last look took.",
    )
    yield shapes.by(
        "part",
        {one.part: one.late_seconds for one in conditions},
        "towpath_part_late_seconds",
        "By how much its last look came late.",
    )


def _of_process(pulse: Pulse) -> Iterator[Measure]:
    used = resource.getrusage(resource.RUSAGE_SELF)
    yield shapes.one(
        "process_cpu_seconds_total", "Processor time.", used.ru_utime + used.ru_stime, kind="counter"
    )
    yield shapes.one("process_resident_memory_bytes", "Memory.", _resident_bytes())
    yield shapes.one("process_open_fds", "Open files.", sum(1 for _ in Path("/proc/self/fd").iterdir()))
    yield shapes.one(
        "process_start_time_seconds", "When the process began to serve.", pulse.started_at / MICROS
    )


def _resident_bytes() -> int:
    pages = Path("/proc/self/statm").read_text(encoding="ascii").split()[1]
    return int(pages) * os.sysconf("SC_PAGE_SIZE")
