"""Payloads that a person hands in: taken in as if they had been delivered, or only tried out on a workflow.

Whoever hands one in is trusted: no signature is asked for. It is known by what its sender would know it by, so that the same one handed in
twice starts nothing twice.
"""

from __future__ import annotations

import dataclasses
import uuid
from collections.abc import Mapping

from towpath.core.run import Micros
from towpath.definition.inputs import complete_inputs
from towpath.definition.loader import Loaded
from towpath.definition.triggers import Webhook
from towpath.errors import NotFound, Refused, TowpathError
from towpath.triggers import matching
from towpath.triggers.contract import Listener, Verdict
from towpath.triggers.payloads import Source, guess_source, source_named
from towpath.triggers.payloads.sources import source_of_kind
from towpath.triggers.receiving import Received, receive


def handed_in(
    body: bytes, *, source: str, headers: Mapping[str, str], at: Micros, delivery: str = ""
) -> Received:
    """A payload as if it had been delivered; raises NotFound, Refused, Malformed or LimitExceeded.

    Args:
        body: as its sender would send it.
        source: who sends it: `github`, or `webhook/deploy` for the path of a webhook.
        headers: with small letters.
        at: now.
        delivery: an id for what has none of its own; a new one where it is empty.

    """
    name, slash, path = source.partition("/")
    if "." in name and name != "git.poll":
        raise NotFound(
            f"there is no source {name!r}",
            help=f"{name.partition('.')[0]!r} is one, its headers name the event",
        )
    if name == "webhook" and not slash:
        raise Refused("a webhook has a path", help="say --source webhook/deploy for the path /deploy")
    where = f"/{path}" if slash else ""
    known_by = delivery or f"by-hand-{uuid.uuid4().hex}"
    return receive(source_named(name), headers, body, at=at, path=where, delivery=known_by)


def tried_out(
    body: bytes, listener: Listener, *, source: str | None, headers: Mapping[str, str], path: str, at: Micros
) -> Received:
    """A payload that is only tried out on one workflow; who sends it is guessed where nobody says it, else Refused is raised.

    *source* may name an event, too: `github.push`. *path* is that of a webhook; the workflow's own where it is empty.
    """
    found, extra = _source(listener, source, headers)
    paths = [one.settings.path for one in listener.triggers if isinstance(one.settings, Webhook)]
    where = path or (paths[0] if found.name == "webhook" and paths else "")
    return receive(found, {**extra, **headers}, body, at=at, path=where, delivery="test")


def verdicts(received: Received, loaded: Loaded, listener: Listener) -> list[Verdict]:
    """What every entry of a workflow's `on:` says about an event, with the inputs of the run complete."""
    return [_judged(loaded, one) for one in matching.ask(received.event, received.reading, listener)]


def _source(
    listener: Listener, named: str | None, headers: Mapping[str, str]
) -> tuple[Source, dict[str, str]]:
    """Who sends: as it was said, else as the headers tell, else the only one that the workflow listens to."""
    kinds = [trigger.kind for trigger in listener.triggers]
    if named is not None:
        found = source_named(named.partition(".")[0] if named not in kinds else _name_of(named))
        if "." in named:
            kinds = [named]
    else:
        listened = {one.name: one for one in map(source_of_kind, kinds) if one is not None}
        guessed = guess_source(headers) or (next(iter(listened.values())) if len(listened) == 1 else None)
        if guessed is None:
            names = ", ".join(listened) or "nothing that is sent"
            raise Refused(
                f"it is not clear who sends this: the workflow listens to {names}", help="say --source NAME"
            )
        found = guessed
    events = {kind.partition(".")[2] for kind in kinds if kind.startswith(f"{found.name}.")}
    if not found.sign.endswith("-event") or found.sign in headers or len(events) != 1:
        return found, {}
    event = events.pop()
    return found, {found.sign: "push" if event == "tag" else event}


def _name_of(kind: str) -> str:
    found = source_of_kind(kind)
    return found.name if found is not None else kind


def _judged(loaded: Loaded, verdict: Verdict) -> Verdict:
    """A verdict with the run's inputs complete, or with what is wrong with them."""
    if verdict.wanted is None:
        return verdict
    try:
        inputs = complete_inputs(loaded.workflow.inputs, verdict.wanted.inputs, is_text=True)
    except TowpathError as problem:
        because = f"its inputs do not fit: {problem.message}"
        return dataclasses.replace(verdict, wanted=None, because=because, is_failure=True)
    return dataclasses.replace(verdict, wanted=dataclasses.replace(verdict.wanted, inputs=inputs))
