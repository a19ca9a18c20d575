"""The outbox at work: notices are kept, and then sent, however long that takes and whoever dies meanwhile.

*Kept first.* `put` returns at once; the notice is written in the background, with everybody who is told, in one transaction and under an id
that follows from what happened. Putting it again, as a process does that starts after a crash, changes nothing.

*Then sent.* Every channel has a lane of its own with a few sendings at a time, each with its own time limit, so a channel that is slow or
broken keeps neither a gate nor another channel from anything. What fails is tried again, later each time, and is given up after
NOTICE_ATTEMPTS_MAX attempts, with the reason, where everybody can see it.

*At least once, and nearly always once.* An attempt is counted before it is made and noted when it has ended. A process that is killed
between the two leaves a message of which nobody knows whether it arrived; it is sent once more, under the same key (a Message-ID, a
`webhook-id`), so that a receiver can tell. That is the only way in which anything is sent twice.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import itertools
import logging
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from types import MappingProxyType, TracebackType
from typing import TYPE_CHECKING, Any, Final, Protocol, Self, TypeVar

import msgspec

from towpath.errors import LimitExceeded, TowpathError
from towpath.people.channels.contract import SEND_SECONDS_MAX, SENDS_MAX, Notice, SendFailed, Sending
from towpath.people.channels.routes import TERMINAL, Routes
from towpath.people.messages import ASKING, text_of
from towpath.store.contract import SENDINGS_MAX, NewNotice, NewSending, NoticeId, RunNumber, SendingEnded

if TYPE_CHECKING:
    from towpath.people.channels.contract import Channel, Micros
    from towpath.store.contract import Outbox as Store
    from towpath.store.contract import OwnerId, SendingRow

NOTICE_ATTEMPTS_MAX: Final = 10
"""Attempts to send one notice to one recipient through one channel; then it is given up."""
DELAY_SECONDS: Final = 5.0
"""Before the second attempt."""
DELAY_FACTOR: Final = 3.0
DELAY_SECONDS_MAX: Final = 3_600.0
"""Between two attempts; together they go on for more than four hours."""
JITTER: Final = 0.2
"""How much of a delay may be added, so that a server that comes back is not met by everybody at once."""
LOOK_AGAIN_SECONDS: Final = 30.0
"""How often a process looks for what others left that are gone."""
STOP_SECONDS: Final = 5.0
"""How long a process that ends goes on sending what is due."""
QUEUED_MAX: Final = 10_000
"""Notices that wait to be written; of more, it is noted in the log that they are not kept."""
AT_ONCE_MAX: Final = 100
"""Notices that are written in one transaction: ten thousand questions at once keep nobody else from writing."""

_SECOND: Final = 1_000_000
_LOG = logging.getLogger("towpath.people")
_CALLING: Final = frozenset({*ASKING, "review"})
_T = TypeVar("_T")


class Timer(Protocol):
    """A call that is due."""

    def cancel(self) -> None:
        """The call will not happen."""


class Clock(Protocol):
    """Tells the time, and calls when a time has come."""

    def now(self) -> Micros:
        """Microseconds since the epoch."""

    def call_at(self, due: Micros, act: Callable[[], None]) -> Timer:
        """Has *act* called in the loop when *due* has come, or somewhat earlier."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How often and how long it is tried."""

    attempts_max: int = NOTICE_ATTEMPTS_MAX
    delay_seconds: float = DELAY_SECONDS
    send_seconds: float = SEND_SECONDS_MAX
    """How long one attempt may take."""

    def delay(self, key: str, attempt: int, asked_for: float | None = None) -> Micros:
        """How long to wait after a failed attempt; it depends on nothing but its arguments."""
        grown = self.delay_seconds * DELAY_FACTOR ** min(attempt - 1, 32)
        digest = hashlib.sha256(f"{key}/{attempt}".encode()).digest()
        jittered = min(grown, DELAY_SECONDS_MAX) * (1 + JITTER * digest[0] / 255)
        wanted = min(max(jittered, asked_for or 0.0), DELAY_SECONDS_MAX * (1 + JITTER))
        return round(wanted * _SECOND)


class Outbox:
    """Keeps and sends the notices of one process; an asynchronous context, inside the engine's loop."""

    def __init__(
        self,
        store: Store,
        *,
        owner: OwnerId,
        clock: Clock,
        channel_of: Callable[[str], Channel | None],
        routes: Callable[[], Routes],
        patience: Patience | None = None,
    ) -> None:
        self._store = store
        self._owner = owner
        self._clock = clock
        self._channel_of = channel_of
        self._routes = routes
        self._patience = patience or Patience()
        self._queued: dict[str, NewNotice] = {}
        self._recalls: list[tuple[RunNumber, str, str]] = []
        self._written = asyncio.Event()
        self._has_work = asyncio.Event()
        self._lanes: dict[str, _Lane] = {}
        self._tasks: list[asyncio.Task[None]] = []
        self._threads: ThreadPoolExecutor | None = None

    async def __aenter__(self) -> Self:
        """Begins: what this process owes, and what others left that are gone, is sent."""
        self._threads = ThreadPoolExecutor(max_workers=1, thread_name_prefix="outbox")
        self._tasks = [asyncio.create_task(self._write()), asyncio.create_task(self._look_after_others())]
        if self._queued or self._recalls:
            self._has_work.set()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Ends: see `stop`."""
        await self.stop()

    def put(self, notice: Notice, sendings: Iterable[NewSending] | None = None) -> None:
        """Has people told, once; returns at once. Whom and how follows from the notice, unless *sendings* say it."""
        if notice.id not in self._queued and len(self._queued) >= QUEUED_MAX:
            _LOG.error("people.notice_not_kept", extra={"notice": notice.id, "limit": "QUEUED_MAX"})
            return
        chosen = ways_of(notice, self._routes) if sendings is None else tuple(sendings)
        if chosen:
            self._queued[notice.id] = to_be_kept(notice, chosen)
            self._has_work.set()

    def recall(self, run: RunNumber, path: str, *, reason: str) -> None:
        """Nobody needs to answer a question any more: what waits to be told about it is not sent. Returns at once."""
        for name, notice in list(self._queued.items()):
            if (notice.run, notice.path) == (run, path) and notice.why in ASKING:
                del self._queued[name]
        self._recalls.append((run, path, reason))
        self._has_work.set()

    async def flush(self) -> None:
        """Waits until all that was put is durable."""
        while self._queued or self._recalls or self._has_work.is_set():
            self._written.clear()
            await self._written.wait()

    async def settle(self, channel: str | None = None) -> None:
        """Waits until nothing more can be sent at this moment, or nothing more through one channel."""
        await self.flush()
        while busy := [
            lane for name, lane in self._lanes.items() if lane.is_busy and channel in (None, name)
        ]:
            await asyncio.gather(*(lane.idle.wait() for lane in busy))

    async def take_over(self) -> None:
        """Takes over what processes left that are gone, and what was given up and is to be tried again."""
        try:
            await self.in_thread(lambda: self._store.adopt(self._owner, at=self._clock.now()))
        except TowpathError as error:
            _LOG.warning("people.outbox_not_read", extra={"reason": error.message})
        await self._wake_lanes()

    async def stop(self, *, grace_seconds: float = STOP_SECONDS) -> None:
        """Sends what is due for a little while, then leaves the rest to the next process."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(grace_seconds):
                await self.settle()
        await self._end(self._tasks)
        await self._end([lane.task for lane in self._lanes.values()])
        self._lanes.clear()
        if self._threads is not None:
            self._threads.shutdown(wait=True)
            self._threads = None

    async def _end(self, tasks: list[asyncio.Task[None]]) -> None:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    # Keeping.

    async def _write(self) -> None:
        """Writes what was put, as much as there is at a time."""
        while True:
            await self._has_work.wait()
            recalls, self._recalls = self._recalls, []
            notices, self._queued = self._queued, {}
            try:
                await self.in_thread(self._write_all, recalls, list(notices.values()))
            except TowpathError as error:
                _LOG.exception("people.outbox_not_written", extra={"reason": error.message})
                self._recalls = recalls + self._recalls
                self._queued = {**notices, **self._queued}
                await self.pause(LOOK_AGAIN_SECONDS)
                continue
            if not self._queued and not self._recalls:
                self._has_work.clear()
            await self._wake_lanes()
            self._written.set()

    def _write_all(self, recalls: list[tuple[RunNumber, str, str]], notices: list[NewNotice]) -> None:
        now = self._clock.now()
        for run, path, reason in recalls:
            self._store.recall(run, path, ASKING, at=now, reason=reason)
        for first in range(0, len(notices), AT_ONCE_MAX):
            self._write_some(notices[first : first + AT_ONCE_MAX])

    def _write_some(self, notices: list[NewNotice]) -> None:
        try:
            self._store.put(notices, owner=self._owner)
        except LimitExceeded:
            for notice in notices:
                self._write_one(notice)

    def _write_one(self, notice: NewNotice) -> None:
        try:
            self._store.put([notice], owner=self._owner)
        except LimitExceeded as error:
            _LOG.exception("people.notice_not_kept", extra={"notice": notice.id, "limit": error.limit})

    # Sending.

    async def _wake_lanes(self) -> None:
        """Sees to it that every channel in which something waits has a lane that is awake."""
        try:
            waiting = await self.in_thread(self._store.channels_waiting, self._owner)
        except TowpathError as error:
            _LOG.warning("people.outbox_not_read", extra={"reason": error.message})
            return
        for name in waiting:
            if name not in self._lanes:
                self._lanes[name] = _Lane(self, name)
            self._lanes[name].wake()

    async def _look_after_others(self) -> None:
        """Takes over, now and then, what processes left that are gone."""
        while True:
            await self.take_over()
            await self.pause(LOOK_AGAIN_SECONDS)

    async def begin(self, channel: str, rows_max: int) -> tuple[SendingRow, ...]:
        """Begins attempts of what is due in a channel."""
        return await self.in_thread(
            lambda: self._store.take(self._owner, channel, at=self._clock.now(), rows_max=rows_max)
        )

    async def next_due(self, channel: str) -> Micros | None:
        """When something is due in a channel."""
        return await self.in_thread(self._store.next_due, self._owner, channel)

    async def attempt(self, row: SendingRow) -> None:
        """Makes one attempt that was begun, and notes how it ended."""
        ended = await self._outcome(row)
        for _ in range(NOTICE_ATTEMPTS_MAX):
            try:
                await asyncio.shield(self.in_thread(lambda: self._store.end([ended], owner=self._owner)))
            except TowpathError as error:
                _LOG.warning("people.outbox_not_written", extra={"reason": error.message})
                await self.pause(LOOK_AGAIN_SECONDS)
            else:
                return

    async def _outcome(self, row: SendingRow) -> SendingEnded:
        try:
            await self._send(row)
        except SendFailed as failed:
            return self._failed(row, failed)
        except asyncio.CancelledError:
            told = "the process ended while it was being sent: it may have arrived"
            await self._note_interrupted(row, told)
            raise
        except Exception as error:  # noqa: BLE001 - the edge: a channel may be anybody's, and what it raises is its outcome
            return self._failed(row, SendFailed(f"the channel failed: {type(error).__name__}: {error}"))
        _LOG.info(
            "people.told", extra={"notice": row.notice, "channel": row.channel, "attempt": row.attempts}
        )
        return SendingEnded(sending=row.id, attempt=row.attempts, at=self._clock.now())

    async def _send(self, row: SendingRow) -> None:
        if row.attempts > self._patience.attempts_max:
            raise SendFailed(f"{row.error}; no attempt is left", is_final=True)
        notice = decode(row.body)
        now = self._clock.now()
        if notice.until is not None and notice.until <= now and notice.why in ASKING:
            raise SendFailed("the time to answer was over before it could be sent", is_final=True)
        channel = self._channel_of(row.channel)
        if channel is None:
            raise _no_channel(row.channel)
        sending = Sending(
            key=key_of(row.notice, row.recipient, row.channel),
            notice=notice,
            recipient=row.recipient,
            address=row.address,
            attempt=row.attempts,
            at=now,
            text=text_of(notice, recipient=row.recipient, at=now, zone=self._routes().zone_of(row.recipient)),
        )
        try:
            async with asyncio.timeout(self._patience.send_seconds):
                await channel.send(sending)
        except TimeoutError:
            raise SendFailed(
                f"it took more than {self._patience.send_seconds:g} s, and may have arrived"
            ) from None

    def _failed(self, row: SendingRow, failed: SendFailed) -> SendingEnded:
        now = self._clock.now()
        is_last = failed.is_final or row.attempts >= self._patience.attempts_max
        key = key_of(row.notice, row.recipient, row.channel)
        delay = self._patience.delay(key, row.attempts, failed.retry_after_seconds)
        message = failed.message + (f" ({failed.help})" if failed.help else "")
        _LOG.warning(
            "people.notice_given_up" if is_last else "people.notice_delayed",
            extra={"notice": row.notice, "channel": row.channel, "attempt": row.attempts, "reason": message},
        )
        again_at = None if is_last else now + delay
        error = message or "no reason was given"
        return SendingEnded(sending=row.id, attempt=row.attempts, at=now, error=error, again_at=again_at)

    async def _note_interrupted(self, row: SendingRow, told: str) -> None:
        now = self._clock.now()
        ended = SendingEnded(sending=row.id, attempt=row.attempts, at=now, error=told, again_at=now)
        with contextlib.suppress(TowpathError, RuntimeError):
            await asyncio.shield(self.in_thread(lambda: self._store.end([ended], owner=self._owner)))

    # Threads and time.

    async def in_thread(self, act: Callable[..., _T], *arguments: Any) -> _T:  # noqa: ANN401 - what *act* takes
        """Has something done that blocks for one short transaction."""
        if self._threads is None:
            raise RuntimeError("the outbox is not open")
        return await asyncio.get_running_loop().run_in_executor(self._threads, act, *arguments)

    async def pause(self, seconds: float) -> None:
        """Waits until so much time has passed on the clock."""
        woken = asyncio.Event()
        await self.wait_until(self._clock.now() + round(seconds * _SECOND), woken)

    async def wait_until(self, due: Micros | None, woken: asyncio.Event) -> None:
        """Waits until a moment has come, or until somebody sets *woken*."""
        while not woken.is_set():
            if due is not None and due <= self._clock.now():
                return
            tick = asyncio.Event()
            timer = None if due is None else self._clock.call_at(due, tick.set)
            try:
                await _first(woken, tick)
            finally:
                if timer is not None:
                    timer.cancel()


class _Lane:
    """What one channel sends: a few at a time, the oldest first."""

    def __init__(self, outbox: Outbox, name: str) -> None:
        self._outbox = outbox
        self._name = name
        self._wake = asyncio.Event()
        self._sending: set[asyncio.Task[None]] = set()
        self.idle = asyncio.Event()
        self.task = asyncio.create_task(self._run(), name=f"lane {name}")

    @property
    def is_busy(self) -> bool:
        """Whether something is being sent, or is about to be."""
        return not self.idle.is_set()

    def wake(self) -> None:
        """There may be something to send."""
        self.idle.clear()
        self._wake.set()

    async def _run(self) -> None:
        try:
            while True:
                await self._turn()
        finally:
            for task in self._sending:
                task.cancel()
            await asyncio.gather(*self._sending, return_exceptions=True)

    async def _turn(self) -> None:
        self._wake.clear()
        due: Micros | None = None
        try:
            free = SENDS_MAX - len(self._sending)
            rows = await self._outbox.begin(self._name, free) if free else ()
            for row in rows:
                task = asyncio.create_task(self._outbox.attempt(row))
                self._sending.add(task)
                task.add_done_callback(self._ended)
            if not rows and free:
                due = await self._outbox.next_due(self._name)
        except TowpathError as error:
            _LOG.warning("people.outbox_not_read", extra={"reason": error.message})
            await self._outbox.pause(LOOK_AGAIN_SECONDS)
            return
        if not self._sending and not self._wake.is_set():
            self.idle.set()
        await self._outbox.wait_until(due, self._wake)
        self.idle.clear()

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._sending.discard(task)
        self.wake()


async def _first(*events: asyncio.Event) -> None:
    """Waits until one of some events is set."""
    waiting = [asyncio.ensure_future(event.wait()) for event in events]
    try:
        await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for one in waiting:
            one.cancel()


def key_of(notice: str, recipient: str, channel: str) -> str:
    """The key of a sending, by which a receiver knows it again: the same for every attempt, and for no other."""
    told = f"{notice}\0{recipient}\0{channel}".encode("utf-8", "surrogatepass")
    return f"tow_{hashlib.sha256(told).hexdigest()[:40]}"


def encode(notice: Notice) -> bytes:
    """A notice as it is kept."""
    return msgspec.json.encode(notice, enc_hook=_plain)


def decode(body: bytes) -> Notice:
    """A notice that was kept; raises SendFailed where it cannot be read."""
    try:
        return msgspec.json.decode(body, type=Notice)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise SendFailed(f"the notice cannot be read: {error}", is_final=True) from None


def _plain(value: object) -> object:
    if isinstance(value, MappingProxyType):
        return dict(value)
    raise TypeError(f"a notice holds no {type(value).__name__}")


def ways_of(notice: Notice, routes: Callable[[], Routes]) -> tuple[NewSending, ...]:
    """Whom a notice goes to, and how; where that cannot be told, it is on record why."""
    try:
        return routes().to(notice.to, is_calling=notice.why in _CALLING, is_for_all=_is_for_all(notice))
    except TowpathError as error:
        told = f"nobody could be told: the ways to people cannot be read: {error.message}"
        return (NewSending(recipient="user:", channel="", error=told),)


def to_be_kept(notice: Notice, sendings: tuple[NewSending, ...]) -> NewNotice:
    """A notice as the store keeps it, with those who are told."""
    if len(notice.to) > SENDINGS_MAX:
        notice = replace(notice, to=dict(itertools.islice(sorted(notice.to.items()), SENDINGS_MAX)))
    return NewNotice(
        id=NoticeId(notice.id),
        run=RunNumber(notice.run),
        path=notice.path,
        why=notice.why,
        at=notice.at,
        body=encode(notice),
        sendings=sendings,
    )


def _is_for_all(notice: Notice) -> bool:
    """Whether it is for whoever operates, because the question names nobody."""
    return not notice.asked and notice.why != "handed_over"


def _no_channel(name: str) -> SendFailed:
    if name == TERMINAL:
        return SendFailed("the terminal that it was for is gone", is_final=True)
    return SendFailed(
        f"towpath.yaml has no channel {name!r}", help="add it again, or have the message given up"
    )
