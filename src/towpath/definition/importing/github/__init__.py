"""Workflows of GitHub Actions in, workflows of ours out; what cannot be taken over is told line by line."""

from towpath.definition.importing.github.workflow import import_github

__all__ = ["import_github"]
