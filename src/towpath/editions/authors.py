"""Who edited which file last: asked of Git once for all files, of the disk where a file is not committed."""

from __future__ import annotations

import pwd
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Final

from towpath.editions.keeper import Edited
from towpath.errors import TowpathError

COMMITS_READ_MAX: Final = 5_000
"""Commits that are read for all files together; a file that none of them touched is asked about alone."""
SECOND: Final = 1_000_000
_FORM: Final = "--format=%x1e%ae%x1f%at%x1f%s"

Git = Callable[..., str]
"""Runs git with these words and gives what it says; raises TowpathError."""


def of_commit(git: Git, commit: str, paths: Iterable[str]) -> dict[str, Edited]:
    """Who edited these files last, as of a commit."""
    wanted = set(paths)
    if not wanted:
        return {}
    text = git(
        "log", _FORM, "--name-only", f"--max-count={COMMITS_READ_MAX}", commit, "--", *_folders(wanted)
    )
    found: dict[str, Edited] = {}
    for record in text.split("\x1e")[1:]:
        head, _, names = record.partition("\n")
        for name in names.splitlines():
            if name in wanted and name not in found:
                found[name] = _edited(head)
    for path in sorted(wanted - found.keys()):
        found[path] = _edited(
            git("log", _FORM, "--max-count=1", commit, "--", f":(top,literal){path}").strip("\x1e\n")
        )
    return found


def of_folder(git: Git, folder: Path, paths: Iterable[str]) -> dict[str, Edited]:
    """Who edited these files of a folder last: the author of the last commit, or the owner of what is not committed."""
    wanted = tuple(paths)
    try:
        prefix = git("rev-parse", "--show-prefix").strip()
        changed = git("status", "--porcelain", "-z", "--untracked-files=all", "--", ".").split("\0")
        loose = {entry[3:].removeprefix(prefix) for entry in changed if len(entry) > len("XY ")}
        committed = {f"{prefix}{path}": path for path in wanted if path not in loose}
        found = {committed[name]: edited for name, edited in of_commit(git, "HEAD", committed).items()}
    except TowpathError:
        found = {}
    return {
        path: known if (known := found.get(path)) is not None and known.author else _owner(folder / path)
        for path in wanted
    }


def _edited(head: str) -> Edited:
    author, _, rest = head.partition("\x1f")
    at, _, message = rest.partition("\x1f")
    return Edited(author=author, at=int(at) * SECOND if at.isdecimal() else None, message=message)


def _owner(file: Path) -> Edited:
    try:
        stat = file.stat()
    except OSError:
        return Edited()
    try:
        name = pwd.getpwuid(stat.st_uid).pw_name
    except KeyError:
        name = f"uid{stat.st_uid}"
    return Edited(author=f"user:{name}", at=stat.st_mtime_ns // 1_000)


def _folders(paths: set[str]) -> list[str]:
    """The folders that hold the files: few words, however many files there are."""
    return sorted({f":(top,literal){path.rpartition('/')[0]}" for path in paths})
