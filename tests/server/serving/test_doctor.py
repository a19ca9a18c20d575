"""`tow doctor`: what is wrong is found, each with what to do about it, and nothing is changed."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner

from towpath.cli.group import root
from towpath.server.examining import data
from towpath.server.running.holding import only_server
from towpath.store.folder import DataFolder
from towpath.store.sqlite import open_store

PROJECT = "name: shop\nsecrets: {providers: [{env: {}}]}\n"
HELLO = "name: hello\nsteps: [{id: greet, run: echo hello}]\n"


def doctor(folder: Path) -> tuple[int, dict[str, tuple[str, str, str]]]:
    """The exit code, and what was found about what: state, words, help."""
    done = CliRunner().invoke(root, ["--project", str(folder), "doctor", "--json"], standalone_mode=False)
    found = json.loads(done.stdout)
    return done.return_value, {one["about"]: (one["state"], one["says"], one["help"]) for one in found}


def project(folder: Path, *, file: str = PROJECT, **workflows: str) -> Path:
    """A project with these workflows."""
    (folder / "workflows").mkdir(parents=True)
    (folder / "towpath.yaml").write_text(file)
    for name, text in {"hello": HELLO, **workflows}.items():
        (folder / "workflows" / f"{name}.yaml").write_text(text)
    return folder


def test_a_project_that_is_well_has_nothing_to_mend(tmp_path: Path) -> None:
    """Nothing is bad, nothing was made, and every odd thing says what to do."""
    folder = project(tmp_path / "shop")
    code, found = doctor(folder)

    assert code == 0
    assert {state for state, _, _ in found.values()} <= {"good", "odd"}
    assert {"Python", "SQLite", "clock", "git", "data folder", "disk space", "workflows", "server"} <= set(
        found
    )
    assert not (folder / ".towpath").exists()
    assert [about for about, (state, _, help_) in found.items() if state != "good" and not help_] == []


def a_workflow_with_a_mistake(folder: Path) -> None:
    """One file does not load."""
    (folder / "workflows" / "bad.yaml").write_text("steps: [")


def a_project_file_with_a_mistake(folder: Path) -> None:
    """The project's file does not load."""
    (folder / "towpath.yaml").write_text("people: [")


def a_secret_without_a_value(folder: Path) -> None:
    """A step asks for a secret that nobody gives."""
    (folder / "workflows" / "ask.yaml").write_text(
        'name: ask\nsteps: [{id: a, run: "true", env: {P: "${{ secrets.db_password }}"}}]\n'
    )


def a_sender_without_a_secret(folder: Path) -> None:
    """A trigger's sender could not be verified."""
    (folder / "workflows" / "push.yaml").write_text(
        'name: push\non: [github.push]\nsteps: [{id: a, run: "true"}]\n'
    )


def a_program_that_is_not_there(folder: Path) -> None:
    """A step is run by a shell that is not installed."""
    (folder / "workflows" / "ps.yaml").write_text(
        "name: ps\nsteps: [{id: a, run: 'Get-Date', shell: [nosuchshell, -c]}]\n"
    )


def a_key_that_others_may_read(folder: Path) -> None:
    """Somebody has made a key readable."""
    open_store(folder / ".towpath").close()
    key = folder / ".towpath" / "keys" / "secrets.key"
    key.write_text("x")
    key.chmod(0o644)


def a_database_that_is_none(folder: Path) -> None:
    """The database is damaged."""
    open_store(folder / ".towpath").close()
    (folder / ".towpath" / "towpath.db").write_bytes(b"no database " * 1_000)


def a_server_that_does_not_answer(folder: Path) -> None:
    """The lock is held, and nobody answers at the address that stands in it."""
    DataFolder(folder / ".towpath").make()
    held = only_server(DataFolder(folder / ".towpath"))
    HELD.append(held)
    held.__enter__().tell("http://127.0.0.1:9", at=1)


HELD: list[object] = []


@pytest.mark.parametrize(
    ("break_it", "about", "says"),
    [
        (a_workflow_with_a_mistake, "workflows", "1 file with mistakes: bad.yaml"),
        (a_project_file_with_a_mistake, "towpath.yaml", ""),
        (a_secret_without_a_value, "secrets", "without a value: db_password (ask)"),
        (a_sender_without_a_secret, "secrets", "without a value: github_webhook (push)"),
        (a_program_that_is_not_there, "nosuchshell", "it is not installed; ps uses it"),
        (a_key_that_others_may_read, "permissions", "secrets.key"),
        (a_database_that_is_none, "database", "damaged"),
        (a_server_that_does_not_answer, "server", "does not answer at http://127.0.0.1:9"),
    ],
)
def test_what_is_wrong_is_found(
    tmp_path: Path, break_it: Callable[[Path], None], about: str, says: str
) -> None:
    """Each fault has a finding that says what it is and what to do, and the exit code is 1."""
    folder = project(tmp_path / "shop")
    before = len(HELD)
    break_it(folder)
    code, found = doctor(folder)
    for held in HELD[before:]:
        held.__exit__(None, None, None)  # type: ignore[attr-defined] # a context manager

    assert code == 1
    assert found[about][0] == "bad"
    assert says in found[about][1]
    assert found[about][2]


MOUNTS = """\
/dev/sda1 / ext4 rw 0 0
tmpfs /dev/shm tmpfs rw 0 0
files:/srv /srv/shared nfs4 rw 0 0
files:/x /srv/with\\040space cifs rw 0 0
"""


@pytest.mark.parametrize(
    ("place", "kind"),
    [
        ("/srv/shared/tow", "nfs4"),
        ("/srv/sharedbutnot", "ext4"),
        ("/srv/with space/tow", "cifs"),
        ("/dev/shm/x", "tmpfs"),
        ("/", "ext4"),
    ],
)
def test_the_file_system_of_a_place_is_found(place: str, kind: str) -> None:
    """The longest mount point that a place lies below is the one that counts."""
    assert data.file_system_of(Path(place), MOUNTS) == kind


@pytest.mark.parametrize(("free", "state"), [(10**12, "good"), (200 * 2**20, "odd"), (2**20, "bad")])
def test_a_disk_that_fills_up_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, free: int, state: str
) -> None:
    """Little room is told before there is none."""
    monkeypatch.setattr(data.shutil, "disk_usage", lambda _: _Usage(free))
    _, found = doctor(project(tmp_path / "shop"))

    assert found["disk space"][0] == state


class _Usage:
    """What is left of a disk."""

    def __init__(self, free: int) -> None:
        self.free = free
        self.total = 10**13
