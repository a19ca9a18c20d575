"""The door for what arrives: verified first, kept next, and only then answered. What it starts is decided later, by `deciding`.

A path is that of a `webhook` trigger, or the name of a sender: `/github`, `/alertmanager`, … A request is compared with the secret of every
trigger that it may be meant for, and the event remembers which of them fitted: a trigger never starts anything for an event
that only another one's sender could have signed.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import msgspec

from towpath.core.run import Json, Micros
from towpath.definition import triggers
from towpath.definition.triggers import Trigger
from towpath.errors import TowpathError
from towpath.store.contract import EventId, Events, NewEvent
from towpath.triggers import listening, matching, verifying
from towpath.triggers.contract import (
    LOCAL,
    NOBODY,
    Event,
    NobodyListens,
    Project,
    RawRequest,
    Unverified,
    Verified,
)
from towpath.triggers.payloads import SOURCES, Source
from towpath.triggers.payloads.body import check_size
from towpath.triggers.payloads.sources import WEBHOOK_PREFIX
from towpath.triggers.receiving import Received, lowered, receive
from towpath.triggers.verifying import Check, Signed


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """An event is durable: its sender may be told so."""

    event: EventId
    existing: bool
    """Whether the same delivery was here before: it starts nothing again."""
    title: str


class Inbox:
    """Takes in what arrives. Its methods block for as long as one short transaction takes, and may be called from any thread."""

    def __init__(self, events: Events, project: Project, *, now: Callable[[], Micros]) -> None:
        self._events = events
        self._project = project
        self._now = now

    def accept(self, request: RawRequest) -> Receipt:
        """Keep what a request brings; it is durable when this returns.

        Raises NobodyListens (404), Unverified (401), Malformed (400) or LimitExceeded (413 for BODY_BYTES_MAX and PAYLOAD_DEPTH_MAX,
        429 for EVENTS_WAITING_MAX), and then nothing was kept.
        """
        check_size(request.body)
        address = self._address(request.path)
        signed = Signed(headers=lowered(request.headers), body=request.body, now=self._now())
        verified = self._verified(address, signed)
        path = request.path if address.source.name == WEBHOOK_PREFIX else ""
        received = receive(
            address.source,
            signed.headers,
            request.body,
            at=signed.now,
            verified=verified,
            path=path,
            delivery=_delivery(address, signed) or uuid.uuid4().hex,
        )
        return self.keep(received)

    def keep(self, received: Received) -> Receipt:
        """Keep an event whose sender is known; it is durable when this returns."""
        (kept,) = self._events.put((new_event(received),))
        return Receipt(event=kept.id, existing=kept.existing, title=received.reading.title)

    def _address(self, path: str) -> _Address:
        listeners = self._project.listeners()
        found = [trigger for _, trigger in listening.entries(listeners)]
        hooks = tuple(one for one in found if _path_of(one) == path)
        if hooks:
            return _Address(source=SOURCES[WEBHOOK_PREFIX], triggers=hooks)
        source = SOURCES.get(path.removeprefix("/"))
        if source is None or not source.is_remote or source.name == WEBHOOK_PREFIX:
            raise NobodyListens(f"nothing listens at {path[:200]!r}")
        mine = tuple(one for one in found if one.kind.partition(".")[0] == source.name)
        return _Address(source=source, triggers=mine)

    def _verified(self, address: _Address, signed: Signed) -> Verified:
        """How it is known who sent a request; raises Unverified."""
        fitting: list[str] = []
        reasons: list[str] = []
        for name, check in dict.fromkeys(_checks(address)):
            why = self._why_not(name, check, signed)
            if why:
                reasons.append(why)
            else:
                fitting.append(name)
        if fitting:
            way = verifying.way_of(address.source.name, signed.headers)
            return Verified(way=way, secrets=tuple(fitting))
        if any(getattr(trigger.settings, "unsafe_unverified", False) for trigger in address.triggers):
            return NOBODY
        raise Unverified(reasons[0] if reasons else "nobody can be verified here")

    def _why_not(self, name: str, check: Check, signed: Signed) -> str:
        try:
            secret = self._project.secret(name)
        except TowpathError:
            return f"there is no secret `{name}` to verify it with"
        return check(signed, secret)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Address:
    """For whom a request may be meant."""

    source: Source
    triggers: tuple[Trigger, ...]


def local_event(source: Source, payload: Json, *, kind: str, at: Micros) -> NewEvent:
    """Something that was seen here, as the store keeps it; nobody sent it, so there is nothing to verify."""
    reading = source.read({}, payload)
    event = Event(
        source=source.name,
        delivery=reading.delivery,
        received_at=at,
        kind=kind,
        payload=payload,
        verified=LOCAL,
    )
    return new_event(Received(event=event, reading=reading))


def new_event(received: Received) -> NewEvent:
    """An event as the store keeps it."""
    event = received.event
    return NewEvent(
        source=event.source,
        delivery=event.delivery,
        kind=event.kind,
        title=received.reading.title,
        received_at=event.received_at,
        way=event.verified.way,
        secrets=event.verified.secrets,
        headers=event.headers,
        payload=msgspec.json.encode(event.payload),
    )


def _checks(address: _Address) -> Iterator[tuple[str, Check]]:
    """The names of the secrets that a request may fit, each with the way in which it is compared."""
    if address.source.name == WEBHOOK_PREFIX:
        for trigger in address.triggers:
            verify = getattr(trigger.settings, "verify", None)
            if verify is not None:
                yield matching.secret_of(trigger), verifying.check_of(verify)
        return
    check = verifying.SENDERS[address.source.name]
    # Runs may wait for events of a sender to which no trigger listens.
    yield matching.default_secret(address.source.name), check
    for trigger in address.triggers:
        yield matching.secret_of(trigger), check


def _path_of(trigger: Trigger) -> str | None:
    return trigger.settings.path if isinstance(trigger.settings, triggers.Webhook) else None


def _delivery(address: _Address, signed: Signed) -> str:
    """The id of a delivery that its payload does not tell: the header that a webhook names, or that of Standard Webhooks."""
    named = [getattr(trigger.settings, "delivery_id", None) for trigger in address.triggers]
    return _first(
        signed.headers.get(name.lower(), "") for name in named if name
    ) or verifying.standard_header(signed.headers, "id")


def _first(texts: Iterable[str]) -> str:
    return next(filter(None, texts), "")
