"""From what towpath.yaml says to channels that send."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import pytest
from http_support import answering
from outbox_support import channel, notice, sending

from towpath.definition.project import Channel
from towpath.errors import NotFound
from towpath.people.channels.contract import Notice, SendFailed
from towpath.people.channels.making import close_channels, make_channel, make_channels
from towpath.people.channels.terminal import Terminal, TerminalChannel
from towpath.steps.egress import GuardedEgress

pytestmark = pytest.mark.filterwarnings("ignore:'imghdr' is deprecated:DeprecationWarning")
KEY = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


class Secrets:
    """Secrets in a mapping."""

    name = "test"

    def __init__(self, **values: str) -> None:
        self.values = values

    def get(self, name: str) -> str:
        """The value of a secret."""
        if name not in self.values:
            raise NotFound(f"There is no secret `{name}`.", help="set it")
        return self.values[name]


async def send(written: Channel, secrets: Secrets | None = None, **different: Any) -> None:
    """Sends through a channel as it is made from what was written."""
    made = {"it": make_channel(written, secrets=secrets or Secrets(), egress=GuardedEgress())}
    try:
        await made["it"].send(sending(**different))
    finally:
        close_channels(made)


async def test_a_webhook_with_a_url_is_signed_by_its_secret() -> None:
    """`url` and `secret`: the secret is the key."""
    async with answering() as server:
        await send(channel(kind="webhook", url=server.url, secret="hook_key"), Secrets(hook_key=KEY))

    assert server.received[0].headers["webhook-signature"].startswith("v1,")


async def test_a_webhook_without_a_url_has_it_in_its_secret() -> None:
    """`secret` alone: the secret is the URL, line break at its end or not."""
    async with answering() as server:
        secrets = Secrets(hook_url=f"{server.url}/in/0123456789abcdef\n")
        await send(channel(kind="webhook", secret="hook_url"), secrets)

    assert server.received[0].line.startswith("POST /in/0123456789abcdef ")
    assert "webhook-signature" not in server.received[0].headers


async def test_what_a_channel_complains_about_holds_no_secret() -> None:
    """Whatever a server says back, neither the secret nor the key in a URL gets into the record."""
    body = json.dumps({"error": "bad path /in/0123456789abcdef", "seen": KEY}).encode()
    async with answering(status="500 Oops", body=body) as server:
        written = channel(kind="webhook", url=f"{server.url}/in/0123456789abcdef", secret="hook_key")
        with pytest.raises(SendFailed) as failed:
            await send(written, Secrets(hook_key=KEY))

    assert "bad path /in/***" in failed.value.message
    assert "0123456789abcdef" not in failed.value.message
    assert KEY not in failed.value.message


async def test_a_secret_that_is_not_there_is_an_error_of_that_channel() -> None:
    """It may be there later, so it is tried again; the help says what to do."""
    with pytest.raises(SendFailed, match="There is no secret `hook_key`") as failed:
        await send(channel(kind="webhook", url="http://127.0.0.1:1", secret="hook_key"))

    assert (failed.value.is_final, failed.value.help) == (False, "set it")


@pytest.mark.parametrize(
    ("written", "said"),
    [
        (
            {"kind": "email", "to": "a@example.com", "url": "http://mail"},
            "is not the address of a mail server",
        ),
        (
            {"kind": "email", "to": "a@example.com", "from": "a@example.com, b@example.com"},
            "is not one mail address",
        ),
        ({"kind": "webhook"}, "needs url, or a secret"),
    ],
)
async def test_a_channel_that_is_written_wrongly_breaks_only_itself(
    written: dict[str, Any], said: str
) -> None:
    """Making it raises nothing; sending through it fails for good, with the reason."""
    with pytest.raises(SendFailed, match=said) as failed:
        await send(channel(**written))

    assert failed.value.is_final


@pytest.mark.parametrize("kind", ["slack", "teams", "mattermost", "ntfy", "pagerduty", "opsgenie", "apprise"])
async def test_every_kind_of_channel_can_be_made(kind: str) -> None:
    """No kind that towpath.yaml knows is without a channel; one without what it needs says so when it is used."""
    with pytest.raises(SendFailed) as failed:
        await send(channel(kind=kind), recipient="to:", address="")

    assert failed.value.is_final


async def test_whoever_sits_at_the_terminal_is_told_there_in_short() -> None:
    """The channel `terminal` is there where somebody sits, and shows what it is, what is asked, and why them, in lines that steer nothing."""
    written: list[Sequence[str]] = []
    ada = Terminal(user="ada", show=lambda _, lines: written.append(lines))
    made = make_channels({}, secrets=Secrets(), egress=GuardedEgress(), terminal=ada)

    await made["terminal"].send(sending(notice(question="Release\x1b[2J?")))
    await made["terminal"].send(
        sending(notice(why="decided", decision="reject", by="user:ben", comment="no"))
    )

    assert written == [
        (
            "Approval wanted: release_shop #12, go_live",
            "Release[2J?",
            "you are in group:release_managers; 1 h 30 min left, then it counts as rejected",
        ),
        ("Rejected by ben: release_shop #12, go_live", "“no”"),
    ]
    assert make_channels({}, secrets=Secrets(), egress=GuardedEgress()) == {}


async def test_a_terminal_says_nothing_of_what_was_done_at_it() -> None:
    """Who decided it themselves does not read that they did."""
    written: list[Sequence[str]] = []
    channel = TerminalChannel(Terminal(user="ada", show=lambda _, lines: written.append(lines)))

    await channel.send(sending(notice(why="decided", decision="approve", by="user:ada")))

    assert written == []


@pytest.mark.parametrize(
    ("user", "expected"), [("ada", "cannot be written: broken pipe"), ("ben", "that it was for is gone")]
)
async def test_a_terminal_that_is_gone_is_no_disaster(user: str, expected: str) -> None:
    """A closed terminal, and one at which somebody else sits now, is a failure of that sending, for good."""

    def closed(_: Notice, __: Sequence[str]) -> None:
        raise BrokenPipeError("broken pipe")

    with pytest.raises(SendFailed, match=expected) as failed:
        await TerminalChannel(Terminal(user=user, show=closed)).send(sending())

    assert failed.value.is_final
