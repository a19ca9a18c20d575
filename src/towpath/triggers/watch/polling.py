"""A repository is looked at, compared with the last look, and every branch or tag that moved becomes an event.

The mark of a repository holds all its refs, whoever asks for which. So what is new is what is new in the repository,
and a trigger that is added later does not start on everything that was there before. The first look starts nothing.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from towpath.core.run import Json, Micros
from towpath.definition.triggers import GitPoll
from towpath.store.contract import Events, Mark, NewEvent
from towpath.triggers import filters
from towpath.triggers.contract import PollFacts
from towpath.triggers.inbox import local_event
from towpath.triggers.payloads import source_named
from towpath.triggers.payloads.picking import ref as ref_names
from towpath.triggers.watch.git import Between, GitError, Refs, Repository

MOVED_MAX = 100
"""Refs of one repository that become events in one look; the next look takes the next."""
_SOURCE = source_named("git.poll")
DIGEST_CHARS = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class _Seen:
    """What the last look saw."""

    looks: int
    commits: dict[str, str]


class GitPolling:
    """One repository, for all triggers that name it."""

    def __init__(
        self, events: Events, url: str, copies: Path, *, token: str | None, wanted: Sequence[GitPoll]
    ) -> None:
        digest = hashlib.sha256(url.encode()).hexdigest()[:DIGEST_CHARS]
        self._events = events
        self._mark = f"git/{digest}"
        self._repository = Repository(url, copies / digest, token=token)
        self._wanted = tuple(wanted)

    def look(self, now: Micros) -> int:
        """Keep an event for every ref that moved and that a trigger asks for; returns how many. Raises GitError and StaleMark."""
        mark = self._events.mark(self._mark)
        refs = self._repository.refs()
        if mark is None:
            self._put((), Mark(name=self._mark, value=b""), _Seen(looks=1, commits=dict(refs.commits)))
            return 0
        seen = _read(mark.value)
        moved = [name for name, commit in refs.commits.items() if seen.commits.get(name) != commit]
        if not moved and len(refs.commits) == len(seen.commits):
            return 0
        asked = [name for name in moved if self._is_asked_for(name, refs)]
        taken, later = asked[:MOVED_MAX], set(asked[MOVED_MAX:])
        events = tuple(self._event(name, seen, refs, now) for name in taken)
        known = {
            name: seen.commits.get(name, "") if name in later else commit
            for name, commit in refs.commits.items()
        }
        self._put(events, mark, _Seen(looks=seen.looks + 1, commits=known))
        return len(events)

    def _put(self, events: Sequence[NewEvent], mark: Mark, seen: _Seen) -> None:
        value = json.dumps({"looks": seen.looks, "commits": seen.commits}, separators=(",", ":")).encode()
        self._events.put(events, mark=Mark(name=mark.name, value=value, version=mark.version))

    def _is_asked_for(self, name: str, refs: Refs) -> bool:
        """Whether a trigger asks for a ref, whatever files changed."""
        branch, tag = ref_names(name)
        facts = PollFacts(
            url=self._repository.url, branch=branch, tag=tag, is_default=name == refs.default, paths=None
        )
        return any(not filters.refusal(settings, facts) for settings in self._wanted)

    def _event(self, name: str, seen: _Seen, refs: Refs, now: Micros) -> NewEvent:
        branch, tag = ref_names(name)
        before, after = seen.commits.get(name, ""), refs.commits[name]
        between = self._between(name, before, after)
        payload: Json = {
            "url": self._repository.url,
            "ref": name,
            "branch": branch,
            "tag": tag,
            "is_default": name == refs.default,
            "before": before,
            "after": after,
            "commits": list(between.commits),
            "paths": None if between.paths is None else list(between.paths),
            "look": seen.looks,
        }
        return local_event(_SOURCE, payload, kind="git.poll", at=now)

    def _between(self, name: str, before: str, after: str) -> Between:
        try:
            return self._repository.between(name, before, after)
        except GitError:
            return Between(commits=(), paths=None)  # that it moved is known all the same


def _read(value: bytes) -> _Seen:
    found = json.loads(value)
    return _Seen(looks=found["looks"], commits=found["commits"])
