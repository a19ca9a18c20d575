"""Bitbucket, in the cloud and on one's own servers: `X-Event-Key` names the event.

One push may move several branches and tags, and comes as one delivery.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

from towpath.core.run import Json
from towpath.triggers.contract import CodeFacts, Malformed, Reading
from towpath.triggers.payloads.picking import fingerprint, items, pick, text

HEADERS = ("x-event-key", "x-request-uuid", "x-request-id")
_SERVER_ACTIONS = {"opened": "created", "modified": "updated", "merged": "fulfilled", "declined": "rejected"}
"""What the server's events are called in the cloud."""


def read(headers: Mapping[str, str], payload: Json) -> Reading:
    """What Bitbucket tells."""
    key = headers.get("x-event-key") or text(payload, "eventKey")
    if not key:
        raise Malformed("this is no delivery of Bitbucket: it has no X-Event-Key", help="Add the header.")
    family, _, action = key.partition(":")
    delivery = headers.get("x-request-uuid") or headers.get("x-request-id") or fingerprint(key, payload)
    kinds: tuple[str, ...] = ()
    facts = CodeFacts(repository=_repository(payload), action=action)
    match family, action:
        case "repo", "push" | "refs_changed":
            facts = _push(payload)
            kinds = ("bitbucket.push", *(("bitbucket.tag",) if _has_tag(facts) else ()))
        case "pullrequest" | "pr", _:
            facts = _pull_request(payload, _SERVER_ACTIONS.get(action, action))
            kinds = ("bitbucket.pull_request",)
        case "issue", _:
            kinds = ("bitbucket.issue",)
        case "repo", "commit_comment_created" | "comment:added":
            kinds = ("bitbucket.commit_comment",)
    return Reading(
        kinds=kinds,
        delivery=delivery,
        facts=facts,
        title=" ".join(filter(None, (key, facts.repository, facts.branch or facts.tag))),
        note="" if kinds else _note(key),
    )


def _note(key: str) -> str:
    if key == "diagnostics:ping":
        return "Bitbucket only asks whether somebody is there"
    return f"no trigger is called after {key}"


def _repository(payload: Json) -> str:
    cloud = text(payload, "repository", "full_name")
    project, slug = text(payload, "repository", "project", "key"), text(payload, "repository", "slug")
    return cloud or (f"{project}/{slug}" if slug else "")


def _has_tag(facts: CodeFacts) -> bool:
    return any(one.tag for one in (facts, *facts.others))


def _push(payload: Json) -> CodeFacts:
    repository = _repository(payload)
    changes = [_cloud(change, repository) for change in items(payload, "push", "changes")]
    changes += [_server(change, repository) for change in items(payload, "changes")]
    if not changes:
        return CodeFacts(repository=repository)
    return dataclasses.replace(changes[0], others=tuple(changes[1:]))


def _cloud(change: Json, repository: str) -> CodeFacts:
    is_deleted = not isinstance(pick(change, "new"), Mapping)
    moved = pick(change, "old" if is_deleted else "new")
    name, is_tag = text(moved, "name"), text(moved, "type") == "tag"
    return CodeFacts(
        repository=repository,
        branch="" if is_tag else name,
        tag=name if is_tag else "",
        action="deleted" if is_deleted else "",
    )


def _server(change: Json, repository: str) -> CodeFacts:
    name, is_tag = text(change, "ref", "displayId"), text(change, "ref", "type") == "TAG"
    return CodeFacts(
        repository=repository,
        branch="" if is_tag else name,
        tag=name if is_tag else "",
        action="deleted" if text(change, "type") == "DELETE" else "",
    )


def _pull_request(payload: Json, action: str) -> CodeFacts:
    cloud, server = pick(payload, "pullrequest"), pick(payload, "pullRequest")
    if isinstance(cloud, Mapping):
        source = text(cloud, "source", "repository", "full_name")
        target = text(cloud, "destination", "repository", "full_name")
        branch = text(cloud, "destination", "branch", "name")
        return CodeFacts(repository=target, branch=branch, action=action, is_fork=source != target)
    source, target = (_repository(pick(server, name)) for name in ("fromRef", "toRef"))
    branch = text(server, "toRef", "displayId")
    return CodeFacts(repository=target, branch=branch, action=action, is_fork=source != target)
