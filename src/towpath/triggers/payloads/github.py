"""GitHub: `X-GitHub-Event` names the event, `X-GitHub-Delivery` the delivery."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from towpath.core.run import Json
from towpath.definition.triggers import TRIGGER_CLASSES
from towpath.triggers.contract import CodeFacts, Malformed, Reading
from towpath.triggers.payloads.picking import changed_paths, fingerprint, items, pick, ref, text

HEADERS = ("x-github-event", "x-github-delivery")


def read(headers: Mapping[str, str], payload: Json) -> Reading:
    """What GitHub tells."""
    event = headers.get("x-github-event", "")
    if not event or not isinstance(payload, Mapping):
        raise Malformed("this is no delivery of GitHub: it has no X-GitHub-Event", help="Add the header.")
    facts = _FACTS.get(event, _plain)(payload)
    kinds = [f"github.{event}"] if f"github.{event}" in TRIGGER_CLASSES else []
    if event == "push" and facts.tag:
        kinds.append("github.tag")
    return Reading(
        kinds=tuple(kinds),
        delivery=headers.get("x-github-delivery") or fingerprint(event, payload),
        facts=facts,
        title=" ".join(filter(None, (event, facts.action, facts.repository, facts.branch or facts.tag))),
        note="" if kinds else _note(event),
    )


def _note(event: str) -> str:
    if event == "ping":
        return "GitHub only asks whether somebody is there"
    return f"no trigger is called github.{event}"


def _plain(payload: Json) -> CodeFacts:
    return CodeFacts(repository=_repository(payload), action=text(payload, "action"))


def _repository(payload: Json) -> str:
    return text(payload, "repository", "full_name")


def _push(payload: Json) -> CodeFacts:
    branch, tag = ref(text(payload, "ref"))
    commits = items(payload, "commits")
    # A new branch and a forced push say nothing of what lies between the old files and the new ones.
    is_told = commits and not (pick(payload, "created") or pick(payload, "forced"))
    return CodeFacts(
        repository=_repository(payload),
        branch=branch,
        tag=tag,
        action="deleted" if pick(payload, "deleted") is True else "",
        paths=changed_paths(commits) if is_told else None,
    )


def _pull_request(payload: Json) -> CodeFacts:
    head = text(payload, "pull_request", "head", "repo", "full_name")
    base = text(payload, "pull_request", "base", "repo", "full_name")
    return CodeFacts(
        repository=_repository(payload),
        branch=text(payload, "pull_request", "base", "ref"),
        action=text(payload, "action"),
        is_fork=head != base,  # a fork that is gone has no name
    )


def _created_or_deleted(payload: Json) -> CodeFacts:
    name, sort = text(payload, "ref"), text(payload, "ref_type")
    return CodeFacts(
        repository=_repository(payload),
        branch=name if sort == "branch" else "",
        tag=name if sort == "tag" else "",
    )


def _release(payload: Json) -> CodeFacts:
    return CodeFacts(
        repository=_repository(payload),
        tag=text(payload, "release", "tag_name"),
        action=text(payload, "action"),
    )


def _workflow_run(payload: Json) -> CodeFacts:
    head = text(payload, "workflow_run", "head_repository", "full_name")
    return CodeFacts(
        repository=_repository(payload),
        branch=text(payload, "workflow_run", "head_branch"),
        action=text(payload, "action"),
        is_fork=head != _repository(payload),
    )


def _check_suite(payload: Json) -> CodeFacts:
    branch = text(payload, "check_suite", "head_branch")
    return CodeFacts(
        repository=_repository(payload),
        branch=branch,
        action=text(payload, "action"),
        is_fork=not branch,  # the branch of a fork is not told
    )


def _deployment(payload: Json) -> CodeFacts:
    return CodeFacts(repository=_repository(payload), branch=text(payload, "deployment", "ref"))


def _deployment_status(payload: Json) -> CodeFacts:
    return CodeFacts(
        repository=_repository(payload),
        branch=text(payload, "deployment", "ref"),
        action=text(payload, "deployment_status", "state"),
    )


def _dispatch(payload: Json) -> CodeFacts:
    return CodeFacts(
        repository=_repository(payload), branch=text(payload, "branch"), action=text(payload, "action")
    )


_FACTS: Mapping[str, Callable[[Json], CodeFacts]] = {
    "push": _push,
    "pull_request": _pull_request,
    "pull_request_review": _pull_request,
    "create": _created_or_deleted,
    "delete": _created_or_deleted,
    "release": _release,
    "workflow_run": _workflow_run,
    "check_suite": _check_suite,
    "deployment": _deployment,
    "deployment_status": _deployment_status,
    "repository_dispatch": _dispatch,
}
