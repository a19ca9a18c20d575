"""What was expected against what came of it: every difference as what was expected, what was got, and where to look."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from towpath.core import values
from towpath.core.names import names_for, step_view
from towpath.core.run import ROOT, Error, Json, Node, Work
from towpath.errors import ExpressionError
from towpath.trials.testing import addresses, times
from towpath.trials.testing.addresses import CHILD, Place
from towpath.trials.testing.asking import Telling
from towpath.trials.testing.files import (
    Expect,
    ExpectedCommand,
    ExpectedError,
    ExpectedStep,
    ExpectedTelling,
    Happening,
    parse_instant,
    words_of,
)
from towpath.trials.testing.happening import split
from towpath.trials.testing.world import Drive, Ordered, World

MICROS: Final = 1_000_000
LIST_SHOWN_MAX: Final = 100
"""Lines of a list that are shown where it is not as expected."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """One thing that is not as it was expected."""

    what: str
    """What was looked at: `status`, `path`, `commands.build.env`."""
    expected: str
    got: str
    help: str = ""
    """What to try, where anything comes to mind."""


def differences(world: World, expect: Expect) -> tuple[Difference, ...]:
    """Everything that is not as it was expected."""
    if world.refusal is not None:
        return tuple(_refusal(world, expect))
    return tuple(difference for look in _LOOKS for difference in look(world, expect))


def _surprises(world: World, _: Expect) -> Iterator[Difference]:
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


def _refusal(world: World, expect: Expect) -> Iterator[Difference]:
    if expect.status != "refused":
        yield Difference(
            what="start",
            expected="the run starts",
            got=f"it was refused: {world.refusal}",
            help="where it is right, expect `status: refused` and a part of the reason as `message`",
        )
    elif expect.message is not None and expect.message not in (world.refusal or ""):
        yield _plain("message", f"…{expect.message}…", world.refusal)


# ---- the run as a whole --------------------------------------------------------------------------------------


def _status(world: World, expect: Expect) -> Iterator[Difference]:
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


def _words(world: World, expect: Expect) -> Iterator[Difference]:
    run = world.root.run
    if expect.outcome is not None and expect.outcome != run.outcome:
        yield _plain("outcome", expect.outcome, run.outcome)
    if expect.message is not None and expect.message not in (run.message or ""):
        yield _plain("message", f"…{expect.message}…", run.message)
    if expect.outputs is not None and _json(expect.outputs) != _json(run.outputs or {}):
        yield from _maps("outputs", expect.outputs, run.outputs or {})
    if expect.error is not None:
        yield from _error("error", expect.error, run.error, world.root)


def _error(what: str, expected: ExpectedError, got: Error | None, drive: Drive) -> Iterator[Difference]:
    if got is None:
        yield _plain(what, expected.kind or "an error", None)
        return
    if expected.kind is not None and expected.kind != got.kind:
        yield Difference(what=f"{what}.kind", expected=expected.kind, got=f"{got.kind}: {got.message}")
    if expected.message is not None and expected.message not in got.message:
        yield _plain(f"{what}.message", f"…{expected.message}…", got.message)
    if expected.exit_code is not None and expected.exit_code != got.exit_code:
        yield _plain(f"{what}.exit_code", expected.exit_code, got.exit_code)
    if expected.step is not None:
        node = drive.run.nodes.get(got.step)
        place = drive.place(node.path, node.plan) if node is not None else Place(path=got.step)
        if not addresses.exactness(expected.step, place):
            yield _plain(f"{what}.step", expected.step, got.step)


def _times(world: World, expect: Expect) -> Iterator[Difference]:
    run = world.root.run
    ended = run.ended_at if run.has_ended else None
    if expect.takes is not None:
        wanted = round(expect.takes * MICROS)
        got = None if ended is None else ended - world.setting.at
        if got != wanted:
            yield _plain("takes", times.span(wanted), "no end" if got is None else times.span(got))
    if expect.ends_at is not None:
        zone = world.setting.zone
        wanted, _ = parse_instant(expect.ends_at, zone=zone)
        if ended != wanted:
            yield _plain(
                "ends_at",
                times.moment(wanted, zone),
                "no end" if ended is None else times.moment(ended, zone),
            )


def _waits_for(world: World, expect: Expect) -> Iterator[Difference]:
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
        yield _plain(
            "waits_for", ", ".join(wanted) or "nothing", ", ".join(p.full for p in places) or "nothing"
        )


def _holds(world: World, expect: Expect) -> Iterator[Difference]:
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
            got = ", ".join(f"{name} = {_json(value)}" for name, value in read.items())
            yield Difference(what="holds", expected=source, got=f"false, with {got}" if got else "false")


def _dig(names: Mapping[str, Any], path: Sequence[str]) -> Json:
    value: Any = names
    for part in path:
        if not isinstance(value, Mapping) or part not in value:
            return None
        value = value[part]
    return value


# ---- the order of things -------------------------------------------------------------------------------------


def fits(word: str, ordered: Ordered) -> bool:
    """Whether a word of `path` means this."""
    address, wanted = split(word)
    kind = {"check": "check", "question": "question"}.get(ordered.kind, "step")
    return wanted == kind and addresses.exactness(address, ordered.place) > 0


def _path(world: World, expect: Expect) -> Iterator[Difference]:
    if expect.path is None:
        return
    wanted = words_of(expect.path)
    if len(wanted) == len(world.ordered) and all(map(fits, wanted, world.ordered)):
        return
    got = _as_written(wanted, world.ordered)
    yield Difference(
        what="path",
        expected=" ".join(wanted) or "nothing",
        got=" ".join(got) or "nothing",
        help=_first_difference(wanted, got),
    )


def _as_written(wanted: Sequence[str], ordered: Iterable[Ordered]) -> tuple[str, ...]:
    """What was ordered, in the words of the test where it has one for it."""
    return tuple(
        next((word for word in wanted if fits(word, one)), None) or short_name(one) for one in ordered
    )


def short_name(one: Ordered) -> str:
    """The shortest word for what was ordered: its id, where it is not one of many."""
    place = one.place
    sign = one.name.removeprefix(place.full)
    if place.id is None or place.outer is not None or "[" in place.path:
        return one.name
    return f"{place.id}{sign}"


def _first_difference(wanted: Sequence[str], got: Sequence[str]) -> str:
    blocks = difflib.SequenceMatcher(None, wanted, got, autojunk=False).get_opcodes()
    for kind, a, b, c, d in blocks:
        if kind == "delete":
            return f"missing at {c + 1}: {' '.join(wanted[a:b])}"
        if kind == "insert":
            return f"not expected, at {c + 1}: {' '.join(got[c:d])}"
        if kind == "replace":
            return f"different from {c + 1} on: expected {' '.join(wanted[a:b])}, got {' '.join(got[c:d])}"
    return ""


def _passes(world: World, expect: Expect) -> Iterator[Difference]:
    if expect.passes is None:
        return
    rest = iter(world.ordered)
    wanted = words_of(expect.passes)
    for word in wanted:
        if not any(fits(word, one) for one in rest):
            got = " ".join(_as_written(wanted, world.ordered)) or "nothing"
            yield Difference(
                what="passes", expected=" … ".join(wanted), got=got, help=f"`{word}` is missing there"
            )
            return


def _never(world: World, expect: Expect) -> Iterator[Difference]:
    for word in words_of(expect.never or ()):
        met = [one for one in world.ordered if fits(word, one)]
        if met:
            when = times.moment(met[0].at, world.setting.zone)
            yield _plain("never", f"no {word}", f"{met[0].name} at {when}")


# ---- single steps --------------------------------------------------------------------------------------------


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


def _steps(world: World, expect: Expect) -> Iterator[Difference]:
    for address, expected in expect.steps.items():
        nodes = _nodes(world, address)
        if not nodes and expected.status != "pending":
            wanted = expected.status or "something of it"
            yield _plain(f"steps.{address}", wanted, "pending: it never began")
        for drive, node in nodes:
            yield from _step(drive, node, expected)


def _step(drive: Drive, node: Node, expected: ExpectedStep) -> Iterator[Difference]:
    what = f"steps.{addresses.gate_name(node.path)}"
    view = step_view(drive.run, node)
    if expected.status is not None and view["status"] != expected.status:
        why = f" ({node.reason})" if node.reason else f": {node.error.message}" if node.error else ""
        yield Difference(what=what, expected=expected.status, got=f"{view['status']}{why}")
    if expected.attempts is not None and node.attempt != expected.attempts:
        yield _plain(f"{what}.attempts", expected.attempts, node.attempt)
    if expected.reason is not None and node.reason != expected.reason:
        yield _plain(f"{what}.reason", expected.reason, node.reason or "none")
    if expected.undone is not None and node.undone != expected.undone:
        yield _plain(f"{what}.undone", expected.undone, node.undone)
    if expected.outputs is not None:
        outputs = node.outputs or {}
        some = {name: outputs[name] for name in expected.outputs if name in outputs}
        if _json(some) != _json(expected.outputs):
            yield from _maps(f"{what}.outputs", expected.outputs, some)
    if expected.error is not None:
        yield from _error(f"{what}.error", expected.error, node.error, drive)


# ---- commands ------------------------------------------------------------------------------------------------


def _commands(world: World, expect: Expect) -> Iterator[Difference]:
    for address, said in expect.commands.items():
        local, kind = split(address)
        wanted_kind = "check" if kind == "check" else "step"
        by_place: dict[str, list[Work]] = {}
        for one in world.ordered:
            is_meant = ("check" if one.kind == "check" else "step") == wanted_kind
            if one.work is not None and is_meant and addresses.exactness(local, one.place):
                by_place.setdefault(one.place.full, []).append(one.work)
        if not by_place:
            yield _plain(f"commands.{address}", "an attempt", "it was never ordered")
        for place, works in by_place.items():
            yield from _attempts(place, works, said)


def _attempts(
    place: str, works: Sequence[Work], said: ExpectedCommand | tuple[ExpectedCommand, ...]
) -> Iterator[Difference]:
    if not isinstance(said, tuple):
        yield from _command(f"commands.{place}", works[-1], said)
        return
    if len(said) != len(works):
        yield _plain(f"commands.{place}", f"{len(said)} attempts", f"{len(works)}")
        return
    for number, (work, expected) in enumerate(zip(works, said, strict=True), start=1):
        yield from _command(f"commands.{place}#{number}", work, expected)


def _command(what: str, work: Work, expected: ExpectedCommand) -> Iterator[Difference]:
    got = work_view(work)
    for key, wanted in expected.model_dump(by_alias=True, exclude_unset=True).items():
        found = got.get(key)
        if _json(wanted) == _json(
            found if found is not None else {} if isinstance(wanted, Mapping) else found
        ):
            continue
        if isinstance(wanted, Mapping):
            yield from _maps(f"{what}.{key}", wanted, found or {})
        else:
            yield _plain(f"{what}.{key}", wanted, found)


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


# ---- who was told --------------------------------------------------------------------------------------------


def _told(world: World, expect: Expect) -> Iterator[Difference]:
    if expect.told is None:
        return
    got = world.told
    zone = world.setting.zone
    if len(got) == len(expect.told) and all(
        _is_told(world, *pair) for pair in zip(expect.told, got, strict=True)
    ):
        return
    first = next(
        (
            number
            for number, pair in enumerate(zip(expect.told, got, strict=False), start=1)
            if not _is_told(world, *pair)
        ),
        min(len(got), len(expect.told)) + 1,
    )
    yield Difference(
        what="told",
        expected=_numbered([_expected_telling(one) for one in expect.told]),
        got=_numbered([telling_line(one, zone) for one in got]),
        help=f"the first that differs is number {first}",
    )


def _is_told(world: World, expected: ExpectedTelling, got: Telling) -> bool:
    zone, start = world.setting.zone, world.setting.at
    return (
        expected.why in (None, got.why)
        and (expected.step is None or addresses.exactness(expected.step, got.place) > 0)
        and expected.number in (None, got.number)
        and (expected.to is None or sorted(expected.to) == sorted(got.to))
        and (expected.people is None or sorted(expected.people) == sorted(got.people))
        and (expected.at is None or parse_instant(expected.at, zone=zone)[0] == got.at)
        and (expected.after is None or start + round(expected.after * MICROS) == got.at)
    )


def telling_line(one: Telling, zone: str) -> str:
    """Who was told what and when, on one line."""
    number = f" {one.number}" if one.number else ""
    people = f" ({', '.join(one.people)})" if one.people else ""
    return f"{times.moment(one.at, zone)}  {one.why}{number}  {one.place.full}  {', '.join(one.to)}{people}"


def _expected_telling(one: ExpectedTelling) -> str:
    said = one.model_dump(exclude_unset=True)
    if "after" in said:
        said["after"] = times.span(round(said["after"] * MICROS))
    words = (
        f"{key} {', '.join(value) if isinstance(value, tuple) else value}" for key, value in said.items()
    )
    return "  ".join(words) or "anything"


# ---- words ---------------------------------------------------------------------------------------------------


def _plain(what: str, expected: Json, got: Json) -> Difference:
    return Difference(what=what, expected=_shown(expected), got=_shown(got))


def _maps(what: str, expected: Mapping[str, Json], got: Mapping[str, Json]) -> Iterator[Difference]:
    """One difference for each key, so that nobody has to compare long lines by eye."""
    for name in dict.fromkeys((*expected, *got)):
        wanted = _json(expected[name]) if name in expected else "nothing"
        found = _json(got[name]) if name in got else "nothing"
        if wanted != found:
            yield Difference(what=f"{what}.{name}", expected=wanted, got=found)


def _shown(value: Json) -> str:
    if value is None:
        return "nothing"
    return value if isinstance(value, str) else _json(value)


def _json(value: Json) -> str:
    return msgspec.json.encode(value, order="sorted", enc_hook=_plain_value).decode()


def _plain_value(value: object) -> object:
    return dict(value) if isinstance(value, Mapping) else str(value)


def _numbered(lines: Sequence[str]) -> str:
    shown = [f"{number:>2}  {text}" for number, text in enumerate(lines[:LIST_SHOWN_MAX], start=1)]
    if len(lines) > LIST_SHOWN_MAX:
        shown.append(f"and {len(lines) - LIST_SHOWN_MAX} more")
    return "\n".join(shown) or "nobody is told anything"


_LOOKS: tuple[Callable[[World, Expect], Iterator[Difference]], ...] = (
    _status,
    _surprises,
    _words,
    _path,
    _passes,
    _never,
    _steps,
    _commands,
    _told,
    _waits_for,
    _times,
    _holds,
)
