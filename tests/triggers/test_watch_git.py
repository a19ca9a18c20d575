"""Git polling against real repositories: what moved becomes one event, and nothing else does."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
from inbox_support import World

from towpath.errors import Refused
from towpath.triggers.watch import GitError, Looked, Repository, Watcher

SECOND = 1_000_000
WHO = {
    "GIT_AUTHOR_NAME": "Ada",
    "GIT_AUTHOR_EMAIL": "ada@example.com",
    "GIT_COMMITTER_NAME": "Ada",
    "GIT_COMMITTER_EMAIL": "ada@example.com",
    "GIT_CONFIG_GLOBAL": "/dev/null",
    "GIT_CONFIG_NOSYSTEM": "1",
}


class Work:
    """A bare repository, and somebody who pushes to it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.bare = folder / "shop.git"
        self.work = folder / "work"
        self.git("init", "-q", "--bare", "-b", "main", str(self.bare), at=folder)
        self.git("clone", "-q", str(self.bare), str(self.work), at=folder)
        self.git("checkout", "-q", "-b", "main")
        self.commit("app/a.py", "one")

    def git(self, *words: str, at: Path | None = None) -> str:
        """Runs git."""
        done = subprocess.run(
            ["git", *words],
            cwd=at or self.work,
            env={**os.environ, **WHO},
            check=True,
            capture_output=True,
            text=True,
        )
        return done.stdout.strip()

    def commit(self, path: str, text: str, *, message: str = "Change it", push: bool = True) -> str:
        """Commits a file and pushes it; gives the commit."""
        file = self.work / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        self.git("add", "--all")
        self.git("commit", "-q", "-m", message)
        if push:
            self.git("push", "-q", "origin", "HEAD")
        return self.git("rev-parse", "HEAD")


@pytest.fixture
def work(tmp_path: Path) -> Work:
    """A repository with one commit on main."""
    return Work(tmp_path)


@pytest.fixture
def world() -> World:
    """An empty world."""
    return World()


class Polls:
    """A world whose one workflow polls the repository."""

    def __init__(self, world: World, work: Work, settings: str = "") -> None:
        self.world = world
        world.project.add("release", f"- git.poll: {{url: {work.bare}, every: 30s{settings}}}")
        self.watcher = self.another()

    def another(self) -> Watcher:
        """Another process that looks."""
        world = self.world
        return Watcher(
            world.store.another().events,
            world.project,
            folder=Path("/nonexistent"),
            copies=Path(world.project.found[0].workflow.on[0]["git.poll"]["url"]).parent / "copies",  # type: ignore[union-attr]
            now=lambda: world.at,
        )

    def look(self) -> Looked:
        """Looks once, when it is time."""
        self.world.at += 30 * SECOND
        return self.watcher.look()

    def payloads(self) -> list[dict[str, Any]]:
        """What the events hold, oldest first."""
        events = self.world.store.events
        return [json.loads(events.payload(row.id)) for row in reversed(events.events())]


async def test_a_push_becomes_one_event(world: World, work: Work) -> None:
    """What was there before starts nothing; a push starts one run that knows its commits and files; then it is quiet."""
    before = work.git("rev-parse", "HEAD")
    polls = Polls(world, work)
    assert polls.look() == Looked(kept=0, errors=(), next_at=world.at + 30 * SECOND)
    work.commit("app/b.py", "two", push=False, message="Second")
    after = work.commit("README.md", "three", message="Third: $(reboot) ${{ secrets.x }}")

    assert [polls.look().kept for _ in range(3)] == [1, 0, 0]
    await world.decider.work()

    (told,) = polls.payloads()
    assert (told["before"], told["after"], told["branch"], told["is_default"]) == (
        before,
        after,
        "main",
        True,
    )
    assert told["paths"] == ["README.md", "app/b.py"]
    assert [commit["message"] for commit in told["commits"]] == [
        "Third: $(reboot) ${{ secrets.x }}",
        "Second",
    ]
    assert told["commits"][0]["author"] == {"name": "Ada", "email": "ada@example.com"}
    assert [wanted.workflow for wanted in world.runs.wanted] == ["release"]


def test_only_what_a_trigger_asks_for_becomes_an_event(world: World, work: Work) -> None:
    """Without patterns only the default branch counts; other branches and tags move unheard."""
    polls = Polls(world, work)
    polls.look()
    work.git("checkout", "-q", "-b", "next")
    work.commit("b", "1")
    work.git("tag", "v1")
    work.git("push", "-q", "origin", "v1")

    assert polls.look().kept == 0


def test_branches_and_tags_are_told_apart(world: World, work: Work) -> None:
    """A new branch, and a new annotated tag, which stands for its commit, become events where they are asked for."""
    polls = Polls(world, work, ", branches: ['rel/*'], tags: ['v*']")
    polls.look()
    work.git("checkout", "-q", "-b", "rel/1")
    commit = work.commit("b", "1")
    work.git("tag", "-a", "v1", "-m", "First")
    work.git("push", "-q", "origin", "v1")

    assert polls.look().kept == 2
    told = {
        payload["ref"]: (payload["before"], payload["after"], payload["paths"])
        for payload in polls.payloads()
    }
    assert told == {"refs/heads/rel/1": ("", commit, None), "refs/tags/v1": ("", commit, None)}


async def test_a_trigger_that_comes_later_starts_on_nothing_old(world: World, work: Work) -> None:
    """Tags that were there before a trigger asked for them are not new."""
    polls = Polls(world, work)
    polls.look()
    work.git("tag", "v1")
    work.git("push", "-q", "origin", "v1")
    polls.look()
    world.project.add("tags", f"- git.poll: {{url: {work.bare}, every: 30s, tags: ['v*']}}")
    assert polls.look().kept == 0
    work.git("tag", "v2")
    work.git("push", "-q", "origin", "v2")

    assert polls.look().kept == 1
    await world.decider.work()
    assert [wanted.workflow for wanted in world.runs.wanted] == ["tags"]


def test_a_history_that_was_rewritten_is_an_event(world: World, work: Work) -> None:
    """A forced push, and a forced push back, are two moves; a branch that is gone is none."""
    polls = Polls(world, work)
    polls.look()
    first = work.git("rev-parse", "HEAD")
    for _ in range(2):
        work.git("commit", "-q", "--amend", "-m", "Rewritten")
        work.git("push", "-q", "--force", "origin", "main")
        assert polls.look().kept == 1
        work.git("reset", "-q", "--hard", first)
        work.git("push", "-q", "--force", "origin", "main")
        assert polls.look().kept == 1

    assert len({row.delivery for row in world.store.events.events()}) == 4
    work.git("push", "-q", "origin", "HEAD:other")
    polls.look()
    work.git("push", "-q", "origin", "--delete", "other")
    assert polls.look().kept == 0


async def test_files_decide_where_they_are_asked_for(world: World, work: Work) -> None:
    """With `paths` a push that changes something else is an event that starts nothing, and says so."""
    polls = Polls(world, work, ", paths: ['app/**']")
    polls.look()
    work.commit("docs/x.md", "1")
    polls.look()
    work.commit("app/x.py", "1")
    polls.look()
    await world.decider.work()

    assert world.made_of(1) == [("release", None, "none of the changed files (docs/x.md) fits app/**")]
    assert world.made_of(2) == [("release", 1, "")]


def test_several_processes_keep_one_event(world: World, work: Work) -> None:
    """Whoever looks: one event for each move, and a restart forgets nothing."""
    polls = Polls(world, work)
    polls.look()
    work.commit("b", "1")
    kept = [polls.another().look().kept for _ in range(3)]

    assert kept == [1, 0, 0]


def test_it_is_looked_at_as_often_as_is_said(world: World, work: Work) -> None:
    """Before its time nothing is asked; a clock that goes back does not silence it."""
    polls = Polls(world, work)
    polls.look()
    work.commit("b", "1")
    world.at += 29 * SECOND
    assert polls.watcher.look().kept == 0
    world.at -= 3_600 * SECOND
    assert polls.watcher.look().kept == 1


def test_a_repository_that_cannot_be_asked_is_told(world: World, work: Work, tmp_path: Path) -> None:
    """The reason is told, the others are looked at all the same, and nothing is lost when it is there again."""
    polls = Polls(world, work)
    world.project.add("other", f"- git.poll: {{url: {tmp_path}/nowhere.git, every: 30s}}")
    polls.look()
    work.commit("b", "1")
    looked = polls.look()
    assert (looked.kept, [name for name, _ in looked.errors]) == (1, [f"{tmp_path}/nowhere.git"])

    work.commit("c", "1")
    work.bare.rename(tmp_path / "away.git")
    assert [name for name, _ in polls.look().errors] == [str(work.bare), f"{tmp_path}/nowhere.git"]
    (tmp_path / "away.git").rename(work.bare)
    assert polls.look().kept == 1


@pytest.mark.parametrize("url", ["--upload-pack=touch x", "-u", "ext::sh -c touch% x", "a\nb"])
def test_an_address_cannot_be_an_option_or_a_helper(url: str, tmp_path: Path) -> None:
    """What git would take as an option, or as a program to run, is refused before git sees it."""
    with pytest.raises(Refused):
        Repository(url, tmp_path / "copy")


def test_a_transport_that_runs_programs_is_forbidden(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Even where it comes through, git itself may only use the usual transports."""
    repository = Repository(str(tmp_path), tmp_path / "copy")
    monkeypatch.setattr(repository, "url", f"ext::touch {tmp_path}/made")
    with pytest.raises(GitError):
        repository.refs()

    assert not (tmp_path / "made").exists()


def test_no_password_is_told_or_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A password in an address is in no message; a token is in no command line."""
    seen: list[list[str]] = []
    real = subprocess.run

    def run(words: list[str], **options: Any) -> Any:
        seen.append(words)
        return real(words, **options)

    monkeypatch.setattr("towpath.triggers.watch.git.subprocess.run", run)
    repository = Repository("https://ada:hush@127.0.0.1:9/shop", tmp_path / "copy", token="s3cret")
    with pytest.raises(GitError) as failed:
        repository.refs()

    assert "hush" not in str(failed.value)
    assert "s3cret" not in f"{failed.value} {seen}"
