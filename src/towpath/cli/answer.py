"""`tow answer`."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import click

from towpath.cli import exit_codes, parameters
from towpath.cli.session import Session, pass_session

if TYPE_CHECKING:
    from collections.abc import Mapping

    from towpath.app import App
    from towpath.cli.watching.asking import Said
    from towpath.core.run import Json, Node, Path, Question, Run
    from towpath.store.contract import RunRow

_SHORT = ("approve", "reject", "done", "failed", "retry", "skip")


def _choice_options(function: parameters.Command) -> parameters.Command:
    """--approve, --done and their like, which stand for the choice of that name."""
    for choice in reversed(_SHORT):
        option = click.option(
            f"--{choice}", "flags", flag_value=choice, help=f"The same as the choice `{choice}`."
        )
        function = option(function)
    return function


@click.command()
@parameters.run_argument(all_when_left_out=True)
@click.argument("words", nargs=-1, metavar="[STEP] [CHOICE]")
@_choice_options
@click.option("--comment", default="", metavar="TEXT", help="Kept with the answer.")
@click.option("--form", multiple=True, metavar="KEY=VALUE", help="A field of the form; repeatable.")
@parameters.as_option()
@parameters.json_option("The open questions as JSON.")
@pass_session
def command(
    session: Session,
    *,
    run: str | None,
    words: tuple[str, ...],
    flags: str | None,
    comment: str,
    form: tuple[str, ...],
    by: str | None,
    as_json: bool,
) -> int:
    """Answer what a RUN asks: an approval, a task, a failure, an unknown outcome.

    Without RUN, lists every question that waits. With RUN alone, a terminal is asked; a script gives the CHOICE, and the STEP where
    several ask:

    \b
      tow answer 12 approve
      tow answer 12 go_live reject --comment "not today"
      tow answer 12 announce --done --form link=https://…
    """  # noqa: D301 - \b keeps click from filling the lines
    app = session.app()
    if run is None:
        return _list(session, app, as_json=as_json)
    row, folded = app.run(run)
    asking = [node for node in folded.open_leaves() if node.status == "asking"]
    if as_json:
        return _as_json(row, asking)
    path, choice = _parsed(asking, words, flags)
    node = _node(app, folded, asking, path, row)
    if node is None:
        return _list_of(session, app, row, folded)
    said = _said(session, app, folded, node, choice, comment=comment, form=form, by=by)
    if said is None:
        return exit_codes.WAITING
    _tell(app, row, folded, node, said)
    session.out.say(
        f"run {row.number}: ", (said.path, "name"), f" — {said.decision.replace('_', ' ')}, says {said.by}"
    )
    return exit_codes.OK


def _parsed(asking: list[Node], words: tuple[str, ...], flag: str | None) -> tuple[Path | None, str | None]:
    """The step and the choice that the words name, in this order; either may be left out."""
    left = list(words)
    choice = flag
    if left and choice is None and (len(left) > 1 or not any(_is_at(node, left[0]) for node in asking)):
        choice = left.pop()
    if len(left) > 1:
        raise click.UsageError(f"too many words: {' '.join(words)}")
    return (left[0] if left else None), choice


def _is_at(node: Node, path: Path) -> bool:
    """Whether *path* names the node, as a whole or by its end."""
    return node.path == path or node.path.endswith(f"/{path}")


def _node(app: App, run: Run, asking: list[Node], path: Path | None, row: RunRow) -> Node | None:
    """The node that is meant; None where several ask and none was named."""
    from towpath.errors import NotFound, Refused
    from towpath.server.asking import tell_late

    if path is not None:
        found = [node for node in asking if _is_at(node, path)]
        if len(found) != 1:
            tell_late(app, row, path)
            known = ", ".join(node.path for node in asking) or "nothing"
            raise NotFound(f"run {row.number} asks nothing at {path!r}", help=f"it asks at: {known}")
        return found[0]
    if not asking:
        if run.has_ended:
            raise Refused(
                f"run {row.number} has ended: {run.status}", help=f"`tow show {row.number}` tells how"
            )
        raise Refused(
            f"run {row.number} asks nothing", help=f"`tow show {row.number}` tells what it waits for"
        )
    return asking[0] if len(asking) == 1 else None


def _said(
    session: Session,
    app: App,
    run: Run,
    node: Node,
    choice: str | None,
    *,
    comment: str,
    form: tuple[str, ...],
    by: str | None,
) -> Said | None:
    from towpath.cli import values
    from towpath.cli.watching.asking import Said

    question = node.question
    assert question is not None
    actor = session.actor(by)
    if choice is None:
        if not session.is_interactive:
            raise click.UsageError(f"say what the answer is; one of: {', '.join(question.choices)}")
        return _dialogue(session, app, run, node, actor=actor)
    given = values.pairs(form, option="--form")
    fields = _form(question, given) if choice in ("approve", "done") else {}
    return Said(
        path=node.path, decision=choice, by=actor, comment=comment, form=fields, digest=question.digest
    )


def _form(question: Question, given: Mapping[str, str]) -> dict[str, Json]:
    """The fields of the form, completed and judged; where there is no form, the outputs that a person gives."""
    from towpath.definition.inputs import complete_inputs
    from towpath.definition.model import Input

    if not question.form:
        return dict(given)
    declared = {name: Input.model_validate(dict(field)) for name, field in question.form.items()}
    return complete_inputs(declared, given, is_text=True)


def _dialogue(session: Session, app: App, run: Run, node: Node, *, actor: str) -> Said | None:
    from towpath.cli.watching.asking import Dialogue
    from towpath.cli.watching.terminal import Keyboard, quiet_keyboard
    from towpath.server.asking import refusal

    with quiet_keyboard():
        dialogue = Dialogue(
            Keyboard(session.out),
            actor=actor,
            refusal=lambda says, who: refusal(app, run, node, says=says, actor=who),
        )
        try:
            return asyncio.run(dialogue.ask(node, now=app.now()))
        except EOFError:
            return None


def _tell(app: App, row: RunRow, run: Run, node: Node, said: Said) -> None:
    from towpath.cli import deciding
    from towpath.core import stimuli
    from towpath.server import asking

    deciding.tell(
        app,
        asking.Asked(row=row, run=run, node=node),
        stimuli.Answered(
            at=app.now(),
            path=said.path,
            by=said.by,
            decision=said.decision,
            comment=said.comment,
            form=said.form,
            digest=said.digest or None,
            via="cli",
        ),
    )


# --- what is asked ---------------------------------------------------------------------------------------


def _list(session: Session, app: App, *, as_json: bool) -> int:
    """Every question of every open run."""
    from towpath.store.contract import RunFilter

    count = 0
    rows = app.reader.runs(RunFilter(is_open=True, rows_max=1_000)) if app.folder.database.exists() else ()
    for row in reversed(rows):
        _, run = app.run(str(row.number))
        asking = [node for node in run.open_leaves() if node.status == "asking"]
        count += len(asking)
        if as_json:
            _as_json(row, asking)
        elif asking:
            _list_of(session, app, row, run)
    if not count and not as_json:
        session.out.say("nobody is asked anything")
    return exit_codes.OK


def _list_of(session: Session, app: App, row: RunRow, run: Run) -> int:
    from towpath.cli.views import summary
    from towpath.cli.views.lines import line
    from towpath.cli.watching.asking import question_lines

    session.out.show(summary.headline(run, row.number, now=app.now(), width=session.out.width))
    for node in run.open_leaves():
        if node.status == "asking" and node.question is not None:
            session.out.show(*question_lines(node, session.out, now=app.now()))
            choices = "|".join(node.question.choices)
            session.out.show(line("  ", (f"tow answer {row.number} {node.path} {choices}", "command")))
    return exit_codes.WAITING


def _as_json(row: RunRow, asking: list[Node]) -> int:
    import msgspec

    from towpath.cli.views import facts

    for node in asking:
        told = {"run_number": row.number, "run": row.id, "workflow": row.workflow, "path": node.path}
        click.echo(facts.json_line({**told, "question": msgspec.to_builtins(node.question)}))
    return exit_codes.OK
