"""From plain values to a model, with every error in our own words and at its place.

The idea. Pydantic finds everything that is wrong in one pass and says where as a *location*: keys, positions
and, between them, labels of the branches of unions. `_read_location` follows the data along a location, so
labels fall out. Of a union's branches only the one that the author meant is told. Then the wrong parts are
cut out (a key goes, a step that cannot be saved becomes a stand-in that keeps its id) and the rest is
validated again, until what remains is sound: the static checks run on it, and a typing error in line 3 does
not hide a wrong name in line 40. What was cut is remembered, so that nothing is told about it twice.
"""

from __future__ import annotations

import copy
import re
import zoneinfo
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Generic, TypeAlias, TypeVar, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from towpath.definition import model
from towpath.definition.problems import PROBLEMS_MAX, Problem, article, closest, did_you_mean, listed
from towpath.definition.source import DataPath, Source, broken_paths, resolve_plain, to_data

SALVAGE_ROUNDS_MAX = 12
"""Times that wrong parts are cut out before the rest is given up."""
TOLD_MAX = 2 * PROBLEMS_MAX
"""Errors of one file that are put into words; nobody reads more, and no more is checked."""
STEP_LISTS = frozenset({"steps", "parallel", "repeat", "on_failure", "catch", "finally", "rollback", "else"})
"""Keys whose values are lists of steps."""

REQUIRED: Mapping[str, object] = {"name": "unnamed", "steps": [{"run": ":"}]}
"""What stands in for the keys that a whole file cannot do without."""

ModelT = TypeVar("ModelT", bound=BaseModel)
Takes: TypeAlias = Mapping[str, tuple[str, str]]
"""What keys take, and an example."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shaped(Generic[ModelT]):
    """What came of the data."""

    value: ModelT | None
    """The model of the sound part, or None when nothing could be saved."""
    problems: tuple[Problem, ...]
    cut: frozenset[DataPath]
    """Paths about which everything has been said."""
    stand_ins: Mapping[DataPath, object]
    """Steps that were replaced, with what the file said there."""


def shape(cls: type[ModelT], source: Source, *, takes: Takes | None = None) -> Shaped[ModelT]:
    """The model *cls* of what *source* says, as far as it is sound; *takes* are its words for what keys take."""
    assert source.root is not None
    return _Shaper(cls, source, to_data(source.root), broken_paths(source.root), takes=takes).shape()


def shape_part(cls: type[ModelT], source: Source, data: object, at: DataPath) -> Shaped[ModelT]:
    """The model *cls* of *data*, which stands at the path *at*; paths in the answer start there."""
    return _Shaper(cls, source, data, (), at=at).shape()


class _Shaper(Generic[ModelT]):
    """One file on its way into a model."""

    def __init__(
        self,
        cls: type[ModelT],
        source: Source,
        data: Any,  # noqa: ANN401 - JSON values
        broken: Iterable[DataPath],
        *,
        at: DataPath = (),
        takes: Takes | None = None,
    ) -> None:
        self._at = at
        self._takes = TAKES if takes is None else takes
        self._cls = cls
        self._source = source
        self._data = data  # Any: JSON values
        self._problems: list[Problem] = []
        self._cut: set[DataPath] = set()
        self._stand_ins: dict[DataPath, object] = {}
        self._broken = tuple(broken)

    def shape(self) -> Shaped[ModelT]:
        """Validate, tell, cut, and validate what remains."""
        if self._broken:
            self._data = copy.deepcopy(self._data)
            for path in self._broken:
                if _value_at(self._data, path) is None:
                    self._cut_out(path)
                else:
                    self._cut.add(path)  # a text that was mended: sound, but nothing more is told about it
        value = self._validate(first=True)
        for _ in range(SALVAGE_ROUNDS_MAX):
            if value is not None or len(self._problems) >= TOLD_MAX:
                break
            value = self._validate(first=False)
        for path in _empty_keys(value, ()):
            self._tell_empty(path)
        return Shaped(
            value=value,
            problems=tuple(self._problems),
            cut=frozenset(self._cut),
            stand_ins=self._stand_ins,
        )

    def _validate(self, *, first: bool) -> ModelT | None:
        try:
            return self._cls.model_validate(self._data)
        except ValidationError as error:
            details = error.errors(include_url=False, include_input=False)
        told = _relevant(details, self._data)
        if first:
            # What is wrong in a later round follows from what was cut out, and is no news.
            self._tell(told)
            self._data = copy.deepcopy(self._data)
        if len(self._problems) < TOLD_MAX:
            for trouble in told:
                self._cut_out(trouble.path)
        return None

    def _tell(self, told: Sequence[_Trouble]) -> None:
        wording = _Wording(self._cls, self._source, self._data, self._at, takes=self._takes)
        for trouble in told:
            if not self._is_cut(trouble):
                self._problems.extend(wording.tell(trouble))
            if len(self._problems) >= TOLD_MAX:
                return

    def _is_cut(self, trouble: _Trouble) -> bool:
        """Whether the error follows from a value that the source has told about."""
        path = trouble.path
        if any(path[:length] in self._cut for length in range(len(path) + 1)):
            return True
        return trouble.type.startswith("union_tag") and any(cut[:-1] == path for cut in self._cut)

    def _tell_empty(self, path: DataPath) -> None:
        """A key without a value is a slip: an `if` that says nothing would let everything through."""
        span = self._source.key_span((*self._at, *path))
        self._problems.append(
            self._source.problem(
                "wrong-type", f"`{path[-1]}` has no value", *span, help="write one, or remove the key"
            )
        )

    def _cut_out(self, path: DataPath) -> None:
        """Remove what stands at *path*, or the smallest part around it that can go."""
        while path:
            self._cut.add(path)
            if _is_step_path(path):
                self._stand_in(path)
                return
            parent = _value_at(self._data, path[:-1])
            if isinstance(parent, dict) and path[-1] in parent:
                del parent[path[-1]]
                return
            # A list goes as a whole: its later items would change their places. So does what lacks a key.
            path = path[:-1]
        for key, value in REQUIRED.items():
            if key in self._cls.model_fields and key not in self._data:
                self._data[key] = copy.deepcopy(value)

    def _stand_in(self, path: DataPath) -> None:
        parent = _value_at(self._data, path[:-1])
        position = path[-1]
        if not isinstance(parent, list) or not isinstance(position, int) or position >= len(parent):
            holder = _value_at(self._data, path[:-2])
            if isinstance(holder, dict):
                holder.pop(str(path[-2]), None)
            return
        was = parent[position]
        self._stand_ins.setdefault(path, was)
        parent[position] = _stand_in_for(was)


def _stand_in_for(was: object) -> dict[str, object]:
    name = was.get("id") if isinstance(was, dict) else None
    keeps = isinstance(name, str) and re.fullmatch(model.ID_PATTERN, name) and len(name) <= model.ID_CHARS_MAX
    return {"run": ":", "id": name} if keeps else {"run": ":"}


def _value_at(data: Any, path: DataPath) -> Any:  # noqa: ANN401 - JSON values
    for part in path:
        if isinstance(data, dict):
            data = data.get(part)
        elif isinstance(data, list) and isinstance(part, int) and part < len(data):
            data = data[part]
        else:
            return None
    return data


def _is_step_path(path: DataPath) -> bool:
    return len(path) > 1 and isinstance(path[-1], int) and path[-2] in STEP_LISTS


def _empty_keys(value: object, path: DataPath) -> Iterator[DataPath]:
    """The paths of keys that are there and hold nothing."""
    match value:
        case BaseModel():
            for name in value.model_fields_set:
                field = type(value).model_fields[name]
                key, inner = field.alias or name, getattr(value, name)
                if inner is None and field.annotation is not Any:
                    yield (*path, key)
                else:
                    yield from _empty_keys(inner, (*path, key))
        case Mapping():
            for key, inner in value.items():
                yield from _empty_keys(inner, (*path, str(key)))
        case tuple():
            for position, inner in enumerate(value):
                yield from _empty_keys(inner, (*path, position))
        case _:
            return


# --- pydantic's locations -----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class _Trouble:
    """One error of pydantic's, read against the data."""

    type: str
    path: DataPath
    """Keys and positions only."""
    branches: tuple[tuple[DataPath, str], ...]
    """Labels of unions on the way: where, and which branch."""
    context: Mapping[str, Any]  # Any: pydantic's own
    message: str
    of_key: bool
    """Whether the key itself is wrong, not its value."""


def _relevant(details: Iterable[ErrorDetails], data: object) -> list[_Trouble]:
    """The errors that the author should hear of, each once."""
    troubles = [_read_location(detail, data) for detail in details]
    chosen = _chosen_branches(troubles, data)
    kept: list[_Trouble] = []
    seen: set[tuple[DataPath, str]] = set()
    for trouble in troubles:
        if any(chosen[where] != label for where, label in trouble.branches):
            continue
        if trouble.type == "too_short" and trouble.context.get("actual_length") == 0:
            value = _value_at(data, trouble.path)
            if value:
                continue  # the items were wrong, not missing
        key = (trouble.path, "" if trouble.branches else trouble.type)
        if key not in seen:
            seen.add(key)
            kept.append(trouble)
    return kept


def _read_location(detail: ErrorDetails, data: object) -> _Trouble:
    path: list[str | int] = []
    branches: list[tuple[DataPath, str]] = []
    value, of_key, tag_is_due = data, False, False
    location = detail["loc"]
    for index, part in enumerate(location):
        is_last = index == len(location) - 1
        if tag_is_due:
            tag_is_due = False
        elif part == "[key]":
            of_key = True
        elif isinstance(part, int):
            tag_is_due = bool(path) and path[-1] in STEP_LISTS
            if isinstance(value, list):
                value = value[part] if part < len(value) else None
                path.append(part)
        elif isinstance(value, dict) and part in value:
            value = value[part]
            path.append(part)
        elif is_last and detail["type"] in ("missing", "extra_forbidden"):
            path.append(part)
        else:
            branches.append((tuple(path), part))
    return _Trouble(
        type=detail["type"],
        path=tuple(path),
        branches=tuple(branches),
        context=detail.get("ctx", {}),
        message=detail["msg"],
        of_key=of_key,
    )


def _chosen_branches(troubles: Sequence[_Trouble], data: object) -> dict[DataPath, str]:
    """For each union the branch that the author meant."""
    labels: dict[DataPath, list[str]] = {}
    for trouble in troubles:
        for where, label in trouble.branches:
            labels.setdefault(where, []).append(label)
    return {where: _meant(found, _value_at(data, where)) for where, found in labels.items()}


def _meant(labels: list[str], value: object) -> str:
    """The label of the branch that a value like *value* was written for."""
    distinct = list(dict.fromkeys(labels))
    if isinstance(value, list):
        wanted = [label for label in distinct if label.startswith("tuple[")]
    elif isinstance(value, dict):
        wanted = [label for label in distinct if label.startswith(("dict[", "mapping["))]
        models = [label for label in distinct if (cls := _class_named(label)) and _shares_a_key(cls, value)]
        wanted = models or wanted
    elif isinstance(value, str):
        wanted = [
            label for label in distinct if re.search(r"\bstr\b", label) and not label.startswith("tuple[")
        ]
        wanted = [label for label in distinct if label.startswith("literal[")] or wanted
    else:
        wanted = [label for label in distinct if not label.startswith(("tuple[", "dict["))]
    candidates = wanted or distinct
    return min(candidates, key=lambda label: (labels.count(label), distinct.index(label)))


def _class_named(label: str) -> type[BaseModel] | None:
    found = getattr(model, label, None)
    return found if isinstance(found, type) and issubclass(found, BaseModel) else None


def _shares_a_key(cls: type[BaseModel], value: Mapping[str, object]) -> bool:
    required = [name for name, field in _fields(cls).items() if field.is_required()]
    return any(name in value for name in required or _fields(cls))


# --- which model stands where -------------------------------------------------------------------------------


def _fields(cls: type[BaseModel]) -> dict[str, FieldInfo]:
    """A model's fields by the key that the file uses."""
    if not cls.__pydantic_fields_complete__:
        cls.model_rebuild()  # it names steps, which were not there yet when it was written down
    return {field.alias or name: field for name, field in cls.model_fields.items()}


def _models_at(root: type[BaseModel], path: DataPath, data: object) -> tuple[type[BaseModel], ...]:
    """The models that a mapping at *path* may be."""
    found: tuple[object, ...] = (root,)
    for part in path:
        value = data.get(part) if isinstance(data, dict) else None
        if isinstance(data, list) and isinstance(part, int) and part < len(data):
            value = data[part]
        found = tuple(_step_down(found, part, data))
        data = value
    return tuple(dict.fromkeys(cls for thing in found for cls in _models_in(thing)))


def _step_down(found: Iterable[object], part: str | int, data: object) -> Iterator[object]:
    for thing in found:
        for cls in _narrowed_for(_models_in(thing), data):
            field = _fields(cls).get(str(part)) if isinstance(part, str) else None
            if field is not None:
                yield field.annotation
        yield from _inside(thing)


def _inside(annotation: object) -> Iterator[object]:
    """What the items of lists and the values of mappings in *annotation* are."""
    origin = get_origin(annotation)
    arguments = get_args(annotation)
    if origin is tuple or (isinstance(origin, type) and issubclass(origin, Mapping)):
        yield arguments[0] if origin is tuple else arguments[1]
    elif origin is Annotated:
        yield from _inside(arguments[0])
    else:
        for argument in arguments:
            yield from _inside(argument)


def _models_in(annotation: object) -> tuple[type[BaseModel], ...]:
    """The models that *annotation* names itself, not inside a list or a mapping."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return (annotation,)
    origin = get_origin(annotation)
    if origin is tuple or (isinstance(origin, type) and issubclass(origin, Mapping)):
        return ()
    arguments = get_args(annotation)
    if origin is Annotated:
        return _models_in(arguments[0])
    return tuple(cls for argument in arguments for cls in _models_in(argument))


def _narrowed_for(classes: tuple[type[BaseModel], ...], data: object) -> tuple[type[BaseModel], ...]:
    """Of the kinds of step only the one that the data is."""
    kind = model.step_kind(data)
    fitting = tuple(cls for cls in classes if getattr(cls, "kind", None) == kind) if kind else ()
    return fitting or classes


# --- in our own words ---------------------------------------------------------------------------------------

TAKES: Takes = {
    "wait": ("a duration, or one of `until`, `window`, `event`, `signal`", "wait: 10m"),
    "each": ("a list, a map, an expression that gives one, or a `matrix`", "each: ${{ inputs.hosts }}"),
    "batch": ("numbers of at least 1 or percentages", "batch: [1, 10%, 100%]"),
    "max_failures": ("a number or a percentage", "max_failures: 10%"),
    "shell": ("`bash`, `sh`, `python`, `pwsh`, or the words of a command", "shell: [perl, -w]"),
    "outputs": ("a list of names, or a mapping of names to expressions", "outputs: [image]"),
    "on_failure": ("`stop`, `continue`, `ask`, or a list of steps", "on_failure: continue"),
    "rollback": ("a step, or a list of steps", "rollback: {run: ./undo.sh}"),
    "check": ("a script, or a mapping with `run` or `uses`", "check: test -e done"),
    "rehearse": ("a script, or a mapping with `run` or `uses`", "rehearse: terraform plan"),
    "runs_on": ("a label, or a list of labels", "runs_on: [linux]"),
    "retry": ("a mapping", "retry: {attempts: 3, delay: 5s}"),
    "steps": ("a list of steps", "steps:\n  - run: make"),
    "parallel": ("a list of steps", "parallel:\n  - run: make"),
    "repeat": ("a list of steps", "repeat:\n  - run: make"),
    "catch": ("a list of steps", "catch:\n  - run: make"),
    "finally": ("a list of steps", "finally:\n  - run: make"),
    "choose": ("a list of branches", 'choose:\n  - if: inputs.x == "a"\n    steps: [...]\n  - else: [...]'),
    "needs": ("a list of ids", "needs: [build]"),
    "on": ("a list of triggers", "on:\n  - manual"),
    "inputs": ("a mapping of names to what they take", "inputs: {version: {type: string}}"),
    "env": ("a mapping of names to values", "env: {NAME: value}"),
    "with": ("a mapping of inputs to values", "with: {url: https://example.org}"),
    "who": ("a list of principals", "who: [group:operators]"),
    "assign": ("a list of principals", "assign: [group:operators]"),
    "to": ("a list of principals", "to: [group:operators]"),
    "artifacts": ("a list of glob patterns", "artifacts: [dist/*.tar.gz]"),
    "escalate": ("a list of rungs", "escalate: [{after: 30m, to: [group:leads]}]"),
    "concurrency": ("a mapping", "concurrency: {group: deploy, max: 1}"),
    "end": ("a mapping", "end: {status: succeeded}"),
    "show": ("a mapping of names to values", "show: {plan: ${{ steps.plan.outputs }}}"),
    "form": ("a mapping of fields to what they take", "form: {link: {type: string, required: true}}"),
    "enum": ("a list of values", "enum: [staging, production]"),
}
"""What a key takes, and an example, where the type alone says too little."""
_TYPES: Mapping[str, str] = {
    "string_type": "text",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "bool_type": "`true` or `false`",
    "tuple_type": "a list",
    "list_type": "a list",
    "dict_type": "a mapping",
    "mapping_type": "a mapping",
    "model_type": "a mapping",
    "model_attributes_type": "a mapping",
}
_PATTERNS: Mapping[str, tuple[str, str]] = {
    model.ID_PATTERN: ("an id", "small letters, digits and `_`, starting with a letter: build_image"),
    r"^(user|group|oncall):[A-Za-z0-9_.@-]+$": (
        "a principal",
        "write user:NAME, group:NAME or oncall:NAME",
    ),
    model.ACTION_PATTERN: ("an action's name", "write space.verb, such as http.request"),
    r"^/[A-Za-z0-9_./-]*$": ("a path", "it starts with `/`: /deploy"),
    r"^/[a-z0-9_-]+$": ("a slash command", "it starts with `/`: /deploy"),
    r"^[^@\s]+@[^@\s]+$": ("a mail address", "write name@example.org"),
    r"^[A-Za-z0-9][A-Za-z0-9_.@-]*$": (
        "a name",
        "letters, digits and `_.@-`, starting with a letter or digit",
    ),
    r"^(\*|[a-z][a-z_]*(\.(\*|[a-z][a-z_]*))?)$": ("a permission", "write run.start, run.* or *"),
    r"^(100|[1-9]?[0-9])%$": ("a number or a percentage", "write 2 or 10%"),
    r"^(100|[1-9][0-9]?)%$": ("a number or a percentage", "write 2 or 10%"),
}


class _Wording:
    """Turns an error of pydantic's into problems in our own words."""

    def __init__(
        self, root: type[BaseModel], source: Source, data: object, at: DataPath, *, takes: Takes
    ) -> None:
        self._takes = takes
        self._root = root
        self._source = source
        self._data = data
        self._prefix = at

    def tell(self, trouble: _Trouble) -> Iterator[Problem]:
        """The problems that one error means."""
        match trouble.type:
            case "extra_forbidden":
                yield self._unknown_key(trouble.path)
            case "missing":
                yield self._missing(trouble)
            case "union_tag_not_found" | "union_tag_invalid":
                if _is_step_path(_unwrapped(trouble.path)):
                    yield from self._no_kind(trouble.path)
                else:
                    yield self._wrong_type(trouble)
            case "literal_error" | "enum":
                yield self._not_one_of(trouble)
            case "string_pattern_mismatch":
                yield self._bad_pattern(trouble)
            case "value_error":
                yield self._bad_value(trouble)
            case kind if kind in _TYPES:
                yield self._wrong_type(trouble)
            case _:
                yield self._out_of_range(trouble)

    def _at(self, trouble: _Trouble) -> tuple[int, int]:
        return self._key(trouble.path) if trouble.of_key else self._value(trouble.path)

    def _key(self, path: DataPath) -> tuple[int, int]:
        return self._source.key_span((*self._prefix, *path))

    def _value(self, path: DataPath) -> tuple[int, int]:
        return self._source.value_span((*self._prefix, *path))

    def _known_keys(self, path: DataPath) -> list[str]:
        classes = _narrowed_for(_models_at(self._root, path, self._data), _value_at(self._data, path))
        return [key for cls in classes for key in _fields(cls)]

    def _unknown_key(self, path: DataPath) -> Problem:
        key = str(path[-1])
        value = _value_at(self._data, path[:-1])
        kind = model.step_kind(value) if _is_step_path(_unwrapped(path[:-1])) else None
        known = self._known_keys(path[:-1])
        owners = [cls.kind for cls in model.STEP_CLASSES if key in _fields(cls)] if kind else []
        if kind and owners:
            message = f"{article(kind)} `{kind}` step has no `{key}`"
            advice = f"`{key}` belongs to {listed(owners)}"
        else:
            message = (
                f"there is no key `{key}` here"
                if not kind
                else f"{article(kind)} `{kind}` step has no `{key}`"
            )
            advice = did_you_mean(key, known)
            if " " in key and value[key] is None:
                advice = "a `,` ends a text without quotes: put the whole text before it in quotes"
        return self._source.problem("unknown-key", message, *self._key(path), help=advice)

    def _missing(self, trouble: _Trouble) -> Problem:
        key, holder = str(trouble.path[-1]), trouble.path[:-1]
        meant = self._unused_lookalike(key, holder)
        field = self._field(trouble.path)
        advice = (
            f"did you mean `{key}` where it says `{meant}`?" if meant else _example(key, field, self._takes)
        )
        _, name = self._source.find((*self._prefix, *holder))
        where = f"each item of `{_last_key(holder)}` needs"
        if name is not None or (holder and isinstance(holder[-1], str)):
            where = f"`{name.text if name is not None else holder[-1]}` needs"
        if not holder:
            where = "the file needs"
        elif _is_step_path(_unwrapped(holder)):
            kind = model.step_kind(_value_at(self._data, holder)) or ""
            where = f"{article(kind)} `{kind}` step needs"
        return self._source.problem(
            "missing-key", f"{where} the key `{key}`", *self._key(holder), help=advice
        )

    def _unused_lookalike(self, key: str, holder: DataPath) -> str | None:
        value = _value_at(self._data, holder)
        known = set(self._known_keys(holder))
        strangers = [word for word in value if word not in known] if isinstance(value, dict) else []
        return closest(key, strangers)

    def _field(self, path: DataPath) -> FieldInfo | None:
        for cls in _narrowed_for(
            _models_at(self._root, path[:-1], self._data), _value_at(self._data, path[:-1])
        ):
            if (field := _fields(cls).get(str(path[-1]))) is not None:
                return field
        return None

    def _no_kind(self, path: DataPath) -> Iterator[Problem]:
        value = _value_at(self._data, path)
        if not isinstance(value, dict):
            yield self._source.problem(
                "wrong-type",
                f"a step is a mapping; this is {describe(value)}",
                *self._value(path),
                help="write for example: - run: make",
            )
            return
        kinds = [kind for kind in model.STEP_KINDS if kind in value]
        if len(kinds) > 1:
            yield self._source.problem(
                "step-with-two-kinds",
                f"{listed(kinds)} each say what the step does; a step has exactly one of them",
                *self._key((*path, kinds[1])),
                help="make two steps of it",
            )
            return
        common = set(_fields(model.Step))
        strangers = [key for key in value if key not in common]
        meant = next(((key, near) for key in strangers if (near := closest(key, model.STEP_KINDS))), None)
        yield self._source.problem(
            "step-without-kind",
            "the step does not say what it does",
            *self._key((*path, meant[0]) if meant else path),
            help=f"did you mean `{meant[1]}`?"
            if meant
            else f"a step has exactly one of {', '.join(f'`{kind}`' for kind in model.STEP_KINDS)}",
        )

    def _not_one_of(self, trouble: _Trouble) -> Problem:
        key = _last_key(trouble.path)
        choices = re.findall(r"'([^']*)'", str(trouble.context.get("expected", "")))
        value = _value_at(self._data, trouble.path)
        takes = self._takes.get(key)
        near = closest(value, choices) if isinstance(value, str) else None
        return self._source.problem(
            "not-one-of",
            f"`{key}` takes {takes[0] if takes else _either(choices)}, not {describe(value)}",
            *self._value(trouble.path),
            help=f"did you mean `{near}`?" if near else f"write one of {listed(choices)}",
        )

    def _bad_pattern(self, trouble: _Trouble) -> Problem:
        pattern = str(trouble.context.get("pattern", ""))
        value = trouble.path[-1] if trouble.of_key else _value_at(self._data, trouble.path)
        what, advice = _PATTERNS.get(pattern, (f"text that matches {pattern}", ""))
        if what == "an id" and isinstance(value, str) and (better := _as_id(value)):
            advice = f"an id is made of {advice.split(':')[0]}: `{better}`"
        return self._source.problem(
            "bad-format", f"{describe(value)} is not {what}", *self._at(trouble), help=advice
        )

    def _bad_value(self, trouble: _Trouble) -> Problem:
        error = trouble.context.get("error")
        words = str(error) if error is not None else trouble.message
        value = trouble.path[-1] if trouble.of_key else _value_at(self._data, trouble.path)
        message, _, advice = words.partition(": ")
        name = next((code for sign, code in _VALUE_CODES.items() if sign in words), "bad-format")
        if name == "unknown-time-zone" and isinstance(value, str):
            advice = did_you_mean(value, zoneinfo.available_timezones(), otherwise=advice)
        if name == "expression-not-allowed":
            advice = "write the value itself"
        return self._source.problem(name, f"{describe(value)} {message}", *self._at(trouble), help=advice)

    def _wrong_type(self, trouble: _Trouble) -> Problem:
        key = _last_key(trouble.path)
        value = _value_at(self._data, trouble.path)
        is_item = bool(trouble.path) and isinstance(trouble.path[-1], int)
        takes = None if is_item else self._takes.get(key)
        wanted = takes[0] if takes else _TYPES.get(trouble.type, "something else")
        advice = f"for example: {takes[1]}" if takes else ""
        if trouble.type == "string_type" and isinstance(value, int | float):
            advice = f'put it in quotes: "{self._written(trouble.path)}"'
        elif trouble.type == "bool_type" and str(value).lower() in ("yes", "no", "on", "off"):
            advice = f"write {'true' if str(value).lower() in ('yes', 'on') else 'false'}"
        elif isinstance(value, str) and _looks_like(trouble.type, value):
            advice = "remove the quotes"
        elif wanted == "a list" and isinstance(value, str):
            advice = f"write {key}: [{value}]"
        what = f"each item of `{key}`" if is_item else f"`{key}`"
        return self._source.problem(
            "wrong-type", f"{what} takes {wanted}, not {describe(value)}", *self._at(trouble), help=advice
        )

    def _written(self, path: DataPath) -> str:
        start, end = self._value(path)
        return self._source.text[start:end]

    def _out_of_range(self, trouble: _Trouble) -> Problem:
        key = _last_key(trouble.path)
        limits = {name: value for name, value in trouble.context.items() if name in _LIMITS}
        words = ", ".join(_LIMITS[name].format(value) for name, value in limits.items())
        empty = "min_length" in limits and trouble.context.get("actual_length") == 0
        message = f"`{key}` must not be empty" if empty else f"`{key}` {words or trouble.message}"
        takes = self._takes.get(key)
        return self._source.problem(
            "out-of-range",
            message,
            *self._at(trouble),
            help=f"for example: {takes[1]}" if takes and empty else "",
        )


def _looks_like(wanted: str, value: str) -> bool:
    resolved = resolve_plain(value) if value else None
    if wanted == "bool_type":
        return isinstance(resolved, bool)
    return (
        wanted in ("int_type", "float_type")
        and isinstance(resolved, int | float)
        and not isinstance(resolved, bool)
    )


_VALUE_CODES = {
    "${{": "expression-not-allowed",
    "cron expression": "bad-cron",
    "never comes": "bad-cron",
    "time zone": "unknown-time-zone",
}
"""Codes of errors that the models' own parsers raise, by a word in them."""
_LIMITS = {
    "ge": "has to be at least {:g}",
    "gt": "has to be more than {:g}",
    "le": "may be at most {:g}",
    "lt": "has to be less than {:g}",
    "min_length": "needs at least {}",
    "max_length": "may have at most {}",
}


def describe(value: object) -> str:  # noqa: PLR0911 - one answer for each kind of value
    """A value as a message shows it."""
    match value:
        case None:
            return "nothing"
        case bool():
            return f"`{str(value).lower()}`"
        case int() | float():
            return f"the number {value}"
        case str() if len(value) > _SHOWN_CHARS or "\n" in value:
            return f"the text `{value.splitlines()[0][:_SHOWN_CHARS] if value.strip() else ''}…`"
        case str():
            return f"`{value}`" if value else "an empty text"
        case dict():
            return "a mapping"
        case list() | tuple():
            return "a list"
        case _:
            return str(type(value).__name__)


_SHOWN_CHARS = 60


def _either(choices: Sequence[str]) -> str:
    quoted = [f"`{choice}`" for choice in choices]
    return f"{', '.join(quoted[:-1])} or {quoted[-1]}" if len(quoted) > 1 else "".join(quoted)


def _last_key(path: DataPath) -> str:
    return next((part for part in reversed(path) if isinstance(part, str)), "the file")


def _unwrapped(path: DataPath) -> DataPath:
    """A single rollback step has no position of its own."""
    return (*path, 0) if path and path[-1] == "rollback" else path


def _as_id(text: str) -> str:
    made = re.sub(r"[^a-z0-9_]+", "_", text.strip().lower()).strip("_")
    return made if re.fullmatch(model.ID_PATTERN, made) else ""


def _example(key: str, field: FieldInfo | None, words: Takes) -> str:
    takes = words.get(key)
    if takes:
        return f"for example: {takes[1]}"
    return field.description if field is not None and field.description else ""
