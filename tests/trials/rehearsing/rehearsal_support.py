"""What the tests of rehearsals share: a project in a folder of its own, and its rehearsals."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Mapping
from pathlib import Path

from towpath import app, settings
from towpath.core.run import Json
from towpath.engines.rehearsing import RehearsedRun
from towpath.trials import rehearsing

HERE = Path(__file__).parent
SECRETS = {"CASE_TOKEN": "t0ken-of-the-case", "CASE_PASSWORD": "hunter2-of-the-case"}


def copied(folder: Path) -> Path:
    """A copy of the project of the cases."""
    project = folder / "project"
    shutil.copytree(HERE / "project", project)
    (project / "old.txt").chmod(0o600)
    return project


def rehearsed(
    project: Path, workflow: str, inputs: Mapping[str, Json] | None = None, *, looks: bool = True
) -> RehearsedRun:
    """What a run of a workflow would do."""
    opened = app.build(settings.load(project))
    try:
        request = opened.request(opened.find(workflow), inputs or {}, started_by="user:ada")
        return rehearsing.rehearse_now(opened, request, looks=looks)
    finally:
        opened.close()


def picture(folder: Path) -> dict[str, tuple[int, str]]:
    """Everything in a folder: path → mode and what it holds."""
    found = {}
    for path in sorted(folder.rglob("*")):
        told = path.lstat()
        if path.is_symlink():
            held = os.fspath(path.readlink())
        elif path.is_file():
            held = f"{told.st_mtime_ns} {hashlib.sha256(path.read_bytes()).hexdigest()}"
        else:
            held = "folder"
        found[str(path.relative_to(folder))] = (told.st_mode, held)
    return found
