"""Expectations that a workflow cannot meet: words for steps that are not ordered, ends that it does not have, people who are never told."""

from __future__ import annotations

from towpath.core import values
from towpath.definition import model
from towpath.definition.problems import article, did_you_mean
from towpath.definition.source import DataPath
from towpath.errors import ExpressionError
from towpath.trials.testing.bench import Piece
from towpath.trials.testing.checks.lookup import SCRIPTED, Lookup
from towpath.trials.testing.files import (
    Expect,
    words_of,
)
from towpath.trials.testing.happening import split

_HOLDS = frozenset({"inputs", "vars", "steps", "run", "event", "outputs"})
"""Names that a condition under `holds` may read."""


class ExpectationCheck:
    """The checks of what has to come of a test."""

    def __init__(self, lookup: Lookup) -> None:
        self._lookup = lookup

    def check(self, piece: Piece, expect: Expect, at: DataPath) -> None:
        """Tells what the workflow cannot do, or does not have."""
        for key in ("path", "passes", "never"):
            said = getattr(expect, key)
            for position, word in enumerate(words_of(said or ())):
                where = (*at, key) if isinstance(said, str) else (*at, key, position)
                self._check_word(piece, word, where)
        for key in ("steps", "commands"):
            for address in getattr(expect, key):
                self._check_expected_step(piece, key, address, (*at, key, address), expect)
        for position, address in enumerate(expect.waits_for or ()):
            self._lookup.find(piece, address, (*at, "waits_for", position), gates=True, of_value=True)
        if expect.error is not None and expect.error.step is not None:
            self._lookup.find(piece, expect.error.step, (*at, "error", "step"), of_value=True)
        self._check_end(piece, expect, at)
        self._check_told(piece, expect, (*at, "told"))
        for position, source in enumerate(expect.holds):
            self._check_condition(piece, source, (*at, "holds", position))

    def _check_word(self, piece: Piece, word: str, at: DataPath) -> None:
        address, kind = split(word)
        found = self._lookup.find(piece, address, at, gates=True, of_value=True)
        if found is None:
            return
        steps = [step.step for step in found.steps if step.step is not None]
        if kind == "check" and not any(step.check for step in steps):
            self._lookup.tell_word("impossible-expectation", f"`{address}` has no `check`", at, word)
        elif kind == "question" and not found.choices:
            self._lookup.tell_word("impossible-expectation", f"`{address}` asks nobody", at, word)
        elif kind == "step" and steps and steps[0].kind not in SCRIPTED:
            asks = isinstance(steps[0], model.Question)
            advice = f"write `{address}?`" if asks else "write the steps in it; a wait is not in the path"
            self._lookup.tell_word(
                "impossible-expectation",
                f"`{address}` is {article(steps[0].kind)} `{steps[0].kind}` step, and is not ordered itself",
                at,
                word,
                help=advice,
            )

    def _check_expected_step(
        self, piece: Piece, key: str, address: str, at: DataPath, expect: Expect
    ) -> None:
        local = split(address)[0] if key == "commands" else address
        found = self._lookup.find(piece, local, at, gates=True)
        if found is None or not found.steps:
            return
        step = found.steps[0]
        if key == "commands" and step.kind not in SCRIPTED:
            self._lookup.tell(
                "impossible-expectation",
                f"{article(step.kind)} `{step.kind}` step is told to do nothing",
                at,
                of_key=True,
            )
        if key == "steps" and expect.steps[address].undone and not step.has_rollback:
            self._lookup.tell("impossible-expectation", f"`{address}` has no `rollback`", (*at, "undone"))

    def _check_end(self, piece: Piece, expect: Expect, at: DataPath) -> None:
        plan = piece.plan
        steps = [planned.step for planned in plan.steps if planned.step is not None]
        can_undo = any(planned.has_rollback for planned in plan.steps)
        if expect.status in ("rolled_back", "rollback_failed") and not can_undo:
            self._lookup.tell(
                "impossible-expectation",
                f"nothing in `{piece.workflow.name}` can be rolled back",
                (*at, "status"),
                help="no step has a `rollback`: a run that fails ends `failed`",
            )
        ends = [step.end for step in steps if isinstance(step, model.EndStep)]
        can_reject = any(end.status == "rejected" for end in ends) or any(
            isinstance(step, model.ApproveStep | model.WorkflowStep) for step in steps
        )
        has_gates = bool(self._lookup.bench.project.file.environments)
        if expect.status == "rejected" and not can_reject and not has_gates:
            self._lookup.tell(
                "impossible-expectation", f"nobody can reject `{piece.workflow.name}`", (*at, "status")
            )
        outcomes = [end.outcome for end in ends if end.outcome is not None]
        is_fixed = all("${{" not in outcome for outcome in outcomes)
        if expect.outcome is not None and is_fixed and expect.outcome not in outcomes:
            self._lookup.tell(
                "impossible-expectation",
                f"no `end` step of `{piece.workflow.name}` has the outcome `{expect.outcome}`",
                (*at, "outcome"),
                help=did_you_mean(expect.outcome, outcomes),
            )
        for name in expect.outputs or ():
            if name not in piece.workflow.outputs:
                self._lookup.tell(
                    "undeclared-output",
                    f"`{piece.workflow.name}` declares no output `{name}`",
                    (*at, "outputs", name),
                    of_key=True,
                    help=did_you_mean(name, piece.workflow.outputs),
                )
        if expect.status == "waiting" and (expect.ends_at is not None or expect.takes is not None):
            key = "ends_at" if expect.ends_at is not None else "takes"
            self._lookup.tell(
                "keys-go-together", f"a run that waits has no end: leave out `{key}`", (*at, key)
            )

    def _check_told(self, piece: Piece, expect: Expect, at: DataPath) -> None:
        questions = [p.step for p in piece.plan.steps if isinstance(p.step, model.Question)]
        can = {
            "reminder": any(step.remind is not None for step in questions),
            "rung": any(step.escalate for step in questions),
        }
        calls = any(isinstance(p.step, model.WorkflowStep) for p in piece.plan.steps)
        for position, one in enumerate(expect.told or ()):
            where = (*at, position)
            if one.step is not None:
                found = self._lookup.find(piece, one.step, (*where, "step"), gates=True, of_value=True)
                if found is not None and not found.choices:
                    message = f"`{one.step}` asks nobody"
                    self._lookup.tell("impossible-expectation", message, (*where, "step"))
            if one.why is not None and not can.get(one.why, True) and not calls:
                key = {"reminder": "remind", "rung": "escalate"}[one.why]
                self._lookup.tell(
                    "impossible-expectation",
                    f"no question of `{piece.workflow.name}` has `{key}`",
                    (*where, "why"),
                )
            for number, principal in enumerate(one.to or ()):
                self._lookup.check_person(principal, (*where, "to", number), must_be_user=False)
            for number, name in enumerate(one.people or ()):
                self._lookup.check_person(f"user:{name}", (*where, "people", number))

    def _check_condition(self, piece: Piece, source: str, at: DataPath) -> None:
        try:
            condition = values.compile_condition(source)
        except ExpressionError as problem:
            self._lookup.tell("expression-syntax", problem.message, at, help=problem.help)
            return
        for reference in condition.references:
            if reference[0] not in _HOLDS:
                self._lookup.tell(
                    "unknown-name",
                    f"there is no `{reference[0]}` at the end of a run",
                    at,
                    help=did_you_mean(reference[0], _HOLDS),
                )
            elif reference[0] == "steps" and len(reference) > 1 and reference[1] not in piece.plan.by_id:
                self._lookup.tell(
                    "unknown-step",
                    f"`{piece.workflow.name}` has no step `{reference[1]}`",
                    at,
                    help=did_you_mean(reference[1], piece.plan.by_id),
                )
