"""Runs, as far as whoever asks may see them: one by its name, a page of a list, the state at any moment.

A page is filled up although some of its rows are not for whoever asks; how many rows one request looks at is bounded, and a page that
ends for that reason says where to go on.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from towpath.core.decide import new_run
from towpath.core.evolve import evolve
from towpath.core.run import Run
from towpath.engines import summaries
from towpath.errors import NotFound, Refused
from towpath.observe.chronicle import Chronicle
from towpath.server.call import Call, target_of
from towpath.server.folds import Folded
from towpath.store.contract import PAGE_ROWS_MAX, RunFilter, RunNumber, RunRow

ROWS_LOOKED_AT_MAX: Final = 10_000
"""Rows of the list that one request reads at most, whatever whoever asks may see of them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """Some runs, newest first."""

    rows: tuple[RunRow, ...]
    next: RunNumber | None
    """Where the next page begins (`before`); None where nothing is left."""


def find_run(call: Call, name: str, permission: str = "run.view") -> RunRow:
    """A run by number, id, unique beginning of an id, or `last`; raises NotFound, Refused or Forbidden."""
    if name.strip() == "last":
        return _last(call, permission)
    try:
        row = call.app.reader.run(name)
    except Refused:
        # What the store says names the runs, and not all of them are for everybody.
        raise Refused(f"{name!r} is the beginning of several runs", help="say more of the id") from None
    call.allow(permission, target_of(row))
    return row


def _last(call: Call, permission: str) -> RunRow:
    found = page_of(call, RunFilter(rows_max=1), permission=permission).rows
    if not found:
        raise NotFound("there is no run yet that you may see", help="`POST /api/v1/runs` starts one")
    return found[0]


def page_of(call: Call, where: RunFilter, *, permission: str = "run.view") -> Page:
    """As many runs as *where* wants of those that whoever asks may see, the newest first."""
    wanted, left = where.rows_max, ROWS_LOOKED_AT_MAX
    seen: list[RunRow] = []
    before = where.before
    while left > 0:
        size = min(left, PAGE_ROWS_MAX, wanted + 1 if not seen else PAGE_ROWS_MAX)
        rows = call.app.reader.runs(dataclasses.replace(where, before=before, rows_max=size))
        left -= len(rows)
        for row in rows:
            if call.may(permission, target_of(row)):
                if len(seen) == wanted:
                    return Page(rows=tuple(seen), next=seen[-1].number)
                seen.append(row)
        if len(rows) < size:
            return Page(rows=tuple(seen), next=None)
        before = rows[-1].number
    return Page(rows=tuple(seen), next=before)


def visible_runs(call: Call, where: RunFilter) -> tuple[RunRow, ...]:
    """The runs of a page that whoever asks may see."""
    return page_of(call, where).rows


def all_visible(call: Call, where: RunFilter) -> Iterator[RunRow]:
    """Every run that whoever asks may see, the newest first; for small sets."""
    before = where.before
    while True:
        page = page_of(call, dataclasses.replace(where, before=before))
        yield from page.rows
        if page.next is None:
            return
        before = page.next


def state_of(call: Call, row: RunRow, at: int | None = None) -> Run:
    """A run as it is, or as it was when its first *at* facts were true; raises NotFound where there are not so many."""
    return look(call, row, at).run


def look(call: Call, row: RunRow, at: int | None = None) -> Folded:
    """The same, with what the state does not keep: since when a step waits, when its attempt began."""
    app = call.app
    if at is None:
        return call.parts.folds.look(app.reader, app.plans, row)
    run, chronicle = new_run(app.plans.find(row.definition, app.reader), row.id), Chronicle()
    for _, fact in itertools.islice(app.events(row), at):
        run = evolve(run, fact)
        chronicle.note((fact,))
    if run.sequence < at:
        raise NotFound(
            f"run {row.number} has {run.sequence} facts, and not {at}",
            help=f"its last is `?at={run.sequence}`",
        )
    return Folded(run=run, chronicle=chronicle)


def row_then(call: Call, row: RunRow, run: Run) -> RunRow:
    """The row of a run as it was when *run* was its state."""
    if run.sequence >= row.last_sequence:
        return row
    last = next(call.app.reader.events(row.number, after=run.sequence - 1), None)
    return dataclasses.replace(row, summary=summaries.summary_of(run, 0 if last is None else last[1]))
