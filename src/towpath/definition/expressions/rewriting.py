"""Turning the language's own constructs into plain CEL.

CEL's functions are strict: an argument that is an error makes the call an error, so `default(a, b)` cannot
be a function. But CEL has one operator that looks at an error, `@not_strictly_false(x)`: true unless x is
exactly false. So, with `a` worked out once and held under a name,

    default(a, b)   becomes   let d = a in  @not_strictly_false(d == null) ? b : d

which chooses b when `d == null` is true, and when it is an error because d is one.

The same operator puts a price on what is built without changing any result. `+` on texts or lists becomes

    let l = a in let r = b in  @not_strictly_false(@spend_size(size(l) + size(r))) ? l + r : @refused()

where numbers and times have no size, so they pass. Once the budget is broken every loop that pays for
something ends, and the evaluation fails with the limit's name, whatever the expression itself made of the
refusal.

CEL's `map` and `filter` gather their result by `result + [item]`, a copy of the whole list for each item:
ten thousand items would cost gigabytes. They become loops over a number, the ticket of a list that is
gathered aside:

    ticket = @gather();  for each item: ticket = @keep(ticket, item);  @gathered(ticket)

What is gathered from a map follows its sorted keys; CEL's own order changes from one process to the next.
An item that is an error turns the ticket into that error, so errors flow as they would in CEL.

`glob(text, pattern)` becomes `text.matches(@glob_expression(pattern))`, so it runs in RE2, in linear time.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from towpath.definition.expressions import functions
from towpath.definition.expressions.tree import (
    Call,
    Constant,
    ListOf,
    Loop,
    MapOf,
    Name,
    Node,
    Select,
    children,
)

_HELD: Final = "@held"
_LEFT: Final = "@left"
_RIGHT: Final = "@right"
_UNUSED: Final = "@unused"
_NULL: Final = Constant(value=None)
_FALSE: Final = Constant(value=False)
_EMPTY: Final = ListOf(items=())
_RIGHT_NAME: Final = Name(name=_RIGHT)
_CAN_SPEND: Final = Call(function="@can_spend", arguments=())
_REFUSED: Final = Call(function="@refused", arguments=())

_NUMERIC_CALLS: Final = frozenset(
    [
        "_-_",
        "_*_",
        "_/_",
        "_%_",
        "-_",
        "size",
        "int",
        "uint",
        "double",
        "percentile",
        "timestamp",
        "duration",
        "getDate",
        "getDayOfMonth",
        "getDayOfWeek",
        "getDayOfYear",
        "getFullYear",
        "getHours",
        "getMilliseconds",
        "getMinutes",
        "getMonth",
        "getSeconds",
    ]
)
_PYTHON_CALLS: Final = frozenset(function.name for function in functions.FUNCTIONS)
_LIGHT_CALLS: Final = _NUMERIC_CALLS | frozenset(
    [
        "_==_",
        "_!=_",
        "_<_",
        "_<=_",
        "_>_",
        "_>=_",
        "!_",
        "_&&_",
        "_||_",
        "@in",
        "contains",
        "startsWith",
        "endsWith",
        "matches",
        "bool",
    ]
)


def rewrite(root: Node) -> Node:
    """Return *root* in plain CEL; the same object when there was nothing to rewrite."""
    return _rewrite(root, in_loop=False)


def _rewrite(node: Node, *, in_loop: bool) -> Node:
    match node:
        case Constant() | Name():
            return node
        case Select():
            operand = _rewrite(node.operand, in_loop=in_loop)
            return node if operand is node.operand else replace(node, operand=operand)
        case Call():
            return _rewrite_call(node, in_loop=in_loop)
        case ListOf():
            items = tuple(_rewrite_part(item, in_loop=in_loop) for item in node.items)
            return node if _same(items, node.items) else replace(node, items=items)
        case MapOf():
            return _rewrite_map(node, in_loop=in_loop)
        case Loop():
            return _rewrite_loop(node, in_loop=in_loop)


def _rewrite_call(call: Call, *, in_loop: bool) -> Node:  # noqa: PLR0911 - one for each kind
    # What is handed to a function is converted as a whole, so what is built there is paid for like in a loop.
    inside = in_loop or (call.function[0].isalpha() and call.function != "size")
    target = None if call.target is None else _rewrite(call.target, in_loop=inside)
    arguments = tuple(_rewrite(argument, in_loop=inside) for argument in call.arguments)
    if target is not call.target or not _same(arguments, call.arguments):
        call = replace(call, target=target, arguments=arguments)
    match call:
        case Call(function="default", arguments=(first, second)):
            return _default(first, second)
        case Call(function="glob"):
            text, pattern = call.arguments if call.target is None else (call.target, *call.arguments)
            expression = Call(function="@glob_expression", arguments=(pattern,))
            return _match(replace(call, function="matches", target=text, arguments=(expression,)), in_loop)
        case Call(function="matches", target=None, arguments=(text, pattern)):
            return _match(replace(call, target=text, arguments=(pattern,)), in_loop)
        case Call(function="matches"):
            return _match(call, in_loop)
        case Call(function="@in", arguments=(item, container)) if in_loop and not isinstance(
            container, ListOf
        ):
            return _search(container, replace(call, arguments=(item, _RIGHT_NAME)))
        case Call(function="_+_", arguments=(left, right)) if not (_is_number(left) or _is_number(right)):
            return _sum(left, right, call)
        case _:
            return call


def _rewrite_map(node: MapOf, *, in_loop: bool) -> Node:
    entries = tuple(
        (_rewrite_part(key, in_loop=in_loop), _rewrite_part(value, in_loop=in_loop))
        for key, value in node.entries
    )
    unchanged = all(_same(new, old) for new, old in zip(entries, node.entries, strict=True))
    return node if unchanged else replace(node, entries=entries)


def _rewrite_part(node: Node, *, in_loop: bool) -> Node:
    part = _rewrite(node, in_loop=in_loop)
    return _paid(part) if in_loop and not _is_light(part) else part


def _rewrite_loop(loop: Loop, *, in_loop: bool) -> Node:
    over = _rewrite(loop.over, in_loop=in_loop)
    kept = _kept(loop.step)
    if kept is not None and loop.initial == replace(_EMPTY, offset=loop.initial.offset):
        return replace(
            loop,
            over=_in_order(over),
            initial=Call(function="@gather", arguments=()),
            condition=_CAN_SPEND,
            step=kept,
            result=Call(function="@gathered", arguments=(loop.result,)),
        )
    step = _rewrite(loop.step, in_loop=True)
    pays = step is not loop.step or _calls_python(step)
    condition = _and(_CAN_SPEND, loop.condition) if pays else loop.condition
    if over is loop.over and not pays:
        return loop
    return replace(loop, over=over, condition=condition, step=step)


def _in_order(over: Node) -> Node:
    """CEL's maps have no order of their own: what is gathered from one follows its sorted keys."""
    if isinstance(over, ListOf) or (isinstance(over, Loop) and _kept(over.step) is not None):
        return over
    held = Name(name=_HELD)
    return _let(_HELD, over, _choose(_is_map(held), Call(function="@keys", arguments=(held,)), held))


def _kept(step: Node) -> Node | None:
    """Return the *step* of `map` or `filter` with `@keep` for its `+`, or None when it is another loop's."""
    match step:
        case Call(function="_+_", arguments=(Name() as gathered, ListOf(items=(item,)))):
            return Call(function="@keep", arguments=(gathered, _rewrite(item, in_loop=True)))
        case Call(function="_?_:_", arguments=(condition, then, Name() as gathered)):
            kept = _kept(then)
            return None if kept is None else _choose(_rewrite(condition, in_loop=True), kept, gathered)
        case _:
            return None


def _calls_python(node: Node) -> bool:
    if isinstance(node, Call) and node.function in _PYTHON_CALLS:
        return True
    return any(_calls_python(child) for child in children(node))


def _default(first: Node, second: Node) -> Node:
    held = Name(name=_HELD)
    missing = _unless_false(Call(function="_==_", arguments=(held, _NULL)))
    return _let(_HELD, first, _choose(missing, second, held))


def _sum(left: Node, right: Node, plus: Call) -> Node:
    added, to = Name(name=_LEFT), _RIGHT_NAME
    sizes = tuple(Call(function="size", arguments=(part,)) for part in (added, to))
    price = Call(function="@spend_size", arguments=(Call(function="_+_", arguments=sizes),))
    total = replace(plus, arguments=(added, to))
    return _let(_LEFT, left, _let(_RIGHT, right, _choose(_unless_false(price), total, _REFUSED)))


def _match(call: Call, in_loop: bool) -> Node:  # noqa: FBT001 - handed down as it is
    if not in_loop or call.target is None:
        return call
    return _search(call.target, replace(call, target=_RIGHT_NAME))


def _search(within: Node, search: Call) -> Node:
    """Hold *within* for *search*, which is paid for, since a loop repeats it."""
    size = Call(function="size", arguments=(_RIGHT_NAME,))
    if search.function == "@in":
        price = Call(function="@spend_lookups", arguments=(size,))
        allowed = Call(function="_||_", arguments=(_is_map(_RIGHT_NAME), price))
    else:
        allowed = Call(function="@spend_search", arguments=(size,))
    return _let(_RIGHT, within, _choose(_unless_false(allowed), search, _REFUSED))


def _is_map(node: Node) -> Call:
    types = tuple(Call(function="type", arguments=(part,)) for part in (node, MapOf(entries=())))
    return Call(function="_==_", arguments=types)


def _paid(node: Node) -> Node:
    held = Name(name=_HELD)
    return _let(_HELD, node, _choose(Call(function="@spend_value", arguments=(held,)), held, _REFUSED))


def _choose(condition: Node, then: Node, otherwise: Node) -> Call:
    return Call(function="_?_:_", arguments=(condition, then, otherwise))


def _and(first: Node, second: Node) -> Call:
    return Call(function="_&&_", arguments=(first, second))


def _unless_false(node: Node) -> Call:
    return Call(function="@not_strictly_false", arguments=(node,))


def _let(name: str, value: Node, body: Node) -> Loop:
    """Work *value* out at most once and hold it as *name* in *body*: a loop over nothing."""
    return Loop(
        variable=_UNUSED,
        over=_EMPTY,
        accumulator=name,
        initial=value,
        condition=_FALSE,
        step=Name(name=name),
        result=body,
    )


def _is_number(node: Node) -> bool:
    match node:
        case Constant(value=int() | float()):
            return True
        case Call(function=function):
            return function in _NUMERIC_CALLS
        case _:
            return False


def _is_light(node: Node) -> bool:
    """Whether the value of *node* is small whatever it reads, so that nothing has to be paid for it."""
    match node:
        case Constant():
            return True
        case Call(function=function):
            return function in _LIGHT_CALLS
        case _:
            return False


def _same(new: tuple[Node, ...], old: tuple[Node, ...]) -> bool:
    return all(one is other for one, other in zip(new, old, strict=True))
