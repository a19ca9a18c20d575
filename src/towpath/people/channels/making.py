"""From what towpath.yaml says to channels that send.

A channel that cannot work as it is written does not keep the others from working: it becomes one that fails with the reason, so that the
reason is recorded with everything that should have gone through it. Secrets are asked for at the moment of sending, and what a channel
complains about is freed of them before anybody sees it.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Final, assert_never

from towpath.errors import TowpathError
from towpath.people.channels.contract import Channel, SendFailed
from towpath.people.channels.routes import TERMINAL
from towpath.steps.secrets.masking import SECRET_BYTES_MIN, Masker

if TYPE_CHECKING:
    from towpath.definition import project
    from towpath.people.channels.contract import Sending
    from towpath.people.channels.services import Kind, Service
    from towpath.people.channels.terminal import Terminal
    from towpath.steps.contract import Egress
    from towpath.steps.secrets.contract import SecretProvider

SENDER_NAME: Final = "towpath"
KEY_CHARS_MIN: Final = 8
"""Shorter parts of a URL are words, not keys."""


def make_channels(
    channels: Mapping[str, project.Channel],
    *,
    secrets: SecretProvider,
    egress: Egress,
    terminal: Terminal | None = None,
) -> dict[str, Channel]:
    """The channels of a project by name, and `terminal` where there is one."""
    made: dict[str, Channel] = {
        name: make_channel(channel, secrets=secrets, egress=egress) for name, channel in channels.items()
    }
    if terminal is not None:
        from towpath.people.channels.terminal import TerminalChannel

        made[TERMINAL] = TerminalChannel(terminal)
    return made


def close_channels(channels: Mapping[str, Channel]) -> None:
    """Ends the threads that channels have."""
    for channel in channels.values():
        close = getattr(channel, "close", None)
        if close is not None:
            close()


def make_channel(channel: project.Channel, *, secrets: SecretProvider, egress: Egress) -> Channel:
    """One channel; one that is written wrongly fails with the reason whenever it is used."""
    try:
        return Discreet(_make(channel, secrets, egress), channel, secrets)
    except TowpathError as error:
        return Broken(error)


def _make(channel: project.Channel, secrets: SecretProvider, egress: Egress) -> Channel:
    match channel.kind:
        case "email":
            return _email(channel, secrets)
        case "webhook":
            return _webhook(channel, secrets, egress)
        case "slack" | "teams" | "mattermost" | "ntfy" | "pagerduty" | "opsgenie" | "apprise":
            return _service(channel, channel.kind, secrets)
    assert_never(channel.kind)


def _email(channel: project.Channel, secrets: SecretProvider) -> Channel:
    from towpath.people.channels.email import EmailChannel, server_of

    return EmailChannel(
        server_of(channel.url),
        sender=channel.from_ or f"{SENDER_NAME}@{socket.gethostname()}",
        to=channel.to,
        password=_reading(channel, secrets),
    )


def _webhook(channel: project.Channel, secrets: SecretProvider, egress: Egress) -> Channel:
    """With a `url`, the secret signs; without one, the secret is the URL, as services hand them out."""
    from towpath.people.channels.webhook import WebhookChannel

    read = _reading(channel, secrets)
    if channel.url is not None:
        url = channel.url
        return WebhookChannel(egress=egress, url=lambda: url, signing_key=read)
    if read is None:
        raise SendFailed("a webhook channel needs url, or a secret with the URL", is_final=True)
    return WebhookChannel(egress=egress, url=lambda: read().strip())


def _service(channel: project.Channel, kind: Kind, secrets: SecretProvider) -> Channel:
    from towpath.people.channels.services import Service, ServiceChannel

    read = _reading(channel, secrets)

    def service() -> Service:
        return Service(kind=kind, url=channel.url or "", secret="" if read is None else read().strip())

    return ServiceChannel(service, to=channel.to)


def _reading(channel: project.Channel, secrets: SecretProvider) -> Callable[[], str] | None:
    name = channel.secret
    return None if name is None else lambda: secrets.get(name)


class Broken:
    """A channel that cannot work as it is written."""

    def __init__(self, error: TowpathError) -> None:
        self._error = error

    async def send(self, sending: Sending) -> None:  # noqa: ARG002 - the contract of channels
        """Fails with the reason."""
        raise SendFailed(self._error.message, is_final=True, help=self._error.help)


class Discreet:
    """A channel whose complaints hold no secret: neither its own, nor the parts of its URL that serve as one."""

    def __init__(self, channel: Channel, written: project.Channel, secrets: SecretProvider) -> None:
        self._channel = channel
        self._written = written
        self._secrets = secrets

    async def send(self, sending: Sending) -> None:
        """Sends; raises SendFailed with a message that may be kept and shown."""
        try:
            await self._channel.send(sending)
        except SendFailed as failed:
            raise SendFailed(
                await asyncio.to_thread(self._masked, failed.message),
                is_final=failed.is_final,
                retry_after_seconds=failed.retry_after_seconds,
                help=failed.help,
            ) from None
        except TowpathError as error:
            message = await asyncio.to_thread(self._masked, error.message)
            raise SendFailed(message, help=error.help) from None

    def close(self) -> None:
        """Ends the channel's threads, where it has some."""
        close = getattr(self._channel, "close", None)
        if close is not None:
            close()

    def _masked(self, message: str) -> str:
        values = [] if self._written.url is None else _secret_parts(self._written.url)
        if self._written.secret is not None:
            try:
                value = self._secrets.get(self._written.secret).strip()
            except TowpathError:
                return message
            values += [value, *_secret_parts(value)]
        long_enough = [value for value in values if len(value.encode()) >= SECRET_BYTES_MIN]
        return Masker(long_enough).text(message) if long_enough else message


def _secret_parts(url: str) -> list[str]:
    """The last part of a URL's path and the values of its query: where services put keys."""
    if "://" not in url:
        return []
    path, _, query = url.partition("://")[2].partition("?")
    last = path.rstrip("/").rpartition("/")[2] if "/" in path else ""
    return [
        part
        for part in (last, *(one.partition("=")[2] for one in query.split("&")))
        if len(part) >= KEY_CHARS_MIN
    ]
