"""The first page, and text from outside on every page of ours: it is data, whatever it says."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from page_support import Page, look, send, started
from server_support import PROJECT, TestServer, server_in, write_project

from towpath.server.projects import begin

WAIT_SECONDS = 60
ASKS = """
name: asks
steps:
  - {id: gate, approve: "Shall we?", who: ["user:cy"], four_eyes: false}
"""
FAILS = """
name: fails
steps:
  - {id: bad, run: exit 3}
"""
NIGHTLY = """
name: nightly
on: [{schedule: {cron: "30 2 * * *", timezone: UTC}}]
steps:
  - {id: one, run: echo one}
"""
FROZEN = (
    PROJECT
    + """
calendars:
  always_shut: {title: Shut, freezes: [{from: "2020-01-01T00:00", until: "2090-01-01T00:00", title: For ever}]}
environments:
  production: {freeze: always_shut}
"""
)


async def ended(server: TestServer, number: int) -> None:
    """Waits until a run has ended."""
    async with asyncio.timeout(WAIT_SECONDS):
        await server.engine.until_ended(number)  # type: ignore[arg-type] # a number


async def waiting(server: TestServer, number: int) -> None:
    """Waits until a run waits for something."""
    async with asyncio.timeout(WAIT_SECONDS):
        async for step in server.engine.watch(number):  # type: ignore[arg-type] # a number
            if step.run.status == "waiting":
                break


async def test_a_new_project_is_told_what_to_do(tmp_path: Path) -> None:
    """Without workflows the page says where they go; with workflows and no run it leads to them."""
    write_project(tmp_path)
    file = tmp_path / "workflows" / "hello.yaml"
    async with server_in(tmp_path) as server:
        ready = await look(server, "/")
        file.unlink()
        bare = await look(server, "/")

    assert "Nothing has run yet" in ready.text
    assert "This project has no workflows yet" in bare.text


async def test_what_one_looks_for_first_is_there(tmp_path: Path) -> None:
    """What waits for me, what runs, what went wrong, what comes next, what is frozen, and what does not load."""
    workflows = {"asks": ASKS, "fails": FAILS, "nightly": NIGHTLY, "broken": "name: broken\nsteps: 3\n"}
    write_project(tmp_path, workflows, project=FROZEN)
    async with server_in(tmp_path) as server:
        await waiting(server, await started(server, "asks"))
        await ended(server, await started(server, "fails"))
        mine = await look(server, "/", "cy")
        others = await look(server, "/", "vic")

    for text in (
        "Waits for you", "Under way", "Did not go well this week", "Comes next", "production is frozen", "broken does not load"
    ):  # fmt: skip
        assert text in mine.text
    assert "/inbox/1/gate" in mine.links
    assert ("1" in [text.strip() for text in mine.texts], mine.has("span", id="waiting-wide", hidden="")) == (
        True,
        False,
    )
    assert others.has("span", id="waiting-wide", hidden="")
    assert "Waits for you" not in others.text
    assert "/runs/2" in others.links


async def test_a_stranger_sees_an_empty_house(tmp_path: Path) -> None:
    """Whoever may do nothing gets the page and not one name of the project's runs, workflows or environments."""
    write_project(tmp_path, {"asks": ASKS, "fails": FAILS, "nightly": NIGHTLY}, project=FROZEN)
    async with server_in(tmp_path) as server:
        await ended(server, await started(server, "fails"))
        page = await look(server, "/", "stranger")

    assert "may not see anything yet" in page.text
    assert not [name for name in ("asks", "fails", "nightly", "production") if name in page.text.split()]
    assert [link for link in page.links if link.startswith(("/runs", "/workflows", "/events"))] == []


EVIL = '"><img id=pwned src=x onerror=alert(1)><script id=pwned>alert(1)</script>'
HOSTILE = f"""
name: hostile
title: '{EVIL}'
description: '{EVIL}'
labels: {{team: '{EVIL}'}}
inputs:
  text: {{type: string, default: '{EVIL}', title: '{EVIL}', description: '{EVIL}'}}
  choice: {{type: string, enum: ['{EVIL}', b], default: b}}
steps:
  - id: talk
    title: '{EVIL}'
    run: |
      printf '%s\\n' "$TEXT"
      printf '\\033[31m%s\\033[0m\\n' "$TEXT"
      printf '%s\\n' "$TEXT" >&2
      printf '%s\\n' evil >'a<b id=pwned>.txt'
      echo "said=$TEXT" >>"$TOW_OUTPUT"
    env: {{TEXT: "${{{{ inputs.text }}}}"}}
    outputs: [said]
    artifacts: ['*.txt']
  - id: each_of
    each: ['{EVIL}', two]
    steps:
      - {{id: inner, run: 'echo "$X"', env: {{X: "${{{{ item }}}}"}}}}
  - id: gate
    approve: "${{{{ inputs.text }}}}"
    who: ["user:cy"]
    four_eyes: false
    show: {{said: "${{{{ steps.talk.outputs.said }}}}"}}
  - id: bad
    run: 'echo "$TEXT" >&2; exit 3'
    env: {{TEXT: "${{{{ inputs.text }}}}"}}
outputs: {{said: "${{{{ steps.talk.outputs.said }}}}"}}
"""
PAGES = (
    "/", "/workflows", "/workflows/hostile", "/workflows/hostile/start", "/runs", "/runs?q=<b id=pwned>", "/runs/1",
    "/runs/1?view=timeline", "/runs/1?view=logs", "/runs/1?view=logs&q=<img", "/runs/1?view=values", "/runs/1?view=files",
    "/runs/1?view=history", "/runs/1?step=talk", "/runs/1?step=each_of", "/runs/1?step=gate", "/runs/1?at=3",
    "/runs/1/log_lines", '/runs/1/do/signal?name="><b id=pwned>', "/runs/2?view=history", "/runs/2",
)  # fmt: skip
LOST = ("/runs/1?step=<b id=pwned>", "/workflows/<b id=pwned>", "/nowhere/<b id=pwned>", "/runs/<b id=pwned>")


def bad_parts(page: Page) -> list[str]:
    """What would make text from outside more than text."""
    found = [tag for tag, attributes in page.tags if "pwned" in attributes.values() or tag == "b"]
    found += [
        f"{tag} {name}" for tag, attributes in page.tags for name in attributes if name.startswith("on")
    ]
    found += [
        tag
        for tag, attributes in page.tags
        if tag == "script" and not attributes.get("src", "").startswith("/static/")
    ]
    found += [link for link in page.links if not link.startswith(("/", "#"))]
    found += [f"{tag} style" for tag, attributes in page.tags if "style" in attributes or tag == "style"]
    return found


async def test_text_from_outside_is_text_on_every_page(tmp_path: Path) -> None:
    """Titles, labels, inputs, outputs, log lines, names of items and files, comments and errors: none becomes markup."""
    write_project(tmp_path, {"hostile": HOSTILE})
    async with server_in(tmp_path) as server:
        await waiting(server, await started(server, "hostile", {"form.text": EVIL, "form.choice": "b"}))
        await send(server, "/inbox/1/gate/comment", {"comment": EVIL}, "cy")
        await started(server, "hostile", {"form.text": EVIL, "form.choice": "b"})
        await waiting(server, 2)
        await send(server, "/runs/2/do/cancel", {"reason": EVIL})
        await ended(server, 2)
        pages = {path: await look(server, path) for path in PAGES}
        lost = {path: await look(server, path, status=404) for path in LOST}
        wrong = Page(
            (
                await send(
                    server,
                    "/workflows/hostile/start",
                    {"act": "start", "form.choice": EVIL + "x", "form.text": EVIL},
                )
            ).text
        )
        asked = Page((await send(server, "/runs/1/do/signal", {"name": EVIL, "payload": EVIL})).text)

    assert bad_parts(Page(EVIL)) != []  # it would be noticed
    told = {path: bad_parts(page) for path, page in {**pages, **lost, "wrong": wrong, "asked": asked}.items()}
    assert {path: parts for path, parts in told.items() if parts} == {}
    assert EVIL in " ".join(pages["/runs/1?view=logs"].texts)
    assert EVIL in " ".join(pages["/runs/1?view=values"].texts)
    assert EVIL in wrong.source.replace("&#34;", '"').replace("&lt;", "<").replace("&gt;", ">")


@pytest.mark.parametrize("text", ["\u202eevil", "a\x00b", "\x1b[31mred"])
async def test_text_that_hides_is_seen(tmp_path: Path, text: str) -> None:
    """Characters that hide or turn text around are shown as a mark, wherever they come from."""
    write_project(tmp_path, {"asks": ASKS})
    async with server_in(tmp_path) as server:
        page = await look(server, f"/runs?q={text}".replace("\x00", "%00").replace("\x1b", "%1b"))

    assert "\N{REPLACEMENT CHARACTER}" in page.fields()["q"]


async def test_a_newer_version_that_does_not_load_is_told(tmp_path: Path) -> None:
    """A file that was good and is broken now is told of on the first page; runs go on with the version before."""
    write_project(tmp_path, {"asks": ASKS})
    async with server_in(tmp_path) as server:
        keeper = begin(server.app)
        (tmp_path / "workflows" / "asks.yaml").write_text("name: asks\nsteps: 3\n")
        keeper.look()
        page = await look(server, "/", "vic")
        number = await started(server, "asks")

    assert "asks has a newer version that does not load" in page.text
    assert number == 1
