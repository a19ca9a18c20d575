"""What a power loss may leave of a database: every image that the writes and syncs of real processes allow.

`strace` records, in the order in which the kernel was asked, every write, truncation and removal of the database files with all its bytes, every
sync, and every line that was printed to people. From that the disk is played again. What was synced is on it; of what was not, any part may
be: none of it, all of it, the writes in any combination, and of each write any of its sectors. So the images of one moment are

    what was durable  +  any subset of what was not  +  torn writes

A sync of a file makes its content and its name durable (as on ext4, XFS and btrfs) and says nothing of other files. That a file was made or
removed is like a write to its folder: it may have happened or not until the folder itself is synced. This is stricter than most disks are.
The shared memory file is left out, because SQLite makes it anew.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

SECTOR_BYTES = 512
SYNCS = ("fdatasync", "fsync")
CALLS = "pwrite64,write,ftruncate,fdatasync,fsync,unlink"
STRING_BYTES_MAX = 200_000
"""The longest write that is recorded whole; the record of a longer one is refused."""
RECORDER = ("-f", "--seccomp-bpf", "-qq", "-y", "-xx", "-e", "signal=none", "-e", f"trace={CALLS}")
_CALL = re.compile(r"^(?P<pid>\d+) +(?P<name>\w+)\((?P<arguments>.*)$")
_RESUMED = re.compile(r"^(?P<pid>\d+) +<\.\.\. (?P<name>\w+) resumed>(?P<rest>.*)$")
_FILE = re.compile(r"^(?P<number>\d+)<(?P<path>[^>]*)>(?:, )?(?P<rest>.*)$")
_UNFINISHED = " <unfinished ...>"

Kind = Literal["make", "write", "truncate", "unlink", "sync", "said"]
Contents = dict[str, bytes]
"""The files of an image, by name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """One thing that was asked of the disk, or one thing that was said to people."""

    kind: Kind
    file: str = ""
    """Its name; empty for the folder itself."""
    life: int = 0
    """Which file of this name: one that is made again after it was removed is another one."""
    data: bytes = b""
    at: int = 0
    """Where in the file; for a truncation the size, for something said the descriptor."""

    def sectors(self) -> Iterator[Operation]:
        """A write as the sectors that a disk takes one at a time."""
        position = 0
        while position < len(self.data):
            end = min(len(self.data), SECTOR_BYTES - (self.at + position) % SECTOR_BYTES + position)
            yield replace(self, data=self.data[position:end], at=self.at + position)
            position = end


@dataclass(frozen=True, slots=True, kw_only=True)
class Stand:
    """What stands on a disk: which file each name leads to, and the bytes of every file, by name and life."""

    names: Mapping[str, int] = field(default_factory=dict)
    bytes_of: Mapping[tuple[str, int], bytes] = field(default_factory=dict)

    def contents(self) -> Contents:
        """The files as whoever opens the folder finds them."""
        return {name: self.bytes_of.get((name, life), b"") for name, life in self.names.items()}


@dataclass(slots=True, kw_only=True)
class Moment:
    """The disk at one moment: what is durable, and what may be or not."""

    index: int
    """How many operations were begun before."""
    durable: Stand
    pending: tuple[Operation, ...]
    said: tuple[str, ...]
    """What people had been told by then."""


def recorded(log: Path, *, folder: Path, name: str) -> list[Operation]:
    """The operations on the files of a folder whose names begin with *name*, and what was printed, in order."""
    return list(_with_lives(one for line in _calls(log) for one in _operation(line, folder, name)))


def _calls(log: Path) -> Iterator[str]:
    """The calls, each as one line. A sync counts when it has returned, everything else when it was asked for."""
    unfinished: dict[str, str] = {}
    for line in log.read_text(encoding="ascii", errors="replace").splitlines():
        resumed = _RESUMED.match(line)
        call = _CALL.match(line)
        if resumed is not None:
            begun = unfinished.pop(resumed["pid"], "")
            if begun and resumed["name"] in SYNCS:
                yield begun + resumed["rest"]
        elif call is not None and line.endswith(_UNFINISHED):
            unfinished[call["pid"]] = whole = line.removesuffix(_UNFINISHED)
            if call["name"] not in SYNCS:
                yield whole
        elif call is not None:
            yield line


def _with_lives(operations: Iterator[Operation]) -> Iterator[Operation]:
    """Tells files of the same name apart, and says when each was made."""
    lives: dict[str, int] = {}
    there: set[str] = set()
    for one in operations:
        if one.kind in ("write", "truncate") and one.file not in there:
            there.add(one.file)
            lives[one.file] = lives.get(one.file, 0) + 1
            yield Operation(kind="make", file=one.file, life=lives[one.file])
        if one.kind != "unlink" or one.file in there:
            yield replace(one, life=lives.get(one.file, 0))
        if one.kind == "unlink":
            there.discard(one.file)


def _operation(line: str, folder: Path, name: str) -> list[Operation]:
    """What a call asks of the disk, or says; nothing where it is about something else, or failed."""
    call = _CALL.match(line)
    assert call is not None, line
    if " = -1 " in line[-60:]:
        return []
    if call["name"] == "unlink":
        removed = Path(_text(call["arguments"].split('"', maxsplit=2)[1]))
        return [Operation(kind="unlink", file=removed.name)] if _is_ours(removed, folder, name) else []
    opened = _FILE.match(call["arguments"])
    if opened is None:
        return []
    path, rest = Path(_text(opened["path"])), opened["rest"]
    if call["name"] == "write" and opened["number"] in ("1", "2"):
        return [Operation(kind="said", data=_bytes(rest), at=int(opened["number"]))]
    if call["name"] in SYNCS and path == folder:
        return [Operation(kind="sync")]
    return [_on_file(call["name"], path.name, rest)] if _is_ours(path, folder, name) else []


def _on_file(call: str, file: str, rest: str) -> Operation:
    if call in SYNCS:
        return Operation(kind="sync", file=file)
    if call == "ftruncate":
        return Operation(kind="truncate", file=file, at=int(rest.split(")", maxsplit=1)[0]))
    assert call == "pwrite64", f"{call} on {file} has no meaning here: {rest[:200]}"
    return Operation(kind="write", file=file, data=_bytes(rest), at=_last_number(rest))


def _is_ours(path: Path, folder: Path, name: str) -> bool:
    return path.parent == folder and path.name.startswith(name) and not path.name.endswith("-shm")


def _text(escaped: str) -> str:
    return bytes.fromhex(escaped.replace("\\x", "")).decode()


def _bytes(rest: str) -> bytes:
    quoted = rest.split('"')
    assert not quoted[2].startswith("..."), f"a write is longer than {STRING_BYTES_MAX} bytes"
    data = bytes.fromhex(quoted[1].replace("\\x", ""))
    assert len(data) == int(quoted[2].split(",")[1].split(")")[0]), "every byte of a write is recorded"
    return data


def _last_number(rest: str) -> int:
    return int(rest.split('"')[2].split(",")[2].split(")", maxsplit=1)[0])


@dataclass(slots=True, kw_only=True)
class Disk:
    """Plays operations and remembers which of them are durable."""

    durable: Stand = field(default_factory=Stand)
    pending: list[Operation] = field(default_factory=list)

    def do(self, operation: Operation) -> None:
        """Asks something of the disk."""
        if operation.kind != "sync":
            self.pending.append(operation)
            return
        done = [one for one in self.pending if _makes_durable(operation, one)]
        self.durable = applied(self.durable, done)
        self.pending = [one for one in self.pending if one not in done]


def _makes_durable(sync: Operation, one: Operation) -> bool:
    """A sync of the folder keeps its names; one of a file its bytes, its name, and that no other file has this name."""
    if not sync.file:
        return one.kind in ("make", "unlink")
    if one.file != sync.file:
        return False
    return one.life == sync.life or one.kind in ("make", "unlink")


def moments(operations: list[Operation]) -> list[Moment]:
    """Every moment just before a sync was over or something was said, and the last one: all others leave no more images."""
    disk, said, found = Disk(), list[str](), list[Moment]()
    for index, operation in enumerate(operations):
        if operation.kind in ("sync", "said"):
            found.append(_moment(disk, said, index))
        if operation.kind == "said":
            said.append(operation.data.decode("utf-8", "replace"))
        else:
            disk.do(operation)
    found.append(_moment(disk, said, len(operations)))
    return [
        one
        for one, before in zip(found, [None, *found], strict=False)
        if before is None or _differ(one, before)
    ]


def _moment(disk: Disk, said: list[str], index: int) -> Moment:
    return Moment(index=index, durable=disk.durable, pending=tuple(disk.pending), said=tuple(said))


def _differ(one: Moment, other: Moment) -> bool:
    return (one.pending, one.said, one.durable) != (other.pending, other.said, other.durable)


def applied(stand: Stand, operations: Sequence[Operation]) -> Stand:
    """What stands on the disk after some operations, in order."""
    names = dict(stand.names)
    changed: dict[tuple[str, int], bytearray] = {}
    for one in operations:
        key = (one.file, one.life)
        if one.kind == "make":
            names[one.file] = one.life
        elif one.kind == "unlink":
            if names.get(one.file) == one.life:
                del names[one.file]
        else:
            file = changed.setdefault(key, bytearray(stand.bytes_of.get(key, b"")))
            if one.kind == "truncate":
                del file[one.at :]
            file.extend(bytes(max(0, one.at - len(file))))
            file[one.at : one.at + len(one.data)] = one.data
    written = {key: bytes(file) for key, file in changed.items()}
    return Stand(names=names, bytes_of={**stand.bytes_of, **written})


def images(moment: Moment, *, by_chance: int) -> Iterator[tuple[str, Contents]]:
    """The images that a power loss at *moment* may leave, each with its name: the systematic ones, and some drawn by chance.

    The dice are seeded with the moment, so that the same record gives the same images.
    """
    for name, kept in _choices(moment, by_chance):
        yield name, applied(moment.durable, kept).contents()


def _choices(moment: Moment, by_chance: int) -> Iterator[tuple[str, list[Operation]]]:
    pending = list(moment.pending)
    yield "nothing of it", []
    for count in range(1, len(pending) + 1):
        yield f"the first {count}", pending[:count]
    for position, one in enumerate(pending):
        before, after = pending[:position], pending[position + 1 :]
        yield f"all but number {position + 1}", [*before, *after]
        yield f"only number {position + 1}", [one]
        sectors = list(one.sectors())
        if len(sectors) > 1:
            half = len(sectors) // 2
            yield f"number {position + 1} torn at its end", [*before, *sectors[:half]]
            yield f"number {position + 1} torn at its beginning", [*before, *sectors[half:]]
    dice = random.Random(moment.index)  # noqa: S311 - dice for a test
    pieces = [piece for one in pending for piece in (one.sectors() if one.kind == "write" else [one])]
    for number in range(by_chance if pieces else 0):
        yield f"by chance {number + 1}", [piece for piece in pieces if dice.random() < (0.5, 0.9)[number % 2]]
