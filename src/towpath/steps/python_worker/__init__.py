"""Functions of a project run here, each call in a process of its own that can be killed."""

from towpath.steps.python_worker.local import LocalAction, LocalActions, read_local_actions
from towpath.steps.python_worker.place import FunctionPlace

__all__ = ["FunctionPlace", "LocalAction", "LocalActions", "read_local_actions"]
