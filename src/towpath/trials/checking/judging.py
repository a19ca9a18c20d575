"""What a search shows: findings are made while it goes on, each with the first story that proves it.

Some can be told from one state or one move: an end that leaves something standing, a step that goes into an environment without its
approval, an expression that cannot be worked out. Others only when all is over: what was never taken, what never succeeded. Those are told
only when the search was complete and the conditions could be told apart.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from towpath.core import events, values
from towpath.core.names import names_for
from towpath.core.plan import Plan, PlanStep
from towpath.core.run import ROOT, Error, Micros, Node, Path, Question, Run
from towpath.definition import model
from towpath.definition.actions import ActionCards
from towpath.errors import ExpressionError
from towpath.trials.checking import culprits, lasting
from towpath.trials.checking.exploring import Exploration, Start, Story, Taken
from towpath.trials.checking.findings import Name
from towpath.trials.checking.lasting import outwards
from towpath.trials.checking.reading import Reading
from towpath.trials.checking.sources import Owner
from towpath.trials.checking.stories import first_words, is_own_failure, name_of
from towpath.trials.checking.voters import Voters
from towpath.trials.checking.world import Situation

WindowOpens = Callable[[str], Micros | None]
"""When a calendar's window opens next; None where it never does."""
_UNDONE_ENDS = frozenset({"rolled_back", "rollback_failed", "failed", "cancelled", "rejected"})
_GOOD_ENDS = frozenset({"succeeded", "partially_succeeded"})
_WORKING = frozenset({"run", "uses", "workflow"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """A finding in the making."""

    name: Name
    message: str
    owner: Owner
    """The step; None for the workflow's own keys."""
    keys: tuple[str | int, ...] = ()
    story: Story | None = None
    tail: tuple[str, ...] = ()
    """What is told after the story."""
    help: str = ""
    is_value: bool = False
    """Whether the value at *keys* is meant, and not the key."""


class Judge:
    """Looks on while a search goes through the states of a plan."""

    def __init__(
        self,
        plan: Plan,
        reading: Reading,
        voters: Voters,
        *,
        cards: ActionCards | None = None,
        window_opens: WindowOpens = lambda _: 0,
        own: model.Laws | None = None,
    ) -> None:
        self._plan = plan
        self._reading = reading
        self._voters = voters
        self._cards = cards
        self._window_opens = window_opens
        self._found: dict[tuple[object, ...], Proof] = {}
        self.exploration: Exploration | None = None
        """The search that is looked on at."""
        self._begun: dict[int, Story] = {}
        self._skipped: set[int] = set()
        self._held: set[int] = set()
        self._well: set[int] = set()
        self._succeeded: set[int] = set()
        self._branches: set[tuple[int, int]] = set()
        self._retried: set[int] = set()
        self._failed: dict[int, Story] = {}
        self._catching: dict[int, Story] = {}
        self._caught: set[int] = set()
        self._effects: set[int] = set()
        self._approved: set[tuple[str, int]] = set()
        self._unapproved: dict[tuple[str, int], Proof] = {}
        laws = plan.workflow.check
        self._own_laws = {"never": len(own.never) if own else 0, "always": len(own.always) if own else 0}
        """How many laws stand in the file; those after them were given for one check."""
        self._never = tuple(values.compile_condition(text) for text in (laws.never if laws else ()))
        self._always = tuple(values.compile_condition(text) for text in (laws.always if laws else ()))

    # ---- looking on ------------------------------------------------------------------------------------------

    def began(self, state: int, taken: Sequence[events.AnyEvent], situation: Situation) -> None:
        """A run was started."""
        self._look(state, None, taken, situation.run)

    def refused(self, start: Start, problem: ExpressionError) -> None:
        """A run could not be started: an expression of the workflow's own keys cannot be worked out."""
        self._tell(
            ("start", problem.message),
            Proof(
                name="expression-fails",
                message=f"a run cannot start: {first_words(problem.message)}",
                owner=None,
                keys=("vars",),
                story=Story(start, ()),
            ),
        )

    def moved(self, state: int, taken: Taken) -> None:
        """A move was made from a state."""
        self._look(state, taken, taken.facts, taken.after.run)
        if taken.move.verb == "fails":
            number = taken.before.run.nodes[taken.move.path].plan
            if number not in self._failed:
                self._failed[number] = self._story(state, taken)

    def reached(self, state: int, situation: Situation) -> None:
        """A new state was reached."""
        run = situation.run
        self._check_laws(state, run)
        if run.has_ended and run.end_state in _UNDONE_ENDS:
            self._check_standing(state, run)

    def stuck(self, state: int, situation: Situation) -> None:
        """Nothing can happen in a state that is no end."""
        for leaf in situation.run.open_leaves():
            if leaf.status == "asking" and ("gate", leaf.plan) not in self._found:
                self._tell_gate(leaf, "nobody can answer it", self._story(state, None))

    def _look(self, state: int, taken: Taken | None, facts: Sequence[events.AnyEvent], run: Run) -> None:
        for fact in facts:
            match fact:
                case events.StepStarted():
                    self._started(state, taken, fact, run)
                case events.StepEnded():
                    self._ended(fact, run)
                case events.StepHeld():
                    self._held.add(fact.plan)
                case events.StepRetrying():
                    self._retried.add(run.nodes[fact.path].plan)
                case events.FailureSettled():
                    self._settled(fact, run)
                case events.PeopleAsked():
                    self._asked(state, taken, run.nodes[fact.path], fact.question)
                case events.WaitStarted():
                    self._waits(state, taken, fact, run)
                case _:
                    pass
            if (
                isinstance(fact, events.StepEnded | events.BodyEnded | events.RunEnded)
                and fact.error is not None
            ):
                self._may_be_expression(state, taken, fact, fact.error, run)

    def _started(self, state: int, taken: Taken | None, fact: events.StepStarted, run: Run) -> None:
        match fact.frame:
            case "branch":
                self._branches.add((fact.plan, int(fact.path[fact.path.rindex("[") + 1 : -1])))
            case "catch":
                if fact.plan not in self._catching:
                    self._catching[fact.plan] = self._story(state, taken)
            case "round":
                self._round(state, taken, fact, run)
            case "":
                if fact.plan not in self._begun:
                    self._begun[fact.plan] = self._story(state, taken)
                if fact.stage == "main" and fact.work is not None:
                    self._worked(state, taken, fact, run)
            case _:
                pass

    def _worked(self, state: int, taken: Taken | None, fact: events.StepStarted, run: Run) -> None:
        assert fact.work is not None
        planned = self._plan[fact.plan]
        if not self._plan.is_idempotent(planned, fact.work.with_):
            self._effects.add(fact.plan)
        environment = fact.work.environment
        if environment and "~" not in fact.path:
            self._entered(state, taken, fact, run, environment)

    def _ended(self, fact: events.StepEnded, run: Run) -> None:
        node = run.nodes.get(fact.path)
        if node is None or node.frame:
            return
        if fact.status == "skipped":
            self._skipped.add(node.plan)
            if fact.reason == "already_done":
                self._succeeded.add(node.plan)
        if fact.status == "succeeded":
            self._succeeded.add(node.plan)
        if fact.status in ("succeeded", "skipped"):
            self._well.add(node.plan)

    def _settled(self, fact: events.FailureSettled, run: Run) -> None:
        number = run.nodes[fact.path].plan
        self._well.add(number)
        if fact.how == "caught":
            self._caught.add(number)

    # ---- environments ----------------------------------------------------------------------------------------

    def _entered(
        self, state: int, taken: Taken | None, fact: events.StepStarted, run: Run, environment: str
    ) -> None:
        """A step works in an environment; whoever let it in is looked for."""
        protection = run.protections.get(environment)
        if protection is not None and protection.who:
            gate = run.nodes.get(f"~gate_{environment}")
            if gate is not None and not gate.answers:
                self._tell_silent(state, taken, None, environment)
            return
        gates = [node for node in run.nodes.values() if not node.frame and self._is_approval(node)]
        if any(_decision(gate) == "approved" and gate.reason != "unanswered" for gate in gates):
            self._approved.add((environment, fact.plan))
            return
        silent = next(
            (gate for gate in gates if gate.reason == "unanswered" and gate.status == "succeeded"), None
        )
        if silent is not None:
            self._tell_silent(state, taken, silent.plan, environment)
        elif (environment, fact.plan) not in self._unapproved:
            name = name_of(fact.path)
            self._unapproved[environment, fact.plan] = Proof(
                name="unapproved-entry",
                message=f"`{name}` can run in {environment} without the approval that other runs need",
                owner=fact.plan,
                story=self._story(state, taken),
                tail=(f"{name} begins in {environment}",),
            )

    def _is_approval(self, node: Node) -> bool:
        return node.plan >= 0 and self._plan[node.plan].kind == "approve"

    def _tell_silent(self, state: int, taken: Taken | None, owner: Owner, environment: str) -> None:
        step = None if owner is None else self._plan[owner].step
        keys = ("environment",) if owner is None else ("if_unanswered",)
        where = (
            "towpath.yaml says" if owner is None else f"`{getattr(step, 'id', None) or 'the approval'}` says"
        )
        word = getattr(step, "if_unanswered", None) or "approve"
        self._tell(
            ("silent", owner, environment),
            Proof(
                name="silent-approval",
                message=f"steps run in {environment} although nobody approved: {where} if_unanswered: {word}",
                owner=owner if owner is not None else self._first_in(environment),
                keys=keys,
                story=self._story(state, taken),
            ),
        )

    def _first_in(self, environment: str) -> Owner:
        """The first step that names an environment; None where the workflow itself does."""
        return next(
            (one.number for one in self._plan.steps if one.step and one.step.environment == environment), None
        )

    # ---- what is left standing -------------------------------------------------------------------------------

    def _check_standing(self, state: int, run: Run) -> None:
        undone = [node for node in run.nodes.values() if node.undone]
        if not undone or not run.rolls_back:
            return
        first = min(undone, key=lambda node: node.started_sequence)
        for node in run.nodes.values():
            if self._is_left(run, node, first):
                name = name_of(node.path)
                self._tell(
                    ("standing", node.plan),
                    Proof(
                        name="left-standing",
                        message=f"`{name}` did its work and is not undone, although `{name_of(first.path)}` is",
                        owner=node.plan,
                        story=self._story(state, None),
                        tail=(f"{run.end_state}, and {name} still stands",),
                    ),
                )

    def _is_left(self, run: Run, node: Node, first: Node) -> bool:
        is_done = not node.frame and node.path != ROOT and node.status == "succeeded" and node.started
        if not is_done or node.plan not in self._effects or "~" in node.path:
            return False
        planned = self._plan[node.plan]
        if planned.kind not in _WORKING or any(outer.has_rollback for outer in outwards(planned)):
            return False
        if self._says_nothing(planned):
            return False
        rollback = run.nodes.get(f"{first.path}~rollback")
        is_between = node.started_sequence > first.started_sequence and (
            rollback is None or node.started_sequence < rollback.started_sequence
        )
        return is_between or self._is_declared(planned)

    def _says_nothing(self, planned: PlanStep) -> bool:
        """Whether an action says of itself that it changes nothing."""
        step = planned.step
        card = (
            self._cards.get(step.uses)
            if self._cards is not None and isinstance(step, model.UsesStep)
            else None
        )
        return card is not None and card.effects == "none"

    def _is_declared(self, planned: PlanStep) -> bool:
        """Whether the step itself says that it changes something: before the first step that is undone, only that counts."""
        step = planned.step
        if isinstance(step, model.RunStep):
            return step.check is not None
        card = (
            self._cards.get(step.uses)
            if self._cards is not None and isinstance(step, model.UsesStep)
            else None
        )
        return card is not None and card.effects in ("files", "remote")

    # ---- people and waiting ----------------------------------------------------------------------------------

    def _asked(self, state: int, taken: Taken | None, node: Node, question: Question) -> None:
        if question.kind not in ("approval", "task"):
            return
        people = self._voters.people(question)
        if people is None:
            return
        reason = _why_unanswerable(people, question)
        if reason:
            self._tell_gate(node, reason, self._story(state, taken))

    def _tell_gate(self, node: Node, reason: str, story: Story) -> None:
        name = name_of(node.path)
        is_gate = node.frame == "gate"
        planned = self._plan[node.plan]
        owner = self._first_in(node.path.removeprefix("~gate_")) if is_gate else node.plan
        key = "environment" if is_gate else "who" if planned.kind == "approve" else "assign"
        self._tell(
            ("gate", node.path if is_gate else node.plan),
            Proof(
                name="gate-unanswerable",
                message=f"{name if is_gate else f'`{name}`'} cannot be answered: {reason}",
                owner=owner,
                keys=(key,),
                story=story,
                tail=(f"{name} is asked, and stays open",),
            ),
        )

    def _waits(self, state: int, taken: Taken | None, fact: events.WaitStarted, run: Run) -> None:
        kind, name = fact.awaited.kind, fact.awaited.name
        if kind not in ("event", "signal", "window") or _has_limit(run, fact.path):
            return
        if kind == "window" and self._window_opens(name) is not None:
            return
        node = run.nodes[fact.path]
        is_gate = node.frame == "gate"
        what = f"the {kind} `{name}`" if not is_gate else f"the window of {name.partition(':')[2]}"
        why = "never opens, as its calendar stands" if kind == "window" else "may never come"
        self._tell(
            ("wait", fact.path if is_gate else node.plan),
            Proof(
                name="endless-wait",
                message=f"`{name_of(fact.path)}` may wait for ever: {what} {why}, and no time limit stands around it",
                owner=self._first_in(name.partition(":")[2]) if is_gate else node.plan,
                keys=("environment",) if is_gate else ("wait",),
                story=self._story(state, taken),
                tail=(f"{name_of(fact.path)} waits for {what}",),
            ),
        )

    def _round(self, state: int, taken: Taken | None, fact: events.StepStarted, run: Run) -> None:
        planned = self._plan[fact.plan]
        step = planned.step
        assert isinstance(step, model.RepeatStep)
        loop = fact.path[: fact.path.rindex("[")]
        if step.times is not None or run.nodes[loop].cursor < 2 or _has_limit(run, loop):  # noqa: PLR2004 - the second round
            return
        assert planned.until is not None
        if any(reference[0] == "index" for reference in planned.until.references):
            return
        self._tell(
            ("repeat", fact.plan),
            Proof(
                name="endless-repeat",
                message=f"`{name_of(loop)}` may go round for ever: nothing makes `until` hold",
                owner=fact.plan,
                keys=("repeat",),
                story=self._story(state, taken),
                tail=(f"{name_of(loop)} begins once more, and so on",),
            ),
        )

    # ---- expressions -----------------------------------------------------------------------------------------

    def _may_be_expression(
        self,
        state: int,
        taken: Taken | None,
        fact: events.StepEnded | events.BodyEnded | events.RunEnded,
        error: Error,
        run: Run,
    ) -> None:
        path: Path = "" if isinstance(fact, events.RunEnded) else fact.path
        node = run.nodes.get(path)
        if not is_own_failure(path, error) or (node is not None and node.frame not in ("", "run")):
            return
        found = culprits.find(self._plan, run, path, error)
        if found is None or found.is_wished:
            return
        story = self._story(state, taken)
        where = ".".join(found.source.key) if found.source is not None else "an expression"
        whose = f"`{where}` of `{name_of(path)}`" if path else f"`{where}`"
        keys: tuple[str, ...] = found.source.key if found.source is not None else ()
        owner = found.source.owner if found.source is not None else node.plan if node is not None else None
        name: Name = "expression-fails"
        message = f"{whose} cannot be worked out: {first_words(error.message)}"
        if found.absent is not None:
            what, why = found.absent
            name = "rollback-blind" if "~rollback" in path else "reads-nothing"
            message = f"{whose} reads {what}, and {why}"
        elif not culprits.is_sure(self._plan, run, found, self._cards):
            return
        self._tell(
            ("expression", owner, keys),
            Proof(name=name, message=message, owner=owner, keys=keys, story=story),
        )

    # ---- the workflow's own laws -----------------------------------------------------------------------------

    def _check_laws(self, state: int, run: Run) -> None:
        for position, law in enumerate(self._never):
            if ("never", position) not in self._found and self._law_holds(law, run) in (
                (True, None) if run.has_ended else (True,)
            ):
                self._tell_law(state, run, "never-broken", position, law)
        for position, law in enumerate(self._always if run.has_ended else ()):
            if ("always", position) not in self._found and not self._law_holds(law, run):
                self._tell_law(state, run, "always-broken", position, law)

    def _law_holds(self, law: values.Condition, run: Run) -> bool | None:
        """Whether a law's condition holds; None where it cannot be told."""
        try:
            return law.holds(names_for(run, ROOT, law.references, {"status": run.status}))
        except ExpressionError:
            return None

    def _tell_law(self, state: int, run: Run, name: Name, position: int, law: values.Condition) -> None:
        key = name.removesuffix("-broken")
        cannot = self._law_holds(law, run) is None
        words = "cannot be told at an end" if cannot else "can hold" if key == "never" else "need not hold"
        self._tell(
            (key, position),
            Proof(
                name=name,
                message=f"{key}: `{first_words(law.source)}` {words}",
                owner=None,
                keys=("check", key, position) if position < self._own_laws[key] else (),
                is_value=True,
                story=self._story(state, None),
                tail=(run.status,) if run.has_ended else (),
                help="a step that did not run has no outputs: use default(…)" if cannot else "",
            ),
        )

    # ---- when all is over ------------------------------------------------------------------------------------

    def proofs(self, found: Exploration) -> Iterator[Proof]:
        """Everything that was found."""
        for (environment, number), proof in self._unapproved.items():
            if (environment, number) in self._approved:
                self._tell(("unapproved", environment), proof)
        for planned in self._plan.steps:
            self._check_limits(planned)
        if found.sees_all and not self._reading.unsure:
            self._check_never(found)
        yield from self._found.values()

    def _check_never(self, found: Exploration) -> None:
        for planned in self._plan.steps:
            self._check_taken(planned)
            self._check_success(planned)
            self._check_retry(planned)
        for number, story in self._catching.items():
            if number not in self._caught:
                owner = None if number < 0 else number
                self._tell(
                    ("catch", number),
                    Proof(
                        name="catch-never-recovers",
                        message="this `catch` never recovers: the failure goes on in any case",
                        owner=owner,
                        keys=("catch",),
                        story=story,
                    ),
                )
        is_explained = any(
            proof.name not in ("left-standing", "never-taken", "silent-approval", "endless-wait")
            for proof in self._found.values()
        )
        if found.ends and not is_explained and not any(end.run.end_state in _GOOD_ENDS for end in found.ends):
            end = found.ends[0]
            self._tell(
                ("success",),
                Proof(
                    name="no-success",
                    message="no run can succeed",
                    owner=None,
                    keys=("steps",),
                    story=found.story(end.state),
                    tail=(end.run.status,),
                ),
            )

    def _check_taken(self, planned: PlanStep) -> None:
        if planned.number in self._begun or planned.number in self._held or not self._could_begin(planned):
            return
        if planned.slot.startswith("choose/"):
            assert planned.parent is not None
            self._tell_branch(planned.parent, int(planned.slot.split("/")[1]))
            return
        if planned.kind == "choose" and planned.number in self._skipped and planned.lists:
            for position, branch in enumerate(planned.branches):
                if branch[0] is not None:
                    self._tell_branch(planned, position)
            return
        step = planned.step
        what = (
            "`end`"
            if planned.kind == "end"
            else f"`{planned.key}`"
            if step and step.id
            else f"`{planned.kind}`"
        )
        if planned.number in self._skipped and step is not None and step.if_ is not None:
            message, key = f"no run takes {what}: its `if` never holds", "if"
        elif planned.number in self._skipped:
            message, key = f"no run takes {what}: none of its branches holds", planned.kind
        else:
            message, key = f"no run reaches {what}", ""
        self._tell(
            ("taken", planned.number),
            Proof(name="never-taken", message=message, owner=planned.number, keys=(key,) if key else ()),
        )

    def _tell_branch(self, planned: PlanStep, position: int) -> None:
        """Tells of a branch of a `choose` that was never taken."""
        if (planned.number, position + 1) in self._branches:
            return
        step = planned.step
        assert isinstance(step, model.ChooseStep)
        condition = first_words(step.choose[position].if_ or "")
        self._tell(
            ("branch", planned.number, position),
            Proof(
                name="never-taken",
                message=f"no run takes this branch: `{condition}` never holds where it is asked",
                owner=planned.number,
                keys=("choose", position, "if"),
                is_value=True,
            ),
        )

    def _could_begin(self, planned: PlanStep) -> bool:
        """Whether it has to be the step's own fault that it never began."""
        if planned.slot == "rollback" or planned.slot.endswith("/else") or planned.parent is None:
            return False
        if planned.parent.number >= 0 and planned.parent.number not in self._begun:
            return False
        siblings = planned.parent.lists[planned.slot]
        before = siblings[: siblings.index(planned)]
        if planned.slot == "parallel":
            return all(other.number in self._well for other in planned.needed)
        return all(other.number in self._well for other in before)

    def _check_success(self, planned: PlanStep) -> None:
        number = planned.number
        is_told = any(key[1:2] == (number,) for key in self._found)
        if number in self._succeeded or number not in self._begun or is_told or planned.kind == "end":
            return
        if not planned.is_leaf and planned.kind != "repeat":
            return
        if any(self._is_below(other, planned) for other in self._told_steps()):
            return
        why = ""
        if planned.success_when is not None:
            why = f": `{first_words(planned.success_when.source)}` never holds"
        elif planned.until is not None:
            why = f": `{first_words(planned.until.source)}` never holds"
        keys = ("success_when",) if planned.success_when is not None else ("until",) if planned.until else ()
        self._tell(
            ("success", number),
            Proof(
                name="never-succeeds",
                message=f"`{planned.key}` can never succeed{why}",
                owner=number,
                keys=keys,
                story=self._begun[number],
            ),
        )

    def _told_steps(self) -> Iterator[int]:
        yield from (key[1] for key in self._found if len(key) > 1 and isinstance(key[1], int))

    def _is_below(self, number: int, planned: PlanStep) -> bool:
        return any(outer is planned for outer in outwards(self._plan[number]) if outer.number >= 0)

    def _check_retry(self, planned: PlanStep) -> None:
        if (
            planned.retry_when is None
            or planned.number not in self._failed
            or planned.number in self._retried
        ):
            return
        self._tell(
            ("retry", planned.number),
            Proof(
                name="retry-never",
                message=f"`{planned.key}` is never tried again: `{first_words(planned.retry_when.source)}` never holds",
                owner=planned.number,
                keys=("retry", "when"),
                story=self._failed[planned.number],
            ),
        )

    def _check_limits(self, planned: PlanStep) -> None:
        """Whether what the step waits for fits into the time limits around it."""
        story = self._begun.get(planned.number)
        limit = lasting.limit_around(self._plan, planned)
        if story is None or limit is None:
            return
        for key, seconds, words in lasting.waits_of(planned):
            if seconds >= limit[0]:
                self._tell(
                    ("limit", planned.number),
                    Proof(
                        name="outlives-timeout",
                        message=f"{words} of `{planned.key}` may take {lasting.span(seconds)},"
                        f" and the timeout of {limit[1]} is {lasting.span(limit[0])}",
                        owner=planned.number,
                        keys=(key,),
                        story=story,
                        tail=(f"after {lasting.span(limit[0])} the time of {limit[1]} is up",),
                    ),
                )
                return

    # ---- telling ---------------------------------------------------------------------------------------------

    def _tell(self, key: tuple[object, ...], proof: Proof) -> None:
        self._found.setdefault(key, proof)

    def _story(self, state: int, taken: Taken | None) -> Story:
        assert self.exploration is not None
        return self.exploration.story(state) if taken is None else self.exploration.story(state, taken)


def _decision(node: Node) -> str:
    return str((node.outputs or {}).get("decision", ""))


def _has_limit(run: Run, path: Path) -> bool:
    """Whether a time limit stands on what is at *path*, or around it."""
    return any(
        node.timeout_at is not None
        for end in range(len(path) + 1)
        if (end == len(path) or path[end] in "/[~") and (node := run.nodes.get(path[:end])) is not None
    )


def _why_unanswerable(people: tuple[str, ...], question: Question) -> str:
    """Why those who are asked cannot decide; empty where they can."""
    needed = question.quorum if question.kind == "approval" else 1
    if not people:
        return f"nobody stands behind {', '.join(question.who)}"
    if len(people) < needed:
        return f"it needs {needed} approvals, and only {_and(people)} can give one"
    if question.four_eyes and len(people) == needed:
        if needed == 1:
            return f"only {people[0]} may approve, and not when {people[0]} started the run (four_eyes)"
        return f"it needs {needed} approvals, and when one of {_and(people)} starts the run too few are left (four_eyes)"
    return ""


def _and(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def kept_effects(plan: Plan) -> frozenset[int]:
    """Steps that may be left standing: they work, cannot be undone, and stand in a file that undoes something."""
    if not any(planned.has_rollback for planned in plan.steps):
        return frozenset()
    return frozenset(
        planned.number
        for planned in plan.steps
        if planned.kind in _WORKING
        and "~" not in "".join(planned.chain)
        and not any(outer.has_rollback for outer in outwards(planned))
        and not (planned.step is not None and planned.step.idempotent)
    )
