"""Who was told what, and what can be done about what did not arrive: asked alike by page, API and command line."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from towpath.errors import NotFound
from towpath.people import sendings
from towpath.store.contract import (
    PAGE_ROWS_MAX,
    Life,
    OwnerId,
    RunNumber,
    SendingFilter,
    SendingId,
    SendingRow,
    SendingState,
)

if TYPE_CHECKING:
    from towpath.app import App
    from towpath.people.sendings import Trying

SAME_MAX = 1_000
"""Sendings of one notice that are looked at."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Which sendings somebody wants to see; what is left out does not restrict."""

    run: RunNumber | None = None
    path: str | None = None
    to: str | None = None
    """A person, or a place: ben, #ops."""
    channel: str | None = None
    states: tuple[SendingState, ...] = ()
    is_failing: bool = False
    """What was not told so far, although somebody tried."""
    ids: frozenset[int] = frozenset()
    before: SendingId | None = None


def rows(app: App, wanted: Wanted) -> Iterator[SendingRow]:
    """The sendings that were asked for, newest first, page by page."""
    alive = alive_owners(app)
    states = wanted.states or (("waiting", "sending", *sendings.FAILED) if wanted.is_failing else ())
    before = wanted.before
    while True:
        where = SendingFilter(
            run=wanted.run,
            path=wanted.path,
            channel=wanted.channel,
            states=states,
            before=before,
            rows_max=PAGE_ROWS_MAX,
        )
        page = app.store.outbox.sendings(where)
        for row in page:
            is_meant = (wanted.to is None or wanted.to in (row.recipient, sendings.whom(row))) and (
                not wanted.ids or row.id in wanted.ids
            )
            if is_meant and (not wanted.is_failing or sendings.is_failing(row, alive)):
                yield row
        if len(page) < PAGE_ROWS_MAX:
            return
        before = page[-1].id


def alive_owners(app: App) -> frozenset[OwnerId]:
    """The processes that live, and send what is theirs."""
    return frozenset(owner.id for owner in app.store.owners.owners() if owner.life is Life.ALIVE)


def trying(app: App, found: Sequence[SendingRow]) -> tuple[Trying, ...]:
    """What can be done to have each of these told after all."""
    return sendings.trying(
        found, is_asked=lambda row: _is_asked(app, row), is_known=lambda row: _is_known(app, row)
    )


def after(app: App, one: Trying) -> Sequence[SendingRow]:
    """What became of one: it has the same id, or a way was found and there are new ones."""
    same = app.store.outbox.sendings(SendingFilter(notice=one.row.notice, rows_max=SAME_MAX))
    return [row for row in same if one.how == "anew" or row.id == one.row.id]


def _is_asked(app: App, row: SendingRow) -> bool:
    """Whether the question that a sending calls to is still open, and is the same one."""
    try:
        summary = app.reader.run(row.run).summary
    except NotFound:
        return False
    asked = (each for each in summary.questions if each.path == row.path)
    return summary.questions_more > 0 or any(f"@{each.question.asked_at}!" in row.notice for each in asked)


def _is_known(app: App, row: SendingRow) -> bool:
    """Whether somebody could be reached with what this one says."""
    same = app.store.outbox.sendings(SendingFilter(notice=row.notice, rows_max=SAME_MAX))
    return any(each.state != "unreachable" for each in same)
