"""While a world is played, nothing in the product reads the machine's clock, draws a number of its own or freezes the collector."""

from __future__ import annotations

import contextlib
import logging
import random
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Final
from unittest import mock

from simulation.system.machine import Machine
from towpath.core.run import Micros
from towpath.engines.embedded import attempts, mailroom, recovery
from towpath.engines.embedded import loop as engine_loop
from towpath.people import outbox
from towpath.store import memory

LOOKS_FOR_OTHERS_SECONDS: Final = 6 * 3_600.0
"""How often a process looks for notices that others have left: seldom, as each look costs and days pass quickly."""

LOOKS_FOR_QUEUES: Final = 2
"""Every how many looks a process looks at its queues: more often than it does, as it looks only when there may be something new."""


@contextlib.contextmanager
def determined(
    machine: Machine, seed: int, *, time: Callable[[], Micros], resident_max: int = 100
) -> Iterator[list[str]]:
    """Has everything follow from the seed; gives what the product logs as an error."""
    drawn = random.Random(f"secrets {seed}")  # noqa: S311 - a seed is the point
    secrets = SimpleNamespace(
        token_hex=lambda count: f"{drawn.getrandbits(8 * count):0{2 * count}x}", randbits=drawn.getrandbits
    )
    errors: list[str] = []
    handler = _Errors(errors)
    logger = logging.getLogger("towpath")
    propagates, logger.propagate = logger.propagate, False
    logger.addHandler(handler)
    try:
        with (
            mock.patch.object(engine_loop, "secrets", secrets),
            mock.patch.object(attempts, "secrets", secrets),
            mock.patch.object(engine_loop, "gc", SimpleNamespace(freeze=_nothing, set_threshold=_nothing)),
            mock.patch.object(
                recovery, "time", SimpleNamespace(monotonic=lambda: machine.now / 1_000_000), create=True
            ),
            mock.patch.object(engine_loop, "RESIDENT_WAITING_MAX", resident_max),
            mock.patch.object(mailroom, "_LOOKS_FOR_QUEUES", LOOKS_FOR_QUEUES),
            mock.patch.object(memory, "_now", time),
            mock.patch.object(outbox, "LOOK_AGAIN_SECONDS", LOOKS_FOR_OTHERS_SECONDS),
        ):
            yield errors
    finally:
        logger.removeHandler(handler)
        logger.propagate = propagates


class _Errors(logging.Handler):
    def __init__(self, errors: list[str]) -> None:
        super().__init__(level=logging.ERROR)
        self._errors = errors

    def emit(self, record: logging.LogRecord) -> None:
        error = record.exc_info[1] if record.exc_info else None
        self._errors.append(record.getMessage() + ("" if error is None else f": {error!r}"))


def _nothing(*_: object) -> None:
    """Does nothing."""
