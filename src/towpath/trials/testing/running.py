"""All tests of a project, one after the other: each in a world of its own, without a server, a network or a data folder."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from towpath.definition.problems import Problem
from towpath.errors import TowpathError
from towpath.trials.testing import loading, snapshots, story
from towpath.trials.testing.bench import Bench
from towpath.trials.testing.coverage import Coverage, Surveyor
from towpath.trials.testing.expecting import Difference, differences
from towpath.trials.testing.loading import LoadedFile, LoadedTest
from towpath.trials.testing.world import Before, World


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How one test went."""

    test: LoadedTest
    differences: tuple[Difference, ...]
    seconds: float
    """How long it took, on the clock of the machine."""
    lasted: int
    """How long it lasted in its own time, in microseconds."""
    status: str
    """How the run ended."""
    story: tuple[story.Line, ...]

    @property
    def passed(self) -> bool:
        """Whether everything was as expected."""
        return not self.differences


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """How the tests of a project went."""

    files: tuple[LoadedFile, ...]
    outcomes: tuple[Outcome, ...]
    coverage: tuple[Coverage, ...]
    untested: tuple[str, ...]
    """Workflows of the project that no test names; empty where only some tests were played."""
    updated: tuple[str, ...] = ()
    """Snapshot files that were written."""
    stale: tuple[str, ...] = ()
    """Snapshots whose test is gone: `file: name`."""
    seconds: float = 0.0

    @property
    def problems(self) -> tuple[Problem, ...]:
        """What is wrong with the files."""
        return tuple(problem for file in self.files for problem in file.problems)

    @property
    def failed(self) -> tuple[Outcome, ...]:
        """The tests that failed."""
        return tuple(outcome for outcome in self.outcomes if not outcome.passed)

    @property
    def broken(self) -> tuple[LoadedFile, ...]:
        """The files whose tests could not be played."""
        return tuple(file for file in self.files if file.errors)


@dataclass(slots=True, kw_only=True)
class _Book:
    """The snapshots of one test file while its tests are played."""

    file: Path
    known: dict[str, str]
    taken: dict[str, str] = field(default_factory=dict)


class Runner:
    """Plays tests."""

    def __init__(
        self,
        bench: Bench,
        *,
        keyword: str = "",
        update: bool = False,
        on_outcome: Callable[[Outcome], None] | None = None,
    ) -> None:
        self._bench = bench
        self._keyword = keyword.casefold()
        self._update = update
        self._on_outcome = on_outcome
        self._surveyor = Surveyor()
        self._outcomes: list[Outcome] = []
        self._updated: list[Path] = []
        self._stale: list[str] = []

    def run(
        self, files: Sequence[Path], *, shown: Callable[[Path], str] = str, is_all: bool = True
    ) -> Report:
        """Plays the tests in *files*; *is_all* says that these are all files of the project."""
        began = time.perf_counter()
        loaded = [loading.load(file, self._bench, path=shown(file)) for file in files]
        for file in loaded:
            self._play_file(file)
        names = {outcome.test.setting.workflow for outcome in self._outcomes}
        is_whole = is_all and not self._keyword and not any(file.errors for file in loaded)
        untested = sorted(set(self._bench.project.workflows) - names) if is_whole else ()
        return Report(
            files=tuple(loaded),
            outcomes=tuple(self._outcomes),
            coverage=self._surveyor.coverage(names),
            untested=tuple(untested),
            updated=tuple(shown(path) for path in self._updated),
            stale=tuple(self._stale),
            seconds=time.perf_counter() - began,
        )

    def _play_file(self, file: LoadedFile) -> None:
        book = _Book(file=snapshots.file_of(file.file), known=snapshots.read(snapshots.file_of(file.file)))
        for test in file.tests:
            if self._is_wanted(test):
                outcome = self._play(test, book)
                self._outcomes.append(outcome)
                if self._on_outcome is not None:
                    self._on_outcome(outcome)
        self._keep(file, book)

    def _is_wanted(self, test: LoadedTest) -> bool:
        return self._keyword in f"{test.path}: {test.name} ({test.setting.workflow})".casefold()

    def _play(self, test: LoadedTest, book: _Book) -> Outcome:
        began = time.perf_counter()
        worlds: list[World] = []
        found: list[Difference] = []
        try:
            found.extend(self._play_all(test, worlds))
            if test.has_snapshot:
                found.extend(self._compare(test, worlds, book))
        except TowpathError as problem:
            found.append(
                Difference(what="test", expected="it can be played", got=problem.message, help=problem.help)
            )
        seconds = time.perf_counter() - began
        for world in worlds:
            for drive in world.drives:
                self._surveyor.note(drive)
        return Outcome(
            test=test,
            differences=tuple(found),
            seconds=seconds,
            lasted=worlds[-1].agenda.passed - test.setting.at,
            status=_status(worlds[-1]),
            story=tuple(line for world in worlds for line in story.story_of(world)),
        )

    def _play_all(self, test: LoadedTest, worlds: list[World]) -> Iterator[Difference]:
        """Plays the run of a test, and those that come after its end."""
        worlds.append(World(self._bench, test.setting))
        yield from differences(worlds[0].play(), test.expect)
        for number, sequel in enumerate(test.sequels, start=1):
            place = f"then.{number}"
            last = worlds[-1]
            if not last.drives or not last.root.run.has_ended:
                yield Difference(
                    what=place, expected=f"a run that has ended, to {sequel.how} it", got=_status(last)
                )
                return
            before = Before(run=last.root.run, how=sequel.how)
            at = last.root.run.ended_at + sequel.after
            worlds.append(World(self._bench, replace(sequel.setting, at=at, before=before)))
            for one in differences(worlds[-1].play(), sequel.expect):
                yield replace(one, what=f"{place}.{one.what}")

    def _compare(self, test: LoadedTest, worlds: list[World], book: _Book) -> Iterable[Difference]:
        got = book.taken[test.name] = "\n".join(map(snapshots.snapshot_of, worlds))
        if self._update:
            return ()
        found = snapshots.difference(book.file, test.name, book.known.get(test.name), got)
        return () if found is None else (found,)

    def _keep(self, file: LoadedFile, book: _Book) -> None:
        """Writes snapshots where that is wanted, and notices those whose test is gone."""
        if file.errors:
            return
        current = [test.name for test in file.tests if test.has_snapshot]
        gone = [name for name in book.known if name not in current]
        if not self._update:
            self._stale.extend(f"{book.file.name}: {name}" for name in gone)
            return
        kept = {**book.known, **book.taken}
        if snapshots.write(book.file, {name: kept[name] for name in current if name in kept}):
            self._updated.append(book.file)


def _status(world: World) -> str:
    if world.refusal is not None:
        return "refused"
    return world.root.run.status if world.drives else "unknown"
