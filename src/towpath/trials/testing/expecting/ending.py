"""How a run ended: its status, what it said, how long it took, and what holds at its end."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from towpath.core import values
from towpath.core.names import names_for
from towpath.core.run import ROOT, Error, Json
from towpath.errors import ExpressionError
from towpath.trials.testing import addresses, times
from towpath.trials.testing.addresses import Place
from towpath.trials.testing.expecting.difference import Difference, as_json, maps, plain
from towpath.trials.testing.files import (
    Expect,
    ExpectedError,
    Happening,
    parse_instant,
)
from towpath.trials.testing.world import Drive, World

MICROS: Final = 1_000_000


def surprises(world: World, _: Expect) -> Iterator[Difference]:
    """What the test did not expect of its own script: refusals, and lines that were never needed."""
    if world.is_endless:
        yield Difference(
            what="end",
            expected="an end",
            got="more and more happens",
            help="say `stop_after: 3d`, or mend the loop",
        )
    for surprise in world.surprises:
        is_refused = surprise.expected == "it is taken"
        advice = "where it is right, say `refused:` with a part of the reason" if is_refused else ""
        yield Difference(what=surprise.what, expected=surprise.expected, got=surprise.got, help=advice)
    for table, lines in (("steps", world.results), ("checks", world.checks), ("answers", world.answers)):
        for address in lines.unused:
            yield Difference(
                what=f"{table}.{address}",
                expected="it comes up",
                got="nothing asked for it: the run did not come there",
                help="look at the story, or leave it out",
            )
    for address, number in world.answers.unsaid:
        yield Difference(
            what=f"answers.{address}",
            expected=f"answer {number} is asked for",
            got="it was decided, or over, before that",
        )
    for place, answer in world.asking.on_their_way:
        who = (answer.by or "somebody").removeprefix("user:")
        yield Difference(
            what=f"answers.{place.full}",
            expected=f"{who} says {answer.decision.replace('_', ' ')}",
            got="the run had ended by then, or was not played so far",
        )
    for one in world.happenings.missed:
        yield Difference(
            what="happens",
            expected=_happening(one),
            got="the moment did not come while the run was on its way",
        )


def _happening(one: Happening) -> str:
    """What was to happen, and when."""
    after = "" if one.after is None else f"{times.span(round(one.after * MICROS))} after "
    moment = f"at {one.at}" if one.at else f"{after or 'at '}{one.when or 'the start'}"
    return " ".join(word for word in (one.do.replace("_", " "), one.name or one.step or "", moment) if word)


def refusal(world: World, expect: Expect) -> Iterator[Difference]:
    """The run could not start: whether the test says so."""
    if expect.status != "refused":
        yield Difference(
            what="start",
            expected="the run starts",
            got=f"it was refused: {world.refusal}",
            help="where it is right, expect `status: refused` and a part of the reason as `message`",
        )
    elif expect.message is not None and expect.message not in (world.refusal or ""):
        yield plain("message", f"…{expect.message}…", world.refusal)


def status(world: World, expect: Expect) -> Iterator[Difference]:
    """How the run ended; where the test says nothing of that, it has to succeed."""
    run = world.root.run
    says = (expect.status, expect.error, expect.outcome, expect.waits_for)
    wanted = expect.status or ("succeeded" if says == (None,) * len(says) else run.status)
    if wanted != run.status:
        why = f": {run.error.message}" if run.error is not None else ""
        if not run.has_ended:
            why = f", for {', '.join(sorted(map(addresses.gate_name, run.leaves))) or 'nothing'}"
        yield Difference(what="status", expected=wanted, got=f"{run.status}{why}", help=_why_it_waits(world))


def _why_it_waits(world: World) -> str:
    run = world.root.run
    if run.has_ended:
        return ""
    asking = [node for node in run.open_leaves() if node.status == "asking"]
    if asking:
        node = asking[0]
        choices = node.question.choices if node.question is not None else ()
        name = addresses.gate_name(node.path)
        return f"nobody answered {name}: say `answers: {{{name}: {choices[0] if choices else 'done'}}}`"
    waiting = [node for node in run.open_leaves() if node.awaited is not None]
    if waiting and waiting[0].awaited is not None and waiting[0].awaited.kind in ("signal", "event"):
        awaited = waiting[0].awaited
        return f"it waits for the {awaited.kind} {awaited.name}: say `happens: [{{do: {awaited.kind}, name: {awaited.name}, after: 1m}}]`"
    return ""


def words(world: World, expect: Expect) -> Iterator[Difference]:
    """What the run says at its end."""
    run = world.root.run
    if expect.outcome is not None and expect.outcome != run.outcome:
        yield plain("outcome", expect.outcome, run.outcome)
    if expect.message is not None and expect.message not in (run.message or ""):
        yield plain("message", f"…{expect.message}…", run.message)
    if expect.outputs is not None and as_json(expect.outputs) != as_json(run.outputs or {}):
        yield from maps("outputs", expect.outputs, run.outputs or {})
    if expect.error is not None:
        yield from error("error", expect.error, run.error, world.root)


def error(what: str, expected: ExpectedError, got: Error | None, drive: Drive) -> Iterator[Difference]:
    """Why something failed."""
    if got is None:
        yield plain(what, expected.kind or "an error", None)
        return
    if expected.kind is not None and expected.kind != got.kind:
        yield Difference(what=f"{what}.kind", expected=expected.kind, got=f"{got.kind}: {got.message}")
    if expected.message is not None and expected.message not in got.message:
        yield plain(f"{what}.message", f"…{expected.message}…", got.message)
    if expected.exit_code is not None and expected.exit_code != got.exit_code:
        yield plain(f"{what}.exit_code", expected.exit_code, got.exit_code)
    if expected.step is not None:
        node = drive.run.nodes.get(got.step)
        place = drive.place(node.path, node.plan) if node is not None else Place(path=got.step)
        if not addresses.exactness(expected.step, place):
            yield plain(f"{what}.step", expected.step, got.step)


def how_long(world: World, expect: Expect) -> Iterator[Difference]:
    """When the run ended, and how long it took."""
    run = world.root.run
    ended = run.ended_at if run.has_ended else None
    if expect.takes is not None:
        wanted = round(expect.takes * MICROS)
        got = None if ended is None else ended - world.setting.at
        if got != wanted:
            yield plain("takes", times.span(wanted), "no end" if got is None else times.span(got))
    if expect.ends_at is not None:
        zone = world.setting.zone
        wanted, _ = parse_instant(expect.ends_at, zone=zone)
        if ended != wanted:
            yield plain(
                "ends_at",
                times.moment(wanted, zone),
                "no end" if ended is None else times.moment(ended, zone),
            )


def waits_for(world: World, expect: Expect) -> Iterator[Difference]:
    """What the run waits for."""
    if expect.waits_for is None:
        return
    leaves = world.root.run.open_leaves()
    places = [
        world.root.place(node.path, node.plan) if not node.frame else Place(path=node.path) for node in leaves
    ]
    wanted = sorted(expect.waits_for)
    fits = len(wanted) == len(places) and all(
        any(addresses.exactness(address, place) for place in places) for address in wanted
    )
    if not fits:
        yield plain(
            "waits_for", ", ".join(wanted) or "nothing", ", ".join(p.full for p in places) or "nothing"
        )


def holds(world: World, expect: Expect) -> Iterator[Difference]:
    """Whether conditions hold."""
    run = world.root.run
    extra = {"outputs": run.outputs or {}}
    for source in expect.holds:
        condition = values.compile_condition(source)
        names = names_for(run, ROOT, condition.references, extra)
        try:
            is_true = condition.holds(names)
        except ExpressionError as problem:
            yield Difference(what="holds", expected=source, got=problem.message)
            continue
        if not is_true:
            read = {".".join(path): _dig(names, path) for path in condition.references}
            got = ", ".join(f"{name} = {as_json(value)}" for name, value in read.items())
            yield Difference(what="holds", expected=source, got=f"false, with {got}" if got else "false")


def _dig(names: Mapping[str, Any], path: Sequence[str]) -> Json:
    value: Any = names
    for part in path:
        if not isinstance(value, Mapping) or part not in value:
            return None
        value = value[part]
    return value
