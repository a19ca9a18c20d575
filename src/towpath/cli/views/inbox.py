"""The inbox on the screen, and as data: what waits, why for this person, until when, and what to type."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from towpath.cli.views.lines import Line, Screen, clip, first_line, line, safe, wrap
from towpath.cli.views.questions import who
from towpath.observe import words
from towpath.people import choices
from towpath.people.inbox import Inbox, Item, Standing
from towpath.store.contract import Life, Microseconds, RunNumber

NAMES_SHOWN_MAX = 6
_TITLES: Mapping[Standing, str] = {
    "held": "asked, but not for you to decide",
    "answered": "you have answered; it takes more",
    "others": "for others",
}


def inbox_lines(
    found: Inbox,
    screen: Screen,
    *,
    now: Microseconds,
    person: str,
    lives: Mapping[RunNumber, Life],
    everything: bool = False,
) -> tuple[Line, ...]:
    """What waits for a person, the most urgent first, under a headline."""
    made: list[Line] = [_headline(found, person, everything=everything)]
    standing: Standing = "asked"
    for item in found.items:
        if item.standing != standing:
            standing = item.standing
            made += [(), line((_TITLES[standing], "warn"))]
        made += [(), *item_lines(item, screen, now=now, life=lives.get(item.run.number))]
    if found.left_out:
        made += [(), line((f"and {found.left_out:,} more; -n shows more of them", "dim"))]
    for number, more in found.unlisted.items():
        made += [
            (),
            line(
                (f"run {number} asks {more:,} more things than the list holds: ", "dim"),
                (f"tow answer {number}", "command"),
            ),
        ]
    return tuple(made)


def _headline(found: Inbox, person: str, *, everything: bool) -> Line:
    mine = sum(item.standing == "asked" for item in found.items)
    if everything:
        total = len(found.items) + found.left_out
        return line(
            words.counted(total, "open question") if total else "nobody is asked anything",
            (f", {mine} for {safe(person)}" if total else "", "dim"),
        )
    left = f" and {found.left_out:,} more" if found.left_out else ""
    waits = (
        f"{mine}{left} {'waits' if mine == 1 and not left else 'wait'}" if mine or left else "nothing waits"
    )
    return line((waits, "name"), f" for {safe(person)}")


def item_lines(
    item: Item, screen: Screen, *, now: Microseconds, life: Life | None = None
) -> tuple[Line, ...]:
    """One open question: what, why, until when, who else, what to type."""
    question = item.open.question
    where = f"{safe(item.run.workflow)} #{item.run.number}" + (
        f" in {safe(item.run.environment)}" if item.run.environment else ""
    )
    made = [
        clip(
            line(
                ("? ", "ask"), (first_line(question.text), "name"), (f"  {where}, {safe(item.path)}", "dim")
            ),
            screen.width,
        )
    ]
    for text in _texts(item, now=now):
        made += [line("  ", (row, "dim")) for row in wrap(text, screen.width - 2)]
    if item.reason:
        made += [line("  ", (row, "warn")) for row in wrap(safe(item.reason), screen.width - 2)]
    if item.warning and item.standing != "held":
        made += [
            line("  ", (row, "warn"))
            for row in wrap(f"as it stands, it cannot be decided: {safe(item.warning)}", screen.width - 2)
        ]
    if life in (Life.DEAD, Life.STOPPED):
        gone = "its process died" if life is Life.DEAD else "its process left"
        made.append(
            line(
                "  ",
                (f"{gone}; before it can be answered: ", "bad"),
                (f"tow resume {item.run.number}", "command"),
            )
        )
    made += [clip(line("  ", (command, "command")), screen.width) for command in _commands(item)]
    return tuple(made)


def _texts(item: Item, *, now: Microseconds) -> Iterator[str]:
    question = item.open.question
    why = "; ".join(safe(each.words) for each in item.because)
    yield f"asked {words.ago(item.since, now=now)} by a run of {who(item.run.started_by)}; goes to {why}"
    yield _silence(item, now=now)
    if item.next_rung is not None:
        rung = item.next_rung
        yield f"next: {rung.kind} {rung.number} {words.ahead(rung.at, now=now)}, to {safe(', '.join(rung.to))}"
    if question.kind == "approval" and (question.quorum > 1 or item.open.answers):
        given = [
            f"{who(one.by)} {words.ago(one.at, now=now)}"
            for one in item.open.answers
            if one.decision == "approve"
        ]
        by = f": {', '.join(given)}" if given else ""
        yield f"{len(given)} of {question.quorum} approvals{by}; {item.needed} more needed"
    if item.others:
        yield f"who else could: {_names(sorted(item.others))}"
    for later in item.later:
        yield f"from {words.moment(later.at, now=now)} also {_names(sorted(later.people))}"
    if item.claimed_by:
        yield f"{safe(item.claimed_by)} takes care of it"
    if item.open.comments:
        yield f"{words.counted(item.open.comments, 'comment')}: tow show {item.run.number}"


def _silence(item: Item, *, now: Microseconds) -> str:
    if item.until is None:
        return "no time limit; if nobody does anything, it goes on waiting"
    what = choices.silence(item.open.question.if_unanswered)
    return f"until {words.moment(item.until, now=now)} ({words.ahead(item.until, now=now)}), then {what}"


def _names(names: Sequence[str]) -> str:
    more = f" and {len(names) - NAMES_SHOWN_MAX} more" if len(names) > NAMES_SHOWN_MAX else ""
    return safe(", ".join(names[:NAMES_SHOWN_MAX])) + more


def _commands(item: Item) -> tuple[str, ...]:
    if item.standing != "others" and item.commands:
        return tuple(command.line for command in item.commands)
    return (f"tow show {item.run.number}",)
