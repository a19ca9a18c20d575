"""A project that is followed in Git: what loads is taken as a whole, what does not is told, and runs keep what they began with."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from repositories import BROKEN, Upstream, greet

from towpath.app import App, build
from towpath.definition.problems import render_text
from towpath.engines.embedded import EmbeddedEngine
from towpath.server.projects import Following, Looks, begin
from towpath.settings import Settings


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
