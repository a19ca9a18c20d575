"""What the workflow reads of its own steps: which outputs decide something, who reads whom, and which error kinds are told apart.

Every expression of the plan is walked once. A path such as `steps.scan.outputs.critical` leads to the `Shape` of an unknown value, and
what stands around the path says what is asked of it. What the walk cannot follow (a pattern, a sum of two unknowns) is noted: nothing is
then said of branches that were never taken, since a value that takes them may simply not have been tried.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from towpath.core.plan import Plan, PlanStep
from towpath.core.run import Json
from towpath.definition import expressions, model
from towpath.definition.actions import ActionCards
from towpath.definition.expressions import tree
from towpath.trials.checking.shapes import Shape
from towpath.trials.checking.sources import Owner, Source, sources, templates, whole_expression

A_DURATION = "10m"
A_MOMENT = "2030-01-01T00:00:00Z"


@dataclass(slots=True, kw_only=True)
class Reading:
    """All that the expressions of a plan ask of what nobody knows."""

    outputs: dict[int, Shape] = field(default_factory=dict)
    """By step: its outputs, as those who come later read them."""
    raw: dict[int, Shape] = field(default_factory=dict)
    """By step: what the attempt itself gave, before `outputs` maps anything."""
    checks: dict[int, Shape] = field(default_factory=dict)
    """By step: the outputs of its `check`."""
    inputs: Shape = field(default_factory=Shape)
    event: Shape = field(default_factory=Shape)
    reads_event: bool = False
    error_kinds: dict[Owner, set[str]] = field(default_factory=dict)
    """Kinds that are told apart: by a step's own `retry`, or, under None, by what handles the errors of others."""
    exit_codes: dict[Owner, set[int]] = field(default_factory=dict)
    """Exit codes that are told apart, in the same way."""
    reads_messages: bool = False
    readers: dict[int, set[Owner]] = field(default_factory=dict)
    """By step: whose conditions read its outputs, status or error."""
    text_readers: dict[int, set[Owner]] = field(default_factory=dict)
    """By step: who reads it into texts, where only its presence counts."""
    reads_attempts: set[int] = field(default_factory=set)
    reads_error: set[int] = field(default_factory=set)
    reads_index: bool = False
    reads_items_of: set[int] = field(default_factory=set)
    """Loops whose item or position decides something in their body."""
    index_limit: int = 0
    """The largest number that a position in a loop is compared with."""
    unsure: list[Source] = field(default_factory=list)
    """Conditions that compare what cannot be sampled."""


def read(plan: Plan, cards: ActionCards | None = None) -> Reading:
    """Reads every expression of *plan*."""
    reading = Reading()
    for source in sources(plan):
        _Reader(plan, reading, source).read()
    _hand_on(plan, reading)
    _take_types(plan, reading, cards)
    return reading


# --- reading one expression ---------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _StepView:
    """`steps.build`, or an item's `build`."""

    number: int


@dataclass(frozen=True, slots=True)
class _ItemsView:
    """`steps.fleet.items`."""

    number: int


@dataclass(frozen=True, slots=True)
class _ItemView:
    """One of `steps.fleet.items`."""

    number: int


@dataclass(frozen=True, slots=True)
class _ErrorView:
    """`error`, or a step's `error`."""

    field: str = ""


@dataclass(frozen=True, slots=True)
class _SizeView:
    """The size of an unknown list, map or text."""

    shape: Shape


@dataclass(frozen=True, slots=True)
class _NumberView:
    """The number that an unknown text reads as."""

    shape: Shape


@dataclass(frozen=True, slots=True)
class _KnownView:
    """What the run itself knows: a status, a position, a time."""

    name: str


View: TypeAlias = (
    Shape | _StepView | _ItemsView | _ItemView | _ErrorView | _SizeView | _NumberView | _KnownView | None
)
_ORDERS = frozenset({"_<_", "_<=_", "_>_", "_>=_"})
_FLIPPED = {"_<_": "_>_", "_>_": "_<_", "_<=_": "_>=_", "_>=_": "_<=_"}
_EQUALITIES = frozenset({"_==_", "_!=_"})
_LOGIC = frozenset({"_&&_", "_||_", "!_", "@not_strictly_false"})
_NUMBERS = frozenset({"_+_", "_-_", "_*_", "_/_", "_%_", "-_"})
_SAME_TEXT = frozenset({"trim", "lower", "upper", "lowerAscii", "upperAscii", "string"})
_TEXT_TESTS = frozenset({"startsWith", "endsWith", "contains"})
_PATTERNS = frozenset({"matches", "glob"})


class _Reader:
    """Reads one expression into a reading."""

    def __init__(self, plan: Plan, reading: Reading, source: Source) -> None:
        self._plan = plan
        self._reading = reading
        self._source = source
        self._variables: dict[str, View] = {}
        self._is_unsure = False
        self._follows: set[str] = set()

    def read(self) -> None:
        """Reads it."""
        self._visit(expressions.syntax_of(self._source.text), wants_bool=self._source.is_condition)
        if self._source.key[:1] == ("each",):
            self._go_through()
        if self._source.key[:1] == ("wait",) and not self._source.is_condition:
            self._wait_for()
        if self._is_unsure and self._source.weight == "decides":
            self._reading.unsure.append(self._source)

    def _go_through(self) -> None:
        """The expression gives the items of a loop."""
        view = self.resolve(expressions.syntax_of(self._source.text))
        if isinstance(view, Shape):
            view.is_map_of = True
            self._decided(view)

    def _wait_for(self) -> None:
        """The expression gives a duration, or a moment."""
        view = self.resolve(expressions.syntax_of(self._source.text))
        if isinstance(view, Shape):
            view.words = A_MOMENT if self._source.key[1:] == ("until",) else A_DURATION
        self._is_unsure = self._is_unsure or not isinstance(view, Shape) or not self._source.is_whole

    def _visit(self, node: tree.Node, *, wants_bool: bool = False) -> None:
        match node:
            case tree.Call(function=name) if name in _LOGIC:
                for part in node.arguments:
                    self._visit(part, wants_bool=True)
            case tree.Call(function="_?_:_", arguments=(condition, yes, no)):
                self._visit(condition, wants_bool=True)
                self._visit(yes, wants_bool=wants_bool)
                self._visit(no, wants_bool=wants_bool)
            case tree.Call(function=name, arguments=(left, right)) if name in _EQUALITIES | _ORDERS:
                self._compare(name, left, right)
            case tree.Call(function="@in", arguments=(value, holder)):
                self._contained(value, holder)
            case tree.Call(function=name) if name in _TEXT_TESTS | _PATTERNS:
                self._text_test(node)
            case tree.Call(function=name) if name in _NUMBERS:
                self._arithmetic(node)
            case tree.Loop():
                self._loop(node)
            case _:
                self._leaf(node, wants_bool=wants_bool)

    def _leaf(self, node: tree.Node, *, wants_bool: bool) -> None:
        view = self.resolve(node)
        if isinstance(view, Shape):
            view.is_bool = view.is_bool or wants_bool
            self._decided(view)
        elif view is None:
            if wants_bool and isinstance(node, tree.Call):
                self._is_unsure = True
            for part in tree.children(node):
                self._visit(part)

    def _decided(self, shape: Shape) -> None:
        if self._source.weight == "decides":
            shape.decides = True

    def _compare(self, operator: str, left: tree.Node, right: tree.Node) -> None:
        for value, other, order in ((left, right, operator), (right, left, _FLIPPED.get(operator, operator))):
            view, literal = self.resolve(value), _literal(other)
            if literal is not None and view is not None:
                self._compare_with(view, order, literal.value)
                return
        for side, other in ((left, right), (right, left)):
            self._compare_side(side, other)

    def _compare_side(self, side: tree.Node, other: tree.Node) -> None:
        """One side of a comparison of two things that nobody knows beforehand."""
        view = self.resolve(side)
        rival = tree.static_path(other)
        match view:
            case Shape():
                self._rival(view, rival[1] if rival is not None else ())
            case _NumberView(shape):
                shape.numeric_text = shape.varies = True
                self._decided(shape)
            case _SizeView(shape):
                shape.sizes |= {0, 1}
                self._decided(shape)
            case None if not isinstance(side, tree.Constant) and _literal(side) is None:
                self._visit(side)
                self._is_unsure = True
            case _:
                return

    def _rival(self, shape: Shape, path: tuple[str, ...]) -> None:
        if path and path[0] in ("inputs", "vars", "steps"):
            shape.rivals.add(path)
        is_input = any(shape is one for one in self._reading.inputs.fields.values())
        shape.varies = shape.varies or not is_input or path[:1] == ("inputs",)
        self._decided(shape)

    def _compare_with(self, view: View, operator: str, literal: Json) -> None:
        match view:
            case Shape():
                if operator in _ORDERS and isinstance(literal, int | float):
                    view.orders |= _sides(operator, literal)
                    view.is_number = True
                else:
                    view.equal(literal)
                self._decided(view)
            case _SizeView(shape):
                if isinstance(literal, int):
                    shape.sizes |= {int(side) for side in _sides(operator, literal)}
                self._decided(shape)
            case _NumberView(shape):
                if isinstance(literal, int | float):
                    shape.orders |= _sides(operator, literal)
                shape.numeric_text = True
                self._decided(shape)
            case _ErrorView(field=name):
                self._error_literal(name, literal)
            case _KnownView(name="index") if isinstance(literal, int):
                self._reading.index_limit = max(self._reading.index_limit, literal + 2)
            case _:
                return

    def _error_literal(self, name: str, literal: Json) -> None:
        whose = self._source.owner if self._source.key[:1] == ("retry",) else None
        if name == "kind" and isinstance(literal, str):
            self._reading.error_kinds.setdefault(whose, set()).add(literal)
        elif name == "exit_code" and isinstance(literal, int):
            self._reading.exit_codes.setdefault(whose, set()).add(literal)
        elif name in ("message", "step"):
            self._reading.reads_messages = True
            self._is_unsure = self._is_unsure or name == "message"

    def _contained(self, value: tree.Node, holder: tree.Node) -> None:
        inner, literal = self.resolve(value), _literal(value)
        if isinstance(holder, tree.ListOf) and inner is not None:
            for item in holder.items:
                found = _literal(item)
                if found is not None:
                    self._compare_with(inner, "_==_", found.value)
            return
        outer = self.resolve(holder)
        if isinstance(outer, Shape):
            self._decided(outer)
            if literal is not None:
                outer.contain(literal.value)
                return
            outer.is_map_of = True
        if isinstance(inner, Shape):
            inner.varies = True
            self._decided(inner)
        self._is_unsure = True

    def _text_test(self, call: tree.Call) -> None:
        given = call.arguments if call.target is None else (call.target, *call.arguments)
        view = self.resolve(given[0])
        literal = _literal(given[1]) if len(given) > 1 else None
        if isinstance(view, Shape):
            view.is_text = True
            self._decided(view)
            if literal is not None and call.function in _TEXT_TESTS:
                view.contain(literal.value)
                return
        self._is_unsure = True
        for part in given:
            self._visit(part)

    def _arithmetic(self, call: tree.Call) -> None:
        for position, part in enumerate(call.arguments):
            view = self.resolve(part)
            is_text = any(
                isinstance(other, tree.Constant) and isinstance(other.value, str) for other in call.arguments
            )
            if isinstance(view, Shape):
                view.is_number = view.is_number or not is_text
                view.is_text = view.is_text or is_text
                view.is_divisor = view.is_divisor or (call.function in ("_/_", "_%_") and position == 1)
                self._decided(view)
            elif isinstance(view, _NumberView):
                view.shape.numeric_text = True
                view.shape.is_divisor = view.shape.is_divisor or (
                    call.function in ("_/_", "_%_") and position == 1
                )
                self._decided(view.shape)
            else:
                self._visit(part)

    def _loop(self, loop: tree.Loop) -> None:
        over = self.resolve(loop.over)
        item: View = None
        match over:
            case Shape():
                over.is_map_of = True
                self._decided(over)
                item = over.items()
            case _ItemsView(number):
                item = _ItemView(number)
            case _:
                self._visit(loop.over)
        before = self._variables
        self._variables = {**before, loop.variable: item, loop.accumulator: _KnownView("accumulator")}
        for part in (loop.initial, loop.condition, loop.step):
            self._visit(
                part,
                wants_bool=isinstance(loop.initial, tree.Constant) and isinstance(loop.initial.value, bool),
            )
        self._visit(loop.result)
        self._variables = before

    # Paths.

    def resolve(self, node: tree.Node) -> View:
        """The unknown value that *node* names; None where it is no path."""
        match node:
            case tree.Name(name=name):
                return self._root(name)
            case tree.Select(operand=operand, field=name, tested=tested):
                view = self._part(self.resolve(operand), name)
                if tested and isinstance(view, Shape):
                    view.is_optional = True
                return view
            case tree.Call(function="_[_]", arguments=(operand, index)):
                return self._indexed(self.resolve(operand), index)
            case tree.Call():
                return self._called(node)
            case _:
                return None

    def _called(self, call: tree.Call) -> View:  # noqa: PLR0911 - one answer for each function
        given = call.arguments if call.target is None else (call.target, *call.arguments)
        view = self.resolve(given[0]) if given else None
        match call.function, view:
            case "size", Shape():
                return _SizeView(view)
            case "size", _ if view is not None:
                return _KnownView("size")
            case "json", Shape():
                return view.said()
            case "int" | "double", Shape():
                return _as_number(view)
            case "default", _:
                return _with_default(view, _literal(given[1]) if len(given) > 1 else None)
            case name, Shape() if name in _SAME_TEXT:
                view.is_text = view.is_text or name != "string"
                return view
            case name, _ if name in _SAME_TEXT:
                return view
            case _:
                return None

    def _indexed(self, view: View, index: tree.Node) -> View:
        literal = _literal(index)
        if literal is not None and isinstance(literal.value, str):
            return self._part(view, literal.value)
        match view:
            case Shape():
                self._decided(view)
                return view.items()
            case _ItemsView(number):
                return _ItemView(number)
            case _:
                return None

    def _part(self, view: View, name: str) -> View:  # noqa: PLR0911 - one answer for each kind of view
        match view:
            case Shape():
                return view.of(name)
            case _KnownView(name="steps"):
                return self._step(name)
            case _KnownView(name="inputs"):
                return self._reading.inputs.of(name)
            case _KnownView(name="vars"):
                return self._variable(name)
            case _StepView(number):
                return self._of_step(number, name)
            case _ItemView(number):
                return self._of_item(number, name)
            case _ErrorView(field=""):
                return self._of_error(name)
            case _KnownView():
                return _KnownView(name)
            case _:
                return None

    def _of_error(self, name: str) -> View:
        if name == "outputs":
            self._is_unsure = True
            return None
        return _ErrorView(name)

    def _root(self, name: str) -> View:  # noqa: PLR0911 - one answer for each name
        if name in self._variables:
            return self._variables[name]
        owner = self._source.owner
        match name:
            case "steps" | "inputs" | "vars" | "run" | "status":
                return _KnownView(name)
            case "event" if self._source.key[:1] == ("wait",) and owner is not None:
                return self._outputs(owner)
            case "event":
                self._reading.reads_event = True
                return self._reading.event
            case "error" | "step":
                return _ErrorView() if name == "error" else _KnownView("step")
            case "index":
                self._reads_loop(owner)
                self._reading.reads_index = self._reading.reads_index or self._source.weight == "decides"
                return _KnownView("index")
            case "outputs" | "stdout" if owner is not None and self._source.is_after:
                shape = self._own(owner)
                return shape if name == "outputs" else shape.of("stdout")
            case _:
                return self._item(name)

    def _own(self, owner: int) -> Shape:
        """`outputs` in a step's own keys: what its attempt, or its check, gave."""
        if self._source.key[:1] == ("check",):
            return self._reading.checks.setdefault(owner, Shape())
        step = self._plan[owner].step
        if step is not None and isinstance(step.outputs, Mapping):
            return self._reading.raw.setdefault(owner, Shape())
        return self._outputs(owner)

    def _outputs(self, number: int) -> Shape:
        return self._reading.outputs.setdefault(number, Shape())

    def _step(self, name: str) -> View:
        planned = self._plan.by_id.get(name)
        return None if planned is None else _StepView(planned.number)

    def _of_step(self, number: int, name: str) -> View:
        self._note_reader(number)
        match name:
            case "outputs":
                return self._outputs(number)
            case "items":
                return _ItemsView(number)
            case "error":
                self._reading.reads_error.add(number)
                return _ErrorView()
            case "attempts":
                self._reading.reads_attempts.add(number)
                return _KnownView(name)
            case _:
                return _KnownView(name)

    def _of_item(self, number: int, name: str) -> View:
        inner = next((one for one in self._plan[number].lists.get("steps", ()) if one.key == name), None)
        if inner is None:
            self._note_reader(number)
            return _KnownView(name)
        return _StepView(inner.number)

    def _note_reader(self, number: int) -> None:
        decides = self._source.weight == "decides"
        readers = self._reading.readers if decides else self._reading.text_readers
        readers.setdefault(number, set()).add(self._source.owner)

    def _variable(self, name: str) -> View:
        """`vars.x`: what the variable itself is made of, where it is one whole expression."""
        value = self._plan.workflow.vars.get(name)
        if name in self._follows or not isinstance(value, str) or "${{" not in value:
            return _KnownView(name) if value is not None else None
        expression = whole_expression(value)
        if expression is None:
            self._is_unsure = True
            return _KnownView(name)
        self._follows.add(name)
        made_of = expressions.syntax_of(expression)
        view = self.resolve(made_of)
        if view is None:
            self._visit(made_of, wants_bool=True)
            return _KnownView(name)
        return view

    def _item(self, name: str) -> View:
        """The `as` name of a loop around the step."""
        planned = None if self._source.owner is None else self._plan[self._source.owner]
        while planned is not None and planned.number >= 0:
            step = planned.step
            if isinstance(step, model.EachStep) and step.as_ == name:
                self._reads_loop(planned.number)
                return self._items_of(planned)
            planned = planned.parent
        return None

    def _reads_loop(self, number: Owner) -> None:
        """The item, or the position, of a loop decides something: its items are not alike."""
        if self._source.weight != "decides" or number is None:
            return
        planned: PlanStep | None = self._plan[number]
        while planned is not None and planned.number >= 0:
            if planned.kind == "each":
                self._reading.reads_items_of.add(planned.number)
            planned = planned.parent

    def _items_of(self, planned: PlanStep) -> View:
        step = planned.step
        assert isinstance(step, model.EachStep)
        expression = whole_expression(step.each)
        if expression is None:
            return _KnownView("item")
        source = Source(text=expression, owner=planned.number, key=("each",), weight=self._source.weight)
        view = _Reader(self._plan, self._reading, source).resolve(expressions.syntax_of(expression))
        return view.items() if isinstance(view, Shape) else _KnownView("item")


def _as_number(shape: Shape) -> View:
    """The number that an unknown value reads as; it is text, unless it is a number already."""
    if shape.is_number and not shape.numeric_text:
        return shape
    shape.numeric_text = True
    return _NumberView(shape)


def _with_default(view: View, literal: tree.Constant | None) -> View:
    """The value, for whose absence the expression is prepared."""
    if isinstance(view, Shape):
        view.is_optional = True
        if literal is not None and literal.value is not None:
            view.equal(literal.value)
    return view


def _sides(operator: str, limit: float) -> set[float]:
    """Numbers on both sides of what a comparison decides."""
    if operator in ("_>=_", "_<_"):
        return {limit - 1, limit}
    return {limit, limit + 1}


def _literal(node: tree.Node) -> tree.Constant | None:
    """A literal, lists and negative numbers included."""
    match node:
        case tree.Constant():
            return node
        case tree.Call(function="-_", arguments=(tree.Constant(value=int() | float() as value),)):
            return tree.Constant(value=-value)
        case tree.ListOf(items=items):
            values = [_literal(item) for item in items]
            if all(value is not None for value in values):
                return tree.Constant(value=[v.value for v in values if v is not None])  # type: ignore[arg-type] # a list of literals stands for one
            return None
        case _:
            return None


# --- after reading ------------------------------------------------------------------------------------------


def _hand_on(plan: Plan, reading: Reading) -> None:
    """What is asked of a mapped output is asked of what it is made of."""
    for planned in plan.steps:
        step = planned.step
        if step is None or not isinstance(step.outputs, Mapping):
            continue
        asked = reading.outputs.get(planned.number)
        for name, text in step.outputs.items():
            shape = asked.fields.get(name) if asked is not None else None
            if shape is not None:
                _hand_to(plan, reading, planned, text, shape)


def _hand_to(plan: Plan, reading: Reading, planned: PlanStep, text: str, shape: Shape) -> None:
    for source in templates(text, planned.number, ("outputs",), is_after=True):
        reader = _Reader(plan, reading, source)
        match reader.resolve(expressions.syntax_of(source.text)):
            case Shape() as made_of:
                made_of.absorb(shape)
            case _NumberView(made_of):
                made_of.orders |= shape.orders
                made_of.orders |= {v for v in shape.equals.values() if isinstance(v, int | float)}
                made_of.decides = made_of.decides or shape.decides
            case _:
                if shape.decides:
                    reading.unsure.append(source)


def _take_types(plan: Plan, reading: Reading, cards: ActionCards | None) -> None:
    """Types that are declared: the outputs of scripts are texts."""
    for planned in plan.steps:
        step = planned.step
        if isinstance(step, model.RunStep):
            mapped = isinstance(step.outputs, Mapping)
            shape = (reading.raw if mapped else reading.outputs).get(planned.number)
            for name, inner in (shape.fields if shape is not None else {}).items():
                if name not in ("json", "exit_code"):
                    inner.is_text = True
    _ = cards
