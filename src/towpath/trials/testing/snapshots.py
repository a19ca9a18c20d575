"""Everything that happens in a test, written down beside it: what nobody wrote as an expectation is noticed when it changes.

A snapshot stands in `tests/snapshots/`, one file for each test file, as text that is read in a review. `tow test --update` writes it.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from pathlib import Path

import msgspec

from towpath.trials.testing import story
from towpath.trials.testing.expecting import Difference, telling_line, work_view
from towpath.trials.testing.world import World

FOLDER = "snapshots"
DIFF_LINES_MAX = 60
"""Lines of a difference that are shown."""
_HEADER = "# What happens in these tests, written by `tow test --update`: read the changes, do not edit.\n"
_TITLE = "== "


def file_of(test_file: Path) -> Path:
    """Where the snapshots of a test file stand."""
    return test_file.parent / FOLDER / f"{test_file.stem}.txt"


def read(file: Path) -> dict[str, str]:
    """The snapshots in a file, by the name of their test; empty where there is none."""
    try:
        text = file.read_text(encoding="utf-8")
    except FileNotFoundError:
        return {}
    found: dict[str, list[str]] = {}
    lines: list[str] = []
    for line in text.splitlines():
        if line.startswith(_TITLE):
            lines = found.setdefault(line.removeprefix(_TITLE), [])
        elif line.strip():
            lines.append(line.removeprefix("  "))
    return {name: "\n".join(lines) for name, lines in found.items()}


def write(file: Path, snapshots: Mapping[str, str]) -> bool:
    """Writes the snapshots of a test file; whether anything changed. A file of none is removed."""
    before = file.read_text(encoding="utf-8") if file.exists() else ""
    text = _HEADER + "".join(_section(name, body) for name, body in snapshots.items()) if snapshots else ""
    if text == before:
        return False
    if text:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
    else:
        file.unlink()
    return True


def snapshot_of(world: World) -> str:
    """Everything that happened, what was ordered, and who was told, as text."""
    zone = world.setting.zone
    lines = story.story_of(world)
    width = max((len(line.place) for line in lines), default=0)
    parts = [story.text_of(line, zone, width=width) for line in lines]
    if world.refusal is not None:
        parts.append(f"it could not start: {world.refusal}")
    parts += _commands(world)
    parts += [f"told  {telling_line(one, zone)}" for one in world.told]
    return "\n".join(parts)


def difference(file: Path, name: str, known: str | None, got: str) -> Difference | None:
    """How what happened differs from what was written down; None where it does not."""
    if known == got:
        return None
    if known is None:
        return Difference(
            what="snapshot",
            expected=f"one in {file.name}",
            got="nothing was written down yet",
            help=f"tow test --update -k '{name}' writes it",
        )
    return Difference(
        what="snapshot",
        expected=f"what {file.name} says",
        got="\n".join(_diff(known, got)),
        help="where the change is meant, tow test --update writes it",
    )


def _section(name: str, body: str) -> str:
    return f"\n{_TITLE}{name}\n" + "".join(f"  {line}\n" for line in body.splitlines())


def _commands(world: World) -> Iterable[str]:
    for one in world.ordered:
        view = work_view(one.work) if one.work is not None else {}
        if view:
            yield f"told to do  {one.name}  {msgspec.json.encode(view, order='sorted').decode()}"


def _diff(known: str, got: str) -> list[str]:
    lines = list(difflib.unified_diff(known.splitlines(), got.splitlines(), lineterm="", n=1))[2:]
    if len(lines) > DIFF_LINES_MAX:
        lines[DIFF_LINES_MAX:] = [f"and {len(lines) - DIFF_LINES_MAX} lines more"]
    return lines
