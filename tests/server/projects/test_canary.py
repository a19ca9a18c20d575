"""A new version of a workflow is tried by a few runs, and how they end decides whether all take it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from towpath.app import App, build
from towpath.editions import history
from towpath.engines.embedded import EmbeddedEngine
from towpath.errors import Refused
from towpath.server.projects import begin
from towpath.settings import Settings
from towpath.store.versions import VersionRow

RELEASED = """
name: greet
release: {canary: {next: %(next)s}, abort_when: failure_rate > 0.4}
inputs: {ok: {type: boolean, default: true}}
steps:
  - {id: say, run: echo %(word)s, env: {OK: "${{ inputs.ok }}"}}
  - {id: judge, if: "!inputs.ok", run: exit 1}
  - {id: hold, wait: {signal: go}}
"""


def text(word: str, *, runs: int = 3, holds: bool = False) -> str:
    """A workflow that is released carefully; a run of it fails where it is told to, and waits where it *holds*."""
    whole = RELEASED % {"word": word, "next": runs}
    return whole if holds else whole.replace("  - {id: hold, wait: {signal: go}}\n", "")


@dataclass
class Project:
    """A project whose workflow changes."""

    app: App
    engine: EmbeddedEngine

    def write(self, text: str) -> None:
        """A new version of the workflow."""
        (self.app.settings.project / "workflows" / "greet.yaml").write_text(text)
        self.look()

    def look(self) -> None:
        """What a server does again and again."""
        assert self.app.keeper is not None
        self.app.keeper.look()

    async def run(self, *, ok: bool = True, break_glass: str = "") -> str:
        """What a run prints, when it has ended."""
        request = self.app.request(self.app.find("greet"), {"ok": ok}, break_glass=break_glass)
        run = await self.engine.until_ended((await self.engine.start(request)).number)
        return str(run.nodes["say"].outputs["stdout"])

    def states(self) -> list[str]:
        """The versions, the newest first."""
        return [row.state for row in self.app.store.versions.versions("greet")]

    @property
    def next(self) -> VersionRow | None:
        """The version that is not, or not yet, taken by all."""
        return self.app.store.versions.standing("greet").next


@contextlib.asynccontextmanager
async def project(tmp_path: Path, first: str) -> AsyncIterator[Project]:
    """A served project with one version of its workflow."""
    with app_in(tmp_path, first) as app:
        begin(app)
        async with app.engine("test") as engine:
            yield Project(app=app, engine=engine)


@contextlib.contextmanager
def app_in(tmp_path: Path, first: str) -> Iterator[App]:
    """An app of another process, too."""
    folder = tmp_path / "project"
    (folder / "workflows").mkdir(parents=True, exist_ok=True)
    if first:
        (folder / "workflows" / "greet.yaml").write_text(first)
    app = build(Settings(project=folder, data=tmp_path / "data", user="ada"))
    try:
        yield app
    finally:
        app.close()


async def test_the_next_runs_try_a_new_version_and_then_all_take_it(tmp_path: Path) -> None:
    """The first version is taken at once; of the next one just so many runs begin, then it holds for all; nothing was lost."""
    async with project(tmp_path, text("one")) as it:
        assert await it.run() == "one"

        it.write(text("two", runs=2))
        first = it.states()
        said = [await it.run(), await it.run()]
        it.look()

        assert first == ["canary", "current"]
        assert said == ["two", "two"]
        assert it.states() == ["current", "former"]
        assert await it.run() == "two"
        row = it.app.store.versions.standing("greet").current
        assert row is not None
        assert (row.decided_by, row.because) == ("towpath", "2 runs tried it: none failed")
        acts = [(act.by, act.did) for act in it.app.store.identities.acts()]
        assert ("towpath", "promoted a version") in acts


async def test_while_it_is_tried_others_take_the_version_that_holds(tmp_path: Path) -> None:
    """Beyond its places a new version is taken by nobody until all that try it have ended, however many start at once."""
    async with project(tmp_path, text("one")) as it:
        it.write(text("two", runs=2, holds=True))
        request = it.app.request(it.app.find("greet"), {})

        started = await asyncio.gather(*(it.engine.start(request) for _ in range(8)))

        digests = [it.app.reader.run(one.number).definition for one in started]
        tried = it.next
        assert tried is not None
        assert digests.count(tried.digest) == 2
        it.look()
        assert it.states() == ["canary", "current"]
        assert await it.run() == "one"
        assert await it.run(break_glass="the shop is down") == "one"


async def test_it_is_sent_back_the_moment_the_condition_holds(tmp_path: Path) -> None:
    """After the failure starts take the old version; the new one stays away until its file changes, across restarts."""
    async with project(tmp_path, text("one")) as it:
        it.write(text("two", runs=5))
        assert await it.run(ok=False) == "two"
        it.look()

        assert it.states() == ["aborted", "current"]
        assert it.next is not None
        assert it.next.because == "failure_rate > 0.4: 1 of 1 failed"
        assert await it.run() == "one"
    async with project(tmp_path, "") as it:
        assert await it.run() == "one"

        it.write(text("three", runs=5))

        assert it.states() == ["canary", "aborted", "current"]
        assert await it.run() == "three"


async def test_runs_that_people_stop_say_nothing(tmp_path: Path) -> None:
    """A cancelled run neither fails a version nor keeps it from being judged."""
    from towpath.core import stimuli

    async with project(tmp_path, text("one")) as it:
        it.write(text("two", runs=1, holds=True))
        number = (await it.engine.start(it.app.request(it.app.find("greet"), {}))).number
        await it.engine.tell(number, stimuli.Cancel(at=it.app.now(), by="user:ada"))
        await it.engine.until_ended(number)
        assert it.next is not None
        tally = it.app.store.versions.tally(it.next)

        it.look()

        assert (tally.started, tally.judged, tally.failed) == (1, 0, 0)
        assert it.states() == ["current", "former"]


@pytest.mark.parametrize(
    ("promote", "states", "said"),
    [(True, ["current", "former"], "two"), (False, ["aborted", "current"], "one")],
)
async def test_people_decide_before_the_runs_do(
    tmp_path: Path, promote: bool, states: list[str], said: str
) -> None:
    """Whoever may promotes a version or sends it back; it is noted who, and cannot be done twice."""
    async with project(tmp_path, text("one")) as it:
        it.write(text("two", runs=3))
        versions = it.app.store.versions

        row = history.settle(
            versions, "greet", "", promote=promote, by="user:ben", comment="we saw", at=it.app.now()
        )
        it.look()

        assert it.states() == states
        assert (row.decided_by, row.because) == ("user:ben", "we saw")
        assert await it.run() == said
        with pytest.raises(Refused):
            history.settle(
                versions, "greet", row.digest, promote=promote, by="user:cy", comment="", at=it.app.now()
            )


async def test_another_process_keeps_to_the_same_places(tmp_path: Path) -> None:
    """A command beside the server takes a place of the same few, and the old version when there is none."""
    async with project(tmp_path, text("one")) as it:
        it.write(text("two", runs=1, holds=True))
        with app_in(tmp_path, "") as other:
            loaded = other.find("greet")
            other.note_version(loaded)
            here = await it.engine.start(it.app.request(it.app.find("greet"), {}))
            async with other.engine("tow run") as engine:
                there = await engine.start(other.request(loaded, {}))

        definitions = [it.app.reader.run(one.number).definition for one in (here, there)]
        standing = it.app.store.versions.standing("greet")
        assert standing.next is not None
        assert standing.current is not None
        assert definitions == [standing.next.digest, standing.current.digest]


async def test_inputs_that_only_one_version_takes_choose_it(tmp_path: Path) -> None:
    """A start whose inputs the new version does not take gets the old one, and is not refused."""
    async with project(tmp_path, text("one")) as it:
        it.write(
            text("two").replace(
                "inputs: {ok: {type: boolean, default: true}}",
                "inputs: {ok: {type: boolean, default: true}, where: {type: string}}",
            )
        )

        assert it.states() == ["canary", "current"]
        assert await it.run() == "one"
