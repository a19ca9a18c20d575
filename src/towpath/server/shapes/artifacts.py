"""The files that runs keep."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from towpath.errors import NotFound
from towpath.server.shapes.moments import stamp
from towpath.store.contract import ArtifactRow

Object = dict[str, Any]  # JSON


def artifact_object(one: ArtifactRow) -> Object:
    """A kept file as lists show it."""
    return {
        "name": one.name,
        "step": one.path,
        "attempt": one.attempt,
        "size": one.size,
        "sha256": one.digest,
        "kept_at": stamp(one.kept_at),
    }


def newest(kept: Sequence[ArtifactRow], name: str) -> ArtifactRow:
    """The file that is meant by its name, the end of its name, or its digest; raises NotFound."""
    fitting = [one for one in kept if name in (one.name, one.digest) or one.name.endswith(f"/{name}")]
    if not fitting:
        known = ", ".join(dict.fromkeys(one.name for one in kept))
        raise NotFound(f"the run kept no file {name!r}", help=f"it kept: {known}" if known else "")
    if len({one.digest for one in fitting}) > 1 and len({one.path for one in fitting}) > 1:
        steps = ", ".join(dict.fromkeys(one.path for one in fitting))
        raise NotFound(f"several steps kept a file {name!r}", help=f"name one of the steps: {steps}")
    return fitting[-1]
