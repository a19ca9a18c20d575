"""Every workflow in `cases/` is rehearsed to the text that stands beside it.

A new case is a new pair: `cases/NAME.yaml` with `cases/NAME.txt`. They run in a copy of `project/`.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from rehearsal_support import HERE, SECRETS, copied, picture, rehearsed

from towpath.engines.rehearsing import digest_of, text_of
from towpath.trials.rehearsing import as_json

CASES = sorted((HERE / "cases").glob("*.yaml"))


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with a few files, an environment with a gate, and two secrets."""
    for name, value in SECRETS.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(tmp_path)
    return copied(tmp_path)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.stem)
def test_a_workflow_is_foreseen(case: Path, project: Path) -> None:
    """What would happen is told as the text beside the workflow says; nothing is written, and no secret is in it."""
    before = picture(project)
    found = rehearsed(project, str(case))
    told = text_of(found).replace(str(project), "PROJECT") + "\n"

    assert told == case.with_suffix(".txt").read_text(encoding="utf-8")
    assert picture(project) == before
    assert not any(value in told + json.dumps(as_json(found)) for value in SECRETS.values())


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.stem)
def test_two_rehearsals_of_an_unchanged_world_agree(case: Path, project: Path) -> None:
    """The digest is that of what would happen, and of nothing that differs by the moment."""
    assert digest_of(rehearsed(project, str(case))) == digest_of(rehearsed(project, str(case)))


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.stem)
def test_a_static_rehearsal_looks_at_nothing(
    case: Path, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without looks no process is started, no action asked and no secret read; every step is there all the same."""
    for name in SECRETS:
        monkeypatch.delenv(name)
    looked, static = rehearsed(project, str(case)), rehearsed(project, str(case), looks=False)

    assert static.is_static
    assert {one.path for one in looked.all()} <= {one.path for one in static.all()}
    assert [one for one in static.all() if one.changes or one.detail or one.effect in ("done", "fails")] == []


def test_another_world_has_another_digest(project: Path) -> None:
    """A file that changed between two rehearsals changes what would happen."""
    case = str(HERE / "cases" / "changes.yaml")
    before = digest_of(rehearsed(project, case))
    (project / "there.txt").write_text("port=79\n")

    assert digest_of(rehearsed(project, case)) != before
