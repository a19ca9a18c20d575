"""Names of a test, looked up in the workflow that it tests, and problems told where they stand in the file."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from towpath.core import flow, rollback
from towpath.core.blocks import leaf
from towpath.core.plan import PlanStep
from towpath.definition import model
from towpath.definition.checks.people import unknown_principal
from towpath.definition.problems import DefinitionProblems, Problem, did_you_mean, listed
from towpath.definition.source import DataPath, Source
from towpath.errors import TowpathError
from towpath.trials.testing import addresses
from towpath.trials.testing.addresses import CHILD, GATE
from towpath.trials.testing.bench import Bench, Piece

SCRIPTED = ("run", "uses", "workflow")
"""Kinds of steps whose results a test says."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What an address means."""

    piece: Piece
    local: str
    steps: tuple[PlanStep, ...]
    """Empty for the gate of an environment."""

    @property
    def choices(self) -> tuple[str, ...]:
        """What may be answered there; empty where nobody is asked."""
        if not self.steps:
            is_gate = self.local.startswith(GATE)
            return ("approve", "reject") if is_gate else rollback.ROLLBACK_CHOICES
        return tuple(dict.fromkeys(choice for planned in self.steps for choice in _choices_of(planned)))


class Lookup:
    """One file on its way through the checks."""

    def __init__(self, source: Source, cut: frozenset[DataPath], bench: Bench) -> None:
        self.problems: list[Problem] = []
        self.bench = bench
        self._source = source
        self._cut = cut
        self._broken: set[str] = set()

    def piece(self, name: str, at: DataPath) -> Piece | None:
        """The workflow of this name; tells where there is none, or where it does not load."""
        if name in self._broken:
            return None
        try:
            return self.bench.piece(name)
        except DefinitionProblems as broken:
            self._broken.add(name)
            self.problems.extend(broken.problems)
        except TowpathError:
            self._broken.add(name)
            known = self.bench.project.workflows
            self.tell(
                "unknown-workflow",
                f"the project has no workflow `{name}`",
                at,
                help=did_you_mean(name, known),
            )
        return None

    def find(
        self, piece: Piece, address: str, at: DataPath, *, gates: bool = False, of_value: bool = False
    ) -> Found | None:
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
            return Found(piece=piece, local=head, steps=addresses.find(piece.plan, head))
        self._tell_unknown(piece, head, at, of_value=of_value)
        return None

    def _called(self, piece: Piece, address: str, at: DataPath, *, of_value: bool) -> Piece | None:
        for planned in addresses.find(piece.plan, address):
            if isinstance(planned.step, model.WorkflowStep):
                return self.piece(planned.step.workflow, at)
        if addresses.is_known(address, piece.addresses):
            self.tell_at(
                "unknown-step", f"`{address}` starts no other workflow", at, address, of_value=of_value
            )
        else:
            self._tell_unknown(piece, address, at, of_value=of_value)
        return None

    def _gate(self, piece: Piece, address: str, at: DataPath, *, of_value: bool) -> Found | None:
        name = address.removeprefix(GATE)
        known = self.bench.project.file.environments
        if name in known:
            return Found(piece=piece, local=address, steps=())
        self.tell_at(
            "unknown-environment",
            f"the project has no environment `{name}`",
            at,
            address,
            of_value=of_value,
            help=did_you_mean(name, known),
        )
        return None

    def check_person(self, principal: str, at: DataPath, *, must_be_user: bool = True) -> None:
        """Tells a person, a group or a rota that the project does not have."""
        if must_be_user and not principal.startswith("user:"):
            self.tell(
                "bad-format", f"`{principal}` is no person", at, help="one person does it: write user:NAME"
            )
            return
        unknown = unknown_principal(self.bench.project.file.people, principal)
        if unknown is not None:
            self.tell("unknown-principal", unknown[0], at, help=unknown[1])

    def _tell_unknown(self, piece: Piece, address: str, at: DataPath, *, of_value: bool) -> None:
        self.tell_at(
            "unknown-step",
            f"`{piece.workflow.name}` has no step `{address}`",
            at,
            address,
            of_value=of_value,
            help=did_you_mean(
                address,
                piece.addresses,
                otherwise=f"its steps: {listed(piece.plan.by_id) or 'they have no ids'}",
            ),
        )

    def tell_at(
        self,
        name: str,
        message: str,
        at: DataPath,
        word: str,
        *,
        of_value: bool,
        help: str = "",  # noqa: A002
    ) -> None:
        """Tells a problem with a key, or with a word of a value."""
        if of_value:
            self.tell_word(name, message, at, word, help=help)
        else:
            self.tell(name, message, at, of_key=True, help=help)

    def tell_word(self, name: str, message: str, at: DataPath, word: str, *, help: str = "") -> None:  # noqa: A002
        """A problem with one word of a text."""
        node, _ = self._source.find(at)
        text = getattr(node, "text", "")
        offset = text.find(word) if isinstance(text, str) else -1
        if offset < 0:
            self.tell(name, message, at, help=help)
        elif not self.is_cut(at):
            span = self._source.span_inside(at, offset, len(word))
            self.problems.append(self._source.problem(name, message, *span, help=help))

    def tell(
        self,
        name: str,
        message: str,
        at: DataPath,
        *,
        of_key: bool = False,
        help: str = "",  # noqa: A002
    ) -> None:
        """Tells a problem with a key, or with the value at a path."""
        if self.is_cut(at):
            return
        span = self._source.key_span(at) if of_key else self._source.value_span(at)
        self.problems.append(self._source.problem(name, message, *span, help=help))

    def is_cut(self, at: DataPath) -> bool:
        """Whether everything has been said about a path already."""
        return any(at[:length] in self._cut for length in range(1, len(at) + 1))


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
