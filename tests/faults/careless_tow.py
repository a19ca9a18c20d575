"""`tow` with `synchronous=NORMAL`: a known mistake, to prove that a power loss would show it."""

import runpy
import sqlite3
import sys
from typing import Any


class Careless(sqlite3.Connection):
    """A connection that thinks that a commit need not be on the disk."""

    def execute(self, sql: str, *values: Any) -> sqlite3.Cursor:
        """Does it, a little faster than it should."""
        return super().execute(sql.replace("synchronous = FULL", "synchronous = NORMAL"), *values)


connect = sqlite3.connect
sqlite3.connect = lambda *values, **named: connect(*values, **{"factory": Careless, **named})  # type: ignore[assignment]
sys.argv[0] = "tow"
runpy.run_module("towpath", run_name="__main__", alter_sys=True)
