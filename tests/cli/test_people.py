"""People at several terminals: a release with a quorum and four eyes, tasks with forms, and everything else that is said to a question."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from towpath.cli import exit_codes

Tow = Callable[..., Any]  # the fixture of this folder
Write = Callable[[str, str], None]
Spawn = Callable[..., subprocess.Popen[str]]
PATIENCE_SECONDS = 40.0

PROJECT = """
name: tests
people:
  users:
    anna: {}
    ben: {}
    carl: {}
    dora: {}
    eve: {email: eve@example.org}
    ada: {}
  groups:
    managers: ["user:ada", "user:anna", "user:ben", "user:carl", "user:eve"]
    leads: ["user:dora"]
  on_call:
    platform:
      title: The platform
      time_zone: Europe/Berlin
      rotations: [{people: ["user:ben", "user:dora"]}]
"""
RELEASE = """
inputs: {version: {type: string, default: "1.4"}}
steps:
  - {id: build, run: "echo $RANDOM >>built"}
  - id: go_live
    approve: Release ${{ inputs.version }} to production?
    who: [group:managers]
    quorum: 2
    show: {scan: {critical: 0}}
    answer_within: 4h
    if_unanswered: reject
    remind: 2h
    escalate: [{after: 1h, to: [group:leads]}]
    send_back_to: build
  - id: note
    task: Tell support
    assign: [user:dora]
    form: {link: {type: string, required: true}, copies: {type: integer, default: 1}}
outputs: {by: "${{ steps.go_live.outputs.by }}", link: "${{ steps.note.outputs.link }}"}
"""


@pytest.fixture
def team(project: Path, write: Write) -> Path:
    """A project with people and a release that eve has edited last, in Git."""
    (project / "towpath.yaml").write_text(PROJECT)
    write("release", RELEASE)
    (project / ".gitignore").write_text(".towpath/\n")
    for words in (
        ["init", "-q"],
        ["add", "."],
        ["-c", "user.name=Eve", "-c", "user.email=eve@example.org", "commit", "-q", "-m", "x"],
    ):
        subprocess.run(["git", *words], cwd=project, check=True, capture_output=True)
    return project


def as_user(name: str, *words: str) -> tuple[int, str, str]:
    """`tow WORDS…` in a process of its own, as somebody types it at their terminal: exit code, output, errors."""
    done = subprocess.run(
        [sys.executable, "-m", "towpath", *words],
        env={**os.environ, "TOW_USER": name},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
        check=False,
    )
    return done.returncode, done.stdout, done.stderr


def inbox(tow: Tow, name: str, *words: str) -> list[dict[str, Any]]:
    """What waits for somebody, as data."""
    return [json.loads(row) for row in tow("inbox", "--as", name, "--json", *words).out.splitlines()]


def until_asked(tow: Tow, path: str, *, count: int = 1) -> None:
    """Waits until a run asks at *path*."""
    end = time.monotonic() + PATIENCE_SECONDS
    while [item["path"] for item in inbox(tow, "anna", "--all")].count(path) < count:
        assert time.monotonic() < end, f"{path} is not asked"
        time.sleep(0.05)


@pytest.mark.usefixtures("team")
def test_three_people_at_three_terminals(tow: Tow, spawn: Spawn) -> None:
    """The requester and the editor are refused with the reason; two others approve; the third is told who decided."""
    owner = spawn("run", "release", "--no-ask")
    until_asked(tow, "go_live")

    requester = as_user("ada", "approve", "1")
    editor = as_user("eve", "approve", "1", "go_live")
    stranger = as_user("dora", "approve", "1")
    first = as_user("anna", "approve", "1", "--comment", "the scan is clean")
    again = as_user("anna", "approve", "1")
    second = as_user("ben", "approve", "1")
    late = as_user("carl", "approve", "1", "go_live")
    by_answer = as_user("carl", "answer", "1", "go_live", "approve")
    without_step = as_user("carl", "reject", "1", "--comment", "wait")

    assert [requester[0], editor[0], stranger[0]] == [exit_codes.REFUSED] * 3
    assert "ada started the run and may not approve it (four_eyes)" in requester[2]
    assert "eve last edited the workflow" in editor[2]
    assert "dora is not asked: the question goes to group:managers" in stranger[2]
    assert first[:2] == (
        exit_codes.OK,
        "run 1: go_live — approved by anna: 1 of 2; 1 more needed, from: ben, carl\n",
    )
    assert (again[0], "answered it already" in again[2]) == (exit_codes.REFUSED, True)
    assert second[:2] == (exit_codes.OK, "run 1: go_live — approved by ben; the run goes on\n")
    shown = tow("show", "1").out
    ladder = shown[shown.index("ladder go_live") :].split("\n\n")[0].splitlines()[1:]
    assert [row[24:] for row in ladder if "no channel" not in row] == [
        "asked group:managers",
        "anna: approved — the scan is clean",
        "ben: approved",
        "decided by anna and ben: approved",
    ]
    assert all(re.match(r" {4}\d\d:\d\d:\d\d ", row) for row in ladder if "no channel" not in row)
    for code, _, said in (late, by_answer, without_step):
        assert code == exit_codes.REFUSED
        assert "go_live of run 1: decided by anna and ben at " in said
        assert ": approved" in said

    assert (
        as_user("dora", "done", "1", "--form", "link=http://x", "--form", "copies=two")[0] == exit_codes.USAGE
    )
    assert as_user("dora", "done", "1", "--form", "link=http://x")[0] == exit_codes.OK
    owner.communicate(timeout=PATIENCE_SECONDS)
    assert json.loads(tow("show", "--json").out)["outputs"] == {
        "by": ["user:anna", "user:ben"],
        "link": "http://x",
    }
    answers = [fact for fact in tow("show", "--timeline").out.splitlines() if "answered:" in fact]
    assert len(answers) == 3


def test_what_is_said_besides_deciding(team: Path, tow: Tow, spawn: Spawn) -> None:
    """Claims, hand-overs, comments, reminders, second thoughts and sending back reach the run, and `tow show` lists them in order."""
    spawn("run", "release", "--no-ask")
    until_asked(tow, "go_live")
    said = [
        ("claim", "1", "--as", "ben"),
        ("comment", "1", "is it urgent?", "--as", "dora"),
        ("claim", "1", "go_live", "--force", "--as", "anna"),
        ("claim", "1", "--release", "--as", "anna"),
        ("claim", "1", "--as", "anna"),
        ("hand-over", "1", "--to", "dora", "-m", "I am off", "--as", "anna"),
        ("approve", "1", "--as", "dora"),
        ("withdraw", "1", "--as", "dora"),
        ("remind", "1", "--as", "ada"),
    ]
    codes = [tow(*words).code for words in said]
    refused = [
        tow("claim", "1", "--as", "zoe"),
        tow("claim", "1", "--release", "--as", "carl"),
        tow("withdraw", "1", "--as", "carl"),
        tow("hand-over", "1", "--to", "group:nobody", "--as", "carl"),
        tow("remind", "1", "--as", "zoe"),
        tow("comment", "1", "go_live", "two", "texts"),
    ]
    shown = tow("show", "1").out
    ladder = shown[shown.index("ladder go_live") :].splitlines()[1:]
    back = tow("send-back", "1", "--as", "carl")
    back_with_reason = tow("send-back", "1", "-m", "build it again", "--as", "carl")

    assert codes == [exit_codes.OK] * len(said)
    assert [each.code for each in refused] == [exit_codes.REFUSED] * 5 + [exit_codes.USAGE]
    assert "carl has not claimed it, so there is nothing to release" in refused[1].err
    assert "carl has not answered it" in refused[2].err
    assert "nobody stands behind group:nobody" in refused[3].err
    ladder = [row for row in ladder if "no channel" not in row]
    assert [row[24:] for row in ladder if row.startswith("    ")][:9] == [
        "asked group:managers",
        "ben takes care of it",
        "dora: is it urgent?",
        "anna takes care of it",
        "anna has given it back to the others",
        "anna takes care of it",
        "anna handed it over to dora: I am off",
        "dora took the answer back",
        "reminder 1: told group:managers, user:dora",
    ]
    assert "tells group:leads, who may then answer too" in ladder[9]
    assert "then it counts as rejected" in ladder[-1]
    assert (back.code, back_with_reason.code) == (exit_codes.USAGE, exit_codes.OK)
    until_asked(tow, "go_live")
    assert len((team / "built").read_text().splitlines()) == 2


@pytest.mark.usefixtures("team")
def test_the_inbox_of_each(tow: Tow, spawn: Spawn) -> None:
    """Everybody sees what waits for them and why, in words and as data, and how to answer it; others' only with --all."""
    assert tow("inbox", "--as", "anna").out == "nothing waits for anna\n"
    spawn("run", "release", "--no-ask")
    until_asked(tow, "go_live")

    assert [(item["standing"], item["because"][0]["words"]) for item in inbox(tow, "anna")] == [
        ("asked", "group:managers")
    ]
    assert [item["standing"] for item in inbox(tow, "ada")] == ["held"]
    assert inbox(tow, "dora") == []
    assert [item["standing"] for item in inbox(tow, "dora", "--all")] == ["others"]
    assert [item["path"] for item in inbox(tow, "dora", "--group", "managers")] == ["go_live"]
    assert inbox(tow, "dora", "--group") == []
    assert inbox(tow, "anna", "--group") != []
    text = tow("inbox", "--as", "anna").out
    for wanted in (
        "1 waits for anna",
        "? Release 1.4 to production?  release #1, go_live",
        "goes to group:managers",
        "then it counts as rejected",
        "to group:leads",
        "who else could: ben, carl",
        "  tow approve 1 go_live\n",
        '  tow send-back 1 go_live --comment "…"\n',
    ):
        assert wanted in text
    held = tow("inbox", "--as", "ada").out
    assert "asked, but not for you to decide" in held
    assert "tow approve" not in held
    tow("approve", "1", "--as", "anna")
    answered = tow("inbox", "--as", "anna").out
    assert "you have answered; it takes more" in answered
    assert "tow withdraw 1 go_live" in answered
    assert "1 open question, 1 for ben" in tow("inbox", "--as", "ben", "--all").out


@pytest.mark.usefixtures("team")
def test_an_answer_counts_for_what_was_seen(tow: Tow, spawn: Spawn) -> None:
    """A script that looked first names what it saw: an answer to anything else is refused."""
    spawn("run", "release", "--no-ask")
    until_asked(tow, "go_live")
    (item,) = inbox(tow, "anna")

    other = tow("approve", "1", "--as", "anna", "--digest", "something else")
    same = tow("approve", "1", "--as", "anna", "--digest", item["digest"])

    assert (other.code, "what you saw is not what is asked now" in other.err) == (exit_codes.REFUSED, True)
    assert same.code == exit_codes.OK


def test_failures_and_unknown_outcomes_are_in_the_inbox(
    team: Path, tow: Tow, write: Write, spawn: Spawn
) -> None:
    """What a failing step asks waits for whoever operates, with its choices as commands that can be typed."""
    write("flaky", "steps: [{id: flaky, run: test -e flag, on_failure: ask}]")
    owner = spawn("run", "flaky", "--no-ask")
    until_asked(tow, "flaky")

    (item,) = inbox(tow, "dora")
    wrong = tow("approve", "1", "--as", "dora")
    (team / "flag").touch()
    settled = tow(*item["commands"]["retry"].split()[1:], "--by", "dora")
    owner.communicate(timeout=PATIENCE_SECONDS)

    assert (item["kind"], item["because"][0]["how"], item["until"]) == ("failure", "everybody", None)
    assert list(item["commands"]) == ["retry", "skip", "rollback", "stop"]
    assert (wrong.code, "tow answer 1 flaky retry" in wrong.err) == (exit_codes.REFUSED, True)
    assert (settled.code, owner.returncode) == (exit_codes.OK, exit_codes.OK)


@pytest.mark.usefixtures("team")
def test_several_questions_of_one_run(tow: Tow, write: Write, spawn: Spawn) -> None:
    """The step may be left out where only one question is open to the person; else the commands to choose from are shown."""
    write(
        "several",
        """
        steps:
          - id: all
            parallel:
              - {id: a, approve: A?, who: [user:anna], four_eyes: false}
              - {id: b, approve: B?, who: [user:anna, user:ben], four_eyes: false}
              - {id: c, task: Do it, assign: [user:ben]}
        """,
    )
    spawn("run", "several", "--no-ask")
    until_asked(tow, "all/c")

    unclear = tow("approve", "1", "--as", "anna")
    by_ben = tow("approve", "1", "--as", "ben")
    by_end_of_path = tow("approve", "1", "a", "--as", "anna")
    unknown = tow("approve", "1", "nowhere", "--as", "anna")

    assert unclear.code == exit_codes.REFUSED
    assert [row.strip() for row in unclear.err.splitlines()[1:]] == [
        "help: tow approve 1 all/a",
        "help: tow approve 1 all/b",
    ]
    assert by_ben.out == "run 1: all/b — approved by ben; the run goes on\n"
    assert by_end_of_path.code == exit_codes.OK
    assert (unknown.code, "it asks at: all/c" in unknown.err) == (exit_codes.NOT_FOUND, True)


@pytest.mark.usefixtures("team")
def test_a_question_of_a_run_that_nobody_drives(tow: Tow, spawn: Spawn) -> None:
    """When the owner has died, the inbox and the answer both say so, and how to go on; after that the answer counts."""
    owner = spawn("run", "release", "--no-ask")
    until_asked(tow, "go_live")
    owner.send_signal(signal.SIGKILL)
    owner.wait(timeout=PATIENCE_SECONDS)
    end = time.monotonic() + PATIENCE_SECONDS
    while inbox(tow, "anna")[0]["owner_life"] != "dead":
        assert time.monotonic() < end, "what a killed process leaves behind dies a moment after it"
        time.sleep(0.05)

    (item,) = inbox(tow, "anna")
    shown = tow("inbox", "--as", "anna").out
    refused = tow("approve", "1", "--as", "anna")
    spawn("resume", "1", "--no-ask")
    end = time.monotonic() + PATIENCE_SECONDS
    while inbox(tow, "anna")[0]["owner_life"] != "alive":
        assert time.monotonic() < end
        time.sleep(0.05)
    accepted = tow("approve", "1", "--as", "anna")

    assert item["owner_life"] == "dead"
    assert "its process died; before it can be answered: tow resume 1" in shown
    assert refused.code == exit_codes.REFUSED
    assert "tow resume 1" in refused.err
    assert accepted.code == exit_codes.OK


@pytest.mark.usefixtures("team")
def test_watching_the_inbox_from_a_script(tow: Tow, spawn: Spawn) -> None:
    """`--watch --json` tells what is new, what changes and what is gone, one line for each."""
    watcher = spawn("inbox", "--watch", "--json", "--as", "anna")
    spawn("run", "release", "--no-ask")
    until_asked(tow, "go_live")
    assert watcher.stdout is not None
    seen = [json.loads(watcher.stdout.readline())]
    tow("comment", "1", "hm", "--as", "dora")
    seen.append(json.loads(watcher.stdout.readline()))
    tow("reject", "1", "--as", "ben")
    seen.append(json.loads(watcher.stdout.readline()))

    assert [(told["change"], told["path"]) for told in seen] == [
        ("new", "go_live"),
        ("changed", "go_live"),
        ("gone", "go_live"),
    ]


@pytest.mark.usefixtures("team")
def test_who_is_on_call(tow: Tow) -> None:
    """The overview names who is on call and who is next; a rota by name shows its shifts, in its own time zone."""
    overview, rota = (
        tow("on-call").out.splitlines(),
        tow("on-call", "platform", "--days", "21").out.splitlines(),
    )
    shifts = [json.loads(row) for row in tow("on-call", "platform", "--json").out.splitlines()]
    unknown = tow("on-call", "network")

    assert overview[0].split() == ["ROTA", "ON", "CALL", "UNTIL", "NEXT"]
    assert overview[1].split()[0] == "platform"
    assert {overview[1].split()[1], overview[1].split()[-1]} == {"ben", "dora"}
    assert rota[0] == "platform  The platform"
    assert rota[1].startswith("now  ")
    assert len(rota) == 5
    assert "09:00 CE" in rota[2]
    assert [shift["people"] for shift in shifts[:2]] in ([["ben"], ["dora"]], [["dora"], ["ben"]])
    assert shifts[0]["until"] == shifts[1]["from"]
    assert (unknown.code, "it has: platform" in unknown.err) == (exit_codes.NOT_FOUND, True)


def test_a_project_without_rotas(tow: Tow) -> None:
    """Where nobody is ever on call, the command says how to change that."""
    assert "people: on_call:" in tow("on-call").out
