"""Every setting, with its unit, its default and its limit, as one frozen value.

A setting comes from the command line, else from the environment (`TOW_…`), else from towpath.yaml, else from here.
"""

from __future__ import annotations

import getpass
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from towpath.errors import Refused

DATA_FOLDER = ".towpath"
PERFORMING_DEFAULT = 64
PERFORMING_MAX = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What the operator can set."""

    project: Path
    """The folder of the project."""
    data: Path
    """The data folder: journal, logs, artifacts, keys. `--data`, `TOW_DATA`; `.towpath` in the project's folder."""
    user: str
    """Who is at the keyboard. `--by`, `TOW_USER`; the name that the machine knows."""
    performing_max: int = PERFORMING_DEFAULT
    """Steps that this process performs at the same time. `TOW_PERFORMING_MAX`; from 1 to 1,000."""
    base_url: str = ""
    """Where the pages of runs are found; empty without a server. `TOW_BASE_URL`."""


def load(
    start: Path,
    *,
    project: Path | None = None,
    data: Path | None = None,
    environ: Mapping[str, str] | None = None,
) -> Settings:
    """The settings for a process that begins in *start*; raises Refused for a value that cannot be.

    Args:
        start: the current folder, or the workflow file that was named.
        project: the project's folder, where it was named.
        data: the data folder, where it was named.
        environ: the environment of the process.

    """
    from towpath.definition import projects

    env = os.environ if environ is None else environ
    folder = (project or projects.find_project_folder(start)).absolute()
    if not folder.is_dir():
        raise Refused(f"{folder} is not a folder", help="name the project's folder with --project")
    named = data or (Path(env["TOW_DATA"]) if env.get("TOW_DATA") else None)
    return Settings(
        project=folder,
        data=(named or folder / DATA_FOLDER).absolute(),
        user=env.get("TOW_USER") or _user(),
        performing_max=_number(env, "TOW_PERFORMING_MAX", default=PERFORMING_DEFAULT, most=PERFORMING_MAX),
        base_url=env.get("TOW_BASE_URL", "").rstrip("/"),
    )


def _number(env: Mapping[str, str], name: str, *, default: int, most: int) -> int:
    text = env.get(name)
    if not text:
        return default
    if not text.isdecimal() or not 1 <= int(text) <= most:
        raise Refused(f"{name} has to be a number from 1 to {most:,}, not {text!r}")
    return int(text)


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return f"uid{os.getuid()}"
