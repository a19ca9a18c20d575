"""The way in: quick, lazy, and with one voice for everything that goes wrong."""

from __future__ import annotations

import resource
import subprocess
import sys
from collections.abc import Callable

import pytest

from towpath.cli import commands, exit_codes

HEAVY = ("click", "rich", "pydantic", "msgspec", "asyncio", "sqlite3", "cel_expr_python", "yaml")


def _python(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, *words], capture_output=True, text=True, timeout=60, check=False)


def test_help_imports_nothing_heavy() -> None:
    """`tow --help` is answered from a table: not even click is loaded."""
    done = _python("-X", "importtime", "-m", "towpath", "--help")

    imported = {row.rsplit("|", 1)[-1].strip().split(".")[0] for row in done.stderr.splitlines()}
    assert done.returncode == exit_codes.OK
    assert imported.isdisjoint(HEAVY)


def _cpu_seconds(*words: str) -> float:
    """The least processor time that a command took of several tries: how busy the machine is does not count."""
    tries = []
    for _ in range(7):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        _python(*words)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        tries.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    return min(tries)


def test_help_is_quick() -> None:
    """`tow --help` takes at most five times as long as an empty Python."""
    assert _cpu_seconds("-m", "towpath", "--help") < 5 * _cpu_seconds("-c", "pass")


@pytest.mark.parametrize("words", [(), ("--help",), ("-h",), ("help",)])
def test_overview(words: tuple[str, ...]) -> None:
    """`tow` alone shows every command, in groups, and how to begin."""
    done = _python("-m", "towpath", *words)

    assert done.returncode == exit_codes.OK
    assert all(f"  {entry.name} " in done.stdout for entry in commands.ENTRIES.values())
    assert "tow init && tow run hello" in done.stdout


@pytest.mark.parametrize("name", commands.ENTRIES)
def test_help_of_every_command(name: str, tow: Callable[..., object]) -> None:
    """Every command of the table exists and explains itself."""
    said = tow(name, "--help")

    assert said.code == exit_codes.OK  # type: ignore[attr-defined]
    assert said.out.startswith(f"Usage: tow {name}")  # type: ignore[attr-defined]


@pytest.mark.parametrize("name", commands.ENTRIES)
def test_every_option_is_explained(name: str) -> None:
    """No option of any command is without a sentence."""
    import click

    from towpath.cli.group import root

    command = root.get_command(click.Context(root), name)
    assert command is not None
    options = [one for one in command.params if isinstance(one, click.Option)]
    assert [option.name for option in options if not option.help] == []


MISTAKES = [
    (("shwo",), exit_codes.USAGE, "there is no command 'shwo'; did you mean `tow show`?", "tow --help"),
    (("show", "--treee"), exit_codes.USAGE, "No such option", "tow show --help"),
    (("run",), exit_codes.USAGE, "Missing argument 'WORKFLOW'", "tow run --help"),
    (("run", "nothing"), exit_codes.NOT_FOUND, "there is no workflow 'nothing', and no such file", ""),
    (("show", "99"), exit_codes.NOT_FOUND, "99", ""),
    (("secrets", "rm", "no_such"), exit_codes.NOT_FOUND, "no_such", ""),
    (("ps", "--since", "yesterday"), exit_codes.USAGE, "is not a duration", "tow ps --help"),
    (("--project", "/no/such/folder", "ps"), exit_codes.REFUSED, "is not a folder", "--project"),
]


@pytest.mark.parametrize(("words", "code", "message", "help_text"), MISTAKES)
def test_mistakes(
    words: tuple[str, ...],
    code: int,
    message: str,
    help_text: str,
    tow: Callable[..., object],
    write: Callable[[str, str], None],
) -> None:
    """What is wrong is said in a sentence with a way out and an exit code of its own, never with a traceback."""
    write("hello", "steps: [{run: 'true'}]")
    tow("run", "hello")

    said = tow(*words)

    assert (said.code, "Traceback" in said.err) == (code, False)  # type: ignore[attr-defined]
    assert said.err.startswith("error: ")  # type: ignore[attr-defined]
    assert message in said.err  # type: ignore[attr-defined]
    assert help_text in said.err  # type: ignore[attr-defined]


def test_a_bug_leaves_a_report(
    tow: Callable[..., object], project: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A mistake of Towpath's own is told in two lines, and its traceback lies in a file."""
    from towpath.cli import version

    monkeypatch.setattr(version.platform, "release", lambda: 1 / 0)
    (project / ".towpath").mkdir()  # type: ignore[operator]

    said = tow("version")

    reports = list((project / ".towpath").glob("tow-bug-*.txt"))  # type: ignore[operator]
    assert said.code == exit_codes.FAILED  # type: ignore[attr-defined]
    assert "Towpath itself made a mistake: ZeroDivisionError" in said.err  # type: ignore[attr-defined]
    assert str(reports[0].name) in said.err  # type: ignore[attr-defined]
    assert "Traceback" in reports[0].read_text()
