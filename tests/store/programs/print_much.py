"""Writes one gigabyte into a log and prints by how many KiB the process has grown."""

import resource
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from store_support import say

from towpath.store.contract import RunNumber
from towpath.store.logs import Logs

BATCH_BYTES = 256 * 1024
batch = (b"x" * 63 + b"\n") * (BATCH_BYTES // 64) if sys.argv[2] == "lines" else b"x" * BATCH_BYTES
logs = Logs(Path(sys.argv[1]))
step = logs.step(RunNumber(1), "much", 1)
step.write("stdout", batch)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
for _ in range(1024 * 1024 * 1024 // BATCH_BYTES):
    step.write("stdout", batch)
step.write("stdout", b"the end\n")
logs.close()
say(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
