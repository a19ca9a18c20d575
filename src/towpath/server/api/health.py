"""Health in detail: whether work is taken, how every part of the server is, and what has been waiting for too long."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from typing import Final, Literal

from pydantic import Field

import towpath
from towpath.people import sendings
from towpath.server import sent
from towpath.server.api.told import MICROS, Told
from towpath.server.call import Asked, Call
from towpath.server.routing import Routes
from towpath.server.shapes.moments import stamp, stamp_or_none
from towpath.store.contract import PAGE_ROWS_MAX, EventFilter, EventId, SendingRow
from towpath.triggers.contract import Broken

ROUTES = Routes(prefix="/api/v1/health", tag="health")
FREE_BYTES_LOW: Final = 512 * 1024 * 1024
"""With less than this left on the disk, health is not good any more."""
EVENT_AGE_MAX: Final = 300 * MICROS
"""For so long an event may wait for its decision."""
SENDINGS_LOOKED_AT_MAX: Final = 2_000
EVENT_PAGES_MAX: Final = 20
"""Pages of waiting events that are looked through for the oldest."""
OWNERS_SHOWN_MAX: Final = 50


class Part(Told):
    """A part of the server that works by itself."""

    part: str = Field(description="Its name.")
    does: str = Field(description="What it is there for.")
    is_well: bool = Field(description="Whether its last look went well.")
    why: str = Field(description="What its last look failed with.")
    since: str = Field(description="Since when it has been so.")
    looked_at: str | None = Field(description="When it last looked round to the end.")
    looks: int = Field(description="How often it has looked.")
    failures: int = Field(description="How often that failed.")


class ChannelHealth(Told):
    """A channel, and what it did not take."""

    name: str = Field(description="What towpath.yaml calls it; empty: nobody could be reached at all.")
    kind: str = Field(description="What it is; empty for one that the file does not have any more.")
    failing: int = Field(description="Sendings that were not told so far, although somebody tried.")
    error: str = Field(description="What the latest of them failed with.")
    since: str | None = Field(description="When the oldest of them was put.")


class Process(Told):
    """A process that drives runs."""

    id: str = Field(description="Its id.")
    command: str = Field(description="What it does.")
    pid: int = Field(description="Its number on its host.")
    host: str = Field(description="Where it runs.")
    started_at: str = Field(description="Since when.")
    life: str = Field(description="`alive`, `stopped` or `dead`.")


class Health(Told):
    """How everything is."""

    status: Literal["good", "degraded", "bad"] = Field(
        description="`bad`: no work is taken; `degraded`: something needs looking at."
    )
    troubles: list[str] = Field(description="What is wrong, in words; empty where nothing is.")
    version: str = Field(description="Of Towpath.")
    started_at: str = Field(description="When the server began.")
    uptime_seconds: int = Field(description="For how long it has run.")
    is_taking_work: bool = Field(description="What `/readyz` says.")
    is_writable: bool = Field(description="Whether the journal takes writes.")
    disk_free_bytes: int = Field(description="What is left where the data lie.")
    disk_total_bytes: int = Field(description="How large that disk is.")
    parts: list[Part] = Field(description="How every part is.")
    runs: dict[str, int] = Field(description="Runs by status.")
    events: dict[str, int] = Field(description="Events by state.")
    oldest_undecided_event: int | None = Field(
        description="The event that has waited longest for its decision."
    )
    oldest_undecided_at: str | None = Field(description="Since when.")
    outbox: dict[str, int] = Field(description="Sendings by state.")
    channels: list[ChannelHealth] = Field(description="The channels of the project.")
    broken_workflows: list[str] = Field(description="Workflow files that do not load.")
    processes: list[Process] = Field(description="Processes that drive runs, or own some that wait.")


@ROUTES.get("", permission="health.view", operation_id="show_health")
def show_health(call: Asked) -> Health:
    """Show whether everything works, in detail: the store, the disk, every part of the server, channels, what waits for too long."""
    call.allow("health.view")  # what is wrong may be wrong anywhere: a grant for a part of it shows nothing
    app, pulse, now = call.app, call.parts.pulse, call.app.now()
    disk = shutil.disk_usage(app.settings.data)
    stopped = call.parts.engine.journal.stopped
    event, since = _oldest_event(call)
    channels = list(_channels(call))
    broken = [name for name, one in app.listening.workflows().items() if isinstance(one, Broken)]
    refusal = pulse.refusal()
    troubles = [
        *([f"no work is taken: {refusal}"] if refusal else []),
        *([f"nothing can be written: {stopped}"] if stopped is not None else []),
        *([f"only {disk.free // 1024**2} MiB are left on the disk"] if disk.free < FREE_BYTES_LOW else []),
        *(f"{one.part}: {one.why}" for one in pulse.conditions() if not one.is_well),
        *(
            [f"event {event} waits for its decision"]
            if since is not None and now - since > EVENT_AGE_MAX
            else []
        ),
        *(f"channel {one.name or '(none)'}: {one.failing} not told" for one in channels if one.failing),
        *(f"the workflow file {name} does not load" for name in broken),
    ]
    is_bad = bool(refusal) or stopped is not None
    return Health(
        status="bad" if is_bad else "degraded" if troubles else "good",
        troubles=troubles,
        version=towpath.__version__,
        started_at=stamp(pulse.started_at),
        uptime_seconds=max(0, now - pulse.started_at) // MICROS,
        is_taking_work=not refusal,
        is_writable=stopped is None,
        disk_free_bytes=disk.free,
        disk_total_bytes=disk.total,
        parts=[
            Part(
                part=one.part,
                does=one.does,
                is_well=one.is_well,
                why=one.why,
                since=stamp(one.since),
                looked_at=stamp_or_none(one.looked_at),
                looks=one.looks,
                failures=one.failures,
            )
            for one in pulse.conditions()
        ],
        runs=dict(app.reader.counts()),
        events={str(state): count for state, count in app.store.events.counts().items()},
        oldest_undecided_event=event,
        oldest_undecided_at=stamp_or_none(since),
        outbox={str(state): count for state, count in app.store.outbox.counts().items()},
        channels=channels,
        broken_workflows=broken,
        processes=list(_processes(call)),
    )


def _oldest_event(call: Call) -> tuple[EventId | None, int | None]:
    """The event that has waited longest, and since when; None where none waits."""
    before: EventId | None = None
    oldest: tuple[EventId | None, int | None] = None, None
    for _ in range(EVENT_PAGES_MAX):
        where = EventFilter(states=("received",), before=before, rows_max=PAGE_ROWS_MAX)
        page = call.app.store.events.events(where)
        if page:
            before = page[-1].id
            oldest = before, page[-1].received_at
        if len(page) < PAGE_ROWS_MAX:
            break
    return oldest


def _channels(call: Call) -> Iterator[ChannelHealth]:
    """Every channel with what it did not take; those that only the outbox knows come last."""
    written = call.app.project_file().channels
    failing: dict[str, list[SendingRow]] = {name: [] for name in written}
    alive = sent.alive_owners(call.app)
    for number, row in enumerate(sent.rows(call.app, sent.Wanted(is_failing=True))):
        if number >= SENDINGS_LOOKED_AT_MAX:
            break
        if sendings.is_failing(row, alive):
            failing.setdefault(row.channel, []).append(row)
    for name, rows in failing.items():
        yield ChannelHealth(
            name=name,
            kind=written[name].kind if name in written else "",
            failing=len(rows),
            error=rows[0].error if rows else "",
            since=stamp(rows[-1].at) if rows else None,
        )


def _processes(call: Call) -> Iterator[Process]:
    for owner in call.app.store.owners.owners()[:OWNERS_SHOWN_MAX]:
        yield Process(
            id=owner.id,
            command=owner.command,
            pid=owner.pid,
            host=owner.host,
            started_at=stamp(owner.started_at),
            life=owner.life.value,
        )
