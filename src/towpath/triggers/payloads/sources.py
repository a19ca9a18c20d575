"""The table of sources: how the payload of each is read, and which of its headers say what it is."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from towpath.core.run import Json
from towpath.errors import NotFound
from towpath.triggers.contract import KIND_CHARS_MAX, Event, Reading
from towpath.triggers.payloads import (
    alertmanager,
    bitbucket,
    cloudevents,
    datadog,
    gitea,
    github,
    gitlab,
    grafana,
    jenkins,
    jira,
    local,
    pagerduty,
    servicenow,
    slack,
)

Read = Callable[[Mapping[str, str], Json], Reading]
Unpack = Callable[[Mapping[str, str], Json], Json]
WEBHOOK_PREFIX = "webhook"


def _as_it_is(headers: Mapping[str, str], payload: Json) -> Json:  # noqa: ARG001 - every shape is unpacked the same way
    return payload


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """Where events come from."""

    name: str
    read: Read
    """What a payload is. Raises Malformed."""
    headers: tuple[str, ...] = ()
    """The headers that it reads, with small letters. They are kept with the event."""
    unpack: Unpack = _as_it_is
    """The payload as it is kept, from what came. Raises Malformed."""
    is_remote: bool = True
    """Whether it is somebody who sends, and not this machine."""
    sign: str = ""
    """The header by which its deliveries are known."""


_ALL = (
    Source(name="github", read=github.read, headers=github.HEADERS, sign="x-github-event"),
    Source(name="gitlab", read=gitlab.read, headers=gitlab.HEADERS, sign="x-gitlab-event"),
    Source(name="gitea", read=gitea.read, headers=gitea.HEADERS, sign="x-gitea-event"),
    Source(name="bitbucket", read=bitbucket.read, headers=bitbucket.HEADERS, sign="x-event-key"),
    Source(name="alertmanager", read=alertmanager.read),
    Source(name="grafana", read=grafana.read),
    Source(name="datadog", read=datadog.read),
    Source(name="pagerduty", read=pagerduty.read, headers=pagerduty.HEADERS, sign="x-pagerduty-signature"),
    Source(name="jira", read=jira.read, headers=jira.HEADERS, sign="x-atlassian-webhook-identifier"),
    Source(name="servicenow", read=servicenow.read),
    Source(name="jenkins", read=jenkins.read),
    Source(name="slack", read=slack.read, unpack=slack.unpack, sign="x-slack-signature"),
    Source(name="cloudevent", read=cloudevents.read, unpack=cloudevents.unpack, sign="ce-specversion"),
    Source(name=WEBHOOK_PREFIX, read=local.read_webhook, headers=("path",)),
    Source(name="schedule", read=local.read_schedule, is_remote=False),
    Source(name="git.poll", read=local.read_poll, is_remote=False),
    Source(name="file", read=local.read_file, is_remote=False),
    Source(name="run", read=local.read_run, is_remote=False),
    Source(name="metric", read=local.read_metric, is_remote=False),
)
SOURCES: Mapping[str, Source] = {source.name: source for source in _ALL}


def source_named(name: str) -> Source:
    """The source of that name; of `webhook/deploy` the part before the path counts. Raises NotFound."""
    found = SOURCES.get(name) or SOURCES.get(name.partition("/")[0])
    if found is None:
        raise NotFound(f"there is no source {name!r}", help=f"there are: {', '.join(SOURCES)}")
    return found


def source_of_kind(kind: str) -> Source | None:
    """The source whose events have this kind; None for `manual` and `metric`, which no event has."""
    return SOURCES.get(kind) or SOURCES.get(kind.partition(".")[0])


def guess_source(headers: Mapping[str, str]) -> Source | None:
    """The source that a delivery's own headers tell."""
    # Gitea sends GitHub's header beside its own, so that tools made for GitHub take its deliveries.
    if "x-gitea-event" in headers or "x-forgejo-event" in headers:
        return SOURCES["gitea"]
    return next((source for source in _ALL if source.sign and source.sign in headers), None)


def read(event: Event) -> Reading:
    """What a kept event is."""
    return source_named(event.source).read(event.headers, event.payload)


def kind_of(reading: Reading, source: Source) -> str:
    """What an event is called in lists, also where no trigger is called after it."""
    first = reading.kinds[0] if reading.kinds else f"{source.name}.{reading.title.partition(' ')[0]}"
    return first.rstrip(".")[:KIND_CHARS_MAX]
