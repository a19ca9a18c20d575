"""`http.request`: one HTTP request through the guarded egress."""

from __future__ import annotations

import base64
import datetime
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Final
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from towpath.steps.contract import (
    SAFE_METHODS,
    ActionFailed,
    Change,
    ErrorKind,
    HttpRequest,
    HttpResponse,
    Rehearsal,
    StepContext,
    action,
)
from towpath.steps.shapes import Range

__all__ = ["request"]

BODY_BYTES_MAX: Final = 1024 * 1024
"""How much of an answer becomes an output when nothing else is said; outputs stay with the run."""
SAVED_BYTES_MAX: Final = 16 * 1024**3
SHOWN_BODY_CHARS: Final = 2_000
TIMEOUT_SECONDS_MAX: Final = 24 * 3600

_REPEATABLE = frozenset(("GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE"))
"""What RFC 9110 calls idempotent."""
_STATUS_KINDS: dict[int, ErrorKind] = {
    401: "denied",
    403: "denied",
    407: "denied",
    408: "timeout",
    409: "conflict",
    412: "conflict",
    423: "conflict",
    425: "unreachable",
    429: "unreachable",
    502: "unreachable",
    503: "unreachable",
    504: "timeout",
}

Scalar = str | int | float | bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Basic:
    """A name and a password."""

    username: str
    password: Annotated[str, "Usually `${{ secrets.… }}`"] = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Auth:
    """Who asks: exactly one of these."""

    basic: Basic | None = field(default=None, repr=False)
    bearer: Annotated[str | None, "A token, usually `${{ secrets.… }}`"] = field(default=None, repr=False)

    def __post_init__(self) -> None:
        if (self.basic is None) == (self.bearer is None):
            raise ValueError("holds either `basic` or `bearer`")

    def header(self) -> str:
        """The value of the header `Authorization`."""
        if self.basic is None:
            return f"Bearer {self.bearer}"
        pair = f"{self.basic.username}:{self.basic.password}".encode()
        return "Basic " + base64.b64encode(pair).decode("ascii")


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestInputs:
    """What to ask."""

    url: Annotated[str, "The address: http:// or https://"]
    method: Annotated[str, "GET, POST, PUT, PATCH, DELETE, HEAD, …"] = "GET"
    headers: Annotated[dict[str, str | int], "Headers by name"] = field(default_factory=dict, repr=False)
    query: Annotated[dict[str, Scalar | list[Scalar]], "Added to the address, encoded"] = field(
        default_factory=dict, repr=False
    )
    json: Annotated[Any, "A body, written as JSON"] = field(default=None, repr=False)
    body: Annotated[str | None, "A body as it is"] = field(default=None, repr=False)
    form: Annotated[dict[str, Scalar | list[Scalar]] | None, "A body as a web form"] = field(
        default=None, repr=False
    )
    auth: Annotated[Auth | None, "Who asks"] = None
    timeout: Annotated[
        datetime.timedelta,
        "For everything, redirects and the whole answer included",
        Range(0.001, TIMEOUT_SECONDS_MAX),
    ] = datetime.timedelta(seconds=30)
    expect: Annotated[
        int | str | list[int | str] | None,
        "The statuses that are a success: 200, `2xx`, or a list; 2xx when left out",
    ] = None
    follow_redirects: Annotated[bool, "Go where a redirect points"] = True
    verify: Annotated[bool, "Check the certificate"] = True
    ca: Annotated[Path | None, "A file with the authorities to trust instead of the machine's"] = None
    save_to: Annotated[Path | None, "Put the body into this file, which appears whole"] = None
    bytes_max: Annotated[int | None, "Fail when the body is larger", Range(1, SAVED_BYTES_MAX)] = None
    idempotency_header: Annotated[
        str | None, "The header in which the server takes a key that makes repeating harmless"
    ] = None

    def __post_init__(self) -> None:
        if sum(one is not None for one in (self.json, self.body, self.form)) > 1:
            raise ValueError("takes only one of `json`, `body` and `form`")
        _accepted(self.expect)

    @property
    def is_repeatable(self) -> bool:
        """Whether sending it twice is as good as once."""
        return self.method.upper() in _REPEATABLE or self.idempotency_header is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestOutputs:
    """What was answered."""

    status: Annotated[int, "The status code"]
    headers: Annotated[dict[str, str], "Headers by name in lower case"]
    body: Annotated[str, "The text of the body; empty when it was saved to a file"]
    json: Annotated[Any, "The value of a JSON body; null when it is none"]
    bytes: Annotated[int, "The size of the body"]
    url: Annotated[str, "The address that answered, after redirects"]
    elapsed_ms: Annotated[int, "How long it took, in milliseconds"]
    saved_to: Annotated[str | None, "The file that holds the body"]


@action(
    "http.request",
    idempotent=lambda inputs: inputs.is_repeatable,
    effects="remote",
    secrets=("url", "headers", "query", "json", "body", "form", "auth"),
)
async def request(inputs: RequestInputs, context: StepContext) -> RequestOutputs:
    """Sends an HTTP request and takes the answer; fails when its status is not the expected one."""
    prepared = _prepared(inputs, context)
    if not inputs.verify:
        context.log("The certificate is not checked (`verify: false`).", level="warning")
    response = await context.egress.send(prepared)
    outputs = _outputs(response, prepared)
    line = f"{prepared.method} {_shown(response.url)} → {response.status}"
    context.log(f"{line} ({response.body_bytes} bytes, {outputs.elapsed_ms} ms)")
    if not _is_expected(response.status, inputs.expect):
        raise ActionFailed(
            f"{line}.",
            kind=_STATUS_KINDS.get(response.status, "invalid" if response.status < 500 else "exit"),  # noqa: PLR2004 - their fault from here on
            outputs={name: getattr(outputs, name) for name in outputs.__slots__},
            is_complete=True,
            help="Say with `expect` or `success_when` which statuses are a success.",
        )
    return outputs


@request.rehearsal
async def rehearse_request(inputs: RequestInputs, context: StepContext) -> Rehearsal:
    """Sends a request that only asks; tells of every other one what it would send."""
    prepared = _prepared(inputs, context)
    where = f"{prepared.method} {_shown(prepared.url)}"
    if prepared.method in SAFE_METHODS and prepared.body is None and prepared.save_to is None:
        outputs = await request.function(inputs, context)
        found = {name: getattr(outputs, name) for name in outputs.__slots__}
        return Rehearsal(summary=f"{where} → {outputs.status}", outputs=found)
    lines = [f"{name}: …" for name in prepared.headers]
    if prepared.body is not None:
        lines += ["", prepared.body.decode(errors="replace")[:SHOWN_BODY_CHARS]]
    changes = [Change(verb="send", target=where, detail="\n".join(lines))]
    if prepared.save_to is not None:
        changes.append(Change(verb="create", target=str(prepared.save_to)))
    return Rehearsal(summary=f"sends {where}", changes=tuple(changes))


def _prepared(inputs: RequestInputs, context: StepContext) -> HttpRequest:
    headers = {name: str(value) for name, value in inputs.headers.items()}
    body, kind = _body(inputs)
    _add_header(headers, "Content-Type", kind)
    if inputs.auth is not None:
        if any(name.lower() == "authorization" for name in headers):
            raise ActionFailed("Both `auth` and the header Authorization are given.", kind="invalid")
        headers["Authorization"] = inputs.auth.header()
    _add_header(headers, inputs.idempotency_header or "", context.idempotency_key)
    save_to = None if inputs.save_to is None else context.workspace / inputs.save_to
    return HttpRequest(
        method=inputs.method.upper(),
        url=_with_query(inputs.url, inputs.query),
        headers=headers,
        body=body,
        timeout_seconds=inputs.timeout.total_seconds(),
        follow_redirects=inputs.follow_redirects,
        verify_tls=inputs.verify,
        ca_file=None if inputs.ca is None else context.workspace / inputs.ca,
        response_bytes_max=inputs.bytes_max or (BODY_BYTES_MAX if save_to is None else SAVED_BYTES_MAX),
        save_to=save_to,
    )


def _body(inputs: RequestInputs) -> tuple[bytes | None, str | None]:
    """The bytes of the body, and what they are."""
    if inputs.json is not None:
        return json.dumps(inputs.json, ensure_ascii=False, separators=(",", ":")).encode(), "application/json"
    if inputs.form is not None:
        return urlencode(_pairs(inputs.form)).encode("ascii"), "application/x-www-form-urlencoded"
    if inputs.body is not None:
        return inputs.body.encode(), "text/plain; charset=utf-8"
    return None, None


def _add_header(headers: dict[str, str], name: str, value: str | None) -> None:
    if name and value is not None and not any(known.lower() == name.lower() for known in headers):
        headers[name] = value


def _with_query(url: str, query: Mapping[str, Scalar | list[Scalar]]) -> str:
    if not query:
        return url
    try:
        parts = urlsplit(url)
    except ValueError:
        raise ActionFailed("`url` is no address.", kind="invalid") from None
    joined = urlencode([*parse_qsl(parts.query, keep_blank_values=True), *_pairs(query)])
    return urlunsplit(parts._replace(query=joined))


def _pairs(values: Mapping[str, Scalar | list[Scalar]]) -> list[tuple[str, str]]:
    """Names and values as a web form has them; a list repeats its name, booleans are written as in JSON."""
    return [
        (name, one if isinstance(one, str) else json.dumps(one))
        for name, value in values.items()
        for one in (value if isinstance(value, list) else [value])
    ]


def _outputs(response: HttpResponse, prepared: HttpRequest) -> RequestOutputs:
    kind = response.headers.get("content-type", "")
    text = _text_of(response.body, kind)
    return RequestOutputs(
        status=response.status,
        headers=dict(response.headers),
        body=text,
        json=_json_of(text) if re.search(r"[/+]json\b", kind) else None,
        bytes=response.body_bytes,
        url=response.url,
        elapsed_ms=round(response.elapsed_seconds * 1000),
        saved_to=None if prepared.save_to is None else str(prepared.save_to),
    )


def _text_of(body: bytes, kind: str) -> str:
    charset = re.search(r"charset=\"?([A-Za-z0-9_.:-]+)", kind)
    try:
        return body.decode(charset[1] if charset else "utf-8", errors="replace")
    except LookupError:
        return body.decode(errors="replace")


def _json_of(text: str) -> Any:  # noqa: ANN401 - any JSON
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _accepted(expect: int | str | list[int | str] | None) -> list[str]:
    """The patterns of status codes that are a success."""
    found = (
        ["2xx"]
        if expect is None
        else [str(one).lower() for one in (expect if isinstance(expect, list) else [expect])]
    )
    for one in found:
        if not re.fullmatch(r"[1-5](\d\d|xx)", one):
            raise ValueError(f"`expect` holds {one!r}, which is no status such as 200 or 2xx")
    return found


def _is_expected(status: int, expect: int | str | list[int | str] | None) -> bool:
    return any(
        str(status) == one or (one[1:] == "xx" and one[0] == str(status)[0]) for one in _accepted(expect)
    )


def _shown(url: str) -> str:
    """An address for people: the query, where keys are put, is left away."""
    return re.split(r"[?#]", url, maxsplit=1)[0]
