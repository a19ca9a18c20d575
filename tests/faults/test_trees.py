"""Five seconds after a cancel, a timeout, or the death of `tow`, no process of a step is left, whatever it tries."""

from __future__ import annotations

import signal
import time
from pathlib import Path

import pytest
from fault_support import Place, kill, processes_with, wait_for

SECONDS_MAX = 5.0

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


def begun(place: Place, name: str, *, timeout: str) -> tuple[str, object]:
    """Writes the workflow of a tree and gives its mark."""
    shell, script = TREES[name]
    text = "\n".join(f"      {line}" for line in script.splitlines())
    place.write("tree", STEP.format(timeout=timeout, shell=shell, script=text))
    return f"tree-{place.folder.name}-{time.monotonic_ns()}", None


@pytest.mark.parametrize("how", ["cancel", "timeout", "kill -9"])
@pytest.mark.parametrize("name", TREES)
def test_nothing_is_left(name: str, how: str, tmp_path: Path) -> None:
    """However a step ends, every process of it is gone within five seconds."""
    place = Place(tmp_path / "project")
    mark, _ = begun(place, name, timeout="1s" if how == "timeout" else "1h")
    running = place.begin("run", "tree", "-i", f"mark={mark}")
    wait_for((place.folder / "ready").exists, what="the tree")
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

    assert (bool(seen), left) == (True, [])
    assert seconds < SECONDS_MAX + (1.0 if how == "timeout" else 0.0)
