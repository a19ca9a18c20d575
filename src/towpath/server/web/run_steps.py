"""The steps of a run on its page: the tree, the picture, and one step with all that there is to say of it."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any, Final

import msgspec

from towpath.core.plan import PlanStep
from towpath.core.run import Node, Run
from towpath.errors import NotFound
from towpath.server.call import Call, target_of
from towpath.server.shapes.tree import Detail, Row, tree
from towpath.server.web import acts, drawings
from towpath.server.web.looking import Look
from towpath.store.contract import RunRow

ITEMS_LISTED_MAX: Final = 40
"""Items of an `each` that all have a row among the steps."""
ITEMS_PAGE: Final = 100
"""Items on one page of all of them."""
ROWS_SHOWN_MAX: Final = 600
"""Rows of the tree on one page."""
PICTURE_STEPS_MAX: Final = 400
"""A workflow with more steps is not drawn; its tree tells as much."""


def steps_of(call: Call, look: Look, *, step: str, after: int, only: str) -> dict[str, Any]:
    """The picture, the tree, and one step more closely."""
    detail = Detail(now=look.clock(call), chronicle=look.story.chronicle, items_listed_max=ITEMS_LISTED_MAX)
    rows = list(itertools.islice(_flat(tree(look.run, detail)), ROWS_SHOWN_MAX + 1))
    picture = (
        drawings.run_picture(look.run, href=lambda path: look.link(step=path.partition("[")[0]) + "#step")
        if len(look.run.plan.steps) <= PICTURE_STEPS_MAX
        else None
    )
    return {
        "rows": rows[:ROWS_SHOWN_MAX],
        "rows_more": len(rows) > ROWS_SHOWN_MAX,
        "picture": picture,
        "one": _one_step(call, look, step, after, only) if step else None,
    }


def _flat(rows: tuple[Row, ...], depth: int = 0) -> Iterator[tuple[int, Row]]:
    for row in rows:
        yield depth, row
        yield from _flat(row.rows, depth + 1)


def _one_step(call: Call, look: Look, path: str, after: int, only: str) -> dict[str, Any]:
    """All that there is to say of one step, item or handler."""
    node = look.run.nodes.get(path)
    if node is None:
        return {"path": path, "node": None, "planned": _planned(look.run, path)}
    planned = look.run.plan.steps[node.plan] if node.plan >= 0 else look.run.plan.root
    items = _items(look.run, node, only)
    return {
        "path": path,
        "node": node,
        "planned": planned,
        "kind": node.frame or planned.kind,
        "spans": look.story.spans.get(path, ()),
        "work": None if node.work is None else _work(node),
        "error": None if node.error is None else node.error,
        "outputs": dict(node.outputs or {}),
        "question": node.question,
        "answers": node.answers,
        "child": _child(call, node),
        "items": [_item(look.run, node, key, value) for key, value in items[after : after + ITEMS_PAGE]],
        "items_count": len(items),
        "items_failed": node.failed,
        "only": only if only == "failed" else "",
        "items_from": after,
        "items_earlier": look.link(step=path, only=only, after=max(0, after - ITEMS_PAGE)) if after else "",
        "items_later": look.link(step=path, only=only, after=after + ITEMS_PAGE)
        if after + ITEMS_PAGE < len(items)
        else "",
        "until": look.clock(call),
        "acts": () if look.at is not None else acts.acts_for_step(call, look.now, look.run, node),
        "source": _source_line(planned),
    }


def _planned(run: Run, path: str) -> PlanStep:
    """The step of the definition that a path will have; raises NotFound."""
    for step in run.plan.steps:
        if step.static_path == path or "".join(step.chain).removeprefix("/") == path:
            found: PlanStep = step
            return found
    raise NotFound(f"there is no step {path!r} in this run", help="choose one of the tree")


def _work(node: Node) -> dict[str, Any]:
    work: dict[str, Any] = msgspec.to_builtins(node.work)
    secrets = work.pop("secrets", ())
    flat = {key: value for key, value in work.items() if value}
    if secrets:
        flat["secrets"] = sorted({text for use in secrets for kind, text in use["parts"] if kind == "secret"})
    return flat


def _items(run: Run, node: Node, only: str) -> tuple[tuple[str, Any], ...]:
    """Key and value of the items of an `each`: all of them, or those that failed."""
    items = node.items or ()
    if only != "failed":
        return items
    frames = ((key, value, run.nodes.get(f"{node.path}[{key}]")) for key, value in items)
    return tuple(
        (key, value) for key, value, frame in frames if frame is not None and frame.status == "failed"
    )


def _item(run: Run, node: Node, key: str, value: object) -> dict[str, Any]:
    frame = run.nodes.get(f"{node.path}[{key}]")
    return {
        "key": key,
        "value": value,
        "path": f"{node.path}[{key}]",
        "status": "pending" if frame is None else frame.status,
        "error": frame.error if frame is not None else None,
        "took": None if frame is None or not frame.ended_at else frame.ended_at - frame.started_at,
    }


def _child(call: Call, node: Node) -> RunRow | None:
    if node.child is None:
        return None
    try:
        row = call.app.reader.run(node.child)
    except NotFound:
        return None
    return row if call.may("run.view", target_of(row)) else None


def _source_line(planned: PlanStep) -> str:
    step = planned.step
    return "" if step is None else str(getattr(step, "run", "") or "")
