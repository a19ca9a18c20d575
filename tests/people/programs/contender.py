"""One of several processes that all want to decide the same gate: for each line of its input it says many things at once.

A line names a run, and what is said to it in turn: `approve`, `reject`, `expire` (the end of the time to answer) or `cancel`. What
became of each is printed as one JSON line.
"""

from __future__ import annotations

import json
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from towpath import app as towpath_app
from towpath.core import stimuli
from towpath.errors import TowpathError
from towpath.settings import Settings
from towpath.store.contract import RunRow


def contend(folder: Path, process: int, threads: int) -> None:
    """Takes runs from the input until it ends."""
    app = towpath_app.build(Settings(project=folder, data=folder / ".towpath", user=f"p{process}"))
    _ = app.store
    with ThreadPoolExecutor(threads) as pool:
        print("ready", flush=True)
        for line in sys.stdin:
            number, *kinds = line.split()
            row, run = app.run(number)
            asked = run.nodes["go"].question
            asked_at = 0 if asked is None else asked.asked_at  # another process may have decided already
            barrier = threading.Barrier(threads)
            speakers = range(process * threads, (process + 1) * threads)
            each = [
                pool.submit(
                    say, app, row, asked_at, kinds[(one + process) % len(kinds)], f"user:u{one}", barrier
                )
                for one in speakers
            ]
            print(json.dumps([spoken.result() for spoken in each]), flush=True)
    app.close()


def say(
    app: towpath_app.App, row: RunRow, asked_at: int, kind: str, user: str, barrier: threading.Barrier
) -> tuple[str, str]:
    """Says it when all the others of this process are ready; gives what, and why it was refused."""
    said: stimuli.AnyStimulus
    match kind:
        case "expire":
            said = stimuli.Climbed(at=app.now(), path="go", kind="expiry", asked_at=asked_at)
        case "cancel":
            said = stimuli.Cancel(at=app.now(), by=user)
        case _:
            said = stimuli.Answered(at=app.now(), path="go", by=user, decision=kind)
    barrier.wait()
    try:
        app.tell(row, said)
    except TowpathError as refused:
        return kind, refused.message
    return kind, ""


contend(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
