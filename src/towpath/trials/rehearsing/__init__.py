"""A rehearsal of a whole run before it starts: what it would do, kept as a plan that a start can be held to."""

from towpath.trials.rehearsing.plan_file import PLAN_VERSION, SavedPlan, load, save
from towpath.trials.rehearsing.starting import rehearse, rehearse_now
from towpath.trials.rehearsing.told import as_json

__all__ = ["PLAN_VERSION", "SavedPlan", "as_json", "load", "rehearse", "rehearse_now", "save"]
