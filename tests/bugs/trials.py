"""Plants a known mistake in a copy of the source and sees whether the tests notice.

The copy comes first on the path of the pytest that runs and of every Python process that its tests start; each notes which copy it imported
(`planted/sitecustomize.py`), and a trial in which only one of them took the original counts for nothing. A mistake is noticed when every
test that is named for it fails in its call: an import that fails, a fixture that breaks or a test that does not exist notices nothing.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from bug_list import Bug, Edit

ROOT = Path(__file__).resolve().parents[2]
SOURCE = ROOT / "src" / "towpath"
PLANTED = Path(__file__).resolve().parent / "planted"
SECONDS_MAX = 300.0
"""How long the tests of one trial may take; one that hangs has noticed nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What came of the tests in a copy."""

    calls: Mapping[str, bool]
    """The tests that were called, with their parameters, and whether they passed."""
    reasons: Mapping[str, str]
    trouble: str
    """Why this proves nothing; empty where it does."""
    processes: int
    """How many processes imported the copy."""
    seconds: float

    def noticed(self, test: str) -> bool:
        """Whether a test failed; one that is named without parameters, whether it did with any of them."""
        return any(
            not passed for name, passed in self.calls.items() if name == test or name.startswith(f"{test}[")
        )

    def missed_by(self, tests: Iterable[str]) -> list[str]:
        """Those of the tests that noticed nothing."""
        return [test for test in tests if not self.noticed(test)]


class CannotPlant(Exception):
    """The old text does not stand in its file exactly once, or the new one cannot be."""


def planted(edit: Edit, text: str) -> str:
    """The text of a file with the mistake in it."""
    count = text.count(edit.old)
    if count != 1:
        raise CannotPlant(f"{edit.file}: the old text stands there {count} times, not once")
    changed = text.replace(edit.old, edit.new)
    if edit.file.endswith(".py"):
        try:
            compile(changed, edit.file, "exec")
        except SyntaxError as error:
            raise CannotPlant(f"{edit.file}: the new text is no Python: {error}") from error
    return changed


def plant(bug: Bug | None, folder: Path) -> Path:
    """A copy of the source with the mistake in it; gives the folder that goes on the path."""
    copy = folder / "src"
    shutil.copytree(SOURCE, copy / "towpath")
    for edit in bug.edits if bug is not None else ():
        file = copy / "towpath" / edit.file
        file.write_text(planted(edit, file.read_text(encoding="utf-8")), encoding="utf-8")
        for compiled in file.parent.glob(f"__pycache__/{file.stem}.*.pyc"):
            compiled.unlink()
    return copy


def try_tests(bug: Bug | None, tests: Iterable[str], folder: Path) -> Outcome:
    """Runs tests on a copy of the source, with a mistake or with none."""
    copy = plant(bug, folder)
    witness, outcomes = folder / "witness", folder / "outcomes"
    witness.touch()
    outcomes.touch()
    options = ("-q", "--no-header", "-p", "no:cacheprovider", "-p", "no:randomly", "-p", "planted_outcomes")
    begun = time.monotonic()
    with (folder / "said").open("wb") as said:
        process = subprocess.Popen(
            [sys.executable, "-m", "pytest", *options, f"--basetemp={folder / 'tmp'}", *tests],
            cwd=ROOT,
            env=_environment(copy, witness, outcomes),
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=said,
        )
        try:
            process.wait(SECONDS_MAX)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
    seconds = time.monotonic() - begun
    calls, reasons = _read(outcomes)
    importing = [line.split(" ", 1) for line in witness.read_text(encoding="utf-8").splitlines()]
    return Outcome(
        calls=calls,
        reasons=reasons,
        trouble=_trouble(process.returncode, importing, copy, folder / "said"),
        processes=len({pid for pid, _ in importing}),
        seconds=seconds,
    )


def _environment(copy: Path, witness: Path, outcomes: Path) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST_", "TOW_"))}
    return {
        **kept,
        "PYTHONPATH": f"{copy}:{PLANTED}",
        "PLANTED_WITNESS": str(witness),
        "PLANTED_OUTCOMES": str(outcomes),
    }


def _read(outcomes: Path) -> tuple[dict[str, bool], dict[str, str]]:
    calls: dict[str, bool] = {}
    reasons: dict[str, str] = {}
    for line in outcomes.read_text(encoding="utf-8").splitlines():
        said = json.loads(line)
        if said["when"] == "call":
            calls[said["test"]] = said["passed"]
        if said["reason"]:
            reasons[said["test"]] = f"{said['when']}: {said['reason']}"
    return calls, reasons


def _trouble(code: int, importing: list[list[str]], copy: Path, said: Path) -> str:
    strangers = sorted({origin for _, origin in importing if not origin.startswith(f"{copy}/")})
    if strangers:
        return f"another copy was imported: {', '.join(strangers)}"
    if not importing:
        return "nothing imported the package"
    if code not in (0, 1):
        last = said.read_text(encoding="utf-8", errors="replace").strip().splitlines()[-1:]
        return f"pytest ended with {code}: {''.join(last)}"
    return ""
