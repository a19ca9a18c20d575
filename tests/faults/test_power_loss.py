"""The power goes off at any moment: whatever the disk kept of what was not synced, nothing that was said is lost.

Real processes work on one folder: one runs a workflow and prints every fact, others answer its question and send its signal. What each had
printed by a moment has to be in every image that a power loss at that moment may leave (see `power_loss.py`), and every image opens.
"""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from fault_support import Place, needed
from power_loss import RECORDER, STRING_BYTES_MAX, Contents, Moment, images, moments, recorded

from tiers import Tier
from towpath import app as towpath_app
from towpath.errors import TowpathError
from towpath.settings import Settings
from towpath.store.sqlite import open_store

LEDGER = "run: 'echo \"$TOW_STEP\" >> ledger', idempotent: true"
WORKFLOW = f"""
steps:
  - {{id: a, {LEDGER}}}
  - {{id: q, approve: "Go on?", who: ["user:bob"]}}
  - {{id: s, wait: {{signal: go}}}}
  - id: both
    parallel: [{{id: left, {LEDGER}}}, {{id: right, {LEDGER}}}]
  - {{id: z, {LEDGER}}}
"""
PLAY = """
"$@" run w --json --no-ask &
run=$!
again() { until "$@" || ! kill -0 $run 2>/dev/null; do sleep 0.1; done; }
TOW_USER=bob again "$@" approve 1 q
again "$@" signal 1 go
wait $run
"""
GO_ON = """
"$@" resume 1 --no-ask &
run=$!
while kill -0 $run 2>/dev/null; do TOW_USER=bob "$@" approve 1 q; "$@" signal 1 go; sleep 0.1; done
wait $run
"""
MOMENTS_QUICK = 12
BY_CHANCE_QUICK, BY_CHANCE_FULL = 4, 60
RESUMED_QUICK, RESUMED_FULL = 1, 12
"""Images in which real processes bring the run to its end."""
SECONDS_MAX = 120.0


class Recording:
    """What real processes asked of the disk and said to people, and what their journal held in the end."""

    def __init__(self, folder: Path, tow: Sequence[str]) -> None:
        self.place = Place(folder / "project", w=WORKFLOW)
        log = folder / "record"
        recorder = (needed("strace"), *RECORDER, "-s", str(STRING_BYTES_MAX), "-o", str(log))
        code, out, err = played_by(PLAY, tow, self.place, before=recorder)
        assert code == 0, out[-1500:] + err[-1500:]
        self.records = [record for _, record in self.place.facts()]
        self.moments = moments(recorded(log, folder=self.place.data, name="towpath.db"))


def played_by(
    script: str, tow: Sequence[str], place: Place, *, before: Sequence[str] = (), **env: str
) -> tuple[int, str, str]:
    """Exit code and output of a shell script that is given `tow` as its arguments; nothing of it outlives its time."""
    process = subprocess.Popen(
        [*before, "bash", "-c", script, "play", *tow],
        cwd=place.folder,
        env=place.environment(env),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        out, err = process.communicate(timeout=SECONDS_MAX)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        out, err = process.communicate()
        pytest.fail(f"it did not end within {SECONDS_MAX:g} s:\n{out[-1500:]}{err[-1500:]}")
    return process.returncode, out, err


def told(moment: Moment) -> tuple[int, list[str]]:
    """How many facts people had seen by a moment, and which events they had been promised."""
    sequences, events = [0], []
    for text in moment.said:
        for line in text.splitlines():
            if line.startswith("{"):
                sequences.append(json.loads(line).get("sequence", 0))
            events += ["answer_given"] if "approved by bob" in line else []
            events += ["signal_received"] if "has the signal" in line else []
    return max(sequences), events


def written(contents: Contents, folder: Path) -> Path:
    """A data folder with the files of an image."""
    folder.mkdir(parents=True)
    for name, data in contents.items():
        (folder / name).write_bytes(data)
    return folder


def wrong_with(data: Path, recording: Recording, moment: Moment) -> str:
    """What is wrong with an image; empty where nothing is."""
    sequence, events = told(moment)
    try:
        store = open_store(data)
        rows = store.reader.runs()
        kept = [bytes(record).decode() for row in rows for _, _, record in store.reader.events(row.number)]
        store.close()
        if rows:
            app = towpath_app.build(Settings(project=recording.place.folder, data=data, user="ann"))
            app.run("1")
            app.close()
    except (TowpathError, sqlite3.Error) as error:
        return f"it does not open: {error}"
    connection = sqlite3.connect(data / "towpath.db")
    (sound,) = connection.execute("PRAGMA integrity_check").fetchone()
    connection.close()
    if sound != "ok":
        return f"integrity: {sound}"
    if kept != recording.records[: len(kept)]:
        return "it holds what never was"
    if len(kept) < sequence:
        return f"lost: {sequence} facts were printed, {len(kept)} are kept"
    lost = [event for event in events if not any(f'"{event}"' in record for record in kept)]
    return f"lost: {', '.join(lost)} was accepted" if lost else ""


def play(
    recording: Recording, tier: Tier, folder: Path, *, stop_at: int = 0
) -> tuple[int, dict[str, str], list[Path]]:
    """Opens images; gives how many there were, what is wrong with which, and the sound ones of an unfinished run, torn ones if there are."""
    seen: set[int] = set()
    wrong: dict[str, str] = {}
    torn: list[Path] = []
    whole: list[Path] = []
    by_chance = tier.rounds(quick=BY_CHANCE_QUICK, full=BY_CHANCE_FULL)
    for moment in tier.some_of(recording.moments, quick=MOMENTS_QUICK):
        for name, contents in images(moment, by_chance=by_chance):
            key = hash((told(moment)[0], *sorted(contents.items())))
            if key in seen:
                continue
            seen.add(key)
            data = written(contents, folder / f"image{len(seen)}")
            found = wrong_with(data, recording, moment)
            if found:
                wrong[f"moment {moment.index}, {name}"] = found
            elif 0 < told(moment)[0] < len(recording.records):
                (torn if name.startswith(("by chance", "number")) else whole).append(data)
            if stop_at and len(wrong) >= stop_at:
                return len(seen), wrong, torn or whole
    return len(seen), wrong, torn or whole


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Recording:
    """What the real `tow` did."""
    return Recording(tmp_path_factory.mktemp("power"), (sys.executable, "-m", "towpath"))


def test_a_power_loss_takes_nothing_that_was_said(
    recording: Recording, tier: Tier, tmp_path: Path, played: Callable[[int], None]
) -> None:
    """Every image opens, is sound, holds a beginning of the journal, and all that people had been told by then."""
    count, wrong, unfinished = play(recording, tier, tmp_path)
    played(count)
    print(f"{len(recording.moments)} moments, {count} images")
    some = unfinished[:: max(1, len(unfinished) // tier.rounds(quick=RESUMED_QUICK, full=RESUMED_FULL))]

    assert wrong == {}
    assert some
    assert [went_on(recording.place, data) for data in some[:RESUMED_FULL]] == [""] * len(some[:RESUMED_FULL])


def went_on(place: Place, data: Path) -> str:
    """Has real processes bring the run in an image to its end; what went wrong."""
    _, out, err = played_by(GO_ON, (sys.executable, "-m", "towpath"), place, TOW_DATA=str(data))
    app = towpath_app.build(Settings(project=place.folder, data=data, user="ann"))
    status = app.reader.run("1").summary.status
    app.close()
    return "" if status == "succeeded" else f"{status}: {out[-500:]}{err[-500:]}"


def test_normal_sync_would_be_noticed(tmp_path: Path, played: Callable[[int], None]) -> None:
    """With `synchronous=NORMAL` the same images lose what people had been told: so losses can be seen here."""
    careless = (sys.executable, str(Path(__file__).with_name("careless_tow.py")))
    recorded_carelessly = Recording(tmp_path, careless)
    count, wrong, _ = play(recorded_carelessly, Tier.FULL, tmp_path / "images", stop_at=5)
    played(count)

    assert [what for what in wrong.values() if what.startswith("lost: ")] != []
