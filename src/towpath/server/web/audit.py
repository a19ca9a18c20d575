"""The page of the audit record: who did what, and whether the record of it holds."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Final, Literal
from urllib.parse import urlencode

from fastapi import Query
from starlette.responses import HTMLResponse

from towpath.errors import NotFound
from towpath.observe import audit
from towpath.observe.audit import Act
from towpath.server.api import audit as api
from towpath.server.call import Asked, Call, target_of
from towpath.server.routing import Routes
from towpath.server.web import pages
from towpath.store.contract import IdentityAct, RunNumber, RunRow

ROUTES = Routes(is_page=True)
PAGE_ACTS: Final = 50
ACTS_LOOKED_AT_MAX: Final = 5_000
"""Acts that one request looks at, whatever of them fits."""
BREAKS_SHOWN: Final = 20
LOUD: Final = frozenset({"broke the glass", "rejected", "cancelled", "rolled back", "gave up"})
"""Acts that an auditor looks for first."""
_NUMBER_MAX: Final = 2**63 - 1
Place = tuple[int, int, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One act with its run."""

    row: RunRow
    act: Act


@ROUTES.get("/audit", permission="audit.view")
def audit_page(
    call: Asked,
    by: Annotated[str, Query(max_length=200)] = "",
    before: Annotated[str, Query(max_length=80)] = "",
    of: Literal["runs", "access"] = "runs",
    number: Annotated[int | None, Query(ge=1, le=_NUMBER_MAX)] = None,
) -> HTMLResponse:
    """Who did what with runs, or with users, tokens and sessions; the newest first."""
    if of == "access":
        return _access_page(call, number)
    found, last = _acts(call, by.strip(), _place(before))
    older = f"/audit?{urlencode({'by': by.strip(), 'before': '-'.join(map(str, last))})}" if last else ""
    return pages.page(
        call,
        "audit.html",
        title="Audit",
        section="audit",
        of=of,
        lines=found,
        acts=(),
        by=by,
        loud=LOUD,
        verdict=None,
        older=older,
        newer="/audit" if before else "",
    )


def _access_page(call: Call, before: int | None) -> HTMLResponse:
    call.allow("audit.view")
    acts: tuple[IdentityAct, ...] = call.app.store.identities.acts(before=before, rows_max=PAGE_ACTS)
    older = f"/audit?of=access&number={acts[-1].number}" if len(acts) == PAGE_ACTS else ""
    return pages.page(
        call,
        "audit.html",
        title="Audit",
        section="audit",
        of="access",
        lines=(),
        acts=acts,
        by="",
        loud=LOUD,
        verdict=None,
        older=older,
        newer="/audit?of=access" if before else "",
    )


@ROUTES.get("/audit/verify", permission="audit.view")
def verify_page(call: Asked) -> HTMLResponse:
    """Looks whether any record of the journal was changed, removed or added afterwards. It reads everything, and changes nothing."""
    verdict = api.verify_audit(call)
    return pages.page(
        call,
        "audit.html",
        title="Audit",
        section="audit",
        of="verify",
        lines=(),
        acts=(),
        by="",
        loud=LOUD,
        verdict=verdict,
        breaks_shown=BREAKS_SHOWN,
        older="",
        newer="",
    )


def _acts(call: Call, by: str, before: Place) -> tuple[list[Line], Place | None]:
    """A page of acts that one may see, and where the next page begins."""
    actor = "" if not by else by if ":" in by else f"user:{by}"
    found: list[Line] = []
    rows: dict[RunNumber, RunRow | None] = {}
    last: Place | None = None
    for looked_at, (number, act) in enumerate(_newest_first(call, before)):
        if len(found) == PAGE_ACTS or looked_at == ACTS_LOOKED_AT_MAX:
            return found, last
        last = (act.at, number, act.sequence)
        row = rows[number] if number in rows else rows.setdefault(number, _row(call, number))
        if row is not None and actor in ("", act.by):
            found.append(Line(row=row, act=act))
    return found, None


def _newest_first(call: Call, before: Place) -> Iterator[tuple[RunNumber, Act]]:
    return audit.newest_first(call.app.reader.act_records, before=before)


def _row(call: Call, number: RunNumber) -> RunRow | None:
    """A run, where it is there still and one may see who did what with it."""
    try:
        row = call.app.reader.run(number)
    except NotFound:
        return None
    return row if call.may("audit.view", target_of(row)) else None


def _place(text: str) -> Place:
    """Where a page begins, as its address says it; the end of time where it says nothing sensible."""
    parts = text.split("-")
    if len(parts) != 3 or not all(one.isascii() and one.isdecimal() for one in parts):  # noqa: PLR2004 - when, run, record
        return audit.END_OF_TIME
    at, run, sequence = (min(int(one), _NUMBER_MAX) for one in parts)
    return at, run, sequence
