"""`tow doctor`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import click

from towpath.cli import exit_codes, parameters
from towpath.cli.session import Session, pass_session

if TYPE_CHECKING:
    from collections.abc import Sequence

    from towpath.cli.views.lines import Line
    from towpath.server.examining import Finding


@click.command()
@parameters.json_option("The findings as JSON.")
@pass_session
def command(session: Session, *, as_json: bool) -> int:
    """Look whether everything is there that this project needs: machine, data folder, project, secrets, server.

    Nothing is changed. Each thing that is not as it should be says what to do about it. The exit code is 1 when something does not work
    or is not safe, and 0 otherwise.
    """
    from towpath.server.examining import examine

    findings = tuple(examine(session.app()))
    if as_json:
        click.echo(json.dumps([finding.as_json() for finding in findings], ensure_ascii=False, indent=2))
    else:
        session.out.show(*_lines(findings))
    return exit_codes.FAILED if any(finding.state == "bad" for finding in findings) else exit_codes.OK


def _lines(findings: Sequence[Finding]) -> list[Line]:
    from towpath.cli.views.lines import Span, line, safe
    from towpath.observe import words

    marks: dict[str, Span] = {"good": ("✓ ", "good"), "odd": ("! ", "warn"), "bad": ("✗ ", "bad")}
    width = max(len(finding.about) for finding in findings)
    shown = []
    for finding in findings:
        shown.append(line(marks[finding.state], f"{finding.about:<{width}}  ", safe(finding.says)))
        if finding.help:
            shown.append(line(" " * (width + 4), (safe(finding.help), "dim")))
    bad = sum(finding.state == "bad" for finding in findings)
    odd = sum(finding.state == "odd" for finding in findings)
    end: Span
    if bad:
        end = (f"{words.counted(bad, 'thing')} to mend", "bad")
    elif odd:
        end = (f"{words.counted(odd, 'thing')} to know", "warn")
    else:
        end = ("all is well", "good")
    return [*shown, line(), line(end)]
