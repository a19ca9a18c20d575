"""Processes that stand still (SIGSTOP) and go on (SIGCONT), while others want their runs."""

from __future__ import annotations

import random
import signal
import subprocess
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from fault_support import Place, stop_between_writes, wait_for

from tiers import Tier

BUSY = "steps: [{id: a, run: 'echo \"$TOW_STEP\" >> ledger; until [ -e go ]; do sleep 0.05; done', idempotent: true}]\n"
ASKING = """
steps:
  - {id: a, run: 'echo "$TOW_STEP" >> ledger', idempotent: true}
  - {id: q, approve: "Go on?", who: ["user:bob"]}
  - {id: b, run: 'echo "$TOW_STEP" >> ledger', idempotent: true}
"""
REFUSED = 3
RIVALS = 3
STEPS = 12
PULSES_QUICK, PULSES_FULL = 10, 60


def words(place: Place) -> list[str]:
    """What began, in order."""
    ledger = place.folder / "ledger"
    return ledger.read_text().split() if ledger.exists() else []


def rivals(place: Place) -> list[tuple[int, str]]:
    """Several that try to take run 1 over at the same time: how each ended, and what it said."""
    all_of_them = [place.begin("resume", "1", "--no-ask") for _ in range(RIVALS)]
    return [(one.wait(60), one.communicate()[1]) for one in all_of_them]


def test_nobody_takes_over_from_one_that_performs_and_stands_still(tmp_path: Path) -> None:
    """An owner that was stopped in the middle of a step is alive: everybody else is told which process it is, and nothing is done twice."""
    place = Place(tmp_path / "project", w=BUSY)
    owner = place.begin("run", "w")
    wait_for(lambda: words(place), what="the step", of=owner)
    stop_between_writes(place, owner)
    try:
        tried = [attempt for _ in range(2) for attempt in rivals(place)]
    finally:
        owner.send_signal(signal.SIGCONT)
    (place.folder / "go").touch()
    out, err = owner.communicate(timeout=60)

    assert [code for code, _ in tried] == [REFUSED] * 2 * RIVALS
    assert all(f"process {owner.pid}" in said for _, said in tried), tried
    assert (owner.returncode, words(place), place.statuses()) == (0, ["a"], ["succeeded"]), out + err


def test_an_answer_to_one_that_stands_still_is_kept(tmp_path: Path) -> None:
    """What is said to a stopped owner waits for it, durably, and is answered once when it goes on."""
    place = Place(tmp_path / "project", w=ASKING)
    owner = place.begin("run", "w", "--no-ask")
    wait_for(lambda: owner.poll() is not None or asks(place), what="the question", of=owner)
    stop_between_writes(place, owner)
    try:
        said: subprocess.Popen[str] = place.begin("approve", "1", "q", TOW_USER="bob")
        wait_for(lambda: letters(place) == 1, what="the letter", of=said)
        tried = rivals(place)
    finally:
        owner.send_signal(signal.SIGCONT)
    _, complaint = said.communicate(timeout=60)
    owner.communicate(timeout=60)
    kinds = Counter(record.split('"event":"')[1].split('"')[0] for _, record in place.facts())

    assert [code for code, _ in tried] == [REFUSED] * RIVALS
    # On a busy machine the sender may stop waiting for the answer; what it said is kept all the same.
    assert said.returncode == 0 or "did not answer within" in complaint, complaint
    assert (owner.returncode, words(place)) == (0, ["a", "b"])
    assert kinds["answer_given"] == 1


def asks(place: Place) -> bool:
    """Whether the question of run 1 is in the journal."""
    return (place.folder / "ledger").exists() and any(
        '"people_asked"' in record for _, record in place.facts()
    )


def letters(place: Place) -> int:
    """How many letters wait."""
    return place.counted("SELECT count(*) FROM mailbox WHERE taken_at IS NULL")


def test_stopped_and_resumed_again_and_again(
    tier: Tier, tmp_path: Path, played: Callable[[int], None]
) -> None:
    """A process that is put to sleep and woken at any moment of its run performs every step once and comes to its end."""
    steps = ", ".join(f"{{id: s{n}, run: 'echo \"$TOW_STEP\" >> ledger'}}" for n in range(STEPS))
    place = Place(tmp_path / "project", w=f"steps: [{steps}]\n")
    dice = random.Random(4)  # noqa: S311 - dice for a test
    owner = place.begin("run", "w")
    pulses = 0
    for _ in range(tier.rounds(quick=PULSES_QUICK, full=PULSES_FULL)):
        if owner.poll() is not None:
            break
        begun = len(words(place)) + dice.choice((0, 1))
        wait_for(lambda begun=begun: len(words(place)) >= begun or owner.poll() is not None, what="a step")
        owner.send_signal(signal.SIGSTOP)
        wait_for(lambda: stands_still(owner.pid), what="the stop")
        owner.send_signal(signal.SIGCONT)
        pulses += 1
    out, err = owner.communicate(timeout=60)
    played(pulses)

    assert (owner.returncode, place.statuses()) == (0, ["succeeded"]), out + err
    assert words(place) == [f"s{n}" for n in range(STEPS)]


def stands_still(pid: int) -> bool:
    """Whether the kernel has stopped the process, or it has ended."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] in ("T", "Z", "X")
    except FileNotFoundError:
        return True


@pytest.mark.parametrize("number", [signal.SIGTSTP, signal.SIGHUP, signal.SIGPIPE])
def test_other_signals_do_no_harm(number: signal.Signals, tmp_path: Path) -> None:
    """What a terminal sends on its own does not lose a run: it goes on, or it can be resumed."""
    place = Place(tmp_path / "project", w=BUSY)
    owner = place.begin("run", "w")
    wait_for(lambda: words(place), what="the step", of=owner)
    owner.send_signal(number)
    (place.folder / "go").touch()
    owner.send_signal(signal.SIGCONT)
    owner.communicate(timeout=60)
    if owner.returncode != 0:
        assert place.tow("resume").returncode == 0

    assert place.statuses() == ["succeeded"]
