"""`tow show`."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

import click

from towpath.cli import parameters
from towpath.cli.session import Session, pass_session

if TYPE_CHECKING:
    from towpath.app import App
    from towpath.cli.views.lines import Line
    from towpath.core.run import Node, Path, Run
    from towpath.observe.chronicle import Chronicle
    from towpath.people.decided import History
    from towpath.store.contract import RunRow

LADDERS_SHOWN_MAX = 5
"""Questions of which everything that happened to them is shown; of the others, `--step` does."""


@click.command()
@parameters.run_argument()
@parameters.step_option("Only this step: its attempts, inputs and outputs.")
@click.option(
    "-t",
    "--timeline",
    "with_timeline",
    is_flag=True,
    help="Everything that happened, in order, and who did it.",
)
@click.option("--all", "everything", is_flag=True, help="Every item and round of every loop.")
@parameters.json_option("The run, its steps and their outputs as one JSON object.")
@pass_session
def command(
    session: Session,
    *,
    run: str,
    step: str | None,
    with_timeline: bool,
    everything: bool,
    as_json: bool,
) -> int:
    """Show a run: its tree, why it waits and since when, how it ended and why, and what to type next."""
    from towpath.observe.chronicle import Chronicle

    app = session.app()
    row, folded = app.run(run)
    if as_json:
        return _as_json(app, row, folded, step=step)
    chronicle = Chronicle(fact for _, fact in app.events(row))
    if step is not None:
        return _step(session, app, row, folded, step)
    _header(session, app, row, folded)
    if with_timeline:
        _timeline(session, app, row)
    else:
        _tree(session, app, folded, chronicle, everything=everything)
    _end(session, app, row, folded, chronicle)
    return 0


def _as_json(app: App, row: RunRow, run: Run, *, step: str | None) -> int:
    from towpath.cli.views import facts
    from towpath.server.shapes import runs as shapes

    owner = app.owner_of(row) if row.is_open else None
    state = shapes.state_object(run)
    if step is not None:
        _node_at(run, step)
        click.echo(facts.json_text(next(one for one in state["steps"] if one["path"] == step)))
        return 0
    told = shapes.run_object(row, life=owner.life.value if owner is not None else None)
    click.echo(facts.json_text({**told, **state}))
    return 0


def _header(session: Session, app: App, row: RunRow, run: Run) -> None:
    from towpath.cli.views import listing, summary
    from towpath.cli.views.lines import line, safe, table
    from towpath.observe import words

    out, now = session.out, app.now()
    out.show(summary.headline(run, row.number, now=now, width=out.width))
    rows: list[tuple[Line, Line]] = [
        (
            line(("started", "dim")),
            line(f"{words.moment(run.accepted_at, now=now)} by {safe(run.started_by)}"),
        )
    ]
    if row.is_open:
        rows.append((line(("owner", "dim")), listing.owner_text(row, app.owner_of(row), now=now)))
    if row.environment:
        rows.append((line(("environment", "dim")), line(safe(row.environment))))
    if row.origin is not None:
        rows.append(
            (line(("origin", "dim")), line(f"{safe(row.origin_reason or 'after')} of run {row.origin}"))
        )
    if run.break_glass:
        rows.append((line(("break glass", "bad")), line(safe(run.break_glass), *_reviewed(app, row))))
    definition = app.reader.definition(row.definition)
    where = f"{safe(definition.path or '')}  " if definition.path else ""
    rows.append((line(("definition", "dim")), line(where, (row.definition[:12], "dim"))))
    if run.inputs:
        shown = "  ".join(f"{safe(name)}={summary.value_text(value)}" for name, value in run.inputs.items())
        rows.append((line(("inputs", "dim")), line(shown)))
    out.show(*table(rows, width=out.width), ())


def _reviewed(app: App, row: RunRow) -> Line:
    """By which run an emergency start is reviewed, and what came of it so far."""
    from towpath.cli.views import timeline
    from towpath.people import review
    from towpath.store.contract import RunFilter

    found = app.reader.runs(RunFilter(origin=row.number, workflow=review.NAME, rows_max=1))
    if not found:
        return ()
    return ((f"  review: run {found[0].number} ", "dim"), timeline.status_span(found[0].summary.status))


def _tree(session: Session, app: App, run: Run, chronicle: Chronicle, *, everything: bool) -> None:
    from towpath.cli.views import tree

    rows = tree.tree(run, tree.Detail(now=app.now(), chronicle=chronicle, everything=everything))
    session.out.show(*tree.lines(rows, session.out))


def _timeline(session: Session, app: App, row: RunRow) -> None:
    from towpath.cli.views import timeline

    entries = list(timeline.Teller().tell(fact for _, fact in app.events(row)))
    width = min(timeline.PATH_CELLS_MAX, max((len(entry.path) for entry in entries), default=0))
    session.out.show(*(timeline.entry_line(entry, path_width=width) for entry in entries))


def _end(session: Session, app: App, row: RunRow, run: Run, chronicle: Chronicle) -> None:
    from towpath.cli.views import summary
    from towpath.cli.watching.tails import last_words

    out = session.out
    ending = summary.ending_lines(
        run, out, tail=last_words(functools.partial(app.log_reader, row.number), run)
    )
    waiting: tuple[Line, ...] = ()
    if not run.has_ended:
        opens_at = functools.partial(app.desk.window_opens_at, now=app.now())
        waiting = summary.waiting_lines(run, chronicle, row.number, out, now=app.now(), opens_at=opens_at)
    hints = summary.hint_lines(summary.hints(run, row.number), out)
    for block in (waiting, *_ladders(session, app, row, run), ending, hints):
        if block:
            out.show((), *block)


def _ladders(session: Session, app: App, row: RunRow, run: Run) -> list[tuple[Line, ...]]:
    """What happened to the questions of a run, who was told, and what the ladders of the open ones will do; the open ones first."""
    known = _histories(app, row)
    found = [known[path] for path in known if path in run.nodes]
    found.sort(key=lambda one: (one.ended_at is not None, -(one.ended_at or 0)))
    return [_ladder(session, app, row, run.nodes[one.path], one) for one in found[:LADDERS_SHOWN_MAX]]


def _histories(app: App, row: RunRow) -> dict[Path, History]:
    from towpath.people import decided

    return decided.histories(fact for _, fact in app.events(row))


def _ladder(session: Session, app: App, row: RunRow, node: Node, history: History) -> tuple[Line, ...]:
    from towpath.cli.views import ladder
    from towpath.cli.views.lines import line, safe
    from towpath.server import ladders, sent
    from towpath.store.contract import PAGE_ROWS_MAX, SendingFilter

    where = SendingFilter(run=row.number, path=node.path, rows_max=PAGE_ROWS_MAX)
    rungs = ladder.ladder_lines(
        node,
        history,
        ladders.told_of(app.store.outbox.sendings(where), history),
        session.out,
        calendar=app.desk.calendar(history.question.hours),
        alive=sent.alive_owners(app),
        now=app.now(),
    )
    return (line(("ladder ", "dim"), (safe(node.path), "name")), *rungs)


def _step(session: Session, app: App, row: RunRow, run: Run, path: str) -> int:
    """One step: what happened to it, what it was given and what it handed on."""
    from towpath.cli.views import questions, summary, timeline, waits
    from towpath.cli.views.lines import safe
    from towpath.core.run import is_within

    node = _node_at(run, path)
    out = session.out
    out.say((safe(path), "name"), "  ", timeline.status_span(node.status))
    teller = timeline.Teller()
    entries = [
        entry for entry in teller.tell(fact for _, fact in app.events(row)) if is_within(entry.path, path)
    ]
    out.show(*(timeline.entry_line(entry) for entry in entries))
    if node.status == "asking":
        out.show((), *questions.question_lines(node, out, now=app.now()))
    if (history := _histories(app, row).get(path)) is not None:
        out.show((), *_ladder(session, app, row, node, history))
    for title, values in (("with", _given(app, row, path)), ("outputs", node.outputs or {})):
        if values:
            out.show((), *summary.values_lines(title, values, out))
    if node.error is not None:
        out.say()
        out.say(("error  ", "bad"), safe(node.error.message))
    out.say()
    hint = summary.Hint(command=f"tow logs {row.number} --step {waits.quoted(path)}", why="what it printed")
    out.show(*summary.hint_lines((hint,), out))
    return 0


def _given(app: App, row: RunRow, path: str) -> dict[str, object]:
    """What the latest attempt of a step was given; secrets are named, never shown."""
    from towpath.core import events

    work = None
    for _, fact in app.events(row):
        if isinstance(fact, events.StepStarted) and fact.path == path and fact.work is not None:
            work = fact.work
    if work is None:
        return {}
    given: dict[str, object] = {**work.with_, **work.env}
    for use in work.secrets:
        name = str(use.at[1]) if len(use.at) > 1 else str(use.at[0])
        given[name] = "".join(text if kind == "text" else f"<secret {text}>" for kind, text in use.parts)
    return given


def _node_at(run: Run, path: str) -> Node:
    from towpath.definition.problems import closest
    from towpath.errors import NotFound

    node = run.nodes.get(path)
    if node is None:
        near = closest(path, [known for known in run.nodes if known])
        raise NotFound(
            f"no step {path!r} has begun in this run", help=f"did you mean {near}?" if near else ""
        )
    return node
