"""What happens on this machine: a schedule comes round, a repository or a file changes, a run ends.

These payloads are our own, so they carry the facts that filters ask beside what people will read.
"""

from __future__ import annotations

from collections.abc import Mapping

from towpath.core.run import Json
from towpath.triggers.contract import (
    RUN_CHAIN_MAX,
    FileFacts,
    Malformed,
    MetricFacts,
    PollFacts,
    Reading,
    RunFacts,
    ScheduleFacts,
    WebhookFacts,
)
from towpath.triggers.payloads.picking import fingerprint, pick, text, texts

HEADERS: tuple[str, ...] = ()


def read_schedule(headers: Mapping[str, str], payload: Json) -> Reading:  # noqa: ARG001 - every shape is read the same way
    """A schedule came round."""
    facts = ScheduleFacts(workflow=text(payload, "workflow"), schedule=text(payload, "schedule"))
    at = text(payload, "scheduled_at")
    if not at:
        raise Malformed("this is no event of a schedule: it has no scheduled_at")
    return Reading(
        kinds=("schedule",),
        delivery=f"{facts.workflow}/{facts.schedule}/{at}",
        facts=facts,
        title=f"{facts.workflow} at {at}",
    )


def read_poll(headers: Mapping[str, str], payload: Json) -> Reading:  # noqa: ARG001 - as above
    """A ref of a repository moved."""
    paths = texts(payload, "paths") if isinstance(pick(payload, "paths"), list) else None
    facts = PollFacts(
        url=text(payload, "url"),
        branch=text(payload, "branch"),
        tag=text(payload, "tag"),
        is_default=pick(payload, "is_default") is True,
        paths=paths,
    )
    moved = (facts.url, text(payload, "ref"), text(payload, "look"), text(payload, "after"))
    return Reading(
        kinds=("git.poll",),
        delivery=fingerprint(*moved),
        facts=facts,
        title=f"{facts.url} {facts.branch or facts.tag}",
    )


def read_file(headers: Mapping[str, str], payload: Json) -> Reading:  # noqa: ARG001 - as above
    """A file changed."""
    facts = FileFacts(
        path=text(payload, "path"), change=text(payload, "change"), watch=text(payload, "watch")
    )
    told = (facts.watch, facts.path, facts.change, text(payload, "look"))
    return Reading(
        kinds=("file",), delivery=fingerprint(*told), facts=facts, title=f"{facts.change} {facts.path}"
    )


def read_run(headers: Mapping[str, str], payload: Json) -> Reading:  # noqa: ARG001 - as above
    """A run ended."""
    facts = RunFacts(workflow=text(payload, "workflow"), status=text(payload, "status"))
    chain = pick(payload, "chain")
    is_too_long = isinstance(chain, int) and chain > RUN_CHAIN_MAX
    return Reading(
        kinds=("run",),
        delivery=text(payload, "id"),
        facts=facts,
        title=f"{facts.workflow} {facts.status}",
        note=f"more than RUN_CHAIN_MAX ({RUN_CHAIN_MAX}) runs have started one another"
        if is_too_long
        else "",
    )


def read_metric(headers: Mapping[str, str], payload: Json) -> Reading:  # noqa: ARG001 - as above
    """A query has held for a while."""
    seconds = pick(payload, "for_seconds")
    facts = MetricFacts(
        server=text(payload, "server"),
        query=text(payload, "query"),
        for_seconds=float(seconds) if isinstance(seconds, int | float) else 0.0,
    )
    told = (facts.server, facts.query, facts.for_seconds, text(payload, "since"))
    return Reading(kinds=("metric",), delivery=fingerprint(*told), facts=facts, title=facts.query)


def read_webhook(headers: Mapping[str, str], payload: Json) -> Reading:  # noqa: ARG001 - as above
    """A request to a path that a workflow names; its delivery is named, if at all, by a header that the trigger names."""
    path = headers.get("path", "")
    return Reading(kinds=("webhook",), delivery="", facts=WebhookFacts(path=path), title=path)
