"""What people are told, in words: what, why me, until when, what happens otherwise, what to type."""

from __future__ import annotations

import shlex
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from outbox_support import MINUTE, NOW, notice

from towpath.people.messages import (
    QUESTION_CHARS_MAX,
    SUBJECT_CHARS_MAX,
    calling_nobody,
    clean,
    command_of,
    escaped,
    moment,
    span,
    subject_of,
    summary_of,
    text_of,
)

APPROVAL = """\
Release v1.4.2 to production?

Where: release_shop, run 12, step go_live
Started by: carla
Why you: you are in group:release_managers
Until: Mon 23 Nov 2026 04:43 CET (in 1 h 30 min)
If nobody answers: it counts as rejected.
To answer:
  tow approve 12 go_live
  tow reject 12 go_live --comment "…"

To look at it:
  tow show 12
"""


def plain(**different: Any) -> str:
    """The text of a notice for ada in Berlin."""
    return text_of(notice(**different), recipient="user:ada", zone="Europe/Berlin").plain


def test_an_approval_says_all_that_is_needed() -> None:
    """What, why me, until when in my time, what happens if I do nothing, and what to type."""
    assert plain() == APPROVAL


@pytest.mark.parametrize(
    ("different", "expected"),
    [
        ({}, "Approval wanted"),
        ({"kind": "task"}, "To do"),
        ({"kind": "failure"}, "A step failed and waits for you"),
        ({"kind": "unknown"}, "Nobody knows whether a step was done"),
        ({"kind": "rollback"}, "A rollback failed and waits for you"),
        ({"why": "reminder", "number": 2}, "Still waiting for you (reminder 2)"),
        ({"why": "rung", "number": 1}, "Escalated to you (rung 1)"),
        ({"why": "decided", "decision": "approve", "by": "user:ben"}, "Approved by ben"),
        ({"why": "decided", "decision": "send_back", "by": "user:ben"}, "Sent back by ben"),
        ({"why": "decided"}, "No longer asked"),
        (
            {
                "why": "decided",
                "decision": "approve",
                "by": "user:ben",
                "answered_by": ("user:ada", "user:ben"),
            },
            "Approved by ada and ben",
        ),
        ({"why": "decided", "until": NOW}, "The time was up, it counts as rejected"),
        ({"why": "decided", "until": NOW, "if_unanswered": "fail"}, "The time was up, the step fails"),
        ({"why": "handed_over", "number": 1}, "Handed over to you"),
        ({"why": "withdrawn"}, "No longer asked, the run was stopped"),
        ({"why": "voided"}, "Asked again, the answers so far are void"),
        ({"why": "review"}, "Emergency change to be reviewed"),
    ],
)
def test_the_subject_says_what_it_is_about(different: dict[str, Any], expected: str) -> None:
    """The one line that is seen on a locked telephone says what is wanted, and where."""
    assert subject_of(notice(**different)) == f"{expected}: release_shop #12, go_live"


@pytest.mark.parametrize(
    ("different", "expected"),
    [
        ({}, "Why you: you are in group:release_managers\n"),
        ({"to": {"ada": "oncall:platform"}}, "Why you: you are on call (oncall:platform)\n"),
        ({"to": {"ada": "user:ada"}}, "Why you: you are asked by name\n"),
        ({"asked": (), "to": {"ada": ""}}, "Why you: nobody is named, and you started the run\n"),
        ({"to": {"ada": "user:ben"}}, "Why you: you stand in for ben\n"),
        ({"why": "rung"}, "Why you: you are in group:release_managers, and it still waits\n"),
        ({"to": {"ben": "", "carl": ""}}, "Why you: asked: ben, carl\n"),
        ({"until": None}, "Until: no time limit, it waits until somebody answers\n"),
        ({"until": NOW - 1}, "Until: Mon 23 Nov 2026 03:13 CET (over)\n"),
        ({"until": None}, "If nobody answers: nothing happens; the run goes on waiting.\n"),
        ({"if_unanswered": "approve"}, "If nobody answers: it counts as approved.\n"),
        ({"if_unanswered": "fail"}, "If nobody answers: the step fails.\n"),
        ({"if_unanswered": "continue"}, "If nobody answers: the run goes on without an answer.\n"),
        ({"quorum": 2, "answered_by": ("user:ben",)}, "Answers: 2 wanted; ben\n"),
        ({"quorum": 2}, "Answers: 2 wanted; none so far\n"),
        ({"evidence": (("scan", "clean"),)}, "Shown with it:\n  scan: clean\n"),
        ({"instructions": "Post it."}, "\nPost it.\n"),
        ({"why": "voided"}, "please look again, also if you have answered"),
        (
            {"why": "decided", "decision": "reject", "by": "user:ben", "comment": "no"},
            "Comment: no\nYou need not",
        ),
        ({"why": "withdrawn"}, "Outcome: No longer asked, the run was stopped\nYou need not"),
        ({"url": "https://tow.example/runs/12"}, "  https://tow.example/runs/12\n"),
    ],
)
def test_a_text_holds_what_is_to_be_known(different: dict[str, Any], expected: str) -> None:
    """Each circumstance has its line."""
    assert expected in plain(**different)


def test_a_decision_asks_nobody_for_anything() -> None:
    """Who is told that it is decided sees no command to answer, and no deadline."""
    text = plain(why="decided", decision="approve", by="user:ben")

    assert "tow approve" not in text
    assert "Until" not in text


@pytest.mark.parametrize(
    ("choice", "path", "expected"),
    [
        ("approve", "go_live", "tow approve 12 go_live"),
        ("reject", "go_live", 'tow reject 12 go_live --comment "…"'),
        ("send_back", "go_live", 'tow send-back 12 go_live --comment "…"'),
        ("done", "handover", "tow done 12 handover"),
        ("failed", "handover", 'tow answer 12 handover failed --comment "…"'),
        ("retry", "fleet[web 1]/install", "tow answer 12 'fleet[web 1]/install' retry"),
        ("retry", "fleet[$(reboot)]/install", "tow answer 12 'fleet[$(reboot)]/install' retry"),
        ("retry", "fleet[\x1b]/install", "tow answer 12"),
    ],
)
def test_a_command_can_be_typed_as_it_stands(choice: str, path: str, expected: str) -> None:
    """A shell takes the command apart into exactly the words that are meant."""
    command = command_of(notice(path=path), choice)

    assert command == expected
    assert shlex.split(command)[2:4] in (["12", path], ["12"])


NASTY = "**bold** [click](http://evil) <b>x</b> `code` # h\n# head\n- item\n<!channel> @here www.evil.com https://evil"


def test_markup_from_outside_stays_text() -> None:
    """Question, evidence, names and comments are shown as they are: no link, no emphasis, no heading, nobody called."""
    told = notice(
        question=NASTY,
        evidence=((NASTY, NASTY),),
        instructions=NASTY,
        workflow=NASTY,
        path="fleet[`**x**`]/install",
        started_by=NASTY,
        to={"ada": NASTY},
    )

    html = MarkdownIt("gfm-like", {"linkify": False}).render(text_of(told, recipient="user:ada").markdown)

    for tag in ("<a ", "<h1", "<em", "<li", "<b>", "<img"):
        assert tag not in html
    # Only our own labels are bold, only our own commands are code.
    assert "<strong>bold" not in html
    assert html.count("<code>") == 1
    assert "@here" not in html
    assert "https://evil" not in html


@given(st.text())
def test_whatever_is_escaped_is_read_again_as_it_was(text: str) -> None:
    """Markdown shows an escaped text as one paragraph of the very words."""
    line = " ".join(clean(text).split())
    html = MarkdownIt("gfm-like", {"linkify": False}).render(f"x {escaped(line)} x")

    assert html.startswith("<p>x ")
    inner = html.removeprefix("<p>").removesuffix("</p>\n")
    assert "<" not in inner


@given(st.text())
def test_texts_hold_nothing_that_steers(text: str) -> None:
    """Whatever stands in a question, the texts hold no control character, and the subject is one short line."""
    told = notice(
        question=text, workflow=text, path=text, comment=text, started_by=text, evidence=((text, text),)
    )
    made = text_of(told, recipient="user:ada")

    assert made.subject == clean(made.subject)
    assert "\n" not in made.subject
    assert len(made.subject) <= SUBJECT_CHARS_MAX
    assert made.plain == clean(made.plain)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a\x1b[31mb\x07\x00c", "a[31mbc"),
        ("a\u202egnp.exe", "agnp.exe"),
        ("a\r\nb\rc\td", "a\nb\nc d"),
        ("bom\ufeff zero\u200b wide", "bom zero wide"),
        ("\ud800x", "x"),
        ("👩\u200d🚒 نامه\u200cای", "👩\u200d🚒 نامه\u200cای"),
    ],
)
def test_hidden_characters_are_taken_out(text: str, expected: str) -> None:
    """Escape sequences, turned writing directions and invisible characters go; emoji and scripts stay."""
    assert clean(text) == expected


@pytest.mark.parametrize("call", ["@here", "@Channel", "@all", "@everyone", "<!here>", "<@U1>", "<#C1>"])
def test_plain_texts_call_nobody(call: str) -> None:
    """What a chat service would take for a call to everybody is broken; other text is left alone."""
    assert call not in calling_nobody(f"x {call} y")
    assert calling_nobody("ada@example.com <b> 1 < 2") == "ada@example.com <b> 1 < 2"


def test_long_texts_are_cut() -> None:
    """A question of any length leaves a message that can be read on a telephone."""
    text = plain(question="x" * 100_000, evidence=(("e", "y" * 100_000),), path="z" * 100_000)

    assert len(text) < 4 * QUESTION_CHARS_MAX + 2_000


def test_evidence_is_shown_in_short() -> None:
    """The first entries with the beginnings of their values; a file by its name and digest; the rest is counted."""
    evidence = {f"name{number}": {"critical": number} for number in range(12)} | {}
    plan = {"plan": {"file": "plan.txt", "digest": "abcdef0123456789", "text": "…"}}

    assert summary_of(plan) == (("plan", "plan.txt (abcdef012345)"),)
    assert summary_of(evidence)[0] == ("name0", '{"critical": 0}')
    assert summary_of(evidence)[-1] == ("…", "and 2 more")
    assert len(summary_of({"big": "x" * 9_999})[0][1]) == 200


@pytest.mark.parametrize(
    ("duration", "expected"),
    [
        (0, "0 s"),
        (59_000_000, "59 s"),
        (MINUTE, "1 min"),
        (90_000_000, "1 min 30 s"),
        (90 * MINUTE, "1 h 30 min"),
        (26 * 60 * MINUTE, "1 d 2 h"),
        (-5, "0 s"),
    ],
)
def test_spans_are_read_at_a_glance(duration: int, expected: str) -> None:
    """Two units at most."""
    assert span(duration) == expected


@pytest.mark.parametrize(
    ("at", "zone", "expected"),
    [
        (NOW, "UTC", "Mon 23 Nov 2026 02:13 UTC"),
        (NOW, "America/New_York", "Sun 22 Nov 2026 21:13 EST"),
        (NOW, "No/Where", "Mon 23 Nov 2026 02:13 UTC"),
        (10**30, "UTC", "in a far future"),
    ],
)
def test_moments_are_read_where_one_lives(at: int, zone: str, expected: str) -> None:
    """Day, date, time and the zone's own name; an unknown zone is UTC."""
    assert moment(at, zone) == expected
