"""What an engine should do with one small workflow, said as simply as possible and without looking at how the core does it.

The steps run one after the other, so a run is a position in a list, what it is doing there, and what it has to undo. Where this and the
engine disagree, one of them is wrong, and the documentation says which.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final, Literal, NamedTuple, TypeAlias

import yaml

TEXT: Final = """
name: simple
steps:
  - {id: a, run: make, rollback: [{id: a_back, run: undo}]}
  - {id: b, run: make, idempotent: true, retry: {attempts: 2, delay: 10s, jitter: false}}
  - {id: c, approve: "Go on?", who: ["group:x"], quorum: 2}
  - {id: d, wait: {signal: go}}
  - {id: e, run: make, on_failure: ask, rollback: [{id: e_back, run: undo, idempotent: true}]}
  - {id: f, wait: 1h}
"""
DOCUMENT: Final = yaml.safe_load(TEXT)
ORDER: Final = "abcdef"
UNDOABLE: Final = "ae"
IDEMPOTENT: Final = {"b", "e~rollback/e_back"}
RETRY_SECONDS: Final = 10
SLEEP_SECONDS: Final = 3_600
QUORUM: Final = 2
MEMBERS: Final = frozenset({"user:ann", "user:bob", "user:cy", "user:dee"})
STARTER: Final = "user:ann"

Doing: TypeAlias = Literal["performing", "retrying", "asking", "waiting", "ended"]


class View(NamedTuple):
    """What can be seen of a run from outside."""

    status: str
    path: str = ""
    """Of the one open leaf."""
    doing: str = ""
    attempt: int = 0
    question: str = ""
    answers: tuple[str, ...] = ()


@dataclass(slots=True)
class SimpleRun:
    """One run of the workflow, as it should be."""

    position: int = 0
    path: str = "a"
    doing: Doing = "performing"
    question: str = ""
    due: int = 0
    """In seconds, for what waits for time."""
    now: int = 0
    attempts: dict[str, int] = field(default_factory=lambda: {"a": 1})
    tries: int = 1
    answers: list[str] = field(default_factory=list)
    signals: int = 0
    """Kept, because nobody waited."""
    started: list[str] = field(default_factory=lambda: ["a"])
    """Steps that can be undone, in the order in which they began."""
    undoing: list[str] = field(default_factory=list)
    undone: bool = False
    gave_up: bool = False
    skipped: bool = False
    is_stopping: bool = False
    is_cancelled: bool = False
    undoes: bool = True
    why: str = ""
    """`failed`, `rejected` or `cancelled`, once it is going down."""
    status: str = ""

    @property
    def view(self) -> View:
        """What can be seen of it."""
        if self.doing == "ended":
            return View(self.status)
        status = "running" if self.doing == "performing" else "waiting"
        attempt = self.attempts[self.path] if self.doing == "performing" else 0
        return View(status, self.path, self.doing, attempt, self.question, tuple(self.answers))

    # ---- steps -----------------------------------------------------------------------------------------------------

    def step_ended(self, *, well: bool) -> None:
        """The attempt that is being performed ended."""
        if self.is_stopping:
            if well:
                self.is_stopping = False
            self._go_down("cancelled")
        elif well:
            self._step_succeeded()
        elif self.path == "b" and self.tries < 2:
            self.doing, self.due = "retrying", self.now + RETRY_SECONDS
        elif self.path == "e":
            self._ask("failure")
        elif "~" in self.path:
            self._ask("rollback", self.path.partition("/")[0])
        else:
            self._go_down("failed")

    def process_died(self) -> None:
        """The process that performed is gone, and another one goes on."""
        if self.doing != "performing":
            return
        if self.is_stopping:
            self._go_down("cancelled")
        elif self.path in IDEMPOTENT:
            self._attempt(self.path, is_fresh=False)
        else:
            self._ask("unknown")

    # ---- people ----------------------------------------------------------------------------------------------------

    def answer(self, by: str, decision: str) -> bool:  # noqa: C901, PLR0912 - a table of words and what they lead to
        """Somebody answers; whether that is taken."""
        if self.doing != "asking" or decision not in self.choices:
            return False
        if self.question == "approval":
            return self._decide(by, decision)
        question, self.question = self.question, ""
        match question, decision:
            case "unknown", "done":
                self._step_succeeded()
            case "unknown", "retry":
                self._attempt(self.path, is_fresh=True)
            case "unknown", "failed":
                self.doing = "performing"
                self.tries = 2
                self.step_ended(well=False)
            case "unknown", "skip":
                self.skipped = True
                self._step_succeeded()
            case "failure", "retry":
                self._begin(self.path)
            case "failure", "skip":
                self.skipped = True
                self._next()
            case "failure", "rollback":
                self._go_down("failed")
            case "failure", "stop":
                self.undoes = False
                self._go_down("failed")
            case "rollback", "retry":
                self._attempt(f"{self.path}/{self.path[0]}_back", is_fresh=True)
            case "rollback", "done":
                self._undone()
            case "rollback", "give_up":
                self.gave_up = True
                self._undo_next()
            case _:
                raise AssertionError((question, decision))
        return True

    @property
    def choices(self) -> tuple[str, ...]:
        """The words that answer what is asked."""
        return {
            "approval": ("approve", "reject"),
            "failure": ("retry", "skip", "rollback", "stop"),
            "unknown": ("done", "retry", "skip", "failed"),
            "rollback": ("retry", "done", "give_up"),
        }.get(self.question, ())

    def _decide(self, by: str, decision: str) -> bool:
        if by not in MEMBERS or by in self.answers or (by == STARTER and decision == "approve"):
            return False
        self.answers.append(by)
        if decision == "reject":
            self._go_down("rejected")
        elif len(self.answers) == QUORUM:
            self._next()
        return True

    def retry(self) -> bool:
        """Somebody has the step run again; whether that is taken."""
        if self.doing == "retrying":
            self._attempt(self.path, is_fresh=False)
            return True
        return self.answer("user:bob", "retry")

    def skip(self) -> bool:
        """Somebody passes over the step; whether that is taken."""
        if self.doing == "retrying":
            self.skipped = True
            self._next()
            return True
        return self.answer("user:bob", "skip")

    def cancel(self, *, undoes: bool) -> bool:
        """Somebody stops the run; whether that is taken."""
        if self.doing == "ended" or self.why or self.is_cancelled:
            return False
        self.is_cancelled = True
        self.undoes = self.undoes and undoes
        if self.doing == "performing":
            self.is_stopping = True
        else:
            self._go_down("cancelled")
        return True

    def signal(self) -> bool:
        """A signal comes; it is kept where nobody waits."""
        if self.doing == "ended":
            return False
        if self.doing == "waiting" and self.path == "d":
            self._next()
        else:
            self.signals += 1
        return True

    # ---- time ------------------------------------------------------------------------------------------------------

    def wind(self, seconds: int) -> None:
        """Time passes."""
        self.now += seconds
        if self.doing == "retrying" and self.due <= self.now:
            self._attempt(self.path, is_fresh=False)
        elif self.doing == "waiting" and self.path == "f" and self.due <= self.now:
            self._next()

    # ---- going on --------------------------------------------------------------------------------------------------

    def _step_succeeded(self) -> None:
        if "~" in self.path:
            self._undone()
        else:
            self._next()

    def _next(self) -> None:
        self.position += 1
        if self.position == len(ORDER):
            self._end("partially_succeeded" if self.skipped else "succeeded")
        else:
            self._begin(ORDER[self.position])

    def _begin(self, step: str) -> None:
        self.path, self.question, self.answers = step, "", []
        match step:
            case "c":
                self._ask("approval")
            case "d" if self.signals:
                self.signals -= 1
                self._next()
            case "d":
                self.doing = "waiting"
            case "f":
                self.doing, self.due = "waiting", self.now + SLEEP_SECONDS
            case _:
                if step in UNDOABLE:
                    self.started = [*(one for one in self.started if one != step), step]
                self._attempt(step, is_fresh=True)

    def _attempt(self, path: str, *, is_fresh: bool) -> None:
        self.path, self.doing, self.question = path, "performing", ""
        self.attempts[path] = self.attempts.get(path, 0) + 1
        self.tries = 1 if is_fresh else self.tries + 1

    def _ask(self, question: str, path: str | None = None) -> None:
        self.path, self.doing, self.question = path or self.path, "asking", question

    # ---- going down ------------------------------------------------------------------------------------------------

    def _go_down(self, why: str) -> None:
        self.why, self.is_stopping, self.question, self.answers = why, False, "", []
        self.undoing = list(self.started) if self.undoes else []
        self._undo_next()

    def _undone(self) -> None:
        self.undone = True
        self._undo_next()

    def _undo_next(self) -> None:
        self.question = ""
        if self.undoing:
            step = self.undoing.pop()
            self._attempt(f"{step}~rollback/{step}_back", is_fresh=True)
        elif self.gave_up:
            self._end("rollback_failed")
        elif self.why in ("rejected", "cancelled"):
            self._end(self.why)
        else:
            self._end("rolled_back" if self.undone else "failed")

    def _end(self, status: str) -> None:
        self.doing, self.status = "ended", status
