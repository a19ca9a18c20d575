"""The inbox's pages: what waits for whom, and deciding with the evidence in view."""

from __future__ import annotations

import asyncio
import html
import re
from pathlib import Path

import pytest
from server_support import TestServer, server_in, write_project

from towpath.store.contract import RunNumber

RELEASE = """
name: release
inputs: {version: {type: string, default: "1"}}
steps:
  - id: go_live
    approve: "Release ${{ inputs.version }}?"
    who: ["group:operators"]
    show:
      change: |
        --- a/nginx.conf
        +++ b/nginx.conf
        @@ -1 +1 @@
        -listen 80;
        +listen 443;
      scan: {critical: 0}
    form:
      ticket: {type: string, pattern: "CHG[0-9]+"}
  - {id: after, run: "true"}
"""
TASK = """
name: handover
steps:
  - id: tell
    task: Tell support
    instructions: |
      Before the customers call:
      1. Post the note
      - [ ] Wait for an answer
    assign: ["group:operators"]
"""
WORKFLOWS = {"release": RELEASE, "handover": TASK}
PAGE = {"accept": "text/html"}
LOOK_SECONDS = 0.05
LOOKS_MAX = 1_200


async def started(server: TestServer, name: str, by: str = "user:vic") -> RunNumber:
    """A run that asks its question."""
    app = server.app
    done = await server.engine.start(app.request(app.find(name), {}, started_by=by))
    for _ in range(LOOKS_MAX):
        if any(run.number == done.number for run in app.reader.open_questions()):
            return done.number
        await asyncio.sleep(LOOK_SECONDS)
    raise AssertionError("it never asked")


async def look(server: TestServer, path: str, who: str) -> str:
    """The text of a page."""
    answer = await server.client.get(path, headers={**server.as_(who), **PAGE})
    assert answer.status_code == 200, answer.text
    return answer.text


def digest_in(page: str) -> str:
    """What the answer is bound to."""
    found = re.search(r'name="digest" value="([^"]*)"', page)
    assert found is not None
    return found[1]


async def test_what_waits_for_me_is_mine_and_the_rest_is_everybodys(tmp_path: Path) -> None:
    """Who is asked finds the question in their inbox; who is not finds it under everybody's."""
    write_project(tmp_path, WORKFLOWS)
    async with server_in(tmp_path) as server:
        await started(server, "release")
        mine = await look(server, "/inbox", "ben")
        not_mine = await look(server, "/inbox", "ada")
        everybody = await look(server, "/inbox?everybody=true", "ada")

    assert "For you" in mine
    assert "Release 1?" in mine
    assert "Nothing waits for you" in not_mine
    assert "Release 1?" in everybody


async def test_a_question_shows_all_that_one_decides_by(tmp_path: Path) -> None:
    """Text, evidence with its difference marked, the form, the choices and the digest are on one page, and looking decides nothing."""
    write_project(tmp_path, WORKFLOWS)
    async with server_in(tmp_path) as server:
        number = await started(server, "release")
        page = await look(server, f"/inbox/{number}/go_live", "ben")
        again = await look(server, f"/inbox/{number}/go_live", "ben")
        _, run = server.app.run(str(number))

    question = run.nodes["go_live"].question
    assert question is not None
    assert '<span class="add">+listen 443;' in page
    assert '<span class="cut">-listen 80;' in page
    assert 'name="form.ticket"' in page
    assert set(re.findall(r'name="decision" value="(\w+)"', page)) == set(question.choices)
    assert digest_in(page) == question.digest == digest_in(again)
    assert run.nodes["go_live"].status == "asking"


async def test_an_answer_from_the_page_decides(tmp_path: Path) -> None:
    """Approve, with the form filled in, decides the question in the name of who has sent it; the page then tells who decided."""
    write_project(tmp_path, WORKFLOWS)
    async with server_in(tmp_path) as server:
        number = await started(server, "release")
        address = f"/inbox/{number}/go_live"
        digest = digest_in(await look(server, address, "ben"))
        sent = {"decision": "approve", "digest": digest, "form.ticket": "CHG7", "comment": " fine "}
        answer = await server.client.post(f"{address}/answer", data=sent, headers=server.as_("ben"))
        page = await look(server, address, "cy")
        row = server.app.reader.run(number)
        facts = [fact for _, fact in server.app.events(row) if type(fact).__name__ == "AnswerGiven"]

    assert (answer.status_code, answer.headers["location"]) == (303, address)
    assert [
        (one.answer.by, one.answer.decision, one.answer.comment, dict(one.answer.form)) for one in facts
    ] == [("user:ben", "approve", "fine", {"ticket": "CHG7"})]
    assert "decided by ben" in page
    assert 'name="decision"' not in page


@pytest.mark.parametrize(
    ("who", "sent", "status", "told"),
    [
        ("ben", {"decision": "approve", "form.ticket": "7"}, 422, "does not match CHG"),
        ("ben", {"decision": "approve"}, 422, "has to be filled in"),
        ("ben", {"decision": "reject", "form.ticket": "CHG7"}, 422, "say why"),
        ("ben", {"decision": "approve", "form.ticket": "CHG7", "digest": "other"}, 409, "asked again since"),
        ("ben", {"decision": "fly", "form.ticket": "CHG7"}, 409, "cannot be answered with"),
        ("ada", {"decision": "approve", "form.ticket": "CHG7"}, 409, "goes to group:operators"),
    ],
)
async def test_a_refused_answer_says_why_and_keeps_what_was_typed(
    tmp_path: Path, who: str, sent: dict[str, str], status: int, told: str
) -> None:
    """Nothing is decided by an answer that does not fit or may not be given; the reason stands on the page, beside what was typed."""
    write_project(tmp_path, WORKFLOWS)
    async with server_in(tmp_path) as server:
        number = await started(server, "release")
        address = f"/inbox/{number}/go_live"
        digest = digest_in(await look(server, address, "ben"))
        answer = await server.client.post(
            f"{address}/answer", data={"digest": digest, **sent}, headers={**server.as_(who), **PAGE}
        )
        _, run = server.app.run(str(number))

    assert answer.status_code == status
    assert told in html.unescape(answer.text)
    assert run.nodes["go_live"].status == "asking"
    if who == "ben" and "form.ticket" in sent:
        assert f'value="{sent["form.ticket"]}"' in answer.text


async def test_four_eyes_are_told_before_the_answer(tmp_path: Path) -> None:
    """Who started the run sees why they may not approve it, and a button that cannot be pressed."""
    write_project(tmp_path, WORKFLOWS)
    async with server_in(tmp_path) as server:
        number = await started(server, "release", by="user:ben")
        page = html.unescape(await look(server, f"/inbox/{number}/go_live", "ben"))

    assert re.search(r"<button class=\"primary\" disabled>Approve</button>.*four_eyes", page)


async def test_too_late_says_who_decided(tmp_path: Path) -> None:
    """The second of two answers changes nothing and is told who was quicker."""
    write_project(tmp_path, WORKFLOWS)
    async with server_in(tmp_path) as server:
        number = await started(server, "release")
        address = f"/inbox/{number}/go_live"
        digest = digest_in(await look(server, address, "ben"))
        sent = {"decision": "approve", "digest": digest, "form.ticket": "CHG7"}
        await server.client.post(f"{address}/answer", data=sent, headers=server.as_("ben"))
        late = await server.client.post(
            f"{address}/answer",
            data={**sent, "decision": "reject", "comment": "no"},
            headers={**server.as_("cy"), **PAGE},
        )

    assert late.status_code == 409
    assert "It was too late" in late.text
    assert "decided by ben" in late.text


async def test_a_repeated_form_has_no_effect(tmp_path: Path) -> None:
    """A form that a browser sends twice is said once."""
    write_project(tmp_path, WORKFLOWS)
    async with server_in(tmp_path) as server:
        number = await started(server, "release")
        address = f"/inbox/{number}/go_live"
        digest = digest_in(await look(server, address, "ben"))
        sent = {"decision": "approve", "digest": digest, "form.ticket": "CHG7"}
        for _ in range(2):
            await server.client.post(f"{address}/answer", data=sent, headers=server.as_("ben"))
        row = server.app.reader.run(number)
        said = [fact for _, fact in server.app.events(row) if type(fact).__name__ == "AnswerGiven"]

    assert len(said) == 1


async def test_what_does_not_decide_is_said_too(tmp_path: Path) -> None:
    """Claiming, taking over, giving back, commenting, handing over and reminding are buttons of the page."""
    write_project(tmp_path, WORKFLOWS)
    async with server_in(tmp_path) as server:
        number = await started(server, "release")
        address = f"/inbox/{number}/go_live"

        async def say(who: str, act: str, **sent: str) -> int:
            answer = await server.client.post(f"{address}/{act}", data=sent, headers=server.as_(who))
            return answer.status_code

        said = [
            await say("ben", "claim"),
            await say("cy", "claim", force="yes"),
            await say("cy", "release"),
            await say("cy", "comment", text="<b>wait</b>"),
            await say("cy", "hand_over", to="user:vic", why="holiday"),
            await say("ben", "remind"),
        ]
        page = await look(server, address, "ben")
        refused = await server.client.post(
            f"{address}/hand_over", data={"to": "nobody"}, headers={**server.as_("ben"), **PAGE}
        )

    assert said == [303] * 6
    assert "&lt;b&gt;wait&lt;/b&gt;" in page
    assert "handed it over to vic" in html.unescape(page)
    assert (refused.status_code, "nobody stands behind" in html.unescape(refused.text)) == (409, True)


async def test_a_task_is_a_list_to_tick_off(tmp_path: Path) -> None:
    """The points of a task's instructions are ticked off on the page, without a word to anybody."""
    write_project(tmp_path, WORKFLOWS)
    async with server_in(tmp_path) as server:
        number = await started(server, "handover")
        page = await look(server, f"/inbox/{number}/tell", "ben")

    assert re.findall(r'data-tick> <span class="text">([^<]*)<', page) == [
        "Post the note",
        "Wait for an answer",
    ]


async def test_who_may_not_answer_is_told(tmp_path: Path) -> None:
    """A viewer sees the question and the reason instead of a form; what they send all the same is refused."""
    write_project(tmp_path, WORKFLOWS)
    async with server_in(tmp_path) as server:
        number = await started(server, "release")
        page = await look(server, f"/inbox/{number}/go_live", "vic")
        answer = await server.client.post(
            f"/inbox/{number}/go_live/answer", data={"decision": "approve"}, headers=server.as_("vic")
        )

    assert "You cannot answer this" in page
    assert 'name="decision"' not in page
    assert answer.status_code == 403
