"""Which way leads to whom."""

from __future__ import annotations

from typing import Any

import pytest
from outbox_support import PROJECT, routes

from towpath.store.contract import SENDINGS_MAX

DEFAULTS: dict[str, Any] = {
    "people": {"users": {"eve": {}, "ada": {"email": "ada@example.com"}}},
    "channels": {
        "hook": {"kind": "webhook", "url": "https://example.com", "default": True},
        "rooms": {"kind": "slack", "to": ["#ops", "#dev"], "secret": "token", "default": True},
        "first": {"kind": "email", "to": "one@example.com"},
        "second": {"kind": "email", "to": "two@example.com"},
    },
}


def found(file: dict[str, Any], *people: str, **different: Any) -> list[tuple[str, str, str]]:
    """Recipient, channel and address of every sending."""
    sendings = routes(file, **different).to(people)
    return [(one.recipient, one.channel, one.address) for one in sendings]


@pytest.mark.parametrize(
    ("file", "people", "expected"),
    [
        (PROJECT, ("ada",), [("user:ada", "mail", "ada@example.com")]),
        (PROJECT, ("ben",), [("user:ben", "chat", "U012AB3")]),
        (PROJECT, ("eve",), [("user:eve", "", "")]),
        (PROJECT, ("stranger",), [("user:stranger", "", "")]),
        (PROJECT, (), [("user:", "", "")]),
        (DEFAULTS, ("ada",), [("user:ada", "first", "ada@example.com")]),
        (
            DEFAULTS,
            ("eve", "stranger"),
            [("to:", "hook", ""), ("to:#ops", "rooms", "#ops"), ("to:#dev", "rooms", "#dev")],
        ),
    ],
)
def test_ways_are_found_in_order(
    file: dict[str, Any], people: tuple[str, ...], expected: list[tuple[str, str, str]]
) -> None:
    """Contacts first, then the e-mail address, then the default channels, once for all; else it is on record."""
    assert found(file, *people) == expected


@pytest.mark.parametrize(
    ("contact", "expected"),
    [
        ({"chat": "U1"}, [("chat", "U1")]),
        ({"slack": "U1"}, [("chat", "U1")]),
        ({"slack": "U1", "chat": "U2"}, [("chat", "U2")]),
        ({"email": "other@example.com", "chat": "U1"}, [("mail", "other@example.com"), ("chat", "U1")]),
        ({"carrier_pigeon": "Speedy"}, [("mail", "ada@example.com")]),
    ],
)
def test_a_contact_names_a_channel_or_a_kind(
    contact: dict[str, str], expected: list[tuple[str, str]]
) -> None:
    """All contacts are used; one that leads nowhere is passed over."""
    file = {**PROJECT, "people": {"users": {"ada": {"email": "ada@example.com", "contact": contact}}}}

    assert [(channel, address) for _, channel, address in found(file, "ada")] == expected


def test_mail_goes_through_the_default_mail_channel() -> None:
    """Of several e-mail channels the default ones are used."""
    second = {**DEFAULTS["channels"]["second"], "default": True}
    file = {**DEFAULTS, "channels": {**DEFAULTS["channels"], "second": second}}

    assert found(file, "ada") == [("user:ada", "second", "ada@example.com")]


@pytest.mark.parametrize(
    ("people", "options", "expected"),
    [
        (("ada",), {}, [("user:ada", "mail", "ada@example.com"), ("user:ada", "terminal", "")]),
        (("ben",), {}, [("user:ben", "chat", "U012AB3")]),
        (("eve",), {"at_terminal": "eve"}, [("user:eve", "terminal", "")]),
        (("stranger",), {"at_terminal": "stranger"}, [("user:stranger", "terminal", "")]),
    ],
)
def test_who_sits_at_the_terminal_is_told_there_as_well(
    people: tuple[str, ...], options: dict[str, str], expected: list[tuple[str, str, str]]
) -> None:
    """A person at the keyboard hears what is meant for them, and only that; it is a way like any other."""
    assert found(PROJECT, *people, **{"at_terminal": "ada", **options}) == expected


@pytest.mark.parametrize(
    ("file", "people", "at_terminal", "expected"),
    [
        (DEFAULTS, (), "", [("to:", "hook", ""), ("to:#ops", "rooms", "#ops"), ("to:#dev", "rooms", "#dev")]),
        (
            DEFAULTS,
            ("ada",),
            "",
            [
                ("user:ada", "first", "ada@example.com"),
                ("to:", "hook", ""),
                ("to:#ops", "rooms", "#ops"),
                ("to:#dev", "rooms", "#dev"),
            ],
        ),
        (PROJECT, (), "", [("user:", "", "")]),
        (PROJECT, ("eve",), "", [("user:eve", "", "")]),
        (PROJECT, (), "eve", [("user:eve", "terminal", "")]),
        (PROJECT, ("ada",), "eve", [("user:ada", "mail", "ada@example.com"), ("user:eve", "terminal", "")]),
    ],
)
def test_what_is_for_whoever_operates(
    file: dict[str, Any], people: tuple[str, ...], at_terminal: str, expected: list[tuple[str, str, str]]
) -> None:
    """A question that names nobody goes to the default channels, to who started the run, and to who sits at the terminal."""
    sendings = routes(file, at_terminal=at_terminal).to(people, is_for_all=True)

    assert [(one.recipient, one.channel, one.address) for one in sendings] == expected


def test_nobody_is_woken_up_to_hear_that_it_is_over() -> None:
    """A paging channel calls those who are to answer; decisions go through the other channels, and what leads nowhere is no news."""
    pager = {"kind": "pagerduty", "secret": "key", "default": True}
    file = {**DEFAULTS, "channels": {"pager": pager, "hook": DEFAULTS["channels"]["hook"]}}
    ways = routes(file)

    assert [one.channel for one in ways.to(["eve"])] == ["pager", "hook"]
    assert [one.channel for one in ways.to(["eve"], is_calling=False)] == ["hook"]
    assert routes(PROJECT).to(["eve"], is_calling=False) == ()


def test_more_people_than_can_be_told_are_counted() -> None:
    """A notice has a limited number of recipients, and says how many it left out."""
    sendings = routes(PROJECT).to([f"user{number}" for number in range(SENDINGS_MAX + 5)])

    assert len(sendings) == SENDINGS_MAX
    assert sendings[-1].error == f"6 more could not be told: SENDINGS_MAX is {SENDINGS_MAX}"


@pytest.mark.parametrize(
    ("recipient", "expected"), [("user:ada", "Europe/Berlin"), ("user:ben", "UTC"), ("to:#ops", "UTC")]
)
def test_times_are_read_in_the_recipients_zone(recipient: str, expected: str) -> None:
    """A person's own time zone; UTC where none is known."""
    assert routes(PROJECT).zone_of(recipient) == expected
