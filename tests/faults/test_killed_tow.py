"""`kill -9` of `tow` in the middle of a fleet, seen from the command line, and several `tow` on one folder."""

from __future__ import annotations

import os
import signal
from pathlib import Path

from fault_support import Place, json_lines, kill, wait_for

FLEET = """
steps:
  - {id: first, run: 'echo "$TOW_STEP" >> ledger', idempotent: true}
  - id: fleet
    each: [web1, web2]
    as: host
    steps:
      - id: install
        idempotent: false
        env: {HOST: "${{ host }}"}
        run: 'echo "$TOW_STEP" >> ledger; [ -e go ] || sleep 30'
      - id: smoke
        idempotent: true
        run: 'echo "$TOW_STEP" >> ledger'
"""
SAFE = "steps: [{id: a, run: 'echo \"$TOW_STEP\" >> ledger; [ -e go ] || sleep 30', idempotent: true}]\n"
WAITING_CODE = 8


def words(place: Place) -> list[str]:
    """What began, in order."""
    ledger = place.folder / "ledger"
    return ledger.read_text().split() if ledger.exists() else []


def test_a_killed_fleet_goes_on_and_asks_what_it_cannot_know(tmp_path: Path) -> None:
    """`tow ps` says that the owner died, `tow resume` goes on, and what must not be repeated is asked and answered."""
    place = Place(tmp_path / "project", fleet=FLEET)
    killed = place.begin("run", "fleet")
    wait_for(lambda: len(words(place)) == 3, what="both hosts")
    kill(killed)
    listed = place.tow("ps", "--json")
    (place.folder / "go").touch()
    resuming = place.begin("resume", "1", "--no-ask")
    wait_for(lambda: len(json_lines(place.tow("answer", "--json").stdout)) == 2, what="two questions")
    asked = words(place)
    answers = [
        place.tow("answer", "1", "fleet[web1]/install", "done", TOW_USER="bob"),
        place.tow("answer", "1", "fleet[web2]/install", "retry", TOW_USER="bob"),
    ]
    out, err = resuming.communicate(timeout=30)

    assert [(run["status"], run["owner_life"]) for run in json_lines(listed.stdout)] == [("running", "dead")]
    assert sorted(asked) == ["first", "fleet[web1]/install", "fleet[web2]/install"]
    assert [answer.returncode for answer in answers] == [0, 0], answers[0].stderr + answers[1].stderr
    assert resuming.returncode == 0, out + err
    assert (words(place).count("fleet[web1]/install"), words(place).count("fleet[web2]/install")) == (1, 2)
    assert words(place).count("fleet[web1]/smoke") == 1


def test_an_idempotent_step_runs_again_after_a_kill(tmp_path: Path) -> None:
    """Nobody is asked where twice is harmless."""
    place = Place(tmp_path / "project", safe=SAFE)
    killed = place.begin("run", "safe")
    wait_for(lambda: words(place), what="the step", of=killed)
    kill(killed)
    (place.folder / "go").touch()
    resumed = place.tow("resume")

    assert (resumed.returncode, words(place)) == (0, ["a", "a"]), resumed.stdout + resumed.stderr


def test_a_stopped_owner_is_alive(tmp_path: Path) -> None:
    """A process that only stands still (SIGSTOP) keeps its runs, however long; then it goes on as if nothing had been."""
    place = Place(tmp_path / "project", safe=SAFE)
    owner = place.begin("run", "safe")
    wait_for(lambda: words(place), what="the step", of=owner)
    os.kill(owner.pid, signal.SIGSTOP)
    try:
        listed = json_lines(place.tow("ps", "--json").stdout)
        resumed = place.tow("resume", "1")
    finally:
        (place.folder / "go").touch()
        os.kill(owner.pid, signal.SIGCONT)
    cancelled = place.tow("cancel", "1", "--wait")
    owner.communicate(timeout=30)

    assert [run["owner_life"] for run in listed] == ["alive"]
    assert (resumed.returncode, f"process {owner.pid}" in resumed.stderr) == (3, True), resumed.stderr
    assert (cancelled.returncode in (0, 3, 6), len(words(place))) == (True, 1)


def test_of_two_that_resume_one_goes_on(tmp_path: Path) -> None:
    """Two terminals that resume at the same moment: one drives the run, the other is told who does."""
    place = Place(tmp_path / "project", safe=SAFE)
    killed = place.begin("run", "safe")
    wait_for(lambda: words(place), what="the step", of=killed)
    kill(killed)
    both = [place.begin("resume", "1") for _ in range(2)]
    wait_for(lambda: len(words(place)) == 2, what="the second attempt")
    wait_for(lambda: any(one.poll() is not None for one in both), what="the refusal")
    (place.folder / "go").touch()
    loser = next(one for one in both if one.poll() is not None)
    winner = next(one for one in both if one is not loser)
    _, refusal = loser.communicate(timeout=30)
    place.tow("cancel", "1", "--wait")
    winner.communicate(timeout=30)

    assert (loser.returncode, "run 1 is driven by process" in refusal) == (3, True), refusal
    assert words(place) == ["a", "a"]


def test_two_processes_work_on_one_folder(tmp_path: Path) -> None:
    """Several `tow run` at the same time each drive their own run, number them without a gap, and disturb nobody."""
    steps = ", ".join(
        f"{{id: s{n}, run: 'echo \"$TOW_RUN_ID\" >> ledger', idempotent: true}}" for n in range(15)
    )
    place = Place(tmp_path / "project", busy=f"steps: [{steps}]\n")
    both = [place.begin("run", "busy") for _ in range(3)]
    for one in both:
        one.communicate(timeout=240)
    runs = place.runs()

    assert [one.returncode for one in both] == [0, 0, 0]
    assert [(run["number"], run["status"]) for run in runs] == [(n, "succeeded") for n in (1, 2, 3)]
    assert sorted(words(place)) == sorted(run["id"] for run in runs for _ in range(15))


def test_sigterm_leaves_the_run_to_be_resumed(tmp_path: Path) -> None:
    """SIGTERM ends `tow` in good order: its steps are stopped and the run can be resumed at once."""
    place = Place(tmp_path / "project", safe=SAFE)
    process = place.begin("run", "safe")
    wait_for(lambda: words(place), what="the step", of=process)
    process.terminate()
    out, err = process.communicate(timeout=15)
    listed = json_lines(place.tow("ps", "--json").stdout)
    (place.folder / "go").touch()
    resumed = place.tow("resume")

    assert "Traceback" not in out + err
    assert [run["owner_life"] for run in listed] == ["stopped"]
    assert (resumed.returncode, words(place)) == (0, ["a", "a"])
