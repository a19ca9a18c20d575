"""All of it, in the order in which one thing needs the other."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from towpath.server.examining import data, machine, project

if TYPE_CHECKING:
    from towpath.app import App
    from towpath.server.examining.finding import Finding


def examine(app: App) -> Iterator[Finding]:
    """Look at everything; nothing is changed by it."""
    yield from machine.examine(project.programs_of(app))
    yield from data.examine(app)
    yield from project.examine(app)
    yield project.server(app)
