"""`kill -9` at every point between a question and its escalation, and around an emergency start: nothing is lost, nothing comes twice.

Every case is a project of its own, with one process after the other on it: the first ones are killed, the last is not. A point is a
statement that writes, or the moment before or after a message goes out. In the quick tier some points are taken, in the others all.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import people_support as clocks
import pytest
from end_to_end_support import PROJECT, shown

from tiers import Tier
from towpath import app as towpath_app
from towpath.core import events
from towpath.settings import Settings
from towpath.store.contract import SendingFilter

PROGRAM = Path(__file__).parent / "programs" / "mortal_ladder.py"
PROCESSES = 2
QUICK_POINTS = 16
LADDER = """
name: story
steps:
  - id: gate
    approve: Release it?
    who: ["user:bob"]
    show: {plan: {file: plan.txt}}
    hours: office
    answer_within: 12h
    if_unanswered: reject
    remind: 5h
    escalate: [{after: 2h, to: ["group:leads"]}, {after: 8h, to: ["group:owners"]}]
"""
MOMENTS = (
    "2026-11-23 10:00",
    "2026-11-23 13:00",
    "2026-11-23 16:00",
    "2026-11-24 10:00",
    "2026-11-24 12:00",
)
TOLD = [
    "Mon 23 Nov 10:00 CET rung 1",
    "Mon 23 Nov 13:00 CET reminder 1",
    "Mon 23 Nov 16:00 CET rung 2",
    "Tue 24 Nov 10:00 CET reminder 2",
    "Tue 24 Nov 12:00 CET rejected",
]
EMERGENCY = """
name: story
environment: production
steps: [{uses: log, with: {message: mended}}]
"""
Kills = tuple[int, ...]
"""At which point of its life each process is killed; one more comes after them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Story:
    """What happens when nobody is killed."""

    workflow: str
    moments: tuple[str, ...] = ()
    break_glass: str = ""
    told: list[str]
    """What the journal says, and when."""
    noticed: list[tuple[str, str]]
    """Why and whom somebody is told, in any order."""


STORIES = {
    "a question is escalated": Story(
        workflow=LADDER,
        moments=MOMENTS,
        told=TOLD,
        noticed=[
            ("asked", "user:bob"),
            *(("reminder", f"user:{who}") for who in ("bob", "bob", "dora", "dora", "eve")),
            ("rung", "user:dora"),
            ("rung", "user:eve"),
        ],
    ),
    "the glass is broken": Story(
        workflow=EMERGENCY,
        break_glass="the shop is down",
        told=["Fri 20 Nov 16:00 CET succeeded"],
        noticed=[("review", "user:bob"), ("review", "user:cy")],
    ),
}


class Lives:
    """A few processes that play lives."""

    def __init__(self) -> None:
        self._free: SimpleQueue[subprocess.Popen[str]] = SimpleQueue()
        self._all = [
            subprocess.Popen(
                [sys.executable, str(PROGRAM)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
            )
            for _ in range(PROCESSES)
        ]
        for one in self._all:
            self._free.put(one)

    def play(self, folder: Path, *, kill_at: int = 0, forgets: bool = False) -> dict[str, Any]:
        """Plays one life."""
        one = self._free.get()
        try:
            assert one.stdin is not None
            assert one.stdout is not None
            one.stdin.write(
                json.dumps({"folder": str(folder), "kill_at": kill_at, "forgets": forgets}) + "\n"
            )
            one.stdin.flush()
            ended: dict[str, Any] = json.loads(one.stdout.readline())
        finally:
            self._free.put(one)
        return ended

    def close(self) -> None:
        """Ends them."""
        for one in self._all:
            assert one.stdin is not None
            assert one.stdout is not None
            one.stdin.close()
            one.wait()
            one.stdout.close()


@pytest.fixture(scope="module")
def lives() -> Iterator[Lives]:
    """The processes that play."""
    made = Lives()
    yield made
    made.close()


def new_project(folder: Path, story: Story) -> Path:
    """A project in which the story has not begun."""
    (folder / "workflows").mkdir(parents=True)
    (folder / "towpath.yaml").write_text(PROJECT)
    (folder / "plan.txt").write_text("one server more\n")
    (folder / "workflows" / "story.yaml").write_text(story.workflow)
    told = {
        "begins_at": clocks.at("2026-11-20 16:00"),
        "break_glass": story.break_glass,
        "moments": [clocks.at(moment) for moment in story.moments],
    }
    (folder / "story.json").write_text(json.dumps(told))
    return folder


def play(lives: Lives, folder: Path, story: Story, kills: Kills, *, forgets: bool = False) -> list[str]:
    """Plays a case: life after life, each killed where *kills* says, and one to the end; returns what is wrong."""
    died_at: list[str] = []
    for kill_at in kills:
        ended = lives.play(folder, kill_at=kill_at, forgets=forgets)
        if ended["status"] not in (-9, 0):
            return [f"a life ended with {ended['status']}: {ended['note']}"]
        died_at += ended["points"][-1:] if ended["status"] else []
    last = lives.play(folder, forgets=forgets)
    if last["status"]:
        return [f"the last life ended with {last['status']}: {last['note']}"]
    return [
        f"{wrong} (killed at: {', '.join(died_at)})" for wrong in verdict(folder, story, deaths=len(died_at))
    ]


def verdict(folder: Path, story: Story, *, deaths: int) -> list[str]:
    """What is wrong with a project in which the story is over."""
    app = towpath_app.build(Settings(project=folder, data=folder / ".towpath", user="ann"))
    wrong: list[str] = []
    told = list(journal(app))
    if told != story.told:
        wrong.append(f"the journal tells {told}")
    reviews = [row for row in app.reader.runs() if row.workflow != "story"]
    if len(reviews) != bool(story.break_glass) or any(not row.summary.questions for row in reviews):
        wrong.append(f"reviews: {[(row.number, row.summary.status) for row in reviews]}")
    rows = [row for row in app.store.outbox.sendings(SendingFilter(rows_max=1_000)) if row.why != "decided"]
    noticed = sorted((row.why, row.recipient) for row in rows)
    if noticed != story.noticed or any(row.state != "sent" for row in rows):
        wrong.append(f"the outbox has {[(row.why, row.recipient, row.state) for row in rows]}")
    arrived = Counter((folder / "arrived").read_text().splitlines())
    for row in rows:
        came = arrived[f"{row.notice} {row.recipient}"]
        if not 1 <= came <= row.attempts <= 1 + deaths:
            wrong.append(f"{row.notice} came {came} times to {row.recipient}, in {row.attempts} attempts")
    app.close()
    return wrong


def journal(app: towpath_app.App) -> Iterator[str]:
    """What the journal of the story's run tells of its ladder and its end."""
    for _, fact in app.events(app.reader.run("1")):
        match fact:
            case events.PeopleTold(kind=kind, number=number):
                yield f"{shown(fact.at)} {kind} {number}"
            case events.RunEnded(status=status):
                yield f"{shown(fact.at)} {status}"
            case _:
                pass


def play_all(lives: Lives, folder: Path, story: Story, cases: list[Kills]) -> dict[Kills, list[str]]:
    """Plays cases side by side; returns those in which something is wrong."""

    def one(kills: Kills) -> tuple[Kills, list[str]]:
        name = "-".join(str(point) for point in kills)
        return kills, play(lives, new_project(folder / name, story), story, kills)

    with ThreadPoolExecutor(PROCESSES) as pool:
        return {kills: wrong for kills, wrong in pool.map(one, cases) if wrong}


@pytest.mark.parametrize("story", STORIES.values(), ids=STORIES.keys())
def test_killed_at_every_point(
    story: Story, lives: Lives, tmp_path: Path, tier: Tier, played: Callable[[int], None]
) -> None:
    """Killed at any one point, or at one and again soon after, and then resumed: every rung, reminder and review is there once."""
    undisturbed = new_project(tmp_path / "undisturbed", story)
    whole = lives.play(undisturbed)
    assert (whole["status"], verdict(undisturbed, story, deaths=0)) == (0, []), whole["note"]
    points = len(whole["points"])

    places = tier.some_of(range(1, points + 1), quick=QUICK_POINTS)
    cases: list[Kills] = [(point,) for point in places]
    cases += [(point, again) for point, again in zip(places[::4], (1, 3, 5, 7, 9, 11) * points, strict=False)]
    wrong = play_all(lives, tmp_path, story, cases)
    played(len(cases))

    assert wrong == {}


def test_a_mistake_would_be_noticed(lives: Lives, tmp_path: Path) -> None:
    """With a bell that does not look whether what was told stands in the outbox, the same kills lose a notice."""
    story = STORIES["a question is escalated"]
    points = lives.play(new_project(tmp_path / "undisturbed", story))["points"]
    told_first = points.index("after sending")
    for point in (n for n, what in enumerate(points, start=1) if what == "INSERT" and n > told_first):
        wrong = play(lives, new_project(tmp_path / str(point), story), story, (point,), forgets=True)
        if any("the outbox has" in one for one in wrong):
            return
    pytest.fail("no kill of them all has lost a notice")
