"""What a rehearsal stands on while it walks: the run, what is known of it, and whether the world would still be as it is now."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from towpath.core import values
from towpath.core.plan import PlanStep
from towpath.core.run import Json, Path, Run
from towpath.engines.contract import Library
from towpath.engines.rehearsing.forecast import Effect, Forecast
from towpath.engines.rehearsing.knowledge import Foreseen, Knowledge
from towpath.engines.rehearsing.looking import Looker, Place
from towpath.store.contract import RunNumber

NAMES_SHOWN_MAX: Final = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What a walk needs from outside."""

    looker: Looker | None
    """None: nothing outside of the file is looked at."""
    library: Library
    effects_of: Callable[[str], str | None]
    """The effects that an action's card promises, by the action's name; None where there is none."""
    number: RunNumber
    calls: tuple[str, ...] = ()
    """The workflows around this one."""


@dataclass(slots=True, kw_only=True)
class Ground:
    """The state of one walk."""

    run: Run
    knowledge: Knowledge
    around: Surroundings
    has_changed: bool = False
    """Whether an earlier step would have changed something: then what is found tells only how things are now."""
    may_look: bool = True
    """Whether the way that is walked is one that the run would take."""

    def place(self, planned: PlanStep, path: Path) -> Place:
        """Where a step stands, for whoever looks."""
        return Place(run=self.run, number=self.around.number, planned=planned, path=path)

    def environment(self, planned: PlanStep) -> str | None:
        """The environment in which a step would run, as far as it is known."""
        template = planned.environment_template
        if template is None:
            return self.run.environment or None
        sketch = self.knowledge.sketch(template.constant)
        return str(sketch.filled) if sketch.is_known and sketch.filled else None

    def is_closed(self, environment: str | None) -> bool:
        """Whether an environment has a gate that has not opened: then its secrets are given to nobody."""
        run = self.run
        return environment in run.protections and environment not in run.entered and not run.break_glass

    def with_values(self, base: Forecast, planned: PlanStep, *wanted: str) -> Forecast:
        """The forecast with what the step would get."""
        found: dict[str, Json] = {}
        later: list[str] = []
        says: list[str] = []
        for name, template in only(planned.texts, *wanted).items():
            sketch = self.knowledge.sketch(template.constant)
            later += sketch.later
            if sketch.problem:
                says.append(f"`{name}` would fail: {sketch.problem}")
            if sketch.shown:
                found[name] = sketch.shown
        return dataclasses.replace(
            base, values=found, later=tuple(dict.fromkeys(later)), says=(*base.says, *says)
        )

    def learn(self, planned: PlanStep, foreseen: Foreseen) -> None:
        """From here on this is known of a step; not its status, where it may be passed over although it failed."""
        step = planned.step
        may_be_settled = step is not None and (step.on_failure in ("continue", "ask") or bool(step.catch))
        if may_be_settled:
            foreseen = dataclasses.replace(foreseen, status=None)
        self.knowledge.learn(planned, foreseen)


def only(texts: Mapping[str, values.Template], *wanted: str) -> dict[str, values.Template]:
    """The templates of these names."""
    return {name: texts[name] for name in wanted if name in texts}


def said(forecast: Forecast, words: str) -> Forecast:
    """The forecast with one thing more to say."""
    return dataclasses.replace(forecast, says=(*forecast.says, words)) if words else forecast


def told(forecast: Forecast, words: str, *, effect: Effect) -> Forecast:
    """The forecast with its effect, and what is to be said about it."""
    return dataclasses.replace(said(forecast, words), effect=effect)


def listed(names: tuple[str, ...]) -> str:
    """A few names in words."""
    shown = list(dict.fromkeys(names))
    more = len(shown) - NAMES_SHOWN_MAX
    return ", ".join(shown[:NAMES_SHOWN_MAX]) + (f" and {more} more" if more > 0 else "")
