"""Settings of those who keep the server going: channels and what they did not take, secrets by their names, health."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Final
from urllib.parse import urlsplit

from fastapi import Form, Path
from starlette.responses import HTMLResponse, Response

import towpath
from towpath.definition.model import ID_CHARS_MAX
from towpath.definition.project import Channel
from towpath.errors import AuthorError, NotFound, Refused, TowpathError
from towpath.people import sendings
from towpath.server import sent
from towpath.server.call import Asked, Call
from towpath.server.routing import Routes
from towpath.server.web import pages
from towpath.server.web.settings import tab_page
from towpath.store.contract import SendingId, SendingRow, SendingState

ROUTES = Routes(is_page=True)
FAILED_SHOWN: Final = 50
LATEST_SHOWN: Final = 20
VALUE_CHARS_MAX: Final = 64 * 1024
_NUMBER_MAX: Final = 2**63 - 1


# --- channels ------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelShown:
    """A channel and how it does."""

    name: str
    channel: Channel
    host: str
    """Where it leads: without the rest of the address, which may hold a secret."""
    latest: SendingRow | None
    is_well: bool


@ROUTES.get("/settings/channels", permission="outbox.view")
def channels_page(call: Asked) -> HTMLResponse:
    """How people are told things, who was told what, and what did not arrive."""
    return _channels(call)


def _channels(call: Call, *, refused: TowpathError | None = None) -> HTMLResponse:
    call.allow("outbox.view")
    app = call.app
    failed = list(itertools.islice(sent.rows(app, sent.Wanted(is_failing=True)), FAILED_SHOWN))
    latest = list(itertools.islice(sent.rows(app, sent.Wanted()), LATEST_SHOWN))
    counts: Mapping[SendingState, int] = app.store.outbox.counts()
    return tab_page(
        call,
        "channels",
        refused=refused,
        channels=tuple(_channel(call, name, one) for name, one in call.app.project_file().channels.items()),
        failed=failed,
        latest=latest,
        counts=counts,
        what=sendings.what,
        whom=sendings.whom,
        may_retry=call.may_at_all("question.remind"),
        given_up=sendings.FAILED,
    )


def _channel(call: Call, name: str, channel: Channel) -> ChannelShown:
    ended = sent.rows(call.app, sent.Wanted(channel=name, states=("sent", "given_up")))
    failing = next(sent.rows(call.app, sent.Wanted(channel=name, is_failing=True)), None)
    latest = next(ended, None)
    is_well = failing is None or (latest is not None and latest.state == "sent" and latest.id > failing.id)
    return ChannelShown(
        name=name, channel=channel, host=_host_of(channel.url), latest=latest, is_well=is_well
    )


def _host_of(url: str | None) -> str:
    try:
        return urlsplit(url).hostname or "" if url else ""
    except ValueError:
        return ""


@ROUTES.post("/settings/outbox/{sending}/retry", permission="question.remind")
def retry(call: Asked, sending: Annotated[int, Path(ge=1, le=_NUMBER_MAX)]) -> Response:
    """Has something that did not arrive sent again."""
    call.allow("question.remind")
    found = list(sent.rows(call.app, sent.Wanted(ids=frozenset({sending}), before=SendingId(sending + 1))))
    if not found:
        return _channels(call, refused=NotFound("there is no such message any more"))
    trying = sent.trying(call.app, found[:1])
    if any(one.how == "over" for one in trying):
        return _channels(call, refused=Refused("nobody needs to be told any more: the question is over"))
    if not call.app.store.outbox.try_again(SendingId(sending), at=call.app.now()):
        return _channels(call, refused=Refused("this was sent, or there is no way to anybody yet"))
    return pages.see_other("/settings/channels")


# --- secrets -------------------------------------------------------------------------------------------


@ROUTES.get("/settings/secrets", permission="secret.set")
def secrets_page(call: Asked) -> HTMLResponse:
    """The names of the secrets in the encrypted store."""
    return _secrets(call)


def _secrets(call: Call, *, refused: TowpathError | None = None) -> HTMLResponse:
    call.allow("secret.set")
    return tab_page(
        call,
        "secrets",
        refused=refused,
        secrets=call.app.sealed_secrets.list(),
        providers=[
            next(iter(one.model_dump(exclude_none=True)), "")
            for one in call.app.project_file().secrets.providers
        ],
    )


@ROUTES.post("/settings/secrets", permission="secret.set")
def set_secret(
    call: Asked,
    name: Annotated[str, Form(max_length=ID_CHARS_MAX)] = "",
    value: Annotated[str, Form(max_length=VALUE_CHARS_MAX)] = "",
) -> Response:
    """Keeps a secret."""
    call.allow("secret.set")
    if not value:
        return _secrets(call, refused=Refused("the value is empty: nothing was kept"))
    try:
        call.app.sealed_secrets.set(name.strip(), value.replace("\r\n", "\n"))
    except (Refused, AuthorError) as refused:
        return _secrets(call, refused=refused)
    return pages.see_other("/settings/secrets")


@ROUTES.post("/settings/secrets/{name}/remove", permission="secret.set")
def remove_secret(call: Asked, name: Annotated[str, Path(max_length=ID_CHARS_MAX)]) -> Response:
    """Forgets a secret."""
    call.allow("secret.set")
    try:
        call.app.sealed_secrets.remove(name)
    except (Refused, NotFound) as refused:
        return _secrets(call, refused=refused)
    return pages.see_other("/settings/secrets")


# --- health --------------------------------------------------------------------------------------------


@ROUTES.get("/settings/health", permission="health.view")
def health_page(call: Asked) -> HTMLResponse:
    """Whether everything works, and what this is."""
    call.allow("health.view")
    pulse = call.parts.pulse
    return tab_page(
        call,
        "health",
        refusal=pulse.refusal(),
        conditions=pulse.conditions(),
        started_at=pulse.started_at,
        runs=call.app.reader.counts(),
        events=call.app.store.events.counts(),
        sent=call.app.store.outbox.counts(),
        data=str(call.app.settings.data),
        version=towpath.__version__,
    )
