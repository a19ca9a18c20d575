"""WHAT CAN BE DONE: the action contract, the catalogue, and what a running step is given."""

from towpath.steps.contract import (
    Action,
    ActionFailed,
    Change,
    Egress,
    FunctionAction,
    HttpRequest,
    HttpResponse,
    Rehearsal,
    StepContext,
    Values,
    action,
)

__all__ = [
    "Action",
    "ActionFailed",
    "Change",
    "Egress",
    "FunctionAction",
    "HttpRequest",
    "HttpResponse",
    "Rehearsal",
    "StepContext",
    "Values",
    "action",
]
