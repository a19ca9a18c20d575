"""A question on the screen: what is asked, of whom, until when; the evidence in full; what people answered."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from towpath.cli.views.lines import Line, Screen, clip, first_line, line, safe, wrap
from towpath.core.run import Json, Micros, Node
from towpath.observe import words

EVIDENCE_LINES_MAX = 40
"""Lines of one piece of evidence that are shown before a decision."""
COMMENTS_SHOWN_MAX = 10


def question_lines(node: Node, screen: Screen, *, now: Micros) -> tuple[Line, ...]:
    """What is asked, with its instructions, what was said already, and all of its evidence."""
    question = node.question
    assert question is not None, f"{node.path} asks nothing"
    made: list[Line] = [
        line(("? ", "ask"), (first_line(question.text), "name"), (f"  {safe(node.path)}", "dim"))
    ]
    for text in (*question.text.strip().split("\n", 1)[1:], question.instructions or ""):
        made += [line(f"  {row}") for part in text.splitlines() for row in wrap(safe(part), screen.width - 2)]
    made += [clip(line(f"  {text}"), screen.width) for text in _said(node, now=now)]
    for name, value in question.evidence.items():
        made += _evidence(name, value, screen)
    return tuple(made)


def _said(node: Node, *, now: Micros) -> Iterator[str]:
    question = node.question
    assert question is not None, f"{node.path} asks nothing"
    if question.quorum > 1:
        given = [who(answer.by) for answer in node.answers if answer.decision == "approve"]
        yield f"{len(given)} of {question.quorum} approvals{': ' if given else ''}{', '.join(given)}"
    if node.claimed_by:
        yield f"{who(node.claimed_by)} takes care of it"
    for by, at, text in node.comments[-COMMENTS_SHOWN_MAX:]:
        yield f"{who(by)}, {words.ago(at, now=now)}: {first_line(text)}"


def _evidence(name: str, value: Json, screen: Screen) -> list[Line]:
    """One piece of evidence: a file's text, a text, or JSON over several lines."""
    title, text = _evidence_text(name, value)
    rows = text.splitlines() or [""]
    made = [line(("  ┃ ", "frame"), (title, "name"))]
    made += [clip(line(("  ┃ ", "frame"), safe(row)), screen.width) for row in rows[:EVIDENCE_LINES_MAX]]
    if len(rows) > EVIDENCE_LINES_MAX:
        made.append(line(("  ┃ ", "frame"), (f"… and {len(rows) - EVIDENCE_LINES_MAX:,} more lines", "dim")))
    return made


def _evidence_text(name: str, value: Json) -> tuple[str, str]:
    from towpath.cli.views import facts

    if isinstance(value, Mapping) and "file" in value and "digest" in value:
        where = f"{safe(name)}: {safe(str(value['file']))}"
        if value.get("error"):
            return where, f"cannot be shown: {value['error']}"
        return f"{where} (sha256 {str(value['digest'])[:12]})", str(value.get("text", ""))
    return safe(name), value if isinstance(value, str) else facts.json_text(value)


def who(actor: str) -> str:
    """A person's name as others read it."""
    return safe(actor.removeprefix("user:"))
