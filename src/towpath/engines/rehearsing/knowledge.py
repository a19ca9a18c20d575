"""What is known before a run, or in the middle of one, about the values that its expressions will read.

The idea. A name is *known* (an input), known *as things are now* (what a look at the world found after earlier steps would have changed
it), or known only *later* (what a script will print). A text is worked out as far as it can be; what is left stays as it was written,
so that `1.2.0-${{ run.id }}` shows exactly what is missing. A condition is worked out by the rules of CEL, where `false && unknown` is
false: it holds, it does not, or it depends on names that are listed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final

from towpath.core import names
from towpath.core.plan import PlanStep
from towpath.core.run import Json, Path, Run, SecretUse
from towpath.core.values import At, Condition, Reference
from towpath.definition import expressions
from towpath.definition.expressions.values import as_text
from towpath.errors import ExpressionError

_ABSENCE_COUNTS: Final = ("has(", "default(")
"""Functions to which a missing name is an answer: with them, nothing can be worked out of a part of the names."""
_RUN_KNOWN_BEFORE: Final = frozenset({"workflow", "started_by", "environment"})
_RUN_NEVER_KNOWN: Final = frozenset({"status"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Foreseen:
    """What is foreseen of a step, for those that read it later."""

    outputs: Mapping[str, Json] = field(default_factory=dict)
    is_whole: bool = True
    """Whether it will have no other outputs."""
    status: str | None = "succeeded"
    is_firm: bool = True
    """Whether it stays so until the step runs; else it is so as things are now."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Loop:
    """The item, or the round, in which an expression stands."""

    name: str
    value: Json = None
    index: int | None = None
    is_known: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Sketch:
    """A value as far as it can be worked out."""

    shown: Json
    """For people: unknown parts as they were written, secrets by name."""
    filled: Json = None
    """For use: complete but for secrets, when nothing is left for *later*."""
    secrets: tuple[SecretUse, ...] = ()
    later: tuple[str, ...] = ()
    is_firm: bool = True
    problem: str = ""
    """Why the value cannot be worked out, whatever the run does."""

    @property
    def is_known(self) -> bool:
        """Whether the value can be used."""
        return not self.later and not self.problem


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """Whether a condition holds."""

    holds: bool | None
    """None: it depends on what is only known later."""
    later: tuple[str, ...] = ()
    is_firm: bool = True
    problem: str = ""


class Knowledge:
    """The names of one run, in the order in which its rehearsal comes to know them."""

    def __init__(
        self, run: Run, *, base: Path = "", is_live: bool = False, unknown_inputs: Iterable[str] = ()
    ) -> None:
        self._run = run
        self._base = base
        self._is_live = is_live
        self._unknown_inputs = frozenset(unknown_inputs)
        self._foreseen: dict[str, Foreseen] = {}
        self._hidden: set[str] = set()
        self._loops: list[Loop] = []
        self._is_shaky = False
        self._takers: Mapping[str, Callable[[Reference, _Known], None]] = {
            "inputs": self._take_inputs,
            "vars": self._take_vars,
            "run": self._take_run,
            "event": self._take_event,
            "steps": self._take_steps,
            "error": self._take_later,
            "step": self._take_later,
        }
        self._vars: dict[str, Sketch] = (
            {} if is_live else {name: self.sketch(raw) for name, raw in run.plan.workflow.vars.items()}
        )

    def learn(self, planned: PlanStep, foreseen: Foreseen) -> None:
        """From here on this is known of a step."""
        if planned.step is not None and planned.step.id is not None:
            self._hidden.discard(planned.step.id)
            self._foreseen[planned.step.id] = foreseen

    def forget(self, planned: PlanStep) -> None:
        """What the step will be is not known, whatever an earlier run of it was."""
        if planned.step is not None and planned.step.id is not None:
            self._foreseen.pop(planned.step.id, None)
            self._hidden.add(planned.step.id)

    @contextmanager
    def aside(self) -> Iterator[None]:
        """What is learnt inside is known inside only: it may not happen, or happen several times."""
        before = dict(self._foreseen)
        try:
            yield
        finally:
            self._hidden |= self._foreseen.keys() - before.keys()
            self._foreseen = before

    @contextmanager
    def within(self, loop: Loop) -> Iterator[None]:
        """Inside one item or round."""
        self._loops.append(loop)
        try:
            with self.aside():
                yield
        finally:
            self._loops.pop()

    @contextmanager
    def afterwards(self) -> Iterator[None]:
        """In a handler: how the steps before ended is not known, and some may not have run."""
        before, self._is_shaky = self._is_shaky, True
        try:
            with self.aside():
                yield
        finally:
            self._is_shaky = before

    # --- conditions -----------------------------------------------------------------------------------------

    def judge(self, condition: Condition, extra: Mapping[str, Json] | None = None) -> Judgement:
        """Whether a condition holds, as far as it can be known."""
        known = self._gather(condition.references, extra)
        if known.later and any(word in condition.source for word in _ABSENCE_COUNTS):
            return Judgement(holds=None, later=known.later)
        try:
            return Judgement(holds=condition.holds(known.values), is_firm=known.is_firm)
        except ExpressionError as problem:
            if known.later:
                return Judgement(holds=None, later=known.later)
            return Judgement(holds=None, is_firm=known.is_firm, problem=problem.message)

    # --- values ---------------------------------------------------------------------------------------------

    def sketch(self, raw: Json, extra: Mapping[str, Json] | None = None) -> Sketch:
        """A JSON value with expressions in it, worked out as far as it can be."""
        drawing = _Drawing(self, extra)
        shown, filled = drawing.draw(raw, ())
        return Sketch(
            shown=shown,
            filled=filled,
            secrets=tuple(drawing.secrets),
            later=tuple(dict.fromkeys(drawing.later)),
            is_firm=drawing.is_firm,
            problem=drawing.problem,
        )

    def value_of(
        self, expression: expressions.Expression, extra: Mapping[str, Json] | None
    ) -> tuple[Json, tuple[str, ...], bool]:
        """The value of an expression, what is missing for it, and whether it is firm; raises ExpressionError."""
        known = self._gather((reference.path for reference in expression.references), extra)
        if known.later:
            return None, known.later, known.is_firm
        return expression.evaluate(known.values), (), known.is_firm

    def sketched_var(self, source: str) -> Sketch | None:
        """What is known of `vars.NAME`, where an expression is nothing but that."""
        root, _, name = source.partition(".")
        return self._vars.get(name) if root == "vars" else None

    # --- names ----------------------------------------------------------------------------------------------

    def _gather(self, references: Iterable[Reference], extra: Mapping[str, Json] | None) -> _Known:
        known = _Known()
        for reference in references:
            if extra is not None and reference[0] in extra:
                known.values[reference[0]] = extra[reference[0]]
            else:
                self._take(reference, known)
        return known

    def _take(self, reference: Reference, known: _Known) -> None:
        root = reference[0]
        take = self._takers.get(root)
        if take is not None:
            take(reference, known)
        elif not self._take_item(root, known):
            self._take_real(reference, known)

    def _take_inputs(self, reference: Reference, known: _Known) -> None:
        name = reference[1] if len(reference) > 1 else None
        if name in self._unknown_inputs or (name is None and self._unknown_inputs):
            known.miss(reference[:2])
        else:
            known.put("inputs", name, self._run.inputs)

    def _take_vars(self, reference: Reference, known: _Known) -> None:
        if self._is_live:
            known.put("vars", reference[1] if len(reference) > 1 else None, self._run.vars)
            return
        wanted = [reference[1]] if len(reference) > 1 else list(self._vars)
        for name in wanted:
            sketch = self._vars.get(name)
            if sketch is None:
                continue
            if sketch.is_known:
                known.put("vars", name, {name: sketch.filled})
            else:
                known.later += sketch.later or (f"vars.{name}",)

    def _take_run(self, reference: Reference, known: _Known) -> None:
        name = reference[1] if len(reference) > 1 else None
        is_known = name not in _RUN_NEVER_KNOWN if self._is_live else name in _RUN_KNOWN_BEFORE
        if name is None or not is_known:
            known.miss(reference[:2])
        elif self._is_live:
            self._take_real(reference, known)
        else:
            run = self._run
            told = {
                "workflow": run.plan.workflow.name,
                "started_by": run.started_by,
                "environment": run.environment,
            }
            known.put("run", name, told)

    def _take_event(self, _reference: Reference, known: _Known) -> None:
        known.values["event"] = self._run.event

    def _take_later(self, reference: Reference, known: _Known) -> None:
        known.miss(reference[:2])

    def _take_steps(self, reference: Reference, known: _Known) -> None:
        if len(reference) == 1:
            known.miss(reference)
            return
        foreseen = self._foreseen.get(reference[1])
        if foreseen is not None:
            self._take_foreseen(reference, foreseen, known)
        elif self._is_live and reference[1] not in self._hidden and self._has_ended(reference[1]):
            self._take_real(reference, known)
        else:
            known.miss(reference)

    def _take_foreseen(self, reference: Reference, foreseen: Foreseen, known: _Known) -> None:
        field_name = reference[2] if len(reference) > 2 else None  # noqa: PLR2004 - steps.ID.FIELD
        view = known.values.setdefault("steps", {}).setdefault(reference[1], {})
        known.is_firm = known.is_firm and foreseen.is_firm and not self._is_shaky
        if field_name == "status" and foreseen.status is not None:
            view["status"] = foreseen.status
        elif field_name == "decided":
            view["decided"] = "decision" in foreseen.outputs
        elif field_name == "outputs" and _has_output(reference, foreseen):
            view["outputs"] = dict(foreseen.outputs)
        else:
            known.miss(reference)

    def _has_ended(self, step: str) -> bool:
        planned = self._run.plan.by_id.get(step)
        path = None if planned is None else names.dynamic_path(self._run, self._base, planned)
        node = None if path is None else self._run.nodes.get(path)
        return node is not None and not node.is_open and node.status != "reset"

    def _take_item(self, root: str, known: _Known) -> bool:
        for loop in reversed(self._loops):
            if root in (loop.name, "index"):
                if root == "index" and loop.index is not None:
                    known.values[root] = loop.index
                elif root == loop.name and loop.is_known:
                    known.values[root] = loop.value
                else:
                    known.miss((root,))
                return True
        return False

    def _take_real(self, reference: Reference, known: _Known) -> None:
        """What the run itself knows, in its middle."""
        try:
            found = names.names_for(self._run, self._base, (reference,))
        except ExpressionError:
            known.miss(reference)
            return
        _merge(known.values, found)


def _has_output(reference: Reference, foreseen: Foreseen) -> bool:
    """Whether what is read of the outputs is there, or is known to be missing."""
    if foreseen.is_whole:
        return True
    return len(reference) > 3 and reference[3] in foreseen.outputs  # noqa: PLR2004 - steps.ID.outputs.NAME


@dataclass(slots=True)
class _Known:
    """The names of one expression, as far as they are known."""

    values: dict[str, Any] = field(default_factory=dict)
    later: tuple[str, ...] = ()
    is_firm: bool = True

    def put(self, root: str, name: str | None, source: Mapping[str, Json]) -> None:
        """Takes one value of a map, or all of it."""
        part = self.values.setdefault(root, {})
        if name is None:
            part.update(source)
        elif name in source:
            part[name] = source[name]

    def miss(self, reference: Reference) -> None:
        """A name that is known later."""
        self.later += (".".join(reference),)


def _merge(into: dict[str, Any], found: Mapping[str, Json]) -> None:
    for key, value in found.items():
        there = into.get(key)
        if isinstance(there, dict) and isinstance(value, Mapping):
            _merge(there, value)
        else:
            into[key] = dict(value) if isinstance(value, Mapping) else value


class _Drawing:
    """One value being worked out."""

    def __init__(self, knowledge: Knowledge, extra: Mapping[str, Json] | None) -> None:
        self._knowledge = knowledge
        self._extra = extra
        self.secrets: list[SecretUse] = []
        self.later: list[str] = []
        self.is_firm = True
        self.problem = ""

    def draw(self, raw: Json, at: At) -> tuple[Json, Json]:
        """The value for people, and the value for use."""
        if isinstance(raw, str):
            return self._text(raw, at) if "${{" in raw else (raw, raw)
        if isinstance(raw, Mapping):
            drawn = {key: self.draw(inner, (*at, key)) for key, inner in raw.items()}
            return {k: one for k, (one, _) in drawn.items()}, {k: other for k, (_, other) in drawn.items()}
        if isinstance(raw, list | tuple):
            each = [self.draw(inner, (*at, position)) for position, inner in enumerate(raw)]
            return [one for one, _ in each], [other for _, other in each]
        return raw, raw

    def _text(self, text: str, at: At) -> tuple[Json, Json]:
        template = expressions.parse_template(text, names=expressions.DYNAMIC)
        if template.is_whole and isinstance(template.parts[0], expressions.Expression):
            return self._whole(template.parts[0])
        shown = ""
        parts: list[tuple[Any, str]] = []
        for part in template.parts:
            if isinstance(part, expressions.SecretReference):
                shown += f"(secret {part.name})"
                parts.append(("secret", part.name))
            else:
                piece = part if isinstance(part, str) else self._piece(part)
                shown += piece
                parts.append(("text", piece))
        if template.secrets:
            self.secrets.append(SecretUse(at=at, parts=tuple(parts)))
            return shown, None
        return shown, shown

    def _whole(self, expression: expressions.Expression) -> tuple[Json, Json]:
        value, is_known = self._value(expression)
        return value, value if is_known else None

    def _piece(self, expression: expressions.Expression) -> str:
        value, _ = self._value(expression)
        try:
            return as_text(value)
        except ValueError as problem:
            self.problem = self.problem or f"`{expression.source}` cannot stand inside text: {problem}"
            return f"${{{{ {expression.source} }}}}"

    def _value(self, expression: expressions.Expression) -> tuple[Json, bool]:
        try:
            value, later, is_firm = self._knowledge.value_of(expression, self._extra)
        except ExpressionError as problem:
            self.problem = self.problem or problem.message
            return f"${{{{ {expression.source} }}}}", False
        self.is_firm = self.is_firm and is_firm
        if not later:
            return value, True
        self.later += later
        var = self._knowledge.sketched_var(expression.source)
        return (f"${{{{ {expression.source} }}}}" if var is None else var.shown), False
