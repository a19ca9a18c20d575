"""Five seconds after a cancel, a timeout, or the death of `tow`, no process of a step is left, whatever it tries."""

from __future__ import annotations

import signal
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from fault_support import Place, kill, processes_with, wait_for

SECONDS_MAX = 5.0
STEP_SECONDS = 3.0
"""The timeout of a step that is to time out."""

STEP = """
inputs: {{mark: {{type: string}}}}
steps:
  - id: tree
    env: {{MARK: "${{{{ inputs.mark }}}}"}}
    timeout: {timeout}
    shell: {shell}
    run: |
{script}
"""
TREES = {
    "a child of a child": ("bash", "bash -c 'sleep 1000 & echo ready > ready; wait' & wait"),
    "setsid and a trap": (
        "bash",
        "setsid bash -c 'trap \"\" TERM HUP INT; echo ready > ready; while :; do sleep 1000; done' & wait",
    ),
    "nohup, then it is gone itself": (
        "bash",
        "(nohup setsid sleep 1000 >/dev/null 2>&1 &); echo ready > ready; sleep 1000",
    ),
    "double forks that close everything": (
        "python",
        "import os, signal, time\n"
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "for _ in range(5):\n"
        "    if os.fork() == 0:\n"
        "        os.setsid()\n"
        "        if os.fork(): os._exit(0)\n"
        "        os.closerange(0, 100)\n"
        "        time.sleep(1000)\n"
        "open('ready', 'w').close()\n"
        "time.sleep(1000)",
    ),
    "a bomb that forks in sessions of its own": (
        "python",
        "import os, signal, time\n"
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "for generation in range(5):\n"
        "    if os.fork() == 0: os.setsid()\n"
        "open('ready', 'w').close()\n"
        "time.sleep(1000)",
    ),
    "it stands still": ("bash", "sleep 1000 & echo ready > ready; kill -STOP $$"),
}


def grown(folder: Path, name: str, *, timeout: str) -> Place:
    """A project with the workflow of a tree."""
    shell, script = TREES[name]
    text = "\n".join(f"      {line}" for line in script.splitlines())
    return Place(folder, tree=STEP.format(timeout=timeout, shell=shell, script=text))


@pytest.mark.parametrize("how", ["cancel", "timeout", "kill -9"])
def test_nothing_is_left(how: str, tmp_path: Path) -> None:
    """However a step ends, every process of it is gone within five seconds."""
    with ThreadPoolExecutor(3) as pool:
        felled = pool.map(
            lambda number: fell(tmp_path / str(number), list(TREES)[number], how), range(len(TREES))
        )
        wrong = {name: found for name, found in zip(TREES, felled, strict=True) if found}

    assert wrong == {}


def fell(folder: Path, name: str, how: str) -> str:
    """Grows a tree and ends it; returns what is wrong."""
    place = grown(folder, name, timeout=f"{STEP_SECONDS:g}s" if how == "timeout" else "1h")
    mark = f"tree-{folder.name}-{time.monotonic_ns()}"
    running = place.begin("run", "tree", "-i", f"mark={mark}")
    wait_for((place.folder / "ready").exists, what="the tree", of=running)
    seen = processes_with(f"MARK={mark}")
    began = time.monotonic()
    match how:
        case "cancel":
            running.send_signal(signal.SIGINT)
            running.communicate(timeout=20)
        case "timeout":
            running.communicate(timeout=20)
        case _:
            kill(running)
            wait_for(
                lambda: not processes_with(f"MARK={mark}"), seconds=SECONDS_MAX + 1, what="the end of all"
            )
    seconds = time.monotonic() - began
    left = processes_with(f"MARK={mark}")

    if not seen:
        return "it never grew"
    if left:
        return f"{len(left)} processes are left"
    limit = SECONDS_MAX + (STEP_SECONDS if how == "timeout" else 0.0)
    return "" if seconds < limit else f"it took {seconds:.1f} s"
