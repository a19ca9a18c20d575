"""The list of known mistakes can be planted as it stands, and the job that plants them tells a mistake that is noticed from one that is not.

All of them are tried by `./dev bugs`; the suite tries a few.
"""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from bug_list import BUGS, Bug, Edit

from promises import PROMISES
from tiers import Tier
from trials import ROOT, SOURCE, CannotPlant, planted, try_tests

TRIED_QUICK = 3
TIMERS = "tests/engines/test_timers.py"
TIMERS_FILE = "engines/embedded/timers.py"


@pytest.mark.parametrize("bug", BUGS, ids=lambda bug: bug.id)
def test_a_mistake_can_be_planted(bug: Bug) -> None:
    """The old text of every edit stands in its file exactly once, and what comes instead is another, readable text."""
    texts: dict[str, str] = {}
    for edit in bug.edits:
        before = texts.get(edit.file) or (SOURCE / edit.file).read_text(encoding="utf-8")
        texts[edit.file] = planted(edit, before)

        assert texts[edit.file] != before


@pytest.mark.parametrize("bug", BUGS, ids=lambda bug: bug.id)
def test_a_mistake_names_what_it_breaks_and_who_notices(bug: Bug) -> None:
    """Its promise is one of the table, and each of its tests exists."""
    missing = [test for test in bug.noticed_by if not exists(test)]

    assert (bug.promise in PROMISES, missing) == (True, [])


def exists(test: str) -> bool:
    """Whether the file of a test defines its function."""
    file, _, name = test.partition("[")[0].partition("::")
    tree = ast.parse((ROOT / file).read_text(encoding="utf-8"))
    return any(
        isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name == name
        for node in ast.walk(tree)
    )


def test_mistakes_have_names_of_their_own() -> None:
    """No two have the same name, and there are at least twenty."""
    assert Counter(bug.id for bug in BUGS).most_common(1)[0][1] == 1
    assert len(BUGS) >= 20


def made_up(old: str, new: str) -> Bug:
    """A change of the timers."""
    edit = Edit(file=TIMERS_FILE, old=old, new=new)
    return Bug(id="made-up", promise="P13", brings_back="nothing", edits=(edit,), noticed_by=(TIMERS,))


def test_a_harmless_change_is_not_taken_for_a_mistake(tmp_path: Path) -> None:
    """When nothing breaks, the tests pass on the copy, and the job says that nobody noticed."""
    fires = f"{TIMERS}::test_a_timer_fires_once"
    outcome = try_tests(made_up("import heapq\n", "import heapq\n\n"), [fires], tmp_path)

    assert (outcome.trouble, outcome.missed_by([fires])) == ("", [fires])


def test_a_copy_that_cannot_be_imported_notices_nothing(tmp_path: Path) -> None:
    """A test that fails because it could not even begin counts for nothing."""
    fires = f"{TIMERS}::test_a_timer_fires_once"
    broken = made_up("import heapq\n", "import heapq\nimport nothing_of_that_name\n")
    outcome = try_tests(broken, [fires], tmp_path)

    assert outcome.noticed(fires) is False
    assert outcome.trouble.startswith("pytest ended with")


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("import heapq\n", "import heapq(\n", "no Python"),
        ("self", "itself", "not once"),
        ("nowhere", "x", "0 times"),
    ],
)
def test_what_cannot_be_planted_is_told(old: str, new: str, told: str) -> None:
    """A text that is not there exactly once, or a change that is no Python, is refused with the reason."""
    with pytest.raises(CannotPlant, match=told):
        planted(Edit(file=TIMERS_FILE, old=old, new=new), (SOURCE / TIMERS_FILE).read_text(encoding="utf-8"))


def test_the_copy_is_what_every_process_imports(tmp_path: Path) -> None:
    """A mistake is there in the processes that a test starts, too; they say which copy they took."""
    bug = next(bug for bug in BUGS if bug.id == "start-key-not-unique")
    outcome = try_tests(bug, bug.noticed_by, tmp_path)

    assert (outcome.trouble, outcome.missed_by(bug.noticed_by)) == ("", [])
    assert outcome.processes > 1


def test_mistakes_are_noticed(tier: Tier, tmp_path: Path, played: Callable[[int], None]) -> None:
    """With a known mistake in the source, the tests that are named for it fail."""
    quick = [bug for bug in BUGS if not any("tests/faults" in test for test in bug.noticed_by)]
    chosen = tier.some_of(quick, quick=TRIED_QUICK)
    missed = {}
    for bug in chosen:
        (tmp_path / bug.id).mkdir()
        outcome = try_tests(bug, bug.noticed_by, tmp_path / bug.id)
        if outcome.trouble or outcome.missed_by(bug.noticed_by):
            missed[bug.id] = (outcome.trouble, outcome.missed_by(bug.noticed_by))
    played(len(chosen))

    assert missed == {}
