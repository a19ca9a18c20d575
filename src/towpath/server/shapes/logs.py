"""What steps print."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from towpath.errors import NotFound
from towpath.server.shapes.moments import stamp
from towpath.store.logs import LogLine

Object = dict[str, Any]  # JSON


def line_object(one: LogLine) -> Object:
    """One line of a log."""
    return {
        "at": stamp(one.at),
        "path": one.path,
        "attempt": one.attempt,
        "stream": one.stream,
        "text": one.text,
        "goes_on": one.goes_on,
    }


def known_step(nodes: Iterable[str], step: str) -> str:
    """The path that is meant: as it was written, or the one path that ends with it; raises NotFound."""
    known = [path for path in nodes if path]
    if step in known:
        return step
    ending = [path for path in known if path.endswith(f"/{step}")]
    if len(ending) == 1:
        return ending[0]
    if ending:
        raise NotFound(
            f"{step!r} stands for several steps", help=f"name one: {', '.join(sorted(ending)[:8])}"
        )
    raise NotFound(f"no step {step!r} has begun in this run", help="`tow show` lists the steps")
