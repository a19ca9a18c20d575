"""Gitea and Forgejo: GitHub's shapes under headers of their own."""

from __future__ import annotations

from collections.abc import Mapping

from towpath.core.run import Json
from towpath.definition.triggers import TRIGGER_CLASSES
from towpath.triggers.contract import CodeFacts, Malformed, Reading
from towpath.triggers.payloads.picking import changed_paths, fingerprint, items, pick, ref, text

HEADERS = (
    "x-gitea-event", "x-gitea-event-type", "x-gitea-delivery", "x-forgejo-event", "x-forgejo-delivery", "x-gogs-event",
)  # fmt: skip
_NOBODY = "0" * 40


def read(headers: Mapping[str, str], payload: Json) -> Reading:
    """What Gitea tells."""
    event = headers.get("x-gitea-event") or headers.get("x-forgejo-event") or headers.get("x-gogs-event", "")
    if not event or not isinstance(payload, Mapping):
        raise Malformed("this is no delivery of Gitea: it has no X-Gitea-Event", help="Add the header.")
    facts = _facts(event, payload)
    kinds = [f"gitea.{event}"] if f"gitea.{event}" in TRIGGER_CLASSES else []
    if event == "push" and facts.tag:
        kinds.append("gitea.tag")
    delivery = headers.get("x-gitea-delivery") or headers.get("x-forgejo-delivery")
    return Reading(
        kinds=tuple(kinds),
        delivery=delivery or fingerprint(event, payload),
        facts=facts,
        title=" ".join(filter(None, (event, facts.action, facts.repository, facts.branch or facts.tag))),
        note="" if kinds else f"no trigger is called gitea.{event}",
    )


def _facts(event: str, payload: Json) -> CodeFacts:
    repository, action = text(payload, "repository", "full_name"), text(payload, "action")
    match event:
        case "push":
            return _push(payload, repository)
        case "create" | "delete":
            name, is_tag = text(payload, "ref"), text(payload, "ref_type") == "tag"
            return CodeFacts(repository=repository, branch="" if is_tag else name, tag=name if is_tag else "")
        case "pull_request":
            head = text(payload, "pull_request", "head", "repo", "full_name")
            base = text(payload, "pull_request", "base", "repo", "full_name")
            branch = text(payload, "pull_request", "base", "ref")
            return CodeFacts(repository=repository, branch=branch, action=action, is_fork=head != base)
        case "release":
            return CodeFacts(repository=repository, tag=text(payload, "release", "tag_name"), action=action)
        case _:
            return CodeFacts(repository=repository, action=action)


def _push(payload: Json, repository: str) -> CodeFacts:
    branch, tag = ref(text(payload, "ref"))
    commits = items(payload, "commits")
    total = pick(payload, "total_commits")
    is_whole = bool(commits) and total in (None, len(commits)) and text(payload, "before") != _NOBODY
    return CodeFacts(
        repository=repository,
        branch=branch,
        tag=tag,
        action="deleted" if text(payload, "after") == _NOBODY else "",
        paths=changed_paths(commits) if is_whole else None,
    )
