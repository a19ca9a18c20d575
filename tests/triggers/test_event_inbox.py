"""The door for what arrives: who is let in, what is kept, and what is refused without a trace."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from inbox_support import SECRETS, World, push

from towpath.errors import LimitExceeded
from towpath.triggers import BODY_BYTES_MAX, Malformed, NobodyListens, RawRequest, Unverified


@pytest.fixture
def world() -> World:
    """A world with two workflows."""
    made = World()
    made.project.add("release", "- github.push: {branches: [main]}")
    made.project.add(
        "deploy", "- webhook: {path: /deploy, verify: {token: {secret: deploy}}, delivery_id: X-Request-Id}"
    )
    return made


def post(path: str, body: bytes = b'{"a": 1}', **headers: str) -> RawRequest:
    """A request."""
    return RawRequest(
        path=path, headers={name.replace("_", "-"): value for name, value in headers.items()}, body=body
    )


def test_what_is_answered_is_kept(world: World) -> None:
    """The receipt names an event that is in the store with all that will be needed, and no secret."""
    receipt = world.inbox.accept(push())
    row = world.row()

    assert (receipt.event, receipt.existing, receipt.title) == (row.id, False, "push octo/shop main")
    assert (row.source, row.delivery, row.kind, row.state) == ("github", "d1", "github.push", "received")
    assert (row.way, row.secrets) == ("signature", ("github_webhook",))
    assert dict(row.headers) == {"x-github-event": "push", "x-github-delivery": "d1"}
    assert json.loads(world.store.events.payload(row.id))["after"] == "abc"


def test_a_repeated_delivery_is_the_same_event(world: World) -> None:
    """A sender that repeats itself is told the same, and the repeat is counted."""
    first = world.inbox.accept(push())
    again = world.inbox.accept(push())

    assert (again.event, again.existing) == (first.event, True)
    assert world.row().repeats == 1


DEEP = b"[" * 500 + b"]" * 500
REFUSED: list[tuple[RawRequest, type[Exception], str]] = [
    (push(secret="guess"), Unverified, "the signature does not fit"),
    (push(signature="sha256=00"), Unverified, "the signature does not fit"),
    (replace(push(), headers={"X-GitHub-Event": "push"}), Unverified, "it has no X-Hub-Signature-256"),
    (replace(push(), body=push().body + b" "), Unverified, "the signature does not fit"),
    (post("/gitlab", X_Gitlab_Token="x"), Unverified, "there is no secret `gitlab_webhook` to verify it with"),
    (post("/deploy"), Unverified, "it has no Authorization"),
    (post("/deploy", Authorization="Bearer wrong"), Unverified, "the secret word does not fit"),
    (post("/nowhere"), NobodyListens, "nothing listens at '/nowhere'"),
    (post("/schedule"), NobodyListens, "nothing listens at '/schedule'"),
    (post("/webhook"), NobodyListens, "nothing listens at '/webhook'"),
    (post("/deploy", b'{"a"', Authorization="Bearer opensesame"), Malformed, "the body is not JSON"),
    (post("/deploy", DEEP, Authorization="Bearer opensesame"), LimitExceeded, "PAYLOAD_DEPTH_MAX"),
    (post("/deploy", b" " * (BODY_BYTES_MAX + 1)), LimitExceeded, "BODY_BYTES_MAX"),
]  # fmt: skip


@pytest.mark.parametrize(("request_", "refusal", "why"), REFUSED, ids=[why for _, _, why in REFUSED])
def test_what_is_refused_leaves_no_trace(
    world: World, request_: RawRequest, refusal: type[Exception], why: str
) -> None:
    """A forged, unknown, broken or oversized request is refused with its reason, and nothing of it is kept."""
    with pytest.raises(refusal, match=None) as refused:
        world.inbox.accept(request_)

    assert why in str(refused.value)
    assert world.store.events.events() == ()


@pytest.mark.parametrize("secret", sorted(SECRETS.values()))
def test_no_refusal_tells_a_secret(world: World, secret: str) -> None:
    """No reason holds the value of a secret, or how much of it was right."""
    for request_, _, _ in REFUSED:
        with pytest.raises(Exception) as refused:  # noqa: PT011 - which one is another test's
            world.inbox.accept(request_)
        assert secret not in f"{refused.value} {getattr(refused.value, 'help', '')}"


@pytest.mark.parametrize(
    ("headers", "expected"),
    [({"X-Request-Id": "r7"}, ["r7", "r7"]), ({}, None)],
)
def test_a_webhook_is_known_by_the_header_that_it_names(
    world: World, headers: dict[str, str], expected: list[str] | None
) -> None:
    """With an id a repeat is noticed; without one, every request is an event of its own."""
    request_ = RawRequest(
        path="/deploy", headers={"Authorization": "Bearer opensesame", **headers}, body=b"{}"
    )
    receipts = [world.inbox.accept(request_) for _ in range(2)]

    assert [receipt.existing for receipt in receipts] == [False, expected is not None]
    assert world.row().source == "webhook/deploy"
    assert expected is None or world.row().delivery == expected[0]


def test_a_sender_is_let_in_by_the_secret_of_any_trigger(world: World) -> None:
    """Each trigger may have a secret of its own; the event remembers which one fitted."""
    world.project.add("hotfix", "- github.push: {secret: deploy}")

    world.inbox.accept(push(secret="opensesame"))
    assert world.row().secrets == ("deploy",)
    world.inbox.accept(push(delivery="d2"))
    assert world.row().secrets == ("github_webhook",)


def test_anybody_is_let_in_where_that_is_spelt_out(world: World) -> None:
    """`unsafe_unverified` takes what nobody has signed, and the event says that nobody knows who sent it."""
    world.project.add(
        "open", "- webhook: {path: /open, unsafe_unverified: true}\n- github.push: {unsafe_unverified: true}"
    )

    world.inbox.accept(post("/open"))
    assert (world.row().way, world.row().secrets) == ("nobody", ())
    world.inbox.accept(push(secret="guess"))
    assert world.row().way == "nobody"


def test_nobody_can_take_the_id_of_a_delivery_to_come(world: World) -> None:
    """A forged delivery that is let in does not make the real one a repeat."""
    world.project.add("open", "- github.push: {unsafe_unverified: true}")
    forged = world.inbox.accept(push(secret="guess"))
    real = world.inbox.accept(push())

    assert (forged.existing, real.existing) == (False, False)
    assert world.row(forged.event).delivery == "unverified/d1"


def test_standard_webhooks_are_known_by_their_own_id(world: World) -> None:
    """The id that is signed with the request is the delivery, and a repeat of it is the same event."""
    world.project.add("pay", "- webhook: {path: /pay, verify: {standard_webhooks: {secret: other}}}")
    world.at = 1_614_265_330 * 1_000_000
    headers = {
        "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "webhook-timestamp": "1614265330",
        "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    }
    request_ = RawRequest(path="/pay", headers=headers, body=b'{"test": 2432232314}')

    assert [world.inbox.accept(request_).existing for _ in range(2)] == [False, True]
    assert world.row().delivery == "msg_p5jXN8AQM9LWM0D4loKWxJek"
    world.at += 301 * 1_000_000
    with pytest.raises(Unverified, match="from our time"):
        world.inbox.accept(request_)


def test_an_overlong_id_is_replaced(world: World) -> None:
    """An id that is too long, or that nobody could type, is kept as its digest: the same one each time."""
    for delivery in ("x" * 5_000, "a\x1b[2Jb"):
        first, again = (world.inbox.accept(push(delivery=delivery)) for _ in range(2))

        assert (first.event, again.existing) == (again.event, True)
        assert len(world.row().delivery) == 64


def test_a_flood_of_deliveries_is_one_event_for_each(world: World) -> None:
    """Of many deliveries, each with its repeats, every one is kept exactly once."""
    receipts = [world.inbox.accept(push(delivery=f"d{number % 50}")) for number in range(200)]

    assert sum(not receipt.existing for receipt in receipts) == 50
    assert len(world.store.events.events()) == 50


def test_headers_are_read_in_any_case(world: World) -> None:
    """HTTP does not tell large letters from small ones."""
    shouted = push()
    headers: dict[str, Any] = {name.upper(): value for name, value in shouted.headers.items()}

    assert world.inbox.accept(replace(shouted, headers=headers)).title == "push octo/shop main"
