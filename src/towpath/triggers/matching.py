"""What the entries of `on:` say about an event: which run each of them wants, or why none.

An entry is asked in this order, and the first no is its reason: whether it listens to such events; whether the
event is verified as the entry demands; its filters; its `if`. Then its `inputs` are worked out. Of the entries of
one workflow, the first that wants a run gets it: one event starts a workflow once.

A run's start key says what it may happen once for: the delivery, or what `dedupe` gives. The store keeps at most
one run for each key, for ever, so a repeated delivery, a replay, or a crash between keeping the event and starting
its run can never start two.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from towpath.core import values
from towpath.core.run import Json
from towpath.definition import triggers
from towpath.definition.triggers import Trigger
from towpath.errors import ExpressionError
from towpath.triggers import filters, schedule
from towpath.triggers.contract import (
    Broken,
    Event,
    Listener,
    Reading,
    ScheduleFacts,
    Verdict,
    Wanted,
)

KEY_DIGEST_CHARS = 40
SECOND = 1_000_000
"""In microseconds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """What a whole project says about an event."""

    verdicts: tuple[Verdict, ...]
    """Of every entry that listens to such events, workflow by workflow."""
    note: str = ""
    """Why there is none."""


def judge(event: Event, reading: Reading, listeners: Iterable[Listener | Broken]) -> Judged:
    """What every workflow says about an event; entries that listen to something else are left out."""
    verdicts: list[Verdict] = []
    for listener in listeners:
        if isinstance(listener, Broken):
            if listener.text and not any(kind in listener.text for kind in reading.kinds):
                continue
            because = f"the workflow does not load: {listener.why}"
            verdicts.append(
                Verdict(workflow=listener.name, position=0, kind="", because=because, is_failure=True)
            )
        else:
            verdicts += [one for one in ask(event, reading, listener) if one.kind in reading.kinds]
    if any(verdict.kind for verdict in verdicts):
        return Judged(verdicts=tuple(verdicts))
    kinds = " or ".join(reading.kinds) or event.kind
    return Judged(verdicts=tuple(verdicts), note=reading.note or f"no workflow listens to {kinds}")


def ask(event: Event, reading: Reading, listener: Listener) -> Iterator[Verdict]:
    """What every entry of one workflow says about an event; of those that want a run the first gets it."""
    taken: int | None = None
    for trigger in listener.triggers:
        verdict = _verdict(event, reading, listener, trigger)
        if verdict.wanted is not None and taken is not None:
            yield _no(
                listener, trigger, f"entry {taken + 1} has it already: one event starts a workflow once"
            )
            continue
        if verdict.wanted is not None:
            taken = trigger.position
        yield verdict


def secret_of(trigger: Trigger) -> str:
    """The name of the secret that the deliveries for a trigger are verified with; empty where there is none."""
    settings = trigger.settings
    if isinstance(settings, triggers.Webhook):
        ways = (
            ()
            if settings.verify is None
            else (getattr(settings.verify, name) for name in type(settings.verify).model_fields)
        )
        return next((way.secret for way in ways if way is not None), "")
    if isinstance(settings, triggers.Verified):
        return settings.secret or default_secret(trigger.kind)
    return ""


def default_secret(kind: str) -> str:
    """The secret of a sender's deliveries where no trigger names another one: `github_webhook`."""
    return f"{kind.partition('.')[0]}_webhook"


def _verdict(event: Event, reading: Reading, listener: Listener, trigger: Trigger) -> Verdict:
    because = (
        _not_heard(reading, trigger)
        or _not_trusted(event, trigger)
        or _other_schedule(reading, listener, trigger)
        or filters.refusal(trigger.settings, reading.facts)
    )
    if because:
        return _no(listener, trigger, because)
    names = {"event": event.payload}
    try:
        if trigger.if_ is not None and not values.compile_condition(trigger.if_).holds(names):
            return _no(listener, trigger, f"`if` does not hold: {trigger.if_}")
        wanted = _wanted(event, reading, listener, trigger, names)
    except ExpressionError as problem:
        return _no(listener, trigger, problem.message, is_failure=True)
    if wanted.without_secrets and listener.names_secrets:
        whence = "a fork" if event.verified.is_trusted else "nobody knows whom"
        return _no(
            listener,
            trigger,
            f"it comes from {whence}, and such events start only workflows that name no secret",
            is_failure=True,
        )
    debounce = None if trigger.debounce is None else round(trigger.debounce * SECOND)
    return Verdict(
        workflow=listener.workflow.name,
        position=trigger.position,
        kind=trigger.kind,
        wanted=wanted,
        debounce=debounce,
    )


def _not_heard(reading: Reading, trigger: Trigger) -> str:
    if trigger.kind in reading.kinds:
        return reading.note
    return f"it listens to `{trigger.kind}`"


def _not_trusted(event: Event, trigger: Trigger) -> str:
    """Why the way in which an event was verified is not the one that the entry demands."""
    settings = trigger.settings
    if event.verified.way == "local" or not isinstance(settings, triggers.Webhook | triggers.Verified):
        return ""
    wanted = secret_of(trigger)
    if settings.unsafe_unverified or wanted in event.verified.secrets:
        return ""
    if not event.verified.is_trusted:
        return "nobody knows who sent it, and the trigger does not say `unsafe_unverified: true`"
    return f"it was signed with another secret than `{wanted}`"


def _other_schedule(reading: Reading, listener: Listener, trigger: Trigger) -> str:
    if not isinstance(trigger.settings, triggers.Schedule) or not isinstance(reading.facts, ScheduleFacts):
        return ""
    own = (listener.workflow.name, schedule.identity_of(trigger))
    return "" if own == (reading.facts.workflow, reading.facts.schedule) else "it is another schedule's"


def _wanted(
    event: Event, reading: Reading, listener: Listener, trigger: Trigger, names: dict[str, Json]
) -> Wanted:
    inputs, _ = values.compile_template(dict(trigger.inputs)).render(names)
    facts = reading.facts
    return Wanted(
        workflow=listener.workflow.name,
        position=trigger.position,
        inputs=inputs,
        start_key=_start_key(event, listener, trigger, names),
        event=event.payload,
        started_by=f"trigger:{trigger.kind}",
        without_secrets=not event.verified.is_trusted or getattr(facts, "is_fork", False),
    )


def _start_key(event: Event, listener: Listener, trigger: Trigger, names: dict[str, Json]) -> str:
    name = listener.workflow.name
    if trigger.dedupe is None:
        return f"event/{name}/{_digest(event.source, event.delivery)}"
    value, _ = values.compile_template(trigger.dedupe).render(names)
    return f"dedupe/{name}/{_digest(str(value))}"


def _digest(*parts: str) -> str:
    """A digest of parts that no other parts have: each is told with its length."""
    text = "".join(f"{len(part)}:{part}" for part in parts)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:KEY_DIGEST_CHARS]


def _no(listener: Listener, trigger: Trigger, because: str, *, is_failure: bool = False) -> Verdict:
    return Verdict(
        workflow=listener.workflow.name,
        position=trigger.position,
        kind=trigger.kind,
        because=because,
        is_failure=is_failure,
    )
