"""What was expected against what came of it: every difference as what was expected, what was got, and where to look."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from towpath.trials.testing.expecting import ending, order, steps, telling
from towpath.trials.testing.expecting.difference import Difference
from towpath.trials.testing.files import Expect
from towpath.trials.testing.world import World


def differences(world: World, expect: Expect) -> tuple[Difference, ...]:
    """Everything that is not as it was expected."""
    if world.refusal is not None:
        return tuple(ending.refusal(world, expect))
    return tuple(difference for look in _LOOKS for difference in look(world, expect))


_LOOKS: tuple[Callable[[World, Expect], Iterator[Difference]], ...] = (
    ending.status,
    ending.surprises,
    ending.words,
    order.path,
    order.passes,
    order.never,
    steps.steps,
    steps.commands_of,
    telling.told,
    ending.waits_for,
    ending.how_long,
    ending.holds,
)
