"""A small identity provider for tests that is as strict as real ones: it refuses what they refuse.

It speaks OpenID Connect over HTTP on this machine: its document, its keys, the authorization code flow with PKCE, userinfo. Codes are worth
one use and belong to one client, one redirect address and one challenge; clients show their secret. What it signs can be forged by a test.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import http.server
import json
import secrets
import threading
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, unquote, urlencode, urlsplit

from joserfc import jws
from joserfc.errors import SecurityWarning
from joserfc.jwk import ECKey, OKPKey, RSAKey

CLIENT_ID = "towpath"
CLIENT_SECRET = "a secret/with: odd characters & more"
CODE_CHARS = 43
Claims = dict[str, Any]
Key = RSAKey | ECKey | OKPKey

RSA = RSAKey.generate_key(2048, {"kid": "rsa", "use": "sig", "alg": "RS256"})
EC = ECKey.generate_key("P-256", {"kid": "ec", "use": "sig"})
OKP = OKPKey.generate_key("Ed25519", {"kid": "okp", "use": "sig"})
FOR_SECRETS = RSAKey.generate_key(2048, {"kid": "for-secrets", "use": "enc"})
with warnings.catch_warnings():  # that it is short is the point
    warnings.simplefilter("ignore")
    WEAK = RSAKey.generate_key(1024, {"kid": "weak", "use": "sig"})
STRANGER_EC = ECKey.generate_key("P-256", {"kid": "ec"})
STRANGER = RSAKey.generate_key(2048, {"kid": "rsa"})


@dataclass(slots=True, kw_only=True)
class Grant:
    """A code that was given out."""

    redirect_uri: str
    challenge: str
    nonce: str
    claims: Claims


@dataclass(slots=True)
class OidcProvider:
    """One identity provider, and who is signed in at it."""

    issuer: str
    redirect_uri: str
    now: Callable[[], int]
    person: Claims = field(default_factory=dict)
    """What it says of whoever signs in."""
    forge: Callable[[OidcProvider, Claims], str] | None = None
    """Makes the ID token of a test."""
    keys: list[Key] = field(default_factory=lambda: [RSA, EC, OKP, FOR_SECRETS, WEAK])
    key: Key = field(default_factory=lambda: RSA)
    algorithm: str = "RS256"
    document: Claims = field(default_factory=dict)
    """What its document says differently."""
    userinfo: Claims = field(default_factory=dict)
    codes: dict[str, Grant] = field(default_factory=dict)
    tokens: dict[str, Claims] = field(default_factory=dict)
    issued: list[str] = field(default_factory=list)
    """The ID tokens that it gave out, forged or not."""
    refusals: list[str] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    """The paths that were asked for."""

    def answer(self, method: str, target: str, headers: Any, body: str) -> tuple[int, dict[str, str], Claims]:
        """Status, headers and JSON of an answer."""
        found = urlsplit(target)
        self.asked.append(found.path)
        query = {name: values[0] for name, values in parse_qs(found.query).items()}
        form = {name: values[0] for name, values in parse_qs(body).items()}
        match method, found.path:
            case "GET", "/.well-known/openid-configuration":
                return 200, {}, self._document()
            case "GET", "/jwks":
                return 200, {}, {"keys": [key.as_dict(private=False) for key in self.keys]}
            case "GET", "/authorize":
                return self._authorize(query)
            case "POST", "/token":
                return self._token(form, headers)
            case "GET", "/userinfo":
                known = self.tokens.get(str(headers.get("authorization", "")).removeprefix("Bearer "))
                return (401, {}, {"error": "invalid_token"}) if known is None else (200, {}, known)
        return 404, {}, {"error": "not_found"}

    def sign(self, claims: Claims, *, key: Key | None = None, **header: Any) -> str:
        """A token as the provider signs it."""
        using = key or self.key
        said = {"alg": self.algorithm, "kid": using.kid, "typ": "JWT", **header}
        parts = using.as_dict(private=True)
        kept = {name: parts[name] for name in parts if name not in ("use", "alg", "key_ops")}
        protected = {name: value for name, value in said.items() if value is not None}
        with warnings.catch_warnings():  # short keys and old names are what some tests are about
            warnings.simplefilter("ignore", SecurityWarning)
            able = type(using).import_key(kept)
            return jws.serialize_compact(protected, json.dumps(claims), able, algorithms=[said["alg"]])

    def _document(self) -> Claims:
        return {
            "issuer": self.issuer,
            "authorization_endpoint": f"{self.issuer}/authorize",
            "token_endpoint": f"{self.issuer}/token",
            "jwks_uri": f"{self.issuer}/jwks",
            "userinfo_endpoint": f"{self.issuer}/userinfo",
            "response_types_supported": ["code"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["RS256", "ES256", "EdDSA", "HS256", "none"],
            "token_endpoint_auth_methods_supported": ["client_secret_basic"],
            "code_challenge_methods_supported": ["S256"],
            **self.document,
        }

    def _authorize(self, query: dict[str, str]) -> tuple[int, dict[str, str], Claims]:
        wanted = {
            "client_id": CLIENT_ID,
            "redirect_uri": self.redirect_uri,
            "response_type": "code",
            "code_challenge_method": "S256",
        }
        for name, value in wanted.items():
            if query.get(name) != value:
                return self._refuse(f"{name} is {query.get(name)!r}")
        if "openid" not in query.get("scope", "").split():
            return self._refuse("the scope lacks openid")
        if len(query.get("code_challenge", "")) != CODE_CHARS or not query.get("nonce"):
            return self._refuse("no challenge, or no nonce")
        code = secrets.token_urlsafe(16)
        self.codes[code] = Grant(
            redirect_uri=query["redirect_uri"],
            challenge=query["code_challenge"],
            nonce=query["nonce"],
            claims=self.person,
        )
        back = urlencode({"code": code, "state": query.get("state", ""), "iss": self.issuer})
        return 302, {"location": f"{query['redirect_uri']}?{back}"}, {}

    def _token(self, form: dict[str, str], headers: Any) -> tuple[int, dict[str, str], Claims]:
        pair = base64.b64decode(str(headers.get("authorization", "")).removeprefix("Basic ")).decode()
        name, _, secret = pair.partition(":")
        if (unquote(name), unquote(secret)) != (CLIENT_ID, CLIENT_SECRET):
            return self._refuse("invalid_client", 401)
        grant = self.codes.pop(form.get("code", ""), None)
        if grant is None or form.get("grant_type") != "authorization_code":
            return self._refuse("invalid_grant: no such code")
        challenge = base64.urlsafe_b64encode(hashlib.sha256(form.get("code_verifier", "").encode()).digest())
        if grant.challenge != challenge.rstrip(b"=").decode():
            return self._refuse("invalid_grant: the verifier does not fit")
        if grant.redirect_uri != form.get("redirect_uri"):
            return self._refuse("invalid_grant: another redirect_uri")
        seconds = self.now() // 1_000_000
        claims: Claims = {
            "iss": self.issuer,
            "aud": CLIENT_ID,
            "iat": seconds,
            "exp": seconds + 300,
            "nonce": grant.nonce,
            **grant.claims,
        }
        access = secrets.token_urlsafe(16)
        self.tokens[access] = {"sub": claims.get("sub"), **self.userinfo}
        token = self.sign(claims) if self.forge is None else self.forge(self, claims)
        self.issued.append(token)
        return 200, {}, {"access_token": access, "token_type": "Bearer", "expires_in": 300, "id_token": token}

    def _refuse(self, why: str, status: int = 400) -> tuple[int, dict[str, str], Claims]:
        self.refusals.append(why)
        return status, {}, {"error": why.partition(":")[0]}


class _Handler(http.server.BaseHTTPRequestHandler):
    provider: OidcProvider

    def do_GET(self) -> None:
        self._answer("GET", "")

    def do_POST(self) -> None:
        self._answer("POST", self.rfile.read(int(self.headers["Content-Length"])).decode())

    def log_message(self, *_: object) -> None:
        """Says nothing."""

    def _answer(self, method: str, body: str) -> None:
        status, headers, said = self.provider.answer(method, self.path, self.headers, body)
        data = json.dumps(said).encode()
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)


@contextlib.contextmanager
def oidc_provider(redirect_uri: str, now: Callable[[], int]) -> Iterator[OidcProvider]:
    """A provider that answers on a free port of this machine."""
    handler = type("Own", (_Handler,), {})
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        provider = OidcProvider(f"http://127.0.0.1:{server.server_address[1]}", redirect_uri, now)
        handler.provider = provider  # type: ignore[attr-defined] # the class was made here
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        try:
            yield provider
        finally:
            server.shutdown()
            thread.join()
