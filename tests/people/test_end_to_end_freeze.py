"""A frozen environment lets nobody begin; an emergency breaks the glass, which everybody sees, and which somebody else has to review."""

from __future__ import annotations

from pathlib import Path

import pytest
from end_to_end_support import PROJECT, office, opened, settled, tow, until_driven, until_noticed, wind_to

from engines.engine_support import Bench, dying, embedded, until
from towpath.core import events
from towpath.errors import Refused
from towpath.people.review import NAME
from towpath.store.contract import RunFilter, RunNumber

FROZEN = "2026-12-22 11:00"
WORK = "uses: stage.act, with: {name: work}"
CHANGE = f"environment: production\nsteps: [{{id: a, {WORK}}}]"
PARENT = "steps: [{id: first, workflow: child}, {id: second, workflow: child}]"
WHY = "the shop is down"


async def break_glass(bench: Bench, name: str, *, by: str = "user:ann") -> RunNumber:
    """Starts a workflow without the rules of environments."""
    loaded = bench.app.find(name)
    request = bench.app.request(loaded, {}, started_by=by, break_glass=WHY)
    return (await bench.engine.start(request)).number


async def review_of(bench: Bench, run: RunNumber) -> RunNumber:
    """The one review that an emergency has left behind, when it asks."""
    found: list[RunNumber] = []

    def is_there() -> bool:
        rows = bench.app.reader.runs(RunFilter(origin=run, workflow=NAME))
        found[:] = [row.number for row in rows if row.summary.questions]
        return bool(found)

    await until(is_there)
    (one,) = found
    return await until_driven(bench, one)


# ---- the freeze ----------------------------------------------------------------------------------------------------


async def test_a_start_into_a_frozen_environment_is_refused(tmp_path: Path) -> None:
    """The refusal names the entry of the calendar, and says what can be done; nothing is accepted."""
    async with office(tmp_path, now=FROZEN, change=CHANGE) as bench:
        with pytest.raises(Refused) as refused:
            await bench.start("change")

        assert bench.app.reader.runs() == ()
    assert refused.value.message == (
        "production is frozen: the freeze 'Year end' (2026-12-20 00:00 to 2027-01-02 00:00) (calendar year_end)"
    )
    assert "--break-glass" in refused.value.help


@pytest.mark.parametrize(
    ("now", "less_seconds", "is_frozen"),
    [
        ("2026-12-20 00:00", 1, False),
        ("2026-12-20 00:00", 0, True),
        ("2027-01-02 00:00", 1, True),
        ("2027-01-02 00:00", 0, False),
    ],
)
async def test_a_freeze_begins_and_ends_to_the_second(
    tmp_path: Path, now: str, less_seconds: int, is_frozen: bool
) -> None:
    """A freeze takes in its first moment and leaves out its last."""
    async with office(tmp_path, now="2026-12-19 12:00", change=CHANGE) as bench:
        wind_to(bench, now, less_seconds=less_seconds)
        if is_frozen:
            with pytest.raises(Refused, match="is frozen"):
                await bench.start("change")
        else:
            await bench.start("change")


async def test_other_environments_are_not_frozen(tmp_path: Path) -> None:
    """A freeze holds for the environments that name its calendar, and for no other."""
    async with office(tmp_path, now=FROZEN, change=CHANGE.replace("production", "staging")) as bench:
        assert (await bench.run("change")).status == "succeeded"


# ---- the broken glass ----------------------------------------------------------------------------------------------


async def test_an_emergency_goes_in_at_once_and_everybody_sees_it(tmp_path: Path) -> None:
    """No freeze, window or approval holds it up; its reason is in the journal, on its label, in `tow show`, and its reviewers are told."""
    async with office(tmp_path, now=FROZEN, change=CHANGE) as bench:
        run = await break_glass(bench, "change")
        ended = await bench.to_end(run)
        review = await review_of(bench, run)
        told = [("Tue 22 Dec 11:00 CET", "review", f"user:{who}") for who in ("bob", "cy")]
        await until_noticed(bench, review, told)
        row = bench.app.reader.run(run)
        (entered,) = [f for f in bench.events(run) if isinstance(f, events.EnvironmentEntered)]
        seen = (await tow(bench, "show", str(run))).stdout

        assert (ended.status, bench.stage.performed) == ("succeeded", ["work"])
        assert (entered.how, ended.break_glass, row.labels) == ("break_glass", WHY, {"break_glass": WHY})
        assert WHY in seen
        assert not [fact for fact in bench.events(run) if isinstance(fact, events.PeopleAsked)]


async def test_somebody_else_reviews_it(tmp_path: Path) -> None:
    """Whoever broke the glass cannot find that it was right; another approver does, and has to say what follows from it."""
    async with office(tmp_path, now=FROZEN, change=CHANGE) as bench:
        run = await break_glass(bench, "change", by="user:cy")
        review = await review_of(bench, run)
        with pytest.raises(Refused, match="cy started the run and may not approve it"):
            await bench.answer(review, "review", "approve", by="user:cy")
        with pytest.raises(Refused, match="dora is not asked"):
            await bench.answer(review, "review", "approve", by="user:dora")
        without = await tow(bench, "approve", str(review), "--as", "bob")
        found = await tow(
            bench, "approve", str(review), "--as", "bob", "--form", "findings=A second key is needed"
        )
        ended = await bench.to_end(review)

        assert (without.returncode, "findings" in without.stderr) == (2, True)
        assert (found.returncode, ended.status) == (0, "succeeded")
        assert (ended.nodes["review"].outputs or {})["form"] == {"findings": "A second key is needed"}


async def test_a_review_that_finds_it_wrong_ends_as_rejected(tmp_path: Path) -> None:
    """A broken glass that was not right stays visible: its review has ended `rejected`, with the reason."""
    async with office(tmp_path, now=FROZEN, change=CHANGE) as bench:
        review = await review_of(bench, await break_glass(bench, "change"))
        await bench.answer(review, "review", "reject", by="user:bob", comment="it could have waited")
        ended = await bench.to_end(review)

    assert ended.status == "rejected"
    assert ended.error is not None
    assert "it could have waited" in ended.error.message


async def test_a_review_does_not_go_away(tmp_path: Path) -> None:
    """Silence ends no review: after a month and a restart it asks still, and its reviewers were reminded every day."""
    home = opened(tmp_path, now=FROZEN, change=CHANGE)
    async with dying(home) as first:
        run = await break_glass(first, "change")
        review = await review_of(first, run)
        first.wind(10 * 86_400)
        await settled(first)
    async with embedded(home) as second:
        await second.engine.resume(review)
        second.wind(20 * 86_400)
        await settled(second)

        node = second.state(review).nodes["review"]
        assert (node.status, node.told_reminders) == ("asking", 30)
        assert [row.number for row in second.app.reader.runs(RunFilter(workflow=NAME))] == [review]
    home.close()


async def test_the_glass_is_broken_for_what_a_run_calls_too(tmp_path: Path) -> None:
    """Workflows that an emergency calls are not held up either; there is one review, of the run that was started."""
    async with office(tmp_path, now=FROZEN, parent=PARENT, child=CHANGE) as bench:
        run = await break_glass(bench, "parent")
        ended = await bench.to_end(run)
        review = await review_of(bench, run)
        rows = bench.app.reader.runs(RunFilter(workflow=NAME))

        assert (ended.status, bench.stage.performed) == ("succeeded", ["work", "work"])
        assert [row.number for row in rows] == [review]


async def test_without_an_emergency_what_a_run_calls_is_held_up(tmp_path: Path) -> None:
    """A workflow that names a frozen environment cannot be reached through another one either: its step fails, with the entry."""
    async with office(tmp_path, now=FROZEN, parent=PARENT, child=CHANGE) as bench:
        ended = await bench.run("parent")

        assert (ended.status, bench.stage.performed) == ("failed", [])
        assert ended.error is not None
        assert "production is frozen: the freeze 'Year end'" in ended.error.message


@pytest.mark.parametrize("reason", ["retry", "rerun"])
async def test_an_emergency_is_over_when_it_is_over(tmp_path: Path, reason: str) -> None:
    """What goes on from an emergency, or repeats it, is none: the freeze holds for it."""
    async with office(
        tmp_path, now=FROZEN, change=CHANGE.replace("]", ", {id: b, uses: stage.now, with: {fails: true}}]")
    ) as bench:
        run = await break_glass(bench, "change")
        failed = await bench.to_end(run)
        again = bench.app.continued(bench.app.reader.run(run), reason)
        with pytest.raises(Refused, match="is frozen"):
            await bench.engine.start(again)

    assert failed.status == "failed"


async def test_an_emergency_can_be_undone_in_a_freeze(tmp_path: Path) -> None:
    """Undoing goes in without asking: nobody is kept from putting things back."""
    undone = CHANGE.replace("]", "]").replace(
        WORK, f"{WORK}, rollback: {{uses: stage.act, with: {{name: undo}}}}"
    )
    async with office(tmp_path, now=FROZEN, change=undone) as bench:
        run = await break_glass(bench, "change")
        await bench.to_end(run)
        back = bench.app.continued(bench.app.reader.run(run), "rollback")
        ended = await bench.to_end((await bench.engine.start(back)).number)

        assert (ended.status, bench.stage.performed) == ("rolled_back", ["work", "undo"])


@pytest.mark.parametrize(
    ("groups", "who"),
    [
        ("", ("user:ann", "user:bob", "user:cy", "user:dora", "user:eve")),
        ('    reviewers: ["user:eve"]\n', ("group:reviewers",)),
    ],
    ids=["everybody", "the group of reviewers"],
)
async def test_who_reviews_where_nobody_approves(tmp_path: Path, groups: str, who: tuple[str, ...]) -> None:
    """Where no environment has approvers, the group `reviewers` is asked, or else everybody: there is always a review."""
    project = PROJECT.replace('    approval: {who: ["group:managers"]}\n', "").replace(
        "calendars:", f"{groups}calendars:"
    )
    async with office(tmp_path, now=FROZEN, project=project, change=CHANGE) as bench:
        run = await break_glass(bench, "change")
        review = await review_of(bench, run)

        question = bench.state(review).nodes["review"].question
        assert question is not None
        assert question.who == who


# ---- typed at a terminal -------------------------------------------------------------------------------------------


async def test_typed_at_a_terminal(tmp_path: Path) -> None:
    """`tow run` is refused with the entry; with `--break-glass` it runs, says so loudly, ends, and leaves the review in the inbox."""
    always = PROJECT.replace("2026-12-20 00:00", "2001-01-01 00:00").replace(
        "2027-01-02 00:00", "2999-01-01 00:00"
    )
    async with office(
        tmp_path, project=always, change="environment: production\nsteps: [{id: a, run: echo work}]"
    ) as bench:
        refused = await tow(bench, "run", "change")
        without_reason = await tow(bench, "run", "change", "--break-glass")
        broken = await tow(bench, "run", "change", "--break-glass", WHY)
        shown_run, inbox = await tow(bench, "show", "1"), await tow(bench, "inbox", by="bob")

    assert (refused.returncode, without_reason.returncode, broken.returncode) == (3, 2, 0)
    assert "production is frozen: the freeze 'Year end'" in refused.stderr
    assert WHY in broken.stderr
    assert WHY in shown_run.stdout
    assert "Was it right to break the glass for run 1?" in inbox.stdout
