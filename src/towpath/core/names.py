"""What an expression sees: exactly the names that it reads, as they are at its place in the run.

Only what a reference asks for is gathered, so an expression costs what it reads and not what the run holds.
"""

from __future__ import annotations

import datetime
import functools
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from towpath.core.plan import Plan, PlanStep
from towpath.core.run import ROOT, Error, Json, Micros, Node, Path, Run
from towpath.core.values import Reference
from towpath.errors import ExpressionError

_EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)


def names_for(
    run: Run, path: Path, references: Iterable[Reference], extra: Mapping[str, Json] | None = None
) -> dict[str, Json]:
    """The values of *references* for an expression that stands at *path*; *extra* are names of the moment."""
    names: dict[str, Any] = {}
    for reference in references:
        root = reference[0]
        if extra is not None and root in extra:
            names[root] = extra[root]
            continue
        read = _ROOTS.get(root, _item)
        read(run, path, reference, names)
    return names


def iso(at: Micros) -> str:
    """An instant as RFC 3339 text in UTC."""
    return (_EPOCH + datetime.timedelta(microseconds=at)).isoformat().replace("+00:00", "Z")


def _from(
    source: Callable[[Run], Mapping[str, Json]],
) -> Callable[[Run, Path, Reference, dict[str, Any]], None]:
    def read(run: Run, path: Path, reference: Reference, names: dict[str, Any]) -> None:
        values = source(run)
        root = reference[0]
        if len(reference) == 1:
            names[root] = values
        elif names.get(root) is not values:
            part = names.setdefault(root, {})
            if reference[1] in values:
                part[reference[1]] = values[reference[1]]

    return read


def _run_names(run: Run) -> dict[str, Json]:
    return {
        "id": run.id,
        "workflow": run.plan.workflow.name,
        "started_by": run.started_by,
        "started_at": iso(run.accepted_at),
        "environment": run.environment,
        "status": status_so_far(run),
        "url": run.url,
    }


def status_so_far(run: Run) -> str:
    """What `run.status` says while the run is open: how it would end if it ended now."""
    root = run.nodes.get(ROOT)
    if run.has_ended or root is None:
        return run.status
    return end_status(run, root)


def end_status(run: Run, root: Node) -> str:
    """The end state that follows from how the root frame ended."""
    failed = root.outcome == "failed" and not root.settled
    if run.rollback_failed:
        return "rollback_failed"
    if run.ending is not None and run.ending[0] not in ("succeeded", "failed"):
        return run.ending[0]
    if failed and root.error is not None and root.error.kind == "rejected":
        return "rejected"
    if failed or (run.ending is not None and run.ending[0] == "failed"):
        return "rolled_back" if root.undid else "failed"
    if root.outcome == "cancelled" and run.ending is None:
        return "cancelled"
    return _passed(run)


def _passed(run: Run) -> str:
    if run.mode == "rollback":
        return "rolled_back"
    return "partially_succeeded" if run.partial else "succeeded"


def _event(run: Run, path: Path, reference: Reference, names: dict[str, Any]) -> None:
    names["event"] = run.event


def _steps(run: Run, path: Path, reference: Reference, names: dict[str, Any]) -> None:
    steps = names.setdefault("steps", {})
    if len(reference) == 1:
        raise ExpressionError("`steps` is not a value: name a step, as in steps.build.outputs")
    plan: Plan = run.plan
    key = reference[1]
    planned = plan.by_id.get(key)
    if planned is None:
        raise ExpressionError(f"there is no step {key!r} in {plan.workflow.name}")
    entry = steps.setdefault(key, {})
    field = reference[2] if len(reference) > 2 else None  # noqa: PLR2004 - steps.<id>.<field>
    target = dynamic_path(run, path, planned)
    node = run.nodes.get(target) if target is not None else None
    if field == "items" or (field is None and planned.kind == "each"):
        entry["items"] = _items(run, node, planned)
    if field != "items":
        entry.update(step_view(run, node))


def step_view(run: Run, node: Node | None) -> dict[str, Json]:
    """What `steps.<id>` shows of a node."""
    if node is None or node.status == "reset":
        return {"status": "pending", "outputs": {}, "attempts": 0, "decided": False}
    view: dict[str, Json] = {
        "status": node.status,
        "outputs": {} if node.outputs is None else node.outputs,
        "attempts": node.attempt,
        "decided": bool(node.outputs and "decision" in node.outputs),
    }
    if node.error is not None:
        view["error"] = error_view(run, node)
    if node.started_at:
        view["started_at"] = iso(node.started_at)
    if node.ended_at:
        view["ended_at"] = iso(node.ended_at)
    return view


def error_view(run: Run, node: Node) -> dict[str, Json]:
    """What `error` shows of a node's error; the outputs are those of the step that failed."""
    error = node.error
    if error is None:
        return {}
    view: dict[str, Json] = {
        "kind": error.kind,
        "message": error.message,
        "step": error.step,
        "outputs": _failed_outputs(run, error),
    }
    if error.exit_code is not None:
        view["exit_code"] = error.exit_code
    return view


def _failed_outputs(run: Run, error: Error) -> Mapping[str, Json]:
    if error.outputs is not None:
        return error.outputs
    failed = run.nodes.get(error.step)
    return {} if failed is None or failed.outputs is None else failed.outputs


def dynamic_path(run: Run, path: Path, planned: PlanStep) -> Path | None:
    """Where *planned* stands as seen from *path*: in the same item or round, or in a repeat's last round."""
    if planned.static_path is not None:
        return planned.static_path
    here = _parts(path)
    found = ""
    shared = True
    for position, part in enumerate(planned.chain):
        shared = shared and position < len(here)
        if part != "*":
            shared = shared and here[position] == part
            found += part
        elif shared and here[position].startswith("["):
            found += here[position]
        else:
            shared = False
            loop = run.nodes.get(found.removeprefix("/"))
            if loop is None or loop.items is not None:
                return None
            found += f"[{loop.cursor}]"
    return found.removeprefix("/")


@functools.lru_cache(maxsize=65_536)
def _parts(path: Path) -> tuple[str, ...]:
    """The parts of a path: `fleet[web1]/install~rollback` is `/fleet`, `[web1]`, `/install`, `~rollback`."""
    parts: list[str] = []
    start = 0
    text = path if path[:1] in ("~", "") else "/" + path
    for position in range(1, len(text) + 1):
        if position == len(text) or text[position] in "/[~":
            parts.append(text[start:position])
            start = position
    return tuple(part for part in parts if part)


def _items(run: Run, node: Node | None, planned: PlanStep) -> list[Json]:
    if node is None or node.items is None:
        return []
    body = [child for child in planned.lists.get("steps", ()) if child.step is not None and child.step.id]
    return [_item_view(run, f"{node.path}[{key}]", key, body) for key, _ in node.items]


def _item_view(run: Run, frame: Path, key: str, body: list[PlanStep]) -> dict[str, Json]:
    node = run.nodes.get(frame)
    view: dict[str, Json] = {"key": key, "status": node.status if node is not None else "pending"}
    for child in body:
        view[child.key] = step_view(run, run.nodes.get(f"{frame}/{child.key}"))
    return view


def _error(run: Run, path: Path, reference: Reference, names: dict[str, Any]) -> None:
    node = _handled(run, path, ("catch", "on_failure", "rollback", "finally"))
    scope = node
    if node is not None and node.error is None:
        scope = next((n for n in _outwards(run, node.path) if n.error is not None), None)
    names["error"] = error_view(run, scope) if scope is not None else {}


def _step(run: Run, path: Path, reference: Reference, names: dict[str, Any]) -> None:
    node = _handled(run, path, ("rollback",))
    names["step"] = step_view(run, node)


def _handled(run: Run, path: Path, handlers: tuple[str, ...]) -> Node | None:
    """The node whose handler *path* stands in."""
    tilde = len(path)
    while (tilde := path.rfind("~", 0, tilde)) >= 0:
        if path[tilde + 1 :].split("/", 1)[0] in handlers:
            return run.nodes.get(path[:tilde])
    return None


def _outwards(run: Run, path: Path) -> Iterable[Node]:
    for end in range(len(path), -1, -1):
        if end == len(path) or path[end] in "/[~" or end == 0:
            node = run.nodes.get(path[:end])
            if node is not None:
                yield node


def _item(run: Run, path: Path, reference: Reference, names: dict[str, Any]) -> None:
    """An `as` name, or `index`: the innermost `each` or `repeat` around *path* that has it."""
    wanted = reference[0]
    end = len(path)
    while (end := path.rfind("]", 0, end)) >= 0:
        frame = run.nodes.get(path[: end + 1])
        if frame is None or frame.frame == "branch":
            continue
        if wanted == "index":
            names[wanted] = frame.position
            return
        if wanted == getattr(run.plan[frame.plan].step, "as_", None):
            names[wanted] = frame.value
            return
    raise ExpressionError(f"`{wanted}` is not known here")


def _nothing(run: Run, path: Path, reference: Reference, names: dict[str, Any]) -> None:
    return None


_ROOTS: dict[str, Callable[[Run, Path, Reference, dict[str, Any]], None]] = {
    "inputs": _from(lambda run: run.inputs),
    "vars": _from(lambda run: run.vars),
    "run": _from(_run_names),
    "event": _event,
    "steps": _steps,
    "error": _error,
    "step": _step,
    "secrets": _nothing,
}
