"""Explores what can happen in a workflow before it touches anything, and says how it can end and what is wrong with that."""

from towpath.trials.checking.checker import Ending, Options, Report, Setting, check
from towpath.trials.checking.findings import KINDS, Finding, Kind
from towpath.trials.checking.graphs import dot, outline, svg
from towpath.trials.checking.limits import Limits

__all__ = [
    "KINDS",
    "Ending",
    "Finding",
    "Kind",
    "Limits",
    "Options",
    "Report",
    "Setting",
    "check",
    "dot",
    "outline",
    "svg",
]
