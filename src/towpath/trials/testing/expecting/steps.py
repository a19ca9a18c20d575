"""What became of single steps, and what their attempts were told to do."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec

from towpath.core.names import step_view
from towpath.core.run import Json, Node, Work
from towpath.trials.testing import addresses
from towpath.trials.testing.addresses import CHILD, Place
from towpath.trials.testing.expecting.difference import Difference, as_json, maps, plain
from towpath.trials.testing.expecting.ending import error
from towpath.trials.testing.files import (
    Expect,
    ExpectedCommand,
    ExpectedStep,
)
from towpath.trials.testing.happening import split
from towpath.trials.testing.world import Drive, World


def _drives(world: World, address: str) -> Iterator[tuple[Drive, str]]:
    """The runs that an address means, and the rest of it there."""
    outer, _, local = address.rpartition(CHILD)
    for drive in world.drives:
        if (not outer and drive.outer is None) or (
            outer and drive.outer is not None and addresses.exactness(outer, drive.outer)
        ):
            yield drive, local


def _nodes(world: World, address: str) -> list[tuple[Drive, Node]]:
    found = []
    for drive, local in _drives(world, address):
        for node in drive.run.nodes.values():
            if not node.path:
                continue
            place = drive.place(node.path, node.plan) if not node.frame else Place(path=node.path)
            if addresses.exactness(local, Place(path=place.path, id=place.id)):
                found.append((drive, node))
    return sorted(found, key=lambda pair: (pair[1].started_sequence, pair[1].path))


def steps(world: World, expect: Expect) -> Iterator[Difference]:
    """What became of steps."""
    for address, expected in expect.steps.items():
        nodes = _nodes(world, address)
        if not nodes and expected.status != "pending":
            wanted = expected.status or "something of it"
            yield plain(f"steps.{address}", wanted, "pending: it never began")
        for drive, node in nodes:
            yield from _step(drive, node, expected)


def _step(drive: Drive, node: Node, expected: ExpectedStep) -> Iterator[Difference]:
    what = f"steps.{addresses.gate_name(node.path)}"
    view = step_view(drive.run, node)
    if expected.status is not None and view["status"] != expected.status:
        why = f" ({node.reason})" if node.reason else f": {node.error.message}" if node.error else ""
        yield Difference(what=what, expected=expected.status, got=f"{view['status']}{why}")
    if expected.attempts is not None and node.attempt != expected.attempts:
        yield plain(f"{what}.attempts", expected.attempts, node.attempt)
    if expected.reason is not None and node.reason != expected.reason:
        yield plain(f"{what}.reason", expected.reason, node.reason or "none")
    if expected.undone is not None and node.undone != expected.undone:
        yield plain(f"{what}.undone", expected.undone, node.undone)
    if expected.outputs is not None:
        outputs = node.outputs or {}
        some = {name: outputs[name] for name in expected.outputs if name in outputs}
        if as_json(some) != as_json(expected.outputs):
            yield from maps(f"{what}.outputs", expected.outputs, some)
    if expected.error is not None:
        yield from error(f"{what}.error", expected.error, node.error, drive)


def commands_of(world: World, expect: Expect) -> Iterator[Difference]:
    """What attempts were told to do."""
    for address, said in expect.commands.items():
        local, kind = split(address)
        wanted_kind = "check" if kind == "check" else "step"
        by_place: dict[str, list[Work]] = {}
        for one in world.ordered:
            is_meant = ("check" if one.kind == "check" else "step") == wanted_kind
            if one.work is not None and is_meant and addresses.exactness(local, one.place):
                by_place.setdefault(one.place.full, []).append(one.work)
        if not by_place:
            yield plain(f"commands.{address}", "an attempt", "it was never ordered")
        for place, works in by_place.items():
            yield from _attempts(place, works, said)


def _attempts(
    place: str, works: Sequence[Work], said: ExpectedCommand | tuple[ExpectedCommand, ...]
) -> Iterator[Difference]:
    if not isinstance(said, tuple):
        yield from _command(f"commands.{place}", works[-1], said)
        return
    if len(said) != len(works):
        yield plain(f"commands.{place}", f"{len(said)} attempts", f"{len(works)}")
        return
    for number, (work, expected) in enumerate(zip(works, said, strict=True), start=1):
        yield from _command(f"commands.{place}#{number}", work, expected)


def _command(what: str, work: Work, expected: ExpectedCommand) -> Iterator[Difference]:
    got = work_view(work)
    for key, wanted in expected.model_dump(by_alias=True, exclude_unset=True).items():
        found = got.get(key)
        if as_json(wanted) == as_json(
            found if found is not None else {} if isinstance(wanted, Mapping) else found
        ):
            continue
        if isinstance(wanted, Mapping):
            yield from maps(f"{what}.{key}", wanted, found or {})
        else:
            yield plain(f"{what}.{key}", wanted, found)


def work_view(work: Work) -> dict[str, Json]:
    """What an attempt is told to do, as plain data; secrets are shown by their names."""
    view: dict[str, Json] = msgspec.to_builtins(work)
    secrets = view.pop("secrets", ())
    for use in secrets:
        text = "".join(
            part if kind == "text" else f"${{{{ secrets.{part} }}}}" for kind, part in use["parts"]
        )
        _put(view, use["at"], text)
    return view


def _put(view: dict[str, Json], at: Sequence[str | int], text: str) -> None:
    value: Any = view
    for part in at[:-1]:
        value = value[part]
    value[at[-1]] = text
