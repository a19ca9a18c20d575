"""`cancelled` and `timed out` mean that no process of the step is left, however it tries to stay."""

from __future__ import annotations

import asyncio
import fcntl
import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
import pytest_asyncio
from process_support import ENVIRONMENT, Collected, alive, mark, shell, until

from towpath.steps.processes import EndedBy, ProcessRunner, ProcessSpec, runner, spawner

SECONDS_MAX = 5.0


@pytest_asyncio.fixture
async def processes() -> AsyncIterator[ProcessRunner]:
    """A runner that is closed after the test."""
    async with ProcessRunner() as made:
        yield made


def python(script: str, *arguments: str, **more: object) -> ProcessSpec:
    """A Python program as a process."""
    argv = (sys.executable, "-I", "-S", "-c", textwrap.dedent(script), *arguments)
    return ProcessSpec(argv=argv, cwd="/", env=ENVIRONMENT, **more)  # type: ignore[arg-type] # as they are


DOUBLE_FORK = """
    import os, signal, sys, time
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    def vanish():
        if os.fork(): return
        os.setsid()
        if os.fork(): os._exit(0)
        os.closerange(0, 100)
        os.chdir("/")
        time.sleep(1000)
    for _ in range(5): vanish()
    print("ready", flush=True)
    time.sleep(1000)
"""

BOMB = """
    import os, signal, time
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    def spread(generations):
        for _ in range(4 if generations else 0):
            if os.fork() == 0:
                os.setsid()
                spread(generations - 1)
                break
    if os.fork() == 0:
        spread(3)  # 85 processes and no more
        time.sleep(1000)
    print("ready", flush=True)
    time.sleep(1000)
"""

COMET = """
    import os, signal, time
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    print("ready", flush=True)
    if os.fork(): time.sleep(1000)
    while True:
        if os.fork(): os._exit(0)
        os.setsid()
"""


def a_tow_that_runs(script: str, word: str, *, lock: Path | None = None) -> subprocess.Popen[bytes]:
    """Another process that runs a marked script, and holds *lock* while it lives."""
    program = """if True:
        import asyncio, fcntl, json, os, sys
        from towpath.steps.processes import ProcessRunner, ProcessSpec
        said = json.loads(sys.argv[1])
        async def main():
            held = ()
            if said["lock"]:
                held = (os.open(said["lock"], os.O_CREAT | os.O_RDWR),)
                fcntl.flock(held[0], fcntl.LOCK_EX)
            argv = ("bash", "-c", said["script"])
            spec = ProcessSpec(argv=argv, cwd="/", env=said["env"], grace_seconds=1.0)
            await ProcessRunner(hold_fds=held).run(spec)
        asyncio.run(main())
    """
    said = {"script": script, "env": {**ENVIRONMENT, "MARK": word}, "lock": str(lock) if lock else ""}
    return subprocess.Popen([sys.executable, "-c", program, json.dumps(said)])


STUBBORN = {
    "it only sleeps": shell("echo ready; exec sleep 1000"),
    "its child holds the pipe": shell("sleep 1000 & echo ready; wait"),
    "it traps TERM": shell("trap '' TERM; echo ready; while :; do sleep 1000; done"),
    "a setsid grandchild traps TERM": shell(
        "setsid bash -c \"trap '' TERM; echo ready; while :; do sleep 1000; done\" & wait"
    ),
    "nohup in a subshell": shell("(nohup setsid sleep 1000 >/dev/null 2>&1 &); echo ready; sleep 1000"),
    "double forks that close everything": python(DOUBLE_FORK),
    "a bounded fork bomb, each in a session of its own": python(BOMB),
    "a process that is never the same": python(COMET, grace_seconds=0.2),
    "it is stopped": shell("echo ready; kill -STOP $$"),
    "it stops what looks after it": shell("trap '' TERM; echo ready; kill -STOP $PPID; sleep 1000"),
    "it kills what looks after it": shell(
        "setsid sleep 1000 & trap '' TERM; kill -KILL $PPID; echo ready; sleep 1000"
    ),
    "it kills two generations": shell(
        "setsid sleep 1000 & trap '' TERM; read -r _ _ _ above _ </proc/$PPID/stat;"
        " kill -KILL $above $PPID; echo ready; sleep 1000",
    ),
}


def marked(spec: ProcessSpec, word: str, **more: object) -> ProcessSpec:
    """*spec* with its mark in its environment, where children inherit it."""
    return replace(spec, env={**spec.env, "MARK": word}, **more)  # type: ignore[arg-type] # as they are


@pytest.mark.parametrize("name", STUBBORN)
async def test_nothing_is_left_after_a_cancel(name: str, processes: ProcessRunner) -> None:
    """Five seconds after a cancel no process of the step is left, with the default grace."""
    word = mark()
    seen = Collected()
    process = processes.start(marked(STUBBORN[name], word), seen)
    waiting = asyncio.ensure_future(process.wait())
    await until(lambda: waiting.done() or b"ready" in seen.of("stdout"))
    cancelled_at = time.monotonic()
    process.stop()
    await waiting

    assert (alive(word), time.monotonic() - cancelled_at < SECONDS_MAX) == ([], True)


@pytest.mark.parametrize("name", ["it traps TERM", "double forks that close everything"])
async def test_nothing_is_left_after_a_timeout(name: str, processes: ProcessRunner) -> None:
    """A step that ran out of time leaves as little behind as a cancelled one."""
    word = mark()
    result = await processes.run(marked(STUBBORN[name], word, timeout_seconds=0.5, grace_seconds=0.3))

    assert (result.ended_by, alive(word), result.survivors) == (EndedBy.TIMEOUT, [], ())


async def test_a_step_that_ends_takes_its_background_with_it(processes: ProcessRunner) -> None:
    """After a normal exit what the command left in the background is stopped, and counted."""
    word = mark()
    spec = marked(shell("(setsid sleep 1000 >/dev/null 2>&1 &); sleep 1000 & exit 7"), word)
    result = await processes.run(spec)

    assert (result.ended_by, result.exit_code, result.leftovers, alive(word)) == (EndedBy.EXIT, 7, 2, [])


async def test_each_step_loses_only_its_own_processes(processes: ProcessRunner) -> None:
    """Of steps that run side by side, the one that is stopped is stopped and the others go on."""
    words = [mark() for _ in range(6)]
    sinks = [Collected() for _ in words]
    started = [
        processes.start(
            marked(shell("(setsid sleep 1000 & ); echo ready; sleep 1000"), word, grace_seconds=0.2), sink
        )
        for word, sink in zip(words, sinks, strict=True)
    ]
    await until(lambda: all(b"ready" in sink.of("stdout") for sink in sinks))
    for process in started[::2]:
        process.stop()
    for process in started[::2]:
        await process.wait()
    left = [bool(alive(word)) for word in words]

    assert left == [False, True] * 3


@pytest.mark.parametrize("trap", ["", "trap '' TERM HUP INT; "])
async def test_nothing_survives_the_death_of_tow(trap: str, tmp_path: Path) -> None:
    """When `tow` itself is killed with -9, everything of its steps ends, and what looked after them too."""
    word = mark()
    script = f"{trap}(setsid sleep 1000 &) ; echo > {tmp_path}/ready; sleep 1000"
    tow = a_tow_that_runs(script, word)
    await until((tmp_path / "ready").exists)
    keepers = _below(tow.pid)
    tow.kill()
    tow.wait()
    await until(lambda: not alive(word) and not any(map(_exists, keepers)), seconds=SECONDS_MAX)

    assert (alive(word), len(keepers) >= 2) == ([], True)


async def test_the_cancellation_of_who_waits_stops_the_step_first(processes: ProcessRunner) -> None:
    """A task that is cancelled while it waits for a step ends only when nothing of the step is left."""
    word = mark()
    seen = Collected()
    task = asyncio.ensure_future(processes.run(marked(STUBBORN["it only sleeps"], word), seen))
    await until(lambda: b"ready" in seen.of("stdout"))
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    assert alive(word) == []


async def test_a_lost_keeper_is_no_success(processes: ProcessRunner) -> None:
    """A step whose supervisor was killed is lost, with nothing of it left, and never ended well."""
    word = mark()
    result = await processes.run(marked(shell("setsid sleep 1000 & kill -KILL $PPID; sleep 1000"), word))

    assert (result.ended_by, result.exit_code, result.succeeded, alive(word)) == (
        EndedBy.LOST,
        None,
        False,
        [],
    )


async def test_a_runner_goes_on_after_its_keepers_were_killed(processes: ProcessRunner) -> None:
    """After a step has killed its supervisor and the spawner, the next step runs as if nothing had been."""
    word = mark()
    killer = "read -r _ _ _ above _ </proc/$PPID/stat; kill -KILL $above $PPID; sleep 1000"
    lost = await processes.run(marked(shell(killer), word))
    result = await processes.run(shell("echo well"))

    assert (lost.ended_by, result.stdout_tail, alive(word)) == (EndedBy.LOST, b"well\n", [])


async def test_closing_the_runner_stops_everything() -> None:
    """A runner that is closed leaves neither steps nor keepers."""
    word = mark()
    seen = Collected()
    made = ProcessRunner()
    process = made.start(marked(STUBBORN["it only sleeps"], word), seen)
    await until(lambda: b"ready" in seen.of("stdout"))
    keepers = _below(os.getpid())
    await made.close()
    result = await process.wait()

    assert (result.ended_by, alive(word), [pid for pid in keepers if _exists(pid)]) == (
        EndedBy.CANCELLED,
        [],
        [],
    )


async def test_held_descriptors_outlive_tow_but_not_its_steps(tmp_path: Path) -> None:
    """A lock that the spawner holds is free only when the last process of the last step is dead."""
    word = mark()
    lock = tmp_path / "lock"
    script = f"trap '' TERM; echo > {tmp_path}/ready; while :; do sleep 1000; done"
    tow = a_tow_that_runs(script, word, lock=lock)
    await until((tmp_path / "ready").exists)
    tow.kill()
    tow.wait()
    fd = os.open(lock, os.O_RDWR)
    held_while_alive = bool(alive(word)) and not _can_lock(fd)
    await until(lambda: _can_lock(fd))
    left = alive(word)
    fcntl.flock(fd, fcntl.LOCK_UN)
    os.close(fd)

    assert (held_while_alive, left) == (True, [])


def a_stray(word: str) -> subprocess.Popen[bytes]:
    """A process that nobody looks after."""
    return subprocess.Popen(["sleep", "1000"], env={runner.MARK_VARIABLE: word, **ENVIRONMENT})


async def test_the_last_resort_finds_a_marked_process() -> None:
    """When every keeper is dead, what carries the command's mark is found and killed."""
    word = mark()
    stray = a_stray(word)
    await until(lambda: alive(word) == [stray.pid])
    runner.sweep(word)

    assert stray.wait(timeout=5) == -signal.SIGKILL


def _can_lock(fd: int) -> bool:
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _below(pid: int) -> list[int]:
    return spawner.descendants(pid)


def _exists(pid: int) -> bool:
    try:
        return b"\nState:\tZ" not in Path(f"/proc/{pid}/status").read_bytes()
    except OSError:
        return False
