"""Pictures show every step once, nothing overlaps, and text from outside stays text."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from towpath.core import decide, stimuli
from towpath.core.plan import Plan
from towpath.core.run import Error, Run
from towpath.definition import model, shape, source
from towpath.observe import drawing
from towpath.observe.drawing import layout

ALL_SHAPES = """
name: shapes
title: All shapes
on: [{schedule: {cron: "0 3 * * *"}}, manual]
inputs: {hosts: {type: list, default: [a, b]}}
steps:
  - {id: first, run: "true", rollback: {id: back, run: "true"}}
  - id: checks
    parallel:
      - {id: unit, run: "true"}
      - {id: scan, run: "true", needs: [unit]}
      - {id: lint, run: "true"}
      - {id: report, run: "true", needs: [unit, lint]}
  - id: poll
    repeat: [{id: ask, run: "true"}]
    until: steps.ask.status == "succeeded"
    on_failure: [{id: tell, run: "true"}]
  - id: pick
    choose:
      - {if: "1 < 2", steps: [{id: one, run: "true"}]}
      - else: [{id: other, run: "true"}, {id: stop, end: {status: failed}}]
  - id: fleet
    each: ${{ inputs.hosts }}
    batch: [1, 50%]
    steps:
      - {id: install, run: "true", rollback: [{id: r1, run: "true"}, {id: r2, run: "true"}]}
  - {id: go, approve: "Go?", who: [group:shop], quorum: 2}
  - {id: hand, task: Do it, assign: [user:ada]}
  - {id: nap, wait: 1h}
  - {id: child, workflow: other}
  - {id: act, uses: log, with: {message: hi}}
catch: [{id: rescue, run: "true"}]
finally: [{id: clean, run: "true"}]
"""
STEPS = [
    "first",
    "unit",
    "scan",
    "lint",
    "report",
    "ask",
    "tell",
    "one",
    "other",
    "stop",
    "install",
    "r1",
    "r2",
    "go",
    "hand",
    "nap",
    "child",
    "act",
    "rescue",
    "clean",
]


def plan_of(text: str) -> Plan:
    """The plan of a file."""
    workflow = shape.shape(model.Workflow, source.read_source(text, path="x.yaml")).value
    assert workflow is not None
    return Plan(workflow, "d" * 64)


def started(plan: Plan, **inputs: object) -> Run:
    """A run that has just begun."""
    begin = stimuli.Start(at=1_000_000, run="r", digest="d", inputs=inputs, started_by="user:ada")  # type: ignore[arg-type]
    return decide.advance(decide.new_run(plan, "r"), begin).run


def ended(run: Run, path: str, error: Error | None = None) -> Run:
    """The run after an attempt ended."""
    node = run.nodes[path]
    told = stimuli.StepEnded(at=2_000_000, path=path, attempt=node.attempt, error=error)
    return decide.advance(run, told).run


def test_every_step_has_one_box() -> None:
    """Every leaf of the definition, handlers included, has exactly one box; small rollbacks stand in their step's."""
    placed = layout.lay_out(drawing.figure_of(plan_of(ALL_SHAPES)))

    titles = [one.box.title for one in placed.boxes]
    assert sorted(titles) == sorted([*STEPS, "shapes", "end"])
    first = next(one.box for one in placed.boxes if one.box.title == "first")
    assert "rollback: back" in first.notes


def _overlap(one: layout.PlacedBox, other: layout.PlacedBox) -> bool:
    apart = (
        one.x + one.width <= other.x
        or other.x + other.width <= one.x
        or one.y + one.height <= other.y
        or other.y + other.height <= one.y
    )
    return not apart


def test_nothing_overlaps_and_all_is_inside() -> None:
    """No two boxes share a spot, every box lies inside its frames and all inside the picture."""
    placed = layout.lay_out(drawing.figure_of(plan_of(ALL_SHAPES)))

    boxes = placed.boxes
    pairs = [
        (a.box.title, b.box.title) for i, a in enumerate(boxes) for b in boxes[i + 1 :] if _overlap(a, b)
    ]
    assert pairs == []
    assert all(one.x >= 0 and one.x + one.width <= placed.width for one in [*boxes, *placed.frames])
    assert all(one.y >= 0 and one.y + one.height <= placed.height for one in [*boxes, *placed.frames])
    inside = {
        frame.frame.title: [box.box.title for box in boxes if frame.x < box.x and box.x + box.width < frame.x + frame.width
                            and frame.y < box.y and box.y + box.height < frame.y + frame.height]
        for frame in placed.frames
    }  # fmt: skip
    assert inside["checks"] == ["unit", "lint", "scan", "report"]
    assert inside["pick"] == ["one", "other", "stop"]


def test_needs_come_below_what_they_need() -> None:
    """In `parallel`, a step stands below those that it needs, and beside those that run with it."""
    placed = {one.box.title: one for one in layout.lay_out(drawing.figure_of(plan_of(ALL_SHAPES))).boxes}

    assert placed["unit"].y == placed["lint"].y
    assert placed["report"].y == placed["scan"].y > placed["unit"].y


def test_states_of_a_run() -> None:
    """A run's picture has the state of every step; of the items of a loop the worst one counts, with numbers."""
    plan = plan_of(
        'name: x\nsteps: [{id: f, each: [a, b, c], max_failures: 3, steps: [{id: s, run: "true"}]}, {id: t, run: "true"}]'
    )
    run = started(plan)
    run = ended(ended(run, "f[a]/s"), "f[b]/s", Error(kind="exit", message="no", step="f[b]/s"))

    progress = drawing.progress_of(run)
    box = next(
        one.box for one in layout.lay_out(drawing.figure_of(plan, progress)).boxes if one.box.title == "s"
    )

    assert (box.state, box.notes[0]) == ("failed", "1 succeeded, 1 failed, 1 running")
    assert progress[plan.by_id["f"].number].state == "running"
    assert plan.by_id["t"].number not in progress


NASTY = '<script>alert("x")</script>&amp; ]]> "quoted"'


def test_text_from_outside_stays_text() -> None:
    """Titles and conditions that look like markup are shown, not obeyed; the picture is well-formed and has no script."""
    text = f"name: x\ntitle: '{NASTY}'\nsteps: [{{id: s, title: '{NASTY}', run: 'true'}}]"

    picture = drawing.svg(drawing.figure_of(plan_of(text)), title=NASTY)

    root = ET.fromstring(picture)  # noqa: S314 - our own text
    assert root.attrib["aria-label"] == NASTY
    assert [one for one in root.iter() if one.tag.endswith("script")] == []
    assert any((one.text or "").startswith("<script>") for one in root.iter() if one.tag.endswith("text"))


@pytest.mark.parametrize(
    "forbidden", ["href", "url(http", "@import", "<script", "<foreignObject", "onload", "style="]
)
def test_a_picture_needs_nothing_from_elsewhere(forbidden: str) -> None:
    """A picture has no links, no scripts, no fonts from elsewhere and no inline style attributes."""
    assert forbidden not in drawing.svg(drawing.figure_of(plan_of(ALL_SHAPES)), title="t")


def test_in_a_page_the_style_sheet_is_the_pages() -> None:
    """A picture for a page has no style element of its own; the page serves the same rules."""
    picture = drawing.svg(drawing.figure_of(plan_of(ALL_SHAPES)), title="t", is_standalone=False)

    assert "<style>" not in picture
    assert ".tow-graph .box.failed" in drawing.css()
    assert "$" not in drawing.css()


def test_outline() -> None:
    """The outline has every step once, in the order of the file, with branches and needs in words."""
    rows = drawing.outline(drawing.figure_of(plan_of(ALL_SHAPES)))

    lines = [f"{row.guide}{row.title}" for row in rows]
    assert lines[:10] == [
        "first",
        "checks",
        "╟─ unit",
        "╟─ scan",
        "╟─ lint",
        "╙─ report",
        "poll",
        "├─ ask",
        "└─ on failure",
        "   └─ tell",
    ]
    assert lines[10:16] == ["pick", "├─ if 1 < 2", "│  └─ one", "└─ else", "   ├─ other", "   └─ stop"]
    assert sorted(row.title for row in rows if row.title in STEPS) == sorted(STEPS)
    assert next(row.notes for row in rows if row.title == "report") == ("needs unit, lint",)


def _examples() -> list[Path]:
    return sorted((Path(__file__).parents[2] / "examples" / "workflows").glob("*.yaml"))


@pytest.mark.parametrize("file", _examples(), ids=lambda file: file.stem)
def test_examples_can_be_drawn(file: Path) -> None:
    """Every example has a picture that is well-formed and in which nothing overlaps."""
    figure = drawing.figure_of(plan_of(file.read_text()))
    boxes = layout.lay_out(figure).boxes

    ET.fromstring(drawing.svg(figure, title=file.stem))  # noqa: S314 - our own text
    assert not any(_overlap(a, b) for i, a in enumerate(boxes) for b in boxes[i + 1 :])
