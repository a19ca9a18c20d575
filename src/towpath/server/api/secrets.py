"""Secrets of the encrypted store: their names, a new value, and forgetting one. No value is ever told."""

from __future__ import annotations

import logging
from typing import Annotated, Final

from fastapi import Path, Response
from pydantic import Field, SecretStr

from towpath.definition.inputs import InputsInvalid
from towpath.server.api.told import Asking, Told
from towpath.server.call import Asked
from towpath.server.routing import Routes

_LOG = logging.getLogger("towpath.server")
ROUTES = Routes(prefix="/api/v1/secrets", tag="secrets")
VALUE_BYTES_MAX: Final = 64 * 1024
SecretName = Annotated[
    str,
    Path(
        pattern=r"^[A-Za-z_][A-Za-z0-9_]{0,127}$",
        description="What workflows call it: `${{ secrets.NAME }}`.",
        examples=["DEPLOY_TOKEN"],
    ),
]


class SecretOf(Told):
    """A secret, without its value."""

    name: str = Field(description="What workflows call it.")
    set_at: str = Field(description="When it was set.")


class Secrets(Told):
    """The secrets of the encrypted store."""

    items: list[SecretOf] = Field(description="In the order of names.")
    providers: list[str] = Field(description="Where secrets come from, in the order in which they are asked.")


class Value(Asking):
    """A value to be kept."""

    value: SecretStr = Field(
        min_length=1, max_length=VALUE_BYTES_MAX, description="The value. It is never told again."
    )


@ROUTES.get("", permission="secret.set", operation_id="list_secrets")
def list_secrets(call: Asked) -> Secrets:
    """List the names of the secrets and when they were set."""
    call.allow("secret.set")
    entries = call.app.sealed_secrets.list()
    return Secrets(
        items=[SecretOf(name=entry.name, set_at=entry.set_at.isoformat()) for entry in entries],
        providers=[
            next(iter(provider.model_dump(exclude_none=True)), "")
            for provider in call.app.project_file().secrets.providers
        ],
    )


@ROUTES.put("/{name}", permission="secret.set", operation_id="set_secret", status_code=204)
def set_secret(call: Asked, name: SecretName, body: Value) -> Response:
    """Keep a value under a name, in place of the one before."""
    call.allow("secret.set")
    value = body.value.get_secret_value()
    if len(value.encode()) > VALUE_BYTES_MAX:
        raise InputsInvalid([f"`value` is longer than VALUE_BYTES_MAX ({VALUE_BYTES_MAX // 1024} KiB)"])
    call.app.sealed_secrets.set(name, value)
    _LOG.info("server.secret_set name=%s by=%s", name, call.by)
    return Response(status_code=204)


@ROUTES.delete("/{name}", permission="secret.set", operation_id="remove_secret", status_code=204)
def remove_secret(call: Asked, name: SecretName) -> Response:
    """Forget a secret."""
    call.allow("secret.set")
    call.app.sealed_secrets.remove(name)
    _LOG.info("server.secret_removed name=%s by=%s", name, call.by)
    return Response(status_code=204)
