"""What stands around the tree: the headline of a run, how it ended and why, and what to type next."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from towpath.cli.views import waits
from towpath.cli.views.lines import Line, Screen, clip, first_line, line, safe, table, width_of, wrap
from towpath.cli.views.timeline import status_span
from towpath.core.run import Json, Micros, Run
from towpath.observe import words
from towpath.observe.chronicle import Chronicle
from towpath.store.contract import RunNumber

VALUE_CHARS_MAX = 200
ERROR_LINES_MAX = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Hint:
    """A command that makes sense now, and why."""

    command: str
    why: str


def headline(run: Run, number: RunNumber, *, now: Micros, width: int = 10_000) -> Line:
    """`release_shop #12  running  12s`; of a long name only as much as fits."""
    end = run.ended_at or now
    rest = line(
        " ",
        (f"#{number}", "place"),
        "  ",
        status_span(run.status),
        "  ",
        (words.duration(end - run.accepted_at), "dim"),
        ("  undoes an ended run" if run.mode == "rollback" else "", "dim"),
    )
    name = clip(((run.plan.workflow.name, "name"),), max(8, width - width_of(rest)))
    return clip((*name, *rest), width)


def waiting_lines(
    run: Run,
    chronicle: Chronicle,
    number: RunNumber,
    screen: Screen,
    *,
    now: Micros,
    opens_at: waits.OpensAt | None = None,
) -> tuple[Line, ...]:
    """Everything that the run waits for, each with the command that ends the wait."""
    found = waits.waits(run, chronicle, opens_at=opens_at)
    made: list[Line] = []
    for wait in found[: waits.WAITS_SHOWN_MAX]:
        made.append(clip(line(("waits  ", "warn"), *waits.described(wait, now=now)), screen.width))
        if wait.hint:
            command = wait.hint.replace("RUN", str(number), 1)
            made.append(clip(line("       ", (command, "command")), screen.width))
    if len(found) > waits.WAITS_SHOWN_MAX:
        made.append(line((f"       and {len(found) - waits.WAITS_SHOWN_MAX:,} more", "dim")))
    return tuple(made)


def ending_lines(run: Run, screen: Screen, *, tail: Iterable[str] = ()) -> tuple[Line, ...]:
    """How the run ended: the error with the last lines of the step's log, the message, the outputs."""
    made: list[Line] = []
    if run.error is not None:
        made += _error_lines(run, screen)
        made += [clip(line(("  ┃ ", "frame"), (text, "dim")), screen.width) for text in tail]
    if run.message and (run.error is None or run.message != run.error.message):
        made.append(clip(line(("message  ", "dim"), first_line(run.message)), screen.width))
    if run.outcome:
        made.append(line(("outcome  ", "dim"), safe(run.outcome)))
    if run.outputs:
        made += values_lines("outputs", run.outputs, screen)
    return tuple(made)


def _error_lines(run: Run, screen: Screen) -> list[Line]:
    error = run.error
    assert error is not None
    where = f"{safe(error.step)}: " if error.step else ""
    text = where + (safe(error.message.strip()) or error.kind)
    rows = list(wrap(text, screen.width - 7))
    if len(rows) > ERROR_LINES_MAX:
        rows[ERROR_LINES_MAX:] = ["…"]
    return [line(("error  " if index == 0 else "       ", "bad"), row) for index, row in enumerate(rows)]


def values_lines(title: str, values: Mapping[str, Json], screen: Screen) -> list[Line]:
    """Named values, one on each line."""
    rows = [
        (line((title if index == 0 else "", "dim")), line((safe(name), "name")), line(value_text(value)))
        for index, (name, value) in enumerate(values.items())
    ]
    return list(table(rows, width=screen.width))


def value_text(value: Json) -> str:
    """A value on one line: text as it is, everything else as JSON."""
    if isinstance(value, str):
        text = safe(value.strip())
    else:
        from towpath.cli.views import facts

        text = safe(facts.compact(value))
    return text if len(text) <= VALUE_CHARS_MAX else text[: VALUE_CHARS_MAX - 1] + "…"


def hints(run: Run, number: RunNumber) -> tuple[Hint, ...]:
    """What one may want to type next."""
    step = f" --step {waits.quoted(run.error.step)}" if run.error is not None and run.error.step else ""
    if not run.has_ended:
        return ()
    if run.mode == "rollback":
        return (Hint(command=f"tow show {number}", why="every step and its outputs"),)
    match run.status:
        case "succeeded":
            undo = (Hint(command=f"tow rollback {number}", why="undo it"),) if run.undo is not None else ()
            return (
                Hint(command=f"tow show {number}", why="every step and its outputs"),
                Hint(command=f"tow logs {number}", why="what the steps printed"),
                *undo,
            )
        case "skipped":
            return (Hint(command=f"tow rerun {number}", why="try again when there is room"),)
        case _:
            return (
                Hint(command=f"tow logs {number}{step}", why="what it printed"),
                Hint(command=f"tow retry {number}", why="go on from where it failed"),
                Hint(command=f"tow show {number} --timeline", why="what happened when"),
            )


def hint_lines(found: tuple[Hint, ...], screen: Screen) -> tuple[Line, ...]:
    """The commands with their reasons, in two columns."""
    rows = [(line(("next" if index == 0 else "", "dim")), line((hint.command, "command")), line((hint.why, "dim")))
            for index, hint in enumerate(found)]  # fmt: skip
    return table(rows, width=screen.width)
