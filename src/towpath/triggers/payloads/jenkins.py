"""Jenkins: what its Notification plugin sends. A build is told of several times; its end counts once."""

from __future__ import annotations

from collections.abc import Mapping

from towpath.core.run import Json
from towpath.triggers.contract import BuildFacts, Malformed, Reading
from towpath.triggers.payloads.picking import fingerprint, pick, text

HEADERS: tuple[str, ...] = ()
_OVER = ("COMPLETED", "FINALIZED")


def read(headers: Mapping[str, str], payload: Json) -> Reading:  # noqa: ARG001 - every shape is read the same way
    """What Jenkins tells."""
    build = pick(payload, "build")
    phase = text(build, "phase").upper()
    if not phase:
        raise Malformed("this is no message of Jenkins' Notification plugin: it has no build.phase")
    job = text(payload, "url").removeprefix("job/").strip("/").replace("/job/", "/") or text(payload, "name")
    result = text(build, "status").lower() if phase in _OVER else ""
    number = text(build, "number")
    return Reading(
        kinds=("jenkins.build",),
        # COMPLETED and FINALIZED tell the same end: they are one delivery.
        delivery=fingerprint(job, number, result or phase, pick(build, "queue_id")),
        facts=BuildFacts(job=job, result=result),
        title=f"{job} #{number} {result or phase.lower()}",
    )
