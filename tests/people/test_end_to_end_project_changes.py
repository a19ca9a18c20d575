"""towpath.yaml changes while people are asked: what it says now counts, for who may answer, when they are told, and who gets in."""

from __future__ import annotations

from pathlib import Path

import pytest
from end_to_end_support import PROJECT, office, settled, shown, told, until_asked, wind_to

from engines.engine_support import Bench
from towpath.core import events
from towpath.errors import Refused

GATE = """
steps:
  - id: gate
    approve: Release it?
    who: ["group:managers"]
    hours: office
    remind: 2h
"""
CHANGE = "environment: production\nsteps: [{id: a, uses: stage.act, with: {name: work}}]"


def rewrite(bench: Bench, old: str, new: str) -> None:
    """Edits the project's file."""
    file = bench.home.folder / "towpath.yaml"
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new))


async def test_who_leaves_may_not_answer_any_more_and_who_joins_may(tmp_path: Path) -> None:
    """Membership counts at the moment of the answer, not of the question."""
    async with office(tmp_path, gate=GATE) as bench:
        run = await bench.start("gate")
        await until_asked(bench, run)
        rewrite(bench, 'managers: ["user:bob", "user:cy"]', 'managers: ["user:cy", "user:dora"]')
        with pytest.raises(Refused, match="bob is not asked"):
            await bench.answer(run, "gate", "approve", by="user:bob")
        await bench.answer(run, "gate", "approve", by="user:dora")

        assert (await bench.to_end(run)).status == "succeeded"


async def test_a_holiday_that_is_declared_later_counts(tmp_path: Path) -> None:
    """Nobody is reminded on a holiday, though it was no holiday yet when the question was asked."""
    async with office(tmp_path, gate=GATE) as bench:
        run = await bench.start("gate")
        await until_asked(bench, run)
        rewrite(
            bench,
            "office: {time_zone: Europe/Berlin, ",
            'office: {time_zone: Europe/Berlin, holidays: ["2026-11-23"], ',
        )
        wind_to(bench, "2026-11-24 11:00")
        await settled(bench)

        assert told(bench, run) == ["Tue 24 Nov 10:00 CET reminder 1 → group:managers"]


async def test_a_freeze_that_is_declared_later_holds_what_is_scheduled(tmp_path: Path) -> None:
    """An approved change that waits for its window does not go in when a freeze was declared meanwhile."""
    async with office(tmp_path, now="2026-11-20 18:00", change=CHANGE) as bench:
        run = await bench.start("change")
        await bench.answer(run, "~gate_production", "approve", by="user:bob")
        rewrite(
            bench,
            'from: "2026-12-20 00:00", until: "2027-01-02 00:00"',
            'from: "2026-11-22 00:00", until: "2026-11-25 12:00"',
        )
        bench.wind(10 * 86_400)
        await bench.to_end(run)

        (entered,) = [fact for fact in bench.events(run) if isinstance(fact, events.EnvironmentEntered)]
        assert shown(entered.at) == "Wed 25 Nov 12:00 CET"


@pytest.mark.parametrize(
    "broken",
    ["people: [", "name: office\npeople: {users: 7}\n", None],
    ids=["a slip", "no people in it", "gone"],
)
async def test_while_the_file_has_errors_what_it_said_before_holds(
    tmp_path: Path, broken: str | None
) -> None:
    """A slip in the file neither lets anybody in nor stops anything; when it is mended, the new one counts."""
    async with office(tmp_path, gate=GATE) as bench:
        run = await bench.start("gate")
        await until_asked(bench, run)
        file = tmp_path / "towpath.yaml"
        file.unlink()
        if broken:
            file.write_text(broken)
        with pytest.raises(Refused, match="dora is not asked"):
            await bench.answer(run, "gate", "approve", by="user:dora")
        wind_to(bench, "2026-11-23 10:00")
        await settled(bench)
        assert told(bench, run) == ["Mon 23 Nov 10:00 CET reminder 1 → group:managers"]
        file.write_text(PROJECT.replace('managers: ["user:bob", "user:cy"]', 'managers: ["user:dora"]'))
        await bench.answer(run, "gate", "approve", by="user:dora")

        assert (await bench.to_end(run)).status == "succeeded"
