"""A plan in a file: what was rehearsed, so that a start can be held to it.

The file names the workflow, the digest of its definition, the inputs and the digest of what would happen. A start with it rehearses
again; when anything would happen otherwise now, nothing is started. It holds no secret: secrets are named in a plan, never opened.
"""

from __future__ import annotations

import difflib
import json
import os
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from towpath.core.run import Json
from towpath.engines.rehearsing import RehearsedRun, digest_of, text_of
from towpath.errors import NotFound, Refused
from towpath.trials.rehearsing.told import as_json

PLAN_VERSION: Final = 1
PLAN_BYTES_MAX: Final = 16 * 1024 * 1024
DIFFERENCE_LINES_MAX: Final = 40
_MODE: Final = 0o600
"""A plan shows what files hold."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SavedPlan:
    """What a plan file says."""

    workflow: str
    """The name or the file by which the workflow was found."""
    definition: str
    inputs: Mapping[str, Json]
    digest: str
    text: str
    looked: bool

    def check_definition(self, digest: str) -> None:
        """Raises Refused when the workflow is another one than that which was rehearsed."""
        if digest != self.definition:
            raise Refused(
                f"{self.workflow} has changed since it was rehearsed",
                help="rehearse it again, and save a new plan",
            )

    def difference(self, now: RehearsedRun) -> tuple[str, ...]:
        """What would happen otherwise now, as the lines of a diff; empty when the plan still holds."""
        if digest_of(now) == self.digest:
            return ()
        before, after = self.text.splitlines(), text_of(now).splitlines()
        lines = list(difflib.unified_diff(before, after, lineterm="", n=1))[2:]
        more = len(lines) - DIFFERENCE_LINES_MAX
        rest = [f"… {more} more lines"] if more > 0 else []
        return (*lines[:DIFFERENCE_LINES_MAX], *rest) or ("(in what is not shown)",)


def save(path: Path, rehearsed: RehearsedRun, *, workflow: str) -> None:
    """Writes a plan, whole and at once."""
    told = {"version": PLAN_VERSION, "start": workflow, "text": text_of(rehearsed), **as_json(rehearsed)}
    data = json.dumps(told, indent=2, ensure_ascii=False).encode()
    try:
        handle, name = tempfile.mkstemp(prefix=f".{path.name[:100]}.", dir=path.parent)
        try:
            os.fchmod(handle, _MODE)
            with os.fdopen(handle, "wb") as file:
                file.write(data)
            Path(name).replace(path)
        except BaseException:
            with suppress(FileNotFoundError):
                Path(name).unlink()
            raise
    except OSError as problem:
        raise Refused(
            f"{path} cannot be written: {problem.strerror}", help="name a file in a folder that is there"
        ) from None


def load(path: Path) -> SavedPlan:
    """Reads a plan; raises NotFound, or Refused where the file is none."""
    try:
        data = path.read_bytes()[: PLAN_BYTES_MAX + 1]
    except OSError as problem:
        raise NotFound(
            f"{path} cannot be read: {problem.strerror}", help="`tow run --dry-run --save FILE` makes a plan"
        ) from None
    try:
        told: Any = json.loads(data)  # Any: nested JSON
        if told["version"] != PLAN_VERSION:
            raise Refused(
                f"{path} is a plan of another version of Towpath", help="rehearse again with this one"
            )
        return SavedPlan(
            workflow=str(told["start"]),
            definition=str(told["definition"]),
            inputs=dict(told["inputs"]),
            digest=str(told["digest"]),
            text=str(told["text"]),
            looked=bool(told["looked"]),
        )
    except (ValueError, TypeError, KeyError, RecursionError):
        raise Refused(f"{path} is no plan", help="`tow run --dry-run --save FILE` makes one") from None
