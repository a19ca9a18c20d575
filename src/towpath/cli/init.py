"""`tow init`."""

from __future__ import annotations

from pathlib import Path

import click

from towpath.cli import exit_codes
from towpath.cli.session import Session, pass_session

_PROJECT = """\
# A Towpath project. `tow schema project` prints what may stand here.
name: {name}

people:
  users:
    {user}: {{}}
  groups:
    operators: ["user:{user}"]
"""
_HELLO = """\
name: hello
title: Say hello
description: A first workflow. Run it with `tow run hello`, or `tow run hello -i whom=Ada`.

inputs:
  whom: {type: string, default: world, title: Who is greeted}

steps:
  - id: greet
    title: Greet ${{ inputs.whom }}
    idempotent: true
    run: |
      echo "hello, $WHOM"
      echo "letters=${#WHOM}" >>"$TOW_OUTPUT"
    env: {WHOM: "${{ inputs.whom }}"}
    outputs: [letters]

  - id: count
    title: Count the letters
    idempotent: true
    run: echo "that name has $LETTERS letters"
    env: {LETTERS: "${{ steps.greet.outputs.letters }}"}
"""
_TESTS = """\
# Tests of workflows/hello.yaml, played by `tow test`: no step runs, and what is not said here succeeds.
workflow: hello

tests:
  - name: Somebody is greeted, and the letters are counted
    inputs: {whom: Ada}
    steps: {greet: {outputs: {letters: "3"}}}
    expect:
      status: succeeded
      path: greet count
      commands:
        greet: {env: {WHOM: Ada}}
        count: {env: {LETTERS: "3"}}

  - name: Nothing is counted when the greeting fails
    steps: {greet: fail}
    expect: {status: failed, error: {step: greet}, never: count}
"""
_IGNORED = ".towpath/"


@click.command()
@click.argument("folder", type=click.Path(path_type=Path), default=".", metavar="[FOLDER]")
@pass_session
def command(session: Session, *, folder: Path) -> int:
    """Begin a project: towpath.yaml, workflows/hello.yaml with its tests, and .towpath/ in .gitignore.

    Nothing that exists is overwritten, so it is safe anywhere.
    """
    folder = session.project or folder
    folder.mkdir(parents=True, exist_ok=True)
    name, user = _word(folder.absolute().name, otherwise="project"), _user()
    made = [
        _write(folder / "towpath.yaml", _PROJECT.format(name=name, user=user)),
        _write(folder / "workflows" / "hello.yaml", _HELLO),
        _write(folder / "tests" / "hello.yaml", _TESTS),
        _ignore(folder / ".gitignore"),
    ]
    for path, is_new in made:
        session.out.say(
            ("✓ " if is_new else "– ", "good" if is_new else "dim"),
            str(path),
            ("" if is_new else "  is there already", "dim"),
        )
    where = "" if folder == Path() else f"cd {folder} && "
    session.out.say()
    session.out.say(("next", "dim"), "  ", (f"{where}tow test && tow run hello", "command"))
    return exit_codes.OK


def _write(path: Path, text: str) -> tuple[Path, bool]:
    """Writes a file that is not there; whether it did."""
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        return path, False
    return path, True


def _ignore(path: Path) -> tuple[Path, bool]:
    """Adds the data folder to .gitignore where it is not named yet."""
    before = path.read_text(encoding="utf-8") if path.exists() else ""
    if any(line.strip().strip("/") == _IGNORED.strip("/") for line in before.splitlines()):
        return path, False
    gap = "" if not before or before.endswith("\n") else "\n"
    path.write_text(f"{before}{gap}{_IGNORED}\n", encoding="utf-8")
    return path, True


def _word(text: str, *, otherwise: str) -> str:
    """A name of the language that is close to *text*."""
    word = "".join(one if one.isascii() and one.isalnum() else "_" for one in text.lower()).strip("_")
    return word if word and word[0].isalpha() else otherwise


def _user() -> str:
    import re

    from towpath.settings import load

    user = load(Path.cwd()).user
    return user if re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.@-]*", user) else "me"
