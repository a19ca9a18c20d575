"""What a run would do, found out by the server on which it would run, and read back as the same values."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from towpath.cli.remote.wire import API, Wire
from towpath.engines.rehearsing import Forecast, RehearsedRun
from towpath.steps.contract import Change

if TYPE_CHECKING:
    from towpath.engines.contract import StartRequest

REHEARSAL_SECONDS: Final = 600.0
"""How long the server may look at the world."""
Object = dict[str, Any]  # JSON


def rehearse(wire: Wire, request: StartRequest, *, looks: bool) -> RehearsedRun:
    """Has the server rehearse a start; raises Refused, NotFound or InputsInvalid."""
    body = {
        "workflow": request.workflow.name,
        "inputs": dict(request.inputs),
        "break_glass": request.break_glass,
        "looks": looks,
    }
    told = wire.post(f"{API}/runs/rehearse", body, seconds=REHEARSAL_SECONDS)
    return RehearsedRun(
        workflow=told["workflow"],
        definition=told["definition"],
        inputs=told["inputs"],
        steps=tuple(map(_forecast, told["steps"])),
        is_static=not told["looked"],
    )


def _forecast(told: Object) -> Forecast:
    """One step; what is empty was left out."""
    return Forecast(
        path=told.get("path", ""),
        name=told["name"],
        kind=told["kind"],
        does=told.get("does", ""),
        happens=told["happens"],
        effect=told["effect"],
        title=told.get("title", ""),
        says=tuple(told.get("says", ())),
        changes=tuple(Change(**one) for one in told.get("changes", ())),
        detail=told.get("detail", ""),
        script=told.get("script", ""),
        values=told.get("given", {}),
        later=tuple(told.get("later", ())),
        undone_by=tuple(told.get("undone_by", ())),
        inside=tuple(map(_forecast, told.get("steps", ()))),
    )
