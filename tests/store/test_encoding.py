"""Events as bytes: what is written today and what was written before."""

from __future__ import annotations

from typing import Any, get_args

import msgspec
import pytest

from towpath.core import events
from towpath.errors import BugError, StoreUnavailable
from towpath.store.encoding import UPCASTERS, VERSION, decode, encode, upcast


def test_an_event_comes_back_as_it_was() -> None:
    """Writing and reading an event changes nothing."""
    event = events.RunEnded(
        at=5, status="failed", outcome="x", message="né \U0001f600 \x00", outputs={"a": [1, None]}
    )

    assert decode(encode(event)) == event


def test_a_record_tells_version_and_event() -> None:
    """A record can be read without this program: JSON, the version first, then the event's name."""
    assert encode(events.RunEnded(at=5, status="succeeded")) == (
        b'{"v":1,"event":"run_ended","status":"succeeded","at":5}'
    )


def test_every_event_has_a_name_of_its_own() -> None:
    """The union that is read knows every event of the core, each under its own tag."""
    tags = [member.__struct_config__.tag for member in get_args(events.AnyEvent)]
    known = [
        kind
        for kind in vars(events).values()
        if isinstance(kind, type) and issubclass(kind, events.Event) and kind is not events.Event
    ]

    assert len(set(tags)) == len(tags)
    assert {kind.__struct_config__.tag for kind in known} == set(tags)


@pytest.mark.parametrize(
    "record",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"\xff\xfe", id="bytes"),
        pytest.param(b'{"v":1,"event":"run_ended"', id="torn"),
        pytest.param(b'{"v":1,"event":"nobody_knows","at":5}', id="unknown-event"),
        pytest.param(b'{"v":1,"event":"run_ended","at":"soon","status":"failed"}', id="wrong-type"),
        pytest.param(b'{"v":2,"event":"run_ended","at":5,"status":"failed"}', id="newer"),
        pytest.param(b'{"event":"run_ended","at":5,"status":"failed"}', id="no-version"),
        pytest.param(b"[1]", id="no-object"),
    ],
)
def test_what_cannot_be_read_says_so(record: bytes) -> None:
    """A damaged or newer record is an error with a way out, never a guess."""
    with pytest.raises(StoreUnavailable) as caught:
        decode(record)

    assert caught.value.help


def test_a_field_of_the_future_is_passed_over() -> None:
    """A field that was added with a default needs no new version."""
    record = b'{"v":1,"event":"run_ended","at":5,"status":"failed","colour":"blue"}'

    assert decode(record) == events.RunEnded(at=5, status="failed")


def test_the_order_of_the_keys_does_not_matter() -> None:
    """A record that was edited by a person is still read."""
    assert decode(b'{"at":5,"event":"run_ended","status":"failed","v":1}') == events.RunEnded(
        at=5, status="failed"
    )


def test_old_versions_are_led_to_the_new_one_step_by_step() -> None:
    """Each upcaster knows one step only; together they lead from any version to today's."""

    def second(data: dict[str, Any]) -> dict[str, Any]:
        return {**data, "at": data["at"] * 1_000}

    def third(data: dict[str, Any]) -> dict[str, Any]:
        return {**{key: value for key, value in data.items() if key != "state"}, "status": data["state"]}

    old = msgspec.json.decode(b'{"v":1,"event":"run_ended","at":5,"state":"failed"}')

    assert upcast(old, upcasters={1: second, 2: third}, version=3) == {
        "v": 3,
        "event": "run_ended",
        "at": 5_000,
        "status": "failed",
    }


def test_a_missing_upcaster_is_our_mistake() -> None:
    """A version without a way to the next one is found."""
    with pytest.raises(BugError):
        upcast({"v": 1}, upcasters={}, version=2)


def test_there_is_an_upcaster_for_every_version_before_today() -> None:
    """Nobody raises the version without saying what becomes of old records."""
    assert sorted(UPCASTERS) == list(range(1, VERSION))
