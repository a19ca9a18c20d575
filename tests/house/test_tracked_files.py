"""What is in the repository is fit to be published."""

from __future__ import annotations

import ast
import re
import tokenize
from pathlib import Path

import pytest
from house_sources import ROOT, text_of, tracked_files

PYTHON_FILES = [name for name in tracked_files() if name.endswith(".py")]
TEST_FILES = [name for name in PYTHON_FILES if Path(name).name.startswith("test_")]

# Written in pieces, so that this file does not find itself.
PRIVATE = re.compile(
    "|".join(
        (
            r"index" + r"-url",
            r"//[a-z0-9.-]*(?:py" + r"pi|python" + r"hosted|npm" + r"js|deb\.deb" + r"ian)\.",
            r"/opt/py" + r"pi",
            r"/wo" + r"rk/(?:main|shared|\.)",
            r"/tmp/(?:pro" + r"be|bri" + r"efs)",
            r"\.py" + r"env/",
        )
    )
)
"""Where packages come from and where somebody keeps their checkout is nobody's business."""

NAMED_TODO = re.compile(r"\bTO" + r"DO\(#\d+\)")
LEFTOVER = re.compile(r"\b(?:TO" + r"DO|FIX" + r"ME|XX" + r"X)\b")


@pytest.mark.parametrize("name", tracked_files())
def test_no_private_address_is_published(name: str) -> None:
    """No file names a package registry's host, or a path that exists on one machine only."""
    text = text_of(name) or ""
    # ./dev passes the option that keeps such addresses out of the lock, and looks for them.
    found = [] if name == "dev" else [match[0] for match in PRIVATE.finditer(text)]

    assert found == []


@pytest.mark.parametrize("name", PYTHON_FILES)
def test_what_is_left_to_do_names_its_issue(name: str) -> None:
    """A comment that leaves work behind names its issue; nothing else of the kind is committed."""
    with tokenize.open(ROOT / name) as file:
        comments = [
            token for token in tokenize.generate_tokens(file.readline) if token.type == tokenize.COMMENT
        ]
    left = [
        f"{name}:{comment.start[0]} {comment.string}"
        for comment in comments
        if LEFTOVER.search(NAMED_TODO.sub("", comment.string))
    ]

    assert left == []


@pytest.mark.parametrize("name", TEST_FILES)
def test_every_test_says_its_promise(name: str) -> None:
    """Every test has a docstring, and the docstring ends as a sentence does."""
    tree = ast.parse((ROOT / name).read_text(encoding="utf-8"))
    silent = [
        f"{name}:{node.lineno} {node.name}"
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and node.name.startswith("test_")
        and not (ast.get_docstring(node) or "").rstrip().endswith((".", "?", "!", "`"))
    ]

    assert silent == []


@pytest.mark.parametrize("name", TEST_FILES)
def test_no_test_is_skipped(name: str) -> None:
    """A tool that is missing is a failure that says what to install; a test that is not run shows nothing."""
    skips = {"skip", "skipif", "importorskip", "xfail"}
    found = [
        f"{name}:{node.lineno}"
        for node in ast.walk(ast.parse((ROOT / name).read_text(encoding="utf-8")))
        if isinstance(node, ast.Attribute) and node.attr in skips and "pytest" in ast.dump(node.value)
    ]

    assert found == []


def test_the_lock_is_hashed_and_anonymous() -> None:
    """Every locked package has its hashes, and the lock says nothing of where it was resolved."""
    lock = (ROOT / "requirements.lock").read_text()
    entries = re.findall(r"^(\S+)==.*?(?=^\S|\Z)", lock, re.MULTILINE | re.DOTALL)
    hashed = re.findall(r"^(\S+)==[^\n]*\\\n    --hash=sha256:", lock, re.MULTILINE)

    assert entries == hashed
    assert "://" not in lock


def test_no_two_test_files_have_one_name() -> None:
    """Test files are modules without a package: of two with one name only the first would be collected."""
    names = [Path(name).name for name in TEST_FILES]

    assert sorted({name for name in names if names.count(name) > 1}) == []
