"""Signing in through an identity provider: the real flow, against a provider that refuses what real ones refuse, and against forgers."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import hmac
import json
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import pytest
from identity_support import ORIGIN, SECOND, IdentityServer, cookie_of, identity_server_in
from oidc_provider import (
    CLIENT_SECRET,
    EC,
    FOR_SECRETS,
    OKP,
    RSA,
    STRANGER,
    STRANGER_EC,
    WEAK,
    Claims,
    OidcProvider,
    oidc_provider,
)
from server_support import PROJECT

from towpath.server.guarding import SESSION_COOKIE
from towpath.server.identity import accounts
from towpath.server.identity.attempts import LOGIN_WINDOW_SECONDS
from towpath.server.identity.oidc import carried
from towpath.server.identity.oidc.provider import DOCUMENT_SECONDS

BACK = f"{ORIGIN}/login/oidc/back"
BETWEEN = round(LOGIN_WINDOW_SECONDS) * SECOND
"""So long after a wrong attempt nobody remembers it."""
ADA: Claims = {"sub": "sub-ada", "email": "ada@example.org", "email_verified": True}
OPEN = """
people:
  provider: oidc
  users:
    ada: {email: ada@example.org}
  groups:
    admins: ["user:ada"]
access:
  grants:
    - {role: admin, to: ["group:admins"]}
    - {role: operator, to: ["group:ops"]}
"""
OIDC = """
  oidc:
    issuer: ISSUER
    client_id: towpath
    client_secret: idp
"""


@dataclass(slots=True, kw_only=True)
class Signing:
    """A server, its provider, and a browser that goes there and back."""

    server: IdentityServer
    provider: OidcProvider
    browser: httpx2.AsyncClient

    async def there(self, next_path: str = "/runs") -> str:
        """Goes to the provider, and gives the address to which that sends the browser back."""
        answer = await self.server.client.get("/login/oidc", params={"next": next_path})
        assert answer.status_code == 303, answer.text
        at_provider = await self.browser.get(answer.headers["location"])
        assert at_provider.status_code == 302, self.provider.refusals
        return at_provider.headers["location"].removeprefix(ORIGIN)

    async def sign_in(self, next_path: str = "/runs") -> httpx2.Response:
        """There and back; the browser forgets everything afterwards."""
        answer = await self.server.client.get(await self.there(next_path))
        self.server.client.cookies.clear()
        return answer

    async def who(self) -> str:
        """Signs in, and tells as whom; empty where nobody was let in."""
        answer = await self.sign_in()
        if SESSION_COOKIE not in answer.cookies:
            assert answer.status_code == 401
            return ""
        return str(await self.server.me({"Cookie": f"{SESSION_COOKIE}={cookie_of(answer)}"}))


@pytest.fixture(autouse=True)
def _secret(monkeypatch: pytest.MonkeyPatch) -> None:
    """The client's secret, where towpath.yaml says that it is."""
    monkeypatch.setenv("TOW_SECRET_IDP", CLIENT_SECRET)


@contextlib.asynccontextmanager
async def signing_in(folder: Path, *, project: str = PROJECT) -> AsyncIterator[Signing]:
    """A server with an identity provider, and a browser."""
    with oidc_provider(BACK, lambda: time.time_ns() // 1_000) as provider:
        text = project + OIDC.replace("ISSUER", provider.issuer)
        async with (
            identity_server_in(folder, project=text) as server,
            httpx2.AsyncClient(trust_env=False) as browser,
        ):
            provider.now = server.clock.now
            provider.person = ADA
            yield Signing(server=server, provider=provider, browser=browser)


async def test_somebody_signs_in(tmp_path: Path) -> None:
    """There and back with PKCE, state and nonce: a session of the one whom the provider means, that ends with the day."""
    async with signing_in(tmp_path) as signing:
        answer = await signing.sign_in("/runs?status=failed")
        headers = {"Cookie": f"{SESSION_COOKIE}={cookie_of(answer)}"}
        before = await signing.server.me(headers)
        (row,) = signing.server.app.store.identities.sessions(signing.server.clock.now())
        signing.server.clock.wind(12 * 3600 * SECOND)
        after = await signing.server.me(headers)

    assert (answer.status_code, before, after) == (200, "user:ada", 401)
    assert '<meta http-equiv="refresh" content="0;url=/runs?status=failed">' in answer.text
    assert row.way == "oidc"
    assert signing.provider.refusals == []
    set_cookies = answer.headers.get_list("set-cookie")
    assert any("towpath_oidc=" in one and "Max-Age=0" in one for one in set_cookies)
    assert any(
        "towpath_session=" in one and "SameSite=strict" in one and "HttpOnly" in one for one in set_cookies
    )


async def test_what_the_browser_carries(tmp_path: Path) -> None:
    """The way there changes nothing here, tells no secret, and each is its own; the cookie goes to the way back alone."""
    async with signing_in(tmp_path) as signing:
        first, second = [await signing.server.client.get("/login/oidc") for _ in range(2)]
        acts = signing.server.app.store.identities.acts()

    assert acts == ()
    for part in ("state", "nonce", "code_challenge"):
        values = {
            dict(httpx2.QueryParams(httpx2.URL(one.headers["location"]).query))[part]
            for one in (first, second)
        }
        assert len(values) == 2
        assert all(len(value) >= 43 for value in values)
    flags = {part.strip().lower() for part in first.headers["set-cookie"].split(";")[1:]}
    assert {"httponly", "samesite=lax", "path=/login/oidc", "max-age=600"} <= flags
    assert CLIENT_SECRET not in first.headers["location"]


# --- forged tokens --------------------------------------------------------------------------------------------


def part(value: object) -> str:
    """A part of a token."""
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


def hs256(key: bytes, claims: Claims, **header: Any) -> str:
    """A token that is signed with whatever, as if it were a shared secret."""
    said = f"{part({'alg': 'HS256', 'kid': 'rsa', **header})}.{part(claims)}"
    mac = hmac.digest(key, said.encode(), hashlib.sha256)
    return f"{said}.{base64.urlsafe_b64encode(mac).rstrip(b'=').decode()}"


def changed(**different: Any) -> Callable[[OidcProvider, Claims], str]:
    """A token of the provider that says something else; None leaves it out."""

    def forge(provider: OidcProvider, claims: Claims) -> str:
        said = {**claims, **different}
        return provider.sign({name: value for name, value in said.items() if value is not None})

    return forge


def shifted(**seconds: float) -> Callable[[OidcProvider, Claims], str]:
    """A token of the provider of another time."""
    return lambda provider, claims: provider.sign(
        {**claims, **{name: claims["iat"] + later for name, later in seconds.items()}}
    )


def tampered(provider: OidcProvider, claims: Claims) -> str:
    """A token whose words were exchanged after it was signed."""
    header, _, signature = provider.sign(claims).split(".")
    return f"{header}.{part({**claims, 'sub': 'sub-ben', 'email': 'ben@example.org'})}.{signature}"


def own_key(provider: OidcProvider, claims: Claims) -> str:
    """A token that brings the key along with which it is to be checked."""
    return provider.sign(claims, key=STRANGER_EC, alg="ES256", jwk=STRANGER_EC.as_dict(private=False))


PUBLIC_PEM = RSA.as_pem(private=False)
PUBLIC_DER = RSA.as_der(private=False)
FORGERIES: dict[str, Callable[[OidcProvider, Claims], str]] = {
    "no algorithm": lambda _, claims: f"{part({'alg': 'none'})}.{part(claims)}.",
    "none, spelt otherwise": lambda _, claims: f"{part({'alg': 'nOnE', 'kid': 'rsa'})}.{part(claims)}.",
    "none, with a signature": lambda p, claims: (
        f"{part({'alg': 'none', 'kid': 'rsa'})}.{part(claims)}.{p.sign(claims).split('.')[2]}"
    ),
    "the signature left out": lambda p, claims: p.sign(claims).rpartition(".")[0] + ".",
    "two parts": lambda p, claims: p.sign(claims).rpartition(".")[0],
    "the public key as a shared secret (PEM)": lambda _, claims: hs256(PUBLIC_PEM, claims),
    "the public key as a shared secret (DER)": lambda _, claims: hs256(PUBLIC_DER, claims),
    "the client's secret as the key": lambda _, claims: hs256(CLIENT_SECRET.encode(), claims),
    "an empty shared secret": lambda _, claims: hs256(b"", claims, kid=None),
    "another key under the same id": lambda p, claims: p.sign(claims, key=STRANGER),
    "a key that nobody knows": lambda p, claims: p.sign(claims, key=STRANGER, kid="other"),
    "no key id, and a stranger's key": lambda p, claims: p.sign(claims, key=STRANGER, kid=None),
    "a key that it brings along": own_key,
    "an address of keys": lambda p, claims: p.sign(claims, key=STRANGER, jku="https://evil.example/jwks"),
    "a key for encrypting": lambda p, claims: p.sign(claims, key=FOR_SECRETS),
    "a short key": lambda p, claims: p.sign(claims, key=WEAK),
    "an algorithm that the key is not for": lambda p, claims: p.sign(claims, alg="RS512"),
    "an algorithm of another kind of key": lambda p, claims: p.sign(claims, key=EC, alg="ES256", kid="rsa"),
    "an extension that has to be understood": lambda p, claims: (
        f"{part({'alg': 'RS256', 'kid': 'rsa', 'crit': ['b64'], 'b64': False})}.{p.sign(claims).partition('.')[2]}"
    ),
    "other words under the signature": tampered,
    "no words": lambda p, _: p.sign([]),  # type: ignore[arg-type] # that is the forgery
    "another issuer": changed(iss="https://evil.example"),
    "the issuer with a slash more": lambda p, claims: p.sign({**claims, "iss": claims["iss"] + "/"}),
    "no issuer": changed(iss=None),
    "for another client": changed(aud="somebody-else"),
    "for other clients": changed(aud=["a", "b"]),
    "for nobody": changed(aud=None),
    "for several, without saying for whom": changed(aud=["towpath", "other"]),
    "given to another client": changed(aud=["towpath", "other"], azp="other"),
    "given to another client alone": changed(azp="other"),
    "expired": shifted(exp=-61),
    "without an end": changed(exp=None),
    "an end that is no number": changed(exp="tomorrow"),
    "an end that is a truth": changed(exp=True),
    "issued long ago": shifted(iat=-601),
    "issued in the future": shifted(iat=121),
    "without a time": changed(iat=None),
    "not valid yet": shifted(nbf=121),
    "another sign-in": changed(nonce="another"),
    "an odd sign-in": changed(nonce=["a"]),
    "no sign-in": changed(nonce=None),
    "about nobody": changed(sub=None),
    "about an empty name": changed(sub=""),
    "about a number": changed(sub=12),
    "about a name without end": changed(sub="x" * 256),
    "too long to be looked at": changed(more="x" * 70_000),
    "no token": lambda *_: "hello",
    "an encrypted token": lambda *_: "a.b.c.d.e",
    "odd letters": lambda *_: "é.é.é",
}


async def test_a_forged_token_lets_nobody_in(tmp_path: Path) -> None:
    """Whatever is wrong with a token, nobody is signed in, nothing breaks, and the answer tells no reason."""
    found = {}
    async with signing_in(tmp_path) as signing:
        for what, forge in FORGERIES.items():
            signing.provider.forge = forge
            answer = await signing.sign_in()
            said = answer.json().get("detail") if answer.status_code == 401 else answer.text
            found[what] = (SESSION_COOKIE in answer.cookies, said)
            signing.server.clock.wind(BETWEEN)

    assert found == dict.fromkeys(FORGERIES, (False, "signing in with the identity provider did not work"))
    assert len(signing.provider.issued) == len(FORGERIES)
    assert signing.provider.refusals == []


GENUINE: dict[str, Callable[[OidcProvider, Claims], str]] = {
    "for several, and given to us": changed(aud=["other", "towpath"], azp="towpath"),
    "for us, and given to us": changed(azp="towpath"),
    "a clock that is a little late": shifted(exp=-30),
    "a clock that is a little early": shifted(iat=30, nbf=30),
    "an elliptic curve": lambda p, claims: p.sign(claims, key=EC, alg="ES256"),
    "an Edwards curve": lambda p, claims: p.sign(claims, key=OKP, alg="EdDSA"),
    "no key id, and one key that fits": lambda p, claims: p.sign(claims, key=EC, alg="ES256", kid=None),
}


async def test_a_genuine_token_lets_in(tmp_path: Path) -> None:
    """What the standard allows is taken, whichever way the provider signs."""
    found = {}
    async with signing_in(tmp_path) as signing:
        for what, forge in GENUINE.items():
            signing.provider.forge = forge
            found[what] = await signing.who()

    assert found == dict.fromkeys(GENUINE, "user:ada")


# --- the way back ---------------------------------------------------------------------------------------------


async def _without_cookie(signing: Signing, back: str) -> str:
    signing.server.client.cookies.clear()
    return back


async def _of_another_browser(signing: Signing, back: str) -> str:
    """The victim's browser has begun a sign-in of its own, and is sent the attacker's way back."""
    signing.server.client.cookies.clear()
    await signing.there()
    return back


async def _other_state(_: Signing, back: str) -> str:
    return back.replace("state=", "state=x")


async def _no_state(_: Signing, back: str) -> str:
    return back.partition("&state")[0]


async def _too_late(signing: Signing, back: str) -> str:
    signing.server.clock.wind(round(carried.CARRIED_SECONDS) * SECOND)
    return back


async def _used_before(signing: Signing, back: str) -> str:
    cookie = signing.server.client.cookies[carried.COOKIE]
    await signing.server.client.get(back)
    signing.server.client.cookies.clear()
    signing.server.client.cookies.set(carried.COOKIE, cookie)
    return back


async def _own_cookie(signing: Signing, back: str) -> str:
    """Somebody who can set cookies makes one of their own."""
    state = dict(httpx2.QueryParams(httpx2.URL(back).query))["state"]
    forged = carried.Seal().write(
        carried.Carried(state=state, nonce="n", verifier="v", next="/", ends_at=2**60)
    )
    signing.server.client.cookies.clear()
    signing.server.client.cookies.set(carried.COOKIE, forged)
    return back


async def _odd_cookie(signing: Signing, back: str) -> str:
    signing.server.client.cookies.clear()
    signing.server.client.cookies.set(carried.COOKIE, "a.b")
    return back


async def _other_code(_: Signing, back: str) -> str:
    return back.replace("code=", "code=x")


async def _error(_: Signing, back: str) -> str:
    state = back.partition("&state=")[2].partition("&")[0]
    return f"/login/oidc/back?error=access_denied&state={state}"


WAYS_BACK = {
    "without the cookie": _without_cookie,
    "in another browser": _of_another_browser,
    "with another state": _other_state,
    "without a state": _no_state,
    "too late": _too_late,
    "for a second time": _used_before,
    "with a cookie made elsewhere": _own_cookie,
    "with an odd cookie": _odd_cookie,
    "with another code": _other_code,
    "with a refusal": _error,
}


async def test_who_comes_back_otherwise_is_not_let_in(tmp_path: Path) -> None:
    """Only the browser that went there comes back, once, soon, and with what it was given."""
    found = {}
    async with signing_in(tmp_path) as signing:
        for what, spoil in WAYS_BACK.items():
            back = await spoil(signing, await signing.there())
            answer = await signing.server.client.get(back)
            found[what] = (answer.status_code, SESSION_COOKIE in answer.cookies)
            signing.server.client.cookies.clear()
            signing.server.clock.wind(BETWEEN)

    assert found == dict.fromkeys(WAYS_BACK, (401, False))


async def test_nobody_is_sent_elsewhere_afterwards(tmp_path: Path) -> None:
    """Where one wanted to go is a path of ours, on the way there and back."""
    async with signing_in(tmp_path) as signing:
        answer = await signing.sign_in('https://evil.example/"><script>')

    assert "evil" not in answer.text
    assert 'content="0;url=/"' in answer.text


async def test_where_one_goes_is_written_as_text(tmp_path: Path) -> None:
    """The page that goes on by itself holds no markup from outside."""
    async with signing_in(tmp_path) as signing:
        answer = await signing.sign_in('/runs?q="><script>alert(1)</script>')

    assert "<script>" not in answer.text
    assert "&lt;script&gt;" in answer.text


DOCUMENTS: dict[str, Claims] = {
    "of another issuer": {"issuer": "https://evil.example"},
    "without an issuer": {"issuer": None},
    "with keys in the clear elsewhere": {"jwks_uri": "http://evil.example/jwks"},
    "with tokens in the clear elsewhere": {"token_endpoint": "http://evil.example/token"},
    "with an odd address": {"authorization_endpoint": "javascript:alert(1)"},
    "that signs with secrets only": {"id_token_signing_alg_values_supported": ["HS256", "none"]},
    "without keys": {"jwks_uri": "ISSUER/nothing"},
}


async def test_a_provider_that_cannot_be_trusted_is_not_used(tmp_path: Path) -> None:
    """A document that is not the provider's, or that leads elsewhere in the clear, lets nobody in; a good one does."""
    found = {}
    async with signing_in(tmp_path) as signing:
        here = signing.provider.issuer
        for what, document in {**DOCUMENTS, "good": {}}.items():
            signing.provider.document = {
                name: value.replace("ISSUER", here) if isinstance(value, str) else value
                for name, value in document.items()
            }
            answer = await signing.server.client.get("/login/oidc")
            if answer.status_code == 303:
                answer = await signing.sign_in()
            found[what] = (answer.status_code, SESSION_COOKIE in answer.cookies)
            signing.server.client.cookies.clear()
            signing.server.clock.wind(round(DOCUMENT_SECONDS) * SECOND)

    assert found == {**dict.fromkeys(DOCUMENTS, (401, False)), "good": (200, True)}


async def test_a_provider_that_is_away_is_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Where the provider does not answer one reads the reason in the log, and people get one plain answer."""
    async with signing_in(tmp_path) as signing:
        signing.provider.document = {"issuer": "https://evil.example"}
        answer = await signing.server.client.get("/login/oidc")

    assert answer.json()["detail"] == "signing in with the identity provider did not work"
    assert "identity.oidc_refused" in caplog.text
    assert "https://evil.example" in caplog.text


async def test_without_its_secret_nobody_is_told_which(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A secret that is missing is named in the log, and not to whoever wants to sign in."""
    monkeypatch.delenv("TOW_SECRET_IDP")
    async with signing_in(tmp_path) as signing:
        answer = await signing.server.client.get("/login/oidc")

    assert answer.status_code == 401
    assert "idp" not in answer.text
    assert "idp" in caplog.text


async def test_new_keys_are_fetched_when_they_are_needed(tmp_path: Path) -> None:
    """A provider that changes its keys is believed a minute later; a flood of unknown keys asks it for nothing."""
    async with signing_in(tmp_path) as signing:
        before = await signing.who()
        signing.provider.keys = [STRANGER]
        signing.provider.key = STRANGER
        signing.provider.forge = lambda p, claims: p.sign(claims, key=STRANGER, kid="new")
        changed_key = {**STRANGER.as_dict(private=True), "kid": "new"}
        signing.provider.keys = [type(STRANGER).import_key(changed_key)]
        at_once = [await signing.who() for _ in range(3)]
        fetched = signing.provider.asked.count("/jwks")
        signing.server.clock.wind(61 * SECOND)
        later = await signing.who()

    assert (before, at_once, fetched, later) == ("user:ada", ["", "", ""], 1, "user:ada")
    assert signing.provider.asked.count("/jwks") == 2


async def test_the_provider_of_the_tests_is_strict(tmp_path: Path) -> None:
    """The provider refuses a code with another verifier, another client secret, or for a second time: so it shows something."""
    async with signing_in(tmp_path) as signing:
        back = await signing.there()
        code = dict(httpx2.QueryParams(httpx2.URL(back).query))["code"]
        form = {"grant_type": "authorization_code", "code": code, "redirect_uri": BACK, "code_verifier": "v"}
        url = f"{signing.provider.issuer}/token"
        answers = [
            await signing.browser.post(url, data=form, auth=("towpath", "wrong")),
            await signing.browser.post(url, data=form, auth=("towpath", CLIENT_SECRET)),
            await signing.browser.post(url, data=form, auth=("towpath", CLIENT_SECRET)),
        ]

    assert [one.status_code for one in answers] == [401, 400, 400]
    assert signing.provider.refusals == [
        "invalid_client",
        "invalid_grant: the verifier does not fit",
        "invalid_grant: no such code",
    ]


# --- whom the provider means ----------------------------------------------------------------------------------

WITH_SUBJECT = PROJECT.replace("cy: {email: cy@example.org}", "cy: {email: cy@example.org, subject: sub-cy}")
MEANT: list[tuple[str, Claims, str]] = [
    ("a verified address", ADA, "user:ada"),
    ("written otherwise", {**ADA, "email": "Ada@Example.ORG"}, "user:ada"),
    ("verified, as text", {**ADA, "email_verified": "true"}, "user:ada"),
    ("not verified", {**ADA, "email_verified": False}, ""),
    ("verified, odd", {**ADA, "email_verified": 1.5}, ""),
    ("nothing said of it", {"sub": "s", "email": "ada@example.org"}, ""),
    ("no address", {"sub": "s"}, ""),
    ("an odd address", {"sub": "s", "email": ["ada@example.org"], "email_verified": True}, ""),
    ("an address of nobody", {"sub": "s", "email": "eve@example.org", "email_verified": True}, ""),
    ("a name like a user's", {"sub": "ada", "preferred_username": "ada", "email_verified": True}, ""),
    (
        "a subject of the file",
        {"sub": "sub-cy", "email": "other@example.org", "email_verified": False},
        "user:cy",
    ),
    ("the address of another subject", {"sub": "s", "email": "cy@example.org", "email_verified": True}, ""),
]


async def test_whom_the_provider_means(tmp_path: Path) -> None:
    """An address counts when the provider has verified it, a `sub` when the file has it, and a name never."""
    found = {}
    async with signing_in(tmp_path, project=WITH_SUBJECT) as signing:
        for what, person, _ in MEANT:
            signing.provider.person = person
            found[what] = await signing.who()
            signing.server.clock.wind(BETWEEN)

    assert found == {what: who for what, _, who in MEANT}


async def test_who_is_disabled_is_not_let_in_by_the_provider(tmp_path: Path) -> None:
    """Being disabled here counts, whatever the provider says; and the link they had is no way around it."""
    async with signing_in(tmp_path) as signing:
        accounts.disable(signing.server.app, "ada", by="user:ben")

        assert await signing.who() == ""


async def test_the_provider_knows_more_people(tmp_path: Path) -> None:
    """Where the provider says who there is, somebody new becomes a user by their address and stays the same by their `sub`."""
    dora = {"sub": "sub-dora", "email": "Dora@example.org", "email_verified": True, "name": "Dora"}
    async with signing_in(tmp_path, project=OPEN) as signing:
        found = []
        for person in (
            dora,
            {**dora, "email": "dora.new@example.org"},
            {**dora, "email_verified": False},
            {**dora, "sub": "another"},
            {"sub": "sub-x", "email": "ada@example.org", "email_verified": True},
            {"sub": "sub-y", "email": "not a name@example.org", "email_verified": True},
        ):
            signing.provider.person = person
            found.append(await signing.who())
        (row,) = [one for one in signing.server.app.store.identities.users() if one.made_at is not None]

    dora_here = "user:dora@example.org"
    assert found == [dora_here, dora_here, dora_here, "", "user:ada", ""]
    assert (row.name, row.title, row.email) == ("dora@example.org", "Dora", "dora@example.org")


async def test_groups_count_as_the_provider_vouches_for_them(tmp_path: Path) -> None:
    """Groups of the provider give roles, but not those whose members the file names; and only where the project wants it."""
    eve = {
        "sub": "e",
        "email": "eve@example.org",
        "email_verified": True,
        "groups": ["ops", "admins", "odd name", 5],
    }
    async with signing_in(tmp_path, project=OPEN) as signing:
        signing.provider.person = eve
        headers = {"Cookie": f"{SESSION_COOKIE}={cookie_of(await signing.sign_in())}"}
        me = (await signing.server.client.get("/api/v1/me", headers=headers)).json()
        token = signing.server.bearer("eve@example.org")
        with_token = (await signing.server.client.get("/api/v1/me", headers=token)).json()
        signing.server.clock.wind(12 * 3600 * SECOND)
        a_day_later = (await signing.server.client.get("/api/v1/me", headers=token)).json()

    assert me["principals"] == ["group:ops", "user:eve@example.org"]
    assert [one["role"] for one in me["roles"]] == ["operator"]
    assert [one["role"] for one in with_token["roles"]] == ["operator"]
    assert a_day_later["roles"] == []


async def test_groups_do_not_count_where_the_file_says_who_is_who(tmp_path: Path) -> None:
    """In a project that names its groups itself nobody gets into one by what the provider says."""
    async with signing_in(tmp_path) as signing:
        signing.provider.person = {
            "sub": "v",
            "email": "vic@example.org",
            "email_verified": True,
            "groups": ["operators", "admins"],
        }
        headers = {"Cookie": f"{SESSION_COOKIE}={cookie_of(await signing.sign_in())}"}
        me = (await signing.server.client.get("/api/v1/me", headers=headers)).json()

    assert me["principals"] == ["user:vic"]


USERINFO: list[tuple[str, Claims, Claims, str]] = [
    ("the address", {"sub": "a"}, {"email": "ada@example.org", "email_verified": True}, "user:ada"),
    ("another person", {"sub": "a"}, {"sub": "b", "email": "ada@example.org", "email_verified": True}, ""),
    (
        "that another address is verified",
        {"sub": "a", "email": "ada@example.org"},
        {"email": "eve@example.org", "email_verified": True},
        "",
    ),
    (
        "that the address is verified",
        {"sub": "a", "email": "ada@example.org"},
        {"email": "ada@example.org", "email_verified": True},
        "user:ada",
    ),
    ("something else than the token", ADA, {"email": "ben@example.org", "email_verified": True}, "user:ada"),
]


async def test_what_userinfo_adds(tmp_path: Path) -> None:
    """Userinfo adds what the token lacks, of the same person, and overrules nothing."""
    found = {}
    async with signing_in(tmp_path) as signing:
        for what, person, more, _ in USERINFO:
            signing.provider.person = person
            signing.provider.userinfo = more
            found[what] = await signing.who()

    assert found == {what: who for what, _, _, who in USERINFO}


async def test_groups_without_end_are_refused(tmp_path: Path) -> None:
    """Nobody gets a part of their groups: more than GROUPS_MAX let nobody in, and the log says why."""
    async with signing_in(tmp_path, project=OPEN) as signing:
        signing.provider.person = {**ADA, "groups": [f"g{number}" for number in range(1_001)]}

        assert await signing.who() == ""


async def test_a_project_without_a_provider_has_no_such_door(tmp_path: Path) -> None:
    """Where no provider is named, the way there and back is no way in."""
    async with identity_server_in(tmp_path) as server:
        answers = [
            await server.client.get(path) for path in ("/login/oidc", "/login/oidc/back?state=x&code=y")
        ]

    assert [one.status_code for one in answers] == [404, 401]
