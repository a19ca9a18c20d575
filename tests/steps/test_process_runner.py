"""One command: what goes in, what comes out, and how it is told."""

from __future__ import annotations

import asyncio
import json
import os
import resource
import sys
import threading
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
import pytest_asyncio
from process_support import ENVIRONMENT, Collected, shell, until

from towpath.errors import LimitExceeded
from towpath.steps.processes import EndedBy, ProcessRunner, ProcessSpec, contract, runner
from towpath.steps.secrets import Masker

GIGABYTE = 1_000_000_000
GROWTH_BYTES_MAX = 64 * 1024 * 1024


@pytest_asyncio.fixture
async def processes() -> AsyncIterator[ProcessRunner]:
    """A runner that is closed after the test."""
    async with ProcessRunner() as made:
        yield made


def command(*argv: str, cwd: str = "/") -> ProcessSpec:
    """A command as a process."""
    return ProcessSpec(argv=argv, cwd=cwd, env=ENVIRONMENT)


MISSING = "No such file or directory"
ENDINGS = {
    "success": (shell("exit 0"), EndedBy.EXIT, 0, None, ""),
    "an exit code": (shell("exit 3"), EndedBy.EXIT, 3, None, "`bash` exited with code 3."),
    "a signal": (shell("kill -SEGV $$"), EndedBy.EXIT, None, 11, "`bash` was ended by SIGSEGV."),
    "a real-time signal": (shell("kill -40 $$"), EndedBy.EXIT, None, 40, "`bash` was ended by signal 40."),
    "a timeout": (
        shell("exec sleep 1000", timeout_seconds=0.05),
        EndedBy.TIMEOUT,
        None,
        15,
        "`bash` ran longer than 0.05 s and was stopped.",
    ),
    "a timeout that ends well": (
        shell("trap 'exit 0' TERM; sleep 1000 & wait", timeout_seconds=0.2),
        EndedBy.TIMEOUT,
        0,
        None,
        "`bash` ran longer than 0.2 s and was stopped.",
    ),
    "no such program": (
        command("no-such-program"),
        EndedBy.SPAWN_ERROR,
        None,
        None,
        f"`no-such-program` could not be started: {MISSING}. PATH of the step is {ENVIRONMENT['PATH']}.",
    ),
    "a folder as a program": (
        command("/usr"),
        EndedBy.SPAWN_ERROR,
        None,
        None,
        f"`/usr` could not be started: Permission denied. PATH of the step is {ENVIRONMENT['PATH']}.",
    ),
    "no such folder": (
        command("true", cwd="/no/such/folder"),
        EndedBy.SPAWN_ERROR,
        None,
        None,
        "The working folder /no/such/folder cannot be entered: No such file or directory.",
    ),
}


@pytest.mark.parametrize("name", ENDINGS)
async def test_how_it_ended_is_told(name: str, processes: ProcessRunner) -> None:
    """Why a command ended, with which code or signal, is told as a value and as a sentence."""
    spec, *expected = ENDINGS[name]
    result = await processes.run(spec)

    assert [result.ended_by, result.exit_code, result.signal, result.message] == expected


async def test_a_file_that_is_no_program_is_named(processes: ProcessRunner, tmp_path: Path) -> None:
    """A script without a `#!` line is refused with the reason."""
    script = tmp_path / "script"
    script.write_text("echo hello\n")
    script.chmod(0o755)
    result = await processes.run(command(str(script)))

    assert result.message == f"`{script}` is neither a program nor a script with a `#!` line."


async def test_programs_are_found_on_the_path_of_the_step(processes: ProcessRunner, tmp_path: Path) -> None:
    """The program is looked for on the PATH that the step was given, not on that of `tow`."""
    program = tmp_path / "greet"
    program.write_text("#!/bin/sh\necho hello from $0\n")
    program.chmod(0o755)
    spec = ProcessSpec(argv=("greet",), cwd="/", env={"PATH": f"/nowhere:{tmp_path}"})
    result = await processes.run(spec)

    assert result.stdout_tail == f"hello from {program}\n".encode()


async def test_a_path_is_taken_from_the_working_folder(processes: ProcessRunner, tmp_path: Path) -> None:
    """`./script` is the one in the working folder."""
    program = tmp_path / "script"
    program.write_text("#!/bin/sh\npwd\n")
    program.chmod(0o755)
    result = await processes.run(command("./script", cwd=str(tmp_path)))

    assert result.stdout_tail == f"{tmp_path}\n".encode()


async def test_only_the_made_environment_is_there(
    processes: ProcessRunner, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A command sees what it was given and its mark, and nothing of the environment of `tow`."""
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "not for steps")
    spec = ProcessSpec(argv=("env",), cwd="/", env={"PATH": "/usr/bin:/bin", "ODD": "a=b\n'ü\udcff"})
    result = await processes.run(spec)
    lines = [line for line in result.stdout_tail.split(b"\n") if not line.startswith(b"TOW_PROCESS=")]

    assert sorted(lines) == sorted([b"PATH=/usr/bin:/bin", b"ODD=a=b", "'ü".encode() + b"\xff", b""])


async def test_nothing_of_ours_is_open_in_a_command(processes: ProcessRunner) -> None:
    """A command has its input, its outputs and what it was promised, and so has the next one."""
    program = """if True:
        import os
        listed = sorted(int(fd) for fd in os.listdir("/proc/self/fd"))
        print([fd for fd in listed if os.path.exists(f"/proc/self/fd/{fd}")])
    """
    plain = command(sys.executable, "-I", "-S", "-c", program)
    with_result = ProcessSpec(argv=plain.argv, cwd="/", env=ENVIRONMENT, result_fd=5, stdin=b"x")
    results = [await processes.run(spec) for spec in (plain, with_result, plain)]

    assert [result.stdout_tail for result in results] == [b"[0, 1, 2]\n", b"[0, 1, 2, 5]\n", b"[0, 1, 2]\n"]


async def test_a_command_starts_as_from_a_plain_shell(processes: ProcessRunner) -> None:
    """No signal is blocked or ignored, no terminal is there, and no core file will hold its memory."""
    script = "grep -E '^Sig(Blk|Ign)' /proc/self/status; ulimit -c; ps -o tty= -p $$"
    result = await processes.run(shell(script))
    blocked, ignored, core, terminal, _ = result.stdout_tail.split(b"\n")
    plain_signals = 0x7FFFFFFF

    assert (
        int(blocked.split()[1], 16),
        int(ignored.split()[1], 16) & plain_signals,
        core,
        terminal.strip(),
    ) == (0, 0, b"0", b"?")


@pytest.mark.parametrize("size", [0, 1, 4096, 4097, 3_000_000])
async def test_input_of_any_size_is_read_to_its_end(size: int, processes: ProcessRunner) -> None:
    """Standard input holds exactly what was given; without any it is empty."""
    result = await processes.run(shell("wc -c", stdin=b"x" * size))

    assert int(result.stdout_tail) == size


async def test_input_that_nobody_reads_is_no_harm(processes: ProcessRunner) -> None:
    """A command that ignores its input ends as it likes."""
    result = await processes.run(shell("exit 0", stdin=b"x" * 1_000_000))

    assert result.succeeded


async def test_large_environments_and_arguments_arrive(processes: ProcessRunner) -> None:
    """A request that is larger than a packet arrives whole, with its descriptors."""
    env = {**ENVIRONMENT, **{f"V{number}": "x" * 100_000 for number in range(10)}}
    spec = ProcessSpec(argv=("bash", "-c", 'cat; echo -n "$V0$V9" | wc -c'), cwd="/", env=env, stdin=b"in ")
    result = await processes.run(spec)

    assert result.stdout_tail == b"in 200000\n"


async def test_what_the_system_refuses_is_said(processes: ProcessRunner) -> None:
    """Arguments that the system does not take are an error of this command only."""
    refused = await processes.run(command("true", "x" * 200_000))
    result = await processes.run(command("true"))

    assert (refused.ended_by, "Argument list too long" in refused.message, result.succeeded) == (
        EndedBy.SPAWN_ERROR,
        True,
        True,
    )


async def test_a_result_comes_apart_from_the_output(processes: ProcessRunner) -> None:
    """What a command writes to its result descriptor comes back whole and stays out of its output."""
    message = json.dumps({"answer": ["x" * 200_000]}).encode()
    spec = shell("cat >&3; echo said", stdin=message, result_fd=3)
    result = await processes.run(spec)

    assert (result.result, result.result_too_long, result.stdout_tail) == (message, False, b"said\n")


async def test_a_result_has_a_limit(processes: ProcessRunner) -> None:
    """A result that is too long is cut and said to be so, and the command can still end."""
    result = await processes.run(shell("head -c 300000 /dev/zero >&3", result_fd=3, result_bytes_max=1000))

    assert (len(result.result), result.result_too_long, result.exit_code) == (1000, True, 0)


async def test_descriptors_can_be_passed(processes: ProcessRunner) -> None:
    """A command gets our descriptor under the number it expects, and ours stays open."""
    reading, writing = os.pipe()
    result = await processes.run(shell("echo hello >&7", inherit={7: writing}))
    os.write(writing, b"ours")
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        told = pipe.read()

    assert (result.exit_code, told) == (0, b"hello\nours")


async def test_lines_reach_the_sink_whole(processes: ProcessRunner) -> None:
    """Every batch ends with a line's end, but for the last line of a stream that has none."""
    seen = Collected()
    script = "printf 'one\\ntw'; printf 'err' >&2; sleep 0.05; printf 'o\\nthree'"
    await processes.run(shell(script), seen)

    assert sorted(seen.batches) == [
        ("stderr", b"err"),
        ("stdout", b"one\n"),
        ("stdout", b"three"),
        ("stdout", b"two\n"),
    ]


async def test_a_long_line_comes_in_pieces_that_tear_no_character(processes: ProcessRunner) -> None:
    """A line that is longer than a line may be is handed on in pieces, each of whole characters."""
    seen = Collected()
    text = "€" * 200_000
    await processes.run(shell("cat", stdin=text.encode()), seen)
    pieces = [data.decode() for _, data in seen.batches]

    assert ("".join(pieces) == text, len(pieces) > 1) == (True, True)


async def test_the_tail_is_the_end_of_what_was_said(processes: ProcessRunner) -> None:
    """Of a long output the last bytes are kept, and everything is counted."""
    result = await processes.run(shell("seq 100000; echo oops >&2", stdout_tail_bytes=1000))
    whole = b"".join(b"%d\n" % number for number in range(1, 100_001))

    assert (result.stdout_tail, result.stdout_bytes, result.stderr_tail, result.stderr_bytes) == (
        whole[-1000:],
        len(whole),
        b"oops\n",
        5,
    )


async def test_secrets_are_masked_in_everything_that_comes_out(processes: ProcessRunner) -> None:
    """Neither a batch nor a tail holds a secret, written at once or in parts, cut by the tail or not."""
    seen = Collected()
    script = "printf hunter2; sleep 0.03; printf 'secret\\n'; printf hunter2secret >&2"
    spec = shell(script, masker=Masker(["hunter2secret"]), stdout_tail_bytes=5)
    result = await processes.run(spec, seen)

    assert (seen.of("stdout"), seen.of("stderr"), result.stdout_tail, result.stderr_tail) == (
        b"***\n",
        b"***",
        b"***\n",
        b"***",
    )


async def test_an_innocent_line_is_shown_at_once(processes: ProcessRunner) -> None:
    """A line is handed on while the command still runs, though secrets are looked for."""
    seen = Collected()
    process = processes.start(shell("echo hello; sleep 1000", masker=Masker(["hunter2secret"])), seen)
    await until(lambda: seen.of("stdout") == b"hello\n")
    process.stop()
    result = await process.wait()

    assert result.ended_by is EndedBy.CANCELLED


async def test_a_slow_sink_slows_the_command_down(processes: ProcessRunner) -> None:
    """While a sink takes its time, nothing more is read: the command waits and memory stays where it is."""
    taking = asyncio.Event()
    taken: list[int] = []

    async def slowly(_: str, data: bytes) -> None:
        taken.append(len(data))
        await taking.wait()

    process = processes.start(shell("head -c 10000000 /dev/zero | tr '\\0' '\\n'"), slowly)
    waiting = asyncio.ensure_future(process.wait())
    await until(lambda: len(taken) == 1)
    await asyncio.sleep(0.1)
    taken_while_slow, ended_while_slow = len(taken), waiting.done()
    taking.set()
    result = await waiting

    assert (taken_while_slow, ended_while_slow, sum(taken), result.exit_code) == (1, False, 10_000_000, 0)


async def test_a_sink_that_fails_stops_the_command(processes: ProcessRunner) -> None:
    """When output cannot be kept, the command is stopped and the sink's own error is raised."""

    def full(_: str, _data: bytes) -> None:
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        await processes.run(shell("yes; sleep 1000", grace_seconds=0.2), full)


async def test_a_sink_that_fails_later_stops_the_command(processes: ProcessRunner) -> None:
    """An error that a sink raises while it is awaited counts as one that it raises at once."""

    async def full(_: str, _data: bytes) -> None:
        await asyncio.sleep(0)
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        await processes.run(shell("yes; sleep 1000", grace_seconds=0.2), full)


async def test_a_stranger_who_goes_on_writing_is_not_waited_for(
    processes: ProcessRunner, tmp_path: Path
) -> None:
    """Output ends with the command, even if somebody outside got hold of its pipe and never stops writing."""
    seen = Collected()
    go = tmp_path / "go"
    process = processes.start(shell(f"echo $$; while [ ! -e {go} ]; do sleep 0.01; done"), seen)
    await until(lambda: seen.of("stdout") != b"")
    stolen = os.open(f"/proc/{int(seen.of('stdout'))}/fd/1", os.O_WRONLY)
    stranger = threading.Thread(target=_write_on, args=(stolen,))
    stranger.start()
    go.touch()
    result = await process.wait()
    stranger.join(10)

    assert (result.exit_code, stranger.is_alive()) == (0, False)


def _write_on(fd: int) -> None:
    """Write until nobody reads any more."""
    try:
        while True:
            os.write(fd, b"x" * 60_000 + b"\n")
    except BrokenPipeError:
        os.close(fd)


@pytest.mark.parametrize(
    "script",
    [
        "yes 'a line as builds write them, with words and numbers 12345' | head -c 1000000000",
        "head -c 1000000000 /dev/zero | tr '\\0' x",
    ],
    ids=["lines", "one line"],
)
async def test_a_gigabyte_needs_no_memory(script: str, processes: ProcessRunner) -> None:
    """A gigabyte of output, in lines or in one, is masked while memory grows by less than 64 MiB."""
    taken = 0
    before = peak = _resident_bytes()

    def count(_: str, data: bytes) -> None:
        nonlocal taken, peak
        taken += len(data)
        peak = max(peak, _resident_bytes())

    result = await processes.run(shell(script, masker=Masker(["hunter2secret"])), count)

    assert (taken, result.stdout_bytes, len(result.stdout_tail), peak - before < GROWTH_BYTES_MAX) == (
        GIGABYTE,
        GIGABYTE,
        contract.STDOUT_TAIL_BYTES,
        True,
    )


def _resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_bytes().split()[1]) * resource.getpagesize()


async def test_fifty_run_side_by_side(processes: ProcessRunner) -> None:
    """Fifty commands at once each get their own output, and few keepers stay behind."""
    results = await asyncio.gather(*(processes.run(shell(f"echo {number}")) for number in range(50)))

    assert ([int(result.stdout_tail) for result in results], len(processes._idle)) == (
        list(range(50)),
        runner.IDLE_SUPERVISORS_MAX,
    )


async def test_a_keeper_is_used_again(processes: ProcessRunner) -> None:
    """Commands that follow one another have the same supervisor: that is what makes them cheap."""
    parents = {(await processes.run(shell("echo $PPID"))).stdout_tail for _ in range(5)}

    assert len(parents) == 1


async def test_an_idle_keeper_that_died_is_replaced(processes: ProcessRunner) -> None:
    """A supervisor that was killed while it was idle costs nothing but itself."""
    parent = int((await processes.run(shell("echo $PPID"))).stdout_tail)
    os.kill(parent, 9)
    await until(lambda: not Path(f"/proc/{parent}").exists())
    result = await processes.run(shell("echo $PPID"))

    assert (result.exit_code, int(result.stdout_tail) != parent) == (0, True)


async def test_a_stop_that_comes_late_does_not_hit_the_next_command(processes: ProcessRunner) -> None:
    """Stopping a command that has ended already changes nothing for the one that has its supervisor now."""
    first = processes.start(shell("echo $PPID"))
    ended = await first.wait()
    second = processes.start(shell("echo $PPID; sleep 0.1; echo well"))
    first.stop()
    result = await second.wait()

    assert (ended.exit_code, result.stdout_tail) == (0, ended.stdout_tail + b"well\n")


async def test_waiting_twice_gives_the_same(processes: ProcessRunner) -> None:
    """Everybody who waits for a process gets its result, during and after."""
    process = processes.start(shell("sleep 0.05; exit 4"))
    during = await asyncio.gather(process.wait(), process.wait())
    after = await process.wait()

    assert [result.exit_code for result in (*during, after)] == [4, 4, 4]


async def test_there_is_a_limit_to_processes(
    processes: ProcessRunner, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One process too many is refused by name, and there is room again when one has ended."""
    monkeypatch.setattr(runner, "PROCESSES_MAX", 1)
    process = processes.start(shell("read -r _; sleep 0.05"))
    with pytest.raises(LimitExceeded) as refused:
        processes.start(shell("true"))
    await process.wait()
    result = await processes.run(shell("true"))

    assert (refused.value.limit, result.exit_code) == ("processes_max", 0)


def _open_files() -> set[str]:
    return {path.name for path in Path("/proc/self/fd").iterdir()}


def _no_pipes() -> tuple[int, int]:
    raise OSError(24, "Too many open files")


async def test_no_more_files_is_a_limit_too(
    processes: ProcessRunner, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When no pipe can be made the error says what to raise, and nothing is left open."""
    await processes.run(shell("true"))
    before = _open_files()
    make: Callable[[], tuple[int, int]] = os.pipe
    made: list[None] = []

    def second_fails() -> tuple[int, int]:
        made.append(None)
        return make() if len(made) == 1 else _no_pipes()

    monkeypatch.setattr(os, "pipe", second_fails)
    with pytest.raises(LimitExceeded) as refused:
        processes.start(shell("true"))
    monkeypatch.undo()

    assert (refused.value.limit, _open_files()) == ("open_files_max", before)


async def test_no_descriptor_leaks(processes: ProcessRunner) -> None:
    """After a hundred commands as many descriptors are open as after one."""
    await processes.run(shell("true"))
    before = len(_open_files())
    for _ in range(100):
        await processes.run(shell("echo x", stdin=b"y"))

    assert len(_open_files()) == before
