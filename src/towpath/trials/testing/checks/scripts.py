"""What only a test can get wrong: steps that the workflow does not have, and expectations that it cannot meet.

A test that names a step wrongly would pass for ever and say nothing. So every name is looked up in the workflow, and what it can never do
(a rollback where nothing can be undone, a reminder where nobody is reminded) is told when the file is read.
"""

from __future__ import annotations

from collections.abc import Mapping

from towpath.definition import model
from towpath.definition.inputs import problems_of
from towpath.definition.problems import Problem, article, did_you_mean, listed
from towpath.definition.shape import Shaped
from towpath.definition.source import DataPath, Source
from towpath.errors import TowpathError
from towpath.trials.testing.bench import Bench, Piece
from towpath.trials.testing.checks.expectations import ExpectationCheck
from towpath.trials.testing.checks.lookup import SCRIPTED, Lookup
from towpath.trials.testing.files import (
    SAYINGS,
    SILENCE,
    Answer,
    Case,
    Doings,
    Happening,
    Result,
    Sequel,
    TestFile,
    many,
)
from towpath.trials.testing.happening import split

_DEEDS: Mapping[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "crash": ((), ("down",)),
    "cancel": ((), ("by", "undo", "reason", "refused")),
    "rollback": ((), ("by", "reason", "refused")),
    "signal": (("name",), ("payload", "by", "refused")),
    "event": (("name",), ("payload", "refused")),
    "retry": (("step",), ("by", "refused")),
    "skip": (("step",), ("by", "reason", "refused")),
    "clock_jump": (("jump",), ()),
    "change_file": (("file", "text"), ()),
}
"""What each thing that happens needs, and what else may be said of it."""
_MOMENTS = ("do", "when", "time", "after", "at")


def check(source: Source, shaped: Shaped[TestFile], bench: Bench) -> list[Problem]:
    """Every problem of a test file that has the right shape."""
    assert shaped.value is not None
    lookup = Lookup(source, shaped.cut, bench)
    _Checker(lookup).check_file(shaped.value)
    return lookup.problems


class _Checker:
    """The checks of what a test says of the world."""

    def __init__(self, lookup: Lookup) -> None:
        self._lookup = lookup
        self._expectations = ExpectationCheck(lookup)

    def check_file(self, file: TestFile) -> None:
        """Checks every test, and what the file says for all."""
        names: set[str] = set()
        workflows: dict[str, DataPath] = {}
        for position, case in enumerate(file.tests):
            at: DataPath = ("tests", position)
            if case.name in names and not self._lookup.is_cut((*at, "name")):
                self._lookup.tell("duplicate-test", f"there is a test `{case.name}` already", (*at, "name"))
            names.add(case.name)
            name = case.workflow or file.workflow
            if name is None:
                if not self._lookup.is_cut(("workflow",)) and not self._lookup.is_cut((*at, "workflow")):
                    self._lookup.tell(
                        "missing-key",
                        "nothing says which workflow is tested",
                        (*at, "name"),
                        help="write `workflow: NAME` above `tests`",
                    )
                continue
            where = (*at, "workflow") if case.workflow is not None else ("workflow",)
            piece = self._lookup.piece(name, where)
            if piece is not None:
                workflows.setdefault(name, where)
                self._check_case(piece, file, case, at)
        if file.workflow is not None and len(workflows) <= 1:
            piece = self._lookup.piece(file.workflow, ("workflow",))
            if piece is not None:
                self._check_script(piece, file, ())

    # ---- the script ------------------------------------------------------------------------------------------------

    def _check_case(self, piece: Piece, file: TestFile, case: Case, at: DataPath) -> None:
        self._check_inputs(piece, file, case, at)
        self._check_script(piece, case, at)
        for position, happening in enumerate(case.happens):
            self._check_happening(piece, happening, (*at, "happens", position))
        self._expectations.check(piece, case.expect, (*at, "expect"))
        for position, sequel in enumerate(case.then):
            self._check_sequel(piece, sequel, (*at, "then", position))

    def _check_sequel(self, piece: Piece, sequel: Sequel, at: DataPath) -> None:
        self._check_script(piece, sequel, at)
        for position, happening in enumerate(sequel.happens):
            self._check_happening(piece, happening, (*at, "happens", position))
        self._expectations.check(piece, sequel.expect, (*at, "expect"))

    def _check_inputs(self, piece: Piece, file: TestFile, case: Case, at: DataPath) -> None:
        declared = piece.workflow.inputs
        for script, where in ((file, ()), (case, at)):
            for name, value in script.inputs.items():
                place = (*where, "inputs", name)
                if name not in declared:
                    self._lookup.tell(
                        "unknown-input",
                        f"`{piece.workflow.name}` has no input `{name}`",
                        place,
                        of_key=True,
                        help=did_you_mean(name, declared),
                    )
                elif case.expect.status != "refused":
                    for problem in problems_of(name, value, declared[name]):
                        self._lookup.tell("wrong-with", problem, place)
        given = {**file.inputs, **case.inputs}
        missing = [
            name
            for name, one in declared.items()
            if name not in given and not one.has_default and one.required is not False
        ]
        if missing and case.expect.status != "refused":
            self._lookup.tell(
                "missing-with",
                f"`{piece.workflow.name}` needs {listed(missing)}",
                (*at, "name"),
                help=f"add inputs: {{{', '.join(f'{name}: …' for name in missing)}}}",
            )

    def _check_script(self, piece: Piece, script: Doings, at: DataPath) -> None:
        if script.started_by is not None:
            self._lookup.check_person(script.started_by, (*at, "started_by"))
        for address, results in script.steps.items():
            self._check_results(piece, address, many(results), (*at, "steps", address))
        for address in script.checks:
            found = self._lookup.find(piece, address, (*at, "checks", address))
            if found is not None and not any(step.step and step.step.check for step in found.steps):
                self._lookup.tell(
                    "not-scriptable", f"`{address}` has no `check`", (*at, "checks", address), of_key=True
                )
        for address, answers in script.answers.items():
            self._check_answers(piece, address, many(answers), (*at, "answers", address))

    def _check_results(self, piece: Piece, address: str, results: tuple[Result, ...], at: DataPath) -> None:
        found = self._lookup.find(piece, address, at)
        if found is None:
            return
        step = found.steps[0].step if found.steps else None
        if step is None or step.kind not in SCRIPTED:
            kind = step.kind if step is not None else "gate"
            advice = {
                "approve": "people answer it: write it under `answers`",
                "task": "people do it: write it under `answers`",
                "gate": "people answer it: write it under `answers`",
                "wait": "what it waits for comes under `happens`",
            }.get(kind, "its result follows from the steps in it: write theirs")
            self._lookup.tell(
                "not-scriptable",
                f"{article(kind)} `{kind}` step has no result of its own",
                at,
                of_key=True,
                help=advice,
            )
            return
        for position, result in enumerate(results):
            self._check_result(step, result, _nth(at, position, results))

    def _check_result(self, step: model.Step, result: Result, at: DataPath) -> None:
        is_workflow = isinstance(step, model.WorkflowStep)
        if result.status is not None and not is_workflow:
            self._lookup.tell(
                "not-scriptable",
                f"{article(step.kind)} `{step.kind}` step ends well or fails: `{result.status}` is how a run ends",
                at,
                help="write ok or fail",
            )
        if result.lost and is_workflow:
            self._lookup.tell(
                "not-scriptable",
                "another run cannot be lost",
                at,
                help="it is in the journal; say how it ends",
            )
        says_so = result.fail is not None or bool(result.exit_code)
        if sum((says_so, result.lost, result.hangs)) > 1:
            self._lookup.tell("keys-go-together", "`fail`, `lost` and `hangs` exclude each other", at)
        declared = self._outputs_of(step)
        for name in result.outputs if declared is not None else ():
            assert declared is not None, "looked at above"
            if name not in declared:
                self._lookup.tell(
                    "undeclared-output",
                    f"`{step.id or step.kind}` declares no output `{name}`",
                    (*at, "outputs", name),
                    of_key=True,
                    help=did_you_mean(name, declared, otherwise=f"it has {listed(declared)}"),
                )

    def _outputs_of(self, step: model.Step) -> tuple[str, ...] | None:
        """The outputs that a result may have; None where they are not known."""
        if isinstance(step, model.RunStep):
            more = ("json",) if step.parse == "json" else ()
            if isinstance(step.outputs, Mapping):
                return None  # what a script writes for its expressions is not declared
            return (*step.outputs, "stdout", "exit_code", *more)
        if isinstance(step, model.UsesStep):
            card = self._lookup.bench.card(step.uses)
            return None if card is None or card.outputs is None else tuple(card.outputs)
        if isinstance(step, model.WorkflowStep):
            try:
                return tuple(self._lookup.bench.piece(step.workflow).workflow.outputs)
            except TowpathError:
                return None
        return None

    def _check_answers(self, piece: Piece, address: str, answers: tuple[Answer, ...], at: DataPath) -> None:
        found = self._lookup.find(piece, address, at, gates=True)
        if found is None:
            return
        choices = found.choices
        if not choices:
            kind = found.steps[0].kind
            self._lookup.tell("not-scriptable", f"{article(kind)} `{kind}` step asks nobody", at, of_key=True)
            return
        for position, answer in enumerate(answers):
            where = _nth(at, position, answers)
            if answer.decision not in (*choices, *SAYINGS, SILENCE):
                self._lookup.tell(
                    "impossible-expectation",
                    f"`{address}` cannot be answered with `{answer.decision}`",
                    where,
                    help=f"it takes {listed(choices)}",
                )
            for key in ("by", "to"):
                principal = getattr(answer, key)
                if principal is not None and answer.refused is None:
                    self._lookup.check_person(principal, (*where, key), must_be_user=key == "by")
            if answer.form is not None and answer.refused is None and found.steps:
                self._check_form(found.steps[0].step, answer, (*where, "form"))

    def _check_form(self, step: model.Step | None, answer: Answer, at: DataPath) -> None:
        if not isinstance(step, model.Question) or answer.decision not in ("approve", "done"):
            return
        for name, value in (answer.form or {}).items():
            if name not in step.form:
                self._lookup.tell(
                    "unknown-input",
                    f"the form has no field `{name}`",
                    (*at, name),
                    of_key=True,
                    help=did_you_mean(name, step.form),
                )
                continue
            for problem in problems_of(name, value, step.form[name]):
                self._lookup.tell("wrong-with", problem, (*at, name))

    def _check_happening(self, piece: Piece, one: Happening, at: DataPath) -> None:
        needed, allowed = _DEEDS[one.do]
        said = one.model_fields_set
        for key in needed:
            if key not in said:
                self._lookup.tell("missing-key", f"`do: {one.do}` needs the key `{key}`", (*at, "do"))
        for key in sorted(said - {*needed, *allowed, *_MOMENTS}):
            self._lookup.tell(
                "key-without-effect", f"`do: {one.do}` has no use for `{key}`", (*at, key), of_key=True
            )
        if one.at is not None and (one.when is not None or one.after is not None):
            self._lookup.tell(
                "keys-go-together", "`at` says the moment already: leave out `when` and `after`", (*at, "at")
            )
        if one.when is not None:
            self._lookup.find(piece, split(one.when)[0], (*at, "when"), gates=True, of_value=True)
        elif one.at is None and one.after is None:
            self._lookup.tell(
                "missing-key", "nothing says when it happens", (*at, "do"), help="add `when`, `after` or `at`"
            )
        if one.step is not None:
            self._lookup.find(piece, one.step, (*at, "step"), of_value=True)
        if one.by is not None and one.refused is None:
            self._lookup.check_person(one.by, (*at, "by"))


def _nth(at: DataPath, position: int, of: tuple[object, ...]) -> DataPath:
    """The path of one of several; where there is only one, it may stand there without a list."""
    return (*at, position) if len(of) > 1 else at
