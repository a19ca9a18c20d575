"""Chat, paging and all that apprise reaches: Slack, Teams, Mattermost, ntfy, PagerDuty, Opsgenie, and any address of apprise.

What towpath.yaml says of a channel becomes one apprise address. Plain text is handed over as such, and apprise escapes it
for services that show markup; only for Mattermost, which shows Markdown whatever one sends, the text is escaped here.
Nothing in it calls everybody.

apprise blocks, so each channel has threads of its own, no more than it sends at once. It makes its own connections, to the
address that the operator wrote; they do not go through the guarded egress. These services take no key by which they could
tell a message that comes twice.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias
from urllib.parse import quote, urlsplit, urlunsplit

from towpath.people.channels.contract import SEND_SECONDS_MAX, SENDS_MAX, SendFailed
from towpath.people.messages import calling_nobody, escaped

if TYPE_CHECKING:
    from types import ModuleType

    from towpath.people.channels.contract import Sending

Kind: TypeAlias = Literal["slack", "teams", "mattermost", "ntfy", "pagerduty", "opsgenie", "apprise"]

INSTALL_HELP: Final = 'install it with: pip install "towpath[notify]"'
SUMMARY_CHARS_MAX: Final = 1_000
"""What a page holds that is one line and a few words."""
COMPLAINT_CHARS_MAX: Final = 400
NTFY: Final = "https://ntfy.sh"

_SLACK_ID: Final = re.compile(r"[UWCGD][A-Z0-9]{5,}")
_SHOWS_MARKDOWN: Final = frozenset({"mmost", "mmosts"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """What towpath.yaml says of such a channel, its secret read."""

    kind: Kind
    url: str = ""
    secret: str = ""


class ServiceChannel:
    """Sends through apprise; `close` ends its threads."""

    def __init__(self, service: Callable[[], Service], *, to: tuple[str, ...] = ()) -> None:
        self._service = service
        self._to = to
        self._threads = ThreadPoolExecutor(max_workers=SENDS_MAX, thread_name_prefix="notify")

    async def send(self, sending: Sending) -> None:
        """Sends one text to the recipient's address, or to those of the channel."""
        await asyncio.get_running_loop().run_in_executor(self._threads, self._send, sending)

    def close(self) -> None:
        """Ends the threads; what is on its way is sent."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _send(self, sending: Sending) -> None:
        apprise = _apprise()
        service = self._service()
        targets = (sending.address,) if sending.address else self._to or ("",)
        addresses = dict.fromkeys(address_of(service, target) for target in targets)
        _notify(apprise, list(addresses), sending)


def _apprise() -> ModuleType:
    try:
        import apprise
    except ImportError:
        raise SendFailed(
            "apprise is not installed, and this kind of channel needs it", is_final=True, help=INSTALL_HELP
        ) from None
    return apprise


def _notify(apprise: Any, addresses: list[str], sending: Sending) -> None:  # noqa: ANN401 - a module
    """Hands a text to apprise, one address after the other, in one of the channel's threads."""
    asset = apprise.AppriseAsset(
        app_id="Towpath", app_desc="Towpath", app_url="", image_url_mask="", image_url_logo=""
    )
    for address in addresses:
        sender = apprise.Apprise(asset=asset)
        plugin = apprise.Apprise.instantiate(address, asset=asset)
        if plugin is None or not sender.add(plugin):
            raise SendFailed("apprise does not know this kind of address", is_final=True, help=_ADDRESS_HELP)
        title, body = _words(sending, schema=urlsplit(address).scheme)
        result = sender.notify(
            title=title,
            body=body,
            body_format=apprise.NotifyFormat.TEXT,
            notify_type=_TYPES.get(sending.notice.why, "info"),
            timeout=SEND_SECONDS_MAX,
        )
        if not result:
            raise SendFailed(_complaint(result, plugin))


_ADDRESS_HELP: Final = "https://appriseit.com lists the addresses that apprise knows"
_TYPES: Final = {"reminder": "warning", "voided": "warning", "rung": "failure"}
"""How urgent a service is told that it is."""


def _words(sending: Sending, *, schema: str) -> tuple[str, str]:
    """Title and body as a service takes them."""
    text = sending.text
    if schema in _SHOWS_MARKDOWN:
        return "", f"**{escaped(text.subject)}**  \n\n{text.markdown}"
    body = calling_nobody(text.plain)
    if schema == "pagerduty" and len(body) > SUMMARY_CHARS_MAX:
        body = body[: SUMMARY_CHARS_MAX - 1] + "…"
    return calling_nobody(text.subject), body


def _complaint(result: Any, plugin: Any) -> str:  # noqa: ANN401 - what apprise gives
    """What apprise says went wrong, on one line."""
    said = [entry.message for entry in result.logs()] or ["no reason was given"]
    return " ".join(f"{plugin.service_name}: {'; '.join(said)}".split())[:COMPLAINT_CHARS_MAX]


# --- addresses ----------------------------------------------------------------------------------------------


def address_of(service: Service, target: str) -> str:
    """The apprise address of a target; raises SendFailed where the channel does not lead to it."""
    return _ADDRESSES[service.kind](service, target)


def _slack(service: Service, target: str) -> str:
    """A webhook's URL, which leads to one place, or a bot's token, which leads to people too."""
    hook = next((one for one in (service.url, service.secret) if one.startswith("https://")), "")
    if hook:
        return _fixed(hook, target, "a Slack webhook")
    if not service.secret:
        raise _unfinished("a Slack channel needs a secret with a webhook's URL or a bot's token")
    return f"slack://{quote(service.secret, safe='-')}/{quote(_slack_target(target), safe='')}"


def _slack_target(target: str) -> str:
    if _SLACK_ID.fullmatch(target):
        return f"+{target}"
    return target if target[:1] in ("#", "@", "+") or "@" in target else f"#{target}"


def _teams(service: Service, target: str) -> str:
    hook = service.url or service.secret
    if not hook:
        raise _unfinished("a Teams channel needs the URL of a workflow")
    return _fixed(hook, target, "a Teams workflow")


def _mattermost(service: Service, target: str) -> str:
    hook = service.url or service.secret
    parts = urlsplit(hook)
    path, _, token = parts.path.partition("/hooks/")
    token = token.strip("/") or (service.secret if service.url else "")
    if not parts.hostname or parts.scheme not in ("http", "https") or not token:
        raise _unfinished("a Mattermost channel needs the URL of a webhook, https://host/hooks/…")
    if target and not _MATTERMOST_CHANNEL.fullmatch(target):
        raise _leads_nowhere("a Mattermost webhook", target)
    query = f"to={quote(target, safe='')}" if target else ""
    scheme = "mmosts" if parts.scheme == "https" else "mmost"
    return urlunsplit((scheme, parts.netloc, f"{path.rstrip('/')}/{quote(token, safe='')}", query, ""))


_MATTERMOST_CHANNEL: Final = re.compile(r"#?[A-Za-z0-9_-]+")


def _ntfy(service: Service, target: str) -> str:
    parts = urlsplit(service.url or NTFY)
    if not parts.hostname or parts.scheme not in ("http", "https"):
        raise _unfinished("an ntfy channel needs the URL of a server, https://host")
    if not _NTFY_TOPIC.fullmatch(target):
        raise _leads_nowhere("ntfy", target)
    query = "mode=private" + (f"&auth=token&token={quote(service.secret, safe='')}" if service.secret else "")
    scheme = "ntfys" if parts.scheme == "https" else "ntfy"
    return urlunsplit((scheme, parts.netloc, f"/{target}", query, ""))


_NTFY_TOPIC: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")


def _pagerduty(service: Service, target: str) -> str:
    """The integration key of a service; who is paged is decided by PagerDuty's own rota."""
    if not service.secret:
        raise _unfinished("a PagerDuty channel needs a secret with an integration key")
    key = quote(service.secret, safe="")
    return f"pagerduty://{key}@{key}/towpath/{quote(target, safe='')}".rstrip("/")


def _opsgenie(service: Service, target: str) -> str:
    if not service.secret:
        raise _unfinished("an Opsgenie channel needs a secret with an API key")
    region = "?region=eu" if ".eu." in service.url else ""
    named = target if not target or target[0] in "@#*^" else f"@{target}"
    return f"opsgenie://{quote(service.secret, safe='-')}/{quote(named, safe='@#*^')}".rstrip("/") + region


def _apprise_own(service: Service, target: str) -> str:
    """An address of apprise's own; a target that is one too stands for itself, any other is added to the path."""
    if "://" in target:
        return target
    address = service.url or service.secret
    if not address:
        raise _unfinished("an apprise channel needs an address, in url or in a secret")
    if not target:
        return address
    parts = urlsplit(address)
    return urlunsplit(parts._replace(path=f"{parts.path.rstrip('/')}/{quote(target, safe='@#+')}"))


_ADDRESSES: Final[Mapping[Kind, Callable[[Service, str], str]]] = {
    "slack": _slack,
    "teams": _teams,
    "mattermost": _mattermost,
    "ntfy": _ntfy,
    "pagerduty": _pagerduty,
    "opsgenie": _opsgenie,
    "apprise": _apprise_own,
}


def _fixed(hook: str, target: str, what: str) -> str:
    """The URL of something that leads to one place; a name of that place is welcome, a person's address is not."""
    if target and not target.startswith("#"):
        raise _leads_nowhere(what, target)
    return hook


def _leads_nowhere(what: str, target: str) -> SendFailed:
    return SendFailed(f"{what} does not lead to {target!r}", is_final=True, help=_TARGET_HELP)


_TARGET_HELP: Final = "take it out of the person's contact, or use a channel that leads to people"


def _unfinished(what: str) -> SendFailed:
    return SendFailed(what, is_final=True, help="mend the channel in towpath.yaml")
