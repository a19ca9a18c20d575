"""The core has no clock, no randomness, no environment, no files, no network, no logging and no `await`.

What cannot be imported cannot be used, so the first rule is a list of what may be imported. The second names
the built-ins that reach outside or differ from one process to the next.
"""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
from house_sources import Module, imports, modules, parse

PURE_LIBRARY = frozenset(
    {
        "__future__",
        "abc",
        "base64",
        "bisect",
        "collections",
        "copy",
        "dataclasses",
        "decimal",
        "enum",
        "fractions",
        "functools",
        "hashlib",  # digests, from which ids and jitter are derived
        "heapq",
        "itertools",
        "json",
        "math",
        "operator",
        "re",
        "string",
        "types",
        "typing",
        # from outside the standard library: values only
        "immutables",
        "msgspec",
    }
)
"""What the core may import besides what the ladder allows."""

TIME_VALUES = frozenset(
    {"datetime", "datetime.UTC", "datetime.datetime", "datetime.timedelta", "datetime.timezone"}
)
"""Time as a value is pure; asking for the time is not, and `CLOCK_METHODS` finds that."""

CLOCK_METHODS = frozenset({"now", "utcnow", "today"})
IMPURE_BUILTINS = frozenset(
    {
        "__import__",
        "breakpoint",
        "compile",
        "eval",
        "exec",
        "globals",
        "hash",
        "id",
        "input",
        "open",
        "print",
        "vars",
    }
)
"""`hash` of text differs between processes, `id` between runs."""


def impurities(module: Module) -> list[str]:
    """Everything in *module* that a pure core does not do, with its line."""
    found = [
        f"line {each.line}: imports {each.name}"
        for each in imports(module)
        if not each.name.startswith("towpath.")
        and each.name.partition(".")[0] not in PURE_LIBRARY
        and each.name not in TIME_VALUES
    ]
    found += [
        f"line {getattr(node, 'lineno', 0)}: {reason}"
        for node in ast.walk(module.tree)
        if (reason := impurity(node))
    ]
    return found


def impurity(node: ast.AST) -> str | None:  # noqa: PLR0911 - a table, one answer for each row
    """Why *node* is not pure, or None."""
    match node:
        case ast.AsyncFunctionDef() | ast.Await() | ast.AsyncFor() | ast.AsyncWith():
            return "is asynchronous"
        case ast.Global() | ast.Nonlocal():
            return "keeps state outside its values"
        case ast.Call(func=ast.Name(id=name)) if name in IMPURE_BUILTINS:
            return f"calls {name}()"
        case ast.Call(func=ast.Attribute(attr=name)) if name in CLOCK_METHODS:
            return f"calls .{name}()"
        case ast.Call(func=ast.Attribute(attr="fromtimestamp"), args=[_], keywords=[]):
            return "reads the machine's time zone"
        case ast.For(iter=source) | ast.comprehension(iter=source) if is_unordered(source):
            return "walks through a set, whose order differs between processes"
        case _:
            return None


def is_unordered(source: ast.expr) -> bool:
    """Whether *source* is plainly a set."""
    match source:
        case ast.Set() | ast.SetComp():
            return True
        case ast.Call(func=ast.Name(id="set" | "frozenset")):
            return True
        case _:
            return False


CORE = [module for module in modules() if module.room == "core"]


@pytest.mark.parametrize("module", CORE, ids=lambda module: module.name)
def test_core_is_pure(module: Module) -> None:
    """No module of the core can reach the world, or answer differently tomorrow."""
    assert impurities(module) == [], module.where


@pytest.mark.parametrize(
    "line",
    [
        "import time",
        "import os",
        "x.fromtimestamp(0)",
        "import random",
        "import socket",
        "import logging",
        "import asyncio",
        "import uuid",
        "import secrets",
        "from pathlib import Path",
        "from datetime import date",
        "def f(): import subprocess",
        "datetime.now()",
        "print('x')",
        "open('x')",
        "hash('x')",
        "async def f(): ...",
        "for x in {1, 2}: ...",
        "[x for x in set(y)]",
        "def f():\n    global x",
    ],
)
def test_an_impurity_is_found(tmp_path: Path, line: str) -> None:
    """The check notices each thing that the core must not do."""
    path = tmp_path / "rule.py"
    path.write_text(line)

    assert len(impurities(parse(path, source=tmp_path))) == 1


def test_a_pure_module_passes(tmp_path: Path) -> None:
    """The check has nothing against values, tables and arithmetic."""
    path = tmp_path / "rule.py"
    path.write_text(
        "import math\nfrom datetime import timedelta\nimport msgspec\nfrom towpath.definition import model\n"
        "for x in sorted({1, 2}):\n    math.ceil(x)\n"
    )

    assert impurities(parse(path, source=tmp_path)) == []
