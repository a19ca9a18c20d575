"""The small calculations of the core: waits between attempts, keys of items, sizes of batches, and what a path says."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from towpath.core.blocks import each, wait
from towpath.core.evolve import parent_path
from towpath.core.names import iso
from towpath.core.retries import next_attempt_at
from towpath.core.run import Error, is_protected, is_within
from towpath.definition.model import Retry
from towpath.errors import ExpressionError

EXIT = Error(kind="exit", message="no")
SECOND = 1_000_000


@given(
    delay=st.floats(0, 1e6),
    factor=st.floats(1, 100),
    max_delay=st.floats(0, 1e6),
    tries=st.integers(1, 50),
    seed=st.integers(0, 2**40),
)
def test_a_wait_lies_in_the_upper_half_of_its_length(
    delay: float, factor: float, max_delay: float, tries: int, seed: int
) -> None:
    """With jitter, a wait is between the half and the whole of delay × factor^(tries-1), which max_delay bounds."""
    retry = Retry.model_construct(
        attempts=100, delay=delay, factor=factor, max_delay=max_delay, jitter=True, when=None
    )
    whole = min(delay * factor ** (tries - 1), max_delay) * SECOND
    due = next_attempt_at(retry, tries=tries, error=EXIT, at=7, seed=seed)

    assert due is not None
    assert whole / 2 - 1 <= due - 7 <= whole + 1


@pytest.mark.parametrize(
    ("kind", "tries", "expected"),
    [
        ("exit", 1, True),
        ("timeout", 2, True),
        ("unreachable", 2, True),
        ("exit", 3, False),
        ("cancelled", 1, False),
        ("rejected", 1, False),
        ("policy", 1, False),
    ],
)
def test_what_is_repeated(kind: str, tries: int, expected: bool) -> None:
    """An attempt is repeated while attempts are left, unless somebody decided that it failed."""
    due = next_attempt_at(Retry(attempts=3), tries=tries, error=Error(kind=kind, message=""), at=0, seed=0)

    assert (due is not None) == expected


@pytest.mark.parametrize(
    ("batch", "count", "expected"),
    [
        ((1,), 0, (0,)),
        ((1,), 3, (1, 2, 3)),
        ((2,), 5, (2, 4, 5)),
        ((1, "10%", "100%"), 20, (1, 3, 20)),
        ((1, "10%"), 7, (1, 2, 3, 4, 5, 6, 7)),
        (("100%",), 5, (5,)),
        (("34%",), 3, (2, 3)),
        ((10,), 3, (3,)),
    ],
)
def test_where_batches_end(batch: tuple[int | str, ...], count: int, expected: tuple[int, ...]) -> None:
    """A size is a number or a share of all items rounded up; the last one repeats until all have their place."""
    assert each.batch_ends(batch, count) == expected


@pytest.mark.parametrize(
    ("limit", "count", "expected"), [(0, 5, 0), (2, 5, 2), ("20%", 5, 1), ("19%", 5, 0), ("100%", 7, 7)]
)
def test_how_many_items_may_fail(limit: int | str, count: int, expected: int) -> None:
    """A share of the items that may fail is rounded down."""
    assert each.allowed_failures(limit, count) == expected


@given(st.lists(st.one_of(st.text(max_size=8), st.integers(), st.sampled_from(["a", "#1", "#2", "b"]))))
def test_every_item_has_a_key_of_its_own(items: list[Any]) -> None:
    """Whatever the items are, their keys differ, say nothing of paths, and come in the items' order."""
    keyed = each.items_of(items)

    assert [value for _, value in keyed] == items
    assert len({key for key, _ in keyed}) == len(items)
    assert not [key for key, _ in keyed if set(key) & set("/~[]")]


@pytest.mark.parametrize("value", [5, "text", None, True, 1.5])
def test_what_has_no_items(value: object) -> None:
    """A value that is neither a list nor a map is an error of the workflow."""
    with pytest.raises(ExpressionError):
        each.items_of(value)


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("", None),
        ("a", ""),
        ("a/b", "a"),
        ("e[w1]", "e"),
        ("e[w1]/x", "e[w1]"),
        ("p/e[a.b:c]", "p/e"),
        ("a~rollback", "a"),
        ("a~rollback/1", "a~rollback"),
        ("~finally", ""),
        ("~finally/f~catch", "~finally/f"),
    ],
)
def test_whom_a_node_reports_to(path: str, expected: str | None) -> None:
    """The parent of a path is what it stands in; the root has none."""
    assert parent_path(path) == expected


@pytest.mark.parametrize(
    ("path", "scope", "expected"),
    [
        ("a/b", "a", True),
        ("a", "a", True),
        ("ab", "a", False),
        ("a[1]", "a", True),
        ("a~catch/x", "a", True),
        ("x", "", True),
        ("a", "a/b", False),
    ],
)
def test_what_stands_in_a_scope(path: str, scope: str, expected: bool) -> None:
    """A scope holds itself and everything below it, and no neighbour whose name begins alike."""
    assert is_within(path, scope) is expected


@pytest.mark.parametrize(
    ("path", "scope", "expected"),
    [
        ("a~rollback/u", "", True),
        ("a~rollback/u", "a~rollback", False),
        ("~finally/f", "", True),
        ("a~catch/k", "", False),
        ("a~catch/k~finally/f", "a", True),
    ],
)
def test_what_a_stop_does_not_reach(path: str, scope: str, expected: bool) -> None:
    """Undoing and last steps below the scope that is being stopped go on to their end."""
    assert is_protected(path, scope) is expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1970-01-01T00:00:01Z", 1_000_000),
        ("1970-01-01T01:00:00+01:00", 0),
        ("2026-11-22T22:00:00.5Z", 1_795_384_800_500_000),
    ],
)
def test_which_instant_a_text_names(text: str, expected: int) -> None:
    """A timestamp with a zone names an instant, and the instant is written back in UTC."""
    assert wait.instant(text) == expected
    assert wait.instant(iso(expected)) == expected


@pytest.mark.parametrize(
    "text",
    [
        "",
        "tomorrow",
        "2026-11-22",
        "2026-11-22T22:00:00",
        None,
        5,
        "0001-01-01T00:00:00+23:59",
        "9999-99-99T00:00:00Z",
    ],
)
def test_what_is_no_instant(text: object) -> None:
    """A text without a zone, or without sense, is an error of the workflow and nothing else."""
    try:
        found: int | None = wait.instant(text)
    except ExpressionError:
        found = None

    assert found is None or isinstance(found, int)
