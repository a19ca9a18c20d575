"""Who did what to which run, and the proof that nobody changed the record of it."""

from __future__ import annotations

import threading
from typing import Annotated, Final, Literal

from fastapi import Query
from pydantic import Field

from towpath.errors import Refused
from towpath.observe import audit
from towpath.observe.audit import Act
from towpath.policy.access import ANYTHING
from towpath.server.api import finding
from towpath.server.api.runs import RunName
from towpath.server.api.told import PAGE_MAX, Asking, Moment, Told, moment_of
from towpath.server.call import Asked, Call, target_of
from towpath.server.routing import Routes
from towpath.server.shapes import audit as shapes
from towpath.store import chain
from towpath.store.acts import verify_acts
from towpath.store.connections import connect, explained
from towpath.store.contract import RunNumber, RunRow

ROUTES = Routes(prefix="/api/v1", tag="audit")
ACTS_LOOKED_AT_MAX: Final = 20_000
"""Acts that one request reads at most, whatever fits of them."""
NAME_CHARS_MAX: Final = 200
_CURSOR: Final = r"^\d{1,19}\.\d{1,19}\.\d{1,19}$"
_verifying = threading.Lock()


class OneAct(Told):
    """Something that somebody did to a run."""

    at: str = Field(description="When.")
    by: str = Field(description="Who: a person, a service, a trigger, another run.", examples=["user:ada"])
    did: str = Field(description="What, in a word or two.", examples=["approved"])
    run: int = Field(description="The run.")
    workflow: str = Field(description="Its workflow.")
    step: str = Field(description="The step; empty for the run as a whole.")
    text: str = Field(description="A reason, a comment, to whom.")
    via: str = Field(description="Where it was said: cli, web, api, chat; empty where that is not known.")
    record: int = Field(description="The record in the run's journal.")


class ActPage(Told):
    """Some acts, the newest first."""

    items: list[OneAct] = Field(description="The acts.")
    next: str | None = Field(description="`before` of the next page; null where this is the last.")


class ActList(Told):
    """The acts of one run, the oldest first."""

    items: list[OneAct] = Field(description="The acts.")


class Break(Told):
    """A place at which the record is not what was written."""

    kind: Literal["changed", "missing", "removed", "cut", "unlisted", "anchor"] = Field(
        description="What is wrong."
    )
    run: int = Field(description="The run.")
    record: int | None = Field(description="The record; null for the run as a whole.")
    at: str | None = Field(description="When it was written, as it says.")
    text: str = Field(description="What is wrong, in words.")


class AccessBreak(Told):
    """A place at which the record of users, tokens, sessions, links and versions is not what was written."""

    kind: Literal["changed", "missing", "cut"] = Field(description="What is wrong.")
    act: int = Field(description="The act that was changed, or the first one that is gone.")
    at: str | None = Field(description="When the act was written at which it shows, as that says.")
    text: str = Field(description="What is wrong, in words.")


class AccessVerification(Told):
    """What a verification of the record of users, tokens, sessions, links and versions found."""

    holds: bool = Field(description="Whether no act was changed or removed.")
    acts: int = Field(description="Acts that were read.")
    breaks: list[AccessBreak] = Field(description="Where it does not hold, the first hundred places.")
    breaks_more: int = Field(description="How many more there are.")


class Verification(Told):
    """What a verification of the whole record found."""

    holds: bool = Field(description="Whether nothing was changed, removed or added.")
    runs: int = Field(description="Runs that were read.")
    records: int = Field(description="Records that were read.")
    unlinked: int = Field(description="Records from before there was a chain: nothing can be said of them.")
    forgotten: int = Field(description="Runs that retention has removed.")
    anchor: str | None = Field(
        description="The newest record and its digest: keep it elsewhere, and verify against it."
    )
    breaks: list[Break] = Field(description="Where it does not hold, the first hundred places.")
    breaks_more: int = Field(description="How many more there are.")
    access_break: int | None = Field(
        default=None,
        description="The first act about access that is not what was written, or follows on one that is gone.",
    )
    access: AccessVerification = Field(
        description="The record of what was done to users, tokens, sessions, links and versions."
    )


class ActQuery(Asking):
    """Which acts are wanted; what is left out does not restrict."""

    by: str = Field(
        default="", max_length=NAME_CHARS_MAX, description="Of this person: `ada`, or `user:ada`."
    )
    did: str = Field(
        default="", max_length=NAME_CHARS_MAX, description="Of this kind: `approved`, `cancelled`."
    )
    workflow: str = Field(default="", max_length=NAME_CHARS_MAX, description="To runs of this workflow.")
    since: Moment | None = Field(default=None, description="Since then: `2h`, `7d`, or a timestamp.")
    before: str | None = Field(default=None, pattern=_CURSOR, description="`next` of the page before.")
    limit: int = Field(default=100, ge=1, le=PAGE_MAX, description="How many at most.")

    def fits(self, row: RunRow, act: Act) -> bool:
        """Whether an act is wanted."""
        who = self.by if ":" in self.by or not self.by else f"user:{self.by}"
        return who in ("", act.by) and self.did in ("", act.did) and self.workflow in ("", row.workflow)


@ROUTES.get("/audit", permission="audit.view", operation_id="list_acts")
def list_acts(call: Asked, query: Annotated[ActQuery, Query()]) -> ActPage:
    """List who did what to which run, the newest act first, of all runs that whoever asks may see the acts of."""
    since = 0 if query.since is None else max(0, moment_of(query.since, now=call.app.now()))
    before = audit.END_OF_TIME if query.before is None else _place(query.before)
    rows = _Rows(call)
    items: list[OneAct] = []
    place: str | None = None
    found = audit.newest_first(call.app.reader.act_records, since=since, before=before)
    for looked_at, (number, act) in enumerate(found):
        if len(items) == query.limit or looked_at == ACTS_LOOKED_AT_MAX:
            return ActPage(items=items, next=place)
        place = f"{act.at}.{number}.{act.sequence}"
        row = rows.get(number)
        if row is not None and query.fits(row, act):
            items.append(_told(row, act))
    return ActPage(items=items, next=None)


@ROUTES.get("/runs/{run}/audit", permission="audit.view", operation_id="list_acts_of_run")
def list_acts_of_run(call: Asked, run: RunName) -> ActList:
    """List who did what to a run, the oldest act first."""
    row = finding.find_run(call, run, "audit.view")
    return ActList(items=[_told(row, act) for act in audit.acts(call.app.reader.events(row.number))])


@ROUTES.get("/audit/verify", permission="audit.view", operation_id="verify_audit")
def verify_audit(
    call: Asked,
    anchor: Annotated[
        str | None,
        Query(
            max_length=NAME_CHARS_MAX,
            description="What an earlier verification gave: that record has to be there still.",
        ),
    ] = None,
) -> Verification:
    """Check that no record of a run and no act about access was changed or removed afterwards. It reads everything; one at a time."""
    call.allow("audit.view", ANYTHING)
    wanted = None if anchor is None else chain.read_anchor(anchor)
    database = call.app.folder.database
    if not _verifying.acquire(blocking=False):
        raise Refused("the record is being verified already", help="ask again when that is over")
    try:
        with explained(database):
            connection = connect(database, read_only=True)
            try:
                verdict, acts = chain.verify(connection, wanted), verify_acts(connection)
            finally:
                connection.close()
    finally:
        _verifying.release()
    return Verification.model_validate(shapes.verdict_object(verdict, acts))


class _Rows:
    """The rows of the runs that acts are about, each looked up once; None where whoever asks may not see its acts."""

    def __init__(self, call: Call) -> None:
        self._call = call
        self._known: dict[RunNumber, RunRow | None] = {}

    def get(self, number: RunNumber) -> RunRow | None:
        """The row of a run."""
        if number not in self._known:
            row = self._call.app.reader.run(number)
            self._known[number] = row if self._call.may("audit.view", target_of(row)) else None
        return self._known[number]


def _told(row: RunRow, act: Act) -> OneAct:
    return OneAct.model_validate(shapes.act_object(row, act))


def _place(cursor: str) -> tuple[int, int, int]:
    at, run, sequence = (min(int(part), 2**63 - 1) for part in cursor.split("."))
    return at, run, sequence
