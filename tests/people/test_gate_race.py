"""Sixty-four who all want to decide one gate at the same moment, from several processes: one of them does, once.

The suite runs a few rounds. Many more can be run by hand, with the figures of who won:

    python tests/people/test_gate_race.py 200
"""

from __future__ import annotations

import collections
import json
import subprocess
import sys
import tempfile
from pathlib import Path

from towpath import app as towpath_app
from towpath.core import events
from towpath.settings import Settings

PROGRAMS = Path(__file__).parent / "programs"
PROCESSES, THREADS = 4, 16
ROUNDS = 6
PATIENCE_SECONDS = 120
GATE = """
name: gate
steps:
  - id: go
    approve: Who is first?
    who: [group:crowd]
    four_eyes: false
    answer_within: 1d
    if_unanswered: fail
"""
ENDS_AS = {"approve": "succeeded", "reject": "rejected", "expire": "failed", "cancel": "cancelled"}
"""How the run ends, by what decided."""
MIXES = (("approve", "reject", "expire", "cancel"), ("approve", "reject"))
"""What is said, in turn, in every other round."""


class Contest:
    """A gatekeeper that drives the runs, and the processes that contend."""

    def __init__(self, folder: Path, rounds: int) -> None:
        users = [f"u{number}" for number in range(PROCESSES * THREADS)]
        crowd = json.dumps([f"user:{user}" for user in users])
        people = json.dumps({user: {} for user in users})
        (folder / "towpath.yaml").write_text(
            f"name: race\npeople:\n  users: {people}\n  groups: {{crowd: {crowd}}}\n"
        )
        (folder / "workflows").mkdir()
        (folder / "workflows" / "gate.yaml").write_text(GATE)
        self._all = [self._started("gatekeeper.py", str(folder), str(rounds))]
        self._contenders = [
            self._started("contender.py", str(folder), str(number), str(THREADS))
            for number in range(PROCESSES)
        ]
        self._all += self._contenders
        self.app = towpath_app.build(Settings(project=folder, data=folder / ".towpath", user="judge"))

    def _started(self, program: str, *words: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, str(PROGRAMS / program), *words],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        return process

    def round(self, number: int) -> list[tuple[str, str]]:
        """Has everybody speak about one run at once; gives what each said, and why it was refused."""
        for process in self._contenders:
            assert process.stdin is not None
            process.stdin.write(f"{number} {' '.join(MIXES[number % len(MIXES)])}\n")
            process.stdin.flush()
        heard: list[tuple[str, str]] = []
        for process in self._contenders:
            assert process.stdout is not None
            heard += [(kind, refused) for kind, refused in json.loads(process.stdout.readline())]
        return heard

    def winner(self, number: int) -> str:
        """What decided the run: exactly one thing was said that counted, and the journal holds it once."""
        heard = self.round(number)
        won = [kind for kind, refused in heard if not refused]
        assert len(heard) == PROCESSES * THREADS
        assert len(won) == 1, won
        row, run = self.app.run(str(number))
        facts = [fact for _, fact in self.app.events(row)]
        answers = [fact.answer.decision for fact in facts if isinstance(fact, events.AnswerGiven)]
        stops = [fact for fact in facts if isinstance(fact, events.StopRequested)]
        ends = [fact for fact in facts if isinstance(fact, events.StepEnded) and fact.path == "go"]
        assert answers == [kind for kind in won if kind in ("approve", "reject")]
        assert len(stops) == won.count("cancel")
        assert len(ends) == 1
        assert sum(isinstance(fact, events.RunEnded) for fact in facts) == 1
        assert run.status == ENDS_AS[won[0]]
        assert self.app.reader.run(str(number)).summary.questions == ()
        return won[0]

    def close(self) -> None:
        """Ends everybody by ending their input."""
        for process in self._all:
            assert process.stdin is not None
            process.stdin.close()
        for process in self._all:
            process.wait(timeout=PATIENCE_SECONDS)
            assert process.stdout is not None
            process.stdout.close()
        self.app.close()


def contest(folder: Path, rounds: int) -> collections.Counter[str]:
    """Who won how often."""
    made = Contest(folder, rounds)
    try:
        return collections.Counter(made.winner(number) for number in range(1, rounds + 1))
    finally:
        made.close()


def test_one_of_sixty_four_decides(tmp_path: Path) -> None:
    """Of 64 approvals, rejections, expiries and cancellations exactly one counts, the others are refused, the journal has it once."""
    winners = contest(tmp_path, ROUNDS)

    assert winners.total() == ROUNDS


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as made_folder:
        print(dict(contest(Path(made_folder), int(sys.argv[1]) if len(sys.argv) > 1 else 200)))
