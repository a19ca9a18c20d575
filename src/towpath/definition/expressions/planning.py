"""What CEL works out, and what is worked out around it.

CEL does the selecting, comparing and calculating. It does not do everything: its functions are strict, so
that `default(a, b)` cannot be one; its `map` and `filter` copy the whole list for every item; its loops may
repeat the most expensive comparison ten thousand times; and functions written in Python leak memory in its
binding. So an expression becomes a plan: one program for CEL, and, worked out before it, the slots that the
program reads like any other name.

    lower(inputs.name) + "!"             slot @1 = lower(inputs.name)        program  @1 + "!"
    hosts.filter(h, h != host).size()    slot @1 = a loop over hosts         program  @1.size()
    hosts.map(h, upper(h) + env)         slot @2 = a loop over hosts whose body is a plan of its own:
                                             slot @1 = upper(h)                  program  @1 + env

A slot stands in the innermost body whose item it depends on, so what does not change is worked out once. A
slot that fails is left out; a program that then reads it fails with the slot's own error, and one that does
not, as in `has(a.b) ? json(a.b) : {}`, never knows. Expressions have no side effects, so nobody can tell.

Two constructs are rewritten into plain CEL, by the one operator that looks at an error,
`@not_strictly_false(x)`: true unless x is exactly false. A text or list is only built by `+` when it will not
be too large:

    default(a, b)   let d = a in  @not_strictly_false(d == null) ? b : d
    a + b           let l = a in let r = b in  @not_strictly_false(size(l) + size(r) <= MAX) ? l + r : @limit

where numbers and times have no size, so they pass, and `@limit` is a name that is never there.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from towpath.definition.expressions import analysis, functions, limits, tree
from towpath.definition.expressions.tree import Call, Constant, ListOf, Loop, MapOf, Name, Node, Select

if TYPE_CHECKING:
    from collections.abc import Iterable

    from cel_expr_python import cel  # type: ignore[import-untyped]  # it ships stubs without py.typed

Branch: TypeAlias = "dict[str, Branch | None]"

ITEMS: Final = "@items"
"""The name under which a program gets the items that it goes through natively."""

LIMIT: Final = "@limit"
"""The name that is never there, read where a text or list would become too large."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """What CEL works out at once."""

    cel: Any = field(repr=False, compare=False)  # CEL's own object, which has no type outside CEL
    references: tuple[analysis.Reference, ...]
    reads: Branch
    # The paths of *references* as a tree, with None where everything below is read.
    path: tuple[str, ...]
    # The path that is all there is to the program, or nothing.


@dataclass(frozen=True, slots=True, kw_only=True)
class Application:
    """A call of a function that Python answers."""

    function: functions.Function
    arguments: tuple[Program, ...]


class Kind(StrEnum):
    """The kinds of loops."""

    GATHER = "map"
    ALL = "all"
    EXISTS = "exists"
    EXISTS_ONE = "exists_one"


@dataclass(frozen=True, slots=True, kw_only=True)
class Repetition:
    """A loop over the items of a list or the keys of a map."""

    kind: Kind
    variable: str
    over: Program
    slots: tuple[Slot, ...]
    # Worked out for every item, before the programs below.
    condition: Program | None
    # Which items to gather; None gathers all.
    body: Program
    # What is gathered, or asked, of an item.
    native: Program | None
    # The same loop over ITEMS as one program, when there are no slots.


@dataclass(frozen=True, slots=True, kw_only=True)
class Slot:
    """Something worked out before a program, and the name that the program reads it by."""

    name: str
    work: Application | Repetition
    label: str
    # How people know it: `json(…)`.
    guarded: bool
    # Inside the first argument of `default`, which must not swallow a limit.


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """An expression, ready to be worked out."""

    slots: tuple[Slot, ...]
    program: Program
    roots: frozenset[str]
    # The names of a run that any part of the plan reads.


def plan(root: Node, environment: cel.Env) -> Plan:
    """Return the plan for *root*; programs are built in *environment*."""
    return _Planner(environment).plan(root)


@dataclass(slots=True, kw_only=True)
class _Body:
    """A body that is being planned: the whole expression, or the inside of a loop."""

    variable: str
    slots: list[Slot] = field(default_factory=list)


class _Planner:
    """Goes through a tree from the inside out, and puts every slot where it belongs."""

    def __init__(self, environment: cel.Env) -> None:
        self._environment = environment
        self._bodies = [_Body(variable="")]
        self._needs: dict[str, frozenset[int]] = {}
        # For each slot, the bodies whose items it depends on, by their depth.
        self._guarded = False

    def plan(self, root: Node) -> Plan:
        program = self._program(self._planned(root))
        roots = {reference.path[0] for reference in analysis.references(root)}
        return Plan(slots=tuple(self._bodies[0].slots), program=program, roots=frozenset(roots))

    # From a node to a node in which slots and rewritten constructs have taken their places

    def _planned(self, node: Node) -> Node:
        match node:
            case Constant() | Name():
                return node
            case Select():
                return replace(node, operand=self._planned(node.operand))
            case Call():
                return self._planned_call(node)
            case ListOf():
                return replace(node, items=self._all_planned(node.items))
            case MapOf():
                entries = tuple((self._planned(key), self._planned(value)) for key, value in node.entries)
                return replace(node, entries=entries)
            case Loop():
                return self._planned_loop(node)

    def _all_planned(self, nodes: Iterable[Node]) -> tuple[Node, ...]:
        return tuple(self._planned(node) for node in nodes)

    def _planned_call(self, call: Call) -> Node:
        if call.function == "default":
            return self._planned_default(*call.arguments)
        target = None if call.target is None else self._planned(call.target)
        call = replace(call, target=target, arguments=self._all_planned(call.arguments))
        function = _ANSWERED.get(call.function)
        if function is not None:
            return self._applied(function, _given(call), call.offset)
        match call:
            case Call(function="glob"):
                text, pattern = _given(call)
                return Call(function="matches", target=text, arguments=(self._expression(pattern),))
            case Call(function="_+_", arguments=(left, right)) if not (_is_number(left) or _is_number(right)):
                return _sum(left, right, call)
            case _:
                return call

    def _planned_default(self, first: Node, second: Node) -> Node:
        outside, self._guarded = self._guarded, True
        held = self._planned(first)
        self._guarded = outside
        missing = _unless_false(Call(function="_==_", arguments=(_HELD, Constant(value=None))))
        return _let(analysis.DEFAULT, held, _choose(missing, self._planned(second), _HELD))

    def _expression(self, pattern: Node) -> Node:
        """Return the regular expression for a glob *pattern*, now when it is written out."""
        match pattern:
            case Constant(value=str(text)) if len(text) <= limits.GLOB_CHARS_MAX:
                return replace(pattern, value=functions.glob_expression(text))
            case _:
                return self._applied(functions.GLOB_EXPRESSION, (pattern,), pattern.offset)

    def _applied(self, function: functions.Function, arguments: tuple[Node, ...], offset: int) -> Name:
        programs = tuple(self._program(argument) for argument in arguments)
        needs = frozenset[int]().union(*(self._needs_of(argument) for argument in arguments))
        return self._slot(Application(function=function, arguments=programs), needs, offset)

    def _slot(self, work: Application | Repetition, needs: frozenset[int], offset: int) -> Name:
        name = f"@{len(self._needs) + 1}"
        self._needs[name] = needs
        label = f"{work.function.name if isinstance(work, Application) else work.kind}(…)"
        slot = Slot(name=name, work=work, label=label, guarded=self._guarded)
        self._bodies[max(needs, default=0)].slots.append(slot)
        return Name(name=name, offset=offset)

    def _needs_of(self, node: Node) -> frozenset[int]:
        """Return the depths of the bodies whose items *node* depends on."""
        roots = {reference.path[0] for reference in analysis.references(node)}
        return frozenset[int]().union(*(self._needs_of_name(root) for root in roots))

    def _needs_of_name(self, name: str) -> frozenset[int]:
        if name in self._needs:
            return self._needs[name]
        depths = (depth for depth, body in enumerate(self._bodies) if body.variable == name)
        return frozenset(list(depths)[-1:])

    # Loops

    def _planned_loop(self, loop: Loop) -> Name:
        over = self._planned(loop.over)
        kind, condition, body = _taken_apart(loop)
        self._bodies.append(_Body(variable=loop.variable))
        condition = None if condition is None else self._planned(condition)
        body = self._planned(body)
        slots = tuple(self._bodies[-1].slots)
        needs = self._needs_of(body) | (frozenset() if condition is None else self._needs_of(condition))
        needs = needs.union(*(self._needs[slot.name] for slot in slots))
        own = len(self._bodies) - 1
        self._bodies.pop()
        work = Repetition(
            kind=kind,
            variable=loop.variable,
            over=self._program(over),
            slots=slots,
            condition=None if condition is None else self._program(condition),
            body=self._program(body),
            native=None if slots else self._program(_native(loop, kind, condition, body)),
        )
        return self._slot(work, self._needs_of(over) | needs - {own}, loop.offset)

    # Programs

    def _program(self, node: Node) -> Program:
        references = analysis.references(node)
        found = tree.static_path(node)
        return Program(
            cel=self._environment.deserialize(tree.write(node)),
            references=references,
            reads=_reads(reference.path for reference in references),
            path=() if found is None or found[2] else found[1],
        )


_ANSWERED: Final = {function.name: function for function in functions.FUNCTIONS}
_HELD: Final = Name(name=analysis.DEFAULT)


def _given(call: Call) -> tuple[Node, ...]:
    return call.arguments if call.target is None else (call.target, *call.arguments)


def _reads(paths: Iterable[tuple[str, ...]]) -> Branch:
    """Return *paths* as a tree; None stands where everything below is read."""
    root: Branch = {}
    for path in paths:
        branch: Branch | None = root
        for word in path[:-1]:
            if branch is None:
                break
            branch = branch.setdefault(word, {})
        if branch is not None and path:
            branch[path[-1]] = None
    return root


# What CEL makes of `all`, `exists`, `exists_one`, `map` and `filter`, taken apart and put together


def _taken_apart(loop: Loop) -> tuple[Kind, Node | None, Node]:
    """Return the kind of *loop*, its condition for gathering, and what it asks or gathers of an item."""
    match loop.step:
        case Call(function="_&&_", arguments=(_, body)):
            return Kind.ALL, None, body
        case Call(function="_||_", arguments=(_, body)):
            return Kind.EXISTS, None, body
        case Call(function="_+_", arguments=(_, ListOf(items=(body,)))):
            return Kind.GATHER, None, body
        case Call(arguments=(condition, Call(arguments=(_, ListOf(items=(body,)))), _)):
            return Kind.GATHER, condition, body
        case Call(arguments=(body, _, _)):
            return Kind.EXISTS_ONE, None, body
        case _:
            raise AssertionError(f"CEL has a loop that this module does not know: {loop.step}")


def _native(loop: Loop, kind: Kind, condition: Node | None, body: Node) -> Loop:
    """Return *loop* over ITEMS, with its planned parts; `exists_one` counts, as items come in pieces."""
    match kind, loop.step:
        case ((Kind.ALL | Kind.EXISTS), Call(arguments=(so_far, _)) as step):
            changed: Call = replace(step, arguments=(so_far, body))
        case Kind.GATHER, Call(function="_+_", arguments=(so_far, _)) as step:
            changed = replace(step, arguments=(so_far, ListOf(items=(body,))))
        case Kind.GATHER, Call(arguments=(_, Call(arguments=(so_far, _)) as gain, same)) as step:
            gain = replace(gain, arguments=(so_far, ListOf(items=(body,))))
            changed = replace(step, arguments=(condition or body, gain, same))
        case Kind.EXISTS_ONE, Call(arguments=(_, count, same)) as step:
            changed = replace(step, arguments=(body, count, same))
        case _:
            raise AssertionError(f"CEL has a loop that this module does not know: {loop.step}")
    result = Name(name=loop.accumulator) if kind is Kind.EXISTS_ONE else loop.result
    return replace(loop, over=Name(name=ITEMS), step=changed, result=result)


# Plain CEL

_LEFT: Final = Name(name="@left")
_RIGHT: Final = Name(name="@right")
_NUMERIC_CALLS: Final = frozenset(
    """
    _-_ _*_ _/_ _%_ -_ size int uint double timestamp duration getDate getDayOfMonth getDayOfWeek getDayOfYear
    getFullYear getHours getMilliseconds getMinutes getMonth getSeconds
    """.split()  # noqa: SIM905 - a line of words reads better
)


def _is_number(node: Node) -> bool:
    match node:
        case Constant(value=int() | float()):
            return True
        case Call(function=function):
            return function in _NUMERIC_CALLS
        case _:
            return False


def _sum(left: Node, right: Node, plus: Call) -> Node:
    sizes = tuple(Call(function="size", arguments=(part,)) for part in (_LEFT, _RIGHT))
    size = Call(function="_+_", arguments=sizes)
    fits = Call(function="_<=_", arguments=(size, Constant(value=limits.RESULT_CHARS_MAX)))
    total = _choose(_unless_false(fits), replace(plus, arguments=(_LEFT, _RIGHT)), Name(name=LIMIT))
    return _let(_LEFT.name, left, _let(_RIGHT.name, right, total))


def _choose(condition: Node, then: Node, otherwise: Node) -> Call:
    return Call(function="_?_:_", arguments=(condition, then, otherwise))


def _unless_false(node: Node) -> Call:
    return Call(function="@not_strictly_false", arguments=(node,))


def _let(name: str, value: Node, body: Node) -> Loop:
    """Work *value* out at most once and hold it as *name* in *body*: a loop over nothing."""
    return Loop(
        variable="@unused",
        over=ListOf(items=()),
        accumulator=name,
        initial=value,
        condition=Constant(value=False),
        step=Name(name=name),
        result=body,
    )
