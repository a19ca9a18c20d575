"""All whom a grant may name when it means somebody: groups around groups, rotas of this moment, and who acts through a program."""

from __future__ import annotations

from typing import Any

import pytest
from people_support import at, directory

from towpath.definition.project import ProjectFile
from towpath.people.directory import Directory

NOW = at("2026-11-23 10:00")  # a Monday
NEXT_WEEK = at("2026-11-30 10:00")
PEOPLE: dict[str, Any] = {
    "users": {
        "anna": {"email": "anna@example.org"},
        "ben": {},
        "carl": {"absences": [{"from": "2026-11-20", "until": "2026-11-25", "deputy": "user:ben"}]},
    },
    "groups": {
        "pair": ["user:anna", "user:ben"],
        "outer": ["group:pair"],
        "outermost": ["group:outer"],
        "ring": ["group:gnir", "user:anna"],
        "gnir": ["group:ring"],
        "away": ["user:carl"],
        "shift": ["oncall:platform"],
        "elsewhere_inside": ["group:ops"],
    },
    "on_call": {
        "platform": {"rotations": [{"people": ["user:anna", "user:ben"], "start": "2026-11-16"}]},
        "covered": {"rotations": [{"people": ["user:carl"]}]},
    },
}
AROUND_THE_PAIR = {"group:pair", "group:outer", "group:outermost"}


@pytest.mark.parametrize(
    ("name", "when", "expected"),
    [
        ("anna", NEXT_WEEK, {"group:ring", "group:gnir", "oncall:platform", "group:shift", *AROUND_THE_PAIR}),
        ("anna", NOW, {"group:ring", "group:gnir", *AROUND_THE_PAIR}),
        ("ben", NOW, {"oncall:platform", "group:shift", "oncall:covered", *AROUND_THE_PAIR}),
        ("ben", NEXT_WEEK, AROUND_THE_PAIR),
        ("carl", NOW, {"group:away"}),
        ("carl", NEXT_WEEK, {"group:away", "oncall:covered"}),
        ("nobody", NOW, set()),
    ],
)
def test_whom_a_grant_may_name(name: str, when: int, expected: set[str]) -> None:
    """Groups are followed outwards, a rota counts for whoever has the turn now, and who is away keeps their groups."""
    assert directory(PEOPLE).principals_of(name, when) == {f"user:{name}", *expected}


@pytest.mark.parametrize(
    ("provider", "expected"),
    [("oidc", {"group:ops", "group:sales", "group:elsewhere_inside"}), ("file", set())],
)
def test_groups_of_a_provider_count_where_there_is_one(provider: str, expected: set[str]) -> None:
    """What the provider says counts in a project that has one, and never for a group whose members the file names."""
    found = directory({**PEOPLE, "provider": provider}).principals_of(
        "dora", NOW, groups=["ops", "sales", "pair", "away"]
    )

    assert found == {"user:dora", *expected}


FILE = ProjectFile.model_validate(
    {
        "people": PEOPLE,
        "access": {
            "service_accounts": {"deployer": {"owner": "user:anna"}, "sweeper": {"owner": "user:ben"}}
        },
    }
)
MAKERS = {
    "service:deployer": {"service:sweeper", "service:deployer"},
    "service:sweeper": {"user:carl", "service:deployer"},
    "service:gone": {"user:carl"},
}
BEHIND = Directory(file=FILE, makers=lambda owner: frozenset(MAKERS.get(owner, ())))


@pytest.mark.parametrize(
    ("actor", "names"),
    [
        ("service:deployer", {"anna", "ben", "carl"}),
        ("service:sweeper", {"anna", "ben", "carl"}),
        ("service:gone", {"carl"}),
        ("service:unknown", {"service:unknown"}),
    ],
)
def test_who_may_act_through_a_program(actor: str, names: set[str]) -> None:
    """A program stands for its owner and for all who made tokens of it, through other programs too, and however they go in circles."""
    assert BEHIND.names_of(actor) == names


def test_many_programs_in_circles_cost_little() -> None:
    """A hundred programs that all made tokens of each other are looked at once each."""
    names = [f"service:s{number}" for number in range(100)]
    asked: list[str] = []

    def makers(owner: str) -> frozenset[str]:
        asked.append(owner)
        return frozenset({*names, "user:anna"})

    assert Directory(file=FILE, makers=makers).names_of(names[0]) == {"anna"}
    assert len(asked) == 100


def test_a_program_without_anybody_is_itself_alone() -> None:
    """What nobody answers for is nobody of the project."""
    assert not any(BEHIND.are_one(name, "service:unknown") for name in ("anna", "ben", "carl"))
    assert BEHIND.are_one("anna", "service:deployer")
