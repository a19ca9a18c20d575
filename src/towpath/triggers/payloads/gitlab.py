"""GitLab: `object_kind` names the event, `Idempotency-Key` or `X-Gitlab-Event-UUID` the delivery."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from towpath.core.run import Json
from towpath.triggers.contract import CodeFacts, Malformed, Reading
from towpath.triggers.payloads.picking import changed_paths, fingerprint, items, pick, ref, text

HEADERS = ("x-gitlab-event", "x-gitlab-event-uuid", "idempotency-key")
_NOBODY = "0" * 40


def read(headers: Mapping[str, str], payload: Json) -> Reading:
    """What GitLab tells."""
    event = text(payload, "object_kind") or text(payload, "event_name")
    if not event:
        raise Malformed("this is no delivery of GitLab: it has no object_kind")
    kinds, make = _EVENTS.get(event, ((), _plain))
    facts = make(payload)
    delivery = headers.get("idempotency-key") or headers.get("x-gitlab-event-uuid")
    return Reading(
        kinds=tuple(f"gitlab.{kind}" for kind in kinds),
        delivery=delivery or fingerprint(payload),
        facts=facts,
        title=" ".join(filter(None, (event, facts.action, facts.repository, facts.branch or facts.tag))),
        note="" if kinds else f"no trigger is called gitlab.{event}",
    )


def _repository(payload: Json) -> str:
    return text(payload, "project", "path_with_namespace")


def _plain(payload: Json) -> CodeFacts:
    return CodeFacts(
        repository=_repository(payload),
        action=text(payload, "object_attributes", "action") or text(payload, "action"),
    )


def _push(payload: Json) -> CodeFacts:
    branch, tag = ref(text(payload, "ref"))
    commits = items(payload, "commits")
    total = pick(payload, "total_commits_count")
    # GitLab sends twenty commits at most, and none of those of a new branch.
    is_whole = bool(commits) and total == len(commits) and text(payload, "before") != _NOBODY
    return CodeFacts(
        repository=_repository(payload),
        branch=branch,
        tag=tag,
        action="deleted" if text(payload, "after") == _NOBODY else "",
        paths=changed_paths(commits) if is_whole else None,
    )


def _merge_request(payload: Json) -> CodeFacts:
    said = pick(payload, "object_attributes")
    return CodeFacts(
        repository=_repository(payload),
        branch=text(said, "target_branch"),
        action=text(said, "action"),
        is_fork=pick(said, "source_project_id") != pick(said, "target_project_id"),
    )


def _release(payload: Json) -> CodeFacts:
    return CodeFacts(
        repository=_repository(payload), tag=text(payload, "tag"), action=text(payload, "action")
    )


def _pipeline(payload: Json) -> CodeFacts:
    said = pick(payload, "object_attributes")
    name, is_tag = text(said, "ref"), pick(said, "tag") is True
    source, target = (
        pick(payload, "merge_request", "source_project_id"),
        pick(payload, "merge_request", "target_project_id"),
    )
    return CodeFacts(
        repository=_repository(payload),
        branch="" if is_tag else name,
        tag=name if is_tag else "",
        action=text(said, "status"),
        is_fork=source != target,
    )


def _job(payload: Json) -> CodeFacts:
    name, is_tag = text(payload, "ref"), pick(payload, "tag") is True
    return CodeFacts(
        repository=_repository(payload) or text(payload, "project_name").replace(" ", ""),
        branch="" if is_tag else name,
        tag=name if is_tag else "",
        action=text(payload, "build_status"),
    )


def _deployment(payload: Json) -> CodeFacts:
    return CodeFacts(
        repository=_repository(payload), branch=text(payload, "ref"), action=text(payload, "status")
    )


_EVENTS: Mapping[str, tuple[tuple[str, ...], Callable[[Json], CodeFacts]]] = {
    "push": (("push",), _push),
    "tag_push": (("tag", "push"), _push),
    "merge_request": (("merge_request",), _merge_request),
    "release": (("release",), _release),
    "issue": (("issue",), _plain),
    "work_item": (("issue",), _plain),
    "note": (("note",), _plain),
    "pipeline": (("pipeline",), _pipeline),
    "build": (("job",), _job),
    "deployment": (("deployment",), _deployment),
}
