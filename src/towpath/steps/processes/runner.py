"""Runs commands in processes of their own, and promises that nothing of them is left.

`ProcessRunner` is `tow`'s side of `spawner` (read that first): it starts the spawner when the first command
comes, keeps idle supervisors for the next ones, and gives every command a supervisor for itself alone. It
lives in one event loop.

A command is over when its supervisor says that no process of it is left, and everything that it wrote has
been taken. When a supervisor dies instead (a step may kill it), the spawner kills the orphans and says so;
when the spawner dies with it, what carries the command's mark in its environment is looked for and killed.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from towpath.errors import LimitExceeded, Refused, TowpathError
from towpath.steps.processes import spawner
from towpath.steps.processes.contract import PROCESSES_MAX, EndedBy, OutputSink, ProcessResult, ProcessSpec
from towpath.steps.processes.streams import Output, PipeReader, Result

IDLE_SUPERVISORS_MAX: Final = 8
STUCK_SECONDS: Final = 2.0
"""How long after the grace a supervisor may take before it is taken for stuck and killed."""
LOST_SECONDS_MAX: Final = 15.0
"""How long the spawner may take to clean up behind a supervisor that died."""
STDIN_PIPE_BYTES: Final = 4096
"""So much input fits into any pipe at once; more is given as a memory file."""
MARK_VARIABLE: Final = "TOW_PROCESS"
SWEEPS_MAX: Final = 100

Message = dict[str, Any]  # decoded JSON; both ends are in this room


class ProcessRunner:
    """Starts commands and looks after them; use it as an async context, or call `close` at the end.

    Args:
        hold_fds: Descriptors that stay open in the spawner until no process of any command is left. With the
            lock file of a run's owner among them, the owner counts as alive until its last step is dead.

    """

    def __init__(self, *, hold_fds: tuple[int, ...] = ()) -> None:
        self._hold_fds = hold_fds
        self._spawner: _Spawner | None = None
        self._dead_spawners: list[_Spawner] = []
        self._idle: list[_Supervisor] = []
        self._running: set[RunningProcess] = set()

    def hold(self, fd: int) -> None:
        """Keep one more descriptor open until no process of any command is left; before the first command."""
        self._hold_fds = (*self._hold_fds, fd)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def run(self, spec: ProcessSpec, sink: OutputSink | None = None) -> ProcessResult:
        """Run one command to its end.

        When the waiting task is cancelled, the command is stopped, and the cancellation goes on only after
        nothing of it is left. To stop it and still have its result, use `start`.
        """
        process = self.start(spec, sink)
        try:
            return await process.wait()
        except asyncio.CancelledError:
            process.stop()
            await process.gone()
            raise

    def start(self, spec: ProcessSpec, sink: OutputSink | None = None) -> RunningProcess:
        """Start one command; what it does from now on is told to *sink* and to who waits."""
        if len(self._running) >= PROCESSES_MAX:
            raise LimitExceeded(
                f"{PROCESSES_MAX} processes are running already.",
                limit="processes_max",
                help="Lower `max_parallel` or `concurrency`, or use a second worker.",
            )
        process = RunningProcess(spec, sink, on_over=self._over)
        try:
            process.begin(self._supervisor)
        except OSError as error:
            process.abandon()
            raise _cannot_start(error) from error
        self._running.add(process)
        return process

    async def close(self) -> None:
        """Stop what is still running, and leave no process behind."""
        for process in tuple(self._running):
            process.stop()
        for process in tuple(self._running):
            await process.gone()
        for supervisor in self._idle:
            supervisor.close()
        self._idle.clear()
        spawners = [*self._dead_spawners, *((self._spawner,) if self._spawner is not None else ())]
        self._dead_spawners.clear()
        self._spawner = None
        for each in spawners:
            await each.close()

    def _supervisor(self) -> _Supervisor:
        """An idle supervisor, or a new one."""
        while self._idle:
            supervisor = self._idle.pop()
            if supervisor.usable:
                return supervisor
            supervisor.close()
        if self._spawner is None or not self._spawner.alive:
            if self._spawner is not None:
                self._dead_spawners.append(self._spawner)
            self._spawner = _Spawner(self._hold_fds)
        return self._spawner.fork()

    def _over(self, process: RunningProcess, supervisor: _Supervisor) -> None:
        self._running.discard(process)
        if supervisor.usable and len(self._idle) < IDLE_SUPERVISORS_MAX:
            self._idle.append(supervisor)
        else:
            supervisor.close()


class RunningProcess:
    """One command while it runs."""

    def __init__(
        self,
        spec: ProcessSpec,
        sink: OutputSink | None,
        *,
        on_over: Callable[[RunningProcess, _Supervisor], None],
    ) -> None:
        self._spec = spec
        self._on_over = on_over
        self._loop = asyncio.get_running_loop()
        self._started = time.monotonic()
        self._mark = secrets.token_hex(8)
        self._supervisor: _Supervisor | None = None
        self._stopping: EndedBy | None = None
        self._sink_error: BaseException | None = None
        self._report: Message | None = None
        self._timers: list[asyncio.TimerHandle] = []
        self._ended_as: ProcessResult | None = None
        self._waiters: list[asyncio.Future[ProcessResult]] = []
        self._out = Output("stdout", mask=spec.masker.stream(), sink=sink, tail_bytes=spec.stdout_tail_bytes)
        self._err = Output("stderr", mask=spec.masker.stream(), sink=sink, tail_bytes=spec.stderr_tail_bytes)
        self._result = Result(spec.result_bytes_max)
        self._readers: list[PipeReader] = []

    async def wait(self) -> ProcessResult:
        """The result, once nothing is left; raises what the sink raised."""
        result = self._ended_as or await self._next_waiter()
        if self._sink_error is not None:
            raise self._sink_error
        return result

    async def gone(self) -> None:
        """Return when nothing is left, whatever came of it, even if the waiting task is cancelled again."""
        while self._ended_as is None:
            with contextlib.suppress(asyncio.CancelledError):
                await self._next_waiter()

    def _next_waiter(self) -> asyncio.Future[ProcessResult]:
        """A future for one who waits; each has their own, so that one who gives up disturbs nobody."""
        waiter: asyncio.Future[ProcessResult] = self._loop.create_future()
        self._waiters.append(waiter)
        return waiter

    def stop(self) -> None:
        """Stop the command and everything that came of it: TERM now, KILL after the grace."""
        self._stop(EndedBy.CANCELLED)

    def begin(self, supervisors: Callable[[], _Supervisor]) -> None:
        """Make the pipes, and give their other ends to a supervisor with the request."""
        spec = self._spec
        made: list[int] = []
        theirs = dict(spec.inherit)
        try:
            theirs[1] = self._pipe(self._out, made)
            theirs[2] = self._pipe(self._err, made)
            if spec.result_fd is not None:
                theirs[spec.result_fd] = self._pipe(self._result, made)
            if spec.stdin:
                theirs[0] = _input(spec.stdin)
                made.append(theirs[0])
            for number, content in spec.files.items():
                theirs[number] = _memory(content)
                made.append(theirs[number])
            self._hand_over(supervisors, theirs)
        finally:
            for fd in made:
                os.close(fd)
        if spec.timeout_seconds is not None:
            self._after(spec.timeout_seconds, lambda: self._stop(EndedBy.TIMEOUT))

    def abandon(self) -> None:
        """Give back what was made for a command that could not begin."""
        for reader in self._readers:
            reader.abandon()

    def _hand_over(self, supervisors: Callable[[], _Supervisor], theirs: dict[int, int]) -> None:
        request: Message = {
            "argv": self._spec.argv,
            "env": {**self._spec.env, MARK_VARIABLE: self._mark},
            "cwd": self._spec.cwd,
            "grace": self._spec.grace_seconds,
            "fds": list(theirs),
        }
        while self._supervisor is None:
            supervisor = supervisors()
            if supervisor.begin(request, list(theirs.values()), on_report=self._reported, on_lost=self._lost):
                self._supervisor = supervisor

    def _pipe(self, taker: Output | Result, made: list[int]) -> int:
        ours, theirs = os.pipe()
        made.append(theirs)
        os.set_blocking(ours, False)
        self._readers.append(PipeReader(ours, taker, on_error=self._sink_failed, on_end=self._finish_if_over))
        return theirs

    def _stop(self, why: EndedBy) -> None:
        if self._stopping is None and self._report is None and self._supervisor is not None:
            self._stopping = why
            self._supervisor.stop()
            self._after(self._spec.grace_seconds + STUCK_SECONDS, self._supervisor.kill_if_stuck)
            self._after(
                self._spec.grace_seconds + spawner.KILL_SECONDS_MAX + STUCK_SECONDS, self._supervisor.kill
            )

    def _after(self, seconds: float, act: Callable[[], None]) -> None:
        self._timers.append(self._loop.call_later(seconds, act))

    def _sink_failed(self, error: BaseException) -> None:
        self._sink_error = self._sink_error or error
        self.stop()

    def _reported(self, report: Message) -> None:
        self._report = report
        for timer in self._timers:
            timer.cancel()
        for reader in self._readers:
            reader.nobody_writes()
        self._finish_if_over()

    def _lost(self) -> None:
        """The supervisor and everything below it are gone, but nobody saw how the command ended."""
        sweep(self._mark)
        self._reported({"status": None, "stopped": self._stopping is not None})

    def _finish_if_over(self) -> None:
        if (
            self._report is None
            or self._ended_as is not None
            or not all(reader.ended for reader in self._readers)
        ):
            return
        assert self._supervisor is not None
        self._ended_as = self._as_result(self._report)
        for waiter in self._waiters:
            if not waiter.done():
                waiter.set_result(self._ended_as)
        self._on_over(self, self._supervisor)

    def _as_result(self, report: Message) -> ProcessResult:
        ended_by, exit_code, signal_number = _ending(report, self._stopping)
        return ProcessResult(
            ended_by=ended_by,
            exit_code=exit_code,
            signal=signal_number,
            message=_message(self._spec, report, ended_by, exit_code, signal_number),
            seconds=time.monotonic() - self._started,
            stdout_tail=self._out.tail.content(),
            stderr_tail=self._err.tail.content(),
            stdout_bytes=self._out.seen_bytes,
            stderr_bytes=self._err.seen_bytes,
            result=self._result.content(),
            result_too_long=self._result.too_long,
            leftovers=report.get("leftovers", 0),
            survivors=tuple(report.get("left", ())),
        )


class _Supervisor:
    """Our end of one supervisor: idle, or busy with one command."""

    def __init__(self, control: socket.socket, spawner_link: _Spawner) -> None:
        self._control = control
        self._spawner = spawner_link
        self._loop = asyncio.get_running_loop()
        self._pid: int | None = None
        self._identity = 0
        self._on_report: Callable[[Message], None] | None = None
        self._on_lost: Callable[[], None] | None = None
        self._killing = False
        self.usable = True
        """It lives, and has no processes left over from earlier."""
        self._loop.add_reader(control.fileno(), self._hear)

    def begin(
        self,
        request: Message,
        fds: list[int],
        *,
        on_report: Callable[[Message], None],
        on_lost: Callable[[], None],
    ) -> bool:
        """Hand over one command; False when the supervisor has died meanwhile and nothing has begun."""
        self._identity += 1
        self._killing = False
        try:
            _send(self._control, {"id": self._identity, **request}, fds)
        except ConnectionError:
            self.close()
            return False
        self._on_report = on_report
        self._on_lost = on_lost
        return True

    def stop(self) -> None:
        """Ask for the end of the command; wake what the command may have put to sleep to prevent it."""
        with contextlib.suppress(OSError):
            _send(self._control, {"stop": self._identity}, [])
        self._signal(signal.SIGCONT)

    def kill_if_stuck(self) -> None:
        """Kill a supervisor that did not begin to kill; the spawner then does its work."""
        if not self._killing:
            self.kill()

    def kill(self) -> None:
        """Kill the supervisor; what it looked after falls to the spawner."""
        self._signal(signal.SIGKILL)

    def close(self) -> None:
        """Let the supervisor go; it leaves when it has nothing to look after."""
        self.usable = False
        if self._control.fileno() >= 0:
            self._loop.remove_reader(self._control.fileno())
            self._control.close()

    def _signal(self, number: signal.Signals) -> None:
        """Signal the supervisor, which cannot be another process: its socket is still open."""
        if self.usable and self._pid is not None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self._pid, number)

    def _hear(self) -> None:
        message = _receive(self._control)
        if message is None:
            self._died()
        elif "hello" in message:
            self._pid = message["hello"]
        elif "killing" in message:
            self._killing = True
        elif self._on_report is not None and message["id"] == self._identity:
            report, self._on_report, self._on_lost = self._on_report, None, None
            self.usable = not message.get("left")
            report(message)

    def _died(self) -> None:
        lost, self._on_report, self._on_lost = self._on_lost, None, None
        self.close()
        if lost is not None:
            self._spawner.when_gone(self._pid, lost)


class _Spawner:
    """Our end of the spawner."""

    def __init__(self, hold_fds: tuple[int, ...]) -> None:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._requests = ours
        self._loop = asyncio.get_running_loop()
        self._gone: set[int] = set()
        self._waiting: dict[int, Callable[[], None]] = {}
        self.alive = True
        with theirs:
            numbers = (theirs.fileno(), *hold_fds)
            self._process = subprocess.Popen(  # noqa: S603 - our own program
                [sys.executable, "-I", "-S", "-X", "utf8", spawner.__file__, *map(str, numbers)],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                pass_fds=numbers,
                start_new_session=True,
                cwd="/",
                env={},
            )
        self._loop.add_reader(ours.fileno(), self._hear)

    def fork(self) -> _Supervisor:
        """A new supervisor; it may be given its first command at once."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            _send(self._requests, {"fork": True}, [theirs.fileno()])
        return _Supervisor(ours, self)

    def when_gone(self, pid: int | None, act: Callable[[], None]) -> None:
        """Do *act* when the orphans of the dead supervisor *pid* are dead too, or nobody can tell."""
        if not self.alive or pid is None or pid in self._gone:
            act()
            return
        os.kill(self._process.pid, signal.SIGCONT)
        self._waiting[pid] = act
        self._loop.call_later(LOST_SECONDS_MAX, self._is_gone, pid)

    def _is_gone(self, pid: int) -> None:
        self._gone.add(pid)
        if act := self._waiting.pop(pid, None):
            act()

    def _hear(self) -> None:
        message = _receive(self._requests)
        if message is not None:
            self._is_gone(message["gone"])
            return
        self.let_go()
        for act in tuple(self._waiting.values()):
            act()
        self._waiting.clear()

    async def close(self) -> None:
        """Let the spawner go, and wait until it has gone."""
        self.let_go()
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGCONT)
        deadline = time.monotonic() + LOST_SECONDS_MAX
        pause = 0.001
        while self._process.poll() is None:
            if time.monotonic() > deadline:
                self._process.kill()
            await asyncio.sleep(pause)
            pause = min(pause * 2, 0.05)

    def let_go(self) -> None:
        """Close our end; the spawner leaves after its last supervisor."""
        self.alive = False
        if self._requests.fileno() >= 0:
            self._loop.remove_reader(self._requests.fileno())
            self._requests.close()


def sweep(mark: str) -> None:
    """Kill every process that carries *mark* in its environment.

    It is the last resort, for a command that has killed all its keepers.
    """
    marked = f"{MARK_VARIABLE}={mark}".encode()
    for _ in range(SWEEPS_MAX):
        found = [pid for pid in _process_ids() if marked in _environment_of(pid).split(b"\0")]
        if not found:
            return
        for pid in found:
            with contextlib.suppress(OSError):
                os.kill(pid, signal.SIGKILL)


def _process_ids() -> list[int]:
    own = str(os.getpid())
    return [
        int(folder.name) for folder in Path("/proc").iterdir() if folder.name.isdigit() and folder.name != own
    ]


def _environment_of(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/environ").read_bytes()
    except OSError:
        return b""


def _input(data: bytes) -> int:
    """A descriptor from which *data* can be read to its end."""
    if len(data) <= STDIN_PIPE_BYTES:
        reading, writing = os.pipe()
        os.write(writing, data)
        os.close(writing)
        return reading
    return _memory(data)


def _memory(data: bytes) -> int:
    """A file in memory, with *data* in it, at its beginning."""
    fd = os.memfd_create("tow", os.MFD_CLOEXEC)
    try:
        left = memoryview(data)
        while left:
            left = left[os.write(fd, left) :]
        os.lseek(fd, 0, os.SEEK_SET)
    except OSError:
        os.close(fd)
        raise
    return fd


def _send(peer: socket.socket, message: Message, fds: list[int]) -> None:
    data = json.dumps(message).encode()
    if len(data) <= spawner.PACKET_BYTES_MAX:
        socket.send_fds(peer, [data], fds)
        return
    memory = _memory(data)
    try:
        socket.send_fds(peer, [b'{"memory": true}'], [*fds, memory])
    finally:
        os.close(memory)


def _receive(peer: socket.socket) -> Message | None:
    """The next message; None when the other end is closed."""
    try:
        data = peer.recv(spawner.PACKET_BYTES_MAX)
    except ConnectionError:
        return None
    if not data:
        return None
    message: Message = json.loads(data)
    return message


def _ending(report: Message, stopping: EndedBy | None) -> tuple[EndedBy, int | None, int | None]:
    """Why it ended, its exit code and its signal."""
    if "error" in report:
        return EndedBy.SPAWN_ERROR, None, None
    status = report["status"]
    exit_code = os.waitstatus_to_exitcode(status) if status is not None else None
    signal_number = -exit_code if exit_code is not None and exit_code < 0 else None
    ended_by = stopping if report["stopped"] and stopping is not None else EndedBy.EXIT
    if status is None and ended_by is EndedBy.EXIT:
        ended_by = EndedBy.LOST
    return ended_by, None if signal_number else exit_code, signal_number


def _message(
    spec: ProcessSpec, report: Message, ended_by: EndedBy, exit_code: int | None, number: int | None
) -> str:
    match ended_by:
        case EndedBy.EXIT if number is not None:
            text = f"`{spec.argv[0]}` was ended by {_signal_name(number)}."
        case EndedBy.EXIT:
            text = "" if exit_code == 0 else f"`{spec.argv[0]}` exited with code {exit_code}."
        case EndedBy.TIMEOUT:
            text = f"`{spec.argv[0]}` ran longer than {spec.timeout_seconds:g} s and was stopped."
        case EndedBy.CANCELLED:
            text = f"`{spec.argv[0]}` was cancelled."
        case EndedBy.LOST:
            text = f"What looked after `{spec.argv[0]}` was killed: how the command ended is unknown."
        case EndedBy.SPAWN_ERROR:
            text = _spawn_error(spec, report)
    if left := report.get("left"):
        text += f" Processes {', '.join(map(str, left))} outlived KILL; they may be another user's."
    return text


def _spawn_error(spec: ProcessSpec, report: Message) -> str:
    reason = os.strerror(report["error"])
    if report["about"] == "cwd":
        return f"The working folder {spec.cwd} cannot be entered: {reason}."
    if report["error"] == errno.ENOEXEC:
        return f"`{spec.argv[0]}` is neither a program nor a script with a `#!` line."
    path = spec.env.get("PATH", os.defpath)
    return f"`{spec.argv[0]}` could not be started: {reason}. PATH of the step is {path}."


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def _cannot_start(error: OSError) -> TowpathError:
    if error.errno in (errno.EMFILE, errno.ENFILE):
        return LimitExceeded(
            "No more files can be opened, so no process can be started.",
            limit="open_files_max",
            help="Raise `ulimit -n` (LimitNOFILE= of the service), or run less at the same time.",
        )
    return Refused(
        f"No process can be started: {error.strerror or error}.",
        help="Look at the machine's memory and its process limits.",
    )
