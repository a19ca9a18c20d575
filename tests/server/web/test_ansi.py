"""What steps printed, on a page: colours stay, whatever else a terminal would obey is gone, and the text is never markup."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from towpath.server.web import ansi
from towpath.server.web.ansi import Piece

CASES = [
    ("plain", "hello", [("", "hello")]),
    ("red", "\x1b[31mbad\x1b[0m ok", [("ansi-1", "bad"), ("", " ok")]),
    ("bold green", "\x1b[1;32mok\x1b[m", [("ansi-bold ansi-2", "ok")]),
    ("bright on blue", "\x1b[97;44mx", [("ansi-15 ansi-on-4", "x")]),
    ("weights end", "\x1b[1;3ma\x1b[22mb", [("ansi-bold ansi-italic", "a"), ("ansi-italic", "b")]),
    ("one of 256", "\x1b[38;5;196mr\x1b[48;5;244mg", [("ansi-9", "r"), ("ansi-9 ansi-on-7", "g")]),
    ("mixed", "\x1b[38;2;10;200;10mg", [("ansi-2", "g")]),
    ("a title", "\x1b]0;evil\x07ok", [("", "ok")]),
    ("a link", "\x1b]8;;javascript:x\x1b\\click\x1b]8;;\x1b\\", [("", "click")]),
    ("moves and erases", "\x1b[2J\x1b[10;10Hhi\x1b[K", [("", "hi")]),
    ("a progress bar", "10%\r50%\r100%", [("", "100%")]),
    ("a bar that is erased", "10%\r50%\r", [("", "50%")]),
    ("unfinished", "a\x1b[31", [("", "a31")]),
    ("nonsense numbers", "\x1b[99999999999;;5000mx", [("", "x")]),
    ("markup", "<script>\x1b[31m<b>", [("", "<script>"), ("ansi-1", "<b>")]),
]


@pytest.mark.parametrize(("text", "expected"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
def test_colours_stay_and_the_rest_goes(text: str, expected: list[tuple[str, str]]) -> None:
    """Of all that a terminal obeys only colours and weights are kept, as classes of our own."""
    assert [(piece.classes, piece.text) for piece in ansi.pieces(text)] == expected


def test_what_is_searched_for_is_marked() -> None:
    """Each place is marked whatever its case, and the colours around it stay."""
    assert ansi.pieces("\x1b[31mError: no error\x1b[0m", "error") == (
        Piece("ansi-1", "Error", is_found=True),
        Piece("ansi-1", ": no "),
        Piece("ansi-1", "error", is_found=True),
    )


@given(st.text(alphabet=st.sampled_from("\x1b[]0123456789;:mKHx<\x07\\\r"), max_size=60))
def test_no_class_comes_from_outside(text: str) -> None:
    """Whatever a step prints, classes are names of our own and no text is made up."""
    for piece in ansi.pieces(text):
        assert all(name.removeprefix("ansi-").removeprefix("on-").isalnum() for name in piece.classes.split())
        assert piece.text in ansi.plain(text) or not piece.text.isprintable()


def test_a_line_of_colours_is_bounded() -> None:
    """A line that changes its colour at every letter costs no more than SPANS_MAX pieces."""
    line = "\x1b[31ma\x1b[32mb" * 10_000

    assert len(ansi.pieces(line)) <= ansi.SPANS_MAX + 1
