"""`tow on-call`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from towpath.cli import exit_codes, parameters
from towpath.cli.session import Session, pass_session

if TYPE_CHECKING:
    from towpath.cli.views.lines import Line
    from towpath.people import Directory, Shift

DAYS_DEFAULT = 28
DAYS_MAX = 3_660
_DAY = 86_400 * 1_000_000


@click.command()
@click.argument("name", required=False)
@click.option(
    "-d",
    "--days",
    default=DAYS_DEFAULT,
    show_default=True,
    type=click.IntRange(1, DAYS_MAX),
    metavar="N",
    help="How far to look ahead.",
)
@parameters.json_option("One JSON object for each shift.")
@pass_session
def command(session: Session, *, name: str | None, days: int, as_json: bool) -> int:
    """Show who is on call, and who is next; with the NAME of a rota, all its shifts ahead.

    Absences and overrides count: whoever is shown is who would be asked.
    """
    app = session.app()
    directory, now = app.desk.directory, app.now()
    names = [name.removeprefix("oncall:")] if name is not None else list(directory.rotas)
    shifts = {each: directory.shifts(each, now, now + days * _DAY) for each in names}
    if as_json:
        _as_json(shifts)
    elif not names:
        session.out.say("the project has no rotas; towpath.yaml describes them under people: on_call:")
    elif name is None:
        session.out.show(*_overview(directory, shifts, width=session.out.width))
    else:
        session.out.show(*_shifts(directory, names[0], shifts[names[0]], now=now, width=session.out.width))
    return exit_codes.OK


def _as_json(shifts: dict[str, tuple[Shift, ...]]) -> None:
    from towpath.cli.views import facts
    from towpath.server.shapes.people import shift_object

    for name, found in shifts.items():
        for shift in found:
            click.echo(facts.json_line(shift_object(name, shift)))


def _overview(directory: Directory, shifts: dict[str, tuple[Shift, ...]], *, width: int) -> tuple[Line, ...]:
    """Every rota on a line: who, until when, who is next."""
    from towpath.cli.views.lines import line, safe, table

    head = tuple(line((title, "dim")) for title in ("ROTA", "ON CALL", "UNTIL", "NEXT"))
    rows = []
    for name, found in shifts.items():
        current, following = found[0], found[1] if len(found) > 1 else None
        until = _moment(directory, name, current.end) if following is not None else ""
        then = _who(following) if following is not None else line(("the same, as far as is planned", "dim"))
        rows.append((line((safe(name), "name")), _who(current), line((until, "dim")), then))
    return table([head, *rows], width=width)


def _shifts(
    directory: Directory, name: str, found: tuple[Shift, ...], *, now: int, width: int
) -> tuple[Line, ...]:
    """All shifts of a rota, the present one first."""
    from towpath.cli.views.lines import line, safe, table

    title = directory.file.people.on_call[name].title
    rows = [
        (
            line(("now" if shift.start <= now else "", "good")),
            line(_moment(directory, name, shift.start)),
            line((_moment(directory, name, shift.end), "dim")),
            _who(shift),
            line((shift.duty.because, "dim")),
        )
        for shift in found
    ]
    head = line((safe(name), "name"), (f"  {safe(title)}" if title else "", "dim"))
    return (head, *table(rows, width=width))


def _who(shift: Shift) -> Line:
    from towpath.cli.views.lines import line, safe

    if shift.duty.people:
        return line(safe(", ".join(sorted(shift.duty.people))))
    return line(("nobody", "bad"), (f"  {safe(shift.duty.reason)}", "dim"))


def _moment(directory: Directory, name: str, at: int) -> str:
    """An instant as the wall clocks of the rota show it."""
    from towpath.people import civil_time

    return civil_time.said(at, directory.rotas[name].zone)
