"""`tow automate`: one manual step becomes a script, or a script a manual step; its id and history stay."""

from __future__ import annotations

import difflib
import json
import os
import re
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from towpath.cli import exit_codes, parameters
from towpath.cli.session import Session, pass_session

if TYPE_CHECKING:
    from towpath.cli.views.lines import Line, Role
    from towpath.definition.importing.automating import Around, Change

CONTEXT_LINES = 3


@click.command()
@click.argument("step", metavar="STEP")
@click.option(
    "--file",
    "workflow",
    metavar="WORKFLOW",
    help="The file, or the workflow's name; the one file of the project that has the step where it is left out.",
)
@click.option("--run", "script", metavar="COMMAND", help="The script; `-` reads it from standard input.")
@click.option(
    "--from-suggestion",
    is_flag=True,
    help="Take the commented `run:` below the step; so it is without --run.",
)
@click.option(
    "--manual", is_flag=True, help="The other way: people do it again, and the script is kept as a comment."
)
@click.option("--assign", metavar="WHO", help="With --manual: who does it, such as group:ops.")
@click.option("-y", "--yes", is_flag=True, help="Write without asking.")
@click.option("--diff", "only_diff", is_flag=True, help="Show what would change, and write nothing.")
@parameters.json_option("What changed as JSON; writes only with --yes.")
@pass_session
def command(  # noqa: PLR0913 - one for each option
    session: Session,
    *,
    step: str,
    workflow: str | None,
    script: str | None,
    from_suggestion: bool,
    manual: bool,
    assign: str | None,
    yes: bool,
    only_diff: bool,
    as_json: bool,
) -> int:
    """Make the manual STEP a script in its file. The id stays, and so does everything else in the file.

    Runs before and after are one history: `takes`, what the step cost by hand, measures what automation saves.
    """
    _check_options(script, assign, from_suggestion=from_suggestion, manual=manual)
    name = _step_name(step)
    file = _file_of(session, name, workflow)
    change = _changed(session, file, name, script=script, assign=assign, manual=manual)
    if as_json:
        session.out.stream.write(
            json.dumps(_as_data(change, file, name), ensure_ascii=False, indent=2) + "\n"
        )
    else:
        session.out.show(*_diff(change, file))
        for hint in change.hints:
            session.err.say(("hint ", "warn"), hint)
    if only_diff or (as_json and not yes):
        return exit_codes.OK
    if not yes and not _agreed(session, file):
        return exit_codes.REFUSED
    _write(file, change)
    if not as_json:
        session.err.say("wrote ", (str(file), "name"))
    return exit_codes.OK


def _check_options(script: str | None, assign: str | None, *, from_suggestion: bool, manual: bool) -> None:
    if manual and (script is not None or from_suggestion):
        raise click.UsageError(
            "--manual takes the script away: it does not go with --run or --from-suggestion"
        )
    if script is not None and from_suggestion:
        raise click.UsageError("--run and --from-suggestion are two scripts for one step")
    if assign is not None and not manual:
        raise click.UsageError("--assign goes with --manual")
    if script is not None and not script.strip():
        raise click.UsageError("--run is empty")


def _step_name(step: str) -> str:
    """The id of a step, also where its path in a run is given: `fleet[web1]/install`."""
    return re.sub(r"\[[^\]]*\]", "", step).rsplit("/", maxsplit=1)[-1]


# --- the file -----------------------------------------------------------------------------------------------


def _file_of(session: Session, step: str, workflow: str | None) -> Path:
    from towpath.errors import NotFound, Refused

    if workflow is not None:
        path = Path(workflow)
        if path.is_file():
            return path
        found = session.app().project.find_workflow(workflow)
        if found is None:
            raise NotFound(f"there is no file and no workflow `{workflow}`", help="tow lint lists the files")
        return _relative(found)
    project = session.app().project
    files = [_relative(file) for file in project.workflow_files() if step in _ids(file)]
    if not files:
        raise NotFound(
            f"no workflow of the project in {project.folder} has a step `{step}`",
            help=_nearest(step, {name for file in project.workflow_files() for name in _ids(file)}),
        )
    if len(files) > 1:
        listed = ", ".join(str(file) for file in files)
        raise Refused(f"{len(files)} files have a step `{step}`: {listed}", help=f"add --file {files[0]}")
    return files[0]


def _ids(file: Path) -> tuple[str, ...]:
    from towpath.definition.importing.automating import step_ids
    from towpath.definition.projects import read_file

    return step_ids(read_file(file))


def _nearest(step: str, known: set[str]) -> str:
    from towpath.definition.problems import did_you_mean

    return did_you_mean(step, sorted(known), otherwise="name the file with --file")


def _relative(path: Path) -> Path:
    shown = os.path.relpath(path)
    return path if shown.startswith("..") else Path(shown)


def _around(session: Session, file: Path) -> Around:
    from towpath.definition import loader
    from towpath.definition.importing.automating import Around
    from towpath.steps.catalogue import Catalogue

    folder = session.project or loader.find_project_folder(file)
    return Around(path=str(file), project=loader.load_project(folder), cards=Catalogue.load(folder).cards())


# --- the change ---------------------------------------------------------------------------------------------


def _changed(
    session: Session, file: Path, step: str, *, script: str | None, assign: str | None, manual: bool
) -> Change:
    from towpath.definition.importing import automating

    text = _text_of(file)
    around = _around(session, file)
    if manual:
        return automating.make_manual(text, step, assign=assign, around=around)
    run = sys.stdin.read() if script == "-" else script
    return automating.automate(text, step, run=run, around=around)


def _text_of(file: Path) -> str:
    """The text with the line ends of the file turned into the usual ones; `_write` turns them back."""
    from towpath.errors import Refused

    try:
        return file.read_bytes().decode("utf-8").replace("\r\n", "\n")
    except UnicodeDecodeError:
        raise Refused(f"{file} is not UTF-8", help="save it as UTF-8") from None


def _diff(change: Change, file: Path) -> Iterator[Line]:
    from towpath.cli.views.lines import line, safe

    roles: dict[str, Role] = {"+": "good", "-": "bad", "@": "busy"}
    rows = difflib.unified_diff(
        change.before.splitlines(),
        change.after.splitlines(),
        fromfile=str(file),
        tofile=str(file),
        lineterm="",
        n=CONTEXT_LINES,
    )
    for row in rows:
        yield line((safe(row), roles.get(row[:1], "plain")))


def _agreed(session: Session, file: Path) -> bool:
    if not session.is_interactive:
        session.err.say(("error: ", "bad"), "nobody is here to ask: nothing was written")
        session.err.say(("  help: ", "busy"), "add --yes to write, or --diff to look only")
        return False
    return click.confirm(f"Write {file}?", default=True)


def _write(file: Path, change: Change) -> None:
    """Puts the new text in the place of the old one, at once and whole; refuses where the file changed meanwhile."""
    from towpath.errors import Refused

    target = file.resolve()
    raw = target.read_bytes()
    if raw.decode("utf-8", "replace").replace("\r\n", "\n") != change.before:
        raise Refused(f"{file} has changed meanwhile; nothing was written", help="try again")
    text = change.after.replace("\n", "\r\n") if b"\r\n" in raw else change.after
    descriptor, name = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)
    made = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(text.encode())
            stream.flush()
            os.fsync(stream.fileno())
        made.chmod(target.stat().st_mode & 0o7777)
        made.replace(target)
    except BaseException:
        made.unlink(missing_ok=True)
        raise


def _as_data(change: Change, file: Path, step: str) -> dict[str, object]:
    return {
        "file": str(file),
        "step": step,
        "diff": "\n".join("".join(text for text, _ in row) for row in _diff(change, file)),
        "hints": list(change.hints),
    }
