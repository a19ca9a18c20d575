"""The order of steps: what `needs` means, what can never run, what cannot stand where it does."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise

from towpath.definition import model
from towpath.definition.checks.context import Context, Place
from towpath.definition.checks.scope import runs_before
from towpath.definition.problems import did_you_mean

_ALWAYS = frozenset({"true", "(true)"})
_NEVER = frozenset({"false", "(false)"})


def check_needs(context: Context) -> None:
    """`needs` names siblings inside `parallel`, and nobody waits for each other."""
    for place in context.places:
        if place.step.needs and not place.stand_in:
            _check_needs_of(context, place)
    for place in context.places:
        if isinstance(place.step, model.ParallelStep) and not place.stand_in:
            _check_cycles(context, place, place.step.parallel)


def _check_needs_of(context: Context, place: Place) -> None:
    path = (*place.path, "needs")
    if place.slot != "parallel" or place.parent is None:
        context.tell(
            "needs-outside-parallel",
            "`needs` has a meaning inside `parallel` only: everywhere else steps run one after the other",
            path,
            of_key=True,
            help="remove it, or put the steps into a `parallel`",
        )
        return
    siblings = [step.id for _, steps in place.parent.step.body() for step in steps if step.id]
    for position, name in enumerate(place.step.needs):
        if name == place.id:
            context.tell(
                "needs-cycle",
                f"`{name}` needs itself",
                (*path, position),
                help=f"remove `{name}` from its `needs`",
            )
        elif name not in siblings and not context.is_lost(name):
            others = [sibling for sibling in siblings if sibling != place.id]
            where = "is no sibling of this step" if name in context.by_id else "does not exist"
            context.tell(
                "unknown-need",
                f"`{name}` {where}; `needs` names steps of the same `parallel`",
                (*path, position),
                help=did_you_mean(name, others),
            )


def _check_cycles(context: Context, place: Place, steps: Sequence[model.Step]) -> None:
    needs = {step.id: [name for name in step.needs if name != step.id] for step in steps if step.id}
    cycle = find_cycle(needs)
    if cycle:
        first = next(index for index, step in enumerate(steps) if step.id == cycle[0])
        context.tell(
            "needs-cycle",
            f"these steps wait for each other: {' → '.join(f'`{name}`' for name in (*cycle, cycle[0]))}",
            (*place.path, "parallel", first, "needs"),
            of_key=True,
            help="take one of them out of the `needs` of another",
        )


def find_cycle(edges: Mapping[str, Sequence[str]]) -> tuple[str, ...]:
    """A cycle in a graph, or nothing."""
    state: dict[str, int] = {}
    for root in edges:
        if state.get(root):
            continue
        trail: list[tuple[str, Iterator[str]]] = [(root, iter(edges[root]))]
        state[root] = 1
        while trail:
            name, rest = trail[-1]
            following = next((other for other in rest if other in edges and state.get(other) != 2), None)  # noqa: PLR2004 - done
            if following is None:
                state[name] = 2
                trail.pop()
            elif state.get(following) == 1:
                names = [word for word, _ in trail]
                return tuple(names[names.index(following) :])
            else:
                state[following] = 1
                trail.append((following, iter(edges[following])))
    return ()


def check_reachable(context: Context) -> None:
    """Tell steps that can never run, and conditions that decide nothing."""
    for place in context.places:
        if place.stand_in:
            continue
        if place.step.if_ is not None:
            _check_constant(context, place, place.step.if_, "if")
        if isinstance(place.step, model.ChooseStep):
            _check_branches(context, place, place.step)
        if isinstance(place.step, model.RepeatStep):
            _check_until(context, place, place.step)
    _check_after_end(context)


def _check_constant(context: Context, place: Place, condition: str, key: str) -> None:
    text = condition.strip()
    if text in _NEVER:
        context.tell(
            "unreachable",
            f"{place.name()} can never run: its `if` is false",
            (*place.path, key),
            help="remove the step, or write what it depends on",
        )
    elif text in _ALWAYS:
        context.tell("always", "this condition is always true", (*place.path, key), help="remove the `if`")


def _check_until(context: Context, place: Place, step: model.RepeatStep) -> None:
    if step.until.strip() in _ALWAYS:
        context.tell(
            "always",
            "the body runs once: `until` is true",
            (*place.path, "until"),
            help="write what ends the rounds",
        )
    elif step.until.strip() in _NEVER and step.times is None:
        context.tell(
            "always",
            "the rounds never end: `until` is false, and there is no `times`",
            (*place.path, "until"),
            help="write what ends the rounds, or `times`",
        )


def _check_branches(context: Context, place: Place, step: model.ChooseStep) -> None:
    last = len(step.choose) - 1
    always: int | None = None
    for position, branch in enumerate(step.choose):
        path = (*place.path, "choose", position)
        if always is not None:
            context.tell(
                "unreachable",
                "this branch is never taken: an earlier one always is",
                path,
                of_key=True,
                help="put it before that one, or remove it",
            )
        _check_branch(context, branch, path, is_last=position == last)
        if always is None and (branch.else_ is not None or (branch.if_ or "").strip() in _ALWAYS):
            always = position
        if always is None and branch.if_ is not None and branch.if_.strip() in _NEVER:
            context.tell(
                "unreachable",
                "this branch is never taken: its `if` is false",
                (*path, "if"),
                help="remove it, or write what it depends on",
            )


def _check_branch(
    context: Context, branch: model.Branch, path: tuple[str | int, ...], *, is_last: bool
) -> None:
    has_cut = any(cut[:-1] == path for cut in context.cut)
    if branch.else_ is not None:
        if branch.if_ is not None or branch.steps:
            context.tell(
                "branch-order",
                "`else` stands alone: the branch has no `if` and no `steps`",
                (*path, "else"),
                of_key=True,
                help="write - else: […] as a branch of its own",
            )
        elif not is_last:
            context.tell(
                "branch-order",
                "`else` has to be the last branch",
                (*path, "else"),
                of_key=True,
                help="move it down",
            )
        return
    if has_cut:
        return
    if branch.if_ is None:
        context.tell(
            "missing-key",
            "a branch needs `if` with `steps`, or `else`",
            path,
            of_key=True,
            help="write - if: …",
        )
    elif not branch.steps:
        context.tell(
            "missing-key",
            "a branch needs `steps`",
            (*path, "if"),
            of_key=True,
            help="write steps: […] below `if`",
        )


def _check_after_end(context: Context) -> None:
    """Steps behind an `end` that always ends never run."""
    ended: dict[tuple[int, str], Place] = {}
    for place in context.places:
        siblings = (id(place.parent), place.slot)
        if siblings in ended and place.slot != "parallel":
            context.tell(
                "unreachable",
                f"{place.name()} can never run: the run ends at {ended[siblings].name()} before it",
                place.path,
                of_key=True,
                help="give the `end` an `if`, or remove what stands behind it",
            )
            del ended[siblings]
        elif always_ends(place.step):
            ended.setdefault(siblings, place)


def always_ends(step: model.Step) -> bool:
    """Whether nothing runs after *step*."""
    if step.if_ is not None and step.if_.strip() not in _ALWAYS:
        return False
    match step:
        case model.EndStep():
            return True
        case model.GroupStep():
            return any(always_ends(child) for child in step.steps)
        case model.ChooseStep():
            lists = [branch.else_ if branch.else_ is not None else branch.steps for branch in step.choose]
            has_else = any(branch.else_ is not None for branch in step.choose)
            return has_else and all(any(always_ends(child) for child in steps) for steps in lists)
        case _:
            return False


def check_places(context: Context) -> None:
    """`end`, `rollback` and `send_back_to` stand where they can be followed."""
    for place in context.places:
        if place.stand_in:
            continue
        if isinstance(place.step, model.EndStep):
            _check_end(context, place)
        if place.step.rollback:
            _check_rollback(context, place)
        if isinstance(place.step, model.ApproveStep) and place.step.send_back_to is not None:
            _check_send_back(context, place, place.step.send_back_to)


_NO_END = {
    "parallel": "in a `parallel`, whose other steps are still running",
    "rollback": "in a `rollback`, which is undone to its end",
    "finally": "in a `finally`, which runs after the end was decided",
    "each": "in an `each`, whose other items are still running",
}


def _check_end(context: Context, place: Place) -> None:
    chain = place.chain()
    around = [step.slot for step in chain]
    around += ["each" for outer, inner in pairwise(chain) if outer.kind == "each" and inner.slot == "steps"]
    wrong = next((where for where in _NO_END if where in around), None)
    if wrong is not None:
        context.tell(
            "misplaced-end",
            f"`end` cannot stand {_NO_END[wrong]}",
            (*place.path, "end"),
            of_key=True,
            help="end the run after the block, with an `if` on what came of it",
        )


def _check_rollback(context: Context, place: Place) -> None:
    path = (*place.path, "rollback")
    if "rollback" in (step.slot for step in place.chain()):
        context.tell(
            "misplaced-rollback",
            "a rollback cannot have a rollback",
            path,
            of_key=True,
            help="when it fails for good, a person is asked",
        )
    elif place.kind == "end":
        context.tell(
            "misplaced-rollback",
            "an `end` does nothing that could be undone",
            path,
            of_key=True,
            help="remove it",
        )


def _check_send_back(context: Context, place: Place, name: str) -> None:
    path = (*place.path, "send_back_to")
    if context.is_lost(name):
        return
    target = context.by_id.get(name)
    if target is None:
        context.tell(
            "bad-send-back", f"there is no step `{name}`", path, help=did_you_mean(name, context.by_id)
        )
        return
    if not runs_before(target, place):
        context.tell(
            "bad-send-back",
            f"`{name}` is no step before this one",
            path,
            help="name a step that runs before it, in the same list or in one around it",
        )
