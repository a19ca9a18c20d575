"""What a workflow's own expressions ask of a value that nobody knows before a run.

A step's output is unknown, but only a few of its values can make a difference: those that the workflow's conditions tell apart. A
`Shape` gathers what every expression asks of one unknown value: which literals it is compared with, whether it has to be true or
false, how many items it may have, what is read inside it. `samples` makes values of it.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from towpath.core.run import Json


@dataclass(slots=True, kw_only=True)
class Shape:
    """What is asked of one unknown value."""

    equals: dict[str, Json] = field(default_factory=dict)
    """Literals that it is compared with for equality, by their text."""
    orders: set[float] = field(default_factory=set)
    """Numbers on both sides of what it is compared with for order."""
    sizes: set[int] = field(default_factory=set)
    """Numbers on both sides of what its size is compared with."""
    rivals: set[tuple[str, ...]] = field(default_factory=set)
    """Paths that it is compared with: at its moment, their values are samples."""
    holds: dict[str, Json] = field(default_factory=dict)
    """Literals that it is asked to contain."""
    fields: dict[str, Shape] = field(default_factory=dict)
    """What is read inside it by name."""
    item: Shape | None = None
    """What is asked of its items, where it is a list."""
    json: Shape | None = None
    """What is asked of what it says, where it is JSON text."""
    is_bool: bool = False
    is_number: bool = False
    is_text: bool = False
    is_map_of: bool = False
    """Whether an `each` or a loop goes through it as through a map or a list that nobody knows."""
    numeric_text: bool = False
    """Whether it is text that has to read as a number."""
    is_divisor: bool = False
    is_optional: bool = False
    """Whether an expression is prepared for its absence."""
    varies: bool = False
    """Whether it is compared with another unknown value."""
    words: str = ""
    """A text that is right where any text will not do: a duration, a moment."""
    decides: bool = False
    """Whether what happens depends on it; other values only go into texts."""

    def of(self, name: str) -> Shape:
        """What is asked of the part called *name*."""
        return self.fields.setdefault(name, Shape())

    def items(self) -> Shape:
        """What is asked of its items."""
        if self.item is None:
            self.item = Shape()
        return self.item

    def said(self) -> Shape:
        """What is asked of the value that it says as JSON text."""
        if self.json is None:
            self.json = Shape()
        return self.json

    def equal(self, value: Json) -> None:
        """It is compared with *value*."""
        self.equals.setdefault(repr(value), value)

    def contain(self, value: Json) -> None:
        """It is asked whether it contains *value*."""
        self.holds.setdefault(repr(value), value)

    def absorb(self, other: Shape) -> None:
        """All that is asked of *other* is asked of this value too: it is handed on unchanged."""
        self.equals.update(other.equals)
        self.orders |= other.orders
        self.sizes |= other.sizes
        self.rivals |= other.rivals
        self.holds.update(other.holds)
        for name, inner in other.fields.items():
            self.of(name).absorb(inner)
        if other.item is not None:
            self.items().absorb(other.item)
        if other.json is not None:
            self.said().absorb(other.json)
        self.words = self.words or other.words
        for flag in _FLAGS:
            setattr(self, flag, getattr(self, flag) or getattr(other, flag))


_FLAGS = (
    "is_bool",
    "is_number",
    "is_text",
    "is_map_of",
    "numeric_text",
    "is_divisor",
    "is_optional",
    "varies",
    "decides",
)
