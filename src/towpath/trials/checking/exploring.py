"""The search: from every start through every move to every end, the plainest stories first.

States are taken up in the order of how far they lie from the plainest story, so the first story that leads to a state, an end or a finding
is the one to tell. A state that was seen before, as `keys` judges it, is not taken up again. Only the moves of a story are kept; to tell
it, it is played once more in the core.
"""

from __future__ import annotations

import heapq
import itertools
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol, TypeAlias

from towpath.core import advance, new_run, stimuli
from towpath.core.events import AnyEvent
from towpath.core.plan import Plan
from towpath.core.run import Run
from towpath.core.stimuli import AnyStimulus
from towpath.errors import ExpressionError, IllegalStimulus, Refused
from towpath.trials.checking.keys import Keys
from towpath.trials.checking.limits import Limits
from towpath.trials.checking.reduction import Reduction, has_to_be_tried
from towpath.trials.checking.timers import Timers
from towpath.trials.checking.world import Move, Situation, World

Bound: TypeAlias = Literal["states", "depth", "seconds", "inputs", "outputs", "combinations", "items"]
RUN_ID = "run"
_CLOCK_EVERY = 256
"""States between two looks at the clock."""


@dataclass(frozen=True, slots=True)
class Start:
    """How a run is started."""

    stimulus: stimuli.Start
    label: str = ""
    """The inputs that tell it from other starts."""


@dataclass(frozen=True, slots=True)
class Taken:
    """A move that was made, with what became true."""

    move: Move
    stimuli: tuple[AnyStimulus, ...]
    facts: tuple[AnyEvent, ...]
    before: Situation
    after: Situation


@dataclass(frozen=True, slots=True)
class Story:
    """A start, and the moves from there on."""

    start: Start
    steps: tuple[tuple[Move, tuple[AnyStimulus, ...]], ...]

    def told(self) -> tuple[AnyStimulus, ...]:
        """Everything that the core is told, in order."""
        return (self.start.stimulus, *(one for _, told in self.steps for one in told))


@dataclass(frozen=True, slots=True)
class End:
    """An end state that was reached, for the first time in this way."""

    run: Run
    state: int


@dataclass(slots=True)
class Exploration:
    """What a search found."""

    starts: tuple[Start, ...]
    states: int = 0
    moves: int = 0
    depth: int = 0
    seconds: float = 0.0
    bounds: list[Bound] = field(default_factory=list)
    ends: list[End] = field(default_factory=list)
    edges: list[tuple[int, int, Move]] = field(default_factory=list)
    """From state to state; kept only for a drawing."""
    labels: dict[int, Run] = field(default_factory=dict)
    """The runs of the states; kept only for a drawing."""
    parents: list[tuple[int, Move | None, tuple[AnyStimulus, ...]]] = field(default_factory=list)
    """By state: the state before it, the move from there, and what the core was told."""
    start_of: dict[int, int] = field(default_factory=dict)
    """Which start a first state belongs to."""

    @property
    def is_complete(self) -> bool:
        """Whether nothing was left out."""
        return not self.bounds

    @property
    def sees_all(self) -> bool:
        """Whether everything that any branch can do was seen, if not in every combination with what the others do."""
        return set(self.bounds) <= {"combinations", "items"}

    def story(self, state: int, *more: Taken) -> Story:
        """The story that led to a state, and on by *more* moves."""
        steps: list[tuple[Move, tuple[AnyStimulus, ...]]] = []
        while True:
            parent, move, told = self.parents[state]
            if move is None:
                break
            steps.append((move, told))
            state = parent
        steps.reverse()
        steps += [(taken.move, taken.stimuli) for taken in more]
        return Story(self.starts[self.start_of[state]], tuple(steps))


class Watcher(Protocol):
    """Looks on while a search goes through the states."""

    def began(self, state: int, taken: Sequence[AnyEvent], situation: Situation) -> None:
        """A run was started."""

    def refused(self, start: Start, problem: ExpressionError) -> None:
        """A run could not be started."""

    def moved(self, state: int, taken: Taken) -> None:
        """A move was made from a state."""

    def reached(self, state: int, situation: Situation) -> None:
        """A new state was reached, or a shorter story to a known one."""

    def stuck(self, state: int, situation: Situation) -> None:
        """Nothing can happen in a state that is no end."""


class Search:
    """One search."""

    def __init__(
        self,
        plan: Plan,
        world: World,
        keys: Keys,
        starts: Sequence[Start],
        *,
        limits: Limits,
        watcher: Watcher,
        reduction: Reduction | None = None,
    ) -> None:
        self._plan = plan
        self._world = world
        self._keys = keys
        self._limits = limits
        self._watcher = watcher
        self._reduction = reduction
        self._keeps_graph = limits.keeps_graph
        self.found = Exploration(tuple(starts))
        self._queue: list[tuple[int, int, int, int]] = []
        self._open: dict[int, tuple[Situation, int, int]] = {}
        """By state: where it is, its start, how deep."""
        self._states: dict[int, tuple[int, int]] = {}
        """By key: the state and its distance."""
        self._numbers = itertools.count()

    def explore(self) -> Exploration:
        """Goes through all states, as far as the limits allow."""
        began = time.monotonic()
        until = began + self._limits.seconds_max
        for number, start in enumerate(self.found.starts):
            self._begin(number, start)
        taken = 0
        while self._queue:
            distance, _, state, key = heapq.heappop(self._queue)
            if self._states[key] != (state, distance) or state not in self._open:
                continue
            if taken >= self._limits.states_max:
                self._bounded("states")
                break
            if taken % _CLOCK_EVERY == 0 and self._is_late(taken, until):
                self._bounded("seconds")
                break
            taken += 1
            self._expand(state, distance)
        self.found.states = taken
        self.found.seconds = time.monotonic() - began
        if self._world.cut:
            self._bounded("outputs")
        return self.found

    def _is_late(self, taken: int, until: float) -> bool:
        if self._limits.progress is not None:
            self._limits.progress(taken)
        return time.monotonic() > until

    def _bounded(self, bound: Bound) -> None:
        if bound not in self.found.bounds:
            self.found.bounds.append(bound)

    def _begin(self, number: int, start: Start) -> None:
        run = new_run(self._plan, RUN_ID)
        try:
            decision = advance(run, start.stimulus)
        except ExpressionError as problem:
            self._watcher.refused(start, problem)
            return
        at = start.stimulus.at
        here = Situation(decision.run, Timers().after(decision.run, at=at, is_timer=True), at)
        state = len(self.found.parents)
        self.found.start_of[state] = number
        self._arrive(here, parent=-1, move=None, told=(), distance=0, depth=0, start=number)
        self._watcher.began(state, decision.facts, here)

    def _arrive(
        self,
        here: Situation,
        *,
        parent: int,
        move: Move | None,
        told: tuple[AnyStimulus, ...],
        distance: int,
        depth: int,
        start: int,
    ) -> int:
        key = self._keys.of(here, start)
        known = self._states.get(key)
        if known is not None and (known[1] <= distance or known[0] not in self._open):
            return known[0]
        if known is None:
            state = len(self.found.parents)
            self.found.parents.append((parent, move, told))
        else:
            state = known[0]
            self.found.parents[state] = (parent, move, told)
        self._states[key] = (state, distance)
        self._open[state] = (here, start, depth)
        heapq.heappush(self._queue, (distance, next(self._numbers), state, key))
        return state

    def _expand(self, state: int, distance: int) -> None:
        here, start, depth = self._open.pop(state)
        self.found.depth = max(self.found.depth, depth)
        if self._keeps_graph:
            self.found.labels[state] = here.run
        self._watcher.reached(state, here)
        if here.run.has_ended:
            self.found.ends.append(End(here.run, state))
            return
        if depth >= self._limits.depth_max:
            self._bounded("depth")
            return
        is_stuck = True
        for taken in self._next(here):
            is_stuck = False
            self.found.moves += 1
            self._watcher.moved(state, taken)
            following = self._arrive(
                taken.after,
                parent=state,
                move=taken.move,
                told=taken.stimuli,
                distance=distance + taken.move.weight,
                depth=depth + 1,
                start=start,
            )
            if self._keeps_graph:
                self.found.edges.append((state, following, taken.move))
        if is_stuck:
            self._watcher.stuck(state, here)

    def _next(self, here: Situation) -> Iterator[Taken]:
        moves = tuple(self._world.moves(here))
        branch = self._reduction.branch(here) if self._reduction is not None else None
        chosen = moves if branch is None else tuple(m for m in moves if has_to_be_tried(m, branch))
        made = [taken for move in chosen if (taken := make(here, move)) is not None]
        if not made and branch is not None:  # nothing can happen there: the others go first
            made = [taken for move in moves if (taken := make(here, move)) is not None]
        yield from made


def make(here: Situation, move: Move) -> Taken | None:
    """What comes of a move; None where the core does not take it, or nobody waits for what comes."""
    made = _told(here, move.stimulus)
    if made is None:
        return None
    after, facts = made
    if move.verb == "signal" and len(after.run.signals) > len(here.run.signals):
        return None
    told: tuple[AnyStimulus, ...] = (move.stimulus,)
    if move.verb in ("fails", "ok"):
        is_later = here.run.nodes[move.path].tries > 1
        while (more := _try_again(after, move, is_later=is_later)) is not None:
            after, new_facts, new_told = more
            facts += new_facts
            told += new_told
            if not is_later:
                break
    return Taken(move, told, facts, here, after)


def _told(here: Situation, stimulus: AnyStimulus) -> tuple[Situation, tuple[AnyEvent, ...]] | None:
    try:
        decision = advance(here.run, stimulus)
    except (IllegalStimulus, Refused, ExpressionError):
        return None
    is_timer = isinstance(stimulus, stimuli.TimerFired)
    timers = here.timers.after(decision.run, at=stimulus.at, is_timer=is_timer)
    return Situation(decision.run, timers, max(here.now, stimulus.at)), decision.facts


def _try_again(
    here: Situation, move: Move, *, is_later: bool
) -> tuple[Situation, tuple[AnyEvent, ...], tuple[AnyStimulus, ...]] | None:
    """The next attempt begins; None where there is none, or something comes first.

    After the second failure all further attempts fail in the same way: nothing can tell the third from the fifth.

    The pause before it is no state of its own: whatever may strike in it may as well strike in the attempt.
    """
    node = here.run.nodes[move.path]
    if node.status != "retrying" or node.due is None or not here.timers.may_fire(node.path, "due", node.due):
        return None
    fired = stimuli.TimerFired(at=max(here.now, node.due), path=node.path, purpose="due", due=node.due)
    begun = _told(here, fired)
    if begun is None or not is_later:
        return None if begun is None else (*begun, (fired,))
    there, facts = begun
    node = there.run.nodes[move.path]
    failure = move.stimulus
    if node.status != "performing" or not isinstance(failure, stimuli.StepEnded):
        return there, facts, (fired,)
    again = stimuli.StepEnded(
        at=there.now,
        path=node.path,
        attempt=node.attempt,
        stage=node.stage,
        outputs=failure.outputs,
        error=failure.error,
    )
    failed = _told(there, again)
    if failed is None:
        return there, facts, (fired,)
    return failed[0], facts + failed[1], (fired, again)
