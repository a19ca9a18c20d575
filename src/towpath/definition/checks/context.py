"""What every check works on: the sound part of a file, laid out step by step, and where problems are told."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from towpath.definition import model, shape
from towpath.definition.actions import ActionCards
from towpath.definition.problems import Problem
from towpath.definition.projects import Project
from towpath.definition.source import DataPath, PathKey, Source, Table
from towpath.definition.triggers import Trigger

HANDLERS = ("catch", "on_failure", "finally", "rollback")
"""Lists of steps that run because of what happened in the body, in the order in which they may."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Place:
    """A step and where it stands."""

    step: model.Step
    path: DataPath
    """The way to it in the file."""
    parent: Place | None
    slot: str
    """The list that it stands in: `steps`, `parallel`, `choose/0/steps`, `catch`, …"""
    index: int
    """Its position in the list, from 0."""
    stand_in: bool
    """Whether the step itself could not be read; nothing more is told about it."""

    @property
    def id(self) -> str | None:
        """The step's id."""
        return self.step.id

    @property
    def kind(self) -> str:
        """The key that says what the step does."""
        return self.step.kind

    def chain(self) -> tuple[Place, ...]:
        """The steps from the outermost one to this one."""
        chain: list[Place] = []
        place: Place | None = self
        while place is not None:
            chain.append(place)
            place = place.parent
        return tuple(reversed(chain))

    def name(self) -> str:
        """What a message calls the step."""
        return f"`{self.id}`" if self.id else f"the `{self.kind}` step"


@dataclass(slots=True, kw_only=True)
class Bench:
    """A file under check: where problems are told, unless all has been said about a place."""

    source: Source
    cut: frozenset[DataPath]
    """Paths about which everything has been said."""
    problems: list[Problem] = field(default_factory=list)

    def tell(
        self,
        name: str,
        message: str,
        path: DataPath,
        *,
        of_key: bool = False,
        help: str = "",  # noqa: A002 - the field's word
    ) -> None:
        """Tell a problem with the value, or the key, at *path*."""
        if self.is_cut(path):
            return
        start, end = self.source.key_span(path) if of_key else self.source.value_span(path)
        self.problems.append(self.source.problem(name, message, start, end, help=help))

    def tell_inside(
        self,
        name: str,
        message: str,
        path: DataPath,
        *,
        offset: int,
        length: int,
        help: str = "",  # noqa: A002 - the field's word
    ) -> None:
        """Tell a problem with some characters of the text at *path*."""
        if self.is_cut(path):
            return
        start, end = self.source.span_inside(path, offset, length)
        self.problems.append(self.source.problem(name, message, start, end, help=help))

    def is_cut(self, path: DataPath) -> bool:
        """Whether everything has been said about what stands at *path*."""
        return bool(self.cut) and any(path[:length] in self.cut for length in range(1, len(path) + 1))


@dataclass(slots=True, kw_only=True)
class Context(Bench):
    """A workflow file under check."""

    workflow: model.Workflow
    stand_ins: Mapping[DataPath, object]
    project: Project | None
    cards: ActionCards | None
    places: tuple[Place, ...] = ()
    by_id: Mapping[str, Place] = field(default_factory=dict)
    """The first step with each id."""
    lost_ids: frozenset[str] = frozenset()
    """Ids inside steps that could not be read; what refers to them is not judged."""
    triggers: tuple[Trigger, ...] = ()
    """The entries of `on` that are sound."""

    def is_lost(self, name: str) -> bool:
        """Whether a step called *name* may exist in a part that could not be read."""
        place = self.by_id.get(name)
        return name in self.lost_ids or (place is not None and place.stand_in)


def open_context(
    source: Source,
    shaped: shape.Shaped[model.Workflow],
    *,
    project: Project | None,
    cards: ActionCards | None,
) -> Context:
    """The context of a file, with every step found; what could not be read is left out."""
    assert shaped.value is not None
    context = Context(
        source=source,
        cut=shaped.cut,
        workflow=shaped.value,
        stand_ins=shaped.stand_ins,
        project=project,
        cards=cards,
        lost_ids=frozenset(found for was in shaped.stand_ins.values() for found in _ids_in(was)),
    )
    context.places = tuple(_places(context, shaped.value, (), None))
    by_id: dict[str, Place] = {}
    for place in context.places:
        if place.id is not None:
            by_id.setdefault(place.id, place)
    context.by_id = by_id
    return context


def _places(
    context: Context, part: model.Workflow | model.Step, path: DataPath, parent: Place | None
) -> Iterator[Place]:
    for slot, steps in part.children():
        list_path = (*path, *slot_path(slot))
        # A single rollback step may stand where a list may: it has no position of its own.
        is_single = slot == "rollback" and isinstance(context.source.find(list_path)[0], Table)
        for index, step in enumerate(steps):
            step_path = list_path if is_single else (*list_path, index)
            place = Place(
                step=step,
                path=step_path,
                parent=parent,
                slot=slot,
                index=index,
                stand_in=step_path in context.stand_ins,
            )
            yield place
            yield from _places(context, step, step_path, place)


def slot_path(slot: str) -> tuple[PathKey, ...]:
    """The keys of a slot: `choose/0/steps` is three of them."""
    return tuple(int(part) if part.isdigit() else part for part in slot.split("/"))


def _ids_in(was: object) -> Iterator[str]:
    if isinstance(was, dict):
        if isinstance(was.get("id"), str):
            yield was["id"]
        for value in was.values():
            yield from _ids_in(value)
    elif isinstance(was, list):
        for value in was:
            yield from _ids_in(value)
