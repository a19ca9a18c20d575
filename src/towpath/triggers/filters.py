"""What the settings of a trigger ask of an event: one rule for each kind of settings, and the reason where it says no.

Patterns are those of `glob` in expressions, matched by the same linear engine: `*` is anything but `/`, `**` is
anything. A text from outside is only ever the text that is matched, never the pattern.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from towpath.core import values
from towpath.definition import triggers
from towpath.definition.model import Part
from towpath.triggers import contract
from towpath.triggers.contract import AlertNews, Facts

_GLOB = values.compile_condition("glob(text, pattern)")
FITS_KEPT_MAX = 4_096
"""Comparisons that are remembered."""
_SHOWN_MAX = 3
"""How many things a reason names."""


def refusal(settings: Part, facts: Facts) -> str:
    """Why a trigger with these settings does not mean an event with these facts; empty where it does."""
    rule = _RULES.get(type(settings))
    if rule is None:
        return ""
    wanted, asks = rule
    if not isinstance(facts, wanted):
        return "the event does not tell what the trigger asks"
    return asks(settings, facts)


def fits(text: str, patterns: Iterable[str]) -> bool:
    """Whether a text from outside fits one of the patterns of an author."""
    return any(_fits(text, pattern) for pattern in patterns)


@functools.lru_cache(maxsize=FITS_KEPT_MAX)
def _fits(text: str, pattern: str) -> bool:
    """Whether a text fits a pattern; a hundred workflows ask the same of one event."""
    return _GLOB.holds({"text": text, "pattern": pattern})


def _code(settings: triggers.CodeEvent, facts: contract.CodeFacts) -> str:
    refusals = [_one_ref(settings, one) for one in (facts, *facts.others)]
    return "" if "" in refusals else refusals[0]


def _one_ref(settings: triggers.CodeEvent, facts: contract.CodeFacts) -> str:
    if facts.is_fork and not settings.forks:
        return "it comes from a fork, and the trigger does not say `forks: true`"
    return (
        _asked("repository", settings.repository, facts.repository)
        or _ref(settings.branches, settings.tags, branch=facts.branch, tag=facts.tag)
        or _action(settings.actions, facts.action)
        or _paths(settings.paths, facts.paths)
    )


def _action(actions: tuple[str, ...], action: str) -> str:
    if not actions:
        return "what it is about was deleted" if action in ("deleted", "delete") else ""
    return _asked("action", actions, action)


def _ref(branches: tuple[str, ...], tags: tuple[str, ...], *, branch: str, tag: str) -> str:
    """Branches and tags ask about two sorts of the same thing: one of them has to fit."""
    if not branches and not tags:
        return ""
    if branch:
        return (
            _asked("branch", branches, branch)
            if branches
            else f"{branch} is a branch, and tags are asked for"
        )
    if tag:
        return _asked("tag", tags, tag) if tags else f"{tag} is a tag, and branches are asked for"
    return "it is about no branch and no tag"


def _paths(patterns: tuple[str, ...], paths: tuple[str, ...] | None) -> str:
    """Where the event does not tell all files, it counts: better one run too many than one too few."""
    if not patterns or paths is None or any(fits(path, patterns) for path in paths):
        return ""
    return f"none of the changed files ({_listed(paths)}) fits {_listed(patterns)}"


def _poll(settings: triggers.GitPoll, facts: contract.PollFacts) -> str:
    if facts.url != settings.url:
        return f"it is about {facts.url}"
    if not settings.branches and not settings.tags:
        ref = "" if facts.is_default else f"{facts.branch or facts.tag} is not the default branch"
    else:
        ref = _ref(settings.branches, settings.tags, branch=facts.branch, tag=facts.tag)
    return ref or _paths(settings.paths, facts.paths)


def _alert(settings: triggers.Alert, facts: contract.AlertFacts) -> str:
    refusals = [_one_alert(settings, news) for news in facts.alerts]
    if not refusals:
        return "it tells of no alert"
    return "" if "" in refusals else refusals[0]


def _one_alert(settings: triggers.Alert, news: AlertNews) -> str:
    if news.status not in settings.status:
        return f"{news.name} is {news.status}, and {_listed(settings.status)} is asked for"
    if settings.names and not fits(news.name, settings.names):
        return f"the alert {news.name} does not fit {_listed(settings.names)}"
    for name, pattern in settings.labels.items():
        if name not in news.labels:
            return f"{news.name} has no label `{name}`"
        if not fits(news.labels[name], (pattern,)):
            return f"the label `{name}` is {news.labels[name]!r}, and {pattern!r} is asked for"
    return ""


def _ticket(settings: triggers.IssueEvent, facts: contract.TicketFacts) -> str:
    missing = [label for label in settings.labels if not any(fits(one, (label,)) for one in facts.labels)]
    if missing:
        return f"the ticket has no label {_listed(missing)}"
    for name, pattern in settings.fields.items():
        value = _said(facts.fields, name)
        if value is None:
            return f"the ticket has no field `{name}`"
        if not fits(value, (pattern,)):
            return f"the field `{name}` is {value!r}, and {pattern!r} is asked for"
    return _asked("project", settings.project, facts.project) or _asked("type", settings.types, facts.type)


def _said(fields: Mapping[str, Any], name: str) -> str | None:  # Any: JSON from outside
    """A field of a ticket as one text; a choice is an object with a name or a value."""
    value = fields.get(name)
    if isinstance(value, Mapping):
        value = next((value[key] for key in ("name", "value", "displayName") if key in value), None)
    return None if value is None else str(value)


def _command(settings: triggers.SlackCommand, facts: contract.CommandFacts) -> str:
    if facts.command != settings.command:
        return f"it is the command {facts.command}"
    if settings.channels and not any(
        fits(one.lstrip("#"), _plain(settings.channels)) for one in facts.channels
    ):
        return f"it was typed in {_listed(facts.channels)}, and {_listed(settings.channels)} is asked for"
    return ""


def _plain(channels: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(channel.lstrip("#") for channel in channels)


def _build(settings: triggers.JenkinsBuild, facts: contract.BuildFacts) -> str:
    if not facts.result:
        return "the build has not ended"
    if facts.result not in settings.results:
        return f"the result is {facts.result}, and {_listed(settings.results)} is asked for"
    return _asked("job", settings.job, facts.job)


def _cloud_event(settings: triggers.CloudEvent, facts: contract.CloudEventFacts) -> str:
    return (
        _asked("type", settings.type, facts.type)
        or _asked("source", settings.source, facts.source)
        or _asked("subject", settings.subject, facts.subject)
    )


def _webhook(settings: triggers.Webhook, facts: contract.WebhookFacts) -> str:
    return "" if facts.path == settings.path else f"it came to {facts.path}"


def _file(settings: triggers.File, facts: contract.FileFacts) -> str:
    if facts.watch != settings.path:
        return f"{facts.path} belongs to {facts.watch}"
    return "" if facts.change in settings.events else f"the file was {facts.change}"


def _run(settings: triggers.RunEnded, facts: contract.RunFacts) -> str:
    if facts.status not in settings.status:
        return f"the run ended {facts.status}, and {_listed(settings.status)} is asked for"
    return _asked("workflow", settings.workflow, facts.workflow)


def _metric(settings: triggers.Metric, facts: contract.MetricFacts) -> str:
    own = (settings.server, settings.query, settings.for_)
    return "" if own == (facts.server, facts.query, facts.for_seconds) else "it is another query's"


def _asked(what: str, patterns: tuple[str, ...], text: str) -> str:
    if not patterns or fits(text, patterns):
        return ""
    return f"the {what} is {text!r}, and {_listed(patterns)} is asked for"


def _listed(names: Iterable[str]) -> str:
    known = tuple(names)
    more = f" and {len(known) - _SHOWN_MAX} more" if len(known) > _SHOWN_MAX else ""
    return ", ".join(known[:_SHOWN_MAX]) + more if known else "nothing"


_Rule = tuple[type, Callable[[Any, Any], str]]  # Any: each rule has its own settings and facts, paired below
_RULES: Mapping[type[Part], _Rule] = {
    triggers.CodeEvent: (contract.CodeFacts, _code),
    triggers.GitPoll: (contract.PollFacts, _poll),
    triggers.Alert: (contract.AlertFacts, _alert),
    triggers.IssueEvent: (contract.TicketFacts, _ticket),
    triggers.SlackCommand: (contract.CommandFacts, _command),
    triggers.JenkinsBuild: (contract.BuildFacts, _build),
    triggers.CloudEvent: (contract.CloudEventFacts, _cloud_event),
    triggers.Webhook: (contract.WebhookFacts, _webhook),
    triggers.File: (contract.FileFacts, _file),
    triggers.RunEnded: (contract.RunFacts, _run),
    triggers.Metric: (contract.MetricFacts, _metric),
}
