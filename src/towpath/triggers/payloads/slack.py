"""Slack: slash commands. The form's `token` is a secret of old times and is thrown away before anything is kept."""

from __future__ import annotations

from collections.abc import Mapping

from towpath.core.run import Json
from towpath.triggers.contract import CommandFacts, Malformed, Reading
from towpath.triggers.payloads.picking import fingerprint, text

HEADERS: tuple[str, ...] = ()


def unpack(headers: Mapping[str, str], payload: Json) -> Json:  # noqa: ARG001 - every shape is unpacked the same way
    """The form without its secret."""
    if not isinstance(payload, Mapping):
        raise Malformed("this is no slash command of Slack: it is no form")
    return {name: value for name, value in payload.items() if name != "token"}


def read(headers: Mapping[str, str], payload: Json) -> Reading:  # noqa: ARG001 - as above
    """What Slack tells."""
    command = text(payload, "command")
    if text(payload, "ssl_check") == "1":
        note = "Slack only asks whether somebody is there"
        return Reading(kinds=(), delivery=fingerprint(payload), title="ssl_check", note=note)
    if not command:
        raise Malformed("this is no slash command of Slack: it has no command")
    channels = (text(payload, "channel_id"), text(payload, "channel_name"))
    return Reading(
        kinds=("slack.command",),
        delivery=text(payload, "trigger_id") or fingerprint(payload),
        facts=CommandFacts(command=command, channels=tuple(filter(None, channels))),
        title=f"{command} {text(payload, 'text')}".strip(),
    )
