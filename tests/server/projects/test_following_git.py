"""A project that is followed in Git: what loads is taken as a whole, what does not is told, and runs keep what they began with."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from repositories import BROKEN, Upstream, greet

from towpath.app import App, build
from towpath.core import stimuli
from towpath.definition.problems import render_text
from towpath.editions import repository
from towpath.engines.embedded import EmbeddedEngine
from towpath.errors import Refused, TowpathError
from towpath.server.projects import Following, Looks, begin
from towpath.server.projects.keeping import needed_commits
from towpath.settings import Settings

CALLS = """
name: greet
steps:
  - {id: hold, wait: {signal: go}}
  - {id: read, run: cat word.txt}
  - {id: call, workflow: inner}
"""
INNER = """
name: inner
steps:
  - {id: tell, run: 'true'}
outputs: {word: %s}
"""


@pytest.fixture
def upstream(tmp_path: Path) -> Upstream:
    """A repository with one workflow."""
    made = Upstream(tmp_path / "git")
    made.commit({"workflows/greet.yaml": greet("one")}, message="Begin")
    return made


@contextlib.contextmanager
def served(tmp_path: Path, upstream: Upstream) -> Iterator[tuple[App, Looks]]:
    """An app that follows the repository."""
    here = tmp_path / "here"
    here.mkdir(exist_ok=True)
    app = build(Settings(project=here, data=tmp_path / "data", user="ada"))
    following = Following(url=str(upstream.bare))
    try:
        begin(app, following)
        yield app, Looks(app)
    finally:
        app.close()


async def said(app: App, engine: EmbeddedEngine, name: str = "greet") -> tuple[str, str]:
    """What a run of the workflow prints, and the commit to which it belongs."""
    request = app.request(app.find(name), {})
    number = (await engine.start(request)).number
    run = await engine.until_ended(number)
    return str(run.nodes["say"].outputs["stdout"]), run.commit


def look(looks: Looks) -> str:
    """Looks at the repository now; gives what is wrong."""
    looks.look_now(hurry=True)
    return looks.what_is_wrong()


async def test_a_commit_that_does_not_load_never_replaces_the_one_that_does(
    tmp_path: Path, upstream: Upstream
) -> None:
    """Starts use the old text while a broken commit stands; the error is told with its caret; a good commit heals it."""
    with served(tmp_path, upstream) as (app, looks):
        async with app.engine("test") as engine:
            first = upstream.git("rev-parse", "HEAD").strip()
            assert await said(app, engine) == ("one", first)

            broken = upstream.commit(
                {"workflows/greet.yaml": BROKEN}, author="ben@example.org", message="Oops"
            )
            told = look(looks)

            assert told == (
                f"commit {broken[:12]}: workflows/greet.yaml:4:32: a `run` step has no `retries`; what was there before goes on"
            )
            assert app.keeper is not None
            assert "^^^^^^^" in render_text(app.keeper.state.problems)
            assert await said(app, engine) == ("one", first)
            assert (app.keeper.state.commit, app.keeper.state.broken_commit) == (first, broken)
            standing = app.store.versions.standing("greet")
            assert [
                (row.state, row.commit, row.author, row.message)
                for row in (standing.current, standing.next)
                if row is not None
            ] == [
                ("current", first, "ada@example.org", "Begin"),
                ("broken", broken, "ben@example.org", "Oops"),
            ]

            good = upstream.commit({"workflows/greet.yaml": greet("two")}, message="Mend")
            assert look(looks) == ""
            assert await said(app, engine) == ("two", good)
            assert [row.state for row in app.store.versions.versions("greet")] == [
                "current",
                "broken",
                "former",
            ]


async def test_a_run_keeps_its_commit(tmp_path: Path, upstream: Upstream) -> None:
    """Steps of a run work in the folder of its commit, and what it calls is of that commit, whatever is pushed meanwhile."""
    first = upstream.commit(
        {
            "workflows/greet.yaml": CALLS,
            "workflows/inner.yaml": INNER % "one",
            "word.txt": "one\n",
        }
    )
    with served(tmp_path, upstream) as (app, looks):
        async with app.engine("test") as engine:
            number = (await engine.start(app.request(app.find("greet"), {}))).number
            second = upstream.commit({"workflows/inner.yaml": INNER % "two", "word.txt": "two\n"})
            assert look(looks) == ""
            needed = needed_commits(app)
            await engine.tell(
                number, stimuli.Signalled(at=app.now(), kind="signal", name="go", by="user:ada")
            )
            run = await engine.until_ended(number)
            again = await engine.start(app.continued(app.reader.run(number), "rerun"))
            await engine.tell(
                again.number, stimuli.Signalled(at=app.now(), kind="signal", name="go", by="user:ada")
            )
            repeated = await engine.until_ended(again.number)

            assert (run.commit, repeated.commit) == (first, first)
            assert needed == frozenset({first})
            assert str(run.nodes["read"].outputs["stdout"]) == "one"
            assert str(repeated.nodes["read"].outputs["stdout"]) == "one"
            assert run.nodes["call"].outputs["word"] == "one"
            assert app.edition is not None
            assert app.edition.commit == second


def test_folders_go_when_no_open_run_needs_them(
    tmp_path: Path, upstream: Upstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The folder of the commit that runs take stays, and so does one that is needed; others go, and come back when they are asked for."""
    monkeypatch.setattr(repository, "UNUSED_SECONDS", -1.0)
    first = upstream.git("rev-parse", "HEAD").strip()
    with served(tmp_path, upstream) as (app, looks):
        second = upstream.commit({"workflows/greet.yaml": greet("two")})
        look(looks)
        third = upstream.commit({"workflows/greet.yaml": greet("three")})
        look(looks)
        assert app.keeper is not None

        app.keeper.tidy(frozenset({second}))

        assert {commit for commit, _ in app.checkouts.existing()} == {second, third}
        assert (app.folder_at(first) / "workflows" / "greet.yaml").read_text() == greet("one")


async def test_what_was_current_is_current_after_a_restart(tmp_path: Path, upstream: Upstream) -> None:
    """A new process goes on with the last commit that loads, with a broken one before it and without the repository."""
    first = upstream.git("rev-parse", "HEAD").strip()
    with served(tmp_path, upstream) as (app, looks):
        broken = upstream.commit({"workflows/greet.yaml": BROKEN})
        look(looks)
    upstream.commit({"workflows/greet.yaml": greet("two")}, push=False)
    with served(tmp_path, upstream) as (app, looks):
        before = app.store.versions.commits()
        assert looks.what_is_wrong().startswith(f"commit {broken[:12]}: workflows/greet.yaml:4:32: ")
        assert [(one.name, one.samples[-1].value) for one in looks.measures()] == [
            ("towpath_project_problems", 1),
            ("towpath_versions", 1),
        ]
        moved = upstream.bare.rename(tmp_path / "away.git")
        told = look(looks)
        async with app.engine("test") as engine:
            assert await said(app, engine) == ("one", first)
        assert "cannot be read" in told
        assert [(row.commit, row.state) for row in before] == [(broken, "broken"), (first, "current")]
        moved.rename(upstream.bare)
        upstream.push()

        assert look(looks) == ""
        assert [row.state for row in app.store.versions.commits()] == ["current", "broken", "former"]


async def test_a_branch_that_is_rewritten_or_removed(tmp_path: Path, upstream: Upstream) -> None:
    """A forced push is taken like any other; without the branch the commit before goes on, and it is told."""
    with served(tmp_path, upstream) as (app, looks):
        upstream.git("commit", "--quiet", "--amend", "--allow-empty", "-m", "Another history")
        rewritten = upstream.commit({"workflows/greet.yaml": greet("other")})
        assert look(looks) == ""
        upstream.git("update-ref", "-d", "refs/heads/main", cwd=upstream.bare)

        told = look(looks)

        async with app.engine("test") as engine:
            assert await said(app, engine) == ("other", rewritten)
        assert "has no branch or tag main" in told


@pytest.mark.parametrize(
    ("target", "is_taken"),
    [("../../../../etc/passwd", False), ("/etc/passwd", False), ("hop/..", False), ("real.txt", True)],
)
def test_a_link_that_leads_out_is_not_taken(
    tmp_path: Path, upstream: Upstream, target: str, is_taken: bool
) -> None:
    """A commit with a link out of its folder, be it through another link, never becomes the project."""
    (upstream.work / "deep").mkdir()
    (upstream.work / "real.txt").write_text("real")
    (upstream.work / "deep" / "hop").symlink_to("..")
    (upstream.work / "deep" / "link").symlink_to(target if target != "real.txt" else "../real.txt")
    with served(tmp_path, upstream) as (app, looks):
        commit = upstream.commit({"workflows/greet.yaml": greet("linked")})

        told = look(looks)

        assert ("leads out of the project" in told) is not is_taken
        assert app.keeper is not None
        assert (app.keeper.state.commit == commit) is is_taken


def test_nothing_of_the_repository_is_run(tmp_path: Path, upstream: Upstream) -> None:
    """Hooks, filters and submodules that a commit brings do nothing, and there is no repository in a commit's folder."""
    marker = tmp_path / "ran"
    (upstream.work / ".githooks").mkdir()
    hook = upstream.work / ".githooks" / "post-checkout"
    hook.write_text(f"#!/bin/sh\ntouch {marker}\n")
    hook.chmod(0o755)
    upstream.commit(
        {
            ".gitattributes": "* filter=evil\n",
            ".gitmodules": f'[submodule "x"]\n\tpath = x\n\turl = {upstream.bare}\n\tupdate = !touch {marker}\n',
            ".gitconfig": f'[filter "evil"]\n\tsmudge = touch {marker}\n[core]\n\thooksPath = .githooks\n',
        }
    )
    with served(tmp_path, upstream) as (app, _):
        assert app.edition is not None
        folder = app.folder_at(app.edition.commit)

        assert not marker.exists()
        assert not (folder / ".git").exists()
        assert (folder / "workflows" / "greet.yaml").is_file()


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://ada:hush@git.example.org/ops.git", "https://…@git.example.org/ops.git"),
        ("https://hush@git.example.org/ops.git?token=hush", "https://…@git.example.org/ops.git"),
        ("ssh://git@git.example.org/ops.git", "ssh://git@git.example.org/ops.git"),
        ("ssh://git:hush@git.example.org/ops.git", "ssh://…@git.example.org/ops.git"),
    ],
)
def test_a_password_in_an_address_is_told_to_nobody(url: str, shown: str) -> None:
    """People see where a project comes from, and not who we are there."""
    assert repository.shown_url(url) == shown


@pytest.mark.parametrize("url", ["ext::sh -c id", "--upload-pack=id", "ftp://example.org/x", "", "a\nb"])
def test_an_address_that_could_run_something_is_refused(url: str) -> None:
    """Transports that run programs, options and unprintable characters are no addresses."""
    with pytest.raises(Refused):
        repository.check_url(url)


@pytest.mark.parametrize("ref", ["-x", "a..b", "a b", "refs/heads/", "a:b", "", "x" * 300])
def test_a_name_that_is_no_branch_is_refused(ref: str) -> None:
    """What Git would take for something else never reaches it."""
    with pytest.raises(Refused):
        repository.check_ref(ref)


def test_an_address_that_never_answers_stops_the_start(tmp_path: Path) -> None:
    """Where nothing was ever read there is nothing to go on with, and the password in the address is not told."""
    app = build(Settings(project=tmp_path, data=tmp_path / "data", user="ada"))
    try:
        with pytest.raises(TowpathError) as raised:
            begin(app, Following(url="http://ada:hush@127.0.0.1:9/ops.git"))
    finally:
        app.close()

    assert "hush" not in str(raised.value)
    assert "127.0.0.1:9/ops.git" in str(raised.value)
