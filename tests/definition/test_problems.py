"""How problems are shown: windows, carets, suggestions, sorting."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from towpath.definition import problems
from towpath.definition.problems import CODES, CODES_BY_NAME, make_problem


def shown(excerpt: str, column: int, end_column: int) -> tuple[str, str]:
    """The line and the carets of a problem."""
    problem = make_problem(
        "unknown-key", "m", path="f", line=1, column=column, end_column=end_column, excerpt=excerpt
    )
    _, line, carets, *_ = problems.render_problem(problem).split("\n")
    return line[5:], carets[5:]


CARETS = [
    ("a: b", 1, 2, "a: b", "^"),
    ("a: bcd", 4, 7, "a: bcd", "   ^^^"),
    ("a: 日本 x", 7, 8, "a: 日本 x", "        ^"),
    ("a: 日本", 4, 6, "a: 日本", "   ^^^^"),
    ("\ta: b", 2, 3, " a: b", " ^"),
    ("a: b", 5, 6, "a: b", "    ^"),
    ("é: e\u0301 x", 7, 8, "é: e\u0301 x", "     ^"),
]


@pytest.mark.parametrize(("excerpt", "column", "end", "line", "carets"), CARETS)
def test_the_carets_stand_below_what_is_meant(
    excerpt: str, column: int, end: int, line: str, carets: str
) -> None:
    """Wide and combining characters and tabs do not move the carets away."""
    assert (line, carets) == shown(excerpt, column, end)


@given(st.integers(1, 400), st.integers(1, 60), st.integers(1, 400))
def test_of_a_long_line_the_part_around_the_caret_is_shown(column: int, length: int, chars: int) -> None:
    """However long a line is, what is shown is short, and the caret is below it."""
    text = "".join(chr(ord("a") + index % 26) for index in range(chars))
    line, carets = shown(text, column, column + length)
    start = min(column - 1, chars)

    assert len(line) <= problems.EXCERPT_CHARS_MAX + 2
    assert len(carets) <= problems.EXCERPT_CHARS_MAX + 3
    assert line[carets.index("^") : carets.index("^") + 1] == text[start : start + 1]


SUGGESTIONS = [
    ("titel", ["title", "timeout"], "title"),
    ("Title", ["title", "timeout"], "title"),
    ("max-parallel", ["max_parallel", "max_failures"], "max_parallel"),
    ("versoin", ["version"], "version"),
    ("zzz", ["title"], None),
    ("", ["title"], None),
    ("title", [], None),
]


@pytest.mark.parametrize(("word", "known", "expected"), SUGGESTIONS)
def test_the_nearest_known_word_is_suggested(word: str, known: list[str], expected: str | None) -> None:
    """A slip of the finger, another case or a hyphen is seen through; a strange word gets no wrong advice."""
    assert expected == problems.closest(word, known)


def test_problems_come_in_the_order_of_the_text_and_once() -> None:
    """Told twice is shown once; a reader meets the problems from top to bottom."""
    first = make_problem("unknown-key", "a", path="f", line=1, column=3)
    second = make_problem("unknown-key", "b", path="f", line=2, column=1)

    assert (first, second) == problems.in_order([second, first, second])


def test_a_code_has_one_number_and_one_name() -> None:
    """Numbers and names are unique, and every code says what it means in one sentence."""
    assert len(CODES) == len(CODES_BY_NAME)
    assert all(re.fullmatch(r"TOW\d{3}", number) for number in CODES)
    assert all(re.fullmatch(r"[A-Z`].*\.", code.explanation) for code in CODES.values())


def test_the_error_shows_every_problem() -> None:
    """Whoever prints the exception sees all of it; its message is the summary."""
    error = problems.DefinitionProblems(
        [
            make_problem("unknown-key", "first", path="f", line=1),
            make_problem("always", "second", path="f", line=2),
        ]
    )

    assert error.message == "1 error and 1 warning in 1 file"
    assert all(word in str(error) for word in ("first", "second"))
