"""Options and arguments that several commands take, with their completion."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypedDict, TypeVar

import click
from click.shell_completion import CompletionItem

Command = TypeVar("Command", bound=Callable[..., Any])
RUNS_COMPLETED_MAX = 30


def _complete_runs(
    context: click.Context, _parameter: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    try:
        rows = _app(context).reader.runs()
    except Exception:  # noqa: BLE001 - a completion has nobody to tell
        return []
    found = [
        CompletionItem(str(row.number), help=f"{row.workflow} {row.summary.status}")
        for row in rows[:RUNS_COMPLETED_MAX]
        if str(row.number).startswith(incomplete)
    ]
    return [*found, CompletionItem("last", help="the newest run")] if "last".startswith(incomplete) else found


def _complete_steps(
    context: click.Context, _parameter: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    try:
        _, run = _app(context).run(context.params.get("run") or "last")
    except Exception:  # noqa: BLE001 - a completion has nobody to tell
        return []
    return [CompletionItem(path) for path in sorted(run.nodes) if path and path.startswith(incomplete)][:200]


def _complete_workflows(
    context: click.Context, _parameter: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    try:
        names = sorted(_app(context).project.workflows)
    except Exception:  # noqa: BLE001 - a completion has nobody to tell
        names = []
    found = [CompletionItem(name) for name in names if name.startswith(incomplete)]
    return [*found, CompletionItem(incomplete, type="file")]


def _app(context: click.Context) -> Any:  # noqa: ANN401 - imported when a completion needs it
    from towpath.cli.session import Session

    root = context.find_root()
    named = {name: root.params.get(name) for name in ("project", "data", "server")}
    session = Session(**named)
    return session.app()


def run_argument(*, required: bool = False, all_when_left_out: bool = False) -> Callable[[Command], Command]:
    """RUN: a number, an id or its beginning, or `last`, which is also what is meant when it is left out."""
    return click.argument(
        "run",
        metavar="RUN" if required else "[RUN]",
        required=required,
        default=None if required or all_when_left_out else "last",
        shell_complete=_complete_runs,
    )


def step_argument(*, required: bool = True) -> Callable[[Command], Command]:
    """STEP: a path as `tow show` writes it."""
    return click.argument(
        "step", metavar="STEP" if required else "[STEP]", required=required, shell_complete=_complete_steps
    )


def step_option(text: str) -> Callable[[Command], Command]:
    """--step PATH."""
    return click.option("--step", metavar="PATH", help=text, shell_complete=_complete_steps)


def workflow_argument(metavar: str = "WORKFLOW", *, required: bool = True) -> Callable[[Command], Command]:
    """WORKFLOW: a file, or the name of a workflow of the project."""
    return click.argument("workflow", metavar=metavar, required=required, shell_complete=_complete_workflows)


def as_option() -> Callable[[Command], Command]:
    """--as NAME, which is --by NAME."""
    return click.option(
        "--as",
        "--by",
        "by",
        metavar="NAME",
        help="Who you are; the user of this machine where it is left out (TOW_USER).",
    )


def comment_option(text: str) -> Callable[[Command], Command]:
    """--comment TEXT."""
    return click.option("-m", "--comment", default="", metavar="TEXT", help=text)


def deciding_options(command: Command) -> Command:
    """--digest and --yes of commands that decide a question."""
    for option in (
        click.option(
            "--digest",
            metavar="DIGEST",
            help="Of the question that you saw, from --json; an answer to anything else is refused.",
        ),
        click.option("-y", "--yes", is_flag=True, help="Do not ask whether you are sure."),
    ):
        command = option(command)
    return command


class Spoken(TypedDict):
    """What somebody says with a decision."""

    comment: str
    digest: str | None
    yes: bool
    by: str | None


def deciding(comment: str) -> Callable[[Command], Command]:
    """RUN, STEP, --comment, --digest, --yes and --as of a command that decides a question; *comment* says what is written there."""

    def with_all(command: Command) -> Command:
        options = (
            as_option(),
            deciding_options,
            comment_option(comment),
            step_argument(required=False),
            run_argument(required=True),
        )
        for option in options:
            command = option(command)
        return command

    return with_all


def json_option(text: str = "As JSON.") -> Callable[[Command], Command]:
    """--json."""
    return click.option("--json", "as_json", is_flag=True, help=text)


def watching_options(command: Command) -> Command:
    """--plain and --json of commands that follow a run."""
    for option in (
        click.option(
            "--json", "as_json", is_flag=True, help="One JSON object for each fact, and one at the end."
        ),
        click.option("--plain", is_flag=True, help="Lines instead of a live tree; what a pipe gets."),
        click.option(
            "--no-ask", is_flag=True, help="Do not ask here what the run asks; `tow inbox` lists it."
        ),
    ):
        command = option(command)
    return command


def workflows_argument() -> Callable[[Command], Command]:
    """WORKFLOWS: any number of files and names."""
    return click.argument("workflows", nargs=-1, metavar="[FILE|NAME]...", shell_complete=_complete_workflows)


def start_of(name: str) -> Path | None:
    """The file that was named, where it is one: its project is meant."""
    path = Path(name)
    return path if path.is_file() else None


def seconds(option: str, text: str) -> float:
    """A span of time that an option was given, `90d` or `12h`; raises UsageError."""
    from towpath.definition.model import parse_duration

    try:
        return parse_duration(text)
    except ValueError as error:
        raise click.UsageError(f"{option} {text} {error}") from None
