"""Functions of a project run here, each call in a process of its own that can be killed."""

from towpath.steps.python_worker.calls import FunctionPlace, PythonCall, call_function, rehearse_function
from towpath.steps.python_worker.local import LocalAction, LocalActions, read_local_actions

__all__ = [
    "FunctionPlace",
    "LocalAction",
    "LocalActions",
    "PythonCall",
    "call_function",
    "read_local_actions",
    "rehearse_function",
]
