"""The identity provider, as it describes itself, and what is asked of it.

Its document and its keys are fetched when they are needed and kept for a while. A token with a key that is not among them has the keys
fetched once more, for providers change theirs; not more often than once a minute, so that nobody can have us ask for ever.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote, urlencode

from towpath.definition.project import Oidc, parse_issuer
from towpath.errors import RemoteError, StepError
from towpath.server.identity.oidc import verifying
from towpath.server.identity.oidc.carried import Carried
from towpath.server.identity.oidc.verifying import ALGORITHMS, Expected, Json, NotVouched, UnknownKey
from towpath.steps.contract import Egress, HttpRequest

DOCUMENT_SECONDS: Final = 3_600.0
"""How long the provider's document and keys are believed."""
KEYS_SECONDS_MIN: Final = 60.0
"""How soon the keys are fetched again because one of them is not known."""
REQUEST_SECONDS: Final = 10.0
ANSWER_BYTES_MAX: Final = 1024 * 1024
WELL_KNOWN: Final = "/.well-known/openid-configuration"
_MICROS: Final = 1_000_000
_OK: Final = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """What the provider says of itself."""

    issuer: str
    authorization_endpoint: str
    token_endpoint: str
    jwks_uri: str
    userinfo_endpoint: str
    algorithms: frozenset[str]
    methods: tuple[str, ...]
    """How a client may show its secret."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Client:
    """What we are to the provider."""

    settings: Oidc
    secret: str
    """Empty: a public client."""
    redirect_uri: str


class Provider:
    """One identity provider; used in the loop's thread."""

    def __init__(self, egress: Egress, now: Callable[[], int]) -> None:
        self._egress = egress
        self._now = now
        self._documents: dict[str, tuple[int, Document]] = {}
        self._keys: dict[str, tuple[int, tuple[Json, ...]]] = {}

    async def way_there(self, client: Client, carried: Carried) -> str:
        """Where the browser goes to sign in; raises RemoteError."""
        document = await self._document(client.settings.issuer)
        asked = {
            "response_type": "code",
            "client_id": client.settings.client_id,
            "redirect_uri": client.redirect_uri,
            "scope": " ".join(client.settings.scopes),
            "state": carried.state,
            "nonce": carried.nonce,
            "code_challenge": carried.challenge,
            "code_challenge_method": "S256",
        }
        joint = "&" if "?" in document.authorization_endpoint else "?"
        return f"{document.authorization_endpoint}{joint}{urlencode(asked)}"

    async def claims(self, client: Client, carried: Carried, code: str) -> Json:
        """What the provider says of whoever comes back with a code; raises NotVouched or RemoteError."""
        document = await self._document(client.settings.issuer)
        answer = await self._redeem(document, client, carried, code)
        token = answer.get("id_token")
        if not isinstance(token, str):
            raise NotVouched("the provider's answer holds no ID token")
        claims = await self._verified(document, client, carried, token)
        more = await self._more(document, client, claims, answer)
        if "email" in claims and more.get("email") != claims["email"]:
            more.pop("email_verified", None)  # it says so of another address
        return {**more, **claims}

    async def _verified(self, document: Document, client: Client, carried: Carried, token: str) -> Json:
        expected = Expected(
            issuer=document.issuer,
            client_id=client.settings.client_id,
            nonce=carried.nonce,
            algorithms=document.algorithms,
            now_seconds=self._now() // _MICROS,
        )
        fetched_at, keys = await self._keys_of(document, newer_than=self._now() - _micros(DOCUMENT_SECONDS))
        try:
            return verifying.verify(token, keys, expected)
        except UnknownKey:
            if self._now() - fetched_at < _micros(KEYS_SECONDS_MIN):
                raise
        _, keys = await self._keys_of(document, newer_than=fetched_at)
        return verifying.verify(token, keys, expected)

    async def _redeem(self, document: Document, client: Client, carried: Carried, code: str) -> Json:
        """Turns the code into tokens; the verifier shows that it was us who asked."""
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": client.redirect_uri,
            "code_verifier": carried.verifier,
            "client_id": client.settings.client_id,
        }
        headers = {"content-type": "application/x-www-form-urlencoded"}
        if client.secret and "client_secret_basic" in document.methods:
            del form["client_id"]
            pair = f"{quote(client.settings.client_id, safe='')}:{quote(client.secret, safe='')}"
            headers["authorization"] = f"Basic {base64.b64encode(pair.encode()).decode()}"
        elif client.secret:
            form["client_secret"] = client.secret
        return await self._ask(
            "POST", document.token_endpoint, headers=headers, body=urlencode(form).encode()
        )

    async def _more(self, document: Document, client: Client, claims: Json, answer: Json) -> Json:
        """What only the userinfo endpoint tells: some providers put addresses and groups there."""
        is_complete = "email" in claims and client.settings.groups_claim in claims
        token = answer.get("access_token")
        if is_complete or not document.userinfo_endpoint or not isinstance(token, str):
            return {}
        try:
            found = await self._ask(
                "GET", document.userinfo_endpoint, headers={"authorization": f"Bearer {token}"}
            )
        except NotVouched:
            return {}
        if found.get("sub") != claims["sub"]:
            raise NotVouched("the userinfo of the provider is about somebody else (`sub`)")
        return found

    async def _document(self, issuer: str) -> Document:
        fetched_at, known = self._documents.get(issuer, (0, None))
        if known is not None and self._now() - fetched_at < _micros(DOCUMENT_SECONDS):
            return known
        said = await self._ask("GET", issuer.rstrip("/") + WELL_KNOWN)
        document = _document_of(issuer, said)
        self._documents[issuer] = (self._now(), document)
        return document

    async def _keys_of(self, document: Document, *, newer_than: int) -> tuple[int, tuple[Json, ...]]:
        known = self._keys.get(document.jwks_uri)
        if known is not None and known[0] > newer_than:
            return known
        said = (await self._ask("GET", document.jwks_uri)).get("keys")
        if not isinstance(said, list):
            raise NotVouched("the provider shows no keys")
        found = (self._now(), tuple(key for key in said if isinstance(key, dict)))
        self._keys[document.jwks_uri] = found
        return found

    async def _ask(
        self, method: str, url: str, *, headers: Mapping[str, str] | None = None, body: bytes | None = None
    ) -> Json:
        request = HttpRequest(
            method=method,
            url=url,
            headers={"accept": "application/json", **(headers or {})},
            body=body,
            timeout_seconds=REQUEST_SECONDS,
            follow_redirects=method == "GET" and body is None and not (headers or {}).get("authorization"),
            response_bytes_max=ANSWER_BYTES_MAX,
        )
        try:
            answer = await self._egress.send(request)
        except StepError as error:
            raise RemoteError(
                f"the identity provider could not be asked: {error.message}", help=error.help
            ) from None
        said: Any = None  # Any: JSON of the provider
        try:
            said = json.loads(answer.body)
        except ValueError:
            said = None
        if answer.status != _OK or not isinstance(said, dict):
            word = said.get("error") if isinstance(said, dict) else None
            told = f": {str(word)[:100]}" if word else ""
            raise NotVouched(
                f"the identity provider answered {answer.status} at {url.partition('?')[0]}{told}"
            )
        return said


def _document_of(issuer: str, said: Json) -> Document:
    if said.get("issuer") != issuer:
        raise NotVouched(
            f"the document of {issuer} is of {said.get('issuer')!r}",
            help="write `issuer` in towpath.yaml exactly as the provider's document says",
        )
    signs = said.get("id_token_signing_alg_values_supported")
    methods = said.get("token_endpoint_auth_methods_supported", ["client_secret_basic"])
    return Document(
        issuer=issuer,
        authorization_endpoint=_address(said, "authorization_endpoint"),
        token_endpoint=_address(said, "token_endpoint"),
        jwks_uri=_address(said, "jwks_uri"),
        userinfo_endpoint=_address(said, "userinfo_endpoint") if "userinfo_endpoint" in said else "",
        algorithms=frozenset(signs if isinstance(signs, list) else ["RS256"]) & ALGORITHMS.keys(),
        methods=tuple(methods) if isinstance(methods, list) else (),
    )


def _address(said: Json, name: str) -> str:
    """An address in the provider's document: encrypted, or on this machine."""
    found = said.get(name)
    try:
        parse_issuer(str(found).partition("?")[0])
    except ValueError:
        raise NotVouched(f"the provider's document has no safe address under `{name}`") from None
    return str(found)


def _micros(seconds: float) -> int:
    return round(seconds * _MICROS)
