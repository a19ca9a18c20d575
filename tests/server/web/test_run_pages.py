"""The list of runs, the page of one in all its views, at any moment, and what may be done from there."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from page_support import Page, look, send, started
from server_support import PROJECT, TestServer, server_in, write_project

WAIT_SECONDS = 60
RELEASE = """
name: release
title: Release it
kind: deployment
inputs: {version: {type: string, default: "1"}}
steps:
  - id: build
    run: |
      printf '\\033[32mbuilt\\033[0m %s\\n' "$V"
      echo "needle in the log"
      echo file >kept.txt
      echo "image=shop:$V" >>"$TOW_OUTPUT"
    env: {V: "${{ inputs.version }}"}
    outputs: [image]
    artifacts: [kept.txt]
    rollback: {run: echo undone}
  - id: go
    wait: {signal: go}
  - id: last
    run: echo last
outputs: {image: "${{ steps.build.outputs.image }}"}
"""
FAILS = """
name: fails
steps:
  - id: ok
    run: echo fine
    rollback: {run: echo undone}
  - id: bad
    run: echo "it broke" >&2; exit 3
"""
ASKS = """
name: asks
steps:
  - {id: gate, approve: "Shall we?", who: ["user:cy"], four_eyes: false}
"""
MANY = """
name: many
steps:
  - id: fleet
    each: ${{ range }}
    steps:
      - {id: pause, wait: 1ms}
""".replace("${{ range }}", str([f"host{n}" for n in range(150)]))
VIEWS = ("steps", "timeline", "logs", "values", "files", "history")


async def ended(server: TestServer, number: int) -> str:
    """Waits until a run has ended; its status."""
    async with asyncio.timeout(WAIT_SECONDS):
        run = await server.engine.until_ended(number)  # type: ignore[arg-type] # a number
    return run.status


async def waiting(server: TestServer, number: int) -> None:
    """Waits until a run waits for something."""
    async with asyncio.timeout(WAIT_SECONDS):
        async for step in server.engine.watch(number):  # type: ignore[arg-type] # a number
            if step.run.status == "waiting":
                break


async def test_a_run_is_told_in_all_its_views(tmp_path: Path) -> None:
    """Each view shows what it is there for; the log has its colours, and the files are attachments of the API."""
    write_project(tmp_path, {"release": RELEASE})
    async with server_in(tmp_path) as server:
        number = await started(server, "release", {"form.version": "7"})
        await waiting(server, number)
        await send(server, f"/runs/{number}/do/signal", {"name": "go"}, "ben")
        status = await ended(server, number)
        seen = {view: await look(server, f"/runs/{number}?view={view}", "vic") for view in VIEWS}

    assert status == "succeeded"
    assert all("Release it #1" in page.text for page in seen.values())
    assert seen["steps"].has("svg", class_="tow-graph")
    assert seen["steps"].has("a", href="/runs/1?step=build#step")
    assert seen["timeline"].has("rect")
    assert "attempt 1 worked" in seen["timeline"].text
    assert seen["logs"].has("span", class_="ansi-2")
    assert "needle in the log" in seen["logs"].text
    assert "shop:7" in seen["values"].text
    assert "/api/v1/runs/1/artifacts/kept.txt?step=build" in seen["files"].links
    assert "signal go came" in seen["history"].text
    assert "ben" in seen["history"].text


async def test_a_run_is_seen_as_it_was(tmp_path: Path) -> None:
    """At every moment of its life the page tells the state of that moment, and offers nothing to do to the past."""
    write_project(tmp_path, {"release": RELEASE})
    async with server_in(tmp_path) as server:
        number = await started(server, "release")
        await waiting(server, number)
        await send(server, f"/runs/{number}/do/signal", {"name": "go"})
        await ended(server, number)
        last = server.app.reader.run("1").last_sequence
        then = [await look(server, f"/runs/1?at={at}") for at in range(1, last)]
        now = await look(server, f"/runs/1?at={last}")
        beyond = await look(server, "/runs/1?at=100000")

    statuses = [
        next(
            word
            for word in ("queued", "running", "waiting", "succeeded")
            if page.has("span", class_=f"badge {TONES[word]}")
        )
        for page in then
    ]
    assert list(dict.fromkeys(statuses)) == ["running", "waiting"]
    assert all("/do/" not in link for page in then for link in page.links)
    assert "as it was at fact 1 of" in then[0].text
    assert now.has("span", class_="badge good")
    assert beyond.has("span", class_="badge good")
    assert any(link.endswith("/do/rerun") for link in now.links)


TONES = {"queued": "calm", "running": "busy", "waiting": "warn", "succeeded": "good"}


async def test_one_step_is_told_more_closely(tmp_path: Path) -> None:
    """A step has its outputs, what it was given, and how it failed; a step that is not there is 404."""
    write_project(tmp_path, {"release": RELEASE, "fails": FAILS})
    async with server_in(tmp_path) as server:
        release = await started(server, "release", {"form.version": "9"})
        fails = await started(server, "fails")
        await waiting(server, release)
        await ended(server, fails)
        build = await look(server, "/runs/1?step=build")
        ahead = await look(server, "/runs/1?step=last")
        bad = await look(server, "/runs/2?step=bad")
        await look(server, "/runs/1?step=nowhere", status=404)

    assert "shop:9" in build.text
    assert "has not begun" in ahead.text
    assert "exit code 3" in bad.text
    assert "it broke" in bad.text


async def test_the_items_of_a_large_loop_come_in_pages(tmp_path: Path) -> None:
    """Of many items the tree counts the most, and the step's own place lists them page by page."""
    write_project(tmp_path, {"many": MANY})
    async with server_in(tmp_path) as server:
        await ended(server, await started(server, "many"))
        tree = await look(server, "/runs/1")
        first = await look(server, "/runs/1?step=fleet")
        second = await look(server, "/runs/1?step=fleet&after=100")
        timeline = await look(server, "/runs/1?view=timeline")

    assert "150 more" in tree.text
    assert ("host99" in first.text, "host100" in first.text) == (True, False)
    assert ("host99" in second.text, "host149" in second.text) == (False, True)
    assert sum(tag == "tr" for tag, _ in timeline.tags) <= 201


async def test_a_log_is_searched_and_gone_on_with(tmp_path: Path) -> None:
    """A search shows the lines that hold the text, marked; a part of the page gives what came behind a place."""
    write_project(tmp_path, {"release": RELEASE})
    async with server_in(tmp_path) as server:
        await waiting(server, await started(server, "release"))
        found = await look(server, "/runs/1?view=logs&q=NEEDLE")
        none = await look(server, "/runs/1?view=logs&q=haystack")
        lines = await look(server, "/runs/1/log_lines?step=build")
        after = next(a["hx-get"] for tag, a in lines.tags if "hx-get" in a)
        more = await look(server, after)
        await look(server, "/runs/1/log_lines?place=../../etc", status=409)

    assert found.has("mark")
    assert ("needle in the log" in found.text, "built" in found.text) == (True, False)
    assert "No line holds this text" in none.text
    assert "needle in the log" in lines.text
    assert "needle" not in more.text


OFFERED = [
    ("ada", {"signal", "rollback", "cancel"}),
    ("ben", {"signal", "rollback", "cancel"}),
    ("vic", set()),
]


@pytest.mark.parametrize(("name", "expected"), OFFERED)
async def test_only_what_makes_sense_and_is_allowed_is_offered(
    tmp_path: Path, name: str, expected: set[str]
) -> None:
    """A run offers the acts of its state to those who may; whoever may not is refused, also without the button."""
    write_project(tmp_path, {"release": RELEASE})
    async with server_in(tmp_path) as server:
        await waiting(server, await started(server, "release"))
        page = await look(server, "/runs/1", name)
        asked = await server.client.get("/runs/1/do/cancel", headers=server.as_(name))
        answer = await send(server, "/runs/1/do/cancel", {}, name)

    assert acts(page) == expected
    assert (asked.status_code, answer.status_code) == ((200, 303) if expected else (403, 403))


def acts(page: Page) -> set[str]:
    """The acts that a page offers."""
    return {link.split("/do/")[1].split("?")[0] for link in page.links if "/do/" in link}


async def test_asking_does_nothing_and_sending_does(tmp_path: Path) -> None:
    """The page that asks once more changes nothing; its form cancels, with the reason and what was undone in the record."""
    write_project(tmp_path, {"release": RELEASE})
    async with server_in(tmp_path) as server:
        await waiting(server, await started(server, "release"))
        page = await look(server, "/runs/1/do/cancel", "ben")
        before = server.app.reader.run("1").last_sequence
        answer = await send(server, "/runs/1/do/cancel", {**page.fields(), "reason": "wrong version"}, "ben")
        status = await ended(server, 1)
        history = await look(server, "/runs/1?view=history&who=true")
        again = await send(server, "/runs/1/do/cancel", page.fields(), "ben")

    assert "can be undone, the last one first: build" in page.text
    assert before < server_sequence(history)
    assert (answer.headers["location"], status) == ("/runs/1?done=cancel", "cancelled")
    assert "is being stopped" in history.text
    assert again.status_code == 409
    assert "run 1 has ended" in again.text


def server_sequence(history: Page) -> int:
    """The largest moment that a history links to."""
    return max(int(link.rsplit("at=", 1)[1]) for link in history.links if "at=" in link)


async def test_a_failed_run_is_gone_on_with_once(tmp_path: Path) -> None:
    """Retry, rerun and undo start new runs that say where they come from; a form that is sent twice starts one."""
    write_project(tmp_path, {"fails": FAILS})
    async with server_in(tmp_path) as server:
        await ended(server, await started(server, "fails"))
        page = await look(server, "/runs/1")
        form = (await look(server, "/runs/1/do/retry")).fields()
        places = [(await send(server, "/runs/1/do/retry", form)).headers["location"] for _ in range(2)]
        await ended(server, 2)
        new = await look(server, "/runs/2")
        nothing = await send(server, "/runs/1/do/nonsense", {})

    assert acts(page) == {"retry", "rerun"}  # what failed was undone already
    assert places == ["/runs/2?done=retry"] * 2
    assert "goes on from #1" in new.text
    assert nothing.status_code == 404


async def test_a_question_leads_to_its_page(tmp_path: Path) -> None:
    """What a run waits for stands above everything, with the link to where it is answered."""
    write_project(tmp_path, {"asks": ASKS})
    async with server_in(tmp_path) as server:
        await waiting(server, await started(server, "asks"))
        page = await look(server, "/runs/1")

    assert "asks user:cy: Shall we?" in page.text
    assert "/inbox/1/gate" in page.links


async def test_the_list_is_narrowed_and_searched(tmp_path: Path) -> None:
    """Filters and words narrow the list, a number leads to its run, and a list without a row says how to see all."""
    write_project(tmp_path, {"fails": FAILS, "asks": ASKS})
    async with server_in(tmp_path) as server:
        for name in ("fails", "fails", "asks"):
            await started(server, name)
        await ended(server, 1)
        await ended(server, 2)
        await waiting(server, 3)
        everything = await look(server, "/runs")
        failed = await look(server, "/runs?show=failed")
        open_ones = await look(server, "/runs?show=open")
        words = await look(server, "/runs?q=asks&workflow=asks")
        nothing = await look(server, "/runs?q=nothing-like-it")
        number = await server.client.get("/runs?q=%232", headers=server.as_("vic"))
        lost = await look(server, "/runs?q=77")

    numbers = {
        name: runs_of(page)
        for name, page in [("all", everything), ("failed", failed), ("open", open_ones), ("words", words)]
    }
    assert numbers == {"all": [3, 2, 1], "failed": [2, 1], "open": [3], "words": [3]}
    assert "No run fits" in nothing.text
    assert (number.status_code, number.headers["location"]) == (303, "/runs/2")
    assert runs_of(lost) == []


def runs_of(page: Page) -> list[int]:
    """The runs that a list names, in order."""
    found = [link.removeprefix("/runs/") for link in page.links if link.startswith("/runs/")]
    return list(dict.fromkeys(int(one) for one in found if one.isdecimal()))


async def test_long_lists_are_paged_by_links(tmp_path: Path) -> None:
    """A page holds fifty runs and leads to the older ones, with the same filters."""
    write_project(tmp_path, {"asks": ASKS})
    async with server_in(tmp_path) as server:
        for _ in range(53):
            await started(server, "asks")
        first = await look(server, "/runs?workflow=asks")
        older = next(link for link in first.links if "before=" in link)
        second = await look(server, older)

    assert (len(runs_of(first)), runs_of(second)) == (50, [3, 2, 1])
    assert "workflow=asks" in older


async def test_runs_of_others_are_not_there(tmp_path: Path) -> None:
    """Whoever may see nothing of a workflow finds none of its runs, and is refused one by its number."""
    project = (
        PROJECT.replace("    vic:", "    eve: {}\n    vic:")
        + '    - {role: viewer, to: ["user:eve"], workflows: [asks]}\n'
    )
    write_project(tmp_path, {"fails": FAILS, "asks": ASKS}, project=project)
    async with server_in(tmp_path) as server:
        await ended(server, await started(server, "fails"))
        await started(server, "asks")
        page = await look(server, "/runs", "eve")
        by_number = await look(server, "/runs?q=1", "eve")
        await look(server, "/runs/1", "eve", status=403)
        home = await look(server, "/", "eve")

    assert (runs_of(page), runs_of(by_number)) == ([2], [])
    assert "fails" not in home.text


SOME_FAIL = """
name: some_fail
steps:
  - id: fleet
    each: [one, two, three]
    max_failures: 3
    steps:
      - {id: try_it, run: '[ "$X" != two ] || { echo "$X broke"; exit 1; }', env: {X: "${{ item }}"}}
"""


async def test_failed_items_are_found_among_many(tmp_path: Path) -> None:
    """A loop's own place lists all items, or only those that failed."""
    write_project(tmp_path, {"some_fail": SOME_FAIL})
    async with server_in(tmp_path) as server:
        await ended(server, await started(server, "some_fail"))
        every = await look(server, "/runs/1?step=fleet")
        failed = await look(server, "/runs/1?step=fleet&only=failed")

    assert "/runs/1?step=fleet&only=failed#step" in every.links
    assert ("3 items" in every.text, "1 failed item" in failed.text) == (True, True)


PRINTS = """
name: prints
steps:
  - {id: much, run: 'seq -f "line %g" 1 2500'}
  - {id: little, run: 'echo only this'}
"""


async def test_a_long_log_is_read_page_by_page(tmp_path: Path) -> None:
    """The end of a long log comes first; links lead back to its beginning and forth again, and a step has its own."""
    write_project(tmp_path, {"prints": PRINTS})
    async with server_in(tmp_path) as server:
        await ended(server, await started(server, "prints"))
        end = await look(server, "/runs/1?view=logs&step=much")
        before = await look(server, next(link for link in end.links if "after=500" in link))
        first = await look(server, next(link for link in before.links if "after=0" in link))
        forth = await look(server, next(link for link in first.links if "after=1000" in link))
        little = await look(server, "/runs/1?view=logs&step=little")

    assert (lines_of(end)[0], lines_of(end)[-1]) == ("line 1501", "line 2500")
    assert (lines_of(before)[0], lines_of(before)[-1]) == ("line 501", "line 1500")
    assert (lines_of(first)[0], lines_of(forth)[0]) == ("line 1", "line 1001")
    assert lines_of(little) == ["only this"]


def lines_of(page: Page) -> list[str]:
    """The lines that a log shows, in order."""
    return [text for text in page.texts if text.startswith(("line ", "only "))]
