"""What only a test can get wrong: steps that the workflow does not have, and expectations that it cannot meet.

A test that names a step wrongly would pass for ever and say nothing. So every name is looked up in the workflow, and what it can never do
(a rollback where nothing can be undone, a reminder where nobody is reminded) is told when the file is read.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from towpath.core import flow, rollback, values
from towpath.core.blocks import leaf
from towpath.core.plan import PlanStep
from towpath.definition import model
from towpath.definition.checks.people import unknown_principal
from towpath.definition.inputs import problems_of
from towpath.definition.problems import DefinitionProblems, Problem, article, did_you_mean, listed
from towpath.definition.shape import Shaped
from towpath.definition.source import DataPath, Source
from towpath.errors import ExpressionError, TowpathError
from towpath.trials.testing import addresses
from towpath.trials.testing.addresses import CHILD, GATE
from towpath.trials.testing.bench import Bench, Piece
from towpath.trials.testing.files import (
    SAYINGS,
    SILENCE,
    Answer,
    Case,
    Doings,
    Expect,
    Happening,
    Result,
    Sequel,
    TestFile,
    many,
    words_of,
)
from towpath.trials.testing.happening import split

_SCRIPTED = ("run", "uses", "workflow")
"""Kinds of steps whose results a test says."""
_HOLDS = frozenset({"inputs", "vars", "steps", "run", "event", "outputs"})
"""Names that a condition under `holds` may read."""
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


@dataclass(frozen=True, slots=True, kw_only=True)
class _Found:
    """What an address means."""

    piece: Piece
    local: str
    steps: tuple[PlanStep, ...]
    """Empty for the gate of an environment."""


def check(source: Source, shaped: Shaped[TestFile], bench: Bench) -> list[Problem]:
    """Every problem of a test file that has the right shape."""
    assert shaped.value is not None
    checker = _Checker(source, shaped, bench)
    checker.check_file(shaped.value)
    return checker.problems


class _Checker:
    """One file on its way through the checks."""

    def __init__(self, source: Source, shaped: Shaped[TestFile], bench: Bench) -> None:
        self.problems: list[Problem] = []
        self._source = source
        self._cut = shaped.cut
        self._bench = bench
        self._broken: set[str] = set()

    def check_file(self, file: TestFile) -> None:
        """Checks every test, and what the file says for all."""
        names: set[str] = set()
        workflows: dict[str, DataPath] = {}
        for position, case in enumerate(file.tests):
            at: DataPath = ("tests", position)
            if case.name in names and not self._is_cut((*at, "name")):
                self._tell("duplicate-test", f"there is a test `{case.name}` already", (*at, "name"))
            names.add(case.name)
            name = case.workflow or file.workflow
            if name is None:
                if not self._is_cut(("workflow",)) and not self._is_cut((*at, "workflow")):
                    self._tell(
                        "missing-key",
                        "nothing says which workflow is tested",
                        (*at, "name"),
                        help="write `workflow: NAME` above `tests`",
                    )
                continue
            where = (*at, "workflow") if case.workflow is not None else ("workflow",)
            piece = self._piece(name, where)
            if piece is not None:
                workflows.setdefault(name, where)
                self._check_case(piece, file, case, at)
        if file.workflow is not None and len(workflows) <= 1:
            piece = self._piece(file.workflow, ("workflow",))
            if piece is not None:
                self._check_script(piece, file, ())

    def _piece(self, name: str, at: DataPath) -> Piece | None:
        if name in self._broken:
            return None
        try:
            return self._bench.piece(name)
        except DefinitionProblems as broken:
            self._broken.add(name)
            self.problems.extend(broken.problems)
        except TowpathError:
            self._broken.add(name)
            known = self._bench.project.workflows
            self._tell(
                "unknown-workflow",
                f"the project has no workflow `{name}`",
                at,
                help=did_you_mean(name, known),
            )
        return None

    # ---- the script ------------------------------------------------------------------------------------------------

    def _check_case(self, piece: Piece, file: TestFile, case: Case, at: DataPath) -> None:
        self._check_inputs(piece, file, case, at)
        self._check_script(piece, case, at)
        for position, happening in enumerate(case.happens):
            self._check_happening(piece, happening, (*at, "happens", position))
        self._check_expectations(piece, case.expect, (*at, "expect"))
        for position, sequel in enumerate(case.then):
            self._check_sequel(piece, sequel, (*at, "then", position))

    def _check_sequel(self, piece: Piece, sequel: Sequel, at: DataPath) -> None:
        self._check_script(piece, sequel, at)
        for position, happening in enumerate(sequel.happens):
            self._check_happening(piece, happening, (*at, "happens", position))
        self._check_expectations(piece, sequel.expect, (*at, "expect"))

    def _check_inputs(self, piece: Piece, file: TestFile, case: Case, at: DataPath) -> None:
        declared = piece.workflow.inputs
        for script, where in ((file, ()), (case, at)):
            for name, value in script.inputs.items():
                place = (*where, "inputs", name)
                if name not in declared:
                    self._tell(
                        "unknown-input",
                        f"`{piece.workflow.name}` has no input `{name}`",
                        place,
                        of_key=True,
                        help=did_you_mean(name, declared),
                    )
                elif case.expect.status != "refused":
                    for problem in problems_of(name, value, declared[name]):
                        self._tell("wrong-with", problem, place)
        given = {**file.inputs, **case.inputs}
        missing = [
            name
            for name, one in declared.items()
            if name not in given and not one.has_default and one.required is not False
        ]
        if missing and case.expect.status != "refused":
            self._tell(
                "missing-with",
                f"`{piece.workflow.name}` needs {listed(missing)}",
                (*at, "name"),
                help=f"add inputs: {{{', '.join(f'{name}: …' for name in missing)}}}",
            )

    def _check_script(self, piece: Piece, script: Doings, at: DataPath) -> None:
        if script.started_by is not None:
            self._check_person(script.started_by, (*at, "started_by"))
        for address, results in script.steps.items():
            self._check_results(piece, address, many(results), (*at, "steps", address))
        for address in script.checks:
            found = self._find(piece, address, (*at, "checks", address))
            if found is not None and not any(step.step and step.step.check for step in found.steps):
                self._tell(
                    "not-scriptable", f"`{address}` has no `check`", (*at, "checks", address), of_key=True
                )
        for address, answers in script.answers.items():
            self._check_answers(piece, address, many(answers), (*at, "answers", address))

    def _check_results(self, piece: Piece, address: str, results: tuple[Result, ...], at: DataPath) -> None:
        found = self._find(piece, address, at)
        if found is None:
            return
        step = found.steps[0].step if found.steps else None
        if step is None or step.kind not in _SCRIPTED:
            kind = step.kind if step is not None else "gate"
            advice = {
                "approve": "people answer it: write it under `answers`",
                "task": "people do it: write it under `answers`",
                "gate": "people answer it: write it under `answers`",
                "wait": "what it waits for comes under `happens`",
            }.get(kind, "its result follows from the steps in it: write theirs")
            self._tell(
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
            self._tell(
                "not-scriptable",
                f"{article(step.kind)} `{step.kind}` step ends well or fails: `{result.status}` is how a run ends",
                at,
                help="write ok or fail",
            )
        if result.lost and is_workflow:
            self._tell(
                "not-scriptable",
                "another run cannot be lost",
                at,
                help="it is in the journal; say how it ends",
            )
        says_so = result.fail is not None or bool(result.exit_code)
        if sum((says_so, result.lost, result.hangs)) > 1:
            self._tell("keys-go-together", "`fail`, `lost` and `hangs` exclude each other", at)
        declared = self._outputs_of(step)
        for name in result.outputs if declared is not None else ():
            assert declared is not None, "looked at above"
            if name not in declared:
                self._tell(
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
            card = self._bench.card(step.uses)
            return None if card is None or card.outputs is None else tuple(card.outputs)
        if isinstance(step, model.WorkflowStep):
            try:
                return tuple(self._bench.piece(step.workflow).workflow.outputs)
            except TowpathError:
                return None
        return None

    def _check_answers(self, piece: Piece, address: str, answers: tuple[Answer, ...], at: DataPath) -> None:
        found = self._find(piece, address, at, gates=True)
        if found is None:
            return
        choices = _choices(found)
        if not choices:
            kind = found.steps[0].kind
            self._tell("not-scriptable", f"{article(kind)} `{kind}` step asks nobody", at, of_key=True)
            return
        for position, answer in enumerate(answers):
            where = _nth(at, position, answers)
            if answer.decision not in (*choices, *SAYINGS, SILENCE):
                self._tell(
                    "impossible-expectation",
                    f"`{address}` cannot be answered with `{answer.decision}`",
                    where,
                    help=f"it takes {listed(choices)}",
                )
            for key in ("by", "to"):
                principal = getattr(answer, key)
                if principal is not None and answer.refused is None:
                    self._check_person(principal, (*where, key), must_be_user=key == "by")
            if answer.form is not None and answer.refused is None and found.steps:
                self._check_form(found.steps[0].step, answer, (*where, "form"))

    def _check_form(self, step: model.Step | None, answer: Answer, at: DataPath) -> None:
        if not isinstance(step, model.Question) or answer.decision not in ("approve", "done"):
            return
        for name, value in (answer.form or {}).items():
            if name not in step.form:
                self._tell(
                    "unknown-input",
                    f"the form has no field `{name}`",
                    (*at, name),
                    of_key=True,
                    help=did_you_mean(name, step.form),
                )
                continue
            for problem in problems_of(name, value, step.form[name]):
                self._tell("wrong-with", problem, (*at, name))

    def _check_person(self, principal: str, at: DataPath, *, must_be_user: bool = True) -> None:
        if must_be_user and not principal.startswith("user:"):
            self._tell(
                "bad-format", f"`{principal}` is no person", at, help="one person does it: write user:NAME"
            )
            return
        unknown = unknown_principal(self._bench.project.file.people, principal)
        if unknown is not None:
            self._tell("unknown-principal", unknown[0], at, help=unknown[1])

    def _check_happening(self, piece: Piece, one: Happening, at: DataPath) -> None:
        needed, allowed = _DEEDS[one.do]
        said = one.model_fields_set
        for key in needed:
            if key not in said:
                self._tell("missing-key", f"`do: {one.do}` needs the key `{key}`", (*at, "do"))
        for key in sorted(said - {*needed, *allowed, *_MOMENTS}):
            self._tell(
                "key-without-effect", f"`do: {one.do}` has no use for `{key}`", (*at, key), of_key=True
            )
        if one.at is not None and (one.when is not None or one.after is not None):
            self._tell(
                "keys-go-together", "`at` says the moment already: leave out `when` and `after`", (*at, "at")
            )
        if one.when is not None:
            self._find(piece, split(one.when)[0], (*at, "when"), gates=True, of_value=True)
        elif one.at is None and one.after is None:
            self._tell(
                "missing-key", "nothing says when it happens", (*at, "do"), help="add `when`, `after` or `at`"
            )
        if one.step is not None:
            self._find(piece, one.step, (*at, "step"), of_value=True)
        if one.by is not None and one.refused is None:
            self._check_person(one.by, (*at, "by"))

    # ---- expectations ----------------------------------------------------------------------------------------------

    def _check_expectations(self, piece: Piece, expect: Expect, at: DataPath) -> None:
        for key in ("path", "passes", "never"):
            said = getattr(expect, key)
            for position, word in enumerate(words_of(said or ())):
                where = (*at, key) if isinstance(said, str) else (*at, key, position)
                self._check_word(piece, word, where)
        for key in ("steps", "commands"):
            for address in getattr(expect, key):
                self._check_expected_step(piece, key, address, (*at, key, address), expect)
        for position, address in enumerate(expect.waits_for or ()):
            self._find(piece, address, (*at, "waits_for", position), gates=True, of_value=True)
        if expect.error is not None and expect.error.step is not None:
            self._find(piece, expect.error.step, (*at, "error", "step"), of_value=True)
        self._check_end(piece, expect, at)
        self._check_told(piece, expect, (*at, "told"))
        for position, source in enumerate(expect.holds):
            self._check_condition(piece, source, (*at, "holds", position))

    def _check_word(self, piece: Piece, word: str, at: DataPath) -> None:
        address, kind = split(word)
        found = self._find(piece, address, at, gates=True, of_value=True)
        if found is None:
            return
        steps = [step.step for step in found.steps if step.step is not None]
        if kind == "check" and not any(step.check for step in steps):
            self._tell_word("impossible-expectation", f"`{address}` has no `check`", at, word)
        elif kind == "question" and not _choices(found):
            self._tell_word("impossible-expectation", f"`{address}` asks nobody", at, word)
        elif kind == "step" and steps and steps[0].kind not in _SCRIPTED:
            asks = isinstance(steps[0], model.Question)
            advice = f"write `{address}?`" if asks else "write the steps in it; a wait is not in the path"
            self._tell_word(
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
        found = self._find(piece, local, at, gates=True)
        if found is None or not found.steps:
            return
        step = found.steps[0]
        if key == "commands" and step.kind not in _SCRIPTED:
            self._tell(
                "impossible-expectation",
                f"{article(step.kind)} `{step.kind}` step is told to do nothing",
                at,
                of_key=True,
            )
        if key == "steps" and expect.steps[address].undone and not step.has_rollback:
            self._tell("impossible-expectation", f"`{address}` has no `rollback`", (*at, "undone"))

    def _check_end(self, piece: Piece, expect: Expect, at: DataPath) -> None:
        plan = piece.plan
        steps = [planned.step for planned in plan.steps if planned.step is not None]
        can_undo = any(planned.has_rollback for planned in plan.steps)
        if expect.status in ("rolled_back", "rollback_failed") and not can_undo:
            self._tell(
                "impossible-expectation",
                f"nothing in `{piece.workflow.name}` can be rolled back",
                (*at, "status"),
                help="no step has a `rollback`: a run that fails ends `failed`",
            )
        ends = [step.end for step in steps if isinstance(step, model.EndStep)]
        can_reject = any(end.status == "rejected" for end in ends) or any(
            isinstance(step, model.ApproveStep | model.WorkflowStep) for step in steps
        )
        has_gates = bool(self._bench.project.file.environments)
        if expect.status == "rejected" and not can_reject and not has_gates:
            self._tell(
                "impossible-expectation", f"nobody can reject `{piece.workflow.name}`", (*at, "status")
            )
        outcomes = [end.outcome for end in ends if end.outcome is not None]
        is_fixed = all("${{" not in outcome for outcome in outcomes)
        if expect.outcome is not None and is_fixed and expect.outcome not in outcomes:
            self._tell(
                "impossible-expectation",
                f"no `end` step of `{piece.workflow.name}` has the outcome `{expect.outcome}`",
                (*at, "outcome"),
                help=did_you_mean(expect.outcome, outcomes),
            )
        for name in expect.outputs or ():
            if name not in piece.workflow.outputs:
                self._tell(
                    "undeclared-output",
                    f"`{piece.workflow.name}` declares no output `{name}`",
                    (*at, "outputs", name),
                    of_key=True,
                    help=did_you_mean(name, piece.workflow.outputs),
                )
        if expect.status == "waiting" and (expect.ends_at is not None or expect.takes is not None):
            key = "ends_at" if expect.ends_at is not None else "takes"
            self._tell("keys-go-together", f"a run that waits has no end: leave out `{key}`", (*at, key))

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
                found = self._find(piece, one.step, (*where, "step"), gates=True, of_value=True)
                if found is not None and not _choices(found):
                    message = f"`{one.step}` asks nobody"
                    self._tell("impossible-expectation", message, (*where, "step"))
            if one.why is not None and not can.get(one.why, True) and not calls:
                key = {"reminder": "remind", "rung": "escalate"}[one.why]
                self._tell(
                    "impossible-expectation",
                    f"no question of `{piece.workflow.name}` has `{key}`",
                    (*where, "why"),
                )
            for number, principal in enumerate(one.to or ()):
                self._check_person(principal, (*where, "to", number), must_be_user=False)
            for number, name in enumerate(one.people or ()):
                self._check_person(f"user:{name}", (*where, "people", number))

    def _check_condition(self, piece: Piece, source: str, at: DataPath) -> None:
        try:
            condition = values.compile_condition(source)
        except ExpressionError as problem:
            self._tell("expression-syntax", problem.message, at, help=problem.help)
            return
        for reference in condition.references:
            if reference[0] not in _HOLDS:
                self._tell(
                    "unknown-name",
                    f"there is no `{reference[0]}` at the end of a run",
                    at,
                    help=did_you_mean(reference[0], _HOLDS),
                )
            elif reference[0] == "steps" and len(reference) > 1 and reference[1] not in piece.plan.by_id:
                self._tell(
                    "unknown-step",
                    f"`{piece.workflow.name}` has no step `{reference[1]}`",
                    at,
                    help=did_you_mean(reference[1], piece.plan.by_id),
                )

    # ---- addresses -------------------------------------------------------------------------------------------------

    def _find(
        self, piece: Piece, address: str, at: DataPath, *, gates: bool = False, of_value: bool = False
    ) -> _Found | None:
        """What an address means; tells where it means nothing."""
        head, *rest = address.split(CHILD)
        for part in rest:
            inner = self._called(piece, head, at, of_value=of_value)
            if inner is None:
                return None
            piece, head = inner, part
        if gates and head.startswith(GATE):
            return self._gate(piece, head, at, of_value=of_value)
        if addresses.is_known(head, piece.addresses):
            return _Found(piece=piece, local=head, steps=addresses.find(piece.plan, head))
        self._tell_unknown(piece, head, at, of_value=of_value)
        return None

    def _called(self, piece: Piece, address: str, at: DataPath, *, of_value: bool) -> Piece | None:
        for planned in addresses.find(piece.plan, address):
            if isinstance(planned.step, model.WorkflowStep):
                return self._piece(planned.step.workflow, at)
        if addresses.is_known(address, piece.addresses):
            self._tell_at(
                "unknown-step", f"`{address}` starts no other workflow", at, address, of_value=of_value
            )
        else:
            self._tell_unknown(piece, address, at, of_value=of_value)
        return None

    def _gate(self, piece: Piece, address: str, at: DataPath, *, of_value: bool) -> _Found | None:
        name = address.removeprefix(GATE)
        known = self._bench.project.file.environments
        if name in known:
            return _Found(piece=piece, local=address, steps=())
        self._tell_at(
            "unknown-environment",
            f"the project has no environment `{name}`",
            at,
            address,
            of_value=of_value,
            help=did_you_mean(name, known),
        )
        return None

    def _tell_unknown(self, piece: Piece, address: str, at: DataPath, *, of_value: bool) -> None:
        self._tell_at(
            "unknown-step",
            f"`{piece.workflow.name}` has no step `{address}`",
            at,
            address,
            of_value=of_value,
            help=did_you_mean(
                address, piece.addresses, otherwise=f"its steps: {listed(_ids(piece)) or 'they have no ids'}"
            ),
        )

    # ---- telling ---------------------------------------------------------------------------------------------------

    def _tell_at(
        self,
        name: str,
        message: str,
        at: DataPath,
        word: str,
        *,
        of_value: bool,
        help: str = "",  # noqa: A002
    ) -> None:
        if of_value:
            self._tell_word(name, message, at, word, help=help)
        else:
            self._tell(name, message, at, of_key=True, help=help)

    def _tell_word(self, name: str, message: str, at: DataPath, word: str, *, help: str = "") -> None:  # noqa: A002
        """A problem with one word of a text."""
        node, _ = self._source.find(at)
        text = getattr(node, "text", "")
        offset = text.find(word) if isinstance(text, str) else -1
        if offset < 0:
            self._tell(name, message, at, help=help)
        elif not self._is_cut(at):
            span = self._source.span_inside(at, offset, len(word))
            self.problems.append(self._source.problem(name, message, *span, help=help))

    def _tell(
        self,
        name: str,
        message: str,
        at: DataPath,
        *,
        of_key: bool = False,
        help: str = "",  # noqa: A002
    ) -> None:
        if self._is_cut(at):
            return
        span = self._source.key_span(at) if of_key else self._source.value_span(at)
        self.problems.append(self._source.problem(name, message, *span, help=help))

    def _is_cut(self, at: DataPath) -> bool:
        return any(at[:length] in self._cut for length in range(1, len(at) + 1))


def _nth(at: DataPath, position: int, of: tuple[object, ...]) -> DataPath:
    """The path of one of several; where there is only one, it may stand there without a list."""
    return (*at, position) if len(of) > 1 else at


def _ids(piece: Piece) -> Iterable[str]:
    return piece.plan.by_id


def _choices(found: _Found) -> tuple[str, ...]:
    """What may be answered at an address."""
    if not found.steps:
        is_gate = found.local.startswith(GATE)
        return ("approve", "reject") if is_gate else rollback.ROLLBACK_CHOICES
    return tuple(dict.fromkeys(choice for planned in found.steps for choice in _choices_of(planned)))


def _choices_of(planned: PlanStep) -> Iterator[str]:
    step = planned.step
    if isinstance(step, model.ApproveStep):
        yield from ("approve", "reject")
        if step.send_back_to is not None:
            yield "send_back"
    if isinstance(step, model.TaskStep):
        yield from ("done", "failed")
    if step is not None and step.on_failure == "ask":
        yield from flow.FAILURE_CHOICES
    if isinstance(step, model.RunStep | model.UsesStep):
        yield from leaf.UNKNOWN_CHOICES
