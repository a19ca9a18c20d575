"""What scripts and actions would do: their checks are asked, their rehearsals run, and what nobody can tell is called so."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from towpath.core import values
from towpath.core.blocks.leaf import env_text
from towpath.core.plan import PlanStep
from towpath.core.run import Json, SecretUse, Work
from towpath.core.stimuli import StepEnded
from towpath.definition import model
from towpath.engines.rehearsing.forecast import Effect, Forecast
from towpath.engines.rehearsing.ground import Ground, listed, only, said, told
from towpath.engines.rehearsing.knowledge import Foreseen, Sketch
from towpath.engines.rehearsing.looking import Looker, Place
from towpath.steps.contract import ActionFailed, Rehearsal

DETAIL_CHARS_MAX: Final = 64 * 1024
"""What is kept of the text of one step's plan."""
DONE: Final = "done already, says its check"
NOT_DONE: Final = "not done yet, says its check"
_ESCAPE: Final = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[@-Z\\^_])")
VALUES: Final = ("with", "env", "stdin", "cwd", "container")
"""What a script or an action gets."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ready:
    """What is needed to look at the world for a step."""

    looker: Looker
    work: Work
    is_firm: bool
    """Whether what is found stays so until the step runs."""


class Working:
    """Forecasts of the steps that do something themselves."""

    def __init__(self, ground: Ground) -> None:
        self._ground = ground

    async def forecast(self, planned: PlanStep, base: Forecast) -> Forecast:
        """What a script or an action would do."""
        step = planned.step
        assert step is not None, "the run itself is not performed"
        forecast = self._ground.with_values(base, planned, *VALUES)
        if isinstance(step, model.RunStep):
            forecast = dataclasses.replace(forecast, script=step.run)
        if step.check is not None:
            forecast, is_done = await self._ask_check(planned, forecast, step.check)
            if is_done:
                self._ground.learn(planned, Foreseen(status="skipped"))
                return dataclasses.replace(forecast, effect="done")
        forecast, foreseen = await self._look(planned, forecast, step)
        self._ground.has_changed = self._ground.has_changed or forecast.effect not in ("nothing", "done")
        self._ground.learn(planned, self._mapped(planned, foreseen))
        return forecast

    async def _ask_check(
        self, planned: PlanStep, forecast: Forecast, check: model.Check
    ) -> tuple[Forecast, bool]:
        """Whether it is done already: a check only looks, so it is asked; one that is an action is rehearsed."""
        texts = planned.check_texts
        ready = self._prepared(planned, {**texts, **only(planned.texts, "cwd", "container")})
        if isinstance(ready, str):
            return (said(forecast, f"its check is not asked: {ready}") if ready else forecast), False
        place = self._ground.place(planned, forecast.path)
        if check.uses is None:
            is_done, words = self._check_by_script(planned, await ready.looker.check(place, ready.work))
        else:
            is_done, words = await self._check_by_action(planned, place, ready, check.uses)
        if is_done and not ready.is_firm:
            return said(forecast, f"{words}, as things are now"), False
        return said(forecast, words), bool(is_done)

    def _check_by_script(self, planned: PlanStep, ended: StepEnded) -> tuple[bool | None, str]:
        if ended.error is not None:
            return None, f"its check would fail now: {ended.error.message}"
        is_done: bool | None = bool(ended.done)
        if planned.done_when is not None:
            extra = {"outputs": ended.outputs, "stdout": ended.outputs.get("stdout", "")}
            judged = self._ground.knowledge.judge(planned.done_when, extra)
            if judged.holds is None:
                return None, f"its check cannot be judged: {judged.problem or listed(judged.later)}"
            is_done = judged.holds
        return is_done, DONE if is_done else NOT_DONE

    async def _check_by_action(
        self, planned: PlanStep, place: Place, ready: Ready, name: str
    ) -> tuple[bool | None, str]:
        outputs: Mapping[str, Json] | None = None
        try:
            answer = await ready.looker.action(name, place, ready.work)
            outputs = answer.outputs if answer.known and not answer.changes else None
        except ActionFailed as problem:
            if planned.done_when is None and problem.kind == "exit":
                return False, NOT_DONE
            if not problem.is_complete:
                return None, f"its check would fail now: {problem.message}"
            outputs = problem.outputs
        if outputs is None:
            return None, f"its check is not asked: {name} does more than look"
        if planned.done_when is None:
            return True, DONE
        judged = self._ground.knowledge.judge(
            planned.done_when, {"outputs": outputs, "stdout": outputs.get("stdout", "")}
        )
        if judged.holds is None:
            return None, f"its check cannot be judged: {judged.problem or listed(judged.later)}"
        return judged.holds, DONE if judged.holds else NOT_DONE

    async def _look(
        self, planned: PlanStep, forecast: Forecast, step: model.Step
    ) -> tuple[Forecast, Foreseen]:
        """What the step would do, asked where somebody can tell."""
        unknown = Foreseen(is_whole=False)
        rehearse = step.rehearse
        if rehearse is not None:
            return await self._own_rehearsal(planned, forecast, rehearse)
        if not isinstance(step, model.UsesStep):
            return dataclasses.replace(forecast, effect="unknown"), unknown
        ready = self._prepared(planned, only(planned.texts, "with", "env", "cwd"))
        if isinstance(ready, str):
            effect: Effect = "nothing" if self._ground.around.effects_of(step.uses) == "none" else "unknown"
            return told(forecast, ready, effect=effect), unknown
        return await self._ask_action(planned, forecast, step.uses, ready)

    async def _own_rehearsal(
        self, planned: PlanStep, forecast: Forecast, rehearse: model.Rehearse
    ) -> tuple[Forecast, Foreseen]:
        """The step's own `rehearse`."""
        own = values.compile_template({**planned.own_environment(), **rehearse.env})
        texts = {"env": own, "with": values.compile_template(dict(rehearse.with_))}
        ready = self._prepared(planned, {**texts, **only(planned.texts, "cwd", "container")})
        if isinstance(ready, str):
            words = f"not rehearsed: {ready}" if ready else ""
            return told(forecast, words, effect="unknown"), Foreseen(is_whole=False)
        if rehearse.uses is not None:
            forecast, _ = await self._ask_action(planned, forecast, rehearse.uses, ready)
            return forecast, Foreseen(is_whole=False)
        place = self._ground.place(planned, forecast.path)
        ended = await ready.looker.script(place, rehearse, ready.work)
        return self._printed(forecast, rehearse, ended, is_firm=ready.is_firm)

    def _printed(
        self, forecast: Forecast, rehearse: model.Rehearse, ended: StepEnded, *, is_firm: bool
    ) -> tuple[Forecast, Foreseen]:
        """What the step's rehearsal script printed, and what that means."""
        printed = _plain(str(ended.outputs.get("stdout", "")))
        forecast = dataclasses.replace(forecast, detail=printed)
        outputs = {key: value for key, value in ended.outputs.items() if key not in ("stdout", "exit_code")}
        foreseen = Foreseen(outputs=outputs, is_whole=False, is_firm=is_firm)
        error = ended.error
        if error is not None and (rehearse.changes_when is None or error.kind != "exit"):
            return told(forecast, f"would fail as things are now: {error.message}", effect="fails"), foreseen
        would_change: bool | None = bool(printed.strip())
        if rehearse.changes_when is not None:
            condition = values.compile_condition(rehearse.changes_when)
            judged = self._ground.knowledge.judge(condition, {"outputs": ended.outputs, "stdout": printed})
            if judged.holds is None:
                says = f"changes_when cannot be judged: {judged.problem or listed(judged.later)}"
                return told(forecast, says, effect="unknown"), foreseen
            would_change = judged.holds
        if would_change:
            return told(forecast, "would change", effect="changes"), foreseen
        return told(forecast, "nothing would change", effect="nothing"), foreseen

    async def _ask_action(
        self, planned: PlanStep, forecast: Forecast, name: str, ready: Ready
    ) -> tuple[Forecast, Foreseen]:
        place = self._ground.place(planned, forecast.path)
        try:
            answer = await ready.looker.action(name, place, ready.work)
        except ActionFailed as problem:
            return self._would_fail(planned, forecast, problem), Foreseen(is_whole=False)
        forecast = dataclasses.replace(forecast, changes=answer.changes, detail=_plain(answer.detail))
        outputs = answer.outputs
        foreseen = Foreseen(outputs=outputs or {}, is_whole=outputs is not None, is_firm=ready.is_firm)
        return self._judged(planned, said(forecast, answer.summary), answer), foreseen

    def _judged(self, planned: PlanStep, forecast: Forecast, answer: Rehearsal) -> Forecast:
        """The effect of what an action says; of one that only looks, `success_when` is judged."""
        if not answer.known:
            return dataclasses.replace(forecast, effect="unknown")
        if answer.changes:
            return dataclasses.replace(forecast, effect="changes")
        if planned.success_when is not None and answer.outputs is not None:
            outputs = {"outputs": answer.outputs, "stdout": answer.outputs.get("stdout", "")}
            if self._ground.knowledge.judge(planned.success_when, outputs).holds is False:
                source = " ".join(planned.success_when.source.split())
                words = f"would fail as things are now: success_when does not hold: {source}"
                return told(forecast, words, effect="fails")
        return dataclasses.replace(forecast, effect="nothing")

    def _would_fail(self, planned: PlanStep, forecast: Forecast, problem: ActionFailed) -> Forecast:
        """As things are now; a complete answer may still be called a success by the step."""
        if problem.is_complete and planned.success_when is not None:
            outputs = {"outputs": problem.outputs, "stdout": problem.outputs.get("stdout", "")}
            if self._ground.knowledge.judge(planned.success_when, outputs).holds:
                return told(forecast, problem.message, effect="nothing")
        return told(forecast, f"would fail as things are now: {problem.message}", effect="fails")

    def _prepared(self, planned: PlanStep, texts: Mapping[str, values.Template]) -> Ready | str:
        """What a look gets; or why nobody is asked, which may be plain from the place."""
        ground = self._ground
        if ground.around.looker is None or not ground.may_look:
            return ""
        sketches = {name: ground.knowledge.sketch(template.constant) for name, template in texts.items()}
        later = tuple(dict.fromkeys(name for one in sketches.values() for name in one.later))
        problem = next((one.problem for one in sketches.values() if one.problem), "")
        if problem:
            return f"its values cannot be made: {problem}"
        if later:
            return f"known when it runs: {listed(later)}"
        environment = ground.environment(planned)
        work = _work_of(sketches, environment)
        if work.secrets and ground.is_closed(environment):
            return f"it needs a secret, and {environment} gives none before its gate opens"
        is_firm = not ground.has_changed and all(one.is_firm for one in sketches.values())
        return Ready(looker=ground.around.looker, work=work, is_firm=is_firm)

    def _mapped(self, planned: PlanStep, foreseen: Foreseen) -> Foreseen:
        """The outputs, with those that the step maps to expressions."""
        template = planned.texts.get("outputs")
        if template is None or not isinstance(template.constant, Mapping):
            return foreseen
        if not foreseen.is_whole:
            return dataclasses.replace(
                foreseen, outputs={k: v for k, v in foreseen.outputs.items() if k not in template.constant}
            )
        extra = {"outputs": foreseen.outputs, "stdout": foreseen.outputs.get("stdout", "")}
        sketches = {
            name: self._ground.knowledge.sketch(raw, extra) for name, raw in template.constant.items()
        }
        known = {name: sketch.filled for name, sketch in sketches.items() if sketch.is_known}
        is_whole = len(known) == len(sketches)
        return dataclasses.replace(foreseen, outputs={**foreseen.outputs, **known}, is_whole=is_whole)


def _plain(text: str) -> str:
    """What a tool printed, without its colours; bounded."""
    return _ESCAPE.sub("", text)[:DETAIL_CHARS_MAX]


def _work_of(sketches: Mapping[str, Sketch], environment: str | None) -> Work:
    def filled(name: str) -> Json:
        return sketches[name].filled if name in sketches else None

    def text(name: str) -> str | None:
        return None if filled(name) is None else str(filled(name))

    return Work(
        env={key: env_text(key, part) for key, part in (filled("env") or {}).items()},
        with_=filled("with") or {},
        stdin=text("stdin"),
        cwd=text("cwd"),
        container=text("container"),
        environment=environment,
        secrets=tuple(
            SecretUse(at=(name, *use.at), parts=use.parts)
            for name, sketch in sketches.items()
            for use in sketch.secrets
        ),
    )
