"""Texts and scripts with `${{ … }}` of GitHub's in them, as texts and scripts of ours."""

from __future__ import annotations

import io
import re
import tokenize
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from towpath.definition.importing import naming, scripts
from towpath.definition.importing.github import cel, syntax
from towpath.definition.importing.github.cel import CannotTranslate, Term
from towpath.definition.importing.github.contexts import RUNNER, Scope
from towpath.definition.importing.github.syntax import NotAnExpression
from towpath.definition.importing.scripts import Span

OPEN: Final = "${{"
_ADDED: Final = {
    "GITHUB_OUTPUT": "TOW_OUTPUT",
    "GITHUB_STEP_SUMMARY": "TOW_SUMMARY",
    "GITHUB_ENV": "TOW_OUTPUT",
}
"""Files of GitHub's that a script writes to, and ours."""
_SHELL_VARIABLE = re.compile(r"\$\{?(GITHUB_[A-Z_]+|RUNNER_[A-Z_]+)\b")
_WRITTEN = re.compile(r"(?:echo|printf)\s+(?:-[a-zA-Z]+\s+)*(?:--\s+)?[\"']?([A-Za-z_][\w-]*)(=|<<)")
_SET_OUTPUT = re.compile(r"(?P<quote>[\"']?)::set-output name=(?P<name>[\w-]+)::(?P<value>[^\n]*)")


def text(source: str, scope: Scope, *, takes_secrets: bool = False) -> str:
    """A text with its expressions as ours; raises CannotTranslate and NotAnExpression."""
    parts: list[str] = []
    end = 0
    for found in syntax.expressions(source):
        parts += [
            _escaped(source[end : found.start]),
            _written(term(found.source, scope), takes_secrets=takes_secrets),
        ]
        end = found.end
    return "".join(parts) + _escaped(source[end:])


def whole(source: str, scope: Scope) -> Term:
    """A text as one term, for places where it is inside another expression."""
    parts: list[Term] = []
    end = 0
    for found in syntax.expressions(source):
        if source[end : found.start]:
            parts.append(cel.constant(source[end : found.start]))
        parts.append(term(found.source, scope))
        end = found.end
    if source[end:]:
        parts.append(cel.constant(source[end:]))
    return parts[0] if len(parts) == 1 else cel.joined(parts)


def term(source: str, scope: Scope) -> Term:
    """One expression; raises CannotTranslate and NotAnExpression."""
    return cel.Translator(scope).value(syntax.parse(source))


def _written(found: Term, *, takes_secrets: bool) -> str:
    if found.is_constant:
        return _escaped(cel.as_written(found.constant))
    if found.kind == "secret" and not takes_secrets:
        raise CannotTranslate("no secret can stand here")
    return f"{OPEN} {cel.there(found)} }}}}"


def _escaped(source: str) -> str:
    return source.replace(OPEN, "$" + OPEN)


@dataclass(slots=True, kw_only=True)
class Script:
    """A script of ours, and what it needs."""

    text: str
    env: dict[str, str] = field(default_factory=dict)
    outputs: dict[str, str] = field(default_factory=dict)
    """Outputs that it writes: GitHub's names and ours."""
    exports: dict[str, str] = field(default_factory=dict)
    """Variables that it sets for later steps: their names, and the outputs that carry them."""


def script(source: str, *, language: str, scope: Scope, own_env: Mapping[str, object]) -> Script:
    """A script without expressions: their values come from the environment. Raises CannotTranslate."""
    made = Script(text=_without_commands(source, scope))
    _replace_expressions(made, language, scope, own_env)
    _take_written(made, scope)
    _add_github_variables(made, scope, own_env)
    if OPEN in made.text:
        raise CannotTranslate("an expression is left in the script")
    return made


# --- expressions to variables -------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class _Piece:
    """An expression of a script: the words that it always is, or the variable that takes its place."""

    start: int
    end: int
    words: str = ""
    variable: str | None = None
    may_be_empty: bool = False


def _replace_expressions(made: Script, shell: str, scope: Scope, own_env: Mapping[str, object]) -> None:
    namer = _Namer(made, scope, own_env)
    first_line = scope.line
    pieces: list[_Piece] = []
    for found in syntax.expressions(made.text):
        scope.line = first_line + made.text.count("\n", 0, found.start)
        pieces.append(namer.piece(found))
    scope.line = first_line
    if not pieces:
        return
    replacers = {"bash": _into_shell, "sh": _into_shell, "python": _into_python, "pwsh": _into_pwsh}
    if shell not in replacers and any(piece.variable for piece in pieces):
        raise CannotTranslate(
            f"a script of `{shell}` cannot be given values here: read them from the environment"
        )
    # Constants first: they change the text like the author's own words.
    source, spans, shift = made.text, list[Span](), 0
    for piece in pieces:
        start, end = piece.start + shift, piece.end + shift
        if piece.variable is None:
            source = source[:start] + piece.words + source[end:]
            shift += len(piece.words) - (end - start)
        else:
            spans.append(Span(start=start, end=end, variable=piece.variable, may_be_empty=piece.may_be_empty))
    made.text = replacers.get(shell, _into_shell)(source, spans, scope)


class _Namer:
    """Finds the variables that carry the values of a script's expressions; the same value has one variable."""

    def __init__(self, made: Script, scope: Scope, own_env: Mapping[str, object]) -> None:
        self._made = made
        self._scope = scope
        self._taken = {*own_env, *scope.env, *scripts.variables_set(made.text), *scripts.KNOWN_VARIABLES}
        self._by_cel = {
            str(said)[len(OPEN) : -2].strip(): name
            for name, said in own_env.items()
            if str(said).startswith(OPEN) and str(said).endswith("}}") and str(said).count(OPEN) == 1
        }

    def piece(self, found: syntax.Found) -> _Piece:
        """What takes the place of an expression."""
        node = syntax.parse(found.source)
        if isinstance(node, syntax.Path) and node.words[0] == "env" and node.words[-1] in self._scope.env:
            return _Piece(start=found.start, end=found.end, variable=node.words[-1])
        if isinstance(node, syntax.Path) and node.words == ("github", "workspace"):
            self._scope.changed("github.workspace is the folder in which the step starts")
            return _Piece(start=found.start, end=found.end, variable="PWD")
        value = cel.Translator(self._scope).value(node)
        if value.is_constant:
            return _Piece(start=found.start, end=found.end, words=cel.as_written(value.constant))
        code = cel.there(value)
        if code not in self._by_cel:
            self._by_cel[code] = _variable_for(node, self._taken)
            self._taken.add(self._by_cel[code])
            self._made.env[self._by_cel[code]] = f"{OPEN} {code} }}}}"
        return _Piece(
            start=found.start, end=found.end, variable=self._by_cel[code], may_be_empty=value.may_lack
        )


def _variable_for(node: syntax.Node, taken: set[str]) -> str:
    words = [word for word in node.words if word != "outputs"] if isinstance(node, syntax.Path) else ["value"]
    names = ["_".join(words[-count:]) for count in range(1, len(words) + 1)]
    for name in names:
        variable = re.sub(r"[^A-Za-z0-9_]", "_", name).upper()
        is_vague = len(variable) < 2  # noqa: PLR2004 - a single letter says nothing
        if (
            variable not in taken
            and variable[0].isalpha()
            and not variable.startswith("TOW_")
            and not is_vague
        ):
            return variable
    base = re.sub(r"[^A-Za-z0-9_]", "_", names[-1]).upper()
    base = base if base[0].isalpha() and not base.startswith("TOW_") else f"VALUE_{base}"
    count = 2
    while f"{base}_{count}" in taken:
        count += 1
    return f"{base}_{count}"


def _into_shell(source: str, spans: list[Span], scope: Scope) -> str:
    for span in spans:
        if scripts.begins_a_command(source, span.start):
            line = scope.line + source.count("\n", 0, span.start)
            scope.shared.notes.cannot(
                line, f"`${span.variable}` stands as a command: a value is one word here, and never code"
            )
    replaced = scripts.replace(source, spans)
    for span in replaced.unread:
        line = scope.line + source.count("\n", 0, span.start)
        scope.shared.notes.cannot(line, f"`${span.variable}` stands where the shell reads no variable")
    return replaced.text


def _into_pwsh(source: str, spans: list[Span], scope: Scope) -> str:  # noqa: ARG001 - one shape for all shells
    for span in reversed(spans):
        before = source[: span.start].rpartition("\n")[2]
        if before.count("'") % 2:
            raise CannotTranslate("a value in single quotes of PowerShell is never read")
        written = f"$($env:{span.variable})" if before.count('"') % 2 else f"$env:{span.variable}"
        source = source[: span.start] + written + source[span.end :]
    return source


def _into_python(source: str, spans: list[Span], scope: Scope) -> str:  # noqa: ARG001 - as above
    marks = {f"__tow_{number}__": span.variable for number, span in enumerate(spans)}
    marked = source
    for mark, span in reversed(list(zip(marks, spans, strict=True))):
        marked = marked[: span.start] + mark + marked[span.end :]
    try:
        tokens = list(tokenize.generate_tokens(io.StringIO(marked).readline))
    except (tokenize.TokenError, SyntaxError):
        raise CannotTranslate("the Python script cannot be read") from None
    lines = marked.splitlines(keepends=True)
    offsets = [0]
    for line in lines:
        offsets.append(offsets[-1] + len(line))
    for token in reversed(tokens):
        inside = [mark for mark in marks if mark in token.string]
        if not inside or token.type == tokenize.COMMENT:
            continue
        start, end = offsets[token.start[0] - 1] + token.start[1], offsets[token.end[0] - 1] + token.end[1]
        marked = marked[:start] + _python_token(token, marks) + marked[end:]
    for mark, variable in marks.items():
        marked = marked.replace(mark, variable)
    return f"import os\n{marked}"


def _python_token(token: tokenize.TokenInfo, marks: Mapping[str, str]) -> str:
    if token.type == tokenize.NAME and token.string in marks:
        return f'os.environ["{marks[token.string]}"]'
    found = re.fullmatch(
        r"(?P<prefix>[rRuU]*)(?P<quote>'''|\"\"\"|'|\")(?P<body>.*)(?P=quote)", token.string, re.DOTALL
    )
    if token.type != tokenize.STRING or found is None:
        raise CannotTranslate("a value stands inside a text of Python that cannot be split")
    prefix, quote = found["prefix"], found["quote"]
    parts = re.split("(" + "|".join(map(re.escape, marks)) + ")", found["body"])
    shown = [
        f'os.environ["{marks[part]}"]' if part in marks else f"{prefix}{quote}{part}{quote}"
        for part in parts
        if part
    ]
    return shown[0] if len(shown) == 1 else f"({' + '.join(shown)})"


# --- what a script tells ------------------------------------------------------------------------------------


def _without_commands(source: str, scope: Scope) -> str:
    """Old commands that a script prints, as they are written today."""

    def output(found: re.Match[str]) -> str:
        value, quote = found["value"], found["quote"]
        rest = ""
        if quote and quote in value:
            value, _, rest = value.partition(quote)
        return f'{quote}{found["name"]}={value}{quote} >>"$GITHUB_OUTPUT"{rest}'

    for number, line in enumerate(source.split("\n")):
        for word in ("add-mask", "save-state", "add-path", "set-env"):
            if f"::{word}" in line:
                scope.shared.notes.cannot(
                    scope.line + number, f"`::{word}` is printed, and means nothing here"
                )
    return _SET_OUTPUT.sub(output, source)


def _take_written(made: Script, scope: Scope) -> None:
    """Finds the outputs and variables that a script writes, and points it to our files."""
    outputs, variables = _names_written(made.text, "GITHUB_OUTPUT"), _names_written(made.text, "GITHUB_ENV")
    for name in outputs:
        made.outputs[name] = naming.slug(name, otherwise="output")
    for name in variables:
        made.exports[name] = naming.slug(name, otherwise="output")
    if "GITHUB_ENV" in made.text and not variables:
        scope.shared.notes.cannot(
            scope.line, "which variables it sets for later steps cannot be seen ($GITHUB_ENV)"
        )
    for name in (*outputs, *variables):
        if "-" in name:
            made.text = re.sub(rf"(?<![\w-]){re.escape(name)}(?==|<<)", name.replace("-", "_"), made.text)
    for old, new in _ADDED.items():
        made.text = re.sub(rf"\b{old}\b", new, made.text)
    if "GITHUB_PATH" in made.text:
        line = scope.line + made.text.count("\n", 0, made.text.index("GITHUB_PATH"))
        scope.shared.notes.cannot(line, "$GITHUB_PATH: set PATH in the steps that need it")
        made.text = re.sub(r"\"?\$\{?GITHUB_PATH\}?\"?", "/dev/null", made.text)


def _names_written(source: str, variable: str) -> list[str]:
    """The names that `echo "name=…" >>"$VARIABLE"` and blocks `{ … } >>"$VARIABLE"` write."""
    found: list[str] = []
    lines = source.split("\n")
    for number, line in enumerate(lines):
        if not re.search(rf"\b{variable}\b", line):
            continue
        found += [name for name, _ in _WRITTEN.findall(line)]
        if re.match(r"\s*[})]", line):
            start = number
            while start and not re.search(r"[{(]\s*$", lines[start]):
                start -= 1
            inside = "\n".join(lines[start:number])
            found += [name for name, _ in _WRITTEN.findall(inside)]
        elif re.search(r"<<-?\s*['\"]?(\w+)", line) and "cat" in line:
            found += _in_here_document(lines[number:])
    return list(dict.fromkeys(found))


def _in_here_document(lines: list[str]) -> list[str]:
    word = re.search(r"<<-?\s*['\"]?(\w+)", lines[0])
    names: list[str] = []
    for line in lines[1:]:
        if word and line.strip() == word[1]:
            break
        if named := re.match(r"\s*([A-Za-z_][\w-]*)=", line):
            names.append(named[1])
    return names


def _add_github_variables(made: Script, scope: Scope, own_env: Mapping[str, object]) -> None:
    """GitHub's own environment variables, where a script reads them."""
    names = dict.fromkeys(_SHELL_VARIABLE.findall(made.text))
    for name in names:
        if (
            name in own_env
            or name in scope.env
            or name in made.env
            or name in scripts.variables_set(made.text)
        ):
            continue
        if name == "GITHUB_WORKSPACE":
            made.text = re.sub(r"\$(?:GITHUB_WORKSPACE\b|\{GITHUB_WORKSPACE\})", "$PWD", made.text)
            continue
        try:
            value = _github_variable(name, scope)
        except CannotTranslate as error:
            scope.shared.notes.cannot(scope.line, f"the script reads ${name}: {error}")
            continue
        made.env[name] = (
            cel.as_written(value.constant) if value.is_constant else f"{OPEN} {cel.there(value)} }}}}"
        )


def _github_variable(name: str, scope: Scope) -> Term:
    context, _, word = name.partition("_")
    if context == "RUNNER":
        if word.lower() in RUNNER:
            return cel.constant(RUNNER[word.lower()])
        raise CannotTranslate("there is nothing like it here")
    found = scope.read(("github", word.lower()))
    if found.kind == "secret":
        raise CannotTranslate("set it with `env` from a secret")
    return found


__all__ = ["NotAnExpression", "Script", "script", "term", "text", "whole"]
