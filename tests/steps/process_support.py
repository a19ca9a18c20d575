"""What the tests of the process runner share: a made environment, and marks to find processes by."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Callable
from pathlib import Path

from towpath.steps.processes import ProcessSpec, StreamName

ENVIRONMENT = {"PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": "/", "LANG": "C.UTF-8"}


def mark() -> str:
    """A word that stands on the command line of the processes of one test and of nothing else."""
    return f"marked-{secrets.token_hex(8)}"


def alive(word: str) -> list[int]:
    """The processes that carry *word* on their command line or in their environment, zombies not counted."""
    found = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                carried = (folder / "cmdline").read_bytes() + b"\0" + (folder / "environ").read_bytes()
            except OSError:
                continue
            if word.encode() in carried:
                found.append(int(folder.name))
    return found


def shell(script: str, *arguments: str, **more: object) -> ProcessSpec:
    """A bash script as a process; `marked` words go into its arguments."""
    argv = ("bash", "-c", script, "bash", *arguments)
    return ProcessSpec(argv=argv, cwd="/", env=ENVIRONMENT, **more)  # type: ignore[arg-type] # as they are


async def until(holds: Callable[[], bool], *, seconds: float = 10.0) -> None:
    """Return as soon as *holds* is true; fail when that takes too long."""
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, "it never came true"
        await asyncio.sleep(0.01)


class Collected:
    """A sink that keeps everything."""

    def __init__(self) -> None:
        self.batches: list[tuple[StreamName, bytes]] = []

    def __call__(self, stream: StreamName, data: bytes) -> None:
        """Keep one batch."""
        self.batches.append((stream, data))

    def of(self, stream: StreamName) -> bytes:
        """Everything that came on *stream*."""
        return b"".join(data for name, data in self.batches if name == stream)
