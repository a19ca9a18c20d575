"""One of several processes that want the same thing at the same time; prints what it got."""

import sys
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from store_support import answer_of, call_now, new_run, say

from towpath.store.contract import RunNumber
from towpath.store.sqlite import open_store

data, wish, name = Path(sys.argv[1]), sys.argv[2], sys.argv[3]
store = open_store(data)
journal = store.open_journal(call_now)
say("ready")
sys.stdin.readline()
if wish == "start":
    starts = [new_run(f"{name}-{key}", start_key=f"key {key}") for key in range(30)]
    answers = [answer_of(partial(journal.start, new)) for new in starts]
    say(" ".join(answer.id for answer in answers))
elif wish == "claim":
    owner = store.owners.enter(name)
    say(" ".join(str(run) for run in range(1, 31) if store.owners.claim(RunNumber(run), owner)))
    sys.stdin.readline()
elif wish == "post":
    for count in range(30):
        store.mailbox.post(RunNumber(1), f"{name} {count}".encode())
    say("posted")
journal.close()
store.close()
