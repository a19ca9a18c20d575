"""A database file that was damaged: bits that fell over, a file that was cut off, at a table of places.

A damage that hits a record is found by the chain (`tow audit verify`), one that hits the structure of the file by SQLite. Either the store
refuses with the reason and leaves the file alone, or it shows what was there before, or the chain names the record. The end of a write-ahead
log is the one thing that nobody can vouch for: what is damaged in it looks like a log that ends earlier, so there an earlier state is allowed,
as long as it is a whole one.
"""

from __future__ import annotations

import contextlib
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from fault_support import Place, kill, wait_for

from tiers import Tier
from towpath import app as towpath_app
from towpath.errors import TowpathError
from towpath.settings import Settings
from towpath.store import chain
from towpath.store.backup import back_up, restore

LEDGER = "run: 'echo \"$TOW_STEP\" >> ledger', idempotent: true"
STEPS = f"steps: [{{id: a, {LEDGER}}}, {{id: b, {LEDGER}}}, {{id: w, wait: {{signal: go}}}}]\n"
RUNS = 3
PAGE_BYTES = 4096
FLIPS_QUICK, CUTS_QUICK = 48, 10
FLIPS_EVERY_BYTES = 61
"""In the full tier a bit falls over at every so many bytes; a prime number, so that every part of a page is hit."""
BITS = (0x01, 0x80, 0xFF)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sound:
    """A folder as a killed process left it: a database, its log, and what is in them."""

    data: Path
    records: tuple[bytes, ...]
    backup: Path


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Sound:
    """Runs that wait, a process that was killed, and a backup that was taken just before."""
    folder = tmp_path_factory.mktemp("sound")
    place = Place(folder / "project", w=STEPS)
    running = [place.begin("run", "w", "--no-ask") for _ in range(RUNS)]
    for number, one in enumerate(running, 1):
        wait_for(lambda number=number: waits(place, number), what=f"run {number}", of=one)
    assert (place.data / "towpath.db-wal").stat().st_size > PAGE_BYTES
    backup = folder / "backup.tar.gz"
    back_up(place.data, backup)
    for one in running:
        kill(one)
    kept = folder / "kept"
    kept.mkdir()
    for file in place.data.glob("towpath.db*"):
        shutil.copy(file, kept)
    with contextlib.closing(sqlite3.connect(place.data / "towpath.db")) as connection:
        rows = connection.execute("SELECT record FROM journal ORDER BY run, sequence").fetchall()
    return Sound(data=kept, records=tuple(bytes(record) for (record,) in rows), backup=backup)


def waits(place: Place, number: int) -> bool:
    """Whether a run has come to its signal."""
    try:
        return any('"wait_started"' in record for _, record in place.facts(number))
    except sqlite3.OperationalError:
        return False


def judged(data: Path, sound: Sound, *, may_end_earlier: bool) -> str:
    """What is wrong with how a damaged folder is met; empty where nothing is."""
    before = {
        file.name: file.read_bytes() for file in data.glob("towpath.db*") if not file.name.endswith("-shm")
    }
    try:
        records, is_whole = read(data)
    except TowpathError as error:
        after = {name: (data / name).read_bytes() for name in before if (data / name).exists()}
        if not error.help:
            return f"no help with: {error}"
        # A log may have been moved into the database before the damage was met; nothing else may change.
        return "" if len(before) > 1 or after == before else "the damaged file was changed"
    except Exception as error:  # noqa: BLE001 - whatever it is, it is no answer for people
        return f"it breaks with {error!r}"
    if records == sound.records:
        return ""
    if may_end_earlier and is_whole:
        return ""
    return "" if not is_whole else "the journal is another one, and nobody says so"


def read(data: Path) -> tuple[tuple[bytes, ...], bool]:
    """All records as the store reads them, and whether the chain holds."""
    app = towpath_app.build(Settings(project=data.parent, data=data, user="ann"))
    try:
        for row in app.reader.runs():
            app.run(str(row.number))
    finally:
        app.close()
    with contextlib.closing(sqlite3.connect(data / "towpath.db")) as connection:
        try:
            rows = connection.execute("SELECT record FROM journal ORDER BY run, sequence").fetchall()
            verdict = chain.verify(connection)
        except sqlite3.DatabaseError:
            return (), False
    return tuple(bytes(record) for (record,) in rows), verdict.holds


def copied(sound: Sound, folder: Path, file: str, damage: Callable[[bytearray], None]) -> Path:
    """A data folder in which one file is damaged."""
    data = folder / ".towpath"
    shutil.copytree(sound.data, data)
    (data / "towpath.db-shm").unlink(missing_ok=True)
    content = bytearray((data / file).read_bytes())
    damage(content)
    (data / file).write_bytes(content)
    return data


def flips(size: int, tier: Tier) -> Iterator[tuple[int, int]]:
    """At which bytes which bits fall over: the header, the schema, and every part of the file."""
    first = [0, 15, 16, 18, 20, 24, 28, 40, 44, 56, 60, 96, 100, 103, 105, 108, PAGE_BYTES, PAGE_BYTES + 3]
    places = [place for place in first if place < size] + list(range(128, size, FLIPS_EVERY_BYTES))
    for number, place in enumerate(tier.some_of(places, quick=FLIPS_QUICK)):
        yield place, BITS[number % len(BITS)]


@pytest.mark.parametrize("file", ["towpath.db", "towpath.db-wal"])
def test_bits_that_fell_over(
    file: str, sound: Sound, tier: Tier, tmp_path: Path, played: Callable[[int], None]
) -> None:
    """Nothing false is shown as if it were true: it is refused, or it is as before, or the chain says where it is not."""
    wrong = {}
    cases = list(flips((sound.data / file).stat().st_size, tier))
    for number, (place, bits) in enumerate(cases):

        def damage(content: bytearray, place: int = place, bits: int = bits) -> None:
            content[place] ^= bits

        data = copied(sound, tmp_path / str(number), file, damage)
        found = judged(data, sound, may_end_earlier=file.endswith("-wal"))
        if found:
            wrong[f"byte {place}, bits {bits:#x}"] = found
        shutil.rmtree(tmp_path / str(number))
    played(len(cases))

    assert wrong == {}


@pytest.mark.parametrize("file", ["towpath.db", "towpath.db-wal"])
def test_a_file_that_was_cut_off(
    file: str, sound: Sound, tier: Tier, tmp_path: Path, played: Callable[[int], None]
) -> None:
    """A file that ends early, between two pages or in the middle of one, is refused or met as an earlier whole state."""
    size = (sound.data / file).stat().st_size
    ends = tier.some_of([*range(0, size, PAGE_BYTES // 2), 1, 31, 33, 99, 101, size - 1], quick=CUTS_QUICK)
    wrong = {}
    for number, end in enumerate(ends):

        def damage(content: bytearray, end: int = end) -> None:
            del content[end:]

        data = copied(sound, tmp_path / str(number), file, damage)
        # An empty file, or one of a single byte, is a database in which nothing happened yet: its log is what is left.
        found = judged(data, sound, may_end_earlier=file.endswith("-wal") or end <= 1)
        if found:
            wrong[f"cut off at {end} of {size}"] = found
    played(len(ends))

    assert wrong == {}


def test_a_backup_brings_it_back(sound: Sound, tmp_path: Path) -> None:
    """Whatever the damage, a restore over the damaged folder needs no surgery, and the runs are there again."""

    def damage(content: bytearray) -> None:
        content[100:] = bytes(len(content) - 100)

    data = copied(sound, tmp_path, "towpath.db", damage)
    with pytest.raises(TowpathError, match="damaged"):
        read(data)
    restore(sound.backup, data, force=True)

    assert read(data) == (sound.records, True)
