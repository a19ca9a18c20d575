"""The same commands against a server: what they print, what they do, and what they say when something is wrong."""

from __future__ import annotations

import asyncio
import io
import json
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest
from remote_support import Elsewhere, elsewhere
from server_support import PROJECT, write_project

from conftest import Tow
from towpath.cli import exit_codes
from towpath.cli.remote import servers
from towpath.cli.remote.wire import Wire, check_url, error_of
from towpath.errors import Refused, TowpathError
from towpath.server.shapes import rows
from towpath.store import acts, chain
from towpath.store.contract import EventId, RunNumber

HELLO = """
name: hello
inputs:
  who: {type: string, default: world}
steps:
  - {id: greet, run: 'echo hello $WHO; echo kept > out.txt', env: {WHO: '${{ inputs.who }}'}, artifacts: [out.txt]}
"""
ASKS = """
name: asks
environment: ''
steps:
  - {id: greet, run: echo hello}
  - {id: go_live, approve: Go live?, who: [group:operators]}
"""
WAITS = """
name: waits
steps:
  - {id: go, wait: {signal: go}}
"""
FAILS = """
name: fails
steps:
  - {id: break, run: echo out of order; exit 3}
"""
HOOKED = """
name: hooked
on:
  - webhook: {path: /otter, unsafe_unverified: true}
steps:
  - {id: greet, run: echo hello}
"""
SERVICE = """
  service_accounts: {deployer: {title: The pipeline, owner: "user:ben"}}
"""
WORKFLOWS = {
    "hello": HELLO,
    "asks": ASKS.replace("environment: ''\n", ""),
    "waits": WAITS,
    "fails": FAILS,
    "hooked": HOOKED,
}


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Elsewhere]:
    """One server for all tests of this file."""
    folder = tmp_path_factory.mktemp("there")
    write_project(folder, WORKFLOWS, project=PROJECT + SERVICE)
    with elsewhere(folder) as found:
        yield found


@pytest.fixture
def deciding(served: Elsewhere, monkeypatch: pytest.MonkeyPatch) -> None:
    """The server decides about events as soon as one has arrived."""
    server, tasks = served.server, set()

    def wake(part: str) -> None:
        assert part == "events"
        task = asyncio.get_running_loop().create_task(server.app.decider(server.engine).work())
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    monkeypatch.setattr(server.parts.pulse, "wake", wake)


@pytest.fixture
def there(served: Elsewhere, monkeypatch: pytest.MonkeyPatch, project: Path) -> Elsewhere:
    """The server, to which `tow` talks as Ada; the current folder has nothing to do with it."""
    monkeypatch.setenv("TOW_SERVER", served.url)
    monkeypatch.setenv("TOW_TOKEN", "ada")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(project / "config"))
    return served


def test_the_same_is_printed_here_and_there(
    there: Elsewhere, tow: Tow, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a command shows over HTTP is, letter for letter, what it shows beside the data folder."""
    fine, broken = (str(there.start(workflow)) for workflow in ("hello", "fails"))
    for run in (fine, broken):
        there.ended(RunNumber(int(run)))
    open_one = str(there.start("asks"))
    made = tow("tokens", "create", "ci", "--for", "service:deployer", "--scope", "run.view", "--json")
    tow("tokens", "create", "mine", "--expires", "7d")
    tow("tokens", "revoke", json.loads(made.out)["id"])
    commands = [
        ["ps", "-a", "--json"],
        ["ps", "-s", "failed", "--json"],
        ["show", fine],
        ["show", fine, "--json"],
        ["show", fine, "--timeline"],
        ["show", broken, "--step", "break"],
        ["show", open_one, "--json"],
        ["logs", fine],
        ["logs", broken, "--json"],
        ["logs", fine, "--step", "greet", "--tail", "1", "--raw"],
        ["artifacts", fine],
        ["artifacts", fine, "out.txt", "--out", "-"],
        ["inbox", "--all", "--json"],
        ["audit", "log", "--json"],
        ["audit", "log", fine],
        ["outbox", "--json"],
        ["events", "--json"],
        ["on-call"],
        ["graph", fine],
        ["graph", "hello"],
        ["secrets", "list"],
        ["users"],
        ["users", "list", "--json"],
        ["users", "show", "ben"],
        ["users", "show", "ben", "--json"],
        ["users", "show", "service:deployer"],
        ["users", "show", "nobody"],
        ["tokens"],
        ["tokens", "--all", "--json"],
        ["tokens", "list", "--all", "--for", "service:deployer"],
        ["run", "hello", "-i", "who=you", "--dry-run"],
        ["run", "hello", "--dry-run", "--json"],
        ["run", "hello", "--dry-run", "--no-reads"],
        ["run", "asks", "--dry-run"],
        ["run", "fails", "--dry-run", "--json"],
        ["audit", "verify"],
        ["audit", "verify", "--json"],
        ["trigger", "next"],
        ["show", "7777"],
        ["show", ""],
        ["logs", fine, "--step", "nothing"],
    ]
    over_http = [tow(*words) for words in commands]
    monkeypatch.delenv("TOW_SERVER")
    here = [tow("--project", str(there.folder), *words) for words in commands]

    assert list(zip(commands, over_http, strict=True)) == list(zip(commands, here, strict=True))


def test_a_run_is_started_and_watched_to_its_end(there: Elsewhere, tow: Tow) -> None:
    """`tow run NAME` has the server run it, prints what happens, and tells by its code how it ended."""
    fine = tow("run", "hello", "-i", "who=you", "--plain")
    facts = tow("run", "hello", "--json")
    broken = tow("run", "fails", "--plain")
    with there.app() as app:
        by = {row.started_by for row in app.reader.runs()}

    assert (fine.code, broken.code) == (exit_codes.OK, exit_codes.FAILED)
    assert "hello you" in fine.out
    assert "out of order" in broken.out
    assert json.loads(facts.out.splitlines()[0])["event"] == "run_accepted"
    assert by == {"user:ada"}


@pytest.mark.parametrize(
    ("workflow", "words", "name", "status"),
    [
        ("waits", ("signal", "RUN", "go"), "ben", "succeeded"),
        ("waits", ("cancel", "RUN"), "ben", "cancelled"),
        ("asks", ("approve", "RUN", "--yes", "--comment", "fine"), "ben", "succeeded"),
        ("asks", ("reject", "RUN", "--yes", "--comment", "no"), "ben", "rejected"),
        ("asks", ("claim", "RUN"), "ben", ""),
        ("asks", ("comment", "RUN", "look at it"), "ben", ""),
        ("asks", ("hand-over", "RUN", "--to", "ada"), "ben", ""),
    ],
    ids=lambda value: value[0] if isinstance(value, tuple) else "",
)
def test_acts_are_those_of_whose_token_it_is(
    there: Elsewhere,
    tow: Tow,
    monkeypatch: pytest.MonkeyPatch,
    workflow: str,
    words: tuple[str, ...],
    name: str,
    status: str,
) -> None:
    """What is said over HTTP is said by the owner of the token, and is durable when the command comes back."""
    run = there.start(workflow)
    monkeypatch.setenv("TOW_TOKEN", name)
    said = tow(*(str(run) if word == "RUN" else word for word in words))
    ended = there.ended(run) if status else ""
    with there.app() as app:
        told = [repr(fact) for _, fact in app.events(app.reader.run(run))]

    assert said.code == exit_codes.OK, said.err
    assert ended == status
    assert f"user:{name}" in "".join(told[1:])


@pytest.mark.parametrize("verb", ["retry", "rerun"])
def test_an_ended_run_goes_on_as_a_new_one(there: Elsewhere, tow: Tow, verb: str) -> None:
    """`tow retry` and `tow rerun` start a run that is linked to the old one, and follow it."""
    old = there.start("fails")
    there.ended(old)
    said = tow(verb, str(old), "--plain")
    with there.app() as app:
        row = app.reader.run("last")

    assert said.code == exit_codes.FAILED
    assert (row.number, row.origin, row.origin_reason, row.started_by) == (old + 1, old, verb, "user:ada")


def test_secrets_go_to_the_server_and_do_not_come_back(
    there: Elsewhere, tow: Tow, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A secret is kept in the server's store; its name is listed, its value by nobody."""
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"hush-hush\n")))
    kept = tow("secrets", "set", "TOKEN")
    listed = tow("secrets", "list", "--json")
    value = there.server.app.sealed_secrets.get("TOKEN")
    removed = tow("secrets", "rm", "TOKEN")

    assert (kept.code, listed.code, removed.code) == (0, 0, 0)
    assert value == "hush-hush"
    assert "hush-hush" not in kept.out + listed.out
    assert json.loads(listed.out)["name"] == "TOKEN"
    assert there.server.app.sealed_secrets.list() == ()


@pytest.mark.parametrize("words", [(), ("--json",)])
def test_a_broken_record_is_told_over_http_as_it_is_here(
    there: Elsewhere, tow: Tow, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...]
) -> None:
    """Where the record does not hold, the command says so with the same words and the same code."""
    verdict = chain.Verdict(
        runs=1,
        records=2,
        unlinked=3,
        forgotten=4,
        breaks=(
            chain.Break(kind="changed", run=1, sequence=2, at=1_700_000_000_123_000, text="it was changed"),
            chain.Break(kind="missing", run=2, text="it is gone"),
        ),
        breaks_more=1_234,
        anchor=None,
    )
    broken = acts.ActBreak(
        kind="missing", act=3, noticed_at=5, at=1_700_000_000_456_000, text="an act is gone"
    )
    about_people = acts.ActsVerdict(acts=9, breaks=(broken,), breaks_more=2)
    monkeypatch.setattr(chain, "verify", lambda *_: verdict)
    for place in ("towpath.server.api.audit.verify_acts", "towpath.store.acts.verify_acts"):
        monkeypatch.setattr(place, lambda *_: about_people)
    over_http = tow("audit", "verify", *words)
    monkeypatch.delenv("TOW_SERVER")
    here = tow("--project", str(there.folder), "audit", "verify", *words)

    assert over_http == here
    assert over_http.code == exit_codes.FAILED
    assert "it was changed" in over_http.out


def test_a_plan_of_the_server_holds_a_start_to_it(there: Elsewhere, tow: Tow) -> None:
    """A plan is rehearsed by the server and kept here; a start with it runs there, and a plan of something else starts nothing."""
    saved = tow("run", "hello", "-i", "who=you", "--dry-run", "--save", "plan.json")
    started = tow("run", "--plan", "plan.json", "--plain")
    told = json.loads(Path("plan.json").read_text())
    Path("plan.json").write_text(json.dumps({**told, "digest": "another", "text": "another"}))
    refused = tow("run", "--plan", "plan.json", "--plain")
    with there.app() as app:
        last = app.reader.run("last")

    assert saved.code == exit_codes.OK, saved.err
    assert started.code == exit_codes.OK, started.err
    assert "hello you" in started.out
    assert f"#{last.number}" in started.out or f"run {last.number}" in started.out + started.err
    assert (refused.code, "out of date" in refused.err) == (exit_codes.REFUSED, True)


@pytest.mark.usefixtures("deciding")
def test_events_are_handed_in_and_replayed_over_http(
    there: Elsewhere, tow: Tow, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server decides what an event starts, the run is watched here, and a replay starts nothing twice."""
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b'{"x": 1}')))
    added = tow("events", "add", "-", "--source", "webhook/otter", "--plain")
    event = added.out.split()[1]
    replayed = tow("events", "replay", event, "--plain")
    as_json = tow("events", "replay", event, "--json")
    with there.app() as app:
        runs = [row for row in app.reader.runs() if row.workflow == "hooked"]
        headers = app.store.events.event(EventId(int(event))).headers

    assert added.code == exit_codes.OK, added.err
    assert f"run {runs[0].number} started" in added.out
    assert "succeeded" in added.out
    assert headers["handed-in-by"] == "user:ada"
    assert replayed.code == exit_codes.OK, replayed.err
    assert f"run {runs[0].number} had started before" in replayed.out
    assert json.loads(as_json.out)["reactions"][0]["existing"] is True
    assert len(runs) == 1


@pytest.mark.usefixtures("deciding")
def test_the_same_delivery_is_handed_in_once_over_http(there: Elsewhere, tow: Tow) -> None:
    """What the sender's own id tells is the same event is not taken in again, and nothing is watched."""
    assert there.url
    Path("push.json").write_text('{"ref": "refs/heads/main", "repository": {"full_name": "a/b"}}')
    words = ["--header", "X-GitHub-Event=push", "--header", "X-GitHub-Delivery=d1"]
    first, second = (tow("events", "add", "push.json", "--source", "github", *words) for _ in range(2))
    kept = tow("events", "add", "push.json", "--source", "github", *words, "--no-run")

    assert [said.code for said in (first, second, kept)] == [exit_codes.OK] * 3, first.err
    assert "was here already" not in first.out
    assert "was here already" in second.out
    assert len(kept.out.splitlines()) == 1


def test_tokens_are_made_and_made_void_over_http(there: Elsewhere, tow: Tow) -> None:
    """A token is printed this once, acts for whom it was made, and is void when that is said, by its id or by itself."""
    plain = tow("tokens", "create", "ci", "--expires", "7d")
    told = json.loads(
        tow("tokens", "create", "deploy", "--for", "service:deployer", "--scope", "run.*", "--json").out
    )
    valid = tow("tokens", "list", "--json").out
    by_itself = tow("tokens", "revoke", plain.out.strip())
    by_its_id = [tow("tokens", "revoke", told["id"]) for _ in range(2)]

    assert plain.out.startswith("tow_")
    assert "for user:ada, valid for 7d;" in plain.err
    assert (told["owner"], told["scope"], told["made_by"]) == ("service:deployer", ["run.*"], "user:ada")
    assert told["id"] in valid
    assert told["token"] not in valid
    assert by_itself.code == exit_codes.OK, by_itself.err
    assert [said.out.strip().removeprefix(f"the token {told['id']} ") for said in by_its_id] == [
        "is void",
        "was void already",
    ]
    with there.app() as app:
        assert all(row.revoked_at for row in app.store.identities.tokens() if row.name in ("ci", "deploy"))


def test_tokens_of_others_are_listed_for_those_who_may_see_them(
    there: Elsewhere, tow: Tow, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who may not manage tokens sees their own, and those of the service accounts that they answer for."""
    assert there.url
    tow("tokens", "create", "of-ada")
    tow("tokens", "create", "of-the-service", "--for", "service:deployer")
    monkeypatch.setenv("TOW_TOKEN", "ben")
    tow("tokens", "create", "of-ben")
    listed = {json.loads(line)["name"] for line in tow("tokens", "--json").out.splitlines()}

    assert {"of-ben", "of-the-service"} <= listed
    assert "of-ada" not in listed


def test_people_are_shut_out_and_let_in_over_http(there: Elsewhere, tow: Tow) -> None:
    """`tow users disable`, `enable` and `link` say what became of it, as they do beside the data folder."""
    said = [tow("users", verb, "cy").out.strip() for verb in ("disable", "disable", "enable", "enable")]
    link = tow("users", "link", "cy", "--expires", "2h")

    assert said == ["cy is disabled", "cy was disabled already", "cy is let in again", "cy was not disabled"]
    assert link.out.startswith(f"{there.url}/login?link=")
    assert "works once, for 2h; for nobody but cy" in link.err
    with there.app() as app:
        done = [
            (one.by, one.did) for one in app.store.identities.acts(rows_max=100) if one.about == "user:cy"
        ]
    assert set(done) == {
        ("user:ada", "disabled a user"),
        ("user:ada", "enabled a user"),
        ("user:ada", "made a login link"),
    }


def test_a_user_is_added_over_http(
    tow: Tow, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """In a project that does not name its people, `tow users add` makes one on the server."""
    folder = tmp_path_factory.mktemp("open")
    write_project(folder, {"hello": HELLO}, project="access: {grants: [{role: admin, to: ['user:ada']}]}\n")
    monkeypatch.setenv("TOW_TOKEN", "ada")
    with elsewhere(folder) as found:
        monkeypatch.setenv("TOW_SERVER", found.url)
        made = tow("users", "add", "dora", "--title", "Dora", "--email", "dora@example.org")
        again = tow("users", "add", "dora")
        listed = tow("users")

    assert made.out.strip() == "dora is a user; tow users link dora lets them in"
    assert (again.code, "there is a user dora already" in again.err) == (exit_codes.REFUSED, True)
    assert "dora@example.org" in listed.out


@pytest.mark.parametrize(
    ("words", "token", "code", "text"),
    [
        (("ps",), "", exit_codes.REFUSED, "tow login"),
        (("ps",), "nobody", exit_codes.REFUSED, "may not"),
        (("secrets", "list"), "vic", exit_codes.REFUSED, "may not"),
        (("cancel", "RUN"), "vic", exit_codes.REFUSED, "run.cancel"),
        (("approve", "RUN", "--yes", "--as", "ben"), "ada", exit_codes.REFUSED, "you are user:ada"),
        (("show", "9999"), "ada", exit_codes.NOT_FOUND, "no run '9999'"),
        (("run", "nothing"), "ada", exit_codes.NOT_FOUND, "no workflow 'nothing'"),
        (("run", "hello", "-i", "when=now"), "ada", exit_codes.USAGE, "`when` is not an input"),
        (("run", "local.yaml"), "ada", exit_codes.REFUSED, "without --server"),
        (("run", "local.yaml", "--dry-run"), "ada", exit_codes.REFUSED, "without --server"),
        (("run", "hello", "--dry-run", "-i", "when=now"), "ada", exit_codes.USAGE, "`when` is not an input"),
        (("run", "hello", "--dry-run"), "vic", exit_codes.REFUSED, "run.start"),
        (("audit", "verify"), "nobody", exit_codes.REFUSED, "may not"),
        (("audit", "verify", "--anchor", "x"), "ada", exit_codes.REFUSED, "anchor"),
        (("tokens", "create", "x", "--for", "ben"), "ada", exit_codes.REFUSED, "is made by user:ben alone"),
        (("tokens", "create", "x", "--scope", "run.nothing"), "ada", exit_codes.REFUSED, "no permission"),
        (("tokens", "create", "x", "--expires", "900d"), "ada", exit_codes.REFUSED, "at most 366 days"),
        (("tokens", "revoke", "nothing"), "ada", exit_codes.NOT_FOUND, "no such token"),
        (("users", "disable", "ben"), "vic", exit_codes.REFUSED, "user.manage"),
        (("users", "disable", "nobody"), "ada", exit_codes.NOT_FOUND, "nobody is known as"),
        (("users", "add", "dora"), "ada", exit_codes.REFUSED, "towpath.yaml names the people"),
        (("users", "link", "ben", "--as", "ben"), "ada", exit_codes.REFUSED, "you are user:ada"),
        (("events", "replay", "7777"), "ada", exit_codes.NOT_FOUND, "7777"),
        (("events", "replay", "x"), "ada", exit_codes.USAGE, "an event has a number"),
        (("events", "add", "nothing", "--source", "github"), "ada", exit_codes.REFUSED, "cannot be read"),
        (("events", "add", "local.yaml", "--source", "nothing"), "ada", exit_codes.NOT_FOUND, "no source"),
        (("events", "add", "local.yaml", "--source", "github"), "vic", exit_codes.REFUSED, "event.add"),
        (("gc",), "ada", exit_codes.REFUSED, "on the server's own machine"),
        (("up",), "ada", exit_codes.REFUSED, "on the server's own machine"),
    ],
)
def test_what_is_wrong_is_said_with_what_to_do(
    there: Elsewhere,
    tow: Tow,
    monkeypatch: pytest.MonkeyPatch,
    words: tuple[str, ...],
    token: str,
    code: int,
    text: str,
) -> None:
    """A refusal of the server is told as one of this machine would be: a sentence, what to try, and the same code."""
    Path("local.yaml").write_text(HELLO)
    run = str(there.start("waits"))
    monkeypatch.setenv("TOW_TOKEN", token)
    said = tow(*(run if word == "RUN" else word for word in words))

    assert said.code == code, said.err
    assert text in said.err


def test_a_server_that_is_away_is_said_to_be_away(tow: Tow, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody who answers is another code than a refusal."""
    monkeypatch.setenv("TOW_TOKEN", "ada")
    said = tow("--server", "http://127.0.0.1:9", "ps")

    assert said.code == exit_codes.UNAVAILABLE
    assert "does not answer" in said.err


def test_another_version_is_said_to_be_another_version(
    there: Elsewhere, tow: Tow, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server whose rows are of another version is not misunderstood."""
    encode = rows.encode

    def of_tomorrow(value: object) -> bytes:
        newer = rows.Hello(protocol=99, version="9.9", name="user:ada", now=1)
        return encode(newer if isinstance(value, rows.Hello) else value)

    monkeypatch.setattr(rows, "encode", of_tomorrow)
    said = tow("ps")

    assert there.url in said.err
    assert said.code == exit_codes.REFUSED
    assert "install towpath==9.9" in said.err


def test_files_are_worked_on_here_whatever_server_is_named(tow: Tow, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is about files that lie here does not ask a server."""
    Path("workflows/local.yaml").write_text(HELLO.replace("hello", "local"))
    monkeypatch.setenv("TOW_SERVER", "http://127.0.0.1:9")
    said = tow("lint", "workflows/local.yaml")

    assert said.code == exit_codes.OK


def test_a_login_is_kept_for_this_user_alone(
    there: Elsewhere, tow: Tow, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A token is tried before it is kept; the file is private, is used from then on, and forgets on demand."""
    monkeypatch.delenv("TOW_TOKEN")
    monkeypatch.setattr("sys.stdin", io.StringIO(""))
    empty = tow("login", there.url)
    monkeypatch.setattr("sys.stdin", io.StringIO("ben\n"))
    said = tow("login", there.url)
    file = servers.servers_file()
    mode = stat.S_IMODE(file.stat().st_mode)
    used = tow("ps")
    file.chmod(0o644)
    open_to_others = tow("ps")
    file.chmod(0o600)
    forgotten = tow("logout", there.url)
    after = tow("ps")

    assert empty.code == exit_codes.REFUSED
    assert "you are user:ben" in said.out
    assert mode == 0o600
    assert [used.code, open_to_others.code, forgotten.code, after.code] == [
        0,
        exit_codes.REFUSED,
        0,
        exit_codes.REFUSED,
    ]
    assert "chmod 600" in open_to_others.err


@pytest.mark.parametrize(
    "url",
    [
        "http://tow.example.org",
        "ftp://tow.example.org",
        "https://ada:secret@tow.example.org",
        "https://",
        "x?y=1",
    ],
)
def test_a_token_is_not_sent_just_anywhere(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """An address that would carry the token in the open, or is none, is refused before anything is sent."""
    monkeypatch.delenv("TOW_UNSAFE_PLAIN_HTTP", raising=False)

    with pytest.raises(Refused):
        Wire(url, "token")


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("tow.example.org", "https://tow.example.org"),
        ("https://tow.example.org/ops/", "https://tow.example.org/ops"),
        ("http://localhost:8420", "http://localhost:8420"),
        ("http://[::1]:8420/", "http://[::1]:8420"),
    ],
)
def test_an_address_is_written_in_one_way(given: str, expected: str) -> None:
    """However an address is typed, its token is found."""
    assert check_url(given) == expected


@pytest.mark.parametrize("status", [400, 401, 403, 404, 409, 413, 422, 429, 500, 503])
@pytest.mark.parametrize("problem", [{}, {"title": "t", "detail": "what", "help": "try"}])
def test_every_refusal_becomes_an_error_that_people_can_read(status: int, problem: dict[str, str]) -> None:
    """Whatever a server, or a proxy before it, answers: it is told in a sentence, with what to do."""
    error = error_of(status, problem, "https://tow.example.org")

    assert isinstance(error, TowpathError)
    assert error.message
    assert error.help
