"""How far a search goes: every bound has a name, and a search that met one says which."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

STATES_MAX = 100_000
"""States that are looked at."""
EXACT_STATES_MAX = 8_000
"""States after which a search lets time limits strike branch by branch, and no longer at every combination."""
LOOSE_ITEMS_MAX = 4
"""Items of an input's list, where nothing tells them apart, that such a search looks at."""
DEPTH_MAX = 2_000
"""Moves in one story."""
SECONDS_MAX = 120.0
"""How long a search may take."""
INPUTS_MAX = 32
"""Combinations of inputs that a run is started with."""
RESULTS_MAX = 24
"""Combinations of outputs that one step may answer with."""
SAMPLES_MAX = 12
"""Values that are tried for one unknown value."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """The bounds of one search."""

    states_max: int = STATES_MAX
    depth_max: int = DEPTH_MAX
    seconds_max: float = SECONDS_MAX
    keeps_graph: bool = False
    """Whether every state and move is kept, for a drawing."""
    progress: Callable[[int], None] | None = None
    """Told from time to time how many states were looked at."""
