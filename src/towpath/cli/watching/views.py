"""How a run in the foreground is shown: as a live tree on a terminal, as lines in a pipe, as JSON for a program."""

from __future__ import annotations

import itertools
import re
from typing import Protocol

from towpath.cli.views import facts, summary, timeline, tree
from towpath.cli.views.lines import Line, Screen, line, safe
from towpath.cli.watching.tails import TAIL_LINES, Tails, last_words
from towpath.cli.watching.terminal import Region
from towpath.core import events
from towpath.core.run import Micros, Path, Run
from towpath.observe import words
from towpath.observe.chronicle import Chronicle
from towpath.people import choices
from towpath.server.shapes import runs as shapes
from towpath.store.contract import RunNumber

STILL_MICROS = 1_000_000
"""How often the tree of a run that only waits is drawn again."""
PROGRESS_PARTS = 10
"""How often the progress of a large loop is told in a pipe."""


class View(Protocol):
    """Shows one run; `take` for every step of it, `tick` ten times a second, `finish` at the end."""

    def take(self, run: Run, told: tuple[tuple[int, events.AnyEvent], ...]) -> None:
        """Takes in facts with their sequences, and the run after them."""

    def tick(self, now: Micros) -> None:
        """Shows what is new."""

    def pause(self) -> None:
        """Makes room for a question."""

    def resume(self) -> None:
        """Goes on after a question."""

    def say(self, *lines: Line) -> None:
        """Tells the operator something that is not about a step."""

    def finish(self, now: Micros, *, left: bool) -> None:
        """Shows the end, or that the run was left as it is."""


class LiveView:
    """A tree that is drawn again as the run goes on."""

    def __init__(self, screen: Screen, number: RunNumber, tails: Tails) -> None:
        self._screen = screen
        self._number = number
        self._tails = tails
        self._region = Region(screen)
        self._chronicle = Chronicle()
        self._run: Run | None = None
        self._paused = False
        self._beat = 0
        self._now: Micros = 0
        """When the tree was drawn last."""
        self._changed = True

    def take(self, run: Run, told: tuple[tuple[int, events.AnyEvent], ...]) -> None:
        """Remembers the state; the next tick draws it."""
        self._run = run
        self._changed = True
        self._chronicle.note(fact for _, fact in told)

    def tick(self, now: Micros) -> None:
        """Draws the tree."""
        for _ in self._tails.new_lines():
            pass
        if self._run is None or self._paused:
            return
        if not self._run.performing and not self._changed and now - self._now < STILL_MICROS:
            return
        self._beat += 1
        self._now = now
        self._changed = False
        self._region.draw(self._picture(self._run, now))

    def pause(self) -> None:
        """Leaves the tree where it is, without what the question below says anyhow."""
        if not self._paused:
            if self._run is not None:
                self._region.draw(self._picture(self._run, self._now, with_waits=False))
            self._region.leave()
            self._paused = True

    def resume(self) -> None:
        """Draws again, below what was asked."""
        self._paused = False
        self._changed = True

    def say(self, *lines: Line) -> None:
        """Tells something above the tree."""
        self._changed = True
        self._region.clear()
        self._screen.show(*lines)

    def finish(self, now: Micros, *, left: bool) -> None:
        """Replaces the live tree by the last one, with how it ended and what to type next."""
        run = self._run
        self._region.clear()
        if run is None:
            return
        rows = tree.tree(run, tree.Detail(now=now, chronicle=self._chronicle))
        self._screen.show(summary.headline(run, self._number, now=now, width=self._screen.width))
        self._screen.show(*tree.lines(rows, self._screen))
        tail = last_words(self._tails.reader_of, run)
        _show_end(self._screen, run, self._number, self._chronicle, now=now, tail=tail, left=left)

    def _picture(self, run: Run, now: Micros, *, with_waits: bool = True) -> tuple[Line, ...]:
        head = summary.headline(run, self._number, now=now, width=self._screen.width)
        waiting = summary.waiting_lines(run, self._chronicle, self._number, self._screen, now=now)
        room = max(3, self._screen.height - 2)
        waiting = waiting[: room // 2] if with_waits and run.status in ("waiting", "queued") else ()
        detail = tree.Detail(now=now, chronicle=self._chronicle, tails=self._shown_tails(run))
        rows = tree.fit(tree.tree(run, detail), room - 1 - len(waiting))
        body = tree.lines(rows, self._screen, beat=self._beat)
        return (head, *body, *waiting)

    def _shown_tails(self, run: Run) -> dict[Path, tuple[str, ...]]:
        working = [
            path for path in itertools.islice(run.leaves, 30) if run.nodes[path].status == "performing"
        ]
        count = TAIL_LINES if len(working) <= 3 else 1  # noqa: PLR2004 - many at once get a line each
        return {path: self._tails.last(path, count) for path in working[:12]}


class PlainView:
    """One line for each thing that happens and each line that a step prints."""

    def __init__(self, screen: Screen, number: RunNumber, tails: Tails) -> None:
        self._screen = screen
        self._number = number
        self._tails = tails
        self._teller = timeline.Teller()
        self._chronicle = Chronicle()
        self._run: Run | None = None
        self._width = 0
        self._progress: dict[Path, int] = {}

    def take(self, run: Run, told: tuple[tuple[int, events.AnyEvent], ...]) -> None:
        """Prints the facts, after what was printed before them."""
        if self._run is None:
            self._screen.show(line((run.plan.workflow.name, "name"), " ", (f"#{self._number}", "place")))
        self._run = run
        for _, fact in told:
            self._chronicle.note((fact,))
            if isinstance(fact, events.StepEnded) and fact.path.endswith("]"):
                self._tell_progress(run, fact)
            entries = [
                one for one in self._teller.tell((fact,)) if one.is_notable or not self._is_in_crowd(one.path)
            ]
            if entries:
                self._print_log(None)
            for entry in entries:
                self._show(entry)
            if isinstance(fact, events.PeopleAsked) and not run.has_ended:
                command = choices.first_command(str(self._number), fact.path, fact.question.kind)
                self._screen.show(line("          ", (command, "command")))

    def tick(self, now: Micros) -> None:  # noqa: ARG002 - lines have no clock
        """Prints what steps have printed."""
        self._print_log()

    def pause(self) -> None:
        """Nothing has to make room."""

    def resume(self) -> None:
        """Nothing was in the way."""

    def say(self, *lines: Line) -> None:
        """Prints lines."""
        self._screen.show(*lines)

    def finish(self, now: Micros, *, left: bool) -> None:
        """Prints how it ended."""
        self._print_log(None)
        if self._run is not None:
            _show_end(self._screen, self._run, self._number, self._chronicle, now=now, tail=(), left=left)

    def _show(self, entry: timeline.Entry) -> None:
        self._width = min(timeline.PATH_CELLS_MAX, max(self._width, len(entry.path)))
        self._screen.show(timeline.entry_line(entry, path_width=self._width))

    def _print_log(self, at_most: int | None = 20_000) -> None:
        new = (one for one in self._tails.new_lines(at_most) if not self._is_in_crowd(one.path))
        self._screen.show(*(log_line(one.at, one.path, one.text, width=self._width) for one in new))

    def _is_in_crowd(self, path: Path) -> bool:
        """Whether the path is inside one of very many items, which are told as a number."""
        if "[" not in path or self._run is None:
            return False
        return any(
            len(node.items or ()) > tree.ITEMS_LISTED_MAX
            for found in re.finditer(r"\[", path)
            if (node := self._run.nodes.get(path[: found.start()])) is not None
        )

    def _tell_progress(self, run: Run, fact: events.StepEnded) -> None:
        loop = fact.path[: fact.path.rindex("[")]
        node = run.nodes.get(loop)
        if node is None or node.items is None or len(node.items) <= tree.ITEMS_LISTED_MAX:
            return
        ended = node.cursor - node.active
        part = ended * PROGRESS_PARTS // len(node.items)
        if part > self._progress.get(loop, 0):
            self._progress[loop] = part
            failed = f", {node.failed:,} failed" if node.failed else ""
            text = f"{ended:,} of {len(node.items):,} items ended{failed}"
            self._show(timeline.Entry(at=fact.at, path=loop, text=text))


class JsonView:
    """One JSON object for each fact, and one at the end."""

    def __init__(self, screen: Screen, number: RunNumber) -> None:
        self._screen = screen
        self._number = number
        self._run: Run | None = None

    def take(self, run: Run, told: tuple[tuple[int, events.AnyEvent], ...]) -> None:
        """Prints the facts."""
        self._run = run
        for sequence, fact in told:
            self._print(shapes.fact_object(fact, number=self._number, sequence=sequence))

    def tick(self, now: Micros) -> None:
        """Facts are printed when they come."""

    def pause(self) -> None:
        """Nothing has to make room."""

    def resume(self) -> None:
        """Nothing was in the way."""

    def say(self, *lines: Line) -> None:
        """A program wants nothing but the facts."""

    def finish(self, now: Micros, *, left: bool) -> None:
        """Prints the end: status, outputs, error."""
        run = self._run
        if run is None:
            return
        from towpath.cli.failures import code_of_run

        self._print(
            {
                "final": True,
                "run_number": self._number,
                "run": run.id,
                "workflow": run.plan.workflow.name,
                "left": left,
                "exit_code": code_of_run(run),
                "duration_seconds": round(((run.ended_at or now) - run.accepted_at) / words.MICROS, 3),
                "outcome": run.outcome,
                "message": run.message,
                **{key: value for key, value in shapes.state_object(run).items() if key != "steps"},
            }
        )

    def _print(self, value: shapes.Object) -> None:
        self._screen.stream.write(facts.json_line(value) + "\n")
        self._screen.stream.flush()


def log_line(at: Micros, path: Path, text: str, *, width: int = 0) -> Line:
    """A line that a step printed."""
    return line(
        (words.clock(at), "dim"), "  ", (f"{safe(path):<{width}}", "dim"), ("  │ ", "frame"), safe(text)
    )


def _show_end(
    screen: Screen,
    run: Run,
    number: RunNumber,
    chronicle: Chronicle,
    *,
    now: Micros,
    tail: tuple[str, ...],
    left: bool,
) -> None:
    if not run.has_ended:
        screen.show(*summary.waiting_lines(run, chronicle, number, screen, now=now))
        if left:
            screen.show(
                *summary.hint_lines(
                    (summary.Hint(command=f"tow resume {number}", why="go on with it"),), screen
                )
            )
        return
    ending = summary.ending_lines(run, screen, tail=tail)
    if ending:
        screen.show(*ending)
    screen.show(*summary.hint_lines(summary.hints(run, number), screen))
