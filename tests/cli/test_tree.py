"""The tree of a run shows what an operator has to see, in as many lines as there are."""

from __future__ import annotations

import io
import textwrap
from collections.abc import Callable

import pytest
from scripted_runs import FLEET, RELEASE, Scripted

from towpath.cli.views import tree
from towpath.cli.views.lines import Screen, width_of
from towpath.observe.chronicle import Chronicle


def drawn(
    world: Scripted, *, width: int = 80, height: int | None = None, unicode: bool = True, **detail: object
) -> str:
    """The tree as text."""
    screen = Screen(stream=io.StringIO(), fixed_width=width, unicode=unicode)
    seen = tree.Detail(now=world.now, chronicle=Chronicle(world.facts), **detail)  # type: ignore[arg-type]
    rows = tree.tree(world.run, seen)
    if height is not None:
        rows = tree.fit(rows, height)
    made = tree.lines(rows, screen)
    assert all(width_of(line) <= width for line in made)
    return "\n".join(screen.text(line) for line in made)


def _failing() -> Scripted:
    return (
        Scripted(RELEASE).done("test", "build", "go_live/switch").fails("go_live/smoke", "exit code 1: 500")
    )


CASES: dict[str, tuple[Callable[[], Scripted], str]] = {
    "just started": (
        lambda: Scripted(RELEASE),
        """
        ● test         0.0s  Unit tests
        · build              Build 1.0.0
        · go_live            Go live
        ├─ · switch          Switch the symlink
        └─ · smoke           Ask the shop
        """,
    ),
    "waiting for a retry": (
        _failing,
        """
        ✓ test         1.0s  Unit tests
        ✓ build        1.0s  Build 1.0.0
        ● go_live      2.0s  Go live
        ├─ ✓ switch    1.0s  Switch the symlink
        └─ ↻ smoke     1.0s  attempt 2 of 2 in 4s: exit code 1: 500
        """,
    ),
    "rolling back": (
        lambda: _failing().fires("go_live/smoke").fails("go_live/smoke"),
        """
        ✓ test                  1.0s  Unit tests
        ✓ build                 1.0s  Build 1.0.0
        ● go_live               7.0s  rolling back 1 of 1
        ├─ ✓ switch             1.0s  Switch the symlink
        │  └─ ● rollback        0.0s
        │     └─ ● switch_back   0.0s
        └─ ✗ smoke              6.0s  exit code 1 (after 2 attempts)
        """,
    ),
    "rolled back": (
        lambda: _failing().fires("go_live/smoke").fails("go_live/smoke").all_done(),
        """
        ✓ test         1.0s  Unit tests
        ✓ build        1.0s  Build 1.0.0
        ✗ go_live      8.0s  Go live
        ├─ ↶ switch    1.0s  rolled back by switch_back
        └─ ✗ smoke     6.0s  exit code 1 (after 2 attempts)
        ✓ finally      1.0s
        └─ ✓ served    1.0s  What is live now
        """,
    ),
    "an each with a canary": (
        lambda: Scripted(FLEET).done("fleet[web1]/install", "fleet[web1]/smoke", "fleet[web2]/install").fails("fleet[web3]/install"),
        """
        ● fleet           4.0s  1 of 3, 1 failed, 1 running · batch 2 of 2
        ├─ ✓ web1         2.0s
        ├─ ● web2         2.0s
        │  ├─ ✓ install   1.0s
        │  └─ ● smoke     1.0s
        └─ ✗ web3         2.0s
           ├─ ✗ install   2.0s  exit code 1
           └─ · smoke
        """,
    ),
}  # fmt: skip


def _squeezed(text: str) -> list[str]:
    """Lines without the width of their gaps, which a longer label changes."""
    return [" ".join(row.split()) for row in textwrap.dedent(text).strip().splitlines()]


@pytest.mark.parametrize("case", CASES)
def test_states(case: str) -> None:
    """Every state has its mark, its time and its words."""
    world, expected = CASES[case]

    assert _squeezed(expected) == _squeezed(drawn(world()))


def test_columns_are_aligned() -> None:
    """Times stand in one column, whatever the labels are."""
    rows = drawn(_failing()).splitlines()

    assert len({row.index("s  ") for row in rows}) == 1


def test_ten_thousand_items_are_counted_not_listed() -> None:
    """Of a large loop only what failed and what runs has a row; the rest is a number."""
    world = Scripted(FLEET, hosts=[f"h{number}" for number in range(10_000)])
    world.done("fleet[h0]/install", "fleet[h0]/smoke").done("fleet[h1]/install").fails(
        "fleet[h1]/smoke", "exit code 7"
    )

    rows = drawn(world).splitlines()

    assert len(rows) == 11
    assert rows[0].endswith("1 of 10,000, 1 failed, 20 running · batch 2 of 2")
    assert " ".join(rows[1].split()) == "├─ ✗ h1 2.0s smoke: exit code 7"
    assert " ".join(rows[-1].split()) == "└─ … 9,991 more 1 succeeded, 12 running, 9,978 to come"


@pytest.mark.parametrize("height", [1, 3, 5, 8])
def test_a_low_window_keeps_what_needs_attention(height: int) -> None:
    """However low the window is, the tree fits, and the failed item stays as long as there is room for it."""
    world = Scripted(FLEET, hosts=[f"h{number}" for number in range(12)])
    world.done("fleet[h0]/install", "fleet[h0]/smoke").fails("fleet[h5]/install", "disk full")

    rows = drawn(world, height=height).splitlines()

    assert len(rows) <= max(2, height)
    assert height < 5 or any("h5" in row for row in rows)


@pytest.mark.parametrize("width", [20, 34, 50, 80, 200])
@pytest.mark.parametrize("case", CASES)
def test_narrow_windows(case: str, width: int) -> None:
    """No line is wider than the window."""
    drawn(CASES[case][0](), width=width)


def test_ascii() -> None:
    """A terminal without Unicode gets a tree that is plain ASCII."""
    assert drawn(_failing(), unicode=False).isascii()


def test_names_from_outside_cannot_move_the_cursor() -> None:
    """An item's name and an error's message are shown, not obeyed."""
    world = Scripted(FLEET, hosts=["a\x1b[2Jb"]).fails(
        "fleet[#1]/install", "no\x1b]0;owned\x07pe\r\nline two"
    )

    assert "\x1b" not in drawn(world)
    assert "nope" in drawn(world)


def test_log_lines_hang_below_their_step() -> None:
    """The last lines of a running step stand below it."""
    rows = drawn(Scripted(RELEASE), tails={"test": ("compiling", "linking")}).splitlines()

    assert rows[1:3] == ["  ┃ compiling", "  ┃ linking"]


def test_questions() -> None:
    """A step that asks says whom, what, and until when."""
    world = Scripted(
        """
        name: asks
        steps:
          - id: go
            approve: Go live?
            who: [group:shop]
            quorum: 2
            answer_within: 10m
            if_unanswered: reject
        """
    ).answered("go", "approve")

    row = drawn(world, width=200)

    assert row.startswith("? go")
    assert "asks group:shop: Go live? (1 of 2 approvals), until" in row
    assert row.endswith("(in 10m)")


def test_all_items_and_rounds_on_request() -> None:
    """With `everything`, every item has its row."""
    world = Scripted(FLEET, hosts=[f"h{number}" for number in range(30)])

    assert sum("h" in row for row in drawn(world, everything=True).splitlines()) >= 30
