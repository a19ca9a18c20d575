"""The program that starts the commands of steps and sees to it that nothing of them is left.

It is run as a small process of its own (`python -I -S spawner.py FD`) and imports nothing but the standard
library:

    tow ──────── spawner ──────── supervisor ──────── command ──── whatever the command starts
                         ├─────── supervisor (idle)
                         └─────── …

- The *spawner* forks supervisors. It has one thread and little memory, so forking is cheap and safe; `tow`
  itself has threads and is never forked.
- A *supervisor* looks after one step at a time. `PR_SET_CHILD_SUBREAPER` makes the kernel hand it every
  descendant of the step whose parent has died: `setsid`, double forks and closed files cannot leave it. A
  step is over when `waitpid` says that there is no child left (ECHILD); so what belongs to which step is
  exact, however many run side by side.
- A supervisor that was idle is used again: that is what makes a step cheap (one vfork and one exec).
- The spawner is a subreaper too. When a step kills its own supervisor, its orphans fall to the spawner,
  which kills them.
- Each supervisor holds one end of a socket whose other end only `tow` has. The end of `tow`, `kill -9`
  included, is an end of file there: the step is stopped, then the supervisor leaves; the spawner leaves
  after the last supervisor.

Stopping is TERM (and CONT) to every descendant, then, after the grace, KILL to every descendant and every
process group among them, again and again until ECHILD: one pass may miss what is forking while it looks,
and a signal to a group cannot be outrun by `fork`.

Messages are JSON, one in a packet (SOCK_SEQPACKET). To a supervisor: `{id, argv, env, cwd, fds, grace}`
with the file descriptors attached (or `{"memory": true}` with a memory file as the last of them, when the
packet would be too large), and `{stop: id}`. Back: `{id, status, stopped, leftovers, left}` or `{id, error,
about}`. A new supervisor says `{hello: pid}`, and one that begins to kill says `{killing: id}`. To the
spawner: `{fork: true}` with the socket attached. Back: `{gone: pid}` when a supervisor and its orphans are
dead.
"""

from __future__ import annotations

import ctypes
import fcntl
import gc
import json
import os
import resource
import select
import signal
import socket
import sys
import time

# `pathlib`, `contextlib` and `typing` are slow to import: what they would do is done by hand (PTH, SIM105).
TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    Message = dict[str, Any]  # decoded JSON; both ends are in this room

PACKET_BYTES_MAX = 16 * 1024  # small, because a buffer of this size is made for every message
FDS_MAX = 16
FIRST_SAFE_FD = 64  # where received descriptors are moved when the command wants numbers above 2
LEFTOVER_GRACE_SECONDS_MAX = 1.0  # for what a step leaves in the background when its command has ended
ORPHAN_GRACE_SECONDS_MAX = 2.0  # for a step whose `tow` has died
KILL_SECONDS_MAX = 10.0  # a process that outlives KILL for so long is in the kernel's or another user's hands
LEFT_NAMED_MAX = 100
KILL_PAUSE_SECONDS_MIN = 0.001
KILL_PAUSE_SECONDS_MAX = 0.05

PR_SET_NAME = 15
PR_SET_CHILD_SUBREAPER = 36

IGNORED = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)  # they are for `tow`, which then says what to do
RESET_FOR_COMMAND = tuple(
    number
    for number in range(1, signal.SIGRTMIN)
    if number in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}
)


def main(requests_fd: int, *hold_fds: int) -> None:
    """Fork supervisors for the `tow` at the other end of *requests_fd* until it goes away.

    The *hold_fds* stay open until then, and until the last process of the last step is dead.
    """
    for fd in (requests_fd, *hold_fds):
        os.set_inheritable(fd, False)  # noqa: FBT003 - it takes no keyword
    requests = socket.socket(fileno=requests_fd)
    _settle(b"tow-spawner")
    resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))
    gc.disable()  # nothing here makes cycles, and a collection would copy the pages that supervisors share
    Spawner(requests).serve()


class Spawner:
    """Forks supervisors, and kills the orphans of one that died before its step was over."""

    def __init__(self, requests: socket.socket) -> None:
        self._requests = requests
        self._supervisors: set[int] = set()
        self._died: list[int] = []  # supervisors whose orphans may still be about
        self._open = True

    def serve(self) -> None:
        """Serve until `tow` has gone and no supervisor is left."""
        wakeup = Wakeup()
        poll = select.poll()
        poll.register(wakeup.fd, select.POLLIN)
        poll.register(self._requests, select.POLLIN)
        while self._open or self._supervisors or self._died:
            ready = poll.poll(KILL_PAUSE_SECONDS_MAX * 1000 if self._died else None)
            wakeup.clear()
            if any(fd == self._requests.fileno() for fd, _ in ready) and not self._serve_one(wakeup):
                poll.unregister(self._requests)
                self._open = False
            self._reap()
            if self._died:
                self._kill_orphans()

    def _serve_one(self, wakeup: Wakeup) -> bool:
        """Fork one supervisor; False when `tow` has gone."""
        message, fds = receive(self._requests)
        if message is None:
            return False
        pid = os.fork()
        if pid == 0:
            self._become_supervisor(wakeup, fds[0])
        os.close(fds[0])
        self._supervisors.add(pid)
        return True

    def _become_supervisor(self, wakeup: Wakeup, control_fd: int) -> None:
        status = 1
        try:
            self._requests.close()
            wakeup.close()
            _settle(b"tow-supervisor")
            supervise(socket.socket(fileno=control_fd))
            status = 0
        finally:
            os._exit(status)

    def _reap(self) -> None:
        while True:
            try:
                pid, _ = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            if pid in self._supervisors:
                self._supervisors.discard(pid)
                self._died.append(pid)

    def _kill_orphans(self) -> None:
        orphans = [pid for pid in children(os.getpid()) if pid not in self._supervisors]
        for orphan in orphans:
            kill_tree(orphan)
        if not orphans:
            for pid in self._died:
                self._tell({"gone": pid})
            self._died.clear()

    def _tell(self, message: Message) -> None:
        if self._open:
            send(self._requests, message)


def supervise(control: socket.socket) -> None:
    """Look after one step after the other until *control* is closed."""
    send(control, {"hello": os.getpid()})
    wakeup = Wakeup()
    poll = select.poll()
    poll.register(control, select.POLLIN)
    poll.register(wakeup.fd, select.POLLIN)
    while True:
        request, fds = receive(control)
        if request is None:
            return
        if "stop" in request:
            continue  # for a step that is over: its last message and this one crossed
        try:
            pid = start(request, fds)
        except OSError as error:
            about = "cwd" if isinstance(error, WorkingFolderError) else "argv"
            send(control, {"id": request["id"], "error": error.errno, "about": about})
            continue
        finally:
            for fd in fds:
                os.close(fd)
        step = Step(pid, request["id"], request["grace"])
        step.watch(control, wakeup, poll)
        send(control, step.report())
        if step.left or step.orphaned:
            step.outlast()
            return


class WorkingFolderError(OSError):
    """The folder in which the command should start cannot be entered."""


def start(request: Message, fds: list[int]) -> int:
    """Start the command of *request* in a session of its own and return its process id."""
    argv, env, cwd, targets = request["argv"], request["env"], request["cwd"], request["fds"]
    if any(target > 2 for target in targets):  # noqa: PLR2004 - stdin, stdout, stderr
        fds[:] = [_moved(fd) for fd in fds]
    try:
        os.chdir(cwd)
    except OSError as error:
        raise WorkingFolderError(error.errno, error.strerror) from error
    try:
        return os.posix_spawn(
            find_program(argv[0], env.get("PATH", os.defpath)),
            argv,
            env,
            file_actions=[(os.POSIX_SPAWN_DUP2, fd, target) for fd, target in zip(fds, targets, strict=True)],
            setsid=True,
            setsigmask=(),
            setsigdef=RESET_FOR_COMMAND,
        )
    finally:
        os.chdir("/")


def find_program(name: str, search_path: str) -> str:
    """Where the program *name* is, on the command's own PATH and not on ours."""
    if "/" in name:
        return name
    for folder in search_path.split(":"):
        candidate = f"{folder or '.'}/{name}"
        if os.access(candidate, os.X_OK) and not os.path.isdir(candidate):  # noqa: PTH112
            return candidate
    return name


class Step:
    """One command and all that came of it, from its start until ECHILD."""

    __slots__ = (
        "_deadline",
        "_grace",
        "_identity",
        "_killing",
        "_pause",
        "_pid",
        "_status",
        "_stopped",
        "left",
        "leftovers",
        "orphaned",
    )

    def __init__(self, pid: int, identity: int, grace: float) -> None:
        self._pid = pid
        self._identity = identity
        self._grace = grace
        self._status: int | None = None
        self._stopped = False  # asked to stop before its command had ended
        self._deadline: float | None = (
            None  # when the next stage begins: KILL after TERM, giving up after KILL
        )
        self._killing = False
        self._pause = KILL_PAUSE_SECONDS_MIN
        self.orphaned = False  # `tow` has gone
        self.leftovers = 0  # processes that the command left in the background
        self.left: list[int] = []  # processes that even KILL did not end

    def watch(self, control: socket.socket, wakeup: Wakeup, poll: select.poll) -> None:
        """Wait until nothing of the step is left, stopping it when `tow` says so or has gone."""
        control_fd = control.fileno()
        while True:
            ready = poll.poll(self._wait_milliseconds())
            wakeup.clear()
            if not self.orphaned and any(fd == control_fd for fd, _ in ready):
                self._hear(control, poll)
            if self._reap() or self._press_on(control):
                return

    def _hear(self, control: socket.socket, poll: select.poll) -> None:
        message, fds = receive(control)
        for fd in fds:
            os.close(fd)
        if message is None:
            self.orphaned = True
            poll.unregister(control)
            self._terminate(min(self._grace, ORPHAN_GRACE_SECONDS_MAX))
        elif message.get("stop") == self._identity and self._deadline is None:
            self._stopped = self._status is None
            self._terminate(self._grace)

    def _reap(self) -> bool:
        """Collect what has ended; True when there is no child left."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return True
            if pid == 0:
                return False
            if pid == self._pid:
                self._status = status

    def _press_on(self, control: socket.socket) -> bool:
        """Go on to the next stage when it is time; True when nothing more can be done."""
        if self._status is not None and self._deadline is None:
            self.leftovers = len(descendants(os.getpid()))
            self._terminate(min(self._grace, LEFTOVER_GRACE_SECONDS_MAX))
        if self._deadline is None:
            return False
        now = time.monotonic()
        if now >= self._deadline and self._killing:
            self.left = descendants(os.getpid())[:LEFT_NAMED_MAX]
            return True
        if now >= self._deadline:
            self._killing = True
            send(control, {"killing": self._identity})
            self._deadline = now + KILL_SECONDS_MAX
        if self._killing:
            kill_tree(os.getpid(), spare_root=True)
        return False

    def _terminate(self, grace: float) -> None:
        self._deadline = time.monotonic() + grace
        for pid in descendants(os.getpid()):
            signal_quietly(pid, signal.SIGTERM)
            signal_quietly(pid, signal.SIGCONT)

    def _wait_milliseconds(self) -> float | None:
        if self._deadline is None:
            return None
        if self._killing:
            self._pause = min(self._pause * 2, KILL_PAUSE_SECONDS_MAX)
            return self._pause * 1000
        return max(0.0, self._deadline - time.monotonic()) * 1000 + 1

    def report(self) -> Message:
        """What `tow` is told."""
        return {
            "id": self._identity,
            "status": self._status,
            "stopped": self._stopped,
            "leftovers": self.leftovers,
            "left": self.left,
        }

    def outlast(self) -> None:
        """Go on killing what would not die, for as long as it takes, so that nobody else inherits it."""
        while not self._reap():
            kill_tree(os.getpid(), spare_root=True)
            time.sleep(1)


def kill_tree(root: int, *, spare_root: bool = False) -> None:
    """Send KILL once to *root* and all below it, and to every process group among them."""
    own_group = os.getpgrp()
    below = descendants(root)
    doomed = below if spare_root else [root, *below]
    for group in {_group(pid) for pid in doomed} - {0, own_group}:
        signal_quietly(-group, signal.SIGKILL)
    for pid in doomed:
        signal_quietly(pid, signal.SIGKILL)


def descendants(root: int) -> list[int]:
    """Every living process below *root*, parents first; one that is forking just now may be missing."""
    found: list[int] = []
    parents = [root]
    while parents:
        below = children(parents.pop())
        found += below
        parents += below
    return found


def children(pid: int) -> list[int]:
    """The children of *pid*, by whichever of its threads they were started."""
    found: list[int] = []
    try:
        for thread in os.listdir(f"/proc/{pid}/task"):  # noqa: PTH208
            with open(f"/proc/{pid}/task/{thread}/children", "rb") as listing:  # noqa: PTH123
                found += [int(word) for word in listing.read().split()]
    except FileNotFoundError:
        return found if HAS_CHILDREN_FILES else _children_by_scan(pid)
    except (ProcessLookupError, PermissionError):
        return found
    return found


def _children_by_scan(parent: int) -> list[int]:
    """The children of *parent* where the kernel does not list them (no CONFIG_PROC_CHILDREN)."""
    found: list[int] = []
    for name in os.listdir("/proc"):  # noqa: PTH208
        if name.isdigit():
            try:
                with open(f"/proc/{name}/stat", "rb") as line:  # noqa: PTH123
                    after_name = line.read().rpartition(b")")[2].split()
            except (FileNotFoundError, ProcessLookupError):
                continue
            if int(after_name[1]) == parent:
                found.append(int(name))
    return found


HAS_CHILDREN_FILES = os.path.exists(f"/proc/self/task/{os.getpid()}/children")  # noqa: PTH110


def _group(pid: int) -> int:
    try:
        return os.getpgid(pid)
    except OSError:
        return 0


def signal_quietly(pid: int, number: signal.Signals) -> None:
    """Send a signal to what may have ended already, or may not be ours to signal."""
    try:  # noqa: SIM105
        os.kill(pid, number)
    except OSError:
        pass


class Wakeup:
    """A descriptor that becomes readable when a child has changed its state."""

    def __init__(self) -> None:
        self.fd, self._writer = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        signal.signal(signal.SIGCHLD, lambda _number, _frame: None)
        signal.set_wakeup_fd(self._writer, warn_on_full_buffer=False)

    def clear(self) -> None:
        """Forget the changes seen so far."""
        try:  # noqa: SIM105
            os.read(self.fd, 4096)
        except BlockingIOError:
            pass

    def close(self) -> None:
        """Give the descriptors back."""
        signal.set_wakeup_fd(-1)
        os.close(self.fd)
        os.close(self._writer)


def receive(peer: socket.socket) -> tuple[Message | None, list[int]]:
    """The next message and the descriptors that came with it; None when the other end is closed."""
    try:
        data, attached, _, _ = peer.recvmsg(
            PACKET_BYTES_MAX, socket.CMSG_SPACE(FDS_MAX * 4), socket.MSG_CMSG_CLOEXEC
        )
    except ConnectionError:
        return None, []
    # Not `socket.recv_fds`: it drops its flags, and the command would inherit what it must not have.
    fds = [fd for _, _, numbers in attached for fd in memoryview(numbers).cast("i")]
    if not data:
        return None, fds
    message = json.loads(data)
    if "memory" in message:
        memory = fds.pop()
        message = json.loads(os.pread(memory, os.fstat(memory).st_size, 0))
        os.close(memory)
    return message, fds


def send(peer: socket.socket, message: Message) -> None:
    """Tell the other end, if it is still there."""
    try:  # noqa: SIM105
        peer.send(json.dumps(message).encode())
    except OSError:
        pass


def _moved(fd: int) -> int:
    moved = fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, FIRST_SAFE_FD)
    os.close(fd)
    return moved


def _settle(name: bytes) -> None:
    """Become a subreaper that ignores what is meant for `tow`."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_CHILD_SUBREAPER)")
    libc.prctl(PR_SET_NAME, name, 0, 0, 0)
    for number in IGNORED:
        signal.signal(number, signal.SIG_IGN)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
