"""Real repositories for tests: somebody commits in one place, and pushes to a bare one that is followed."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

GREET = """
name: greet
steps:
  - {id: say, run: echo %s, outputs: []}
"""
BROKEN = """
name: greet
steps:
  - {id: say, run: echo hello, retries: 3}
"""


class Upstream:
    """A bare repository, and the place where people commit to it."""

    def __init__(self, folder: Path) -> None:
        self.bare = folder / "upstream.git"
        self.work = folder / "work"
        folder.mkdir(parents=True, exist_ok=True)
        self.git("init", "--quiet", "--bare", "--initial-branch=main", str(self.bare), cwd=folder)
        self.git("init", "--quiet", "--initial-branch=main", str(self.work), cwd=folder)
        self.git("remote", "add", "origin", str(self.bare))

    def commit(
        self,
        files: Mapping[str, str | None],
        *,
        author: str = "ada@example.org",
        message: str = "Change",
        push: bool = True,
    ) -> str:
        """Writes files (None removes one), commits and pushes; gives the commit."""
        for name, text in files.items():
            path = self.work / name
            if text is None:
                path.unlink()
                continue
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        self.git("add", "--all")
        self.git("commit", "--quiet", "--allow-empty", "-m", message, author=author)
        if push:
            self.push()
        return self.git("rev-parse", "HEAD").strip()

    def push(self) -> None:
        """Pushes the branch, whatever was there."""
        self.git("push", "--quiet", "--force", "origin", "main")

    def git(self, *words: str, cwd: Path | None = None, author: str = "ada@example.org") -> str:
        """What git says."""
        env = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.work.parent),
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_AUTHOR_NAME": author.partition("@")[0],
            "GIT_AUTHOR_EMAIL": author,
            "GIT_COMMITTER_NAME": "c",
            "GIT_COMMITTER_EMAIL": "c@example.org",
        }
        done = subprocess.run(
            ["git", *words],
            cwd=cwd or self.work,
            env=env,
            capture_output=True,
            text=True,
            check=True,
            timeout=60,
        )
        return done.stdout


def greet(word: str) -> str:
    """A workflow that says a word."""
    return GREET % word
