"""Every expression of the file: grammar, names, types, secrets; and texts that take no expression."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from towpath.definition import expressions, model
from towpath.definition.checks.context import Context
from towpath.definition.checks.names import SECRETS_HELP, Scope
from towpath.definition.checks.spots import Spot, spots
from towpath.definition.expressions import Code, CompileError, Expression, Names, Reference
from towpath.definition.source import DataPath, Items, Node, Scalar, Table

OPEN = "${{"
EXPRESSIONS_MAX = 10_000
"""Texts with expressions in one file."""
_SECRET = re.compile(r"\bsecrets\b(\s*\.\s*[A-Za-z_0-9]+|\s*\[[^\]]*\])?")
_WORD = re.compile(
    r"[A-Za-z_][A-Za-z_0-9.]*|[0-9][0-9.]*|\"[^\"\n]*\"|'[^'\n]*'|[=!<>&|]=?[&|]?|.", re.DOTALL
)
_NAMES = {
    Code.SYNTAX: "expression-syntax",
    Code.UNKNOWN_NAME: "unknown-name",
    Code.UNKNOWN_FUNCTION: "unknown-name",
    Code.TYPE: "expression-type",
    Code.NOT_BOOLEAN: "not-a-condition",
    Code.SECRET: "secret-outside",
    Code.LIMIT: "expression-syntax",
    Code.EVALUATION: "expression-syntax",
}
_TYPE_WORDS = {
    "string": "text",
    "bool": "true or false",
    "int": "a number",
    "double": "a number",
    "null": "null",
}


def check_texts(context: Context) -> None:
    """Compile every expression where it stands."""
    known: set[DataPath] = set()
    count = 0
    for spot in spots(context):
        known.add(spot.path)
        if context.is_cut(spot.path) or not (spot.is_condition or OPEN in spot.text):
            continue
        count += 1
        if count > EXPRESSIONS_MAX:
            context.tell(
                "too-many-expressions",
                f"the file holds more than {EXPRESSIONS_MAX:,} expressions",
                spot.path,
                help="split it: a `workflow` step calls another file",
            )
            return
        _check_spot(context, spot)
    for path, node in _holding(context):
        if path not in known and not _is_script(path) and not context.is_cut(path):
            _tell_fixed(context, path, node)


def check_scripts(context: Context) -> None:
    """Refuse expressions inside scripts, and say which environment variables to write instead."""
    for place in context.places:
        if place.stand_in:
            continue
        if isinstance(place.step, model.RunStep):
            shell = place.step.shell
            _check_script(context, (*place.path, "run"), place.step.run, place.step.env, shell)
        for name, asked in (("check", place.step.check), ("rehearse", place.step.rehearse)):
            if asked is not None and asked.run is not None:
                path = (*place.path, name, "run")
                if isinstance(context.source.find((*place.path, name))[0], Scalar):
                    path = (*place.path, name)
                _check_script(context, path, asked.run, asked.env, asked.shell or "bash")


# --- one text -----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class _Compiled:
    """What a text turned out to be."""

    references: tuple[Reference, ...]
    secrets: tuple[str, ...] = ()
    result: str | None = None
    """The type of a text that is one whole expression, else None."""
    is_plain: bool = False
    """Whether its expressions are bare paths, in which no types can clash."""


def _check_spot(context: Context, spot: Spot) -> None:
    compiled = _compile(context, spot, expressions.DYNAMIC)
    if compiled is None:
        return
    if compiled.secrets and not spot.takes_secrets:
        _tell_secrets(context, spot)
    scope = Scope(context=context, spot=spot)
    if not _check_names(context, spot, scope, compiled.references):
        return
    if compiled.is_plain and not spot.wants:
        return
    types = dict.fromkeys(scope.roots, "dyn")
    for reference in compiled.references:
        types.update(scope.types(reference.path))
    if compiled.secrets:
        types["secrets"] = "dyn"
    typed = _compile(context, spot, Names.of(types))
    if typed is not None:
        _check_wanted(context, spot, typed.result)


_CALL_HELP = "a run keeps its inputs; name the secret in the workflow that is called"


def _tell_secrets(context: Context, spot: Spot) -> None:
    is_call = spot.place is not None and spot.place.kind == "workflow" and "with" in spot.path
    for match in _SECRET.finditer(spot.text):
        context.tell_inside(
            "secret-outside",
            "no secret can stand here",
            spot.path,
            offset=match.start(),
            length=len(match[0]),
            help=_CALL_HELP if is_call else SECRETS_HELP,
        )


def _compile(context: Context, spot: Spot, names: Names) -> _Compiled | None:
    """The text compiled with *names*; None when it cannot be, which is told."""
    try:
        if spot.is_condition:
            condition = expressions.compile_condition(spot.text, names=names)
            return _Compiled(references=condition.references, result=condition.result)
        template = expressions.parse_template(spot.text, names=names)
    except CompileError as error:
        for problem in error.problems:
            _tell_compile(context, spot, problem)
        return None
    return _Compiled(
        references=template.references,
        secrets=template.secrets,
        result=template.result if template.is_whole else None,
        is_plain=all(_is_path(part) for part in template.parts if isinstance(part, Expression)),
    )


def _is_path(expression: Expression) -> bool:
    return len(expression.references) == 1 and expression.source == ".".join(expression.references[0].path)


def _tell_compile(context: Context, spot: Spot, problem: CompileError) -> None:
    found = _WORD.match(spot.text, min(problem.offset, max(0, len(spot.text) - 1)))
    advice = problem.help
    if spot.is_condition and spot.text.strip().startswith(OPEN) and problem.code is Code.SYNTAX:
        inner = spot.text.strip().removeprefix(OPEN).removesuffix("}}").strip()
        advice = f"a condition is a bare expression: {inner}"
    context.tell_inside(
        _NAMES[problem.code],
        problem.message,
        spot.path,
        offset=problem.offset,
        length=len(found[0]) if found else 1,
        help=advice,
    )


def _check_names(context: Context, spot: Spot, scope: Scope, references: Sequence[Reference]) -> bool:
    """Tell every name that cannot be read here; whether there was none."""
    sound = True
    for reference in references:
        unknown = scope.read(reference.path)
        if unknown is None:
            continue
        sound = False
        offset, length = _word_at(spot.text, reference, unknown.word)
        context.tell_inside(
            unknown.name, unknown.message, spot.path, offset=offset, length=length, help=unknown.help
        )
    return sound


def _word_at(text: str, reference: Reference, word: int) -> tuple[int, int]:
    """Where the word of a reference stands in the text: `image` in `steps.build["outputs"].image`."""
    position = reference.offset
    for index in range(word + 1):
        found = text.find(reference.path[index], position)
        if found < 0:
            return reference.offset, len(reference.path[0])
        position = found + (len(reference.path[index]) if index < word else 0)
    return position, len(reference.path[word])


def _check_wanted(context: Context, spot: Spot, result: str | None) -> None:
    if not spot.wants:
        return
    outer = result.split("(")[0] if result else "string"
    if outer not in (*spot.wants, "dyn"):
        key, wanted = spot.path[-1], " or ".join(f"a {want}" for want in spot.wants)
        context.tell(
            "expression-type",
            f"`{key}` needs {wanted}, not {_TYPE_WORDS.get(outer, outer)}",
            spot.path,
            help="a value that is one whole `${{ … }}` keeps its type" if result is None else "",
        )


# --- texts that are fixed -----------------------------------------------------------------------------------


def _holding(context: Context) -> Iterator[tuple[DataPath, Scalar]]:
    """Every value of the file that holds `${{`."""
    root = context.source.root
    if root is not None and OPEN in context.source.text:
        yield from _holding_in(root, ())


def _holding_in(node: Node, path: DataPath) -> Iterator[tuple[DataPath, Scalar]]:
    match node:
        case Scalar():
            if OPEN in node.text:
                yield path, node
        case Items():
            for position, item in enumerate(node.items):
                yield from _holding_in(item, (*path, position))
        case Table():
            for entry in node.entries:
                yield from _holding_in(entry.value, (*path, entry.key.text))


def _is_script(path: DataPath) -> bool:
    return path[-1] in ("run", "check", "rehearse", "description")


def _tell_fixed(context: Context, path: DataPath, node: Scalar) -> None:
    offset = node.text.find(OPEN)
    key = next((part for part in reversed(path) if isinstance(part, str)), "this")
    context.tell_inside(
        "expression-not-allowed",
        f"`{key}` is fixed when the file loads and takes no expression",
        path,
        offset=offset,
        length=len(OPEN),
        help="write the value itself, or `$${{` for the characters",
    )


# --- scripts ------------------------------------------------------------------------------------------------

_EXPRESSION = re.compile(r"\$\{\{(.*?)\}\}", re.DOTALL)
_PATH = re.compile(r"[A-Za-z_][A-Za-z_0-9]*(\.[A-Za-z_][A-Za-z_0-9]*)*")


def _check_script(
    context: Context, path: DataPath, script: str, env: object, shell: str | tuple[str, ...]
) -> None:
    """One problem for each expression; the first one shows the lines to write for all of them."""
    found = list(_EXPRESSION.finditer(script))
    names = _variable_names([match[1].strip() for match in found], env if isinstance(env, dict) else {})
    lines = _env_lines(names, env if isinstance(env, dict) else {}, shell)
    for position, match in enumerate(found):
        name = names[match[1].strip()]
        context.tell_inside(
            "expression-in-script",
            f"an expression inside a script: the value would become code; use {_usage(name, shell)}",
            path,
            offset=match.start(),
            length=len(match[0]),
            help=f"write {_usage(name, shell)}" if position else lines,
        )
    rest = script
    for match in reversed(found):
        rest = rest[: match.start()] + "_" * len(match[0]) + rest[match.end() :]
    if (offset := rest.find(OPEN)) >= 0:
        context.tell_inside(
            "expression-in-script",
            "an expression inside a script that never ends",
            path,
            offset=offset,
            length=len(OPEN),
            help="values reach a script through `env`, and `${{` means nothing to a shell",
        )


def _variable_names(inside: Sequence[str], env: dict[str, object]) -> dict[str, str]:
    """An environment variable for each expression: one that is there, or one named after its last word."""
    given = {str(value).strip(): name for name, value in env.items()}
    names: dict[str, str] = {}
    taken = set(env)
    for text in inside:
        if text in names:
            continue
        there = next((name for value, name in given.items() if _whole(value) == text), None)
        if there is not None:
            names[text] = there
            continue
        words = text.split(".") if _PATH.fullmatch(text) else ["value"]
        name, used = words[-1].upper(), 1
        while name in taken:
            used += 1
            name = "_".join(words[-used:]).upper() if used <= len(words) else f"{words[-1].upper()}_{used}"
        taken.add(name)
        names[text] = name
    return names


def _whole(value: str) -> str:
    return value.removeprefix(OPEN).removesuffix("}}").strip() if value.startswith(OPEN) else ""


def _env_lines(names: dict[str, str], env: dict[str, object], shell: str | tuple[str, ...]) -> str:
    lines = ["write:", "    env:"]
    lines += [f"      {name}: {value}" for name, value in env.items() if isinstance(value, str)]
    lines += [f"      {name}: ${{{{ {text} }}}}" for text, name in names.items() if name not in env]
    uses = ", ".join(dict.fromkeys(_usage(name, shell) for name in names.values()))
    lines.append(f"and use {uses} in the script")
    return "\n".join(lines)


def _usage(name: str, shell: str | tuple[str, ...]) -> str:
    """How a script reads an environment variable."""
    match shell:
        case "python":
            return f'os.environ["{name}"]'
        case "pwsh":
            return f"$env:{name}"
        case _:
            return f'"${name}"'
