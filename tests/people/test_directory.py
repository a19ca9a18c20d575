"""The directory: who stands behind a principal at an instant, and why nobody does."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from people_support import BERLIN, DAY, HOUR, at, directory

from towpath.errors import NotFound

NOW = at("2026-11-23 10:00")  # a Monday
PEOPLE: dict[str, Any] = {
    "users": {
        "anna": {"name": "Anna Bell", "email": "Anna@Example.org"},
        "ben": {"email": "ben@example.org"},
        "carl": {
            "time_zone": BERLIN,
            "absences": [{"from": "2026-11-20", "until": "2026-11-30", "deputy": "user:ben"}],
        },
        "dora": {"absences": [{"from": "2026-11-20", "until": "2026-11-30"}]},
        "emil": {"absences": [{"from": "2026-11-20", "until": "2026-11-30", "deputy": "user:carl"}]},
        "fay": {"absences": [{"from": "2026-11-20", "until": "2026-11-30", "deputy": "user:gus"}]},
        "gus": {"absences": [{"from": "2026-11-20", "until": "2026-11-30", "deputy": "user:fay"}]},
        "hal": {"absences": [{"from": "2026-11-20", "until": "2026-11-30", "deputy": "group:pair"}]},
    },
    "groups": {
        "pair": ["user:anna", "user:ben"],
        "outer": ["group:pair", "user:carl"],
        "empty": [],
        "ring": ["group:gnir", "user:anna"],
        "gnir": ["group:ring", "user:ben"],
        "hollow": ["group:wolloh"],
        "wolloh": ["group:hollow"],
        "gone": ["user:dora"],
        "shift": ["oncall:platform"],
    },
    "on_call": {
        "platform": {
            "time_zone": BERLIN,
            "rotations": [{"people": ["user:anna", "user:ben"], "start": "2026-11-16"}],
        },
        "away": {"rotations": [{"people": ["user:anna"]}, {"people": ["user:dora"]}]},
        "nobody": {"rotations": [{"people": ["user:dora"]}]},
        "night": {"rotations": [{"people": ["user:anna"], "hours": "22:00-24:00"}]},
        "later": {"rotations": [{"people": ["user:anna"], "start": "2027-01-01"}]},
    },
}
FULL = directory(PEOPLE)


@pytest.mark.parametrize(
    ("principals", "expected"),
    [
        (["user:anna"], {"anna"}),
        (["user:anna", "user:anna", "group:pair"], {"anna", "ben"}),
        (["group:outer"], {"anna", "ben"}),
        (["group:ring"], {"anna", "ben"}),
        (["group:gnir"], {"anna", "ben"}),
        (["group:shift"], {"ben"}),
        (["oncall:platform"], {"ben"}),
        (["oncall:away"], {"anna"}),
        (["user:carl"], {"ben"}),
        (["user:emil"], {"ben"}),
        (["user:hal"], {"anna", "ben"}),
        ([], set()),
    ],
)
def test_who_stands_behind_principals(principals: list[str], expected: set[str]) -> None:
    """Groups are followed, each once, the turn on call counts, and deputies stand in for those who are away."""
    assert expected == FULL.people(principals, NOW)


@pytest.mark.parametrize(
    ("principal", "reason"),
    [
        ("user:zed", "the project has no person 'zed'"),
        ("group:zed", "the project has no group 'zed': add it to towpath.yaml under people: groups:"),
        ("oncall:zed", "the project has no rota 'zed': add it to towpath.yaml under people: on_call:"),
        ("group:empty", "the group empty has no members"),
        ("user:dora", "dora is away until Tue 2026-12-01 00:00 UTC, without a deputy"),
        (
            "group:gone",
            "nobody of the group gone is there: dora is away until Tue 2026-12-01 00:00 UTC, without a deputy",
        ),
        (
            "user:fay",
            (
                "fay is away until Tue 2026-12-01 00:00 UTC; user:gus is asked instead,"
                " and gus is away until Tue 2026-12-01 00:00 UTC; user:fay is asked instead,"
                " and it goes round in a circle"
            ),
        ),
        (
            "group:hollow",
            (
                "nobody of the group hollow is there:"
                " nobody of the group wolloh is there: it goes round in a circle"
            ),
        ),
        (
            "oncall:nobody",
            "nobody is on call for nobody: dora is away until Tue 2026-12-01 00:00 UTC, without a deputy",
        ),
        ("oncall:night", "nobody is on call for night: none of its rotations counts at this time"),
        ("oncall:later", "nobody is on call for later: none of its rotations counts at this time"),
    ],
)
def test_why_nobody_stands_behind_a_principal(principal: str, reason: str) -> None:
    """Nobody is an answer, and it says why, to the last deputy."""
    found = FULL.resolve([principal, "user:anna"], NOW)

    assert ({"anna"}, [(principal, reason)]) == (
        found.people,
        [(each.principal, each.reason) for each in found.nobody],
    )


@pytest.mark.parametrize(
    ("moment", "zone", "expected"),
    [
        ("2026-11-19 23:59", BERLIN, {"carl"}),
        ("2026-11-20 00:00", BERLIN, {"ben"}),
        ("2026-11-30 23:59", BERLIN, {"ben"}),
        ("2026-12-01 00:00", BERLIN, {"carl"}),
    ],
)
def test_days_of_an_absence_are_days_where_the_person_lives(
    moment: str, zone: str, expected: set[str]
) -> None:
    """An absence lasts from the first midnight to the end of its last day on the person's own clocks."""
    assert expected == FULL.people(["user:carl"], at(moment, zone))


def test_a_long_chain_ends() -> None:
    """Groups behind more than NESTING_MAX groups are not looked for, and the reason says so."""
    groups = {f"g{number}": [f"group:g{number + 1}"] for number in range(100)}
    made = directory({"users": {"anna": {}}, "groups": {**groups, "g100": ["user:anna"]}})
    found = made.resolve(["group:g0"], NOW)

    assert frozenset() == found.people
    assert "NESTING_MAX" in found.nobody[0].reason
    assert {"anna"} == made.people(["group:g50"], NOW)


class TestWithoutPeople:
    """A project whose file names no people."""

    BARE = directory()

    def test_a_user_is_who_is_named(self) -> None:
        """A one-person team needs no directory."""
        assert {"anna"} == self.BARE.people(["user:anna"], NOW)

    @pytest.mark.parametrize("principal", ["group:ops", "oncall:ops"])
    def test_groups_need_a_directory(self, principal: str) -> None:
        """Behind a group stands nobody, not everybody, and the reason says what to write."""
        found = self.BARE.resolve([principal], NOW)

        assert frozenset() == found.people
        assert "names no people at all: add it to towpath.yaml" in found.nobody[0].reason


class TestWithAnIdentityProvider:
    """A project whose groups come from elsewhere."""

    OIDC = directory({"provider": "oidc", "users": {"anna": {}}, "groups": {"local": ["user:anna"]}})

    def test_names_that_are_not_written_may_exist(self) -> None:
        """A user who is not in the file is a user all the same."""
        assert {"anna", "zed"} == self.OIDC.people(["user:zed", "group:local"], NOW)

    def test_groups_elsewhere_are_named(self) -> None:
        """Who belongs to a group of the provider is said by the provider, also inside another group."""
        found = self.OIDC.resolve(["group:admins", "group:local"], NOW)

        assert ({"anna"}, {"admins"}) == (found.people, found.groups_elsewhere)


@pytest.mark.parametrize(
    ("email", "expected"),
    [
        ("anna@example.org", "anna"),
        (" ANNA@example.ORG ", "anna"),
        ("twice@example.org", None),
        ("nobody@example.org", None),
    ],
)
def test_users_are_found_by_their_address(email: str, expected: str | None) -> None:
    """An address names one user, whatever its case; one that two have names nobody."""
    users = {**PEOPLE["users"], "x": {"email": "twice@example.org"}, "y": {"email": "twice@example.org"}}

    assert expected == directory({"users": users}).user_by_email(email)


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ("user:anna", "anna", True),
        ("user:anna", "user:ben", False),
        ("user:anna", "anna@example.org", True),
        ("user:anna", "Anna Bell <ANNA@example.org>", True),
        ("user:anna", "anna@elsewhere.org", False),  # the file has another address for anna
        ("user:carl", "carl@elsewhere.org", True),  # it has none for carl
        ("user:carl", "Carl@elsewhere.org", True),
        ("user:carl", "carla@elsewhere.org", False),
        ("user:carl", "Carl", True),
        ("user:anna", "ben@example.org", False),
        ("user:anna", "schedule", False),
        ("user:anna", "trigger:github", False),
    ],
)
def test_one_person_under_two_names(one: str, other: str, expected: bool) -> None:
    """Names, addresses and what Git writes are recognised as the same person, in either order."""
    assert (expected, expected) == (FULL.are_one(one, other), FULL.are_one(other, one))


def test_two_addresses_are_two_people() -> None:
    """Where users are called by their addresses, those of two domains are not taken for one person."""
    oidc = directory({"provider": "oidc"})

    assert not oidc.are_one("anna@one.org", "anna@two.org")
    assert oidc.are_one("user:anna@one.org", "Anna <anna@one.org>")


@pytest.mark.parametrize(
    ("name", "principals", "reason"),
    [
        ("anna", ["group:pair"], ""),
        ("zed", ["group:pair"], "the project knows nobody called zed"),
        ("dora", ["group:pair"], "dora does not belong to group:pair"),
        ("anna", ["oncall:platform"], "anna is not on call for platform now: ben is"),
        (
            "carl",
            ["group:outer"],
            "carl is away until Tue 2026-12-01 00:00 CET; user:ben is asked instead",
        ),
    ],
)
def test_why_somebody_is_not_asked(name: str, principals: list[str], reason: str) -> None:
    """The reason is the one that the person can do something with."""
    assert reason == FULL.why_not(name, principals, NOW)


@pytest.mark.parametrize("ask", ["who_is_on_call", "shifts"])
def test_a_rota_that_is_not_there(ask: str) -> None:
    """Asking for an unknown rota is refused with the ones that there are."""
    arguments = (NOW,) if ask == "who_is_on_call" else (NOW, NOW + DAY)
    with pytest.raises(NotFound, match="no rota 'zed'") as caught:
        getattr(FULL, ask)("zed", *arguments)

    assert "platform" in caught.value.help


NAMES = ("anna", "ben", "carl")
GROUPS = ("a", "b", "c", "d")


@st.composite
def groups(draw: st.DrawFn) -> dict[str, list[str]]:
    """Groups that hold each other as they like, circles included."""
    members = st.sampled_from([*(f"user:{name}" for name in NAMES), *(f"group:{name}" for name in GROUPS)])
    return {name: draw(st.lists(members, max_size=3)) for name in GROUPS}


@given(groups(), st.lists(st.sampled_from(GROUPS), max_size=3))
def test_groups_are_the_closure_of_their_members(made: dict[str, list[str]], asked: list[str]) -> None:
    """However groups hold each other, asking them finds exactly the users that can be reached."""
    reached = {f"group:{name}" for name in asked}
    for _ in GROUPS:
        reached |= {member for name in GROUPS if f"group:{name}" in reached for member in made[name]}
    expected = {name for name in NAMES if f"user:{name}" in reached}
    found = directory({"users": {name: {} for name in NAMES}, "groups": made})

    assert expected == found.people([f"group:{name}" for name in asked], NOW)


def test_a_large_directory_is_quick_enough_to_ask() -> None:
    """Ten thousand users in one group are found in one pass, whatever else stands in the file."""
    users = {f"u{number}": {} for number in range(10_000)}
    made = directory({"users": users, "groups": {"all": [f"user:{name}" for name in users]}})

    assert len(made.people(["group:all"], NOW + HOUR)) == 10_000
