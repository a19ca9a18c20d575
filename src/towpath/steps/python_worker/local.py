"""The actions of a project, read from `actions/*.py` without running a line of them.

A file `actions/deploy.py` with the function `restart` gives the action `deploy.restart`: its annotations
are its inputs and outputs, its docstring is its summary. What is needed to check a workflow is read from
the syntax tree: annotations made of plain types, `typing`, and classes of the same file are rebuilt;
anything else means "any". The real types judge when the function is called, in its own process.

All public functions of a file are actions, or, when `@action` stands in it, only those that it decorates.
Nothing is executed, so a pull request can be linted without trusting it.
"""

from __future__ import annotations

import ast
import collections.abc
import dataclasses
import datetime
import decimal
import enum
import pathlib
import re
import types
import typing
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from towpath.definition.actions import ActionCard
from towpath.errors import AuthorError
from towpath.steps import contract, shapes
from towpath.steps.contract import Declaration, Rehearsal, Signature, StepContext, Values
from towpath.steps.python_worker.place import FunctionPlace

__all__ = ["LocalAction", "LocalActions", "read_local_actions"]

FILES_MAX: Final = 500
FILE_BYTES_MAX: Final = 1024 * 1024

_NAME = re.compile(r"[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*)+")
_MODULES: Mapping[str, types.ModuleType] = {
    module.__name__: module
    for module in (typing, collections.abc, datetime, decimal, enum, pathlib, uuid, dataclasses)
}
"""What an annotation may come from."""
_PLAIN: Mapping[str, Any] = {
    kind.__name__: kind for kind in (str, int, float, bool, list, dict, tuple, set, frozenset, object)
}
_OURS: Mapping[str, Any] = {
    "Range": shapes.Range,
    "StepContext": Any,
    "Rehearsal": Rehearsal,
    "Values": contract.Values,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalActions:
    """What the folder holds, and what could not be read."""

    actions: Mapping[str, LocalAction]
    problems: tuple[AuthorError, ...]


@dataclass(frozen=True, kw_only=True)
class LocalAction:
    """A function of the project as an action; performed in a worker."""

    place: FunctionPlace
    declaration: Declaration
    signature: Signature
    line: int
    """Where the function stands in its file."""
    instant: bool = False
    card: ActionCard = field(init=False)

    def __post_init__(self) -> None:
        source = (
            f"{self.place.file.parent.name}/{self.place.file.name}" if self.place.file else self.place.module
        )
        can_rehearse = self.declaration.can_rehearse or self.declaration.effects == "none"
        card = contract.card_of(self.signature, self.declaration, can_rehearse=can_rehearse, source=source)
        object.__setattr__(self, "card", card)

    def idempotent_with(self, values: Values) -> bool:  # noqa: ARG002 - the contract of an action
        """As its author declared; only a plain True counts, for a function would have to be run."""
        return self.declaration.idempotent is True

    async def perform(self, values: Values, context: StepContext) -> Values:
        """Calls the function in a worker, after the inputs were checked as far as they can be from here."""
        from towpath.steps.python_worker.calls import call_function

        self.signature.read(values, self.card.name)
        contract.check_binaries(self.declaration, context)
        return await call_function(self.place, self.card.name, values, context)

    def perform_now(self, values: Values, context: StepContext) -> Values:
        """Never: a local action has a process of its own."""
        raise NotImplementedError(self.card.name)

    async def rehearse(self, values: Values, context: StepContext) -> Rehearsal:
        """Asks the function that the author wrote for it; without one, performs what only looks, and knows nothing else."""
        self.signature.read(values, self.card.name)
        if not self.declaration.can_rehearse:
            if self.declaration.effects == "none":
                outputs = await self.perform(values, context)
                return Rehearsal(summary=f"{self.card.name} changes nothing", outputs=outputs)
            return Rehearsal(summary=f"calls {self.place.shown}, which cannot be rehearsed", known=False)
        from towpath.steps.python_worker.calls import rehearse_function

        return await rehearse_function(self.place, self.card.name, values, context)


def read_local_actions(project: Path, *, python: Path | None = None) -> LocalActions:
    """The actions in `actions/*.py` of a project."""
    actions: dict[str, LocalAction] = {}
    problems: list[AuthorError] = []
    folder = project / "actions"
    files = (
        sorted(path for path in folder.glob("*.py") if not path.name.startswith("_"))
        if folder.is_dir()
        else []
    )
    if len(files) > FILES_MAX:
        problems.append(AuthorError(f"{folder} holds more than {FILES_MAX} files; only the first are read."))
    for file in files[:FILES_MAX]:
        try:
            reader = _FileReader.of(file)
        except AuthorError as error:
            problems.append(error)
            continue
        for function in reader.functions():
            try:
                one = reader.action(function, project=project, python=python)
            except AuthorError as error:
                problems.append(error)
                continue
            name = one.card.name
            if name in actions:
                other = actions[name].place.file
                problems.append(
                    AuthorError(f"The action {name} is in {file.name} and in {other and other.name}.")
                )
            else:
                actions[name] = one
    return LocalActions(actions=types.MappingProxyType(actions), problems=tuple(problems))


_Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True, kw_only=True)
class _FileReader:
    """One file of actions as a syntax tree."""

    file: Path
    tree: ast.Module
    names: dict[str, Any]
    """What names mean in annotations: imported types, and classes of the file once asked for."""
    classes: dict[str, ast.ClassDef]
    aliases: dict[str, ast.expr]

    @classmethod
    def of(cls, file: Path) -> _FileReader:
        try:
            if file.stat().st_size > FILE_BYTES_MAX:
                raise AuthorError(f"{file} is larger than {FILE_BYTES_MAX} bytes.")
            tree = ast.parse(file.read_bytes(), filename=str(file))
        except SyntaxError as error:
            where = f"{file}:{error.lineno}:{error.offset}"
            raise AuthorError(f"{where}: {error.msg}.", help=(error.text or "").strip()) from None
        except (OSError, ValueError, RecursionError, MemoryError) as error:
            raise AuthorError(f"{file} cannot be read: {error}.") from None
        names: dict[str, Any] = dict(_PLAIN)
        classes, aliases = {}, {}
        for node in _statements(tree):
            if isinstance(node, (ast.Import, ast.ImportFrom)):
                names.update(_imported(node))
            elif isinstance(node, ast.ClassDef):
                classes[node.name] = node
            elif (
                isinstance(node, ast.Assign)
                and len(node.targets) == 1
                and isinstance(node.targets[0], ast.Name)
            ):
                aliases[node.targets[0].id] = node.value
            elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and node.value:
                aliases[node.target.id] = node.value
        return cls(file=file, tree=tree, names=names, classes=classes, aliases=aliases)

    def functions(self) -> list[_Function]:
        """The functions that are actions."""
        found = [
            node for node in self.tree.body if isinstance(node, _Function) and not node.name.startswith("_")
        ]
        decorated = [node for node in found if _decoration(node) is not None]
        plain = [node for node in found if not _is_rehearsal(node)]
        return decorated or plain

    def action(self, node: _Function, *, project: Path, python: Path | None) -> LocalAction:
        """The action that a function is; raises AuthorError naming the line."""
        try:
            declaration = self._declaration(node)
            return LocalAction(
                place=FunctionPlace(project=project, file=self.file, function=node.name, python=python),
                declaration=declaration,
                signature=self._signature(node, declaration.name),
                line=node.lineno,
            )
        except AuthorError as error:
            raise AuthorError(f"{self.file}:{node.lineno}: {error.message}", help=error.help) from None

    def _declaration(self, node: _Function) -> Declaration:
        said = _decoration(node) or {}
        name = said.pop("name", None) or f"{self.file.stem}.{node.name}"
        if not isinstance(name, str) or not _NAME.fullmatch(name):
            raise AuthorError(
                f"{name!r} is no name for an action.",
                help="Use `namespace.verb` in small letters, digits and underscores.",
            )
        known = {one.name: one for one in dataclasses.fields(Declaration)}
        if unknown := sorted(set(said) - set(known)):
            raise AuthorError(f"@action knows no {', '.join(unknown)}.")
        said = {key: tuple(value) if isinstance(value, list) else value for key, value in said.items()}
        if not isinstance(said.get("idempotent", False), bool):
            said["idempotent"] = False
        summary = said.pop("summary", None) or contract.first_sentence(ast.get_docstring(node))
        can_rehearse = any(_is_rehearsal(other, of=node.name) for other in self.tree.body)
        said.update(secrets=said.get("secrets", "all"), can_rehearse=can_rehearse, instant=False)
        return Declaration(name=name, summary=str(summary), **said)

    def _signature(self, node: _Function, name: str) -> Signature:
        if node.args.posonlyargs or node.args.vararg:
            raise AuthorError(
                f"The action {name} has parameters without a name.",
                help="Inputs have names: use plain parameters.",
            )
        fields = [
            shapes.Field(
                name=argument.arg,
                annotation=self._type(argument.annotation),
                required=default is _NOTHING,
                default=_literal(default),
            )
            for argument, default in _arguments(node)
        ]
        takes_context = any(one.name == "context" for one in fields)
        fields = [one for one in fields if one.name != "context"]
        record = None
        if len(fields) == 1 and fields[0].name == "inputs" and shapes.is_record(fields[0].annotation):
            record = fields[0].annotation
            fields = list(shapes.fields_of(record))
        return Signature(
            record=record,
            fields=tuple(fields),
            result=self._type(node.returns),
            takes_context=takes_context,
            is_open=node.args.kwarg is not None,
        )

    # What an annotation means. Whatever cannot be known without running the file is Any.

    def _type(self, node: ast.expr | None) -> Any:  # noqa: ANN401, PLR0911 - one case for each kind of annotation
        match node:
            case ast.Constant(value=None):
                return None
            case ast.Constant(value=str(text)):
                try:
                    return self._type(ast.parse(text, mode="eval").body)
                except (SyntaxError, RecursionError):
                    return Any
            case ast.Name(id=name):
                return self._named(name)
            case ast.Attribute(value=ast.Name(id=home), attr=name):
                return getattr(self.names.get(home), name, Any)
            case ast.Attribute(value=ast.Attribute(value=ast.Name(id="collections"), attr="abc"), attr=name):
                return getattr(collections.abc, name, Any)
            case ast.BinOp(op=ast.BitOr(), left=left, right=right):
                return typing.Union[self._type(left), self._type(right)]  # noqa: UP007 - made at run time
            case ast.Subscript(value=generic, slice=inner):
                return self._generic(self._type(generic), inner)
            case ast.Call():
                return self._note(node)
        return Any

    def _named(self, name: str) -> Any:  # noqa: ANN401 - a type
        if name in self.names:
            return self.names[name]
        self.names[name] = Any  # a class that holds itself
        if name in self.classes:
            self.names[name] = self._class(self.classes[name])
        elif name in self.aliases:
            self.names[name] = self._type(self.aliases[name])
        return self.names[name]

    def _generic(self, generic: Any, inner: ast.expr) -> Any:  # noqa: ANN401 - types
        parts = inner.elts if isinstance(inner, ast.Tuple) else [inner]
        if generic is typing.Literal:
            choices = tuple(part.value for part in parts if isinstance(part, ast.Constant))
            return typing.Literal[choices] if len(choices) == len(parts) else Any
        if generic is typing.Annotated:
            notes = tuple(_note_text(part) or self._type(part) for part in parts[1:])
            return typing.Annotated[(self._type(parts[0]), *notes)] if notes else self._type(parts[0])
        if generic is Any:
            return Any
        arguments = tuple(... if _is_dots(part) else self._type(part) for part in parts)
        try:
            return generic[arguments if len(arguments) > 1 else arguments[0]]
        except TypeError:
            return Any

    def _note(self, node: ast.Call) -> Any:  # noqa: ANN401 - a Range or nothing known
        if isinstance(node.func, ast.Name) and self.names.get(node.func.id) is shapes.Range:
            values = [_literal(one) for one in node.args]
            named = {str(one.arg): _literal(one.value) for one in node.keywords}
            try:
                return shapes.Range(*values, **named)
            except TypeError:
                return Any
        return Any

    def _class(self, node: ast.ClassDef) -> Any:  # noqa: ANN401 - a type
        bases = [self._type(base) for base in node.bases]
        if any(isinstance(base, type) and issubclass(base, enum.Enum) for base in bases):
            return self._enum(node)
        fields = [
            (statement.target.id, self._type(statement.annotation), statement.value)
            for statement in node.body
            if isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name)
        ]
        if typing.TypedDict in bases:
            total = all(_literal(one.value) is not False for one in node.keywords if one.arg == "total")
            return typing.TypedDict(node.name, {name: kind for name, kind, _ in fields}, total=total)  # type: ignore[operator] # made at run time
        if any(_last_name(one) == "dataclass" for one in node.decorator_list) and not bases:
            made = [
                (name, kind) if default is None else (name, kind, field(default=_literal(default)))
                for name, kind, default in fields
            ]
            return dataclasses.make_dataclass(node.name, made, kw_only=True)
        return Any

    def _enum(self, node: ast.ClassDef) -> Any:  # noqa: ANN401 - a type
        members = {
            target.id: value
            for statement in node.body
            if isinstance(statement, ast.Assign) and (value := _literal(statement.value)) is not None
            for target in statement.targets
            if isinstance(target, ast.Name)
        }
        return enum.Enum(node.name, members) if members else Any


_NOTHING: Final = ast.Constant(value=...)


def _arguments(node: _Function) -> Iterator[tuple[ast.arg, ast.expr]]:
    """Parameters with their defaults."""
    missing = len(node.args.args) - len(node.args.defaults)
    defaults = [_NOTHING] * missing + node.args.defaults
    yield from zip(node.args.args, defaults, strict=True)
    for argument, default in zip(node.args.kwonlyargs, node.args.kw_defaults, strict=True):
        yield argument, _NOTHING if default is None else default


def _statements(tree: ast.Module) -> Iterator[ast.stmt]:
    """The statements of a file, those under `if TYPE_CHECKING:` included."""
    for node in tree.body:
        yield node
        if isinstance(node, ast.If) and _last_name(node.test) == "TYPE_CHECKING":
            yield from node.body


def _imported(node: ast.Import | ast.ImportFrom) -> dict[str, Any]:
    if isinstance(node, ast.Import):
        # `import collections.abc` binds `collections`, which `_type` knows.
        return {one.asname or one.name: _MODULES[one.name] for one in node.names if one.name in _MODULES}
    if node.level == 0 and node.module and node.module.partition(".")[0] == "towpath":
        return {one.asname or one.name: _OURS[one.name] for one in node.names if one.name in _OURS}
    home = _MODULES.get(node.module or "") if node.level == 0 else None
    return {one.asname or one.name: getattr(home, one.name) for one in node.names if hasattr(home, one.name)}


def _decoration(node: _Function) -> dict[str, Any] | None:
    """What `@action(…)` says; None when it is not there."""
    for one in node.decorator_list:
        call = one.func if isinstance(one, ast.Call) else one
        if _last_name(call) != "action":
            continue
        if not isinstance(one, ast.Call):
            return {}
        said = {str(key.arg): _literal(key.value) for key in one.keywords}
        if one.args:
            said["name"] = _literal(one.args[0])
        return said
    return None


def _is_rehearsal(node: ast.stmt, *, of: str = "") -> bool:
    return isinstance(node, _Function) and any(
        isinstance(one, ast.Attribute)
        and one.attr == "rehearsal"
        and (not of or (isinstance(one.value, ast.Name) and one.value.id == of))
        for one in node.decorator_list
    )


def _last_name(node: ast.expr) -> str:
    if isinstance(node, ast.Call):
        return _last_name(node.func)
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else ""


def _literal(node: ast.expr) -> Any:  # noqa: ANN401 - plain values
    try:
        value = ast.literal_eval(node)
    except (ValueError, TypeError, SyntaxError, RecursionError, MemoryError):
        return None
    return None if value is ... else value


def _note_text(node: ast.expr) -> str:
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else ""


def _is_dots(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and node.value is ...
