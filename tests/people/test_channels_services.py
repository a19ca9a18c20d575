"""What goes through apprise: addresses from what towpath.yaml says, and real requests to a server on this machine."""

from __future__ import annotations

import json
import sys
from typing import Any

import apprise
import pytest
from http_support import answering
from outbox_support import notice, sending

from towpath.people.channels.contract import SendFailed
from towpath.people.channels.services import Service, ServiceChannel, address_of

pytestmark = pytest.mark.filterwarnings("ignore:'imghdr' is deprecated:DeprecationWarning")
"""apprise imports what Python 3.13 has no more, and has a replacement for it."""

SLACK_HOOK = "https://hooks.slack.com/services/T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ"
TEAMS_HOOK = (
    "https://prod-12.westus.logic.azure.com:443/workflows/d3d3d3/triggers/manual/paths/invoke"
    "?api-version=2016-06-01&sp=%2Ftriggers%2Fmanual%2Frun&sv=1.0&sig=iXKabc"
)
NASTY = "*b* <!channel> <@U1> @here [a](http://b) <b>x</b> `c`"


async def send(service: Service, *, to: tuple[str, ...] = (), **different: Any) -> None:
    """Sends one notice through a service."""
    channel = ServiceChannel(lambda: service, to=to)
    try:
        await channel.send(sending(notice(question=NASTY), **different))
    finally:
        channel.close()


async def test_a_text_goes_through_apprise() -> None:
    """Subject and text reach a real server, as text; the channel's own place where no person is named."""
    async with answering() as server:
        own = f"json://127.0.0.1:{server.port}/hook"
        await send(Service(kind="apprise", url=own), address="")

    (request,) = server.received
    said = json.loads(request.body)
    assert request.line.startswith("POST /hook")
    assert said["title"] == "Approval wanted: release_shop #12, go_live"
    assert "tow approve 12 go_live" in said["message"]
    for call in ("@here", "<!channel>", "<@U1>"):
        assert call not in said["message"]


async def test_several_places_are_told_each() -> None:
    """A channel with several targets makes one request for each."""
    async with answering() as server:
        own = f"json://127.0.0.1:{server.port}/hook"
        await send(Service(kind="apprise", url=own), to=("one", "two"), address="")

    assert [request.line.split()[1] for request in server.received] == ["/hook/one", "/hook/two"]


async def test_mattermost_shows_no_foreign_markup() -> None:
    """Mattermost reads everything as Markdown, so what came from outside is escaped there."""
    async with answering() as server:
        await send(Service(kind="mattermost", url=f"{server.url}/hooks/abc123def456"), address="town-square")

    (request,) = server.received
    said = json.loads(request.body)
    assert request.line.startswith("POST /hooks/abc123def456")
    assert said["channel"] == "town-square"
    assert "`tow approve 12 go_live`" in said["text"]
    assert r"\*b\*" in said["text"]
    assert r"\[a\]\(http" in said["text"]
    for call in ("@here", "<!channel>", "<b>"):
        assert call not in said["text"]


async def test_ntfy_gets_topic_and_token() -> None:
    """A person's topic, and the token as a header."""
    async with answering() as server:
        await send(Service(kind="ntfy", url=server.url, secret="tk_abcdefghijklm"), address="ada_pager")

    (request,) = server.received
    assert json.loads(request.body)["topic"] == "ada_pager"
    assert request.headers["authorization"] == "Bearer tk_abcdefghijklm"


async def test_what_a_service_complains_about_is_told() -> None:
    """A refusal is a failure with the service's name and the reason, to be tried again."""
    async with answering(status="503 Down") as server:
        with pytest.raises(SendFailed, match=r"JSON: .*503") as failed:
            await send(Service(kind="apprise", url=f"json://127.0.0.1:{server.port}/"), address="")

    assert not failed.value.is_final


async def test_without_apprise_it_is_said_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    """The extra is imported when it is needed, and its absence names the command that helps."""
    monkeypatch.setitem(sys.modules, "apprise", None)

    with pytest.raises(SendFailed, match="not installed") as failed:
        await send(Service(kind="apprise", url="json://localhost/"))

    assert failed.value.is_final
    assert failed.value.help == 'install it with: pip install "towpath[notify]"'


async def test_an_address_that_apprise_does_not_know_is_refused() -> None:
    """A wrong address is not tried again, and is not repeated, for it may hold a key."""
    with pytest.raises(SendFailed, match="does not know") as failed:
        await send(Service(kind="apprise", url="nosuchthing://user:key@host"), address="")

    assert failed.value.is_final
    assert "key" not in failed.value.message


@pytest.mark.parametrize(
    ("service", "target", "plugin", "parts"),
    [
        (Service(kind="slack", secret=SLACK_HOOK), "", "Slack", {"token_a": "T1JJ3T3L2"}),
        (Service(kind="slack", secret=SLACK_HOOK), "#ops", "Slack", {"token_a": "T1JJ3T3L2"}),
        (
            Service(kind="slack", secret="xoxb-1234-1234-abc124"),
            "U012AB3CD",
            "Slack",
            {"channels": ["+U012AB3CD"]},
        ),
        (Service(kind="slack", secret="xoxb-1234-1234-abc124"), "#ops", "Slack", {"channels": ["#ops"]}),
        (Service(kind="slack", secret="xoxb-1234-1234-abc124"), "ops", "Slack", {"channels": ["#ops"]}),
        (
            Service(kind="slack", secret="xoxb-1234-1234-abc124"),
            "ada@example.com",
            "Slack",
            {"channels": ["ada@example.com"]},
        ),
        (Service(kind="teams", url=TEAMS_HOOK), "", "Power Automate / Workflows (for MSTeams)", {}),
        (
            Service(kind="mattermost", url="https://chat.example.com/sub", secret="abc123"),
            "#ops",
            "Mattermost",
            {"token": "abc123", "fullpath": "/sub", "secure": True},
        ),
        (Service(kind="ntfy"), "ada_pager", "ntfy", {"host": "ntfy.sh", "topics": ["ada_pager"]}),
        (
            Service(kind="pagerduty", secret="integration"),
            "",
            "Pager Duty",
            {"integration_key": "integration"},
        ),
        (
            Service(kind="opsgenie", secret="8a2cdcd0-8a2c", url="https://api.eu.opsgenie.com"),
            "ada@example.com",
            "Opsgenie",
            {"apikey": "8a2cdcd0-8a2c", "region_name": "eu"},
        ),
        (Service(kind="apprise", url="json://localhost/x"), "jsons://other/y", "JSON", {"host": "other"}),
    ],
)
def test_a_channel_becomes_an_address_that_apprise_knows(
    service: Service, target: str, plugin: str, parts: dict[str, Any]
) -> None:
    """What towpath.yaml says of each kind of channel leads to the right service, place and key."""
    made = apprise.Apprise.instantiate(address_of(service, target))

    assert made is not None
    assert str(made.service_name) == plugin
    assert {name: getattr(made, name) for name in parts} == parts


@pytest.mark.parametrize(
    ("service", "target", "said"),
    [
        (Service(kind="slack", secret=SLACK_HOOK), "U012AB3CD", "does not lead to 'U012AB3CD'"),
        (Service(kind="slack"), "#ops", "needs a secret"),
        (Service(kind="teams", url=TEAMS_HOOK), "ada@example.com", "does not lead to"),
        (Service(kind="teams"), "", "needs the URL"),
        (Service(kind="mattermost", url="https://h/hooks/abc"), "@ada", "does not lead to '@ada'"),
        (Service(kind="mattermost", url="https://h/"), "", "needs the URL of a webhook"),
        (Service(kind="ntfy"), "", "does not lead to ''"),
        (Service(kind="ntfy", url="ntfy.sh"), "topic", "needs the URL"),
        (Service(kind="ntfy"), "../admin", "does not lead to"),
        (Service(kind="pagerduty"), "", "needs a secret"),
        (Service(kind="opsgenie"), "", "needs a secret"),
        (Service(kind="apprise"), "", "needs an address"),
    ],
)
def test_a_place_that_a_channel_does_not_lead_to_is_refused(service: Service, target: str, said: str) -> None:
    """Nothing is sent somewhere else than it was meant to go, and it is not tried again."""
    with pytest.raises(SendFailed, match=said) as failed:
        address_of(service, target)

    assert failed.value.is_final
