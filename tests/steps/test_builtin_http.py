"""`http.request`: what is sent, what is answered, and which statuses are a success."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from action_support import FakeContext, NoEgress, certificate_for, local_server, picture, reply

from towpath.steps import ActionFailed
from towpath.steps.catalogue import Catalogue

REQUEST = Catalogue.load().get("http.request")


async def request(context: FakeContext, **values: Any) -> Any:
    """Performs `http.request`."""
    return await REQUEST.perform(values, context)


@pytest.fixture
def context(tmp_path: Path) -> FakeContext:
    """A step with an empty workspace and the real egress."""
    return FakeContext(workspace=tmp_path)


SENT = [
    ({}, "GET", "/a", {"accept": "*/*"}, b""),
    ({"method": "post"}, "POST", "/a", {"content-length": "0"}, b""),
    (
        {"method": "POST", "json": {"a": "ä"}},
        "POST",
        "/a",
        {"content-type": "application/json"},
        '{"a":"ä"}'.encode(),
    ),
    (
        {"method": "POST", "body": "ä"},
        "POST",
        "/a",
        {"content-type": "text/plain; charset=utf-8"},
        "ä".encode(),
    ),
    (
        {"method": "POST", "form": {"a": "b c", "n": [1, True]}},
        "POST",
        "/a",
        {"content-type": "application/x-www-form-urlencoded"},
        b"a=b+c&n=1&n=true",
    ),
    ({"query": {"q": "a&b", "n": [1, 2]}}, "GET", "/a?q=a%26b&n=1&n=2", {}, b""),
    ({"headers": {"X-N": 5}}, "GET", "/a", {"x-n": "5"}, b""),
    ({"headers": {"user-agent": "me"}}, "GET", "/a", {"user-agent": "me"}, b""),
    (
        {"method": "POST", "json": 1, "headers": {"content-type": "application/vnd.x+json"}},
        "POST",
        "/a",
        {"content-type": "application/vnd.x+json"},
        b"1",
    ),
    ({"auth": {"bearer": "t"}}, "GET", "/a", {"authorization": "Bearer t"}, b""),
    (
        {"auth": {"basic": {"username": "ann", "password": "pä"}}},
        "GET",
        "/a",
        {"authorization": "Basic YW5uOnDDpA=="},
        b"",
    ),
    (
        {"method": "POST", "idempotency_header": "Idempotency-Key"},
        "POST",
        "/a",
        {"idempotency-key": "run1/build/1"},
        b"",
    ),
]


@pytest.mark.parametrize(("values", "method", "target", "headers", "body"), SENT)
async def test_the_request_is_what_was_asked_for(
    values: dict[str, Any],
    method: str,
    target: str,
    headers: dict[str, str],
    body: bytes,
    context: FakeContext,
) -> None:
    """Method, query, headers, credentials and body arrive as written."""
    async with local_server(a=reply(200)) as server:
        await request(context, url=server.url("/a"), **values)
        seen = server.seen[0]

        assert (method, target, body) == (seen.method, seen.target, seen.body)
        assert headers == {name: seen.headers[name] for name in headers}


async def test_a_query_is_added_to_the_one_of_the_address(context: FakeContext) -> None:
    """What stands in the address stays."""
    async with local_server(a=reply(200)) as server:
        await request(context, url=server.url("/a?x=1&y="), query={"z": "2"})

        assert server.seen[0].target == "/a?x=1&y=&z=2"


async def test_the_answer_becomes_outputs(context: FakeContext) -> None:
    """Status, headers, text, JSON, size and time; the log has one line, without the query."""
    body = json.dumps({"ok": [1]}).encode()
    async with local_server(
        a=reply(201, body, Content_Type="application/problem+json; charset=utf-8")
    ) as server:
        found = await request(context, url=server.url("/a?token=t"))

        assert (201, {"ok": [1]}, body.decode(), len(body)) == (
            found["status"],
            found["json"],
            found["body"],
            found["bytes"],
        )
        assert isinstance(found["elapsed_ms"], int)
        assert f"GET {server.url('/a')} → 201" in context.lines[0][1]
        assert "token" not in str(context.lines)


@pytest.mark.parametrize(
    ("body", "kind", "text", "value"),
    [
        (b"\xe4", "text/plain; charset=latin-1", "ä", None),
        (b"\xff", "text/plain", "\ufffd", None),
        (b"a", "text/plain; charset=nonsense", "a", None),
        (b"{", "application/json", "{", None),
        (b"[1]", "text/plain", "[1]", None),
        (b"null", "application/json", "null", None),
        (b"[" * 100_000, "application/json", "[" * 100_000, None),
    ],
)
async def test_odd_bodies_are_read_all_the_same(
    body: bytes,
    kind: str,
    text: str,
    value: Any,
    context: FakeContext,
) -> None:
    """Text that is not in its charset and JSON that is none fail nobody."""
    async with local_server(a=reply(200, body, Content_Type=kind)) as server:
        found = await request(context, url=server.url("/a"))

        assert (text, value) == (found["body"], found["json"])


@pytest.mark.parametrize(
    ("status", "expect", "kind"),
    [
        (200, None, None),
        (204, None, None),
        (404, None, "invalid"),
        (401, None, "denied"),
        (409, None, "conflict"),
        (429, None, "unreachable"),
        (500, None, "exit"),
        (503, None, "unreachable"),
        (504, None, "timeout"),
        (404, 404, None),
        (404, [200, "4xx"], None),
        (200, 404, "invalid"),
        (200, "5xx", "invalid"),
    ],
)
async def test_the_status_decides(status: int, expect: Any, kind: str | None, context: FakeContext) -> None:
    """Another status than expected fails with its kind, and all outputs are there for `success_when`."""
    async with local_server(a=reply(status, b"said")) as server:
        values = {"url": server.url("/a"), **({} if expect is None else {"expect": expect})}
        if kind is None:
            assert (await request(context, **values))["status"] == status
            return
        with pytest.raises(ActionFailed) as caught:
            await request(context, **values)

        assert (kind, True, status, "said") == (
            caught.value.kind,
            caught.value.is_complete,
            caught.value.outputs["status"],
            caught.value.outputs["body"],
        )


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({}, "`url` is required"),
        ({"url": "ftp://x"}, "http:// or https://"),
        ({"url": "http://[x"}, "and a name"),
        ({"url": "http://[x", "query": {"a": 1}}, "no address"),
        ({"url": "http://127.0.0.1/", "json": 1, "body": "x"}, "only one of"),
        ({"url": "http://127.0.0.1/", "auth": {}}, "either `basic` or `bearer`"),
        (
            {
                "url": "http://127.0.0.1/",
                "auth": {"bearer": "a", "basic": {"username": "a", "password": "b"}},
            },
            "either",
        ),
        ({"url": "http://127.0.0.1/", "auth": {"bearer": "a"}, "headers": {"authorization": "b"}}, "Both"),
        ({"url": "http://127.0.0.1/", "expect": "ok"}, "no status"),
        ({"url": "http://127.0.0.1/", "expect": [600]}, "no status"),
        ({"url": "http://127.0.0.1/", "timeout": "soon"}, "duration"),
        ({"url": "http://127.0.0.1/", "timeout": 0}, "at least"),
        ({"url": "http://127.0.0.1/", "method": "GET /x HTTP/1.1"}, "no HTTP method"),
        ({"url": "http://127.0.0.1/", "headers": {"a": "b\nc"}}, "line break"),
        ({"url": "http://127.0.0.1/", "header": {}}, "did you mean `headers`"),
    ],
)
async def test_wrong_inputs_send_nothing(values: dict[str, Any], told: str, context: FakeContext) -> None:
    """The failure is `invalid` and says which input."""
    with pytest.raises(ActionFailed) as caught:
        await request(context, **values)

    assert caught.value.kind == "invalid"
    assert told in caught.value.message


async def test_a_body_is_saved_to_a_file(context: FakeContext) -> None:
    """The file holds the body, and the outputs say where it is."""
    async with local_server(a=reply(200, b"x" * 2_000_000)) as server:
        found = await request(context, url=server.url("/a"), save_to="file.bin")

        path = context.workspace / "file.bin"
        assert (str(path), "", 2_000_000) == (found["saved_to"], found["body"], found["bytes"])
        assert path.stat().st_size == 2_000_000


async def test_a_body_that_is_too_large_fails(context: FakeContext) -> None:
    """An output has a limit, which the author may set."""
    async with local_server(a=reply(200, b"x" * 2_000_000)) as server:
        for more in ({}, {"bytes_max": 10}):
            with pytest.raises(ActionFailed, match="larger than"):
                await request(context, url=server.url("/a"), **more)


async def test_the_timeout_is_kept(context: FakeContext) -> None:
    """`timeout` is a duration as everywhere in the language."""

    async def silence(_seen: object, _writer: object) -> None:
        import asyncio

        await asyncio.sleep(20)

    async with local_server(a=silence) as server:
        with pytest.raises(ActionFailed) as caught:
            await request(context, url=server.url("/a"), timeout="100ms")

        assert caught.value.kind == "timeout"


async def test_an_unchecked_certificate_is_said_in_the_log(context: FakeContext, tmp_path: Path) -> None:
    """`verify: false` works and does not go unnoticed; `ca` is the better way."""
    tls, authority = certificate_for("localhost", tmp_path)
    async with local_server(tls, a=reply(200)) as server:
        url = server.url("/a", host="localhost")
        assert (await request(context, url=url, ca=str(authority)))["status"] == 200
        assert [level for level, _ in context.lines] == ["info"]
        assert (await request(context, url=url, verify=False))["status"] == 200
        assert "warning" in [level for level, _ in context.lines]


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({}, True),
        ({"method": "put"}, True),
        ({"method": "POST"}, False),
        ({"method": "PATCH"}, False),
        ({"method": "POST", "idempotency_header": "Idempotency-Key"}, True),
    ],
)
def test_repeating_is_harmless_only_where_http_says_so(values: dict[str, Any], expected: bool) -> None:
    """A POST is not repeated after a crash, unless the server knows the key of the attempt."""
    assert expected == REQUEST.idempotent_with({"url": "http://x/", **values})


async def test_a_rehearsal_sends_nothing(tmp_path: Path) -> None:
    """It shows method, address, names of headers and the body, but no query and no credentials."""
    context = FakeContext(workspace=tmp_path, egress=NoEgress())
    told = await REQUEST.rehearse(
        {
            "url": "http://x.test/a?k=v",
            "method": "POST",
            "json": {"a": 1},
            "auth": {"bearer": "hunter2"},
            "save_to": "f",
        },
        context,
    )

    assert told.summary == "sends POST http://x.test/a"
    assert [("send", "POST http://x.test/a"), ("create", str(tmp_path / "f"))] == [
        (change.verb, change.target) for change in told.changes
    ]
    assert '{"a":1}' in told.changes[0].detail
    assert "hunter2" not in str(told)
    assert "k=v" not in str(told)
    assert picture(tmp_path) == {}
