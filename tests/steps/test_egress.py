"""The guarded egress: where requests may go, and what goes with them."""

from __future__ import annotations

import asyncio
import gzip
import ipaddress
import time
from pathlib import Path

import pytest
from action_support import LocalServer, Seen, certificate_for, local_server, picture, reply

from towpath.errors import AuthorError
from towpath.steps.contract import ActionFailed, HttpRequest
from towpath.steps.egress import EgressPolicy, GuardedEgress


def resolver(table: dict[str, list[str]], asked: list[str] | None = None):  # noqa: ANN201
    """Answers names from a table."""

    async def resolve(name: str, _port: int) -> list[str]:
        if asked is not None:
            asked.append(name)
        return table[name]

    return resolve


async def failure(egress: GuardedEgress, request: HttpRequest) -> ActionFailed:
    """The failure that a request ends with."""
    with pytest.raises(ActionFailed) as caught:
        await egress.send(request)
    return caught.value


# address, policy, what the objection says (empty: may be reached)
ADDRESSES = [
    ("127.0.0.1", {}, ""),
    ("127.0.0.1", {"loopback": False}, "this machine"),
    ("::1", {"loopback": False}, "this machine"),
    ("10.1.2.3", {}, ""),
    ("10.1.2.3", {"private": False}, "private"),
    ("172.31.0.1", {"private": False}, "private"),
    ("192.168.0.1", {"private": False}, "private"),
    ("100.64.0.1", {"private": False}, "private"),
    ("fd12::1", {"private": False}, "private"),
    ("1.1.1.1", {"private": False, "loopback": False}, ""),
    ("2606:4700::1111", {"private": False, "loopback": False}, ""),
    ("169.254.169.254", {}, "metadata"),
    ("169.254.1.1", {}, "metadata"),
    ("fe80::1", {}, "link-local"),
    ("fd00:ec2::254", {}, "metadata"),
    ("100.100.100.200", {}, "metadata"),
    ("168.63.129.16", {}, "metadata"),
    ("224.0.0.1", {}, "multicast"),
    ("ff02::1", {}, "multicast"),
    ("0.0.0.0", {}, "unspecified"),
    ("::", {}, "unspecified"),
    ("255.255.255.255", {}, "reserved"),
    ("240.0.0.1", {}, "reserved"),
    ("192.0.2.1", {}, "reserved"),
    ("0.1.2.3", {}, "reserved"),
    # an IPv4 address that hides in an IPv6 one
    ("::ffff:169.254.169.254", {}, "metadata"),
    ("::ffff:127.0.0.1", {"loopback": False}, "this machine"),
    ("::ffff:10.0.0.1", {"private": False}, "private"),
    ("::ffff:1.1.1.1", {"private": False}, ""),
    ("64:ff9b::a9fe:a9fe", {}, "metadata"),
    ("64:ff9b::a00:1", {"private": False}, "private"),
    ("2002:a9fe:a9fe::1", {}, "metadata"),
    ("::a9fe:a9fe", {}, "metadata"),
    # lists
    ("1.1.1.1", {"deny": ("1.1.1.0/24",)}, "deny list"),
    ("::ffff:1.1.1.1", {"deny": ("1.1.1.1",)}, "deny list"),
    ("1.1.1.1", {"allow": ("10.0.0.0/8",)}, "allow list"),
    ("10.1.1.1", {"allow": ("10.0.0.0/8",)}, ""),
    ("1.1.1.1", {"allow": ("shop.example",)}, ""),
    ("169.254.169.254", {"allow": ("169.254.169.254",)}, "metadata"),
    ("169.254.169.254", {"exceptions": ("169.254.169.254",)}, ""),
    ("169.254.169.253", {"exceptions": ("169.254.169.254",)}, "metadata"),
    ("10.1.1.1", {"private": False, "exceptions": ("10.1.0.0/16",)}, ""),
    ("10.1.1.1", {"exceptions": ("10.1.0.0/16",), "deny": ("10.1.1.1",)}, "deny list"),
]


@pytest.mark.parametrize(("address", "policy", "objection"), ADDRESSES)
def test_every_address_is_checked_against_the_policy(address: str, policy: dict, objection: str) -> None:
    """An address passes only when its kind, its hidden IPv4 address and the lists allow it."""
    said = EgressPolicy(**policy).objection("shop.example", ipaddress.ip_address(address))

    assert bool(objection) == bool(said)
    assert objection in said


@pytest.mark.parametrize(
    ("name", "policy", "is_denied"),
    [
        ("shop.example", {}, False),
        ("shop.example", {"deny": ("shop.example",)}, True),
        ("SHOP.example.", {"deny": ("shop.Example",)}, True),
        ("a.shop.example", {"deny": ("shop.example",)}, False),
        ("a.shop.example", {"deny": ("*.shop.example",)}, True),
        ("shop.example", {"deny": ("*.shop.example",)}, False),
        ("evilshop.example", {"deny": ("*.shop.example",)}, False),
        ("shop.example", {"allow": ("*.shop.example",)}, True),
        ("a.shop.example", {"allow": ("*.shop.example",)}, False),
        ("a.shop.example", {"allow": ("*.shop.example",), "deny": ("a.shop.example",)}, True),
        ("shop.example", {"allow": ("10.0.0.0/8",)}, False),
    ],
)
def test_names_are_checked_before_anything_is_resolved(name: str, policy: dict, is_denied: bool) -> None:
    """A name on the deny list, or missing on a list of names, is refused without a look-up."""
    try:
        EgressPolicy(**policy).check_name(name)
        was_denied = False
    except ActionFailed as error:
        was_denied = error.kind == "denied"

    assert is_denied == was_denied


@pytest.mark.parametrize("entry", ["", "ex ample", "http://x", "*", "10.0.0.0/99", "a*.example", "-x"])
def test_a_wrong_entry_of_a_list_is_refused(entry: str) -> None:
    """A list that would silently protect nothing does not load."""
    with pytest.raises(AuthorError):
        EgressPolicy(deny=(entry,))


@pytest.mark.parametrize(
    ("url", "kind"),
    [
        ("http://169.254.169.254/latest/meta-data", "denied"),
        ("http://[fe80::1]/", "denied"),
        ("http://[::ffff:a9fe:a9fe]/", "denied"),
        ("http://2852039166/", "denied"),  # 169.254.169.254 in one number
        ("http://0xa9fea9fe/", "denied"),
        ("http://0251.0376.0251.0376/", "invalid"),
        ("http://0/", "denied"),
        ("ftp://127.0.0.1/", "invalid"),
        ("file:///etc/passwd", "invalid"),
        ("//127.0.0.1/", "invalid"),
        ("shop.example", "invalid"),
        ("http://", "invalid"),
        ("http://user:word@127.0.0.1/", "invalid"),
        ("http://127.0.0.1/a b", "invalid"),
        ("http://127.0.0.1\\@evil.example/", "invalid"),
        ("http://127.0.0.1/\r\nHost: x", "invalid"),
        ("http://127.0.0.1:99999/", "invalid"),
        ("http://127.0.0.1/" + "a" * 9000, "invalid"),
        ("http://127.0.0.1:1/", "unreachable"),
    ],
)
async def test_bad_addresses_fail_with_their_kind(url: str, kind: str) -> None:
    """However an address is written, it ends as what it is."""
    error = await failure(GuardedEgress(), HttpRequest(method="GET", url=url))

    assert kind == error.kind


@pytest.mark.parametrize(
    "request_",
    [
        HttpRequest(method="GE T", url="http://127.0.0.1/"),
        HttpRequest(method="CONNECT", url="http://127.0.0.1/"),
        HttpRequest(method="GET", url="http://127.0.0.1/", headers={"X": "a\r\nY: b"}),
        HttpRequest(method="GET", url="http://127.0.0.1/", headers={"X y": "a"}),
        HttpRequest(method="GET", url="http://127.0.0.1/", headers={"Transfer-Encoding": "chunked"}),
        HttpRequest(method="GET", url="http://127.0.0.1/", headers={"Content-Length": "7"}),
        HttpRequest(method="GET", url="http://127.0.0.1/", headers={"a": "1", "A": "2"}),
    ],
)
async def test_a_request_that_could_smuggle_is_refused(request_: HttpRequest) -> None:
    """Line breaks, framing headers and odd methods never reach the wire."""
    error = await failure(GuardedEgress(), request_)

    assert error.kind == "invalid"


async def test_a_name_is_resolved_once_and_the_connection_goes_to_the_checked_address() -> None:
    """The name stays in `Host`; the address that was checked is the one that is connected to."""
    asked: list[str] = []
    egress = GuardedEgress(resolve=resolver({"shop.test": ["127.0.0.1"]}, asked))
    async with local_server(hello=reply(200, b"hello", X_Tag="1")) as server:
        answer = await egress.send(
            HttpRequest(method="GET", url=server.url("/hello?key=1", host="shop.test"))
        )

        assert (answer.status, answer.body, answer.headers["x-tag"], answer.body_bytes) == (
            200,
            b"hello",
            "1",
            5,
        )
        assert asked == ["shop.test"]
        assert server.seen[0].headers["host"] == f"shop.test:{server.port}"
        assert server.seen[0].target == "/hello?key=1"


async def test_a_name_with_a_denied_address_never_connects_there() -> None:
    """Of the addresses of a name only those that pass are used; when none passes, the request is denied."""
    table = {"mixed.test": ["169.254.169.254", "127.0.0.1"], "evil.test": ["169.254.169.254"]}
    egress = GuardedEgress(resolve=resolver(table))
    async with local_server(a=reply(200, b"a")) as server:
        answer = await egress.send(HttpRequest(method="GET", url=server.url("/a", host="mixed.test")))
        error = await failure(egress, HttpRequest(method="GET", url=server.url("/a", host="evil.test")))

        assert (answer.body, error.kind) == (b"a", "denied")
        assert "evil.test (169.254.169.254)" in error.message


async def test_the_next_address_is_tried_when_one_does_not_answer() -> None:
    """A name with a dead address is reached through the living one."""
    egress = GuardedEgress(resolve=resolver({"shop.test": ["127.0.0.2", "127.0.0.1"]}))
    async with local_server(a=reply(200, b"a")) as server:
        answer = await egress.send(HttpRequest(method="GET", url=server.url("/a", host="shop.test")))

        assert answer.body == b"a"


async def test_tls_checks_the_name_though_the_address_is_pinned(tmp_path: Path) -> None:
    """A certificate must be for the name that was asked, from an authority that is trusted."""
    context, authority = certificate_for("shop.test", tmp_path)
    egress = GuardedEgress(resolve=resolver({"shop.test": ["127.0.0.1"], "other.test": ["127.0.0.1"]}))
    async with local_server(context, a=reply(200, b"a")) as server:
        good = HttpRequest(method="GET", url=server.url("/a", host="shop.test"), ca_file=authority)
        wrong_name = HttpRequest(method="GET", url=server.url("/a", host="other.test"), ca_file=authority)
        unknown = HttpRequest(method="GET", url=server.url("/a", host="shop.test"))
        unchecked = HttpRequest(method="GET", url=server.url("/a", host="other.test"), verify_tls=False)
        by_address = HttpRequest(method="GET", url=server.url("/a"), ca_file=authority)

        assert (await egress.send(good)).body == b"a"
        assert (await egress.send(unchecked)).body == b"a"
        kinds = [(await failure(egress, bad)).kind for bad in (wrong_name, unknown, by_address)]
        assert kinds == ["denied", "denied", "denied"]


async def test_a_missing_authority_file_is_told(tmp_path: Path) -> None:
    """A wrong `ca` is the author's mistake."""
    request = HttpRequest(method="GET", url="https://127.0.0.1/", ca_file=tmp_path / "none.pem")
    error = await failure(GuardedEgress(), request)

    assert error.kind == "invalid"


CREDENTIALS = {"Authorization": "Bearer t", "Cookie": "c=1", "X-Api-Key": "k", "Accept": "text/plain"}


async def test_a_redirect_keeps_credentials_inside_its_origin() -> None:
    """On the same origin every header goes along."""
    async with local_server(a=reply(302, Location="/b"), b=reply(200, b"b")) as server:
        answer = await GuardedEgress().send(
            HttpRequest(method="GET", url=server.url("/a"), headers=CREDENTIALS)
        )

        assert server.url("/b") == answer.url
        assert server.seen[1].headers["x-api-key"] == "k"
        assert server.seen[1].headers["authorization"] == "Bearer t"


async def test_a_redirect_to_another_origin_drops_every_credential() -> None:
    """Another port is another origin: only plain headers go along, not even unknown ones."""
    async with (
        local_server(b=reply(200, b"b")) as other,
        local_server(a=reply(302, Location=other.url("/b"))) as server,
    ):
        await GuardedEgress().send(HttpRequest(method="GET", url=server.url("/a"), headers=CREDENTIALS))

        sent = {name for name in other.seen[0].headers if name in {key.lower() for key in CREDENTIALS}}
        assert {"accept"} == sent
        assert other.seen[0].headers["host"] == f"127.0.0.1:{other.port}"


async def test_a_body_does_not_follow_to_another_origin() -> None:
    """A 307 elsewhere would hand the body to a stranger: denied."""
    async with (
        local_server(b=reply(200)) as other,
        local_server(a=reply(307, Location=other.url("/b"))) as server,
    ):
        error = await failure(
            GuardedEgress(), HttpRequest(method="POST", url=server.url("/a"), body=b"secret")
        )

        assert (error.kind, other.seen) == ("denied", [])


@pytest.mark.parametrize(
    ("status", "method", "seen_method", "seen_body"),
    [
        (301, "POST", "GET", b""),
        (302, "POST", "GET", b""),
        (303, "POST", "GET", b""),
        (303, "PUT", "GET", b""),
        (307, "POST", "POST", b"body"),
        (308, "PUT", "PUT", b"body"),
        (301, "PUT", "PUT", b"body"),
        (302, "HEAD", "HEAD", b""),
    ],
)
async def test_redirects_change_the_method_as_browsers_do(
    status: int, method: str, seen_method: str, seen_body: bytes
) -> None:
    """301, 302 and 303 turn a POST into a GET without a body; 307 and 308 repeat it."""
    body = None if method == "HEAD" else b"body"
    async with local_server(a=reply(status, Location="b"), b=reply(200)) as server:
        await GuardedEgress().send(HttpRequest(method=method, url=server.url("/a"), body=body))

        assert (seen_method, seen_body) == (server.seen[1].method, server.seen[1].body)


@pytest.mark.parametrize(
    ("location", "kind"),
    [
        ("http://169.254.169.254/", "denied"),
        ("//169.254.169.254/", "denied"),
        ("http://evil.test/", "denied"),
        ("file:///etc/passwd", "invalid"),
        ("http://user:word@127.0.0.1/", "invalid"),
        ("/a", "invalid"),  # for ever
    ],
)
async def test_every_redirect_is_checked_again(location: str, kind: str) -> None:
    """A redirect gets no further than a first request would."""
    egress = GuardedEgress(resolve=resolver({"evil.test": ["169.254.169.254"]}))
    async with local_server(a=reply(302, Location=location)) as server:
        error = await failure(egress, HttpRequest(method="GET", url=server.url("/a")))

        assert kind == error.kind


async def test_redirects_can_be_left_alone() -> None:
    """Without following, the redirect itself is the answer."""
    async with local_server(a=reply(302, Location="http://169.254.169.254/")) as server:
        request = HttpRequest(method="GET", url=server.url("/a"), follow_redirects=False)
        answer = await GuardedEgress().send(request)

        assert (answer.status, answer.headers["location"]) == (302, "http://169.254.169.254/")


async def drip(_seen: Seen, writer: asyncio.StreamWriter) -> None:
    """Sends a header and then a byte now and again, for longer than anybody waits."""
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
    for _ in range(1000):
        writer.write(b"x")
        await writer.drain()
        await asyncio.sleep(0.02)


async def silence(_seen: Seen, _writer: asyncio.StreamWriter) -> None:
    """Says nothing."""
    await asyncio.sleep(20)


@pytest.mark.parametrize("answer", [drip, silence])
async def test_the_time_is_for_everything(answer) -> None:  # noqa: ANN001
    """A server that drips or is silent costs no more than the timeout."""
    started = time.monotonic()
    async with local_server(a=answer) as server:
        error = await failure(
            GuardedEgress(), HttpRequest(method="GET", url=server.url("/a?k=v"), timeout_seconds=0.2)
        )

        assert error.kind == "timeout"
        assert time.monotonic() - started < 5
        assert "k=v" not in error.message


async def endless(_seen: Seen, writer: asyncio.StreamWriter) -> None:
    """Sends more than anybody can hold."""
    writer.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n")
    while True:
        writer.write(b"x" * 65536)
        await writer.drain()


BOMB = gzip.compress(b"0" * 50_000_000)


@pytest.mark.parametrize("answer", [endless, reply(200, BOMB, Content_Encoding="gzip")])
async def test_a_huge_answer_is_cut_off(answer, tmp_path: Path) -> None:  # noqa: ANN001
    """Past the limit the request fails, in memory and in a file, and no half file is left."""
    async with local_server(a=answer) as server:
        for save_to in (None, tmp_path / "saved"):
            request = HttpRequest(
                method="GET",
                url=server.url("/a"),
                response_bytes_max=200_000,
                save_to=save_to,
                timeout_seconds=10,
            )
            error = await failure(GuardedEgress(), request)

            assert error.kind == "invalid"
            assert "200000 bytes" in error.message
        assert picture(tmp_path) == {}


async def test_a_compressed_answer_is_read() -> None:
    """Compression that was not asked for is taken off all the same."""
    async with local_server(a=reply(200, gzip.compress(b"hello"), Content_Encoding="gzip")) as server:
        answer = await GuardedEgress().send(HttpRequest(method="GET", url=server.url("/a")))

        assert answer.body == b"hello"


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (b"SSH-2.0-OpenSSH\r\n", "unreachable"),
        (b"", "unreachable"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nhalf", "unreachable"),
        (b"HTTP/1.1 200 OK\r\nX: " + b"y" * 300_000, "unreachable"),
        (reply(200, b"no gzip", Content_Encoding="gzip"), "invalid"),
        (reply(200, b"?", Content_Encoding="br"), "invalid"),
    ],
)
async def test_answers_that_are_no_http_fail_clearly(answer: bytes, kind: str) -> None:
    """Half answers and other protocols have a kind, not a traceback."""
    async with local_server(a=answer) as server:
        error = await failure(GuardedEgress(), HttpRequest(method="GET", url=server.url("/a")))

        assert kind == error.kind


async def test_a_saved_answer_appears_whole(tmp_path: Path) -> None:
    """The file holds the body, replaces what was there, and the body is not in memory."""
    target = tmp_path / "saved"
    target.write_bytes(b"old")
    async with local_server(a=reply(200, b"x" * 300_000)) as server:
        answer = await GuardedEgress().send(HttpRequest(method="GET", url=server.url("/a"), save_to=target))

        assert (answer.body, answer.body_bytes) == (b"", 300_000)
        assert target.read_bytes() == b"x" * 300_000
        assert [target.name] == list(picture(tmp_path))


async def test_the_environment_plays_no_part(monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy in the environment would see every request and check none."""
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:1")
    async with local_server(a=reply(200, b"a")) as server:
        answer = await GuardedEgress().send(HttpRequest(method="GET", url=server.url("/a")))

        assert answer.body == b"a"


async def test_a_host_header_is_checked_like_a_name() -> None:
    """A virtual host behind an allowed address is still that host."""
    egress = GuardedEgress(EgressPolicy(deny=("hidden.example",)))
    server = LocalServer()
    error = await failure(
        egress, HttpRequest(method="GET", url="http://127.0.0.1:1/", headers={"host": "hidden.example:80"})
    )

    assert (error.kind, server.seen) == ("denied", [])


async def test_an_unknown_name_is_unreachable() -> None:
    """A name that nobody knows fails as such."""

    async def resolve(_name: str, _port: int) -> list[str]:
        raise OSError(-2, "Name or service not known")

    error = await failure(
        GuardedEgress(resolve=resolve), HttpRequest(method="GET", url="http://nobody.test/?k=v")
    )

    assert error.kind == "unreachable"
    assert "nobody.test" in error.message
