"""SQL lives in `sql/*.sql`: queries with a name and a sentence. This reads them, once.

A file is a list of blocks: a line `-- name: runs_by_id`, at least one comment line that says what the query
is for, then the SQL.
"""

from __future__ import annotations

import re
from functools import cache
from importlib import resources
from types import MappingProxyType
from typing import TYPE_CHECKING

from towpath.errors import BugError

if TYPE_CHECKING:
    from collections.abc import Mapping

_HEAD = re.compile(r"^-- name: ([a-z_]+)$", re.MULTILINE)


@cache
def queries(file: str) -> Mapping[str, str]:
    """Return the queries of `sql/<file>.sql` by name."""
    text = (resources.files("towpath.store") / "sql" / f"{file}.sql").read_text(encoding="utf-8")
    parts = _HEAD.split(text)[1:]
    found = {name: _statement(file, name, body) for name, body in zip(parts[::2], parts[1::2], strict=True)}
    return MappingProxyType(found)


def _statement(file: str, name: str, body: str) -> str:
    """Strip the comment that describes a query; there must be one."""
    lines = body.strip().splitlines()
    if not lines or not lines[0].startswith("-- "):
        raise BugError(f"{file}.sql: the query {name} has no description")
    return "\n".join(line for line in lines if not line.startswith("-- ")).strip().removesuffix(";")
