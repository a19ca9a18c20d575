"""What the operator reads when something did not work, and the exit code that a script reads."""

from __future__ import annotations

import os
import sys
import tempfile
import traceback
from pathlib import Path
from typing import TYPE_CHECKING

from towpath import errors
from towpath.cli import exit_codes
from towpath.cli.views.lines import Screen, line, safe, screen_of

if TYPE_CHECKING:
    from towpath.core.run import Run

BY_END_STATE = {
    "succeeded": exit_codes.OK,
    "partially_succeeded": exit_codes.PARTIAL,
    "failed": exit_codes.FAILED,
    "rolled_back": exit_codes.ROLLED_BACK,
    "rollback_failed": exit_codes.ROLLBACK_FAILED,
    "rejected": exit_codes.REJECTED,
    "cancelled": exit_codes.CANCELLED,
    "skipped": exit_codes.REFUSED,
}
"""The exit code of a command that watched a run to its end."""

_BY_ERROR: tuple[tuple[type[errors.TowpathError], int], ...] = (
    (errors.NotFound, exit_codes.NOT_FOUND),
    (errors.StoreUnavailable, exit_codes.UNAVAILABLE),
    (errors.Unreachable, exit_codes.UNAVAILABLE),
    (errors.OperatorError, exit_codes.REFUSED),
)


def code_of_run(run: Run) -> int:
    """The exit code for how a run ended; a run that was to undo something succeeded when it did."""
    if run.mode == "rollback" and run.status == "rolled_back":
        return exit_codes.OK
    return BY_END_STATE.get(run.status, exit_codes.WAITING)


def code_of(error: errors.TowpathError) -> int:
    """The exit code of an error."""
    if type(error).__name__ == "InputsInvalid":  # its module is heavy, and loaded when it was raised
        return exit_codes.USAGE
    return next((code for kind, code in _BY_ERROR if isinstance(error, kind)), exit_codes.FAILED)


def tell(error: Exception, *, data: Path | None = None) -> int:
    """Tells an error on standard error; gives the exit code."""
    screen = screen_of(sys.stderr)
    if isinstance(error, errors.DefinitionError) and hasattr(error, "problems"):
        _tell_problems(error, screen)
        return exit_codes.FAILED
    if isinstance(error, errors.TowpathError) and not isinstance(error, errors.BugError):
        _tell_known(error, screen)
        return code_of(error)
    _tell_bug(error, screen, data)
    return exit_codes.FAILED


def tell_usage(message: str, *, help_command: str) -> int:
    """Tells that the command line itself is wrong; gives the exit code."""
    first, *more = message.splitlines() or [""]
    screen = screen_of(sys.stderr)
    screen.show(line(("error: ", "bad"), safe(first)), *(line(f"  {safe(text)}") for text in more))
    screen.show(line(("  help: ", "busy"), help_command))
    return exit_codes.USAGE


def _tell_known(error: errors.TowpathError, screen: Screen) -> None:
    problems = getattr(error, "problems", None) or error.message.splitlines() or [""]
    for text in problems:
        screen.show(line(("error: ", "bad"), safe(str(text))))
    for text in error.help.splitlines():
        screen.show(line(("  help: ", "busy"), safe(text)))


def _tell_problems(error: errors.DefinitionError, screen: Screen) -> None:
    from towpath.definition import problems

    assert isinstance(error, problems.DefinitionProblems)
    text = problems.render_text(error.problems, paint=paint if screen.colours else problems.plain)
    screen.stream.write(f"{text}\n\n")
    screen.show(line(("error: ", "bad"), problems.summary(error.problems)))


_PAINT = {"error": "1;31", "warning": "1;33", "place": "1", "code": "31", "frame": "34", "help": "36"}


def paint(text: str, role: str) -> str:
    """A part of a problem in its colour."""
    return f"\x1b[{_PAINT[role]}m{text}\x1b[0m" if role in _PAINT else text


def _tell_bug(error: Exception, screen: Screen, data: Path | None) -> None:
    report = _write_report(error, data)
    what = safe(str(error)) or type(error).__name__
    screen.show(
        line(("error: ", "bad"), "Towpath itself made a mistake: ", f"{type(error).__name__}: {what}")
    )
    where = f"the traceback is in {report}" if report is not None else "TOW_TRACEBACK=1 shows the traceback"
    screen.show(line(("  help: ", "busy"), f"what was accepted is safe; {where}; please report it"))
    if os.environ.get("TOW_TRACEBACK"):
        traceback.print_exception(error)


def _write_report(error: Exception, data: Path | None) -> Path | None:
    """Writes the traceback where only this user can read it."""
    folder = data or Path(os.environ.get("TOW_DATA") or ".towpath")
    try:
        descriptor, name = tempfile.mkstemp(
            prefix="tow-bug-", suffix=".txt", dir=folder if folder.is_dir() else None
        )
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(f"tow {' '.join(sys.argv[1:])}\n\n")
            traceback.print_exception(error, file=file)
    except OSError:
        return None
    return Path(name)
