"""Takes deliveries in, one after the other, and says of each that it is kept; ends only when it is killed."""

from __future__ import annotations

import itertools
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from inbox_support import FakeProject, push

from towpath.store.sqlite import open_store
from towpath.triggers import Inbox


def main(data: str, prefix: str) -> None:
    """Takes in `prefix-0`, the same again, `prefix-1`, and so on."""
    project = FakeProject()
    project.add("release", "- github.push")
    inbox = Inbox(open_store(Path(data)).events, project, now=lambda: 1_700_000_000_000_000)
    for number in itertools.count():
        for _ in range(2):
            receipt = inbox.accept(push(delivery=f"{prefix}-{number}"))
        print(f"{prefix}-{number} {receipt.event}", flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
