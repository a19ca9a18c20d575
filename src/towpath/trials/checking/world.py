"""Everything that the world can answer: the moves that lead from one state of a run to the next.

For each thing that a run is owed there are a few answers, and no others that the workflow could tell apart: a step does its work, with
outputs that its conditions distinguish, or fails in a way that they distinguish, or its performer is lost; people say each of their
choices, or nothing; a timer fires when no other has to fire before; what is waited for comes.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias

from towpath.core import commands, stimuli
from towpath.core.names import names_for
from towpath.core.plan import Plan, PlanStep
from towpath.core.run import Error, Json, Micros, Node, Path, Question, Run
from towpath.core.stimuli import AnyStimulus
from towpath.definition import model
from towpath.definition.actions import ActionCards
from towpath.errors import ExpressionError
from towpath.trials.checking import samples
from towpath.trials.checking.limits import RESULTS_MAX
from towpath.trials.checking.reading import Reading
from towpath.trials.checking.samples import ABSENT
from towpath.trials.checking.shapes import Shape
from towpath.trials.checking.timers import Timers
from towpath.trials.checking.voters import STRANGER, Voters

FAILED = "it failed"
"""The message of every failure that the world makes up: an error with another one comes from the core."""
_ACTION_KINDS = frozenset({"timeout", "unreachable", "denied", "conflict", "invalid"})
"""How an action may fail besides plainly."""
_SCRIPT_KINDS = frozenset({"timeout"})

Verb: TypeAlias = Literal[
    "start", "ok", "fails", "lost", "stopped", "done_already", "not_done", "answer", "silence", "signal",
    "window", "place", "due", "timeout", "child", "cancel", "evidence",
]  # fmt: skip
_WEIGHTS: Mapping[str, int] = {
    "due": 1, "evidence": 1, "stopped": 2, "fails": 3, "silence": 4, "timeout": 5, "lost": 6, "cancel": 6, "done_already": 5,
}  # fmt: skip
_WEIGHT_PLAIN = 2
_WEIGHT_VARIANT = 1
"""What it adds to a move that its values are not the plainest: stories are told with the plainest moves."""


@dataclass(frozen=True, slots=True)
class Move:
    """One thing that happens outside."""

    verb: Verb
    path: Path
    stimulus: AnyStimulus
    detail: str = ""
    """What tells it from other moves with this verb: values, a kind of error, who answered what."""
    extra: int = 0

    @property
    def weight(self) -> int:
        """How far it leads from the plainest story."""
        return _WEIGHTS.get(self.verb, _WEIGHT_PLAIN) + self.extra


@dataclass(frozen=True, slots=True)
class Situation:
    """A run and its timers at one moment."""

    run: Run
    timers: Timers
    now: Micros


class World:
    """Answers for one plan."""

    def __init__(
        self,
        plan: Plan,
        reading: Reading,
        voters: Voters,
        *,
        cards: ActionCards | None = None,
        can_cancel: bool = False,
    ) -> None:
        self._plan = plan
        self._reading = reading
        self._voters = voters
        self._cards = cards
        self._can_cancel = can_cancel
        self.cut: set[str] = set()
        """Steps whose outputs were too many to combine."""

    def moves(self, here: Situation) -> Iterator[Move]:
        """Everything that may happen next."""
        for command in commands.outstanding(here.run):
            match command:
                case commands.PerformStep():
                    yield from self._performed(here, command)
                case commands.StartChild():
                    yield from self._child(here, command)
                case commands.AskPeople():
                    yield from self._asked(here, command)
                case commands.AwaitWindow():
                    yield self._signalled(here, "window", command.path, command.window)
                case commands.AwaitPlace():
                    yield from self._place(here, command)
                case commands.SetTimer():
                    yield from self._timer(here, command)
                case commands.StopSteps() | commands.TellPeople():
                    pass
        yield from self._awaited(here)
        if self._can_cancel:
            stop = stimuli.Cancel(at=here.now, by=STRANGER)
            yield Move("cancel", "", stop)

    # Steps.

    def _performed(self, here: Situation, command: commands.PerformStep) -> Iterator[Move]:
        node = here.run.nodes[command.path]
        planned = self._plan[command.plan]
        if command.stage == "check":
            yield from self._checked(here, node, planned)
            return
        results = self._results(here, planned, node)
        for position, outputs in enumerate(results):
            detail = _said(outputs, results)
            yield Move(
                "ok",
                node.path,
                _ended(here, node, outputs=outputs),
                detail,
                extra=_WEIGHT_VARIANT * (position > 0),
            )
            if node.stopping:
                break
        if node.stopping:
            stopped = Error(kind="cancelled", message=FAILED)
            yield Move("stopped", node.path, _ended(here, node, error=stopped))
            return
        yield from self._failures(here, planned, node, results)
        lost = stimuli.Interrupted(at=here.now, path=node.path, attempt=node.attempt, stage=node.stage)
        yield Move("lost", node.path, lost)

    def _failures(
        self, here: Situation, planned: PlanStep, node: Node, results: tuple[Mapping[str, Json], ...]
    ) -> Iterator[Move]:
        codes = self._exit_codes(planned)
        for code in codes:
            error = Error(kind="exit", message=FAILED, exit_code=code)
            judged = results if planned.success_when is not None and planned.kind == "run" else ({},)
            for outputs in judged:
                known = {**outputs, "exit_code": code} if planned.kind == "run" else outputs
                detail = f"exit code {code}" if len(codes) > 1 else ""
                yield Move("fails", node.path, _ended(here, node, outputs=known, error=error), detail)
        for kind in self._error_kinds(planned):
            error = Error(kind=kind, message=FAILED)
            yield Move("fails", node.path, _ended(here, node, error=error), kind, extra=1)

    def _exit_codes(self, planned: PlanStep) -> tuple[int, ...]:
        own = self._reading.raw if planned.number in self._reading.raw else self._reading.outputs
        shape = own.get(planned.number, Shape()).fields.get("exit_code")
        known = {
            value for value in (shape.equals.values() if shape is not None else ()) if isinstance(value, int)
        }
        if shape is not None:
            known |= {int(number) for number in shape.orders}
        for whose in (None, planned.number):
            known |= self._reading.exit_codes.get(whose, set())
        known.discard(0)
        other = next(code for code in range(1, len(known) + 2) if code not in known)
        return (other, *sorted(known))

    def _error_kinds(self, planned: PlanStep) -> tuple[str, ...]:
        step = planned.step
        told = self._reading.error_kinds
        known = told.get(None, set()) | told.get(planned.number, set())
        found = known & (_ACTION_KINDS if planned.kind == "uses" else _SCRIPT_KINDS)
        if step is None or step.timeout is None:
            found = found - {"timeout"}
        elif planned.is_leaf:
            found = found | {"timeout"}
        return tuple(sorted(found))

    def _checked(self, here: Situation, node: Node, planned: PlanStep) -> Iterator[Move]:
        """The step's own question whether it is done."""
        if node.stopping:
            yield Move(
                "stopped", node.path, _ended(here, node, error=Error(kind="cancelled", message=FAILED))
            )
            return
        shape = self._reading.checks.get(planned.number)
        if planned.done_when is not None and shape is not None:
            for outputs in self._combined(shape, f"{node.path}: check"):
                yield Move("not_done", node.path, _ended(here, node, outputs=outputs), _said(outputs, ()))
        else:
            yield Move("not_done", node.path, _ended(here, node, done=False))
            yield Move("done_already", node.path, _ended(here, node, done=True))
        error = Error(kind="exit", message=FAILED, exit_code=2)
        yield Move("fails", node.path, _ended(here, node, error=error), "check")
        lost = stimuli.Interrupted(at=here.now, path=node.path, attempt=node.attempt, stage=node.stage)
        yield Move("lost", node.path, lost)

    def _results(self, here: Situation, planned: PlanStep, node: Node) -> tuple[Mapping[str, Json], ...]:
        """The outputs that an attempt which did its work may have."""
        number = planned.number
        shape = self._reading.raw.get(number) or self._reading.outputs.get(number) or Shape()
        kinds = self._output_types(planned)
        found = self._combined(shape, node.path, here=here, kinds=kinds)
        if planned.kind == "run":
            return tuple({**outputs, "exit_code": 0} for outputs in found)
        return found

    def _output_types(self, planned: PlanStep) -> Mapping[str, samples.Type]:
        step = planned.step
        card = (
            self._cards.get(step.uses)
            if self._cards is not None and isinstance(step, model.UsesStep)
            else None
        )
        if card is None or card.outputs is None:
            return {}
        return {name: samples.schema_type(schema) for name, schema in card.outputs.items()}

    def _combined(
        self,
        shape: Shape,
        name: str,
        *,
        here: Situation | None = None,
        kinds: Mapping[str, samples.Type] | None = None,
    ) -> tuple[Mapping[str, Json], ...]:
        """Every combination of the values that are read of a step's outputs."""
        names = [one for one in shape.fields if one != "exit_code"]
        choices = []
        for one in names:
            values = samples.samples(shape.fields[one], (kinds or {}).get(one, ""))
            rivals = _rivals(here, shape.fields[one], name) if here is not None else ()
            choices.append(tuple({repr(value): value for value in (*rivals, *values)}.values()))
        found, is_whole = samples.combinations(choices, RESULTS_MAX)
        if not is_whole:
            self.cut.add(name)
        return tuple(
            {one: value for one, value in zip(names, values, strict=True) if value is not ABSENT}
            for values in found
        )

    # Other runs.

    def _child(self, here: Situation, command: commands.StartChild) -> Iterator[Move]:
        node = here.run.nodes[command.path]
        planned = self._plan[command.plan]
        step = planned.step
        assert isinstance(step, model.WorkflowStep)
        shape = self._reading.outputs.get(planned.number, Shape())
        for position, outputs in enumerate(self._combined(shape, node.path, here=here)):
            given = {name: value for name, value in outputs.items() if name not in ("run", "status")}
            status = "running" if step.detach else "succeeded"
            yield Move(
                "child", node.path, _child_ended(here, node, status, given), status, extra=position > 0
            )
            if node.stopping:
                break
        failure = Error(kind="exit", message=FAILED)
        for status in ("failed", "rejected", "cancelled"):
            if not step.detach or status == "failed":
                yield Move("child", node.path, _child_ended(here, node, status, {}, failure), status, extra=1)

    # People.

    def _asked(self, here: Situation, command: commands.AskPeople) -> Iterator[Move]:
        node = here.run.nodes[command.path]
        question = command.question
        missing = [name for name in question.files if name not in question.evidence]
        if missing:
            evidence = {
                name: {"file": file, "digest": "", "text": ""} for name, file in question.files.items()
            }
            read = stimuli.EvidenceRead(
                at=here.now, path=node.path, asked_at=question.asked_at, evidence=evidence
            )
            yield Move("evidence", node.path, read)
            return
        person = self._voters.next_answer(question, [answer.by for answer in node.answers])
        if not question.who:
            person = STRANGER
        if person is not None:
            for choice in question.choices:
                yield from self._answers(here, node, question, choice, person)
        if question.answer_within is not None and question.due is None:
            over = stimuli.Climbed(at=here.now, path=node.path, kind="expiry", asked_at=question.asked_at)
            yield Move("silence", node.path, over)

    def _answers(
        self, here: Situation, node: Node, question: Question, choice: str, person: str
    ) -> Iterator[Move]:
        for position, form in enumerate(self._forms(here, node, question, choice)):
            answer = stimuli.Answered(at=here.now, path=node.path, by=person, decision=choice, form=form)
            detail = f"{person.partition(':')[2]} {choice}"
            extra = (choice not in ("approve", "done")) + (position > 0)
            yield Move("answer", node.path, answer, detail, extra=extra)

    def _forms(
        self, here: Situation, node: Node, question: Question, choice: str
    ) -> tuple[Mapping[str, Json], ...]:
        """What may be filled in; who says that a lost attempt did its work says what came of it."""
        planned = self._plan[node.plan] if node.frame == "" else None
        if choice not in ("approve", "done") or planned is None:
            return ({},)
        if question.kind == "unknown":
            return self._combined(self._reading.outputs.get(planned.number, Shape()), node.path, here=here)
        shape = self._reading.outputs.get(planned.number, Shape())
        if question.kind == "approval":
            shape = shape.fields.get("form", Shape())
        step = planned.step
        fields = step.form if isinstance(step, model.Question) else {}
        choices = [
            samples.declared_samples(name, _as_field(declared), shape.fields.get(name)) or (ABSENT,)
            for name, declared in fields.items()
        ]
        found, is_whole = samples.combinations(choices, RESULTS_MAX)
        if not is_whole:
            self.cut.add(node.path)
        return tuple(
            {name: value for name, value in zip(fields, values, strict=True) if value is not ABSENT}
            for values in found
        )

    # Time, and what comes from outside.

    def _timer(self, here: Situation, command: commands.SetTimer) -> Iterator[Move]:
        if not here.timers.may_fire(command.path, command.purpose, command.due):
            return
        fired = stimuli.TimerFired(
            at=max(here.now, command.due), path=command.path, purpose=command.purpose, due=command.due
        )
        node = here.run.nodes[command.path]
        if command.purpose == "timeout":
            yield Move("timeout", command.path, fired)
        elif node.status == "asking":
            yield Move("silence", command.path, fired)
        else:
            yield Move("due", command.path, fired)

    def _awaited(self, here: Situation) -> Iterator[Move]:
        for leaf in here.run.open_leaves():
            awaited = leaf.awaited
            if leaf.status != "waiting" or awaited is None or awaited.kind not in ("event", "signal"):
                continue
            shape = self._reading.outputs.get(leaf.plan, Shape())
            for position, payload in enumerate(self._combined(shape, leaf.path, here=here)):
                signal = stimuli.Signalled(
                    at=here.now, kind=awaited.kind, name=awaited.name, payload=payload or None, by=STRANGER
                )
                yield Move("signal", leaf.path, signal, awaited.name, extra=position > 0)

    def _place(self, here: Situation, command: commands.AwaitPlace) -> Iterator[Move]:
        name = command.path.removeprefix("~gate_")
        yield self._signalled(here, "place", command.path, name)
        protection = here.run.protections.get(name)
        if protection is not None and protection.when_full == "skip":
            full = stimuli.Signalled(at=here.now, kind="place", name=name, payload="full")
            yield Move("place", command.path, full, "full", extra=1)

    def _signalled(self, here: Situation, kind: Literal["window", "place"], path: Path, name: str) -> Move:
        return Move(kind, path, stimuli.Signalled(at=here.now, kind=kind, name=name), name)


def _as_field(declared: model.Input) -> model.Input:
    """A field of a form that is not required may be left out."""
    if declared.required or declared.has_default:
        return declared
    return declared.model_copy(update={"required": False})


def _rivals(here: Situation, shape: Shape, path: Path) -> tuple[Json, ...]:
    """The values, at this moment, of what an unknown value is compared with."""
    found: list[Json] = []
    for reference in sorted(shape.rivals):
        try:
            value: Json = names_for(here.run, path, [reference])
            for word in reference:
                value = value[word]
        except (ExpressionError, KeyError, TypeError, IndexError):
            continue
        found.append(value)
    return tuple(found)


def _ended(
    here: Situation,
    node: Node,
    *,
    outputs: Mapping[str, Json] | None = None,
    error: Error | None = None,
    done: bool | None = None,
) -> stimuli.StepEnded:
    return stimuli.StepEnded(
        at=here.now,
        path=node.path,
        attempt=node.attempt,
        stage=node.stage,
        outputs=outputs or {},
        error=error,
        done=done,
    )


def _child_ended(
    here: Situation, node: Node, status: str, outputs: Mapping[str, Json], error: Error | None = None
) -> stimuli.ChildEnded:
    assert node.child is not None
    return stimuli.ChildEnded(
        at=here.now,
        path=node.path,
        child=node.child,
        status=status,  # type: ignore[arg-type] # one of the words above
        outputs=outputs,
        error=error if status == "failed" else None,
    )


def _said(outputs: Mapping[str, Json], others: tuple[Mapping[str, Json], ...]) -> str:
    """The outputs that tell this answer from the others."""
    names = [
        name
        for name in outputs
        if any(other.get(name) != outputs[name] for other in others) or (not others and outputs)
    ]
    return ", ".join(f"{name} = {value_text(outputs[name])}" for name in names)


VALUE_CHARS_MAX = 40


def value_text(value: Json) -> str:
    """A value in a story: short, on one line."""
    match value:
        case bool():
            return str(value).lower()
        case None:
            return "null"
        case _:
            text = json.dumps(value, ensure_ascii=False, default=str)
    if isinstance(value, list | tuple | dict) and len(text) > VALUE_CHARS_MAX:
        return f"{len(value)} items"
    return text if len(text) <= VALUE_CHARS_MAX else f"{text[: VALUE_CHARS_MAX - 1]}…"
