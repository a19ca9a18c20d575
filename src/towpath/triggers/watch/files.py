"""Files are looked at, compared with the last look, and every change that has settled becomes an event.

A file is the same as long as its time, its size and its place on the disk are. A change counts when the file has
stayed as it is for the time that the trigger says: who copies a large file into a folder has one event, at the end.
The first look starts nothing.
"""

from __future__ import annotations

import glob
import hashlib
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from towpath.core.run import Json, Micros
from towpath.errors import LimitExceeded
from towpath.store.contract import Events, Mark, NewEvent
from towpath.triggers.inbox import local_event
from towpath.triggers.payloads import source_named

FILES_MAX = 20_000
"""Files that one trigger watches."""
_SOURCE = source_named("file")
_DIGEST_CHARS = 32

Stamp = list[int]
"""Time of change in nanoseconds, size in bytes, number on the disk; empty where there is no file."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Seen:
    """What the last look saw."""

    looks: int
    files: dict[str, Stamp]
    """As they were when they had settled."""
    changing: dict[str, tuple[Stamp, Micros]]
    """What differs from that, as it was last, and since when it has been so."""


class FileWatch:
    """One path or pattern, for all triggers that name it."""

    def __init__(self, events: Events, path: str, project: Path, *, settle: Micros) -> None:
        digest = hashlib.sha256(path.encode("utf-8", "surrogatepass")).hexdigest()[:_DIGEST_CHARS]
        self._events = events
        self._mark = f"file/{digest}"
        self._path = path
        self._project = project
        self._settle = settle

    def look(self, now: Micros) -> int:
        """Keep an event for every change that has settled; returns how many. Raises LimitExceeded and StaleMark."""
        mark = self._events.mark(self._mark)
        files = dict(self._stamps())
        if mark is None:
            self._put((), Mark(name=self._mark, value=b""), _Seen(looks=1, files=files, changing={}))
            return 0
        seen = _read(mark.value)
        changing = {
            name: (files.get(name, []), _since(seen, name, files.get(name, []), now))
            for name in sorted({*files, *seen.files})
            if files.get(name, []) != seen.files.get(name, [])
        }
        settled = [name for name, (_, since) in changing.items() if now - since >= self._settle]
        events = tuple(self._event(name, seen, changing[name][0], now) for name in settled)
        settled_files = {**seen.files, **{name: changing[name][0] for name in settled}}
        after = _Seen(
            looks=seen.looks + bool(settled),
            files={name: stamp for name, stamp in settled_files.items() if stamp},
            changing={name: change for name, change in changing.items() if name not in settled},
        )
        if after != seen:
            self._put(events, mark, after)
        return len(events)

    def _put(self, events: tuple[NewEvent, ...], mark: Mark, seen: _Seen) -> None:
        told = {"looks": seen.looks, "files": seen.files, "changing": seen.changing}
        value = json.dumps(told, separators=(",", ":")).encode()
        self._events.put(events, mark=Mark(name=mark.name, value=value, version=mark.version))

    def _stamps(self) -> Iterator[tuple[str, Stamp]]:
        """Every file that the path means, by the name that people see."""
        for number, file in enumerate(self._files()):
            if number >= FILES_MAX:
                raise LimitExceeded(
                    f"{self._path} means more than FILES_MAX ({FILES_MAX:,}) files", limit="FILES_MAX"
                )
            try:
                stat = os.stat(file)  # noqa: PTH116 - the names come from a walk that gives texts
            except OSError:
                continue  # it went while we looked
            yield self._shown(file), [stat.st_mtime_ns, stat.st_size, stat.st_ino]

    def _files(self) -> Iterator[str]:
        """The files that the path means: it may be a pattern, a file, or a folder with all that is in it."""
        for found in glob.iglob(str(self._project / self._path), recursive=True):  # noqa: PTH207 - pathlib has no absolute patterns
            path = Path(found)
            if path.is_file():
                yield found
            elif not glob.has_magic(self._path):
                for folder, _, names in os.walk(path):
                    yield from (str(Path(folder) / name) for name in names)

    def _shown(self, file: str) -> str:
        """The name of a file: from the project where it lies in it, and always a text that can be kept."""
        inside = os.path.relpath(file, self._project)
        name = file if inside.startswith("..") else inside
        return os.fsencode(name).decode("utf-8", "replace")

    def _event(self, name: str, seen: _Seen, stamp: Stamp, now: Micros) -> NewEvent:
        change = "deleted" if not stamp else "modified" if name in seen.files else "created"
        payload: Json = {
            "path": name,
            "change": change,
            "size": stamp[1] if stamp else None,
            "watch": self._path,
            "look": seen.looks,
        }
        return local_event(_SOURCE, payload, kind="file", at=now)


def _since(seen: _Seen, name: str, stamp: Stamp, now: Micros) -> Micros:
    """Since when a file has been as it is; a clock that went back begins anew."""
    known = seen.changing.get(name)
    return known[1] if known is not None and known[0] == stamp and known[1] <= now else now


def _read(value: bytes) -> _Seen:
    found = json.loads(value)
    changing = {name: (stamp, since) for name, (stamp, since) in found["changing"].items()}
    return _Seen(looks=found["looks"], files=found["files"], changing=changing)
