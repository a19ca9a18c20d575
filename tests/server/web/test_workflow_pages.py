"""The catalogue, the page of a workflow, and the form that starts one."""

from __future__ import annotations

from pathlib import Path

import pytest
from page_support import look, send, started
from server_support import PROJECT, server_in, write_project

ORDER = """
name: order
title: Order things
description: Orders what is needed.
kind: request
on:
  - schedule: {cron: "0 3 * * *", timezone: Europe/Berlin}
    inputs: {thing: ink}
  - manual
inputs:
  thing: {type: string, title: What, pattern: "[a-z]+"}
  count: {type: integer, default: 1, minimum: 1, maximum: 9}
  where: {type: string, enum: [here, there], default: here}
  tags: {type: list, items: {type: string}, default: [a, b]}
  options: {type: map, default: {}}
  gift: {type: boolean, default: false}
steps:
  - {id: note, run: 'echo "$THING"', env: {THING: "${{ inputs.thing }}"}}
"""
BROKEN = """
name: broken
steps:
  - id: one
    rum: echo hi
"""
WORKFLOWS = {"order": ORDER, "broken": BROKEN}
START = "/workflows/order/start"


async def test_the_catalogue_tells_what_there_is(tmp_path: Path) -> None:
    """Every workflow is listed with its kind, its triggers and its next start; one that does not load says so."""
    write_project(tmp_path, WORKFLOWS)
    async with server_in(tmp_path) as server:
        page = await look(server, "/workflows", "vic")
        found = await look(server, "/workflows?q=things&kind=request")
        none = await look(server, "/workflows?q=nothing-like-it")

    assert "Order things order Orders what is needed. request schedule manual" in page.text
    assert "broken does not load" in page.text
    assert "/workflows/order/start" not in page.links  # Vic only looks
    assert "/workflows/order/start" in found.links
    assert "/workflows/broken" not in found.links
    assert "No workflow fits" in none.text


async def test_a_workflow_is_told_with_its_source_and_problems(tmp_path: Path) -> None:
    """The page has the picture, the inputs and the text with numbers; a file that does not load is shown with a caret."""
    write_project(tmp_path, WORKFLOWS)
    async with server_in(tmp_path) as server:
        good = await look(server, "/workflows/order")
        broken = await look(server, "/workflows/broken")
        await look(server, "/workflows/nowhere", status=404)

    assert good.has("svg", class_="tow-graph")
    assert "0 3 * * *" in good.text
    assert "rum: echo hi | ^^^" in broken.text
    assert broken.has("li", class_="wrong", id="line-5")
    assert "/workflows/broken/start" not in broken.links


async def test_a_form_starts_one_run_however_often_it_is_sent(tmp_path: Path) -> None:
    """The form's hidden key has it start one run; opening the form starts none."""
    write_project(tmp_path, WORKFLOWS)
    async with server_in(tmp_path) as server:
        form = {**(await look(server, START, "ben")).fields(), "form.thing": "ink", "act": "start"}
        assert server.app.reader.runs() == ()
        answers = [await send(server, START, form, "ben") for _ in range(2)]
        other = await look(server, START, "ben")
        (row,) = server.app.reader.runs()
        _, run = server.app.run("1")

    assert [one.status_code for one in answers] == [303, 303]
    assert {one.headers["location"] for one in answers} == {"/runs/1?done=started"}
    assert other.fields()["key"] != form["key"]
    assert (row.started_by, dict(run.inputs)) == (
        "user:ben",
        {"thing": "ink", "count": 1, "where": "here", "tags": ["a", "b"], "options": {}, "gift": False},
    )


@pytest.mark.parametrize(
    ("typed", "problem"),
    [
        ({"form.thing": ""}, "has to be filled in"),
        ({"form.thing": "INK"}, "does not match"),
        ({"form.count": "12"}, "has to be at most 9"),
        ({"form.count": "many"}, "has to be an integer"),
        ({"form.where": "elsewhere"}, "has to be one of here, there"),
        ({"form.options": "{"}, "has to be a map"),
    ],
)
async def test_what_is_wrong_stands_at_its_field(tmp_path: Path, typed: dict[str, str], problem: str) -> None:
    """Nothing starts, the problem stands at the field, and everything that was typed is still there."""
    write_project(tmp_path, WORKFLOWS)
    async with server_in(tmp_path) as server:
        form = {
            **(await look(server, START)).fields(),
            "form.thing": "ink",
            "form.tags": "x\ny",
            "act": "start",
        }
        answer = await send(server, START, {**form, **typed})
        runs = server.app.reader.runs()

    assert (answer.status_code, runs) == (422, ())
    assert problem in answer.text
    assert 'aria-invalid="true"' in answer.text
    assert ">\nx\ny</textarea>" in answer.text
    assert f'value="{form["key"]}"' in answer.text  # it is the same form


async def test_a_dry_run_starts_nothing(tmp_path: Path) -> None:
    """What would happen is told above the form, and no run is there."""
    write_project(tmp_path, WORKFLOWS)
    async with server_in(tmp_path) as server:
        form = {**(await look(server, START)).fields(), "form.thing": "ink", "act": "rehearse"}
        answer = await send(server, START, form)
        runs = server.app.reader.runs()

    assert (answer.status_code, runs) == (200, ())
    assert "What it would do" in answer.text
    assert "nothing was done" in answer.text


async def test_only_those_who_may_break_the_glass_see_how(tmp_path: Path) -> None:
    """An operator has no such button and is refused; an admin needs a reason, which is kept."""
    write_project(tmp_path, WORKFLOWS)
    glass = {"form.thing": "ink", "act": "break_glass"}
    async with server_in(tmp_path) as server:
        operator, admin = await look(server, START, "ben"), await look(server, START)
        refused = await send(server, START, {**glass, "glass": "fire"}, "ben")
        silent = await send(server, START, {**glass, "glass": " "})
        nothing = server.app.reader.runs()
        done = await send(server, START, {**glass, "glass": "the shop burns"})
        _, run = server.app.run("1")
        page = await look(server, "/runs/1")

    assert ("Break the glass" in operator.text, "Break the glass" in admin.text) == (False, True)
    assert (refused.status_code, silent.status_code, nothing, done.status_code) == (403, 422, (), 303)
    assert run.break_glass == "the shop burns"
    assert "glass broken" in page.text


async def test_a_viewer_starts_nothing(tmp_path: Path) -> None:
    """Whoever may only look gets neither the form nor a run by sending one."""
    write_project(tmp_path, WORKFLOWS)
    async with server_in(tmp_path) as server:
        await look(server, START, "vic", status=403)
        answer = await send(server, START, {"form.thing": "ink", "act": "start"}, "vic")
        runs = server.app.reader.runs()

    assert (answer.status_code, runs) == (403, ())


async def test_values_in_the_address_fill_the_form_in(tmp_path: Path) -> None:
    """A link may fill a form in; it starts nothing and the other fields keep their defaults."""
    write_project(tmp_path, WORKFLOWS)
    async with server_in(tmp_path) as server:
        page = await look(server, f"{START}?form.thing=paper&form.evil=1&key=mine")

    assert (page.fields()["form.thing"], page.fields()["form.count"]) == ("paper", "1")
    assert "form.evil" not in page.fields()
    assert page.fields()["key"] != "mine"


async def test_grants_for_one_workflow_show_one_workflow(tmp_path: Path) -> None:
    """Whoever may see one workflow only finds one in the list, and is refused the other."""
    grants = '    - {role: operator, to: ["user:eve"], workflows: [order]}\n'
    write_project(
        tmp_path,
        {**WORKFLOWS, "hello": "name: hello\nsteps: [{id: a, run: echo a}]\n"},
        project=(PROJECT + grants).replace("    vic:", "    eve: {}\n    vic:"),
    )
    async with server_in(tmp_path) as server:
        page = await look(server, "/workflows", "eve")
        await look(server, "/workflows/hello", "eve", status=403)
        number = await started(server, "order", {"form.thing": "ink"}, "eve")
        refused = await send(server, "/workflows/hello/start", {"act": "start"}, "eve")

    assert ("/workflows/order" in page.links, "/workflows/hello" in page.links) == (True, False)
    assert (number, refused.status_code) == (1, 403)
