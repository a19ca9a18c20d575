"""Payloads: what every sender's real shapes are read as, and what of them is the same delivery."""

from __future__ import annotations

import copy
import json
import lzma
from pathlib import Path
from typing import Any

import pytest

from towpath.definition.triggers import TRIGGER_CLASSES
from towpath.errors import LimitExceeded
from towpath.triggers import contract, payloads
from towpath.triggers.contract import AlertFacts, CodeFacts, Malformed
from towpath.triggers.payloads.body import parse_body

FOLDER = Path(__file__).parent / "payloads"
CASES = sorted(FOLDER.glob("*.json"))
GITHUB: list[dict[str, Any]] = json.loads(lzma.decompress((FOLDER / "github.json.xz").read_bytes()))


def case(name: str) -> dict[str, Any]:
    """One file."""
    found: dict[str, Any] = json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))
    return found


def read(source: str, payload: Any, **headers: str) -> contract.Reading:
    """What a payload is read as."""
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    return payloads.source_named(source).read(names, payload)


@pytest.mark.parametrize("file", CASES, ids=lambda file: file.stem)
def test_a_payload_is_read_as_its_sender_means_it(file: Path) -> None:
    """Kind, delivery and what filters ask are found in the sender's own shape."""
    one = case(file.stem)
    source = file.stem.partition("_")[0]
    reading = payloads.source_named(source).read(one["headers"], one["payload"])
    expect = one["expect"]

    assert expect["kinds"] == list(reading.kinds)
    assert set(reading.kinds) <= set(TRIGGER_CLASSES)
    assert reading.delivery == expect.get("delivery", reading.delivery) != ""
    assert reading.note == expect.get("note", "")
    for name, value in expect.get("facts", {}).items():
        found = getattr(reading.facts, name)
        assert (name, value) == (name, list(found) if isinstance(found, tuple) else found)
    if "alerts" in expect:
        assert isinstance(reading.facts, AlertFacts)
        news = [[one.name, one.status, one.labels.get("severity")] for one in reading.facts.alerts]
        assert expect["alerts"] == news


@pytest.mark.parametrize("event", GITHUB, ids=lambda event: str(event["name"]))
def test_every_example_of_github_is_classified(event: dict[str, Any]) -> None:
    """Each of GitHub's own examples is read: under its trigger's name, or with the reason why there is none."""
    for payload in event["examples"]:
        reading = read("github", payload, x_github_event=event["name"], x_github_delivery="72d3162e")

        known = f"github.{event['name']}" in TRIGGER_CLASSES
        assert (known, not known) == (bool(reading.kinds), bool(reading.note))
        assert reading.delivery == "72d3162e"
        assert isinstance(reading.facts, CodeFacts)
        if "repository" in payload and known:
            assert reading.facts.repository == payload["repository"]["full_name"]


def test_githubs_examples_are_all_there() -> None:
    """The file holds the whole package."""
    assert sum(len(event["examples"]) for event in GITHUB) == 329


GITHUB_PUSH = {
    "ref": "refs/heads/main",
    "before": "a" * 40,
    "after": "b" * 40,
    "created": False,
    "deleted": False,
    "forced": False,
    "repository": {"full_name": "octo/shop"},
    "commits": [{"added": ["app/a.py"], "modified": [], "removed": ["app/b.py"]}],
}


@pytest.mark.parametrize(
    ("different", "expected"),
    [
        ({}, {"branch": "main", "paths": ("app/a.py", "app/b.py"), "action": ""}),
        ({"created": True}, {"branch": "main", "paths": None}),
        ({"forced": True}, {"paths": None}),
        ({"deleted": True, "commits": []}, {"branch": "main", "action": "deleted"}),
        ({"ref": "refs/tags/v1"}, {"branch": "", "tag": "v1"}),
        ({"ref": "refs/heads/feature/x"}, {"branch": "feature/x"}),
        ({"ref": "main"}, {"branch": "", "tag": ""}),
        ({"commits": "none"}, {"paths": None}),
        ({"repository": None}, {"repository": ""}),
    ],
)
def test_a_push_tells_its_files_only_where_it_knows_them_all(
    different: dict[str, Any], expected: dict[str, Any]
) -> None:
    """A new branch and a forced push do not say which files changed; a wrong type is as good as nothing."""
    facts = read("github", {**GITHUB_PUSH, **different}, x_github_event="push").facts

    assert expected == {name: getattr(facts, name) for name in expected}


@pytest.mark.parametrize(
    ("head", "expected"),
    [("octo/shop", False), ("eve/shop", True), (None, True)],
    ids=["own", "fork", "gone"],
)
def test_a_pull_request_from_a_fork_is_told_apart(head: str | None, expected: bool) -> None:
    """Another repository than the one it goes to, or one that is gone, is a fork."""
    pull_request = {
        "head": {"repo": head and {"full_name": head}},
        "base": {"ref": "main", "repo": {"full_name": "octo/shop"}},
    }
    payload = {"action": "opened", "pull_request": pull_request, "repository": {"full_name": "octo/shop"}}
    facts = read("github", payload, x_github_event="pull_request").facts

    assert isinstance(facts, CodeFacts)
    assert (facts.is_fork, facts.branch, facts.action) == (expected, "main", "opened")


def test_a_repeated_notification_is_the_same_delivery() -> None:
    """Alertmanager repeats itself while an alert lasts: that is no news; its end, or one more alert, is."""
    firing = case("alertmanager_firing")["payload"]
    repeated = {**copy.deepcopy(firing), "notificationReason": "repeat"}
    more = copy.deepcopy(firing)
    more["alerts"].append({**more["alerts"][0], "fingerprint": "0002"})
    again = copy.deepcopy(firing)
    again["alerts"][0]["startsAt"] = "2026-11-23T07:00:00Z"
    resolved = case("alertmanager_resolved")["payload"]
    ids = [read("alertmanager", payload).delivery for payload in (firing, repeated, more, again, resolved)]

    assert ids[0] == ids[1]
    assert len(set(ids)) == 4


def test_the_end_of_a_build_counts_once() -> None:
    """Jenkins tells of the end twice, as completed and as finalized: one delivery."""
    completed = case("jenkins_completed")["payload"]
    finalized = copy.deepcopy(completed)
    finalized["build"]["phase"] = "FINALIZED"
    failed = copy.deepcopy(completed)
    failed["build"]["status"] = "FAILURE"
    ids = [read("jenkins", payload).delivery for payload in (completed, finalized, failed)]

    assert ids[0] == ids[1] != ids[2]


def test_slacks_old_token_is_not_kept() -> None:
    """The form's token is a secret: what is kept of the command has none."""
    form = b"token=xyzz0WbapA4vBCDEFx0fg2G&command=%2Fdeploy&text=shop&trigger_id=1"
    headers = {"content-type": "application/x-www-form-urlencoded"}
    kept = payloads.SOURCES["slack"].unpack(headers, parse_body(headers, form))

    assert kept == {"command": "/deploy", "text": "shop", "trigger_id": "1"}


def test_a_cloud_event_is_the_same_both_ways() -> None:
    """Attributes in headers and attributes in the body are one event, known by source and id."""
    source = payloads.SOURCES["cloudevent"]
    headers = {
        "ce-specversion": "1.0",
        "ce-type": "disk.full",
        "ce-source": "/monitor/db%201",
        "ce-id": "7",
        "content-type": "application/json",
    }
    binary = source.unpack(headers, {"used": 95})
    structured = {
        "specversion": "1.0",
        "type": "disk.full",
        "source": "/monitor/db 1",
        "id": "7",
        "data": {"used": 95},
    }

    assert binary == {**structured, "datacontenttype": "application/json"}
    assert source.read({}, binary) == source.read({}, structured)


@pytest.mark.parametrize("source", sorted(payloads.SOURCES))
@pytest.mark.parametrize("payload", [None, [], {}, "text", 5, {"event": 1, "build": [], "issue": "x"}])
def test_nonsense_is_refused_and_breaks_nothing(source: str, payload: Any) -> None:
    """A value of any type is either read or refused as malformed; it never breaks the reader."""
    headers = {"x-github-event": "push", "x-gitea-event": "push", "x-event-key": "repo:push"}
    try:
        reading = payloads.SOURCES[source].read(headers, payload)
    except Malformed:
        return

    assert set(reading.kinds) <= set(TRIGGER_CLASSES)


def deep(levels: int) -> bytes:
    """JSON with so many lists inside each other."""
    return b"[" * levels + b"]" * levels


@pytest.mark.parametrize(
    ("content_type", "body", "expected"),
    [
        ("application/json", b'{"a": 1}', {"a": 1}),
        ("application/cloudevents+json; charset=utf-8", b'{"a": [true, null]}', {"a": [True, None]}),
        ("", b' {"a": 1}', {"a": 1}),
        ("application/x-www-form-urlencoded", b"a=1&b=2&b=3&c=", {"a": "1", "b": ["2", "3"], "c": ""}),
        ("application/x-www-form-urlencoded", b"payload=%7B%22a%22%3A1%7D", {"a": 1}),
        ("text/plain", "grüße".encode(), {"body": "grüße"}),
        ("", b"", {"body": ""}),
        ("application/json", deep(60), json.loads(deep(60))),
    ],
)
def test_a_body_is_read_by_its_type(content_type: str, body: bytes, expected: Any) -> None:
    """JSON, forms, forms that wrap JSON, and plain text."""
    assert expected == parse_body({"content-type": content_type}, body)


@pytest.mark.parametrize(
    ("body", "refusal"),
    [
        (b'{"a": ', Malformed),
        (b'{"a": NaN}', Malformed),
        (b"\xff\xfe", Malformed),
        (deep(100), LimitExceeded),
        (deep(200_000), (Malformed, LimitExceeded)),
        (b" " * (contract.BODY_BYTES_MAX + 1), LimitExceeded),
    ],
    ids=["cut", "nan", "bytes", "deep", "bomb", "long"],
)
def test_a_body_past_a_limit_is_refused(body: bytes, refusal: Any) -> None:
    """What is no JSON, too deep or too long is refused with the reason before anything is made of it."""
    content_type = "application/json" if body[:1] in b"{[" else ""
    with pytest.raises(refusal):
        parse_body({"content-type": content_type}, body)
