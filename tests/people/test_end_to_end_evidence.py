"""What an approval shows changes after the question: what was said about the old one is void, it is asked again, and the record says why."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest
from end_to_end_support import office, opened, question, tow, until_asked, until_noticed

from engines.engine_support import Bench, dying, embedded, until
from towpath.core import events, stimuli
from towpath.errors import Refused
from towpath.store.contract import RunNumber

PLANNED = """
inputs: {size: {type: string, default: small}}
steps:
  - id: gate
    approve: Apply the plan?
    who: ["group:managers", "group:leads"]
    quorum: 2
    show: {plan: {file: plan.txt}, size: "${{ inputs.size }}"}
  - {id: after, uses: stage.act, with: {name: apply}}
"""
REMADE = """
steps:
  - {id: plan, uses: stage.act, with: {name: plan}}
  - id: gate
    approve: Apply the plan?
    who: ["group:managers", "group:leads"]
    quorum: 2
    show: {plan: "${{ steps.plan.outputs.text }}"}
    send_back_to: plan
  - {id: after, uses: stage.act, with: {name: apply}}
"""


def plan(folder: Path, text: str) -> None:
    """Writes the plan that the gate shows."""
    (folder / "plan.txt").write_text(text)


def record(bench: Bench, run: RunNumber) -> list[str]:
    """What became of the answers, in order."""
    told = []
    for fact in bench.events(run):
        match fact:
            case events.AnswerGiven(answer=answer):
                told.append(f"{answer.by} {answer.decision}")
            case events.AnswersVoided(reason=reason):
                told.append(f"void: {reason}")
            case events.StepsReset(by=by, comment=comment, paths=paths):
                told.append(f"{by} sent back {', '.join(paths)}: {comment}")
            case _:
                pass
    return told


async def test_a_plan_that_changes_voids_what_was_said_about_it(tmp_path: Path) -> None:
    """The second approval finds that the file is another one: neither counts, and all are asked about the new one."""
    plan(tmp_path, "one server more\n")
    async with office(tmp_path, release=PLANNED) as bench:
        run = await bench.start("release")
        before = await until_asked(bench, run)
        await bench.answer(run, "gate", "approve", by="user:bob", digest=before.digest)
        plan(tmp_path, "every server gone\n")
        bench.wind(60)
        with pytest.raises(Refused, match="asked again"):
            await bench.answer(run, "gate", "approve", by="user:cy", digest=before.digest)
        after = question(bench, run)
        held = bench.state(run).nodes["gate"]
        told_again = [("Fri 20 Nov 16:01 CET", "voided", f"user:{who}") for who in ("bob", "cy", "dora")]
        await until_noticed(bench, run, told_again, "voided")
        for who in ("bob", "dora"):
            await bench.answer(run, "gate", "approve", by=f"user:{who}", digest=after.digest)
        ended = await bench.to_end(run)
        shown = (await tow(bench, "show", str(run), "--timeline")).stdout

        assert [one.evidence["plan"]["text"] for one in (before, after)] == [
            "one server more\n",
            "every server gone\n",
        ]
        assert (held.answers, after.asked_at - before.asked_at) == ((), 60_000_000)
        assert record(bench, run) == [
            "user:bob approve",
            "void: plan changed after the question was asked",
            "user:bob approve",
            "user:dora approve",
        ]
        assert (ended.status, bench.stage.performed) == ("succeeded", ["apply"])
        assert "plan changed after the question was asked" in shown


@pytest.mark.parametrize("via", ["the engine", "a letter"])
async def test_an_answer_that_names_nothing_is_no_answer_to_something_new(tmp_path: Path, via: str) -> None:
    """Who answers without saying what they saw has not seen what changed just now: it is asked again, and nothing is approved."""
    plan(tmp_path, "one server more\n")
    async with office(tmp_path, release=PLANNED.replace("quorum: 2", "quorum: 1")) as bench:
        run = await bench.start("release")
        await until_asked(bench, run)
        plan(tmp_path, "every server gone\n")
        bench.wind(60)
        with pytest.raises(Refused, match="asked again"):
            await answer_blindly(bench, run, via)

        assert record(bench, run) == ["void: plan changed after the question was asked"]
        await answer_blindly(bench, run, via)
        assert (await bench.to_end(run)).status == "succeeded"


async def answer_blindly(bench: Bench, run: RunNumber, via: str) -> None:
    """An approval without a digest, as programs may send it."""
    if via == "the engine":
        await bench.answer(run, "gate", "approve")
        return
    said = stimuli.Answered(at=bench.home.clock.now(), path="gate", by="user:bob", decision="approve")
    row = bench.app.reader.run(run)
    await asyncio.to_thread(bench.home.app().tell, row, said)


@pytest.mark.parametrize(
    ("change", "shown"),
    [
        (lambda file: file.unlink(), {"error": "no such file or directory"}),
        (
            lambda file: file.write_bytes(b"x" * (1024 * 1024 + 1)),
            {"error": "larger than EVIDENCE_BYTES_MAX (1048576 bytes)"},
        ),
        (lambda file: file.write_bytes(b"y" * (64 * 1024) + b"z"), {"text": "y" * 64 * 1024}),
    ],
    ids=["it is gone", "it is too large", "it differs behind what is shown"],
)
async def test_every_change_of_a_file_counts(
    tmp_path: Path, change: Callable[[Path], object], shown: dict[str, str]
) -> None:
    """A file that is gone, too large to be shown, or differs in its last byte only, voids what was said about it."""
    plan(tmp_path, "y" * (64 * 1024) + "w")
    async with office(tmp_path, release=PLANNED) as bench:
        run = await bench.start("release")
        before = await until_asked(bench, run)
        change(tmp_path / "plan.txt")
        with pytest.raises(Refused, match="asked again"):
            await bench.answer(run, "gate", "approve", digest=before.digest)

        assert record(bench, run) == ["void: plan changed after the question was asked"]
        assert shown.items() <= question(bench, run).evidence["plan"].items()


async def test_a_plan_that_changes_while_no_process_is_there(tmp_path: Path) -> None:
    """The digest outlives the process: what changed between two of them voids the answers that the first one took."""
    home = opened(tmp_path, release=PLANNED)
    plan(tmp_path, "one server more\n")
    async with dying(home) as first:
        run = await first.start("release")
        before = await until_asked(first, run)
        await first.answer(run, "gate", "approve", by="user:bob", digest=before.digest)
    plan(tmp_path, "every server gone\n")
    async with embedded(home) as second:
        await second.engine.resume(run)
        with pytest.raises(Refused, match="asked again"):
            await second.answer(run, "gate", "approve", by="user:cy", digest=before.digest)

        assert record(second, run) == ["user:bob approve", "void: plan changed after the question was asked"]
    home.close()


async def test_a_plan_that_stays_is_read_again_and_nothing_happens(tmp_path: Path) -> None:
    """Writing the same plan once more voids nothing."""
    plan(tmp_path, "one server more\n")
    async with office(tmp_path, release=PLANNED) as bench:
        run = await bench.start("release")
        asked = await until_asked(bench, run)
        for who in ("bob", "cy"):
            plan(tmp_path, "one server more\n")
            await bench.answer(run, "gate", "approve", by=f"user:{who}", digest=asked.digest)

        assert (await bench.to_end(run)).status == "succeeded"
        assert record(bench, run) == ["user:bob approve", "user:cy approve"]


async def test_a_plan_that_is_made_anew_is_asked_about_anew(tmp_path: Path) -> None:
    """Sent back, the plan is made again: earlier approvals do not count for it, nor does an answer to what it was."""
    async with office(tmp_path, release=REMADE) as bench:
        bench.stage.answers("plan", {"text": "one server more"}, {"text": "two servers more"})
        run = await bench.start("release")
        before = await until_asked(bench, run)
        await bench.answer(run, "gate", "approve", by="user:bob", digest=before.digest)
        bench.wind(60)
        await bench.answer(
            run, "gate", "send_back", by="user:cy", comment="one is too few", digest=before.digest
        )
        await until(lambda: bench.stage.performed == ["plan", "plan"])
        after = await until_asked(bench, run)
        with pytest.raises(Refused, match="asked again"):
            await bench.answer(run, "gate", "approve", by="user:dora", digest=before.digest)
        for who in ("dora", "bob"):
            await bench.answer(run, "gate", "approve", by=f"user:{who}", digest=after.digest)
        ended = await bench.to_end(run)
        shown = (await tow(bench, "show", str(run), "--timeline")).stdout

        assert [one.evidence["plan"] for one in (before, after)] == ["one server more", "two servers more"]
        assert record(bench, run) == [
            "user:bob approve",
            "user:cy send_back",
            "user:cy sent back plan, gate: one is too few",
            "user:dora approve",
            "user:bob approve",
        ]
        assert (ended.nodes["gate"].outputs or {})["by"] == ["user:dora", "user:bob"]
        assert "one is too few" in shown


async def test_an_approval_is_bound_to_inputs_and_definition(tmp_path: Path) -> None:
    """The same question of a run with other inputs, or of an edited file, has another digest, and an answer to the one is none to the other."""
    plan(tmp_path, "one server more\n")
    async with office(tmp_path, release=PLANNED) as bench:
        same = [await bench.start("release"), await bench.start("release")]
        larger = await bench.start("release", size="large")
        bench.home.write("release", PLANNED + "  - {id: more, uses: stage.act, with: {name: more}}\n")
        edited = await bench.start("release")
        first, second, other, changed = [
            (await until_asked(bench, run)).digest for run in (*same, larger, edited)
        ]
        with pytest.raises(Refused, match="asked again"):
            await bench.answer(larger, "gate", "approve", digest=first)
        with pytest.raises(Refused, match="asked again"):
            await bench.answer(edited, "gate", "approve", digest=first)

        assert first == second
        assert len({first, other, changed}) == 3
        assert [record(bench, run) for run in (larger, edited)] == [[], []]


async def test_a_run_that_was_asked_about_keeps_its_definition(tmp_path: Path) -> None:
    """Editing the file while people are asked changes nothing of the run: it executes what was approved."""
    plan(tmp_path, "one server more\n")
    async with office(tmp_path, release=PLANNED.replace("quorum: 2", "quorum: 1")) as bench:
        run = await bench.start("release")
        asked = await until_asked(bench, run)
        bench.home.write("release", PLANNED.replace("name: apply", "name: something else"))
        await bench.answer(run, "gate", "approve", digest=asked.digest)
        await bench.to_end(run)

        assert bench.stage.performed == ["apply"]
