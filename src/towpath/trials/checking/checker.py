"""Checks a workflow: reads what its conditions tell apart, explores what can happen, and says what came out."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import msgspec

from towpath.core import stimuli
from towpath.core.plan import Plan, Repeatable
from towpath.core.run import Json, Micros, Protection
from towpath.definition import expressions, inputs, loader, model
from towpath.definition.actions import ActionCards
from towpath.definition.project import ProjectFile
from towpath.definition.projects import Project
from towpath.errors import AuthorError
from towpath.people.desk import Desk
from towpath.trials.checking import judging, reading, samples, stories
from towpath.trials.checking.exploring import RUN_ID, Bound, Exploration, Search, Start
from towpath.trials.checking.findings import KINDS, Finding
from towpath.trials.checking.keys import Kept, Keys
from towpath.trials.checking.limits import EXACT_STATES_MAX, INPUTS_MAX, LOOSE_ITEMS_MAX, Limits
from towpath.trials.checking.places import NOWHERE, Places
from towpath.trials.checking.reduction import Reduction
from towpath.trials.checking.samples import ABSENT
from towpath.trials.checking.shapes import Shape
from towpath.trials.checking.voters import STRANGER, Voters
from towpath.trials.checking.world import World, value_text

START: Micros = 1_800_000_000_000_000
"""When the runs of a search begin: a moment like any other."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """What a workflow is checked against."""

    project: Project
    cards: ActionCards
    repeatable: Repeatable
    """Whether an action may be performed twice with these inputs."""
    now: Micros = START
    """The moment for which calendars are asked."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """How a workflow is checked."""

    inputs: Mapping[str, Json] = field(default_factory=dict)
    """Inputs that are given; for the others every value that conditions tell apart is tried."""
    never: tuple[str, ...] = ()
    always: tuple[str, ...] = ()
    """Laws besides those in the file."""
    can_cancel: bool = False
    """Whether somebody may cancel the run at any moment."""
    limits: Limits = field(default_factory=Limits)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """One way in which runs can end, with the shortest story."""

    status: str
    outcome: str | None
    story: tuple[str, ...]
    count: int
    """In how many different states a run can end so."""

    def as_json(self) -> dict[str, object]:
        """The ending as plain values."""
        return {
            "status": self.status,
            "outcome": self.outcome,
            "story": list(self.story),
            "states": self.count,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What came out of one check."""

    workflow: str
    path: str
    endings: tuple[Ending, ...]
    findings: tuple[Finding, ...]
    states: int
    moves: int
    starts: int
    seconds: float
    bounds: tuple[Bound, ...]
    """What kept the search from going everywhere; empty where it is complete."""
    unsure: tuple[str, ...]
    """Conditions whose values could not be told apart."""
    plan: Plan
    exploration: Exploration

    @property
    def is_complete(self) -> bool:
        """Whether everything that can happen was seen."""
        return not self.bounds

    def as_json(self) -> dict[str, object]:
        """The report as plain values."""
        return {
            "workflow": self.workflow,
            "path": self.path,
            "complete": self.is_complete,
            "bounds": list(self.bounds),
            "states": self.states,
            "moves": self.moves,
            "starts": self.starts,
            "seconds": round(self.seconds, 3),
            "unsure": list(self.unsure),
            "endings": [ending.as_json() for ending in self.endings],
            "findings": [finding.as_json() for finding in self.findings],
        }


def check(
    loaded: loader.Loaded,
    setting: Setting,
    options: Options | None = None,
) -> Report:
    """Explores everything that can happen in a workflow; raises AuthorError for inputs and laws that cannot be."""
    options = options or Options()
    workflow = _with_laws(loaded.workflow, options)
    plan = Plan(workflow, loaded.digest, repeatable=setting.repeatable)
    asked = reading.read(plan, setting.cards)
    file = setting.project.file
    voters = Voters(file=file)
    desk = Desk(lambda: file, setting.project.folder)
    starts, are_all = _starts(workflow, asked, options, desk.protections())
    fewer = tuple(_with_fewer_items(start, workflow, asked) for start in starts)

    def explore(limits: Limits, *, is_loose: bool) -> tuple[judging.Judge, Exploration]:
        judge = judging.Judge(
            plan,
            asked,
            voters,
            cards=setting.cards,
            window_opens=lambda name: desk.window_opens_at(name, setting.now),
            own=loaded.workflow.check,
        )
        reduction = Reduction(plan, can_cancel=options.can_cancel, is_loose=is_loose)
        search = Search(
            plan,
            World(plan, asked, voters, cards=setting.cards, can_cancel=options.can_cancel),
            Keys(plan, asked, _kept(plan, file)),
            fewer if is_loose else starts,
            limits=limits,
            watcher=judge,
            reduction=None if limits.keeps_graph else reduction,
        )
        judge.exploration = search.found
        return judge, search.explore()

    judge, found = _explored(explore, options.limits)
    if "combinations" in found.bounds and fewer != starts:
        found.bounds.insert(1, "items")
    if not are_all:
        found.bounds.append("inputs")
    return _report(loaded, plan, asked, judge, found)


def _explored(
    explore: Callable[..., tuple[judging.Judge, Exploration]], limits: Limits
) -> tuple[judging.Judge, Exploration]:
    """A whole search; where there are too many combinations of branches, one that tries fewer of them."""
    is_small = limits.states_max <= EXACT_STATES_MAX or limits.keeps_graph
    half = replace(limits, states_max=EXACT_STATES_MAX, seconds_max=limits.seconds_max / 2)
    judge, found = explore(limits if is_small else half, is_loose=False)
    if is_small or not {"states", "seconds"} & set(found.bounds):
        return judge, found
    rest = replace(limits, seconds_max=max(0.0, limits.seconds_max - found.seconds))
    spent = found.seconds
    judge, found = explore(rest, is_loose=True)
    found.bounds.insert(0, "combinations")
    found.seconds += spent
    return judge, found


def _with_laws(workflow: model.Workflow, options: Options) -> model.Workflow:
    if not options.never and not options.always:
        return workflow
    for law in (*options.never, *options.always):
        _check_law(workflow, law)
    own = workflow.check or model.Laws()
    laws = model.Laws(never=(*own.never, *options.never), always=(*own.always, *options.always))
    return workflow.model_copy(update={"check": laws})


_LAW_NAMES = frozenset({"inputs", "vars", "steps", "event", "run", "status"})


def _check_law(workflow: model.Workflow, law: str) -> None:
    """Whether a law from outside the file can be read; raises AuthorError."""
    condition = expressions.compile_condition(law, names=expressions.DYNAMIC)
    known = Plan(workflow, "").by_id
    for reference in condition.references:
        root, *rest = reference.path
        if root not in _LAW_NAMES:
            raise AuthorError(
                f"`{law}`: there is no name `{root}` here",
                help=f"it may read {', '.join(sorted(_LAW_NAMES))}",
            )
        if root == "steps" and rest and rest[0] not in known:
            raise AuthorError(f"`{law}`: there is no step `{rest[0]}`", help=f"there are: {', '.join(known)}")


def _kept(plan: Plan, file: ProjectFile) -> Kept:
    has_environments = bool(file.environments) or any(
        planned.step is not None and planned.step.environment for planned in plan.steps
    )
    has_environments = has_environments or plan.workflow.environment is not None
    decisions = {planned.number for planned in plan.steps if planned.kind == "approve" and has_environments}
    return Kept(effects=judging.kept_effects(plan), decisions=frozenset(decisions))


def _starts(
    workflow: model.Workflow,
    asked: reading.Reading,
    options: Options,
    protections: Mapping[str, Protection],
) -> tuple[tuple[Start, ...], bool]:
    """Every start that can make a difference, and whether these are all."""
    given = {
        name: inputs.from_text(value, workflow.inputs[name]) if name in workflow.inputs else value
        for name, value in options.inputs.items()
    }
    choices: dict[str, tuple[Json, ...]] = {}
    for name, declared in workflow.inputs.items():
        shape = asked.inputs.fields.get(name)
        choices[name] = (given[name],) if name in given else samples.declared_samples(name, declared, shape)
        if not choices[name]:
            raise AuthorError(
                f"no value of the input `{name}` is known that fits its declaration",
                help=f"give one: tow check … -i {name}=VALUE",
            )
    combined, are_all = samples.combinations(list(choices.values()), INPUTS_MAX)
    several = [name for name in choices if len(choices[name]) > 1]
    starts: list[Start] = []
    for combination in combined:
        chosen = {
            name: value for name, value in zip(choices, combination, strict=True) if value is not ABSENT
        }
        label = ", ".join(
            f"{name} = {value_text(chosen[name])}" if name in chosen else f"no {name}" for name in several
        )
        chosen = {**chosen, **{name: value for name, value in given.items() if name not in choices}}
        events = _events(workflow, asked)
        for event in events:
            how = (
                ""
                if len(events) == 1
                else "started by hand"
                if event is None
                else f"event = {value_text(event)}"
            )
            begin = _start(inputs.complete_inputs(workflow.inputs, chosen), event, protections)
            starts.append(Start(begin, ", ".join(word for word in (label, how) if word)))
    return tuple(starts), are_all


def _with_fewer_items(start: Start, workflow: model.Workflow, asked: reading.Reading) -> Start:
    """A start with shorter lists, where nothing tells their items apart and nothing asks how many they are."""
    given = dict(start.stimulus.inputs)
    label = start.label
    for name, value in given.items():
        shape = asked.inputs.fields.get(name, Shape())
        if isinstance(value, list) and len(value) > LOOSE_ITEMS_MAX and samples.is_plain_list(shape):
            given[name] = value[:LOOSE_ITEMS_MAX]
            label = label.replace(f"{name} = {value_text(value)}", f"{name} = {value_text(given[name])}")
    if given == start.stimulus.inputs:
        return start
    try:
        shorter = inputs.complete_inputs(workflow.inputs, given)
    except inputs.InputsInvalid:  # the input says how long it has to be
        return start
    return Start(msgspec.structs.replace(start.stimulus, inputs=shorter), label)


def _events(workflow: model.Workflow, asked: reading.Reading) -> Sequence[Json]:
    """What may have started the run: nothing for a person, and what conditions tell apart of other events."""
    by_hand = any(
        entry == "manual" or (isinstance(entry, dict) and "manual" in entry) for entry in workflow.on
    )
    others = any(entry != "manual" for entry in workflow.on)
    found: list[Json] = [None] if by_hand or not asked.reads_event else []
    if asked.reads_event and others:
        found.extend(samples.samples(asked.event, "map"))
    return found or [None]


def _start(given: Mapping[str, Json], event: Json, protections: Mapping[str, Protection]) -> stimuli.Start:
    return stimuli.Start(
        at=START,
        run=RUN_ID,  # type: ignore[arg-type] # RunId is text
        digest="",
        inputs=given,
        started_by=STRANGER,
        protections=protections,
        event=event,
    )


def _report(
    loaded: loader.Loaded,
    plan: Plan,
    asked: reading.Reading,
    judge: judging.Judge,
    found: Exploration,
) -> Report:
    places = Places(plan, loaded.source)
    findings = [_finding(loaded, plan, places, proof) for proof in judge.proofs(found)]
    return Report(
        workflow=loaded.workflow.name,
        path=loaded.path,
        endings=_endings(plan, found),
        findings=tuple(sorted(findings, key=lambda one: (one.line, one.column, one.kind.number))),
        states=found.states,
        moves=found.moves,
        starts=len(found.starts),
        seconds=found.seconds,
        bounds=tuple(found.bounds),
        unsure=tuple(dict.fromkeys(source.text for source in asked.unsure)),
        plan=plan,
        exploration=found,
    )


def _finding(loaded: loader.Loaded, plan: Plan, places: Places, proof: judging.Proof) -> Finding:
    kind = KINDS[proof.name]
    is_outside = proof.is_value and not proof.keys
    find = places.value if proof.is_value else places.of
    spot = NOWHERE if is_outside else find(proof.owner, *proof.keys)
    told = stories.tell(plan, proof.story) if proof.story is not None else ()
    return Finding(
        kind=kind,
        message=proof.message,
        path=loaded.path,
        line=spot.line,
        column=spot.column,
        excerpt=spot.excerpt,
        story=(*told, *proof.tail),
        help=proof.help or kind.help,
    )


_ORDER = (
    "succeeded", "partially_succeeded", "rolled_back", "rejected", "cancelled", "failed", "rollback_failed", "skipped",
)  # fmt: skip


def _endings(plan: Plan, found: Exploration) -> tuple[Ending, ...]:
    """The ways to end, each with the plainest story: the first that was found."""
    firsts: dict[tuple[str, str | None], int] = {}
    counts: dict[tuple[str, str | None], int] = {}
    for end in found.ends:
        key = (end.run.status, end.run.outcome)
        firsts.setdefault(key, end.state)
        counts[key] = counts.get(key, 0) + 1
    return tuple(
        Ending(
            status=status,
            outcome=outcome,
            story=stories.tell(plan, found.story(state)),
            count=counts[status, outcome],
        )
        for (status, outcome), state in sorted(
            firsts.items(), key=lambda item: (_ORDER.index(item[0][0]), item[0][1] or "")
        )
    )
