"""`tow users` and `tow tokens`: who may come in, with what, and why."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from towpath.cli import exit_codes

Tow = Callable[..., Any]  # the fixture of this folder

PROJECT = """
people:
  users:
    ada: {name: Ada Lovelace, email: ada@example.org}
    ben: {email: ben@example.org}
  groups: {operators: ["user:ben"], all: ["group:operators", "user:ada"]}
environments: {staging: {}}
access:
  grants:
    - {role: admin, to: ["user:ada"]}
    - {role: operator, to: ["group:operators"], environments: [staging], workflows: ["shop-*"]}
    - {role: viewer, to: ["group:all", "service:deployer"]}
  service_accounts: {deployer: {title: The pipeline, owner: "user:ben"}}
"""


@pytest.fixture
def people(project: Path) -> Path:
    """A project with people and grants."""
    (project / "towpath.yaml").write_text(PROJECT)
    return project


def lines(said: Any) -> list[dict[str, Any]]:
    """What was printed as JSON lines."""
    return [json.loads(line) for line in said.out.splitlines()]


def test_everybody_is_listed_with_their_roles(people: Path, tow: Tow) -> None:
    """The list tells who may come in, from where they are known, and their roles."""
    assert people
    told = {one["principal"]: (one["source"], one["roles"]) for one in lines(tow("users", "--json"))}

    assert told == {
        "user:ada": ("file", ["admin", "viewer"]),
        "user:ben": ("file", ["operator", "viewer"]),
        "service:deployer": ("service", ["viewer"]),
    }
    assert tow("users", "list").out == tow("users").out
    assert "Ada Lovelace" in tow("users").out


def test_it_is_told_what_somebody_may_do_and_why(people: Path, tow: Tow) -> None:
    """`tow users show` names the grant's group, workflows and environments."""
    assert people
    (told,) = lines(tow("users", "show", "ben", "--json"))
    said = tow("users", "show", "ben").out

    assert told["principals"] == ["group:all", "group:operators", "user:ben"]
    assert [(one["role"], one["through"], one["environments"]) for one in told["grants"]] == [
        ("operator", ["group:operators"], ["staging"]),
        ("viewer", ["group:all"], []),
    ]
    assert "run.start" in told["permissions"]
    assert "token.manage" not in told["permissions"]
    assert "operator   through group:operators, for the workflows shop-*, in staging" in said


def test_a_token_is_printed_once(people: Path, tow: Tow) -> None:
    """The token alone stands on standard output, and nothing shows it again."""
    made = tow("tokens", "create", "ci", "--for", "service:deployer", "--scope", "*.view", "--expires", "30d")
    listed = tow("tokens")
    (told,) = lines(tow("tokens", "list", "--for", "service:deployer", "--json"))

    assert made.code == exit_codes.OK
    assert made.out.startswith("tow_")
    assert made.out.count("\n") == 1
    assert f"tow tokens revoke {told['id']}" in made.err
    secret = made.out.strip().split("_", 2)[2]
    assert secret not in listed.out
    assert not any(secret.encode() in path.read_bytes() for path in people.rglob("*") if path.is_file())
    assert (told["owner"], told["scope"], told["state"], told["made_by"]) == (
        "service:deployer",
        ["*.view"],
        "valid",
        "user:ada",
    )


def test_a_revoked_token_is_void(people: Path, tow: Tow) -> None:
    """A token is revoked by its id, or by itself where somebody found it; the list leaves it out unless all are wanted."""
    assert people
    found = tow("tokens", "create", "found").out.strip()
    tow("tokens", "create", "known")
    ids = {one["name"]: one["id"] for one in lines(tow("tokens", "--json"))}

    said = tow("tokens", "revoke", found, ids["known"])
    again = tow("tokens", "revoke", ids["known"])
    assert said.out.count("is void") == 2
    assert "was void already" in again.out
    assert "no tokens" in tow("tokens").out
    assert [one["state"] for one in lines(tow("tokens", "-a", "--json"))] == ["revoked", "revoked"]


def test_somebody_is_let_in_and_shut_out(people: Path, tow: Tow) -> None:
    """A link leads to the sign-in page, whoever is disabled gets none, and the record tells it all."""
    assert people
    link = tow("users", "link", "ben")
    disabled = tow("users", "disable", "ben")
    refused = tow("users", "link", "ben")
    token = tow("tokens", "create", "t", "--for", "ben")
    listed = tow("users")
    enabled = tow("users", "enable", "ben")

    assert link.out.startswith("http://127.0.0.1:8420/login?link=in_")
    assert "disabled" in disabled.out
    assert (refused.code, token.code) == (exit_codes.REFUSED, exit_codes.REFUSED)
    assert "disabled" in listed.out
    assert "let in again" in enabled.out
    assert [one["did"] for one in lines(tow("users", "log", "--json"))] == [
        "made a login link",
        "disabled a user",
        "enabled a user",
    ]


def test_the_link_leads_to_where_the_server_is(
    people: Path, tow: Tow, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where it is said how people reach the server, the link says so too."""
    assert people
    monkeypatch.setenv("TOW_BASE_URL", "https://tow.example.org")

    assert tow("users", "link", "ada").out.startswith("https://tow.example.org/login?link=in_")


def test_people_are_made_where_the_file_names_none(project: Path, tow: Tow) -> None:
    """Users are made at the command line in a project without people; they may do what grants say, which is nothing yet."""
    made = tow("users", "add", "dora", "--title", "Dora", "--email", "dora@example.org")
    twice = tow("users", "add", "dora")
    taken = tow("users", "add", "dorothea", "--email", "DORA@example.org")
    odd = tow("users", "add", "../dora")
    told = {one["name"]: (one["source"], one["roles"]) for one in lines(tow("users", "--json"))}
    (project / "towpath.yaml").write_text("access: {grants: [{role: viewer, to: ['user:dora']}]}\n")
    (granted,) = lines(tow("users", "show", "dora", "--json"))

    assert made.code == exit_codes.OK
    assert [twice.code, taken.code, odd.code] == [exit_codes.REFUSED] * 3
    assert told == {"ada": ("process", ["owner"]), "dora": ("store", [])}
    assert granted["roles"] == ["viewer"]


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("users", "add", "dora"), "add people there"),
        (("users", "add", "ben"), "stands in towpath.yaml already"),
        (("users", "link", "dora"), "add them to towpath.yaml"),
        (("users", "show", "service:none"), "service_accounts"),
        (("users", "link", "ada", "--expires", "8d"), "at most 7 days"),
        (("tokens", "create", "t", "--scope", "run.fly"), "no permission run.fly"),
        (("tokens", "create", "t", "--expires", "400d"), "at most 366 days"),
        (("tokens", "create", "t", "--expires", "soon"), "not a duration"),
        (("tokens", "create", " "), "needs a name"),
        (("tokens", "create", "t", "--for", "service:none"), "no service account"),
        (("tokens", "revoke", "nothing"), "no such token"),
    ],
)
def test_what_cannot_be_done_is_told(people: Path, tow: Tow, words: tuple[str, ...], says: str) -> None:
    """Every refusal says what stands in the way or what to do instead, and leaves nothing in the record."""
    assert people
    said = tow(*words)

    assert said.code != exit_codes.OK
    assert says in said.err
    assert tow("users", "log", "--json").out == ""


def test_old_sessions_are_cleaned_up(people: Path, tow: Tow) -> None:
    """`tow gc` forgets links and sessions that were over long ago, and nothing of them when only runs are meant."""
    assert people
    tow("users", "link", "ben", "--expires", "1s")
    tow("users", "link", "ben", "--expires", "1s")
    tow("users", "link", "ben", "--expires", "7d")

    (planned,) = lines(tow("gc", "--older-than", "0s", "--dry-run", "--json"))
    (of_runs,) = lines(tow("gc", "--older-than", "0s", "-w", "shop", "--json"))
    (done,) = lines(tow("gc", "--older-than", "0s", "--json"))
    assert planned["sessions"] == done["sessions"]
    assert done["sessions"] >= 1
    assert of_runs["sessions"] == 0
