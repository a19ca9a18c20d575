"""What somebody looks at: which run, in which view, as it is or as it was at some moment."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from towpath.core.run import Micros, Run
from towpath.server.api import finding
from towpath.server.call import Call
from towpath.server.web import pages, story
from towpath.server.web.story import Story
from towpath.store.contract import RunRow

VIEWS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "steps": "Steps",
        "timeline": "Timeline",
        "logs": "Logs",
        "values": "Values",
        "files": "Files",
        "history": "History",
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """What is looked at: which run, in which view, at which moment."""

    row: RunRow
    """As it was at that moment."""
    now: RunRow
    run: Run
    story: Story
    view: str
    at: int | None

    @property
    def moment(self) -> Micros:
        """When the last fact of this look became true."""
        return self.story.last_at

    def clock(self, call: Call) -> Micros:
        """Until when time has passed: now, or that moment."""
        return call.app.now() if self.at is None else self.moment

    def link(self, **changes: object) -> str:
        """The address of the page with something else to see."""
        query = {"view": self.view, "at": self.at, **changes}
        if query["view"] == "steps":
            query["view"] = None
        return pages.address(f"/runs/{self.row.number}", **query)


def look_at(call: Call, name: str, *, view: str = "steps", at: int | None = None) -> Look:
    """A run at a moment; raises NotFound or Forbidden."""
    now = finding.find_run(call, name)
    if at is not None and at >= now.last_sequence:
        at = None
    told = story.story_of(call, now, at)
    row = now if at is None else finding.row_then(call, now, told.run)
    return Look(row=row, now=now, run=told.run, story=told, view=view if view in VIEWS else "steps", at=at)
