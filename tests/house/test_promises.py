"""The table of promises, the tests that it names, and the page that is made from it agree."""

from __future__ import annotations

import ast
import json
import re
from pathlib import Path

import pytest
from house_sources import ROOT, load_script

from promises import PROMISES

PAGE = (ROOT / "docs" / "explain" / "promises.md").read_text(encoding="utf-8")
FIGURES = json.loads((ROOT / "docs" / "promises.json").read_text(encoding="utf-8"))
ENTRIES = sorted({entry for promise in PROMISES.values() for entry in promise.tests})


def functions_in(path: Path) -> set[str]:
    """The test functions of a file, or of the files of a folder, as pytest names them without their parameters."""
    files = sorted(path.rglob("test_*.py")) if path.is_dir() else [path]
    return {
        f"{file.relative_to(ROOT)}::{name}"
        for file in files
        for name in _names(ast.parse(file.read_text(encoding="utf-8")))
    }


def _names(tree: ast.Module) -> list[str]:
    found = []
    for node in tree.body:
        inside = node.body if isinstance(node, ast.ClassDef) else [node]
        prefix = f"{node.name}::" if isinstance(node, ast.ClassDef) else ""
        found += [
            f"{prefix}{one.name}"
            for one in inside
            if isinstance(one, ast.FunctionDef | ast.AsyncFunctionDef) and one.name.startswith("test_")
        ]
    return found


@pytest.mark.parametrize("entry", ENTRIES)
def test_every_entry_of_the_table_is_there(entry: str) -> None:
    """A file that was moved or a test that was renamed is noticed at once."""
    file, _, name = entry.partition("::")

    assert (ROOT / file).exists()
    assert not name or entry in functions_in(ROOT / file)


def test_every_promise_has_cases() -> None:
    """No promise is without tests that ran; one of which nothing is built yet says so."""
    page = load_script(ROOT / "docs" / "promises.py")
    cases = {name: sum(row["cases"] for row in page.rows_of(name, FIGURES).values()) for name in PROMISES}

    assert list(PROMISES) == [f"P{number}" for number in range(1, 15)]
    assert [name for name, promise in PROMISES.items() if not cases[name] and not promise.missing] == []


def test_the_page_is_what_the_table_and_the_figures_say() -> None:
    """Nobody has written on the page by hand: `./dev promises` makes it."""
    page = load_script(ROOT / "docs" / "promises.py")

    assert page.page(FIGURES) == PAGE


def test_the_page_names_exactly_the_tests_of_the_table() -> None:
    """What a promise is shown by is on the page with its figures, and nothing else is: `./dev promises FILE` for a new entry."""
    named = set(re.findall(r"^\| `(tests/[^`]+)` \|", PAGE, re.MULTILINE))

    assert sorted(set(ENTRIES) - named) == []
    assert sorted(named - set(ENTRIES)) == []


def test_every_fault_belongs_to_a_promise() -> None:
    """A file of faults that no promise names would be played for nobody."""
    faults = {str(file.relative_to(ROOT)) for file in (ROOT / "tests" / "faults").glob("test_*.py")}

    assert {file for file in faults if not any(entry.startswith(file) for entry in ENTRIES)} == set()
