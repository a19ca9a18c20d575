"""Begins to keep a project up to date, and looks at it: in its time, and at once where a push was heard of."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from towpath.core.run import Micros
from towpath.editions.commit_status import CommitStatuses
from towpath.editions.keeper import Keeper
from towpath.editions.repository import Remote, check_ref, check_url
from towpath.editions.sources import FolderSource, GitSource
from towpath.errors import TowpathError
from towpath.server.shapes.metrics import Measure, Sample, one
from towpath.store import encoding
from towpath.store.contract import EventFilter, EventId

if TYPE_CHECKING:
    from towpath.app import App

FOLDER_SECONDS: Final = 2.0
"""How often a plain folder is looked at."""
GIT_SECONDS: Final = 30.0
"""How often a repository is looked at, where nobody says otherwise."""
GIT_SECONDS_MIN: Final = 1.0
TIDY_SECONDS: Final = 60.0
"""How often the folders of commits that nobody needs are looked for."""
PUSHES_READ_MAX: Final = 50
"""Events that are looked through for a push at one look; one more look never harms."""
KEPT_FILE: Final = "towpath.yaml"


@dataclass(frozen=True, slots=True, kw_only=True)
class Following:
    """A repository that a project is followed in."""

    url: str
    ref: str = "main"
    """The branch or tag."""
    every_seconds: float = GIT_SECONDS


def begin(app: App, following: Following | None = None) -> Keeper:
    """Has an app serve its project as it is from now on; raises TowpathError where there is nothing that loads.

    Blocks as long as the first look takes. Without *following*, the project is the folder of the settings.
    """
    from towpath.app import PROJECT_COPIES

    versions = app.store.versions
    source: FolderSource | GitSource
    if following is None:
        source = FolderSource(app.settings.project, app.folder.root / PROJECT_COPIES / KEPT_FILE)
    else:
        remote = Remote(_address(following.url), check_ref(following.ref), app.checkouts)
        source = GitSource(remote, app.checkouts, versions.commits_standing)
    keeper = Keeper(
        source,
        versions,
        text_of=lambda digest: app.store.reader.definition(digest).text,
        now=app.now,
        every_seconds=FOLDER_SECONDS if following is None else max(following.every_seconds, GIT_SECONDS_MIN),
        is_git=following is not None,
    )
    keeper.begin()
    app.keeper = keeper
    return keeper


def _address(url: str) -> str:
    """The address as git takes it from any folder."""
    check_url(url)
    path = Path(url)
    return str(path.absolute()) if "://" not in url and path.exists() else url


class Looks:
    """What a server does for its project again and again; used in the loop."""

    def __init__(self, app: App) -> None:
        assert app.keeper is not None, "the project is kept before it is looked at"
        self._app = app
        self._keeper = app.keeper
        self._last_event: EventId | None = None
        self._statuses = CommitStatuses(
            app.store.versions,
            app.egress,
            settings=lambda: app.project_file().commit_status,
            secret=lambda name: app.secrets.get(name),  # noqa: PLW0108 - the project may change under it
            link=app.settings.base_url,
        )
        self._looked_at: Micros | None = None
        self._tidied_at: Micros | None = None

    @property
    def every_seconds(self) -> float:
        """How often it looks whether a look is due, or a push was heard of."""
        return min(self._keeper.every_seconds, FOLDER_SECONDS)

    async def look(self) -> bool:
        """Looks where it is due; tells whether the project changed."""
        has_changed = await asyncio.to_thread(self.look_now)
        if self._keeper.is_git:
            await self._statuses.tell(self._app.now())
        return has_changed

    def look_now(self, *, hurry: bool = False) -> bool:
        """The same in this thread; at once where it *hurries*."""
        keeper = self._keeper
        is_pushed = keeper.is_git and self._has_heard_of_a_push()
        has_changed = False
        if hurry or is_pushed or self._is_late(self._looked_at, keeper.every_seconds):
            self._looked_at = self._app.now()
            has_changed = keeper.look()
        if keeper.is_git and self._is_late(self._tidied_at, TIDY_SECONDS):
            self._tidied_at = self._app.now()
            keeper.tidy(needed_commits(self._app))
        return has_changed

    def what_is_wrong(self) -> str:
        """Why the project is not what it should be, in a line; empty where all is well."""
        state = self._keeper.state
        if state.error:
            return f"{state.source} cannot be read: {state.error}"
        if not state.problems:
            return ""
        first = state.problems[0]
        more = f", and {len(state.problems) - 1} more" if len(state.problems) > 1 else ""
        commit = f"commit {state.broken_commit[:12]}: " if state.broken_commit else ""
        return f"{commit}{first.place}: {first.message}{more}; what was there before goes on"

    def measures(self) -> Iterator[Measure]:
        """What `/metrics` tells of the project."""
        state = self._keeper.state
        yield one(
            "towpath_project_problems", "Why what the project is now is not taken.", len(state.problems)
        )
        standing = (known.next for known in self._app.reader.versions.all_standing().values())
        found = Counter(row.state for row in standing if row is not None)
        samples = tuple(
            Sample(value=found[word], labels={"state": word}) for word in ("canary", "aborted", "broken")
        )
        yield Measure(
            name="towpath_versions",
            help="Newer versions of workflows that runs do not take, or not all.",
            samples=samples,
        )

    def _is_late(self, before: Micros | None, seconds: float) -> bool:
        """Whether so much time has gone by; a clock that went back makes it late too."""
        return before is None or not 0 <= self._app.now() - before < seconds * 1_000_000

    def _has_heard_of_a_push(self) -> bool:
        """Whether an event that came since the last look tells of a push, to whatever repository."""
        events = self._app.store.events.events(EventFilter(rows_max=PUSHES_READ_MAX))
        known, self._last_event = self._last_event, events[0].id if events else EventId(0)
        return known is not None and any(
            one.id > known and one.kind.endswith((".push", ".tag")) for one in events
        )


def needed_commits(app: App) -> frozenset[str]:
    """The commits to which open runs belong."""
    found = set()
    for record in app.store.versions.first_records():
        try:
            commit = getattr(encoding.decode(record), "commit", "")
        except TowpathError:
            continue  # a record of a newer version: its run is driven by another process
        if commit:
            found.add(commit)
    return frozenset(found)
