"""One of several processes that all want to decide the same gate: for each run named on its input it says many things at once.

What one says is an approval, a rejection, the end of the time to answer, or a cancellation of the run, in turn; what became of
each is printed as one JSON line for the whole run.
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

KINDS = ("approve", "reject", "expire", "cancel")


def contend(folder: Path, process: int, threads: int) -> None:
    """Takes runs from the input until it ends."""
    app = towpath_app.build(Settings(project=folder, data=folder / ".towpath", user=f"p{process}"))
    _ = app.store
    with ThreadPoolExecutor(threads) as pool:
        print("ready", flush=True)
        for line in sys.stdin:
            row, run = app.run(line.strip())
            asked = run.nodes["go"].question
            asked_at = 0 if asked is None else asked.asked_at  # another process may have decided already
            barrier = threading.Barrier(threads)
            each = [
                pool.submit(
                    say, app, row, asked_at, kind_and_user(process * threads + thread, process), barrier
                )
                for thread in range(threads)
            ]
            print(json.dumps([one.result() for one in each]), flush=True)
    app.close()


def kind_and_user(number: int, process: int) -> tuple[str, str]:
    """What one of them says, and as whom."""
    return KINDS[(number + process) % len(KINDS)], f"user:u{number}"


def say(
    app: towpath_app.App, row: RunRow, asked_at: int, who: tuple[str, str], barrier: threading.Barrier
) -> tuple[str, str]:
    """Says it when all the others of this process are ready; gives what, and why it was refused."""
    kind, user = who
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
