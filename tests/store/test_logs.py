"""Run logs: written in batches, bounded, read by step, read while they are written."""

from __future__ import annotations

import itertools
import os
import resource
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from store_support import PROGRAMS

from towpath.errors import StoreUnavailable
from towpath.store.contract import RunNumber
from towpath.store.logs import LogLimits, LogReader, Logs, writing
from towpath.store.logs import index as index_module

if TYPE_CHECKING:
    from collections.abc import Callable

ONE = RunNumber(1)
KIB = 1024
SMALL = LogLimits(head_bytes=4 * KIB, tail_bytes=8 * KIB, run_bytes=64 * KIB, rest_bytes=8 * KIB)


def ticking() -> Callable[[], int]:
    """Make a clock that goes on by a microsecond at every look."""
    moments = itertools.count(1_000, 1_000)
    return lambda: next(moments)


@pytest.fixture
def logs(tmp_path: Path) -> Logs:
    """Give the logs of a data folder, with small limits and a clock of its own."""
    return Logs(tmp_path, limits=SMALL, clock=ticking())


def read(
    logs: Logs, run: RunNumber = ONE, *, step: str | None = None, attempt: int | None = None
) -> list[str]:
    """Read what there is, as `path#attempt stream text` with `+` where a line goes on."""
    with LogReader(logs.folder_of(run), step=step, attempt=attempt) as reader:
        return [
            f"{line.path}#{line.attempt} {line.stream} {line.text}{'+' if line.goes_on else ''}"
            for line in reader.more()
        ]


def texts(logs: Logs, **what: str | int) -> list[str]:
    """Read only the texts."""
    return [line.split(" ", 2)[2] for line in read(logs, **what)]  # type: ignore[arg-type] # step or attempt


def test_lines_come_back_with_time_step_attempt_and_stream(logs: Logs) -> None:
    """Every line tells when it came, whose it is, and from which stream."""
    logs.step(ONE, "build", 1).write("stdout", b"one\ntwo\n")
    logs.step(ONE, "fleet[web1]/install", 2).write("stderr", "Fehler: zü spät\n".encode())

    with LogReader(logs.folder_of(ONE)) as reader:
        lines = [(line.at, line.path, line.attempt, line.stream, line.text) for line in reader.more()]

    assert lines == [
        (1, "build", 1, "stdout", "one"),
        (1, "build", 1, "stdout", "two"),
        (2, "fleet[web1]/install", 2, "stderr", "Fehler: zü spät"),
    ]


@pytest.mark.parametrize(
    ("what", "expected"),
    [
        ({"step": "build"}, ["build#1 stdout a", "build#2 stdout d"]),
        ({"step": "build", "attempt": 2}, ["build#2 stdout d"]),
        ({"step": "fleet"}, ["fleet[x]/install#1 stdout b", "fleet#1 system f"]),
        ({"step": "fleet[x]"}, ["fleet[x]/install#1 stdout b"]),
        ({"step": "fleet[x]/install"}, ["fleet[x]/install#1 stdout b"]),
        ({"attempt": 2}, ["build#2 stdout d"]),
        ({"step": "nothing"}, []),
    ],
)
@pytest.mark.parametrize("indexed", [False, True])
def test_a_step_is_found_with_what_is_inside_of_it(
    logs: Logs,
    monkeypatch: pytest.MonkeyPatch,
    what: dict[str, str | int],
    expected: list[str],
    indexed: bool,
) -> None:
    """Reading one step gives its lines and those of its children, with an index or without."""
    if indexed:
        monkeypatch.setattr(writing, "INDEX_WORTH_BYTES", 0)
    for path, attempt, text in (
        ("build", 1, b"a\n"),
        ("fleet[x]/install", 1, b"b\n"),
        ("fleet_two", 1, b"c\n"),
        ("build", 2, b"d\n"),
        ("buildings", 1, b"e\n"),
    ):
        logs.step(ONE, path, attempt).write("stdout", text)
    logs.step(ONE, "fleet", 1).say("f")
    logs.close()

    assert read(logs, **what) == expected  # type: ignore[arg-type] # step or attempt
    assert (logs.folder_of(ONE) / "main.index").exists() == indexed


def test_a_line_that_goes_on_is_marked(logs: Logs) -> None:
    """A piece of a long line is told from a whole one."""
    step = logs.step(ONE, "build", 1)

    for piece in (b"begin", b" middle", b" end\nnext\n"):
        step.write("stdout", piece)

    assert texts(logs) == ["begin+", " middle+", " end", "next"]


def test_a_large_batch_is_cut_at_lines(tmp_path: Path) -> None:
    """One block never holds more than it may, and no line is lost at a cut."""
    logs = Logs(tmp_path)
    lines = [f"line {n}".ljust(99) for n in range(10_000)]

    logs.step(ONE, "build", 1).write("stdout", "".join(f"{line}\n" for line in lines).encode())
    logs.step(ONE, "build", 1).write("stdout", b"x" * 600_000)

    kept = texts(logs)
    assert kept[:10_000] == lines
    assert "".join(text.removesuffix("+") for text in kept[10_000:]) == "x" * 600_000
    assert all(text.endswith("+") for text in kept[10_000:])


def test_text_that_looks_like_a_block_is_text(logs: Logs) -> None:
    """Nothing that a step prints can pretend to be another step's output (P14)."""
    logs.step(ONE, "build", 1).write("stdout", b'@9 4 stdout . 1 "deploy"\nbad\n\x00\xff\n')

    assert read(logs) == [
        'build#1 stdout @9 4 stdout . 1 "deploy"',
        "build#1 stdout bad",
        "build#1 stdout \x00\ufffd",
    ]
    assert read(logs, step="deploy") == []


def test_a_path_may_hold_anything(logs: Logs) -> None:
    """Item names come from outside; they cannot break the format."""
    path = 'fleet["a\nb\\"] ü'
    logs.step(ONE, path, 1).write("stdout", b"x\n")

    with LogReader(logs.folder_of(ONE)) as reader:
        assert [line.path for line in reader.more()] == [path]


def test_of_a_long_output_the_beginning_and_the_end_are_kept(logs: Logs) -> None:
    """What is dropped is the middle, and a line says how much (P9)."""
    step = logs.step(ONE, "noisy", 1)
    for n in range(2_000):
        step.write("stdout", f"line {n:06d} of the output\n".encode())

    kept = texts(logs)
    marks = [position for position, text in enumerate(kept) if text.startswith("[")]
    assert kept[0] == "line 000000 of the output"
    assert kept[-1] == "line 001999 of the output"
    assert len(marks) == 2
    assert "only its last" in kept[marks[0]]
    assert "bytes of output are not kept" in kept[marks[1]]
    numbers = [int(text.split()[1]) for text in kept if not text.startswith("[")]
    assert numbers == sorted(set(numbers))
    assert texts(logs, step="noisy") == kept
    assert sum(path.stat().st_size for path in logs.folder_of(ONE).iterdir()) < 16 * KIB


def test_a_noisy_step_does_not_cost_its_neighbours_anything(logs: Logs) -> None:
    """Each step has a share of its own."""
    noisy = logs.step(ONE, "noisy", 1)
    for _ in range(1_000):
        noisy.write("stdout", b"x" * 50 + b"\n")

    logs.step(ONE, "quiet", 1).write("stdout", b"hello\n")

    assert read(logs, step="quiet") == ["quiet#1 stdout hello"]


def test_the_whole_run_is_bounded_and_its_end_is_kept(logs: Logs) -> None:
    """However many steps print, the log has a limit, and the last output is there."""
    for n in range(200):
        step = logs.step(ONE, f"step[{n}]", 1)
        for m in range(20):
            step.write("stdout", f"{n} {m} {'x' * 60}\n".encode())

    kept = texts(logs)
    assert kept[-1].startswith("199 19 ")
    assert sum("the run's output has reached" in text for text in kept) == 1
    assert sum("not kept" in text for text in kept) == 1
    size = sum(path.stat().st_size for path in logs.folder_of(ONE).iterdir())
    assert size < SMALL.run_bytes + SMALL.rest_bytes + 4 * KIB


def test_a_log_is_read_while_it_is_written(logs: Logs) -> None:
    """A reader in any process gets each line once, soon after it was printed, rings included."""
    step = logs.step(ONE, "build", 1)
    got: list[str] = []
    with LogReader(logs.folder_of(ONE)) as reader:
        assert list(reader.more()) == []
        for n in range(300):
            step.write("stdout", f"line {n:04d} {'x' * 50}\n".encode())
            if n % 10 == 9:
                got += [line.text.split(" x")[0] for line in reader.more() if line.stream == "stdout"]
        assert list(reader.more()) == []

    assert got == [f"line {n:04d}" for n in range(300)]


def test_who_reads_too_slowly_is_told_what_was_missed(logs: Logs) -> None:
    """A follower that a ring has overtaken sees a gap, not silence."""
    step = logs.step(ONE, "build", 1)
    for n in range(150):
        step.write("stdout", f"{n} {'x' * 60}\n".encode())
    with LogReader(logs.folder_of(ONE)) as reader:
        list(reader.more())
        for n in range(150, 600):
            step.write("stdout", f"{n} {'x' * 60}\n".encode())

        late = [line.text for line in reader.more()]

    assert sum("not kept" in text for text in late) == 1
    assert late[-1].startswith("599 ")


def test_steps_side_by_side_are_merged_by_time(logs: Logs) -> None:
    """What went to different files is read in the order in which it came."""
    first, second = logs.step(ONE, "a", 1), logs.step(ONE, "b", 1)
    for n in range(60):
        first.write("stdout", f"{n} {'x' * 100}\n".encode())
        second.write("stdout", f"{n} {'y' * 100}\n".encode())

    with LogReader(logs.folder_of(ONE)) as reader:
        moments = [line.at for line in reader.more()]

    assert moments == sorted(moments)


@pytest.mark.parametrize("cut", [1, 5, 25, 40])
def test_a_torn_end_is_cut_off(logs: Logs, cut: int) -> None:
    """What a crash left half written is passed over by readers and removed by the next writer."""
    logs.step(ONE, "build", 1).write("stdout", b"whole\n")
    logs.step(ONE, "build", 1).write("stdout", b"torn by a crash\n")
    logs.close()
    main = logs.folder_of(ONE) / "main.log"
    os.truncate(main, main.stat().st_size - cut)
    assert texts(logs) == ["whole"]

    Logs(logs.folder_of(ONE).parent, clock=ticking()).step(ONE, "build", 2).write("stdout", b"after\n")

    assert texts(logs) == ["whole", "after"]


@pytest.mark.parametrize("what", ["missing", "torn", "ahead"])
def test_a_lost_index_costs_time_only(logs: Logs, monkeypatch: pytest.MonkeyPatch, what: str) -> None:
    """The index helps; nothing depends on it."""
    monkeypatch.setattr(writing, "INDEX_WORTH_BYTES", 0)
    monkeypatch.setattr(index_module, "INDEX_WORTH_BYTES", 0)
    for n in range(100):
        logs.step(ONE, f"step[{n % 7}]", 1).write("stdout", f"{n}\n".encode())
    logs.close()
    index, main = logs.folder_of(ONE) / "main.index", logs.folder_of(ONE) / "main.log"
    if what == "missing":
        index.unlink()
    elif what == "torn":
        os.truncate(index, index.stat().st_size - 7)
    else:
        os.truncate(main, main.stat().st_size // 2)
    expected = [n for n in range(100) if n % 7 == 3]
    before = [int(text) for text in texts(logs, step="step[3]")]

    again = Logs(logs.folder_of(ONE).parent, clock=ticking())
    again.step(ONE, "step[3]", 1).write("stdout", b"100\n")
    again.close()

    assert before == expected[: len(before)]
    assert len(before) == len(expected) or what == "ahead"
    assert [int(text) for text in texts(logs, step="step[3]")] == [*before, 100]


def test_a_run_that_goes_on_in_another_process_keeps_its_bounds(logs: Logs) -> None:
    """Rings are taken up where they were; the beginning is not printed twice."""
    clock = ticking()
    for part in range(3):
        writer = Logs(logs.folder_of(ONE).parent, limits=SMALL, clock=clock)
        step = writer.step(ONE, "noisy", 1)
        for n in range(300):
            step.write("stdout", f"{part} {n} {'x' * 50}\n".encode())
        writer.close()

    kept = texts(logs, step="noisy")
    assert kept[-1].startswith("2 299 ")
    assert sum("only its last" in text for text in kept) == 1
    assert sum(path.stat().st_size for path in logs.folder_of(ONE).iterdir()) < 16 * KIB


def open_descriptors() -> int:
    """Count the open files of this process."""
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


def test_many_runs_do_not_exhaust_the_descriptors(tmp_path: Path) -> None:
    """Few logs are open at the same time, however many runs print."""
    logs = Logs(tmp_path)
    steps = [logs.step(RunNumber(n), "build", 1) for n in range(1, 301)]
    before = open_descriptors()

    for _ in range(2):
        for step in steps:
            step.write("stdout", b"x\n")

    assert open_descriptors() <= before + writing.OPEN_LOGS_MAX + 1
    assert texts(logs) == ["x", "x"]
    assert read(logs, RunNumber(300)) == ["build#1 stdout x"] * 2
    logs.close()
    assert open_descriptors() <= before


def test_a_closed_log_opens_again_when_it_is_written(logs: Logs) -> None:
    """Closing a run's log loses nothing and forbids nothing."""
    step = logs.step(ONE, "build", 1)
    step.write("stdout", b"one\n")
    logs.close_run(ONE)

    step.write("stdout", b"two\n")

    assert texts(logs) == ["one", "two"]


def test_the_time_of_a_log_never_goes_back(tmp_path: Path) -> None:
    """A clock that is set back does not turn the order around (P13)."""
    moments = iter([5_000_000, 3_000_000, 6_000_000])
    logs = Logs(tmp_path, clock=lambda: next(moments))

    for text in (b"a\n", b"b\n", b"c\n"):
        logs.step(ONE, "build", 1).write("stdout", text)

    with LogReader(logs.folder_of(ONE)) as reader:
        assert [line.at for line in reader.more()] == [5_000, 5_000, 6_000]


def test_a_log_that_cannot_be_written_says_so(logs: Logs) -> None:
    """A full disk is an error with a way out, and leaves no half block."""
    step = logs.step(ONE, "build", 1)
    step.write("stdout", b"one\n")
    size = (logs.folder_of(ONE) / "main.log").stat().st_size
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size + 50, before[1]))
    try:
        with pytest.raises(StoreUnavailable) as caught:
            step.write("stdout", b"x" * 100 + b"\n")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    step.write("stdout", b"two\n")

    assert caught.value.help
    assert texts(logs) == ["one", "two"]


def test_the_log_of_a_run_that_printed_nothing_is_empty(logs: Logs) -> None:
    """A log that does not exist is not an error."""
    assert read(logs, RunNumber(77)) == []


@pytest.mark.parametrize("kind", ["lines", "line"])
def test_a_gigabyte_passes_in_little_memory(tmp_path: Path, kind: str) -> None:
    """1 GB of output, in lines or in one line, costs the process less than 16 MiB; the tail is readable."""
    done = subprocess.run(
        [sys.executable, str(PROGRAMS / "print_much.py"), str(tmp_path), kind],
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )

    assert int(done.stdout) < 16 * KIB
    with LogReader(tmp_path / "1", step="much") as reader:
        last = list(reader.more())[-1].text
    assert last == "the end"
    assert sum(path.stat().st_size for path in (tmp_path / "1").iterdir()) < 20 * KIB * KIB
