"""A question to a person at a terminal: what is asked, the evidence, the choices, the form."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from towpath.cli.views import summary
from towpath.cli.views.lines import Line, Screen, Span, first_line, line, safe, wrap
from towpath.cli.watching.terminal import Keyboard
from towpath.core.run import Json, Micros, Node, Path, Question
from towpath.definition.inputs import from_text, problems_of
from towpath.definition.model import Input
from towpath.observe import words
from towpath.people import choices as choice_words

LATER = "later"
Refusal: TypeAlias = Callable[[str, str], str]
"""Why somebody may not give an answer: the choice and the actor; empty where they may."""
_EXPLAINED: Mapping[tuple[str, str], str] = {
    ("failure", "retry"): "run the step again",
    ("failure", "skip"): "pass over it and go on",
    ("failure", "rollback"): "fail, and undo what was done",
    ("failure", "stop"): "end the run and leave everything as it is",
    ("unknown", "done"): "it did its work",
    ("unknown", "retry"): "run it again",
    ("unknown", "skip"): "pass over it and go on",
    ("unknown", "failed"): "it failed",
    ("rollback", "retry"): "try the rollback again",
    ("rollback", "done"): "you have undone it by hand",
    ("rollback", "give_up"): "leave it; the run ends as rollback_failed",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """What a person answered."""

    path: Path
    decision: str
    by: str
    comment: str = ""
    form: Mapping[str, Json] = field(default_factory=dict)
    digest: str = ""


def question_lines(node: Node, screen: Screen, *, now: Micros) -> tuple[Line, ...]:
    """What is asked, with its instructions and its evidence."""
    question = node.question
    assert question is not None
    title = first_line(question.text)
    made: list[Line] = [line(("? ", "ask"), (title, "name"), (f"  {safe(node.path)}", "dim"))]
    rest = question.text.strip().split("\n", 1)
    texts = [*(rest[1:]), question.instructions or ""]
    for text in texts:
        made += [line(f"  {row}") for part in text.splitlines() for row in wrap(safe(part), screen.width - 2)]
    made += [line("  ", (text, "dim")) for text in _conditions(question, node, now=now)]
    evidence = summary.values_lines("  shows", question.evidence, screen) if question.evidence else []
    return (*made, *evidence)


def _conditions(question: Question, node: Node, *, now: Micros) -> list[str]:
    found = []
    if question.who:
        found.append(f"asked: {safe(', '.join(question.who))}")
    if question.quorum > 1:
        given = [safe(answer.by) for answer in node.answers if answer.decision == "approve"]
        found.append(f"{len(given)} of {question.quorum} approvals{': ' if given else ''}{', '.join(given)}")
    if question.due is not None:
        silence = f"then {choice_words.silence(question.if_unanswered)}" if question.if_unanswered else ""
        when = f"until {words.moment(question.due, now=now)} ({words.ahead(question.due, now=now)})"
        found.append(f"{when}, {silence}" if silence else when)
    return found


def letters(choices: Sequence[str]) -> dict[str, str]:
    """A letter for each choice: the first of its letters that is still free."""
    found: dict[str, str] = {}
    for choice in choices:
        letter = next((one for one in choice if one.isalpha() and one not in found), None)
        if letter is not None:
            found[letter] = choice
    return found


def chosen(typed: str, choices: Sequence[str]) -> str | None:
    """The choice that was typed: its letter, its name or a beginning of it that fits only one."""
    typed = typed.strip().lower().replace(" ", "_")
    if typed in choices:
        return typed
    if (choice := letters(choices).get(typed)) is not None:
        return choice
    fitting = [choice for choice in choices if typed and choice.startswith(typed)]
    return fitting[0] if len(fitting) == 1 else None


def choices_line(choices: Sequence[str]) -> Line:
    """`[a]pprove  [r]eject  [l]ater`."""
    spans: list[Span] = []
    for letter, choice in letters(choices).items():
        before, _, after = choice.partition(letter)
        spans += [(f"{before}[", "dim"), (letter, "ask"), (f"]{after}  ".replace("_", " "), "dim")]
    return (*spans[:-1], (spans[-1][0].rstrip(), "dim")) if spans else ()


class Dialogue:
    """Asks a person everything that an answer needs."""

    def __init__(self, keyboard: Keyboard, *, actor: str, refusal: Refusal) -> None:
        self._keyboard = keyboard
        self._refusal = refusal
        self._actor = actor

    async def ask(self, node: Node, *, now: Micros) -> Said | None:
        """The answer to the question of *node*; None where the person wants to answer later."""
        screen = self._keyboard.screen
        question = node.question
        assert question is not None
        screen.show((), *question_lines(node, screen, now=now))
        self._explain(question)
        self._say_what_stands_against(question)
        decision = await self._decision(question)
        if decision is None:
            return None
        actor = await self._who(decision)
        if actor is None:
            return None
        form: dict[str, Json] = {}
        if question.form and decision in ("approve", "done"):
            form = await self._form(question)
        comment = await self._keyboard.ask(line(("❯ ", "ask"), "comment ", ("(may be empty)", "dim")))
        return Said(
            path=node.path,
            decision=decision,
            by=actor,
            comment=comment,
            form=form,
            digest=question.digest,
        )

    def _explain(self, question: Question) -> None:
        for choice in question.choices:
            why = _EXPLAINED.get((question.kind, choice))
            if why:
                self._keyboard.screen.say("  ", (f"{choice.replace('_', ' '):<10}", "name"), (why, "dim"))

    def _say_what_stands_against(self, question: Question) -> None:
        """Somebody who may not give the good answer reads that before they choose."""
        refused = self._refusal(question.choices[0], self._actor) if question.choices else ""
        if refused:
            self._keyboard.screen.say("  ", (safe(refused), "warn"))

    async def _decision(self, question: Question) -> str | None:
        choices = (*question.choices, LATER)
        while True:
            typed = await self._keyboard.ask((("❯ ", "ask"), *choices_line(choices)))
            if not typed:
                continue
            decision = chosen(typed, choices)
            if decision == LATER:
                return None
            if decision is not None:
                return decision
            self._keyboard.screen.say(("  type one of: ", "warn"), ", ".join(choices))

    async def _who(self, decision: str) -> str | None:
        actor = self._actor
        while refused := self._refusal(decision, actor):
            self._keyboard.screen.say(("  ", "warn"), (safe(refused), "warn"))
            typed = await self._keyboard.ask(line(("❯ ", "ask"), "who are you? ", ("(empty: later)", "dim")))
            if not typed:
                return None
            actor = typed if ":" in typed else f"user:{typed}"
        return actor

    async def _form(self, question: Question) -> dict[str, Json]:
        found: dict[str, Json] = {}
        for name, raw in question.form.items():
            declared = Input.model_validate(dict(raw))
            value, is_given = await ask_field(self._keyboard, name, declared)
            if is_given:
                found[name] = value
        return found


async def ask_field(keyboard: Keyboard, name: str, declared: Input) -> tuple[Json, bool]:
    """The value of one field of a form, asked again until it fits, and whether there is one."""
    kind = ", ".join(map(str, declared.enum)) if declared.enum else declared.type
    optional = declared.has_default or declared.required is not True
    default = f" [{summary.value_text(declared.default)}]" if declared.has_default else ""
    label = first_line(declared.title or name)
    while True:
        typed = await keyboard.ask(line(("❯ ", "ask"), label, (f" ({kind}){default}", "dim")))
        if not typed and optional:
            return declared.default, declared.has_default
        value = from_text(typed, declared)
        problems = problems_of(name, value, declared) if typed else [f"`{name}` is required"]
        if not problems:
            return value, True
        for problem in problems:
            keyboard.screen.say(("  ", "warn"), (safe(problem), "warn"))
