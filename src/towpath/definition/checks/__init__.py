"""What can be known about a file before it runs: one idea a file, all told at once."""

from towpath.definition.checks.runner import check, check_project

__all__ = ["check", "check_project"]
