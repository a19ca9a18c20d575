"""The host of a repository is told whether a commit loads; a fake of each refuses what the real one refuses."""

from __future__ import annotations

import contextlib
import http.server
import json
import re
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal
from urllib.parse import unquote

import pytest
from repositories import BROKEN, Upstream, greet

from towpath.app import App, build
from towpath.definition.problems import make_problem
from towpath.definition.project import CommitStatus
from towpath.editions import commit_status
from towpath.editions.commit_status import CommitStatuses
from towpath.server.projects import Following, begin
from towpath.settings import Settings
from towpath.steps.egress import GuardedEgress

Host = Literal["github", "gitlab", "gitea"]
TOKEN = "s3cret-token"
NOW = 1_800_000_000_000_000


class FakeHost:
    """GitHub, GitLab or Gitea, as far as a status on a commit goes."""

    def __init__(self, host: Host) -> None:
        self.host = host
        self.commits: set[str] = set()
        self.statuses: list[tuple[str, str, str]] = []
        """Commit, state and description."""
        self.down = 0
        """How many requests are answered with 502 first."""

    def answer(self, path: str, headers: dict[str, str], body: dict[str, Any]) -> tuple[int, str]:
        """What the real one answers."""
        if self.down:
            self.down -= 1
            return 502, "bad gateway"
        given = {
            "github": headers.get("authorization", "").removeprefix("Bearer "),
            "gitea": headers.get("authorization", "").removeprefix("token "),
            "gitlab": headers.get("private-token", ""),
        }[self.host]
        if given != TOKEN:
            return 401, '{"message":"Bad credentials"}'
        form = r"/projects/([^/]+)/statuses/(\w+)" if self.host == "gitlab" else r"/repos/(.+)/statuses/(\w+)"
        found = re.fullmatch(form, path)
        if found is None or unquote(found[1]) != "acme/ops":
            return 404, '{"message":"Not Found"}'
        return self._take(found[2], body)

    def _take(self, commit: str, body: dict[str, Any]) -> tuple[int, str]:
        states = ("failed", "success") if self.host == "gitlab" else ("failure", "success")
        name = body.get("name" if self.host == "gitlab" else "context")
        if commit not in self.commits:
            return (
                404 if self.host == "gitlab" else 422
            ), f'{{"message":"No commit found for SHA: {commit}"}}'
        if body["state"] not in states or name != "towpath" or len(body["description"]) > 140:
            return 422, '{"message":"Validation Failed"}'
        if self.host == "gitlab" and (commit, body["state"]) in {one[:2] for one in self.statuses}:
            return 400, '{"message":"Cannot transition status via :run from :success"}'
        self.statuses.append((commit, body["state"], body["description"]))
        return 201, "{}"


@contextlib.contextmanager
def serving(fake: FakeHost) -> Iterator[str]:
    """The fake on a free port; gives its address."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["content-length"])))
            headers = {name.lower(): value for name, value in self.headers.items()}
            status, text = fake.answer(self.path, headers, body)
            self.send_response(status)
            self.send_header("content-length", str(len(text.encode())))
            self.end_headers()
            self.wfile.write(text.encode())

        def log_message(self, *_: object) -> None:
            """Says nothing."""

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@contextlib.contextmanager
def followed(tmp_path: Path, upstream: Upstream) -> Iterator[App]:
    """An app that follows a repository."""
    here = tmp_path / "here"
    here.mkdir()
    app = build(Settings(project=here, data=tmp_path / "data", user="ada"))
    try:
        begin(app, Following(url=str(upstream.bare)))
        yield app
    finally:
        app.close()


def statuses(app: App, host: Host, url: str, *, token: str = TOKEN) -> CommitStatuses:
    """What tells the fake."""
    settings = CommitStatus(host=host, repository="acme/ops", token="host_token", url=url)
    return CommitStatuses(
        app.store.versions, GuardedEgress(), settings=lambda: settings, secret=lambda _: token, link=""
    )


@pytest.mark.parametrize("host", ["github", "gitlab", "gitea"])
async def test_a_commit_gets_the_status_that_it_deserves(tmp_path: Path, host: Host) -> None:
    """A commit that loads is told as a success, one that does not with its first error; a host that is away is asked again; once each."""
    upstream = Upstream(tmp_path / "git")
    fake = FakeHost(host)
    fake.down = 1
    good = upstream.commit({"workflows/greet.yaml": greet("one")})
    with followed(tmp_path, upstream) as app, serving(fake) as url:
        bad = upstream.commit({"workflows/greet.yaml": BROKEN})
        assert app.keeper is not None
        app.keeper.look()
        fake.commits |= {good, bad}
        told = statuses(app, host, url)

        first = [await told.tell(NOW) for _ in range(2)]
        later = NOW + round(commit_status.AGAIN_SECONDS_MAX * 1_000_000)
        second = [await told.tell(later) for _ in range(2)]

        broken = "failed" if host == "gitlab" else "failure"
        why = "workflows/greet.yaml:4:32: a `run` step has no `retries`"
        assert (first, second) == ([1, 0], [1, 0])
        assert sorted(fake.statuses) == sorted([(good, "success", "The project loads."), (bad, broken, why)])
        assert [row.told for row in app.store.versions.commits()] == ["failure", "success"]


@pytest.mark.parametrize(
    ("token", "known", "expected"),
    [("wrong", True, "401: "), (TOKEN, False, "422: ")],
)
async def test_a_host_that_says_no_is_not_asked_again(
    tmp_path: Path, token: str, known: bool, expected: str
) -> None:
    """A wrong token and an unknown commit are given up at once; why stands with the commit, and the token nowhere."""
    upstream = Upstream(tmp_path / "git")
    commit = upstream.commit({"workflows/greet.yaml": greet("one")})
    fake = FakeHost("github")
    fake.commits = {commit} if known else set()
    with followed(tmp_path, upstream) as app, serving(fake) as url:
        told = await statuses(app, "github", url, token=token).tell(NOW)
        row = app.store.versions.commits()[0]

        assert (told, row.told) == (0, commit_status.GIVEN_UP)
        assert row.told_error.startswith(expected)
        assert token not in row.told_error
        assert app.store.versions.untold(NOW * 2, rows_max=10) == ()


def test_a_description_is_as_long_as_it_may_be() -> None:
    """A long error is cut, and how many more there are is still told."""
    one = make_problem("unknown-key", "x" * 500, path="workflows/a.yaml", line=3)

    text = commit_status.description_of((one, one))

    assert len(text) == commit_status.DESCRIPTION_CHARS_MAX
    assert text.startswith("workflows/a.yaml:3:1: xxx")
    assert text.endswith("… (and 1 more)")
