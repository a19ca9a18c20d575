"""One gigabyte of output, in lines and in one line: the memory of `tow` stays small, the disk bounded, the end readable."""

from __future__ import annotations

import contextlib
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from fault_support import Place, wait_for

MEBIBYTE = 1024 * 1024
OUTPUT_BYTES = 1024 * MEBIBYTE
GROWTH_BYTES_MAX = 64 * MEBIBYTE
LOG_BYTES_MAX = 256 * MEBIBYTE
SECONDS_MAX = 300.0

LINES = (
    f"(yes 'a line of ordinary output, neither long nor short 0123456789' || true) | head -c {OUTPUT_BYTES}"
)
ONE_LINE = f"head -c {OUTPUT_BYTES} /dev/zero | tr '\\\\0' x"
STEPS = """
steps:
  - id: small
    run: echo small; touch ready; until [ -e go ]; do sleep 0.02; done
  - id: big
    env: {{PW: "${{{{ secrets.db }}}}"}}
    run: {script}; echo; echo "the last line"
"""


def peak_bytes(pid: int) -> int:
    """The most memory that a process ever had."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    raise ProcessLookupError(pid)


@pytest.mark.parametrize("script", [LINES, ONE_LINE], ids=["lines", "one line"])
def test_a_gigabyte_of_output(script: str, tmp_path: Path) -> None:
    """The memory of `tow` grows by less than 64 MiB, the log stays bounded, and its tail can be read."""
    place = Place(tmp_path / "project", w=STEPS.format(script=script))
    running = place.begin("run", "w", "--json", TOW_SECRET_DB="not-in-the-output")
    wait_for((place.folder / "ready").exists, what="the first step", of=running)
    before = peak_bytes(running.pid)
    peaks = [before]
    (place.folder / "go").touch()
    began = time.monotonic()
    with ThreadPoolExecutor(1) as pool:
        reading = pool.submit(running.communicate, timeout=SECONDS_MAX)
        while not reading.done():
            with contextlib.suppress(OSError, ProcessLookupError):
                peaks.append(peak_bytes(running.pid))
            time.sleep(0.02)
        out, err = reading.result()
    seconds = time.monotonic() - began
    tail = place.tow("logs", "1", "--tail", "1", "--raw").stdout
    kept = sum(path.stat().st_size for path in (place.data / "logs").rglob("*") if path.is_file())
    print(
        f"{seconds:.1f} s, grew by {(max(peaks) - before) / MEBIBYTE:.1f} MiB, log {kept / MEBIBYTE:.1f} MiB"
    )

    assert running.returncode == 0, out[-500:] + err[-500:]
    assert tail.strip() == "the last line"
    assert max(peaks) - before < GROWTH_BYTES_MAX
    assert kept < LOG_BYTES_MAX
    assert seconds < SECONDS_MAX
