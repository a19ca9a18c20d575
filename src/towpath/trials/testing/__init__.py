"""Tests of workflows: a scripted world round the core, what is expected of it, and which branches were taken."""

from towpath.trials.testing.bench import Bench
from towpath.trials.testing.coverage import Branch, Coverage, branches_of
from towpath.trials.testing.expecting import Difference, differences
from towpath.trials.testing.files import TestFile
from towpath.trials.testing.loading import LoadedFile, LoadedTest, load, test_files
from towpath.trials.testing.reports import as_json, junit
from towpath.trials.testing.running import Outcome, Report, Runner
from towpath.trials.testing.story import Line, story_of
from towpath.trials.testing.world import Setting, World

__all__ = [
    "Bench",
    "Branch",
    "Coverage",
    "Difference",
    "Line",
    "LoadedFile",
    "LoadedTest",
    "Outcome",
    "Report",
    "Runner",
    "Setting",
    "TestFile",
    "World",
    "as_json",
    "branches_of",
    "differences",
    "junit",
    "load",
    "story_of",
    "test_files",
]
