"""`tow import`: a runbook in Markdown, or a workflow of GitHub Actions, as a workflow of this project."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click

from towpath.cli import exit_codes, parameters
from towpath.cli.session import Session, pass_session

if TYPE_CHECKING:
    from towpath.cli.views.lines import Role, Screen
    from towpath.definition.importing.report import Imported, Note
    from towpath.definition.loader import Project

_SUFFIXES: dict[str, Literal["markdown", "github"]] = {
    ".md": "markdown",
    ".markdown": "markdown",
    ".yml": "github",
    ".yaml": "github",
}
_LOOKS: dict[str, tuple[str, Role]] = {
    "translated": ("✓", "good"),
    "changed": ("~", "warn"),
    "cannot": ("✗", "bad"),
}


@click.command("import")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path), metavar="FILE")
@click.option(
    "-o",
    "--out",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Where the workflow goes; standard output where it is left out.",
)
@click.option("--name", help="The workflow's name; from the file's name where it is left out.")
@click.option(
    "--from",
    "origin",
    type=click.Choice(["markdown", "github"]),
    help="What FILE is, where its name does not say it.",
)
@click.option(
    "--assign",
    metavar="WHO",
    help="Who does what nobody is named for: group:ops, user:ada, oncall:platform.",
)
@click.option("--force", is_flag=True, help="Replace the file of --out when it is there.")
@click.option("--strict", is_flag=True, help="Exit with 1 when something could not be taken over.")
@click.option("-q", "--quiet", is_flag=True, help="Tell only what has to be looked at.")
@parameters.json_option("The workflow and the report as JSON, on standard output.")
@pass_session
def command(  # noqa: PLR0913 - one for each option
    session: Session,
    *,
    file: Path,
    out: Path | None,
    name: str | None,
    origin: Literal["markdown", "github"] | None,
    assign: str | None,
    force: bool,
    strict: bool,
    quiet: bool,
    as_json: bool,
) -> int:
    """Make a workflow from what exists: a checklist or runbook in Markdown, or .github/workflows/x.yml.

    The report says line by line what was translated (✓), what means something slightly different now (~), and what
    could not be taken over (✗). Nothing is lost in silence.
    """
    out = _target(out, name, file, force=force)
    target = _Target(session, near=out or file)
    made = _made(
        file, origin or _origin_of(file), target, name=name or (out.stem if out else None), assign=assign
    )
    target.check(made, out)
    if out is not None:
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(made.text, encoding="utf-8")
    if as_json:
        session.out.stream.write(json.dumps(_as_data(made, out), ensure_ascii=False, indent=2) + "\n")
    else:
        if out is None:
            sys.stdout.write(made.text)
        _tell(session.err, made, file, out, quiet=quiet)
    return exit_codes.FAILED if strict and _missing(made) else exit_codes.OK


def _origin_of(file: Path) -> Literal["markdown", "github"]:
    origin = _SUFFIXES.get(file.suffix.lower())
    if origin is None:
        raise click.UsageError(f"what is {file}? Say --from markdown or --from github")
    return origin


def _target(out: Path | None, name: str | None, file: Path, *, force: bool) -> Path | None:
    """The file to write, when one is to be written."""
    from towpath.definition.importing.naming import slug
    from towpath.errors import Refused

    if out is None:
        return None
    if out.is_dir():
        out /= f"{name or slug(file.stem, otherwise='workflow')}.yaml"
    if out.exists() and not force:
        raise Refused(f"{out} is there already", help="choose another name with -o, or say --force")
    return out


class _Target:
    """The project that the workflow is to belong to."""

    def __init__(self, session: Session, *, near: Path) -> None:
        from towpath.definition import loader, projects
        from towpath.steps.catalogue import Catalogue

        folder = session.project or loader.find_project_folder(_existing(near))
        if not (folder / projects.PROJECT_FILE).is_file():
            folder = session.project or loader.find_project_folder(Path.cwd())
        self.project: Project = loader.load_project(folder)
        self.cards = Catalogue.load(folder).cards()

    def check(self, made: Imported, out: Path | None) -> None:
        """Sees to it that the outcome loads; raises DefinitionProblems where it does not."""
        from towpath.definition import loader

        path = str(out) if out is not None else f"{made.name}.yaml"
        loader.load_workflow(made.text, path=path, project=self.project, cards=self.cards)


def _existing(path: Path) -> Path:
    """The path, or the nearest folder above it that is there."""
    path = path.absolute()
    return path if path.exists() else _existing(path.parent)


def _made(
    file: Path,
    origin: Literal["markdown", "github"],
    target: _Target,
    *,
    name: str | None,
    assign: str | None,
) -> Imported:
    from towpath.definition.importing import Assignment, import_github, import_markdown
    from towpath.definition.importing.naming import slug

    text = _read(file)
    people = target.project.file.people if target.project.has_file else None
    assignment = Assignment(otherwise=assign, people=people)
    known = slug(name, otherwise="workflow") if name is not None else None
    if origin == "markdown":
        return import_markdown(text, path=str(file), stem=file.stem, name=known, assignment=assignment)
    return import_github(
        text,
        path=str(file),
        stem=file.stem,
        name=known,
        assignment=assignment,
        project=target.project,
        cards=target.cards,
    )


def _read(file: Path) -> str:
    from towpath.definition.source import read_bytes
    from towpath.errors import Refused

    try:
        return read_bytes(file).decode("utf-8")
    except UnicodeDecodeError as error:
        raise Refused(
            f"{file} is not UTF-8: byte {error.start} cannot be read", help="save it as UTF-8"
        ) from None


# --- the report ---------------------------------------------------------------------------------------------


def _missing(made: Imported) -> tuple[Note, ...]:
    return tuple(note for note in made.notes if note.fate.value == "cannot")


def _tell(screen: Screen, made: Imported, file: Path, out: Path | None, *, quiet: bool) -> None:
    from towpath.cli.views.lines import safe

    for note in made.notes:
        if quiet and note.fate.value == "translated":
            continue
        mark, role = _LOOKS[note.fate.value]
        screen.say((f"{file}:{note.line}", "place"), "  ", (mark, role), " ", safe(note.message))
    counts = {word: sum(note.fate.value == word for note in made.notes) for word in _LOOKS}
    screen.say()
    screen.say(
        (f"{made.steps} steps", "name"),
        (f", {made.suggestions} with a suggested `run`" if made.suggestions else ""),
        (f" · {counts['changed']} changed · {counts['cannot']} not taken over", "dim"),
    )
    if out is None:
        screen.say(("next", "dim"), "  ", (f"tow import {file} -o workflows/{made.name}.yaml", "command"))
        return
    screen.say("wrote ", (str(out), "name"))
    screen.say(("next", "dim"), "  ", (f"tow run {out}", "command"))


def _as_data(made: Imported, out: Path | None) -> dict[str, object]:
    return {
        "name": made.name,
        "file": str(out) if out is not None else None,
        "workflow": made.text,
        "steps": made.steps,
        "suggestions": made.suggestions,
        "notes": [
            {"line": note.line, "fate": note.fate.value, "message": note.message} for note in made.notes
        ],
    }
