"""What an expression may name, and of which type.

`Names` is a flat table from dotted paths to types: `inputs.version: string`, `steps.build.outputs: map`,
`stdout: string`. A path that is declared is open below where its type says nothing more (`map`, `dyn`); a
path that is not declared itself, but has declared paths below it, is closed: under `inputs` with only
`inputs.version` declared, `inputs.versoin` is a mistake. At run time everything was checked already, and
`DYNAMIC` lets any name through with no type.
"""

from __future__ import annotations

import difflib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from towpath.definition.expressions.faults import Code, CompileError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

TYPE_NAMES: Final = frozenset(
    {"bool", "bytes", "double", "int", "list", "map", "null_type", "string", "type", "uint"}
)
"""CEL's names for its types, as in `type(x) == string`."""

RESERVED_NAMES: Final = TYPE_NAMES | frozenset(
    [
        "as",
        "break",
        "const",
        "continue",
        "else",
        "false",
        "for",
        "function",
        "if",
        "import",
        "in",
        "let",
        "loop",
        "namespace",
        "null",
        "package",
        "return",
        "true",
        "var",
        "void",
        "while",
    ]
)
"""Words that an expression cannot begin with, so that no item (`as`) can have them as its name."""

_SCALARS: Final = frozenset({"bool", "double", "dyn", "duration", "int", "null", "string", "timestamp"})


@dataclass(slots=True, kw_only=True)
class _Branch:
    type: str | None
    children: dict[str, _Branch]

    @property
    def open(self) -> bool:
        return self.type is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class Names:
    """The names that an expression may read, with the type of each path that is known."""

    types: tuple[tuple[str, str], ...]
    # Sorted pairs of dotted path and type text, so that equal tables are equal keys of a cache.
    any_name: bool = False
    # Every root name exists and nothing is known about it.
    _root: _Branch = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_root", _tree(self.types))

    @classmethod
    def of(cls, types: Mapping[str, str]) -> Names:
        """Return the table of *types*; raises ValueError for a type that does not exist."""
        for text in set(types.values()):
            parse_type(text)
        return cls(types=tuple(sorted(types.items())))

    def extended(self, types: Mapping[str, str]) -> Names:
        """Return this table with *types* added; a path that was there takes the new type."""
        return Names.of(dict(self.types) | dict(types))

    @property
    def roots(self) -> tuple[str, ...]:
        """The first words of all paths."""
        return tuple(self._root.children)

    def problem(self, path: tuple[str, ...], offset: int = 0) -> CompileError | None:
        """Return what is wrong with reading *path*, or None when it may be read as far as anyone knows."""
        if self.any_name:
            return None
        branch = self._root
        for depth, word in enumerate(path):
            if branch.open:
                return None
            if word not in branch.children:
                return _unknown(path, depth, tuple(branch.children), offset)
            branch = branch.children[word]
        return None

    def relevant(self, path: tuple[str, ...]) -> dict[str, str]:
        """Return the declarations that decide the type of *path*."""
        declared: dict[str, str] = {}
        branch = self._root
        for depth, word in enumerate(path):
            if word not in branch.children:
                break
            branch = branch.children[word]
            if branch.type is not None:
                declared[".".join(path[: depth + 1])] = branch.type
        return declared


def parse_type(text: str) -> tuple[str, ...]:
    """Return *text* as nested words: `list(map(int))` is ("list", "map", "int"); raises ValueError.

    The types are `bool`, `int`, `double`, `string`, `null`, `timestamp`, `duration`, `dyn` (anything),
    `number` (`int` or `double`, so checked only at run time), `list`, `list(T)`, `map` and `map(T)`, whose
    keys are texts.
    """
    words = text.replace(" ", "")
    wrappers: list[str] = []
    while words.endswith(")") and words.partition("(")[0] in {"list", "map"}:
        wrapper, _, words = words[:-1].partition("(")
        wrappers.append(wrapper)
    if words in {"list", "map"}:
        wrappers.append(words)
        words = "dyn"
    if words == "number":
        words = "dyn"
    if words not in _SCALARS:
        raise ValueError(f"`{text}` is no type of an expression; the types are {', '.join(sorted(_SCALARS))}")
    return (*wrappers, words)


def suggestion(word: str, known: Iterable[str]) -> str:
    """Return `did you mean …?` for the known word nearest to *word*, or an empty text."""
    near = difflib.get_close_matches(word, list(known), n=1, cutoff=0.6)
    return f"did you mean `{near[0]}`?" if near else ""


def _tree(types: Iterable[tuple[str, str]]) -> _Branch:
    root = _Branch(type=None, children={})
    for path, type_text in types:
        branch = root
        for word in path.split("."):
            branch = branch.children.setdefault(word, _Branch(type=None, children={}))
        branch.type = type_text
    return root


def _unknown(path: tuple[str, ...], depth: int, known: tuple[str, ...], offset: int) -> CompileError:
    word = path[depth]
    if word == "secrets" and depth == 0:
        return CompileError(
            "no secret can stand here",
            code=Code.SECRET,
            offset=offset,
            help="secrets go into `with`, `env` and `stdin` only",
        )
    if depth == 0:
        message = f"unknown name `{word}`"
        listed = "names here: "
    else:
        message = f"`{'.'.join(path[:depth])}` has no `{word}`"
        listed = "it has "
    help_text = suggestion(word, known) or (listed + ", ".join(sorted(known)[:12]) if known else "")
    if word == "now" and depth == 0:
        help_text = "expressions have no clock; use run.started_at or a time from an event"
    return CompileError(message, code=Code.UNKNOWN_NAME, offset=offset, help=help_text)


DYNAMIC: Final = Names(types=(), any_name=True)
"""Every name exists and has no type: what a definition that was checked is run with."""
