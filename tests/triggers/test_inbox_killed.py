"""What was answered is kept: deliveries survive `kill -9` of the process that took them in."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from towpath.store.contract import EventFilter
from towpath.store.sqlite import open_store

PROGRAM = Path(__file__).parent / "programs" / "accepting.py"
KILLED_AFTER = (1, 2, 7, 40)
"""After how many answers a process is killed, while it goes on with the next."""


def test_what_was_answered_survives_a_kill(tmp_path: Path) -> None:
    """Every delivery that was answered is there once, with its number, and the repeats that were answered are counted."""
    answered: dict[str, int] = {}
    for round_, answers in enumerate(KILLED_AFTER):
        process = subprocess.Popen(
            [sys.executable, str(PROGRAM), str(tmp_path / "data"), f"r{round_}"],
            stdout=subprocess.PIPE,
            text=True,
        )
        assert process.stdout is not None
        lines = [process.stdout.readline() for _ in range(answers)]
        process.kill()
        lines += process.communicate()[0].splitlines()
        answered |= {line.split()[0]: int(line.split()[1]) for line in lines if line.count(" ") == 1}

    store = open_store(tmp_path / "data")
    kept = {row.delivery: row for row in store.events.events(EventFilter(rows_max=1_000))}
    store.close()

    assert len(answered) >= sum(KILLED_AFTER)
    assert answered == {delivery: kept[delivery].id for delivery in answered}
    assert [delivery for delivery in answered if kept[delivery].repeats != 1] == []
    assert len(kept) <= len(answered) + len(KILLED_AFTER)
