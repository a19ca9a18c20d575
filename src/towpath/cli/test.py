"""`tow test`."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from towpath.cli import exit_codes, parameters
from towpath.cli.session import Session, pass_session

if TYPE_CHECKING:
    from towpath.cli.views.lines import Screen
    from towpath.trials.testing import LoadedFile, Outcome, Report

PERCENT_MAX = 100.0


@click.command("test")
@click.argument("targets", nargs=-1, metavar="[FILE|FOLDER]...", type=click.Path(path_type=Path))
@click.option(
    "-k",
    "keyword",
    default="",
    metavar="TEXT",
    help="Only tests with this text in their name, file or workflow.",
)
@click.option("--update", is_flag=True, help="Write the snapshots anew, and compare nothing with them.")
@click.option(
    "--junit",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Write a JUnit report too.",
)
@click.option("--story", is_flag=True, help="Tell the story of tests that pass, too.")
@click.option(
    "--branches-min",
    type=click.FloatRange(0, PERCENT_MAX),
    metavar="PERCENT",
    help="Fail where fewer of a workflow's branches were taken.",
)
@parameters.json_option("One JSON object with everything.")
@pass_session
def command(
    session: Session,
    *,
    targets: tuple[Path, ...],
    keyword: str,
    update: bool,
    junit: Path | None,
    story: bool,
    branches_min: float | None,
    as_json: bool,
) -> int:
    """Test workflows: scripted steps and people, virtual time, injected faults.

    Without a name, every file in the project's folder `tests` is played. Nothing real happens: no step runs, nobody is told, and
    days pass in milliseconds. At the end stands which branches of each workflow no test has taken.
    """
    from towpath.trials import testing

    files, folder = _files(session, targets)
    screen = session.out
    runner = testing.Runner(
        testing.Bench.of(folder),
        keyword=keyword,
        update=update,
        on_outcome=None if as_json else _teller(screen, with_story=story),
    )
    report = runner.run(files, shown=_shown, is_all=not targets)
    if junit is not None:
        junit.write_text(testing.junit(report), encoding="utf-8")
    low = _too_low(report, branches_min)
    if as_json:
        from towpath.cli.views import facts

        click.echo(facts.json_text(testing.as_json(report)))
    else:
        _tell_end(screen, report, keyword=keyword, low=low, branches_min=branches_min)
    if not report.outcomes and not report.broken:
        return exit_codes.NOT_FOUND
    return exit_codes.FAILED if report.failed or report.broken or low else exit_codes.OK


def _files(session: Session, targets: Iterable[Path]) -> tuple[list[Path], Path]:
    """The test files that are meant, and the project that they belong to; raises NotFound or Refused."""
    from towpath.errors import NotFound, Refused
    from towpath.trials.testing import test_files

    named = list(targets)
    folder = session.project or _project_of(named[0] if named else Path.cwd())
    found: list[Path] = []
    for target in named or [folder]:
        if not target.exists():
            raise NotFound(
                f"there is no file or folder {target}", help="tow test alone plays every test of the project"
            )
        if not session.project and _project_of(target) != folder:
            raise Refused(
                f"{target} belongs to another project than {named[0]}", help="test one project at a time"
            )
        found.extend(_files_in(target, test_files))
    if not found:
        raise NotFound(
            f"there are no tests in {_shown(folder / 'tests')}",
            help="a test is a file such as tests/release_shop.yaml:\n"
            "workflow: release_shop\ntests: [{name: It succeeds, expect: {status: succeeded}}]",
        )
    return list(dict.fromkeys(found)), folder


def _files_in(target: Path, of_project: Callable[[Path], tuple[Path, ...]]) -> Iterable[Path]:
    from towpath.definition.projects import WORKFLOW_SUFFIXES

    if target.is_file():
        return [target]
    return of_project(target) or sorted(
        file for file in target.glob("**/*") if file.suffix in WORKFLOW_SUFFIXES and target.name == "tests"
    )


def _project_of(target: Path) -> Path:
    """The folder of the project that a test file belongs to: `tests` stands in it."""
    from towpath.definition.projects import PROJECT_FILE, find_project_folder

    folder = find_project_folder(target)
    if not (folder / PROJECT_FILE).is_file() and folder.name == "tests":
        return folder.parent
    return folder


def _shown(path: Path) -> str:
    """A path as people type it: from here where that is shorter."""
    relative = os.path.relpath(path)
    return str(path) if relative.startswith("..") else relative


def _too_low(report: Report, branches_min: float | None) -> list[str]:
    """The workflows of which too few branches were taken."""
    if branches_min is None:
        return []
    return [one.workflow for one in report.coverage if one.percent < branches_min]


# --- telling ------------------------------------------------------------------------------------------------


def _teller(screen: Screen, *, with_story: bool) -> Callable[[Outcome], None]:
    from towpath.cli.views import tests

    told: set[str] = set()

    def tell(outcome: Outcome) -> None:
        if outcome.test.path not in told:
            told.add(outcome.test.path)
            screen.say((outcome.test.path, "place"))
        screen.show(*tests.outcome_lines(outcome, width=screen.width, with_story=with_story))

    return tell


def _tell_end(
    screen: Screen, report: Report, *, keyword: str, low: list[str], branches_min: float | None
) -> None:
    from towpath.cli.views import tests

    _tell_problems(screen, report.files)
    if not report.outcomes and not report.broken:
        screen.say(
            ("no test has ", "warn"), (keyword, "name"), (" in its name, its file or its workflow", "warn")
        )
        return
    screen.show(*tests.end_lines(report, width=screen.width))
    for name in low:
        screen.say(
            ("✗ ", "bad"), (f"fewer than {branches_min:g} % of the branches of {name} were taken", "bad")
        )


def _tell_problems(screen: Screen, files: Iterable[LoadedFile]) -> None:
    from towpath.cli.failures import paint
    from towpath.definition import problems

    for file in files:
        if file.problems:
            text = problems.render_text(file.problems, paint=paint if screen.colours else problems.plain)
            screen.stream.write(f"{text}\n\n")
