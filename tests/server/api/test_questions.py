"""Questions over HTTP: what waits, what there is to see before an answer, and every way to say something."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from asked_support import asking, ended
from server_support import TestServer, server_in, write_project

from towpath.policy.access import Actor
from towpath.server.api import answering
from towpath.server.call import Call, Visitor
from towpath.server.once import Once

GATE = """
name: gate
steps:
  - id: go
    approve: Go live?
    who: ["group:operators", "user:ada"]
    show: {scan: "clean\\nnothing found"}
    answer_within: 2h
    if_unanswered: reject
    remind: 30m
    form: {ticket: {type: string, title: Ticket, pattern: "T-[0-9]+"}}
"""
TWICE = """
name: twice
steps:
  - {id: go, approve: Go?, who: ["group:operators"], quorum: 2, four_eyes: false}
"""
TASK = """
name: task
steps:
  - {id: look, task: Look at it, assign: ["user:ben"]}
  - {id: again, task: Look again, assign: ["user:ben"]}
"""
WORKFLOWS = {"gate": GATE, "twice": TWICE, "task": TASK}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A project with workflows that ask."""
    write_project(tmp_path, WORKFLOWS)
    return tmp_path


async def get(server: TestServer, path: str, who: str) -> Any:
    """What somebody is answered."""
    answer = await server.client.get(f"/api/v1{path}", headers=server.as_(who))
    assert answer.status_code == 200, answer.text
    return answer.json()


async def say(server: TestServer, path: str, who: str, body: Any = None) -> tuple[int, Any]:
    """What somebody says to the first run's question, and the answer."""
    given = {} if body is None else {"json": body}
    answer = await server.client.post(f"/api/v1/runs/1/questions/{path}", headers=server.as_(who), **given)
    return answer.status_code, answer.json()


async def test_what_waits_is_told_to_those_for_whom_it_waits(folder: Path) -> None:
    """The inbox has what goes to a person, why, until when, and what silence means; others see it when they look at everything."""
    async with server_in(folder) as server:
        await asking(server, "gate")
        mine = await get(server, "/questions", "ben")
        hers = await get(server, "/questions", "ada")
        nothing = await get(server, "/questions", "vic")
        all_of_it = await get(server, "/questions?everything=true", "vic")
        of_run = await get(server, "/runs/1/questions", "ben")

    (item,) = mine["items"]
    assert (mine["person"], item["standing"], item["path"], item["if_unanswered"]) == (
        "ben",
        "asked",
        "go",
        "reject",
    )
    assert [one["words"] for one in item["because"]] == ["group:operators"]
    assert item["until"] is not None
    assert item["next"]["kind"] == "reminder"
    assert item["fields"] == ["ticket"]
    assert [(one["standing"], "four_eyes" in one["reason"]) for one in hers["items"]] == [("held", True)]
    assert nothing["items"] == []
    assert [one["standing"] for one in all_of_it["items"]] == ["others"]
    assert of_run["items"] == [item]


async def test_a_question_shows_all_that_there_is_before_an_answer(folder: Path) -> None:
    """One question has its evidence with the digest, its form, who may say what and why not, its ladder, and what was said."""
    async with server_in(folder) as server:
        await asking(server, "gate")
        await say(server, "go/comment", "cy", {"text": "<b>wait</b>"})
        seen = await get(server, "/runs/1/questions/go", "ada")

    assert (seen["text"], seen["evidence"], seen["is_open"]) == (
        "Go live?",
        {"scan": "clean\nnothing found"},
        True,
    )
    assert len(seen["digest"]) == 64
    assert seen["form"]["ticket"]["pattern"] == "T-[0-9]+"
    refusals = {one["choice"]: one["refusal"] for one in seen["choices"]}
    assert "started the run and may not approve it" in refusals["approve"]
    assert refusals["reject"] == ""
    assert "comment" in seen["says"]
    assert [one["text"] for one in seen["comments"]] == ["<b>wait</b>"]
    assert [one["kind"] for one in seen["coming"]] == ["reminder", "reminder", "reminder", "expiry"]
    assert seen["happened"][0]["text"] == "asked group:operators, user:ada"
    assert seen["standing"]["standing"] == "held"


async def test_an_approval_is_bound_to_what_was_seen(folder: Path) -> None:
    """Without the digest of what was seen, with another one, or with a form that does not fit, nothing is decided; then it is."""
    async with server_in(folder) as server:
        number = await asking(server, "gate")
        digest = (await get(server, "/runs/1/questions/go", "ben"))["digest"]
        form = {"ticket": "T-1"}
        blind = await say(server, "go/answer", "ben", {"decision": "approve", "form": form})
        other = await say(
            server, "go/answer", "ben", {"decision": "approve", "form": form, "digest": "0" * 64}
        )
        wrong = await say(
            server, "go/answer", "ben", {"decision": "approve", "form": {"ticket": "x"}, "digest": digest}
        )
        right = await say(server, "go/answer", "ben", {"decision": "approve", "form": form, "digest": digest})
        status = await ended(server, number)
        late = await say(server, "go/answer", "cy", {"decision": "reject", "digest": digest})
        over = await get(server, "/runs/1/questions/go", "cy")

    assert [blind[0], other[0], wrong[0], right[0]] == [422, 409, 422, 200]
    assert "digest" in blind[1]["detail"]
    assert "ticket" in wrong[1]["detail"]
    assert (right[1]["is_open"], status) == (False, "succeeded")
    assert right[1]["outcome"].startswith("approved by ben")
    assert late[0] == 409
    assert "decided by ben" in late[1]["detail"]
    assert "approved" in late[1]["detail"]
    assert (over["is_open"], over["standing"], over["answers"][0]["via"]) == (False, None, "api")
    assert "decided by ben" in over["ending"]


@pytest.mark.parametrize(
    ("who", "decision", "status", "told"),
    [
        ("ada", "approve", 409, "started the run"),
        ("vic", "approve", 403, "question.answer"),
        ("ben", "fly", 409, "cannot be answered"),
        ("ben", "send_back", 409, "cannot be answered"),
    ],
)
async def test_who_may_not_is_told_why(folder: Path, who: str, decision: str, status: int, told: str) -> None:
    """Four eyes, a missing permission and a choice that there is not are refused, each with its reason."""
    async with server_in(folder) as server:
        await asking(server, "gate")
        digest = (await get(server, "/runs/1/questions/go", "ada"))["digest"]
        body = {"decision": decision, "form": {"ticket": "T-1"}, "digest": digest}
        answer = await say(server, "go/answer", who, body)
        still = await get(server, "/runs/1/questions/go", "ada")

    assert (answer[0], told in answer[1]["detail"]) == (status, True), answer
    assert (still["is_open"], still["answers"]) == (True, [])


async def test_a_second_approval_is_asked_for_and_a_first_one_taken_back(folder: Path) -> None:
    """Of two approvals the first leaves the question open and says who is missing; it can be taken back."""
    async with server_in(folder) as server:
        number = await asking(server, "twice")
        digest = (await get(server, "/runs/1/questions/go", "ben"))["digest"]
        approve = {"decision": "approve", "digest": digest}
        first = await say(server, "go/answer", "ben", approve)
        again = await say(server, "go/answer", "ben", approve)
        back = await say(server, "go/withdraw", "ben")
        once_more = await say(server, "go/answer", "ben", approve)
        second = await say(server, "go/answer", "cy", approve)
        status = await ended(server, number)

    assert (first[0], first[1]["is_open"]) == (200, True)
    assert first[1]["outcome"] == "approved by ben: 1 of 2; 1 more needed, from: cy"
    assert (again[0], "answered it already" in again[1]["detail"]) == (409, True)
    assert [back[0], once_more[0], second[0], status] == [200, 200, 200, "succeeded"]


async def test_claims_hand_overs_and_reminders(folder: Path) -> None:
    """A claim keeps the others out until it is taken over or given back; who is handed a question may answer it; people are reminded."""
    async with server_in(folder) as server:
        await asking(server, "twice")
        digest = (await get(server, "/runs/1/questions/go", "ben"))["digest"]
        claimed = await say(server, "go/claim", "ben", {})
        kept_out = await say(server, "go/answer", "cy", {"decision": "approve", "digest": digest})
        taken = await say(server, "go/claim", "cy", {"force": True})
        not_his = await say(server, "go/release", "ben")
        released = await say(server, "go/release", "cy")
        handed = await say(server, "go/hand_over", "ben", {"to": "ada", "comment": "you know it best"})
        nobody = await say(server, "go/hand_over", "ben", {"to": "group:nobody"})
        reminded = await say(server, "go/remind", "cy")
        by_viewer = await say(server, "go/remind", "vic")
        seen = await get(server, "/runs/1/questions/go", "ada")

    assert [claimed[0], kept_out[0], taken[0], not_his[0], released[0]] == [200, 409, 200, 409, 200]
    assert "ben has claimed it" in kept_out[1]["detail"]
    assert (handed[0], nobody[0]) == (200, 409)
    assert handed[1]["outcome"] == "user:ada may answer it, too"
    assert (reminded[0], by_viewer[0]) == (200, 403)
    assert reminded[1]["outcome"] == "reminded ada, ben, cy"
    assert seen["standing"]["standing"] == "asked"
    assert any("handed it over to" in one["text"] for one in seen["happened"])


async def test_a_task_is_done_and_nothing_is_asked_elsewhere(folder: Path) -> None:
    """A task is answered with `done`; a step that asks nothing, or never did, is a 404, and so is a run that there is not."""
    async with server_in(folder) as server:
        await asking(server, "task", by="user:cy")
        digest = (await get(server, "/runs/1/questions/look", "ben"))["digest"]
        done = await say(
            server, "look/answer", "ben", {"decision": "done", "digest": digest, "form": {"seen": "yes"}}
        )
        nowhere = await say(server, "nowhere/answer", "ben", {"decision": "done"})
        paths = ("/runs/1/questions/nowhere", "/runs/77/questions/look")
        missing = [await server.client.get(f"/api/v1{path}", headers=server.as_("ben")) for path in paths]

    assert done[0] == 200
    assert nowhere[0] == 404
    assert [one.status_code for one in missing] == [404, 404]


async def test_an_answer_whose_reply_was_lost_is_found_and_not_given_twice(folder: Path) -> None:
    """A request with a key that broke off after it was done is answered with what it did; one that did nothing is done."""
    async with server_in(folder) as server:
        await asking(server, "twice")
        app = server.app
        visitor = Visitor(
            actor=Actor(name="user:ben", principals=frozenset({"group:operators", "user:ben"})), way="token"
        )
        call = Call(parts=server.parts, visitor=visitor)
        lost = Once(id="a", since=app.now(), is_again=True)
        digest = (await get(server, "/runs/1/questions/go", "ben"))["digest"]
        said = answering.Answer(decision="approve", digest=digest)
        done = await answering.answer(call, "1", "go", said, lost)
        again = await answering.answer(call, "1", "go", said, lost)
        remark = answering.Remark(text="looks good")
        for _ in range(2):
            await answering.comment(call, "1", "go", remark, lost)
        seen = await get(server, "/runs/1/questions/go", "ben")

    assert done.outcome == "approved by ben: 1 of 2; 1 more needed, from: cy"
    assert (again.outcome, again.is_open) == ("ben: approved", True)
    assert (len(seen["answers"]), len(seen["comments"])) == (1, 1)
