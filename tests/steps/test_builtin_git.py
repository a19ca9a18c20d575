"""`git.clone` with real repositories: on disk and over HTTP."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from action_support import FakeContext, NoEgress, Seen, local_server, picture, reply

from towpath.steps import ActionFailed
from towpath.steps.catalogue import Catalogue

CLONE = Catalogue.load().get("git.clone")


def git(folder: Path, *arguments: str) -> str:
    """What git says in a folder."""
    environment = {
        "PATH": os.environ["PATH"],
        "GIT_CONFIG_GLOBAL": "/dev/null",
        "GIT_CONFIG_NOSYSTEM": "1",
        **{
            f"GIT_{who}_{what}": "t@example.org"
            for who in ("AUTHOR", "COMMITTER")
            for what in ("NAME", "EMAIL")
        },
    }
    told = subprocess.run(
        ["git", *arguments], cwd=folder, env=environment, check=True, capture_output=True, text=True
    )
    return told.stdout.strip()


@pytest.fixture
def origin(tmp_path: Path) -> Path:
    """A repository with three commits, a branch and a tag."""
    folder = tmp_path / "origin"
    folder.mkdir()
    git(folder, "init", "--quiet", "--initial-branch=main")
    for number in (1, 2, 3):
        (folder / "file").write_text(str(number))
        git(folder, "add", "file")
        git(folder, "commit", "--quiet", "--message", str(number))
    git(folder, "branch", "old", "HEAD~1")
    git(folder, "tag", "--annotate", "v1", "HEAD~2", "--message", "v1")
    git(folder, "update-server-info")
    return folder


@pytest.fixture
def context(tmp_path: Path) -> FakeContext:
    """A step with a workspace beside the repository."""
    workspace = tmp_path / "work"
    workspace.mkdir()
    return FakeContext(workspace=workspace, egress=NoEgress())


async def clone(context: FakeContext, **values: Any) -> Any:
    """Performs `git.clone`."""
    return await CLONE.perform(values, context)


@pytest.mark.parametrize(
    ("ref", "depth", "content", "commits"),
    [
        (None, None, "3", 3),
        ("main", None, "3", 3),
        ("old", None, "2", 2),
        ("v1", None, "1", 1),
        ("HEAD~1", None, "2", 2),  # stands for the whole id
        (None, 1, "3", 1),
        ("old", 1, "2", 1),
        ("main", 2, "3", 2),
    ],
)
async def test_a_ref_is_checked_out(
    ref: str | None, depth: int | None, content: str, commits: int, origin: Path, context: FakeContext
) -> None:
    """Default branch, branch, tag and commit, with all the history or a part of it."""
    if ref and "~" in ref:
        ref = git(origin, "rev-parse", ref)
    options = {"ref": ref, "depth": depth}
    values = {key: value for key, value in options.items() if value is not None}
    found = await clone(context, url=str(origin), path="code", **values)
    folder = context.workspace / "code"

    assert (folder / "file").read_text() == content
    assert {"path": str(folder), "commit": git(folder, "rev-parse", "HEAD"), "changed": True} == found
    assert int(git(folder, "rev-list", "--count", "HEAD")) == commits
    assert [folder] == list(context.workspace.glob("*"))


async def test_a_commit_of_its_own_can_be_had_shallow(origin: Path, context: FakeContext) -> None:
    """A whole commit id with `depth` fetches that commit alone, where the server allows it."""
    git(origin, "config", "uploadpack.allowAnySHA1InWant", "true")
    commit = git(origin, "rev-parse", "HEAD~1")
    await clone(context, url=f"file://{origin}", path="code", ref=commit, depth=1)

    assert git(context.workspace / "code", "rev-list", "--count", "HEAD") == "1"


async def test_the_same_commit_again_changes_nothing(origin: Path, context: FakeContext) -> None:
    """A clean clone at the commit that is asked for stays as it is; a changed one is a conflict."""
    commit = git(origin, "rev-parse", "HEAD")
    values = {"url": str(origin), "path": "code", "ref": commit}
    await clone(context, **values)
    before = picture(context.workspace / "code")
    again = await clone(context, **values)

    assert again["changed"] is False
    assert {key: told for key, told in before.items() if ".git" not in key} == {
        key: told for key, told in picture(context.workspace / "code").items() if ".git" not in key
    }
    assert CLONE.idempotent_with(values)
    (context.workspace / "code" / "file").write_text("mine")
    with pytest.raises(ActionFailed) as caught:
        await clone(context, **values)
    assert caught.value.kind == "conflict"
    assert (context.workspace / "code" / "file").read_text() == "mine"
    assert (await clone(context, **values, overwrite=True))["changed"] is True
    assert (context.workspace / "code" / "file").read_text() == "3"


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({"url": "--upload-pack=touch evil"}, "no address"),
        ({"url": "-u"}, "no address"),
        ({"url": ""}, "no address"),
        ({"url": "ext::sh -c touch% evil"}, "transport ext"),
        ({"url": "fd::7"}, "transport fd"),
        ({"url": "ftp://x/y"}, "uses ftp"),
        ({"url": "https://user:word@x/y"}, "`auth`"),
        ({"url": "https://token@x/y"}, "`auth`"),
        ({"url": "ssh://-oProxyCommand=evil/x"}, "no address"),
        ({"url": "https://x/y\n"}, "no address"),
        ({"url": "/x", "ref": "--upload-pack=evil"}, "no name of a branch"),
        ({"url": "/x", "ref": ""}, "no name of a branch"),
        ({"url": "/x", "ref": "a..b"}, "no name of a branch"),
        ({"url": "/x", "ref": "a b"}, "no name of a branch"),
        ({"url": "/x", "ref": "HEAD~1"}, "no name of a branch"),
        ({"url": "/x", "ref": "a:b"}, "no name of a branch"),
        ({"url": "/x", "ref": "+refs/heads/*"}, "no name of a branch"),
        ({"url": "git@x:y", "auth": {"password": "p"}}, "for http and https"),
        ({"url": "/x", "depth": 0}, "at least 1"),
    ],
)
async def test_what_could_become_an_option_or_a_command_is_refused(
    values: dict[str, Any], told: str, context: FakeContext
) -> None:
    """No program is started for it."""
    with pytest.raises(ActionFailed) as caught:
        await clone(context, path="code", **values)

    assert (caught.value.kind, context.lines, picture(context.workspace)) == ("invalid", [], {})
    assert told in caught.value.message


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        ({"url": "/nowhere"}, "invalid"),
        ({"url": "http://127.0.0.1:1/x.git"}, "unreachable"),
        ({"url": "ORIGIN", "ref": "nothing"}, "invalid"),
        ({"url": "ORIGIN", "ref": "0" * 40}, "invalid"),
    ],
)
async def test_a_failed_clone_leaves_nothing(
    values: dict[str, Any], kind: str, origin: Path, context: FakeContext
) -> None:
    """The kind of the error is known, and the workspace is empty."""
    values = {**values, "url": values["url"].replace("ORIGIN", str(origin))}
    with pytest.raises(ActionFailed) as caught:
        await clone(context, path="code", **values)

    assert kind == caught.value.kind, caught.value.message
    assert picture(context.workspace) == {}


async def test_a_folder_that_is_not_empty_is_kept(origin: Path, context: FakeContext) -> None:
    """A conflict, unless `overwrite` says otherwise."""
    (context.workspace / "code").mkdir()
    (context.workspace / "code" / "mine").write_text("x")
    with pytest.raises(ActionFailed) as caught:
        await clone(context, url=str(origin), path="code")
    assert caught.value.kind == "conflict"

    await clone(context, url=str(origin), path="code", overwrite=True)
    assert not (context.workspace / "code" / "mine").exists()


async def test_git_asks_nobody_and_keeps_the_password_to_itself(origin: Path, context: FakeContext) -> None:
    """The password reaches the server in a header; it is in no argument, no log and no file of the clone."""
    await asyncio.to_thread(shutil.copytree, origin / ".git", context.workspace.parent / "served.git")
    served = context.workspace.parent / "served.git"
    arguments: set[str] = set()

    async def answer(seen: Seen, writer: asyncio.StreamWriter) -> None:
        arguments.update(running())
        path = served / seen.target.partition("?")[0].removeprefix("/served.git/")
        if seen.headers.get("authorization") != "Basic Z2l0Omh1bnRlcjI=":
            writer.write(reply(401, WWW_Authenticate='Basic realm="x"'))
        else:
            writer.write(reply(200, path.read_bytes()) if path.is_file() else reply(404))
        await writer.drain()

    async with local_server() as server:
        server.fallback = answer
        url = server.url("/served.git")
        with pytest.raises(ActionFailed) as caught:
            await clone(context, url=url, path="code")
        assert caught.value.kind == "denied"
        found = await clone(context, url=url, path="code", auth={"password": "hunter2"})

    assert found["commit"] == git(origin, "rev-parse", "HEAD")
    assert any("served.git" in text for text in arguments)
    for secret in ("hunter2", "Z2l0Omh1bnRlcjI="):
        assert not any(secret in text for text in arguments)
        assert secret not in str(context.lines)
        for path in (context.workspace / "code").rglob("*"):
            assert not path.is_file() or secret.encode() not in path.read_bytes()


def running() -> list[str]:
    """The arguments of every process."""
    found = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                found.append((folder / "cmdline").read_text())
            except OSError:
                continue
    return found


async def test_a_rehearsal_asks_for_the_commit_and_makes_nothing(origin: Path, context: FakeContext) -> None:
    """It answers with the commit that the server has now."""
    for ref, name in ((None, "HEAD"), ("old", "old"), ("v1", "v1^{}")):
        values = {"url": str(origin), "path": "code", **({"ref": ref} if ref else {})}
        told = await CLONE.rehearse(values, context)

        assert (told.outputs or {})["commit"] == git(origin, "rev-parse", name)
    assert picture(context.workspace) == {}
    with pytest.raises(ActionFailed, match="no branch or tag nothing"):
        await CLONE.rehearse({"url": str(origin), "path": "code", "ref": "nothing"}, context)


async def test_a_cancelled_clone_leaves_no_folder(context: FakeContext) -> None:
    """Git is gone and so is what it had begun."""
    asked = asyncio.Event()

    async def silence(_seen: Seen, _writer: asyncio.StreamWriter) -> None:
        asked.set()
        await asyncio.sleep(60)

    async with local_server() as server:
        server.fallback = silence
        task = asyncio.ensure_future(clone(context, url=server.url("/x.git"), path="code"))
        await asked.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    assert picture(context.workspace) == {}
