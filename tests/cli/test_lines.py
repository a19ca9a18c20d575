"""Text from outside can do nothing to a terminal, and lines fit into it."""

from __future__ import annotations

import io

import pytest

from towpath.cli.views import lines


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("plain", "plain"),
        ("tab\there", "tab here"),
        ("\x1b[31mred\x1b[0m", "red"),
        ("\x1b]0;title\x07after", "after"),
        ("\x1b]8;;http://evil\x1b\\link\x1b]8;;\x1b\\", "link"),
        ("a\rb\nc", "a b c"),
        ("bell\x07", "bell�"),
        ("\x9b31mcsi", "�31mcsi"),
        ("right\u202eleft", "right�left"),
        ("日本 ✓", "日本 ✓"),
    ],
)
def test_safe(text: str, expected: str) -> None:
    """No escape sequence and no control character of a text from outside reaches the terminal."""
    assert expected == lines.safe(text)


def test_coloured_keeps_colours_only() -> None:
    """A step's own colours stay, everything that moves the cursor or sets the title goes, and colours end with the line."""
    assert lines.coloured("\x1b[31mred\x1b[2J\x1b[0m \x1b]0;x\x07end") == "\x1b[31mred\x1b[0m end\x1b[0m"


@pytest.mark.parametrize(
    ("text", "width", "expected"),
    [
        ("short", 10, "short"),
        ("exactly ten", 11, "exactly ten"),
        ("too long for this", 8, "too lon…"),
        ("日本語テキスト", 7, "日本語…"),
        ("日本語テキスト", 6, "日本…"),
    ],
)
def test_clip(text: str, width: int, expected: str) -> None:
    """A line never takes more columns than there are, wide characters included."""
    clipped = lines.clip(((text, "plain"),), width)

    assert expected == "".join(part for part, _ in clipped)
    assert lines.width_of(clipped) <= width


@pytest.mark.parametrize(
    ("text", "width", "expected"),
    [
        ("one two three", 7, ["one two", "three"]),
        ("a_very_long_word", 5, ["a_ver", "y_lon", "g_wor", "d"]),
        ("", 5, []),
        ("in a_very_long_word", 6, ["in", "a_very", "_long_", "word"]),
    ],
)
def test_wrap(text: str, width: int, expected: list[str]) -> None:
    """Text is broken between words, and within a word that does not fit."""
    assert expected == list(lines.wrap(text, width))


def test_table_gives_way_in_its_flexible_column() -> None:
    """Columns stay aligned and within the width; the flexible one is cut."""
    rows = [
        (lines.line("1"), lines.line("a long description of things")),
        (lines.line("1000"), lines.line("short")),
    ]

    made = ["".join(text for text, _ in row) for row in lines.table(rows, width=20)]

    assert made == ["1     a long descri…", "1000  short"]


class _Terminal(io.StringIO):
    encoding = "utf-8"

    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({"TERM": "xterm"}, (True, True)),
        ({"TERM": "xterm", "NO_COLOR": "1"}, (True, False)),
        ({"TERM": "dumb"}, (False, False)),
        ({"TERM": "dumb", "FORCE_COLOR": "1"}, (False, True)),
    ],
)
def test_screen_follows_the_environment(environment: dict[str, str], expected: tuple[bool, bool]) -> None:
    """NO_COLOR, FORCE_COLOR and TERM=dumb are followed."""
    screen = lines.screen_of(_Terminal(), environment)

    assert expected == (screen.is_terminal, screen.colours)


def test_a_pipe_gets_no_colours_and_a_poor_encoding_no_unicode() -> None:
    """What is piped is plain; where the encoding has no check mark, ASCII stands for it."""
    ascii_stream = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    screen = lines.screen_of(ascii_stream, {})

    assert screen.text((("✓ done … ├─ ", "good"),)) == "+ done ... |-"
