"""A disk that is full, and one that fails: at the first sync or write or at a later one, once and for good.

What `tow run --json` prints is durable, so every printed fact has to be in the journal afterwards, whatever the disk did.
"""

from __future__ import annotations

import contextlib
import sqlite3
import subprocess
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import product
from pathlib import Path

import pytest
from fault_support import Place, json_lines, needed, wait_for

from tiers import Tier

LEDGER = "run: 'echo \"$TOW_STEP\" >> ledger', idempotent: true"
STEPS = f"steps: [{{id: a, {LEDGER}}}, {{id: b, {LEDGER}}}, {{id: c, {LEDGER}}}, {{id: d, {LEDGER}}}]\n"
UNAVAILABLE = 11
PLACES_QUICK = 4
"""At how many calls, from the first to the last, the quick tier puts each kind of fault."""


def strace(call: str, *, error: str = "", when: str = "", log: Path) -> tuple[str, ...]:
    """The command in front of `tow` that watches a system call, or has it fail."""
    inject = ("-e", f"inject={call}:error={error}:when={when}") if error else ()
    return (needed("strace"), "-f", "--seccomp-bpf", "-qq", "-o", str(log), "-e", f"trace={call}", *inject)


def calls_of(place: Place, call: str, log: Path) -> int:
    """How often an undisturbed run makes a system call."""
    assert place.tow("run", "w", before=strace(call, log=log)).returncode == 0
    return sum(f" {call}(" in line for line in log.read_text().splitlines())


def printed_facts(out: str) -> list[int]:
    """The sequences of the facts that were printed."""
    return [fact["sequence"] for fact in json_lines(out) if "sequence" in fact]


def wrong_after(place: Place, ended: subprocess.CompletedProcess[str]) -> list[str]:
    """What is wrong after a run on a disk that failed, and after going on on one that does not."""
    wrong = []
    if ended.returncode not in (0, UNAVAILABLE):
        wrong.append(f"exit code {ended.returncode}: {ended.stderr[-600:]}")
    if ended.returncode == UNAVAILABLE and not (
        "error: the disk" in ended.stderr and "help: " in ended.stderr
    ):
        wrong.append(f"no clear error: {ended.stderr[-600:]}")
    if "Traceback" in ended.stderr:
        wrong.append(f"a traceback: {ended.stderr[-1500:]}")
    resumed = place.tow("resume")
    if resumed.returncode != 0:
        return [*wrong, f"resume gives {resumed.returncode}: {resumed.stdout[-300:]}{resumed.stderr[-600:]}"]
    printed = printed_facts(ended.stdout)
    kept = [sequence for sequence, _ in place.facts()] if printed else []
    if not set(printed) <= set(kept):
        wrong.append(f"printed {printed}, kept {kept}")
    again = place.tow("run", "w")
    statuses = set(place.statuses())
    if (again.returncode, statuses) != (0, {"succeeded"}):
        wrong.append(f"afterwards: {again.returncode}, {statuses}: {again.stderr[-600:]}")
    with sqlite3.connect(place.data / "towpath.db") as connection:
        (sound,) = connection.execute("PRAGMA integrity_check").fetchone()
    connection.close()
    return wrong if sound == "ok" else [*wrong, f"integrity: {sound}"]


@pytest.mark.parametrize("error", ["EIO", "ENOSPC"])
@pytest.mark.parametrize("call", ["fdatasync", "pwrite64"])
def test_a_failing_disk_loses_nothing_that_was_said(
    call: str, error: str, tier: Tier, tmp_path: Path, played: Callable[[int], None]
) -> None:
    """An error at any sync or write, once or from then on: a clear error and exit code 11, nothing printed is lost, the next start goes on."""
    count = calls_of(Place(tmp_path / "count", w=STEPS), call, tmp_path / "trace")
    positions = tier.some_of(range(1, count + 1), quick=PLACES_QUICK)
    cases = [f"{position}{mode}" for position, mode in product(positions, ("", "+"))]
    if tier is Tier.QUICK:  # each place once, in turn for once and for good
        cases = [case for number, case in enumerate(cases) if number % 4 in (0, 3)]

    def one(when: str) -> tuple[str, list[str]]:
        place = Place(tmp_path / when, w=STEPS)
        log = tmp_path / f"{when}.trace"
        ended = place.tow("run", "w", "--json", before=strace(call, error=error, when=when, log=log))
        return when, wrong_after(place, ended)

    with ThreadPoolExecutor(2) as pool:
        wrong = {when: found for when, found in pool.map(one, cases) if found}
    played(len(cases))
    print(f"{error} in {call} at {', '.join(cases)} of {count}")

    assert wrong == {}


def test_a_disk_that_begins_to_fail_stops_the_run_where_it_is(tmp_path: Path) -> None:
    """When every sync fails from the middle of a step on, nothing further begins and the run is not called succeeded."""
    waits = STEPS.replace("id: b, run: '", "id: b, run: 'until [ -e go ]; do sleep 0.05; done; ")
    place = Place(tmp_path / "one", w=waits)
    running = place.begin("run", "w", "--json")
    wait_for(
        lambda: (place.folder / "ledger").exists() and len(place.facts()) == 4,
        what="the second step",
        of=running,
    )
    fails = ("strace", "-f", "-qq", "-o", str(tmp_path / "log"), "-e", "inject=fdatasync,fsync:error=EIO")
    needed("strace")
    with subprocess.Popen([*fails, "-p", str(running.pid)]) as tracer:
        wait_for(lambda: _traced(running.pid), what="strace")
        (place.folder / "go").touch()
        out, err = running.communicate(timeout=30)
        tracer.wait(timeout=30)
    ended = subprocess.CompletedProcess((), running.returncode, out, err)
    status = place.statuses()[0]
    begun = (place.folder / "ledger").read_text().split()

    assert (ended.returncode, status, begun, printed_facts(out)) == (
        UNAVAILABLE,
        "running",
        ["a", "b"],
        [1, 2, 3, 4],
    )
    assert wrong_after(place, ended) == []


def _traced(pid: int) -> bool:
    """Whether every thread of a process is being traced."""
    threads = [task / "status" for task in Path(f"/proc/{pid}/task").iterdir()]
    return all("TracerPid:\t0\n" not in status.read_text() for status in threads)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 2 MiB."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(
        [needed("mount"), "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(disk)],
        capture_output=True,
        text=True,
        check=False,
    )
    if mounted.returncode != 0:
        pytest.fail(
            f"a small tmpfs is needed: run this test as root with the right to mount ({mounted.stderr.strip()})"
        )
    yield disk
    subprocess.run(["umount", "--lazy", str(disk)], check=True)


BIG = 'printf "big=%0200000d\\n" 7 >> "$TOW_OUTPUT"; echo "$TOW_STEP" >> ledger'
FILLING = f"""
steps:
  - {{id: a, run: 'echo "$TOW_STEP" >> ledger', idempotent: true}}
  - id: fill
    run: '[ -e room ] || head -c 9000000 /dev/zero > "$DISK/filler" || true; echo "$TOW_STEP" >> ledger'
    env: {{DISK: "${{{{ inputs.disk }}}}"}}
    idempotent: true
  - {{id: b, run: '{BIG}', outputs: [big], idempotent: true}}
  - {{id: c, run: '{BIG}', outputs: [big], idempotent: true}}
inputs: {{disk: {{type: string}}}}
"""


def test_a_disk_that_fills_up_during_a_run(small_disk: Path, tmp_path: Path) -> None:
    """When the disk is full the run stops with the reason; with some space again it goes on where it was."""
    place = Place(tmp_path / "project", data=small_disk / "data", w=FILLING)
    ended = place.tow("run", "w", "--json", "-i", f"disk={small_disk}")
    refused = place.tow("run", "w", "-i", f"disk={small_disk}")
    (small_disk / "filler").unlink()
    (place.folder / "room").touch()
    kept = [sequence for sequence, _ in place.facts()]
    resumed = place.tow("resume", "1")
    words = (place.folder / "ledger").read_text().split()

    assert (ended.returncode, refused.returncode) == (UNAVAILABLE, UNAVAILABLE), ended.stderr + refused.stderr
    assert "full" in ended.stderr
    assert "help: " in ended.stderr
    assert set(printed_facts(ended.stdout)) <= set(kept)
    assert (resumed.returncode, place.statuses()[0]) == (0, "succeeded"), resumed.stdout + resumed.stderr
    assert set(words) == {"a", "fill", "b", "c"}


def test_a_disk_that_is_full_from_the_beginning(small_disk: Path, tmp_path: Path) -> None:
    """Nothing starts on a full disk, and nothing has to be cleaned up before it can."""
    place = Place(tmp_path / "project", data=small_disk / "data", w=STEPS)
    filler = small_disk / "filler"
    with contextlib.suppress(OSError), filler.open("wb", buffering=0) as file:
        while file.write(b"\0" * 4096):
            pass
    refused = place.tow("run", "w")
    filler.unlink(missing_ok=True)

    assert (refused.returncode, (place.folder / "ledger").exists()) == (UNAVAILABLE, False)
    assert "help: " in refused.stderr
    assert "Traceback" not in refused.stderr
    assert place.tow("run", "w").returncode == 0


@pytest.mark.parametrize(
    "damage", ["noise in the middle", "cut in half", "no database at all", "an empty file"]
)
def test_a_damaged_database_is_told_and_not_overwritten(damage: str, tmp_path: Path) -> None:
    """A damaged file is named with what to do; nothing new starts on it, and it is left for the restore."""
    place = Place(tmp_path / "project", w=STEPS)
    assert place.tow("run", "w").returncode == 0
    database = place.data / "towpath.db"
    sound = database.read_bytes()
    for extra in place.data.glob("towpath.db-*"):
        extra.unlink()
    middle = len(sound) // 2
    database.write_bytes(
        {
            "noise in the middle": sound[:4096] + b"\xa5" * (len(sound) - 4096),
            "cut in half": sound[:middle],
            "no database at all": b"this is text\n" * 500,
            "an empty file": b"",
        }[damage]
    )
    damaged = database.read_bytes()
    ended = place.tow("run", "w")
    listed = place.tow("ps", "--all")
    if damage == "an empty file":
        assert (ended.returncode, listed.returncode) == (0, 0)
        return

    assert (ended.returncode, listed.returncode) == (UNAVAILABLE, UNAVAILABLE), ended.stderr + listed.stderr
    assert "damaged" in ended.stderr
    assert "tow restore" in ended.stderr
    assert "Traceback" not in ended.stderr + listed.stderr
    assert database.read_bytes() == damaged


SLOW_MICROSECONDS = 150_000
"""How long a sync takes on the slow disk."""


def test_a_slow_disk_makes_it_slow_and_nothing_else(tmp_path: Path) -> None:
    """Two processes on a disk whose every sync takes long wait for each other: nothing fails, nothing is lost, nothing is done twice."""
    place = Place(tmp_path / "project", w=STEPS)
    slow = (needed("strace"), "-f", "--seccomp-bpf", "-qq", "-o", str(tmp_path / "log"))
    inject = ("-e", "trace=fdatasync", "-e", f"inject=fdatasync:delay_enter={SLOW_MICROSECONDS}")
    with ThreadPoolExecutor(2) as pool:
        ended = list(pool.map(lambda _: place.tow("run", "w", "--json", before=(*slow, *inject)), range(2)))
    kept = [len(place.facts(run)) for run in (1, 2)]

    assert [one.returncode for one in ended] == [0, 0], ended[0].stderr + ended[1].stderr
    assert sorted(max(printed_facts(one.stdout)) for one in ended) == sorted(kept)
    assert sorted((place.folder / "ledger").read_text().split()) == sorted("abcd" * 2)
