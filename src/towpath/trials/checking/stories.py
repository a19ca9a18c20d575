"""Stories in words: "build ok → scan fails twice → rolled back: build"."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from towpath.core import advance, events, new_run, stimuli
from towpath.core.plan import Plan
from towpath.core.run import Error, Path, Run
from towpath.trials.checking.exploring import RUN_ID, Story
from towpath.trials.checking.world import FAILED, Move

ARROW = " → "
_COUNTS = {1: "", 2: " twice"}


@dataclass(frozen=True, slots=True)
class _Beat:
    """One thing that happens: who, and what; neighbours that say the same of others are told in one breath."""

    verb: str
    subjects: tuple[str, ...]
    times: int = 1

    @property
    def text(self) -> str:
        names = _listed(self.subjects)
        match self.verb:
            case "ok":
                return f"{names} ok"
            case "rolled back":
                return f"rolled back: {', '.join(self.subjects)}"
            case "skipped":
                return f"{names} skipped"
            case "":
                return names
            case verb:
                return f"{names} {verb}{_COUNTS.get(self.times, f' {self.times} times')}"


def tell(plan: Plan, story: Story) -> tuple[str, ...]:
    """The beats of a story, told by playing it once more in the core."""
    beats: list[_Beat] = []
    if story.start.label:
        label = story.start.label
        beats.append(_Beat("", (label if label.startswith("started") else f"with {label}",)))
    run = advance(new_run(plan, RUN_ID), story.start.stimulus)
    beats.extend(_consequences(run.facts))
    now = run.run
    for move, told in story.steps:
        for stimulus in told:
            decision = advance(now, stimulus)
            if not isinstance(stimulus, stimuli.TimerFired) or len(told) == 1:
                passed = _passed(decision.run, move)
                beats.extend(_opening(now, move, passed=passed))
            beats.extend(_consequences(decision.facts))
            now = decision.run
    return tuple(beat.text for beat in _in_one_breath(beats))


def replayed(plan: Plan, story: Story) -> Run:
    """The run that a story leads to."""
    run = new_run(plan, RUN_ID)
    for stimulus in story.told():
        run = advance(run, stimulus).run
    return run


def _passed(run: Run, move: Move) -> bool:
    """Whether an attempt that did its work counts as a success after `success_when` and `outputs` had their say."""
    node = run.nodes.get(move.path)
    return node is None or (node.status not in ("failed", "retrying") and node.outcome != "failed")


def _opening(run: Run, move: Move, *, passed: bool) -> Iterator[_Beat]:
    """What a move is called."""
    name = name_of(move.path)
    extra = f" ({move.detail})" if move.detail else ""
    match move.verb:
        case "ok" if not passed:
            yield _Beat(f"does not pass{extra}", (name,))
        case "ok" if "~rollback" not in move.path:
            yield _Beat("ok", (name + extra,))
        case "fails":
            yield _failure(move, name)
        case "child" if move.detail in ("succeeded", "running"):
            yield _Beat("ok", (name,))
        case "answer":
            yield _answer(run, move, name)
        case verb if verb in _SENTENCES:
            yield _Beat("", (_SENTENCES[verb].format(name=name, detail=move.detail),))
        case verb if verb in _VERBS:
            yield _Beat(_VERBS[verb], (name,))
        case "window" | "place":
            what = "the window" if move.verb == "window" else "the place"
            yield _Beat("", (f"{what} of {name} {'is full' if move.detail == 'full' else 'opens'}",))
        case _:
            return


_VERBS: Mapping[str, str] = {
    "lost": "is interrupted",
    "stopped": "is stopped",
    "done_already": "is done already",
}
_SENTENCES: Mapping[str, str] = {
    "silence": "nobody answers {name} in time",
    "signal": "{detail} arrives for {name}",
    "timeout": "the time of {name} is up",
    "child": "{name}: its run ends {detail}",
    "cancel": "somebody cancels the run",
}


def _failure(move: Move, name: str) -> _Beat:
    words = {"timeout": "times out", "check": "cannot be checked"}
    verb = words.get(move.detail) or ("fails" + (f" ({move.detail})" if move.detail else ""))
    return _Beat(verb, (name,))


_SAID = {
    "approve": "approves",
    "reject": "rejects",
    "send_back": "sends back",
    "done": "has done",
    "failed": "could not do",
    "retry": "retries",
    "skip": "skips",
    "rollback": "rolls back",
    "stop": "stops the run at",
    "give_up": "gives up on",
}
_OF_UNKNOWN = {"done": "says that {} was done", "failed": "says that {} was not done"}


def _answer(run: Run, move: Move, name: str) -> _Beat:
    person, _, choice = move.detail.rpartition(" ")
    node = run.nodes.get(move.path)
    kind = node.question.kind if node is not None and node.question is not None else ""
    if kind == "unknown" and choice in _OF_UNKNOWN:
        return _Beat("", (f"{person} {_OF_UNKNOWN[choice].format(name)}",))
    if kind == "rollback" and choice == "done":
        return _Beat("", (f"{person} undoes {name} by hand",))
    return _Beat("", (f"{person} {_SAID.get(choice, choice)} {name}",))


def _consequences(facts: Sequence[events.AnyEvent]) -> Iterator[_Beat]:
    """What the run itself does about it that a reader has to know."""
    for fact in facts:
        match fact:
            case events.StepEnded(status="skipped", reason="condition", path=path):
                yield _Beat("skipped", (name_of(path),))
            case events.StepUndone(path=path, how="rolled_back"):
                yield _Beat("rolled back", (name_of(path),))
            case events.BodyEnded(path=path, error=error) | events.StepEnded(path=path, error=error) if (
                error is not None and is_own_failure(path, error)
            ):
                yield _Beat("", (f"{name_of(path)}: {first_words(error.message)}",))
            case _:
                pass


_JUDGED = "success_when does not hold"


def is_own_failure(path: Path, error: Error) -> bool:
    """Whether the run itself failed the step, because an expression could not be worked out."""
    is_made_up = error.message == FAILED or error.message.startswith(_JUDGED)
    return error.kind == "invalid" and error.step in (path, "") and not is_made_up


def _in_one_breath(beats: Sequence[_Beat]) -> Iterator[_Beat]:
    last: _Beat | None = None
    for beat in beats:
        if last is not None and last.verb == beat.verb and beat.verb in ("ok", "rolled back", "skipped"):
            last = replace(last, subjects=(*last.subjects, *beat.subjects))
        elif last is not None and last.verb == beat.verb and last.subjects == beat.subjects and beat.verb:
            last = replace(last, times=last.times + 1)
        else:
            if last is not None:
                yield last
            last = beat
    if last is not None:
        yield last


MESSAGE_CHARS_MAX = 160


def first_words(message: str) -> str:
    """A message on one line, not too long."""
    text = " ".join(message.split())
    return text if len(text) <= MESSAGE_CHARS_MAX else f"{text[: MESSAGE_CHARS_MAX - 1]}…"


def name_of(path: Path) -> str:
    """What a story calls a step: its own name, with its item, and whose handler it is in."""
    if not path:
        return "the run"
    if path.startswith("~gate_"):
        return f"the gate of {path.removeprefix('~gate_')}"
    owner, tilde, handler = path.rpartition("~")
    if not tilde:
        return _short(path)
    name, slash, rest = handler.partition("/")
    if not owner and (not slash or _short(rest).isdigit()):
        return name
    whose = _short(owner) if owner else "the run"
    if not slash:
        return f"the {name.replace('_', ' ')} of {whose}"
    step = _short(rest)
    return (
        f"the {name.replace('_', ' ')} of {whose}" if step.isdigit() else f"{step} ({name.replace('_', ' ')})"
    )


def _short(path: Path) -> str:
    """The last step of a path, with the items that it stands in."""
    parts = path.split("/")
    items = "".join(f"[{part.partition('[')[2]}" for part in parts[:-1] if _names_item(part))
    return parts[-1] + items


def _names_item(part: Path) -> bool:
    """Whether a part of a path names an item, and not the number of a branch or of a round."""
    return "[" in part and not part.partition("[")[2].rstrip("]").isdigit()


def _listed(names: Sequence[str]) -> str:
    if len(names) == 1:
        return names[0]
    return f"{', '.join(names[:-1])} and {names[-1]}"
