"""What a run was given and handed on, the files that it kept, and what happened in it: views of its page."""

from __future__ import annotations

import collections
import itertools
from typing import Any, Final

from towpath.server.api import finding
from towpath.server.call import Call, target_of
from towpath.server.shapes.entries import Entry, Teller
from towpath.server.web.looking import Look
from towpath.store.contract import RunFilter

ENTRIES_PAGE: Final = 200
CHILDREN_SHOWN_MAX: Final = 20
EVIDENCE_SHOWN_MAX: Final = 40


def values_of(call: Call, look: Look) -> dict[str, Any]:
    """What it was given, what it handed on, and what stands around it."""
    run, row = look.run, look.row
    children = finding.page_of(call, RunFilter(origin=row.number, rows_max=CHILDREN_SHOWN_MAX)).rows
    evidence = [
        (path, node.question)
        for path, node in run.nodes.items()
        if node.question is not None and node.question.evidence
    ]
    return {
        "inputs": dict(run.inputs),
        "outputs": dict(run.outputs or {}),
        "variables": dict(run.vars),
        "trigger": run.event,
        "children": children,
        "evidence": evidence[:EVIDENCE_SHOWN_MAX],
        "definition": call.app.reader.definition(row.definition),
    }


def files_of(call: Call, look: Look) -> dict[str, Any]:
    """What its steps kept."""
    may = call.may("artifact.view", target_of(look.row))
    return {"files": call.app.reader.artifacts(look.row.number) if may else (), "may_see_files": may}


def history_of(call: Call, look: Look, *, upto: int | None, who: bool) -> dict[str, Any]:
    """What happened, the newest first; with *who* only what people did."""
    last = min(upto or look.run.sequence, look.run.sequence)
    teller = Teller()
    kept: collections.deque[tuple[int, Entry]] = collections.deque(maxlen=ENTRIES_PAGE + 1)
    for sequence, fact in itertools.islice(call.app.events(look.now), last):
        kept.extend((sequence, entry) for entry in teller.tell((fact,)) if not who or entry.by)
    entries = list(kept)
    has_more = len(entries) > ENTRIES_PAGE
    if has_more:
        entries = entries[1:]
    return {
        "entries": entries[::-1],
        "who": who,
        "older": look.link(upto=entries[0][0] - 1, who="true" if who else None) if has_more else "",
        "newest": look.link(who="true" if who else None) if upto is not None else "",
    }
