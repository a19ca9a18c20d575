"""A process that is killed at any point while it tells people something loses nothing."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from pathlib import Path

PROGRAM = Path(__file__).parent / "programs" / "mortal.py"


def test_a_kill_at_any_point_loses_nothing_and_repeats_only_what_was_on_its_way(tmp_path: Path) -> None:
    """SIGKILL before every statement that writes, and around every sending: only a message on its way may arrive twice."""
    output = subprocess.run(
        [sys.executable, str(PROGRAM), str(tmp_path)], capture_output=True, text=True, check=True, timeout=300
    ).stdout.splitlines()
    died_at = [line for line in output if not line.startswith("{")]
    outcomes = [json.loads(line) for line in output if line.startswith("{")]

    assert len(outcomes) == len(died_at) + 1
    # Lanes take turns in no fixed order and share a commit when they meet: how many points there are differs each time.
    assert {"before sending", "after sending", "INSERT", "UPDATE", "COMMIT"} <= set(died_at)
    repeated = []
    for point, outcome in enumerate(outcomes):
        assert outcome["rows"] == [
            ["rung", "user:ben", "sent"],
            ["r1/go_live#0@1!asked1", "user:ben", "sent"],
            ["r1/go_live#0@1!asked1", "user:ada", "sent"],
        ]
        arrived = Counter(line.split()[0] for line in outcome["arrived"])
        assert len(arrived) == 3, (point, outcome)
        repeated.append(sum(arrived.values()) - 3)
    # Three messages are on their way at once, and no more than those can be repeated; without a kill, none is.
    assert max(repeated) <= 3
    assert repeated[-1] == 0
    for point, extra in enumerate(repeated[:-1]):
        if died_at[point] in ("INSERT", "DELETE"):
            assert extra == 0, (point, died_at[point])
