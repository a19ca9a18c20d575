"""Case after case, in as many processes as are wanted, until the time is up or something is wrong."""

from __future__ import annotations

import concurrent.futures
import multiprocessing
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from simulation.system.cases import make_case
from simulation.system.world import play

SEEDS_AT_ONCE: Final = 8
"""Seeds that a worker plays before it says how that went."""


@dataclass(slots=True)
class Tally:
    """What was played."""

    cases: int = 0
    runs: int = 0
    events: int = 0
    turns: int = 0
    faults: Counter[str] = field(default_factory=Counter)
    statuses: Counter[str] = field(default_factory=Counter)
    violations: list[tuple[int, str]] = field(default_factory=list)
    """Seed and what is wrong."""

    def add(self, other: Tally) -> None:
        """Adds what was played elsewhere."""
        self.cases += other.cases
        self.runs += other.runs
        self.events += other.events
        self.turns += other.turns
        self.faults += other.faults
        self.statuses += other.statuses
        self.violations += other.violations


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """How much is to be played."""

    first_seed: int
    jobs: int = 1
    cases: int | None = None
    runs: int | None = None
    seconds: float | None = None
    goes_on: bool = False
    """Not stopping at the first violation."""

    def is_enough(self, tally: Tally, began: float) -> bool:
        """Whether nothing more needs to be played."""
        return (
            (self.runs is not None and tally.runs >= self.runs)
            or (self.seconds is not None and time.monotonic() - began >= self.seconds)
            or (bool(tally.violations) and not self.goes_on)
        )

    def batches(self) -> Iterator[range]:
        """The seeds, a few at a time."""
        first, last = self.first_seed, None if self.cases is None else self.first_seed + self.cases
        while last is None or first < last:
            end = first + SEEDS_AT_ONCE if last is None else min(first + SEEDS_AT_ONCE, last)
            yield range(first, end)
            first = end


def play_seeds(seeds: range) -> Tally:
    """Plays the cases of some seeds."""
    tally = Tally()
    for seed in seeds:
        outcome = play(make_case(seed))
        tally.cases += 1
        tally.runs += outcome.runs
        tally.events += outcome.events
        tally.turns += outcome.turns
        tally.faults += outcome.faults
        tally.statuses += outcome.statuses
        tally.violations += [(seed, violation) for violation in outcome.violations]
    return tally


def soak(wanted: Wanted) -> Iterator[Tally]:
    """Plays what is wanted; gives the tally as it grows, and at last the whole."""
    began = time.monotonic()
    tally = Tally()
    if wanted.jobs == 1:
        for seeds in wanted.batches():
            tally.add(play_seeds(seeds))
            yield tally
            if wanted.is_enough(tally, began):
                return
        return
    yield from _in_processes(wanted, tally, began)


def _in_processes(wanted: Wanted, tally: Tally, began: float) -> Iterator[Tally]:
    context = multiprocessing.get_context("spawn")
    batches = wanted.batches()
    with concurrent.futures.ProcessPoolExecutor(wanted.jobs, mp_context=context) as pool:
        places = range(2 * wanted.jobs)
        waiting = {pool.submit(play_seeds, seeds) for _, seeds in zip(places, batches, strict=False)}
        is_enough = False
        while waiting:
            done, waiting = concurrent.futures.wait(waiting, return_when=concurrent.futures.FIRST_COMPLETED)
            for future in done:
                tally.add(future.result())
            yield tally
            is_enough = is_enough or wanted.is_enough(tally, began)
            if not is_enough:
                waiting |= {pool.submit(play_seeds, seeds) for _, seeds in zip(done, batches, strict=False)}
