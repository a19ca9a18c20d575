"""The click group whose commands are imported when they are used, and what becomes of what they raise."""

from __future__ import annotations

import difflib
import importlib
import os
import sys
from collections.abc import Sequence
from pathlib import Path

import click

from towpath.cli import commands, exit_codes, failures
from towpath.cli.session import Session

PROGRAM = "tow"
COMPLETE_VARIABLE = "_TOW_COMPLETE"
"""What the completion script of a shell sets."""


class LazyGroup(click.Group):
    """A group that knows its commands from the table and imports one when it is used."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's shape
        """The names of all commands, in the order of the overview."""
        return list(commands.ENTRIES)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - click's shape
        """The command of this name."""
        entry = commands.ENTRIES.get(cmd_name)
        if entry is None:
            return None
        module = importlib.import_module(entry.module)
        command: click.Command = getattr(module, "command", None) or getattr(module, entry.name)
        command.short_help = entry.help
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """The command that the words begin with; an unknown one is answered with the nearest known."""
        if args and args[0] not in commands.ENTRIES and not args[0].startswith("-"):
            close = difflib.get_close_matches(args[0], commands.ENTRIES, n=1)
            hint = f"; did you mean `tow {close[0]}`?" if close else ""
            raise click.UsageError(f"there is no command {args[0]!r}{hint}", ctx=ctx)
        return super().resolve_command(ctx, args)

    def format_help(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002 - click's shape
        """The overview."""
        formatter.write(commands.overview() + "\n")


@click.group(
    cls=LazyGroup,
    name=PROGRAM,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.option("--project", type=click.Path(path_type=Path), help=commands.OPTIONS[0][1])
@click.option("--data", type=click.Path(path_type=Path), help=commands.OPTIONS[1][1])
@click.option("--server", metavar="URL", envvar="TOW_SERVER", help=commands.OPTIONS[2][1])
@click.version_option(package_name="towpath", prog_name=PROGRAM)
@click.pass_context
def root(context: click.Context, *, project: Path | None, data: Path | None, server: str | None) -> None:
    """Workflows for hosting and IT operations."""
    if server:
        from towpath.cli.remote.reach import is_remote

        server = server if is_remote(context.invoked_subcommand) else None
    context.obj = Session(project=project, data=data, server=server or None)


def run(words: Sequence[str]) -> int:
    """Carries out a command line, or completes it for a shell; gives the exit code."""
    if COMPLETE_VARIABLE in os.environ:
        root.main([], prog_name=PROGRAM, complete_var=COMPLETE_VARIABLE)
    try:
        return _carried_out(words)
    except BrokenPipeError:
        _drop_output()
        return exit_codes.OK
    except (KeyboardInterrupt, click.Abort):
        sys.stderr.write("\n")
        return exit_codes.INTERRUPTED
    except Exception as error:  # noqa: BLE001 - the edge: whatever it is, the operator gets a sentence and a code
        return failures.tell(error, data=_data_folder(words))


def _carried_out(words: Sequence[str]) -> int:
    try:
        with root.make_context(PROGRAM, list(words)) as context:
            return _code(_invoked(context))
    except click.exceptions.Exit as leave:
        return leave.exit_code
    except click.ClickException as error:
        path = getattr(getattr(error, "ctx", None), "command_path", PROGRAM)
        return failures.tell_usage(error.format_message(), help_command=f"{path} --help")


def _invoked(context: click.Context) -> object:
    """What the command returned; what it had opened is closed, however it ended."""
    try:
        result: object = root.invoke(context)
    finally:
        session = context.find_object(Session)
        if session is not None:
            session.close()
    return result


def _code(result: object) -> int:
    return result if isinstance(result, int) and not isinstance(result, bool) else exit_codes.OK


def _drop_output() -> None:
    """Whoever read the output is gone: nothing more is to be written, not even at exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _data_folder(words: Sequence[str]) -> Path | None:
    """The data folder that the words name; only for finding a place for the report of a bug."""
    for position, word in enumerate(words):
        if word.startswith("--data="):
            return Path(word.removeprefix("--data="))
        if word == "--data" and position + 1 < len(words):
            return Path(words[position + 1])
    return None
