"""Nobody answers over a weekend: reminders and rungs come in office hours, to the minute, and then what the file says happens."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest
from end_to_end_support import FRIDAY, ended_at, notices, office, opened, told, until_noticed, wind_to

from engines.engine_support import dying, embedded
from towpath.core import stimuli
from towpath.definition.problems import DefinitionProblems
from towpath.errors import TowpathError

GATE = """
steps:
  - id: gate
    approve: Release it?
    who: ["group:managers"]
    LADDER
  - {id: after, uses: stage.act, with: {name: "${{ steps.gate.outputs.decision }}"}}
"""
Ladder = Mapping[str, str]
IN_OFFICE_HOURS: Ladder = {
    "hours": "office",
    "answer_within": "12h",
    "if_unanswered": "reject",
    "remind": "4h",
    "escalate": '[{after: 2h, to: ["group:leads"]}, {after: 8h, to: ["group:owners"]}]',
}


def gate(ladder: Ladder) -> str:
    """A workflow with one gate, and a step after it that performs what was decided."""
    return GATE.replace("LADDER", "\n    ".join(f"{key}: {value}" for key, value in ladder.items()))


WEEKENDS: dict[str, tuple[str, Ladder, list[str], str]] = {
    "a weekend": (
        FRIDAY,
        IN_OFFICE_HOURS,
        [
            "Mon 23 Nov 10:00 CET rung 1 → group:leads",
            "Mon 23 Nov 12:00 CET reminder 1 → group:managers, group:leads",
            "Mon 23 Nov 16:00 CET rung 2 → group:owners",
            "Mon 23 Nov 16:00 CET reminder 2 → group:managers, group:leads, group:owners",
        ],
        "Tue 24 Nov 12:00 CET",
    ),
    "a holiday on Monday": (
        FRIDAY,
        {**IN_OFFICE_HOURS, "hours": "with_holiday"},
        [
            "Tue 24 Nov 10:00 CET rung 1 → group:leads",
            "Tue 24 Nov 12:00 CET reminder 1 → group:managers, group:leads",
            "Tue 24 Nov 16:00 CET rung 2 → group:owners",
            "Tue 24 Nov 16:00 CET reminder 2 → group:managers, group:leads, group:owners",
        ],
        "Wed 25 Nov 12:00 CET",
    ),
    "three days, of which the weekend counts nothing": (
        FRIDAY,
        {"hours": "office", "answer_within": "3d", "if_unanswered": "reject", "remind": "1d"},
        [
            "Wed 25 Nov 16:00 CET reminder 1 → group:managers",
            "Mon 30 Nov 16:00 CET reminder 2 → group:managers",
        ],
        "Thu 03 Dec 16:00 CET",
    ),
    "no hours: the weekend counts": (
        FRIDAY,
        {
            "answer_within": "3d",
            "if_unanswered": "reject",
            "remind": "1d",
            "escalate": '[{after: 36h, to: ["group:leads"]}]',
        },
        [
            "Sat 21 Nov 16:00 CET reminder 1 → group:managers",
            "Sun 22 Nov 04:00 CET rung 1 → group:leads",
            "Sun 22 Nov 16:00 CET reminder 2 → group:managers, group:leads",
        ],
        "Mon 23 Nov 16:00 CET",
    ),
    "the clocks go back at the weekend, while the office is closed": (
        "2026-10-23 16:00",
        IN_OFFICE_HOURS,
        [
            "Mon 26 Oct 10:00 CET rung 1 → group:leads",
            "Mon 26 Oct 12:00 CET reminder 1 → group:managers, group:leads",
            "Mon 26 Oct 16:00 CET rung 2 → group:owners",
            "Mon 26 Oct 16:00 CET reminder 2 → group:managers, group:leads, group:owners",
        ],
        "Tue 27 Oct 12:00 CET",
    ),
    "the clocks go back in the night, and an hour comes twice": (
        "2026-10-23 16:00",
        {"hours": "nights", "answer_within": "13h", "if_unanswered": "reject", "remind": "2h"},
        [
            "Sat 24 Oct 02:00 CEST reminder 1 → group:managers",
            "Sat 24 Oct 04:00 CEST reminder 2 → group:managers",
            "Sun 25 Oct 00:00 CEST reminder 3 → group:managers",
            "Sun 25 Oct 02:00 CEST reminder 4 → group:managers",
            "Sun 25 Oct 03:00 CET reminder 5 → group:managers",
            "Sun 25 Oct 05:00 CET reminder 6 → group:managers",
        ],
        "Sun 25 Oct 06:00 CET",
    ),
    "the clocks go forward in the night, and an hour is missing": (
        "2026-03-27 16:00",
        {"hours": "nights", "answer_within": "11h", "if_unanswered": "reject", "remind": "2h"},
        [
            "Sat 28 Mar 02:00 CET reminder 1 → group:managers",
            "Sat 28 Mar 04:00 CET reminder 2 → group:managers",
            "Sun 29 Mar 00:00 CET reminder 3 → group:managers",
            "Sun 29 Mar 03:00 CEST reminder 4 → group:managers",
            "Sun 29 Mar 05:00 CEST reminder 5 → group:managers",
        ],
        "Sun 29 Mar 06:00 CEST",
    ),
}
"""When it is asked, the gate's keys, what people are told and when, and when silence counts."""


@pytest.mark.parametrize(("asked", "ladder", "expected", "end"), WEEKENDS.values(), ids=WEEKENDS.keys())
async def test_nobody_answers(
    tmp_path: Path, asked: str, ladder: Ladder, expected: list[str], end: str
) -> None:
    """Of a question that nobody answers, every reminder and rung comes at its moment, and so does its end."""
    async with office(tmp_path, now=asked, weekend=gate(ladder)) as bench:
        run = await bench.start("weekend")
        bench.wind(20 * 86_400)
        ended = await bench.to_end(run)

        assert (told(bench, run), ended_at(bench, run)) == (expected, end)
        assert ended.status == "rejected"


async def test_the_right_people_are_told_at_the_moment_and_not_a_second_before(tmp_path: Path) -> None:
    """A second before each moment the outbox has nothing new; at the moment it has a notice for everybody who was asked by then."""
    moments = {
        "Mon 23 Nov 10:00 CET": [("rung", "dora")],
        "Mon 23 Nov 12:00 CET": [("reminder", name) for name in ("bob", "cy", "dora")],
        "Mon 23 Nov 16:00 CET": [
            *(("reminder", name) for name in ("bob", "cy", "dora", "eve")),
            ("rung", "eve"),
        ],
    }
    expected = [("Fri 20 Nov 16:00 CET", "asked", f"user:{name}") for name in ("bob", "cy")]
    async with office(tmp_path, weekend=gate(IN_OFFICE_HOURS)) as bench:
        run = await bench.start("weekend")
        for moment, more in moments.items():
            await until_noticed(bench, run, expected)
            wind_to(bench, f"2026-11-23 {moment[11:16]}", less_seconds=1)
            await bench.tell(
                run, stimuli.Commented, path="gate", by="user:bob", text="durable after all that came before"
            )
            assert notices(bench, run) == expected
            bench.wind(1)
            expected += [(moment, why, f"user:{name}") for why, name in more]
        await until_noticed(bench, run, expected)


@pytest.mark.parametrize(
    ("if_unanswered", "status", "kind", "performed"),
    [
        ("reject", "rejected", "rejected", []),
        ("approve", "succeeded", "", ["approved"]),
        ("fail", "failed", "unanswered", []),
        ("continue", "succeeded", "", ["none"]),
    ],
)
async def test_silence_means_what_the_file_says(
    tmp_path: Path, if_unanswered: str, status: str, kind: str, performed: list[str]
) -> None:
    """When the time is over, the declared outcome happens, and nothing else; a late answer is refused."""
    async with office(tmp_path, weekend=gate({**IN_OFFICE_HOURS, "if_unanswered": if_unanswered})) as bench:
        run = await bench.start("weekend")
        wind_to(bench, "2026-11-24 12:00", less_seconds=1)
        await bench.tell(run, stimuli.Commented, path="gate", by="user:bob", text="still open")
        bench.wind(1)
        ended = await bench.to_end(run)
        with pytest.raises(TowpathError):
            await bench.answer(run, "gate", "approve")

        assert ended_at(bench, run) == "Tue 24 Nov 12:00 CET"
        assert (ended.status, bench.stage.performed) == (status, performed)
        assert (ended.error.kind if ended.error else "") == kind


async def test_a_process_that_was_away_makes_up_for_it_when_the_office_opens(tmp_path: Path) -> None:
    """A process that died on Friday and is resumed on Sunday tells nobody on Sunday; on Monday all comes as it would have."""
    home = opened(tmp_path, weekend=gate(IN_OFFICE_HOURS))
    async with dying(home) as first:
        run = await first.start("weekend")
    home.clock.wind(2 * 86_400)
    async with embedded(home) as second:
        await second.engine.resume(run)
        second.wind(20 * 86_400)
        await second.to_end(run)

        assert (told(second, run), ended_at(second, run)) == WEEKENDS["a weekend"][2:]
    home.close()


async def test_a_process_that_was_away_too_long_tells_each_rung_once_and_then_it_is_over(
    tmp_path: Path,
) -> None:
    """What came due while no process was there happens at once and in order: every rung, and the end; missed reminders are not repeated."""
    home = opened(tmp_path, weekend=gate(IN_OFFICE_HOURS))
    async with dying(home) as first:
        run = await first.start("weekend")
    home.clock.wind(20 * 86_400)
    async with embedded(home) as second:
        await second.engine.resume(run)
        second.wind(0)
        await second.to_end(run)

        assert told(second, run) == [
            "Thu 10 Dec 16:00 CET rung 1 → group:leads",
            "Thu 10 Dec 16:00 CET rung 2 → group:owners",
        ]
        assert ended_at(second, run) == "Thu 10 Dec 16:00 CET"
    home.close()


@pytest.mark.parametrize("kind", ["approve: Release it?\n    who", "task: Tell support\n    assign"])
async def test_silence_without_a_meaning_cannot_be_loaded(tmp_path: Path, kind: str) -> None:
    """A workflow that limits the time to answer and does not say what silence means never becomes a run."""
    text = f'steps:\n  - id: gate\n    {kind}: ["group:managers"]\n    answer_within: 3d\n'
    async with office(tmp_path, silent=text, spoken=f"{text}    if_unanswered: continue\n") as bench:
        with pytest.raises(DefinitionProblems) as refused:
            await bench.start("silent")
        await bench.start("spoken")

        assert [row.workflow for row in bench.app.reader.runs()] == ["spoken"]
    (problem,) = refused.value.problems
    assert (problem.line, "if_unanswered" in problem.message) == (6, True)
