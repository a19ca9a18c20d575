"""The parts of `tow test`: virtual time, addresses, plausible values, coverage."""

from __future__ import annotations

from typing import Any

import pytest
from testing_support import bench

from towpath.definition import model
from towpath.trials import testing
from towpath.trials.testing import addresses, plausible, times
from towpath.trials.testing.addresses import Place
from towpath.trials.testing.agenda import Agenda
from towpath.trials.testing.files import parse_instant, parse_jump

SECOND = 1_000_000


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-11-20T16:00 Europe/Berlin", (1_795_186_800 * SECOND, "Europe/Berlin")),
        ("2026-11-20T16:00+01:00", (1_795_186_800 * SECOND, "UTC")),
        ("2026-11-20T15:00:00Z", (1_795_186_800 * SECOND, "UTC")),
        ("2026-11-20T15:00", (1_795_186_800 * SECOND, "UTC")),
        ("2026-11-20", (1_795_132_800 * SECOND, "UTC")),
    ],
)
def test_an_instant_is_read_in_its_time_zone(text: str, expected: tuple[int, str]) -> None:
    """A point in time names its zone, or its distance from UTC, or is read as UTC."""
    assert parse_instant(text) == expected


@pytest.mark.parametrize(
    "text", ["", "soon", "2026-13-01", "2026-11-20T16:00 Mars/Base", "2026-11-20T16:00Z UTC", 5]
)
def test_what_is_no_instant_is_refused(text: object) -> None:
    """A slip in a point in time is told."""
    with pytest.raises(ValueError, match=r"is not|names no|twice"):
        parse_instant(text)


@pytest.mark.parametrize(("text", "expected"), [("2h", 7200.0), ("+90s", 90.0), ("-1h30m", -5400.0)])
def test_a_clock_is_set_forward_or_back(text: str, expected: float) -> None:
    """A jump of the clock is a span with or without a sign."""
    assert parse_jump(text) == expected


@pytest.mark.parametrize(
    ("micros", "expected"),
    [(0, "0s"), (250_000, "250ms"), (90 * SECOND, "1m30s"), (266_404 * SECOND, "3d2h4s"), (-SECOND, "-1s")],
)
def test_a_span_is_told_exactly(micros: int, expected: str) -> None:
    """What a story says of a span can be written into a test."""
    assert times.span(micros) == expected
    if micros > 0:
        assert round(model.parse_duration(expected) * SECOND) == micros


def test_only_what_waits_for_the_clock_moves_with_it() -> None:
    """When the clock is set, timers come earlier or later, and what takes its time takes it."""
    agenda = Agenda(0)
    seen: list[tuple[str, int]] = []
    agenda.at(100, lambda: seen.append(("timer", agenda.now)))
    agenda.later(50, lambda: seen.append(("work", agenda.now)))
    agenda.set_clock(90)
    while agenda.next_at is not None:
        agenda.turn()

    assert seen == [("timer", 100), ("work", 140)]


def test_what_has_passed_happens_at_once_and_in_order() -> None:
    """A moment that the clock has jumped over comes now; what is due together keeps its order."""
    agenda = Agenda(0)
    seen: list[str] = []
    for name in ("first", "second"):
        agenda.at(10, lambda name=name: seen.append(name))  # type: ignore[misc] # bound now
    agenda.set_clock(1_000)
    agenda.turn()
    agenda.turn()

    assert (seen, agenda.passed, agenda.next_at) == (["first", "second"], 0, None)


def test_a_dead_process_forgets_only_its_own() -> None:
    """What people and the world do is not lost with the process."""
    agenda = Agenda(0)
    seen: list[str] = []
    agenda.later(1, lambda: seen.append("attempt"), of_process=True)
    agenda.later(2, lambda: seen.append("person"))
    agenda.lose_process()
    agenda.turn()

    assert (seen, agenda.next_at) == (["person"], None)


INNER = Place(path="fleet[web1]/install", id="install")


@pytest.mark.parametrize(
    ("address", "place", "expected"),
    [
        ("fleet[web1]/install", INNER, 4),
        ("install", INNER, 1),
        ("fleet[*]/install", INNER, 2),
        ("fleet[web2]/install", INNER, 0),
        ("nstall", INNER, 0),
        ("installed", INNER, 0),
        ("fleet[web1]/install", Place(path="out/fleet[web1]/install", id="install"), 3),
        ("eet[web1]/install", Place(path="out/fleet[web1]/install", id="install"), 0),
        ("switch~rollback/1", Place(path="go/switch~rollback/1"), 3),
        ("1", Place(path="go/switch~rollback/1"), 0),
        ("2/x", Place(path="go/2/x", id="x"), 0),
        ("gate:production", Place(path="~gate_production"), 4),
        ("call>install", INNER, 0),
        ("install", Place(path="install", id="install", outer=Place(path="call", id="call")), 0),
        ("call>install", Place(path="install", id="install", outer=Place(path="a/call", id="call")), 4),
        ("other>install", Place(path="install", id="install", outer=Place(path="a/call", id="call")), 0),
    ],
)
def test_an_address_names_a_place(address: str, place: Place, expected: int) -> None:
    """A step is named by its id, by the end of its path from an id on, or by all of it; the most exact name wins."""
    assert addresses.exactness(address, place) == expected


def test_rounds_follow_each_other_in_a_script() -> None:
    """A list of results goes on from one round of a `repeat` to the next, and is each item's own in an `each`."""
    place = Place(path="out/poll[2]/fleet[a]/look", id="look", loops=("poll",))

    assert place.thread == "out/poll/fleet[a]/look"


@pytest.mark.parametrize(
    ("schema", "expected"),
    [
        ({"type": "string"}, "x"),
        ({"type": ["string", "null"]}, "x"),
        ({"type": "integer", "minimum": 5}, 5),
        ({"type": "number"}, 1),
        ({"type": "boolean"}, True),
        ({"type": "array", "items": {"type": "string"}}, []),
        ({"type": "object", "properties": {"a": {"type": "string"}}}, {"a": "a"}),
        ({"type": "object"}, {}),
        ({"enum": ["b", "c"]}, "b"),
        ({"const": 4}, 4),
        ({"type": "string", "default": "d"}, "d"),
        ({"type": "integer", "examples": [200]}, 200),
        ({"anyOf": [{"type": "integer"}, {"type": "string"}]}, 1),
        ({}, None),
    ],
)
def test_a_plausible_value_fits_its_schema(schema: dict[str, Any], expected: object) -> None:
    """What a step hands on by itself is of the type that its action promises."""
    assert plausible.of_schema(schema, "x") == expected


@pytest.mark.parametrize(
    ("declared", "expected"),
    [
        ({"type": "string"}, "x"),
        ({"type": "string", "enum": ["low", "high"]}, "low"),
        ({"type": "string", "pattern": "[A-Z]+-[0-9]+"}, "A-1"),
        ({"type": "string", "min_length": 5}, "xxxxxx"),
        ({"type": "integer", "minimum": 10}, 10),
        ({"type": "number", "maximum": 0.5}, 0.5),
        ({"type": "boolean"}, True),
        ({"type": "list", "items": {"type": "integer"}, "min_length": 2}, [1, 1]),
        ({"type": "map"}, {}),
    ],
)
def test_a_form_is_filled_in_as_it_asks(declared: dict[str, Any], expected: object) -> None:
    """Where a test does not fill a form in, it is filled in with values that it accepts."""
    assert plausible.form_of({"x": declared}, {}) == {"x": expected}


@pytest.mark.parametrize(
    ("workflow", "expected"),
    [
        (
            "release",
            "build runs, roll_out runs, roll_back runs, go_live is approved, go_live is rejected, "
            "go_live is sent back, go_live is not answered, tell runs",
        ),
        (
            "everything",
            "pick takes branch 1, pick takes branch 2, pick no branch holds, fast runs, slow runs, settled runs, "
            "settled gives up, lag runs, go runs, merged runs, pause runs, fleet runs, install runs, "
            "install is tried again, uninstall runs, guarded runs, risky runs, mend runs, optional runs, "
            "optional fails, and the run goes on, careful runs, careful fails, and people are asked",
        ),
        (
            "part",
            "work runs, work~rollback/1 runs, sure is done, sure could not be done, sure is not answered",
        ),
    ],
)
def test_the_branches_of_a_workflow(workflow: str, expected: str) -> None:
    """Every step, and every side of what can go one way or another, is a branch."""
    branches = testing.branches_of(bench().piece(workflow).plan)

    assert ", ".join(map(str, branches)) == expected
