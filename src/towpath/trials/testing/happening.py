"""What happens to a run from outside, at its moment: faults, people who stop it, signals and events, a clock that is set."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from towpath.core import stimuli
from towpath.trials.testing import addresses, times
from towpath.trials.testing.addresses import Place
from towpath.trials.testing.files import Happening, parse_instant

if TYPE_CHECKING:
    from towpath.trials.testing.world import Began, World

MICROS = 1_000_000
OPERATOR = "user:operator"
"""Who does something where a test does not say it."""


class Happenings:
    """Has everything happen at its moment, once."""

    def __init__(self, world: World, happens: tuple[Happening, ...]) -> None:
        self._world = world
        self._waiting = list(happens)
        self._counts: dict[int, int] = {}
        self.missed: list[Happening] = []
        """What has not happened, because its moment did not come."""

    def plan(self) -> None:
        """Puts on the agenda what comes at its time, whatever the run does."""
        self.missed = list(self._waiting)
        start = self._world.setting.at
        for one in [one for one in self._waiting if one.when is None]:
            self._waiting.remove(one)
            if one.at is not None:
                moment, _ = parse_instant(one.at, zone=self._world.setting.zone)
                self._world.agenda.at(moment, self._act(one))
            else:
                self._world.agenda.at(start + round((one.after or 0.0) * MICROS), self._act(one))

    def began(self, place: Place, kind: Began) -> None:
        """Something was ordered: what waits for that happens."""
        for one in list(self._waiting):
            assert one.when is not None, "the others are on the agenda"
            address, wanted = split(one.when)
            meant = {"check": "check", "question": "question"}.get(kind, "step")
            if wanted != meant or not addresses.exactness(address, place):
                continue
            count = self._counts[id(one)] = self._counts.get(id(one), 0) + 1
            if count == one.time:
                self._waiting.remove(one)
                self._world.agenda.later(round((one.after or 0.0) * MICROS), self._act(one))

    def _act(self, one: Happening) -> Callable[[], None]:
        def act() -> None:
            if self._world.root.run.has_ended:
                return
            self.missed.remove(one)
            self._do(one)

        return act if one.do in ("crash", "clock_jump", "change_file") else self._world.when_up(act)

    def _do(self, one: Happening) -> None:
        match one.do:
            case "crash":
                self._world.crash(round(one.down * MICROS))
            case "clock_jump":
                by = round((one.jump or 0.0) * MICROS)
                way = "forward" if by >= 0 else "back"
                self._world.note(f"the clock is set {way} by {times.span(abs(by))}")
                self._world.agenda.set_clock(by)
            case "change_file":
                self._world.note(f"{one.file} changes")
                self._world.asking.desk.files[one.file or ""] = one.text or ""
            case _:
                by_whom = (one.by or OPERATOR).removeprefix("user:")
                what = f"{by_whom}'s {_NAMES.get(one.do, one.do)}"
                self._world.tell_refusable(
                    self._world.root, self._stimulus(one), what=what, refused=one.refused
                )

    def _stimulus(self, one: Happening) -> stimuli.AnyStimulus:
        now, by = self._world.now, one.by or OPERATOR
        path = addresses.gate_path(one.step or "")
        match one.do:
            case "cancel":
                return stimuli.Cancel(at=now, by=by, rollback=one.undo, reason=one.reason)
            case "rollback":
                return stimuli.Rollback(at=now, by=by, reason=one.reason)
            case "retry":
                return stimuli.Retry(at=now, path=path, by=by)
            case "skip":
                return stimuli.Skip(at=now, path=path, by=by, reason=one.reason)
            case "signal" | "event" as kind:
                return stimuli.Signalled(at=now, kind=kind, name=one.name or "", payload=one.payload, by=by)
            case other:
                raise AssertionError(f"{other} is no stimulus")


def split(when: str) -> tuple[str, str]:
    """The address in `when`, and what of it is meant: `step`, `check` or `question`."""
    if when.endswith("?"):
        return when[:-1], "question"
    if when.endswith(":check"):
        return when.removesuffix(":check"), "check"
    return when, "step"


_NAMES: Mapping[str, str] = {"rollback": "roll back"}
