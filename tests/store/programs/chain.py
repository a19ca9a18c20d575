"""Commits one change after the other and prints each sequence once it is acknowledged, for ever."""

import asyncio
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from store_support import new_run, records, say

from towpath.store.contract import Change
from towpath.store.sqlite import open_store


async def main() -> None:
    """Chain commits through the loop, as the engine does."""
    store = open_store(Path(sys.argv[1]))
    loop = asyncio.get_running_loop()
    soon = loop.call_soon if sys.argv[2] == "here" else None
    journal = store.open_journal(loop.call_soon_threadsafe, soon)
    started = loop.create_future()
    owner = store.owners.enter("chain")
    journal.start(new_run(f"run of {owner}", owner=owner), started.set_result)
    run = (await started).number
    say("run", run, owner)
    sequence = 2
    while True:
        durable = loop.create_future()
        journal.commit(Change(run, sequence, records(sequence + 1, sequence + 1)), durable.set_result)
        error = await durable
        if error is not None:
            say("stopped", type(error).__name__, error)
            return
        sequence += 1
        say(sequence)


asyncio.run(main())
