"""A run as its page needs it: its state, what happened to each step and when, folded in one go and gone on with where facts came.

A long run has a hundred thousand facts. Whoever looks at it again and again, as a page that follows it does, pays for the new ones only:
the last stories are kept, as far as they were folded. What a run was at an earlier moment is folded afresh and not kept.
"""

from __future__ import annotations

import itertools
import threading
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Final, Literal, TypeAlias

from towpath.core import events
from towpath.core.decide import new_run
from towpath.core.evolve import evolve
from towpath.core.run import Micros, Path, Run, RunId
from towpath.engines.summaries import awaited_in_words
from towpath.errors import NotFound
from towpath.observe.chronicle import Chronicle
from towpath.server.call import Call
from towpath.store import encoding
from towpath.store.contract import RunRow

STORIES_KEPT_MAX: Final = 32
"""Runs whose stories are kept between two looks."""
FACTS_KEPT_MAX: Final = 400_000
"""Facts of all stories that are kept together; of more, the one that was looked at longest ago goes first."""
SPANS_OF_A_STEP_MAX: Final = 200
"""Stretches of time that are kept of one step: of more, the last ones."""

Doing: TypeAlias = Literal["performing", "waiting", "asking", "retrying", "open", "checking"]


@dataclass(slots=True, kw_only=True)
class Span:
    """A stretch of time in which a step did one thing."""

    doing: Doing
    begin: Micros
    end: Micros | None = None
    attempt: int = 0
    outcome: str = ""
    """How it ended: `succeeded`, `failed`, …; empty where it went over into something else."""
    words: str = ""
    """What it waited for, or why it failed."""


@dataclass(slots=True)
class Story:
    """A run with its steps' stretches of time. Is changed by `go_on` only."""

    run: Run
    chronicle: Chronicle = field(default_factory=Chronicle)
    spans: dict[Path, list[Span]] = field(default_factory=dict)
    """By step, in the order of their beginning; frames have one, which lasts as long as they are open."""
    last_at: Micros = 0
    """When the last fact became true."""

    def go_on(self, fact: events.AnyEvent) -> None:
        """Takes in one fact."""
        self.run = evolve(self.run, fact)
        self.last_at = fact.at
        self.chronicle.note((fact,))
        self._note(fact)

    def _note(self, fact: events.AnyEvent) -> None:
        match fact:
            case events.StepStarted():
                is_leaf = fact.work is not None or fact.child is not None
                doing: Doing = (
                    "open" if not is_leaf else "checking" if fact.stage == "check" else "performing"
                )
                self._begin(fact.path, doing, fact.at, attempt=fact.attempt if is_leaf else 0)
            case events.StepRetrying():
                self._end(fact.path, fact.at, "failed", fact.error.message or fact.error.kind)
                self._begin(fact.path, "retrying", fact.at, attempt=fact.attempt)
            case events.WaitStarted():
                self._begin(fact.path, "waiting", fact.at, words=awaited_in_words(fact.awaited))
            case events.StepHeld():
                self._begin(fact.path, "waiting", fact.at, words=f"the gate of {fact.environment}")
            case events.PeopleAsked():
                self._begin(fact.path, "asking", fact.at, words=fact.question.text)
            case events.BodyEnded() | events.StepEnded():
                self._end(fact.path, fact.at, *_how(fact))
            case events.RunEnded():
                self._end_all(fact.at)
            case _:
                pass

    def _end_all(self, at: Micros) -> None:
        for path in self.spans:
            self._end(path, at)

    def _begin(self, path: Path, doing: Doing, at: Micros, *, attempt: int = 0, words: str = "") -> None:
        self._end(path, at)
        spans = self.spans.setdefault(path, [])
        if spans and spans[-1].doing == "open" and spans[-1].begin == at:
            spans.pop()  # it began by waiting
        spans.append(Span(doing=doing, begin=at, attempt=attempt, words=words))
        if len(spans) > SPANS_OF_A_STEP_MAX:
            del spans[1]

    def _end(self, path: Path, at: Micros, outcome: str = "", words: str = "") -> None:
        spans = self.spans.get(path)
        if spans and spans[-1].end is None:
            last = spans[-1]
            last.end, last.outcome, last.words = at, outcome, words or last.words


def _how(fact: events.BodyEnded | events.StepEnded) -> tuple[str, str]:
    """How a step ended, and what there is to say about it."""
    outcome = fact.outcome if isinstance(fact, events.BodyEnded) else fact.status
    if fact.error is not None:
        return outcome, fact.error.message or fact.error.kind
    return outcome, fact.reason if isinstance(fact, events.StepEnded) else ""


def story_of(call: Call, row: RunRow, at: int | None = None) -> Story:
    """The story of a run, up to now or up to its fact number *at*; raises NotFound where there are not so many."""
    if at is None:
        return _KEPT.story(call, row)
    story = _new(call, row)
    for _, _, record in itertools.islice(call.app.reader.events(row.number), at):
        story.go_on(encoding.decode(record))
    if story.run.sequence < at:
        raise NotFound(
            f"run {row.number} has {story.run.sequence:,} facts, and not {at:,}",
            help="move the slider to its end to see the run as it is now",
        )
    return story


def _new(call: Call, row: RunRow) -> Story:
    return Story(new_run(call.app.plans.find(row.definition, call.app.reader), row.id))


class _Kept:
    """The last stories, by data folder and run. One look at a run goes on with its story at a time."""

    def __init__(self) -> None:
        self._stories: OrderedDict[tuple[str, RunId], tuple[Story, threading.Lock]] = OrderedDict()
        self._lock = threading.Lock()

    def story(self, call: Call, row: RunRow) -> Story:
        key = (str(call.app.settings.data), row.id)
        with self._lock:
            kept = self._stories.pop(key, None) or (_new(call, row), threading.Lock())
            self._stories[key] = kept
            self._forget()
        story, lock = kept
        with lock:
            for _, _, record in call.app.reader.events(row.number, after=story.run.sequence):
                story.go_on(encoding.decode(record))
            return _snapshot(story)

    def _forget(self) -> None:
        facts = sum(story.run.sequence for story, _ in self._stories.values())
        while len(self._stories) > 1 and (len(self._stories) > STORIES_KEPT_MAX or facts > FACTS_KEPT_MAX):
            _, (story, _) = self._stories.popitem(last=False)
            facts -= story.run.sequence


def _snapshot(story: Story) -> Story:
    """The story as it is now, which does not change while a page is made of it."""
    return Story(run=story.run, chronicle=story.chronicle, spans=dict(story.spans), last_at=story.last_at)


_KEPT: Final = _Kept()
