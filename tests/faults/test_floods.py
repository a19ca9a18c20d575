"""Floods and bombs against a real `tow`: ten thousand lines a second, ten thousand signals, outputs that explode when they are read."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import threading
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from fault_support import Place, stop_between_writes, wait_for

from tiers import Tier
from towpath.core import stimuli
from towpath.core.decide import SIGNALS_KEPT_MAX
from towpath.engines.embedded.mailroom import read_reply, write_letter
from towpath.errors import LimitExceeded
from towpath.store.contract import MAILBOX_MESSAGES_MAX, MessageId, RunNumber
from towpath.store.sqlite import open_store

ONE = RunNumber(1)
MEBIBYTE = 1024 * 1024
GROWTH_BYTES_MAX = 64 * MEBIBYTE
LINES_A_SECOND = 10_000
SECONDS_QUICK, SECONDS_FULL = 2, 10
STEPS_AT_ONCE = 3
SIGNALS_QUICK = 1_200
"""More than a run keeps; the full tier sends more than a mailbox takes."""
WAITING = """
steps:
  - {id: a, run: 'touch ready; until [ -e go ]; do sleep 0.05; done'}
  - {id: w, wait: {signal: end}}
"""
MESSAGE_CHARS_MAX = 2_000
CHATTER = """
import sys, time
begun = time.monotonic()
for second in range(SECONDS):
    for number in range(LINES):
        sys.stdout.write(f"{second} {number} a line of ordinary output, neither long nor short\\n")
    sys.stdout.flush()
    time.sleep(max(0.0, begun + second + 1 - time.monotonic()))
"""


def peak_bytes(pid: int) -> int:
    """The most memory that a process ever had; 0 when it is gone."""
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    return 0


def test_ten_thousand_lines_a_second(tier: Tier, tmp_path: Path) -> None:
    """Three steps talk all the time: every line is kept in its order, memory stays small, and `tow` answers others meanwhile."""
    seconds = tier.rounds(quick=SECONDS_QUICK, full=SECONDS_FULL)
    script = CHATTER.replace("SECONDS", str(seconds)).replace("LINES", str(LINES_A_SECOND))
    text = "\n".join(f"          {line}" for line in script.strip().splitlines())
    steps = "".join(
        f"      - id: s{n}\n        shell: python\n        run: |\n{text}\n" for n in range(STEPS_AT_ONCE)
    )
    waits = '      - {id: w, wait: {signal: "go"}}\n'
    place = Place(tmp_path / "project", w=f"steps:\n  - id: p\n    parallel:\n{steps}{waits}")
    running = place.begin("run", "w", "--json")
    peaks: list[int] = []
    reading = threading.Thread(target=lambda: peaks.extend(map(len, running.communicate())))
    reading.start()
    wait_for(
        lambda: (place.data / "logs").exists() and any((place.data / "logs").rglob("*.log")),
        what="the first line",
    )
    before = peak_bytes(running.pid)
    signalled = place.tow("signal", "1", "go")
    grown = [0]
    while reading.is_alive():
        grown.append(peak_bytes(running.pid) - before)
        reading.join(0.2)
    kept = {
        step: place.tow("logs", "1", "--step", f"p/s{step}", "--raw").stdout.splitlines()
        for step in range(STEPS_AT_ONCE)
    }
    whole = [f"{second} {number}" for second in range(seconds) for number in range(LINES_A_SECOND)]

    assert (running.returncode, signalled.returncode) == (0, 0), signalled.stderr
    assert max(grown) < GROWTH_BYTES_MAX
    for lines in kept.values():
        assert [" ".join(line.split()[:2]) for line in lines] == whole


def test_ten_thousand_signals(tier: Tier, tmp_path: Path, played: Callable[[int], None]) -> None:
    """What a run keeps and what waits for it are bounded; whoever comes too late is told the limit, and nothing that was accepted is lost."""
    signals = SIGNALS_QUICK if tier is Tier.QUICK else MAILBOX_MESSAGES_MAX + 5
    place = Place(tmp_path / "project", w=WAITING)
    running = place.begin("run", "w", "--no-ask")
    wait_for((place.folder / "ready").exists, what="the step", of=running)
    before = peak_bytes(running.pid)
    stop_between_writes(place, running)
    try:
        letters, refused = flooded(place, signals)
    finally:
        os.kill(running.pid, signal.SIGCONT)
    wait_for(
        lambda: not place.counted("SELECT count(*) FROM mailbox WHERE taken_at IS NULL"), what="the answers"
    )
    grown = peak_bytes(running.pid) - before
    late = place.tow("signal", "1", "end")
    (place.folder / "go").touch()
    wait_for(
        lambda: any('"wait_started"' in record for _, record in place.facts()), what="the wait", of=running
    )
    taken = place.tow("signal", "1", "end")
    out, err = running.communicate(timeout=60)
    with contextlib.closing(open_store(place.data)) as store:
        answers = [read_reply(store.mailbox.message(letter).reply or b"{}").refused for letter in letters]
    kept = sum('"signal_received"' in record for _, record in place.facts())
    played(signals)

    assert refused == Counter(MAILBOX_MESSAGES_MAX=max(0, signals - MAILBOX_MESSAGES_MAX)) + Counter()
    assert [not reason for reason in answers] == [number < SIGNALS_KEPT_MAX for number in range(len(letters))]
    assert grown < GROWTH_BYTES_MAX
    assert (late.returncode, "SIGNALS_KEPT_MAX" in late.stderr) == (3, True), late.stderr
    assert (taken.returncode, running.returncode) == (0, 0), taken.stderr + out + err
    assert kept == SIGNALS_KEPT_MAX + 1


def flooded(place: Place, signals: int) -> tuple[list[MessageId], Counter[str]]:
    """Posts signals as fast as the disk takes them: the letters that were taken, and the limits that refused the others."""
    letters: list[MessageId] = []
    refused = Counter[str]()
    with contextlib.closing(open_store(place.data)) as store:
        for number in range(signals):
            flood = stimuli.Signalled(at=0, kind="signal", name=f"flood{number}", by="user:ann")
            try:
                letters.append(store.mailbox.post(ONE, write_letter(flood)))
            except LimitExceeded as error:
                refused[error.limit] += 1
    return letters, refused


BOMBS = {
    "json that nests": ("parse: json", "print('[' * 30000 + ']' * 30000, end='')"),
    "json with a number of a million digits": ("parse: json", "print('9' * 60000, end='')"),
    "json that is none": ("parse: json", "print('{' * 60000)"),
    "an output of two mebibytes": ("outputs: [x]", "open(os.environ['TOW_OUTPUT'], 'w').write('x=' + 'y' * 2**21 + '\\n')"),
    "a million outputs": (
        "outputs: [x]",
        "open(os.environ['TOW_OUTPUT'], 'w').write(''.join(f'x{n}=1\\n' for n in range(90000)))",
    ),
    "an output that never ends": ("outputs: [x]", "open(os.environ['TOW_OUTPUT'], 'w').write('x<<END\\n' + 'y\\n' * 1000)"),
    "outputs out of a device": ("outputs: [x]", "os.remove(os.environ['TOW_OUTPUT']) if os.path.exists(os.environ['TOW_OUTPUT']) else None; os.symlink('/dev/zero', os.environ['TOW_OUTPUT'])"),
    "outputs out of a pipe that nobody fills": (
        "outputs: [x]",
        "os.remove(os.environ['TOW_OUTPUT']) if os.path.exists(os.environ['TOW_OUTPUT']) else None; os.mkfifo(os.environ['TOW_OUTPUT'])",
    ),
    "an output that is declared as an expression that explodes": (
        'outputs: {x: "${{ join(split(stdout, \'\').map(a, stdout), stdout) }}"}',
        "print('y' * 60000)",
    ),
}  # fmt: skip


def test_bombs_fail_their_steps_and_nothing_else(tmp_path: Path, played: Callable[[int], None]) -> None:
    """What steps hand on is measured before it is read: each fails with a reason, their neighbour does not, and memory stays small."""
    bombs = "".join(
        f"      - id: bomb{number}\n        shell: python\n        {declared}\n        on_failure: continue\n"
        f"        run: |\n          import os\n          {code}\n"
        for number, (declared, code) in enumerate(BOMBS.values())
    )
    good = "      - {id: good, run: 'echo well >> ledger'}\n"
    place = Place(tmp_path / "project", w=f"steps:\n  - id: p\n    parallel:\n{bombs}{good}")
    running = place.begin("run", "w", "--json")
    peaks = [0]
    out: list[str] = []
    reading = threading.Thread(target=lambda: out.extend(running.communicate()))
    reading.start()
    while reading.is_alive():
        peaks.append(peak_bytes(running.pid))
        reading.join(0.05)
    facts = [json.loads(record) for _, record in place.facts()]
    errors = {
        fact["path"]: fact["error"]["message"]
        for fact in facts
        if fact["event"] == "body_ended" and fact.get("outcome") == "failed" and "/bomb" in fact["path"]
    }
    played(len(BOMBS))

    assert "Traceback" not in "".join(out)
    assert (place.folder / "ledger").read_text() == "well\n"
    assert [name for number, name in enumerate(BOMBS) if not errors.get(f"p/bomb{number}")] == []
    assert max(map(len, errors.values())) < MESSAGE_CHARS_MAX
    assert max(peaks) < 4 * GROWTH_BYTES_MAX
