"""A run in the foreground, from its start to its end: shown, asked about, and stopped as the person wishes.

Ctrl-C on a terminal asks what is meant: cancel with rollback, leave the run as it is, or go on. Where nobody can be asked, SIGINT
cancels with rollback (a second one leaves the run as it is) and SIGTERM leaves it: attempts end, and `tow resume` goes on.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import signal
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from towpath.cli import diary, exit_codes, failures
from towpath.cli.session import Session
from towpath.cli.views.lines import line, safe
from towpath.cli.watching.asking import Dialogue, Refusal, Said, chosen
from towpath.cli.watching.notices import Notices
from towpath.cli.watching.tails import Tails
from towpath.cli.watching.terminal import Keyboard, quiet_keyboard
from towpath.cli.watching.views import JsonView, LiveView, PlainView, View
from towpath.core import events, stimuli
from towpath.core.run import Node, Path, Run
from towpath.engines.contract import Aside, Engine, Step
from towpath.errors import NotFound, TowpathError
from towpath.observe import words
from towpath.people import authority, decided
from towpath.people.channels.contract import Notice
from towpath.people.channels.terminal import Terminal
from towpath.people.messages import OVER
from towpath.server.asking import refusal
from towpath.store.contract import RunFilter, RunNumber, RunRow

if TYPE_CHECKING:
    from towpath.app import App
    from towpath.people.telling import Telling

BEAT_SECONDS = 0.1
CLIMBING = frozenset({"reminder", "rung", "handed_over"})
"""What is told of a question that was asked before."""
Style = Literal["auto", "plain", "json"]
Begin = Callable[[Engine], Awaitable[RunNumber]]
Wish = Literal["cancel", "leave", "go_on"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Manner:
    """How a run is watched."""

    style: Style = "auto"
    actor: str = ""
    asks: bool = True
    """Whether questions are asked right here, where a person is there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Here:
    """What this process has at work for the runs that it follows."""

    engine: Engine
    telling: Telling
    notices: Notices
    """What is told to the person at the keyboard."""
    interactive: bool


def drive(session: Session, command: str, begin: Begin, manner: Manner) -> int:
    """Starts or takes over a run, follows it to its end, and gives the exit code."""
    return asyncio.run(_drive(session, command, begin, manner))


async def _drive(session: Session, command: str, begin: Begin, manner: Manner) -> int:
    app = session.app()
    app.folder.make()
    diary.keep(app.settings.data)
    interactive = session.is_interactive and manner.style == "auto"
    notices = Notices()
    telling = app.telling(_terminal(session, app, manner, notices))
    with quiet_keyboard() if interactive else contextlib.nullcontext():
        async with app.engine(command, telling) as engine:
            here = Here(engine=engine, telling=telling, notices=notices, interactive=interactive)
            number = await begin(engine)
            foreground = Foreground(session, app, here, number, manner)
            code = await foreground.follow()
            while not foreground.was_left and (other := _still_open(app, engine.owner)) is not None:
                foreground = Foreground(session, app, here, other, manner)
                left_code = await foreground.follow()
                code = left_code if foreground.was_left else code
            reviews = _open_reviews(app, engine.owner) - {number}
    for one in sorted(reviews):
        session.err.say(
            f"run {one} waits for the review of this emergency start; it goes on with ",
            (f"tow resume {one}", "command"),
        )
    return code


def _terminal(session: Session, app: App, manner: Manner, notices: Notices) -> Terminal | None:
    """Where the person at the keyboard is told what concerns them; None where a program reads along, or a pipe."""
    person = authority.person_of(app.desk.directory, manner.actor)
    if person is None or manner.style == "json" or not session.out.is_terminal:
        return None
    return Terminal(user=person, show=notices.told)


def _still_open(app: App, owner: str) -> RunNumber | None:
    """A run that this one had started and that does not wait for it: it goes on here too."""
    return next((row.number for row in _open_runs(app, owner) if row.origin_reason != "review"), None)


def _open_reviews(app: App, owner: str) -> set[RunNumber]:
    """Reviews of emergency starts; they may take days, and nobody at a terminal waits for them."""
    return {row.number for row in _open_runs(app, owner) if row.origin_reason == "review"}


def _open_runs(app: App, owner: str) -> tuple[RunRow, ...]:
    return app.reader.runs(RunFilter(owner=owner, is_open=True))  # type: ignore[arg-type] # an OwnerId


class Foreground:
    """One run that is followed."""

    def __init__(
        self,
        session: Session,
        app: App,
        here: Here,
        number: RunNumber,
        manner: Manner,
    ) -> None:
        self._app = app
        self._engine = here.engine
        self._here = here
        self._number = number
        self._manner = manner
        self._interactive = here.interactive
        self._screen = session.out
        self._keyboard = Keyboard(session.out)
        self._tails = Tails(functools.partial(app.log_reader, number))
        self._view = self._make_view()
        self._run: Run | None = None
        self._told = 0
        """The sequence of the last fact that the view was given."""
        self._interrupts = 0
        self._terminated = False
        self._cancelled = False
        self._dialogue: asyncio.Task[Said | Wish | None] | None = None
        self._asked: Node | None = None
        """The node whose question is being asked; None while the question is how to stop."""
        self._later: set[tuple[str, str, int]] = set()
        self._settled: set[Path] = set()
        """Where it was said already, in the middle of a question, how that question ended."""
        self.was_left = False

    async def follow(self) -> int:
        """Follows the run to its end, or until it is left; gives the exit code."""
        steps: asyncio.Queue[Step | Exception | None] = asyncio.Queue()
        pump = asyncio.create_task(self._pump(steps))
        try:
            with self._signals():
                await self._until_over(steps)
        finally:
            asked = self._asked if self._dialogue is not None and not self.was_left else None
            await self._end_dialogue()
            pump.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await pump
        if asked is not None:
            self._tell_settled(asked)
        if not self.was_left:
            await self._here.telling.settle_terminal()
        self._show_notices()
        self._view.finish(self._app.now(), left=self.was_left and not self._app.serves_elsewhere)
        self._tails.close()
        return self._code()

    def _make_view(self) -> View:
        match self._manner.style:
            case "json":
                return JsonView(self._screen, self._number)
            case "auto" if self._screen.is_terminal:
                return LiveView(self._screen, self._number, self._tails)
            case _:
                return PlainView(self._screen, self._number, self._tails)

    def _code(self) -> int:
        if self._run is not None and self._run.has_ended:
            return failures.code_of_run(self._run)
        return exit_codes.WAITING if self._terminated else exit_codes.INTERRUPTED

    # --- what happens to the run -------------------------------------------------------------------------

    async def _pump(self, steps: asyncio.Queue[Step | Exception | None]) -> None:
        """Carries the steps of the run into the queue; None at the end."""
        try:
            async for step in self._engine.watch(self._number):
                steps.put_nowait(step)
        except NotFound:  # it ended before it could be watched
            _, run = self._app.run(str(self._number))
            steps.put_nowait(Step(run=run, facts=()))
        except Exception as error:  # noqa: BLE001 - told where the run is followed
            steps.put_nowait(error)
            return
        steps.put_nowait(None)

    async def _until_over(self, steps: asyncio.Queue[Step | Exception | None]) -> None:
        loop = asyncio.get_running_loop()
        next_beat = loop.time()
        while not self.was_left:
            if loop.time() >= next_beat:
                await self._beat()
                next_beat = loop.time() + BEAT_SECONDS
                continue
            step = await _next(steps, until=next_beat)
            if step is _OVER:
                return
            if isinstance(step, Exception):
                raise step
            if isinstance(step, Step):
                self._take(step)
            elif isinstance(step, Aside):
                self._view.say(line((safe(step.text), "warn")))

    def _take(self, step: Step) -> None:
        """Gives the view every fact once, in order."""
        run = step.run
        first = run.sequence - len(step.facts) + 1
        told: list[tuple[int, events.AnyEvent]] = []
        if self._told < first - 1 or not step.facts:
            row = self._app.reader.run(self._number)
            told = [pair for pair in self._app.events(row, after=self._told) if pair[0] <= run.sequence]
        else:
            told = [pair for pair in enumerate(step.facts, start=first) if pair[0] > self._told]
        if told:
            self._told = told[-1][0]
        if self._run is None or run.sequence >= self._run.sequence:
            self._run = run
        self._view.take(self._run, tuple(told))

    async def _beat(self) -> None:
        if self._dialogue is not None and self._dialogue.done():
            await self._dialogue_ended()
        if self._interrupts or self._terminated:
            await self._on_signal()
        if self._dialogue is None:
            self._show_notices()
        self._ask_if_asked()
        self._view.tick(self._app.now())

    # --- stopping ----------------------------------------------------------------------------------------

    @contextlib.contextmanager
    def _signals(self) -> Iterator[None]:
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGINT, self._on_sigint)
        loop.add_signal_handler(signal.SIGTERM, self._on_sigterm)
        try:
            yield
        finally:
            loop.remove_signal_handler(signal.SIGINT)
            loop.remove_signal_handler(signal.SIGTERM)

    def _on_sigint(self) -> None:
        self._interrupts += 1

    def _on_sigterm(self) -> None:
        self._terminated = True

    async def _on_signal(self) -> None:
        if self._terminated:
            self.was_left = True
            return
        self._interrupts = 0
        asks_how = self._dialogue is not None and self._asked is None
        if self._interactive and not asks_how:
            await self._end_dialogue()
            self._view.pause()
            self._asked = None
            self._dialogue = asyncio.create_task(self._ask_how_to_stop())
            return
        if self._dialogue is not None:
            await self._end_dialogue()
            self._screen.say()
            self._view.resume()
        await self._do("leave" if self._cancelled else "cancel")

    async def _ask_how_to_stop(self) -> Wish:
        choices = ("leave", "go_on") if self._cancelled else ("cancel", "leave", "go_on")
        self._screen.say()
        if self._cancelled:
            self._screen.say("The run is being cancelled.")
        else:
            self._screen.say(
                ("cancel  ", "name"), ("stop it and undo what was done (Ctrl-C again does the same)", "dim")
            )
        self._screen.say(
            ("leave   ", "name"),
            (
                "go away; the server goes on with it"
                if self._app.serves_elsewhere
                else f"go away; `tow resume {self._number}` goes on with it",
                "dim",
            ),
        )
        self._screen.say(("go on   ", "name"), ("nothing happened", "dim"))
        shown = {"c": "cancel", "l": "leave", "g": "go on"}
        prompt = "  ".join(
            f"[{key}]{word[1:]}" for key, word in shown.items() if word.replace(" ", "_") in choices
        )
        while True:
            typed = await self._keyboard.ask(line(("❯ ", "ask"), prompt))
            wish = chosen(typed, choices)
            if wish is not None:
                return wish  # type: ignore[return-value] # one of the choices

    async def _do(self, wish: Wish) -> None:
        match wish:
            case "leave":
                self.was_left = True
            case "cancel":
                self._cancelled = True
                self._view.say(line(("cancelling", "warn"), " and undoing what was done"))
                with contextlib.suppress(TowpathError):  # it has ended, or is being stopped already
                    await self._engine.tell(
                        self._number, stimuli.Cancel(at=self._app.now(), by=self._manner.actor)
                    )
            case "go_on":
                pass

    # --- asking ------------------------------------------------------------------------------------------

    def _ask_if_asked(self) -> None:
        """Asks the first open question of a run that waits, where a person sits there; takes a settled one back."""
        run = self._run
        if run is None or not self._interactive or not self._manner.asks:
            return
        if self._dialogue is not None:
            if self._asked is not None and not self._is_still_asked(run, self._asked):
                self._dialogue.cancel()
            return
        if run.status != "waiting":
            return
        asking = (run.nodes[path] for path in run.leaves if run.nodes[path].status == "asking")
        node = next((node for node in asking if self._is_to_be_asked(node)), None)
        if node is not None:
            self._settled.discard(node.path)
            self._asked = node
            self._view.tick(self._app.now())
            self._view.pause()
            dialogue = Dialogue(self._keyboard, actor=self._manner.actor, refusal=self._refusal_of(run, node))
            self._dialogue = asyncio.create_task(dialogue.ask(node, now=self._app.now()))

    def _refusal_of(self, run: Run, node: Node) -> Refusal:
        return lambda says, actor: refusal(self._app, run, node, says=says, actor=actor)

    def _is_to_be_asked(self, node: Node) -> bool:
        """Whether the person has not put the question off; once the run is cancelled, only rollbacks ask."""
        if self._cancelled and (node.question is None or node.question.kind != "rollback"):
            return False
        return _key(node) not in self._later

    def _is_still_asked(self, run: Run, node: Node) -> bool:
        now = run.nodes.get(node.path)
        return now is not None and now.status == "asking" and _key(now) == _key(node)

    async def _dialogue_ended(self) -> None:
        dialogue, asked = self._dialogue, self._asked
        assert dialogue is not None
        self._dialogue = self._asked = None
        try:
            said = dialogue.result()
        except asyncio.CancelledError:
            self._tell_settled(asked)
        except (EOFError, OSError):
            self._put_off(asked)
        else:
            if isinstance(said, Said):
                if await self._answer(said):
                    self._put_off(asked)  # its facts may not have come back yet
            elif isinstance(said, str):
                await self._do(said)
            else:
                self._put_off(asked)
        self._screen.say()
        self._view.resume()

    def _tell_settled(self, asked: Node | None) -> None:
        """Says who was quicker, or that the time was up, to somebody who is being asked."""
        row = self._app.reader.run(self._number)
        known = decided.histories(fact for _, fact in self._app.events(row))
        over = None if asked is None else known.get(asked.path)
        said = "it is not asked any more"
        if over is not None and over.ended_at is not None:
            said = over.sentence(when=words.moment(over.ended_at, now=self._app.now()))
            self._settled.add(over.path)
        self._screen.say()
        self._screen.say(("  ", "plain"), (safe(said), "warn"))

    # --- telling -----------------------------------------------------------------------------------------

    def _show_notices(self) -> None:
        lines = self._here.notices.taken(self._is_news, self._screen)
        if lines:
            self._view.say(*lines)

    def _is_news(self, notice: Notice) -> bool:
        """Whether somebody who follows this run needs to be told; what is asked at this keyboard, needs no announcement."""
        if notice.run != self._number:
            return True
        if notice.why in OVER:
            return notice.path not in self._settled
        run = self._run
        node = None if run is None else run.nodes.get(notice.path)
        if run is None or node is None or node.status != "asking":
            return False
        is_asked_here = self._interactive and self._manner.asks and run.status == "waiting"
        return notice.why in CLIMBING or not (is_asked_here or _key(node) in self._later)

    def _put_off(self, asked: Node | None) -> None:
        if asked is not None:
            self._later.add(_key(asked))

    async def _answer(self, said: Said) -> bool:
        """Tells the run what was said; whether it was taken."""
        answer = stimuli.Answered(
            at=self._app.now(),
            path=said.path,
            by=said.by,
            decision=said.decision,
            comment=said.comment,
            form=said.form,
            digest=said.digest or None,
            via="cli",
        )
        try:
            await self._engine.tell(self._number, answer)
        except TowpathError as error:
            self._screen.say(("error: ", "bad"), error.message)
            return False
        return True

    async def _end_dialogue(self) -> None:
        if self._dialogue is not None:
            self._dialogue.cancel()
            with contextlib.suppress(asyncio.CancelledError, EOFError, OSError):
                await self._dialogue
            self._dialogue = self._asked = None


async def _next(
    steps: asyncio.Queue[Step | Exception | None], *, until: float
) -> Step | Exception | _Over | None:
    """The next step, without a detour where one is there already; None when the time has come first."""
    if steps.empty():
        try:
            async with asyncio.timeout_at(until):
                found = await steps.get()
        except TimeoutError:
            return None
    else:
        found = steps.get_nowait()
    return _OVER if found is None else found


class _Over:
    """There are no more steps."""


_OVER = _Over()


def _key(node: Node) -> tuple[str, str, int]:
    """Which asking this is: the same question asked again after a retry is another one."""
    digest = node.question.digest if node.question is not None else ""
    return node.path, digest, node.attempt


def manner(*, actor: str, as_json: bool, plain: bool, no_ask: bool) -> Manner:
    """The manner that the options of a command name."""
    style: Style = "json" if as_json else "plain" if plain else "auto"
    return Manner(style=style, actor=actor, asks=not no_ask)
