"""What an action is given, and what becomes of its answers."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

import towpath
from engines.engine_support import HOLD, Bench, Home, embedded, failure, until
from towpath.core import stimuli
from towpath.core.run import Run
from towpath.store.contract import RunNumber


def error_of(run: Run) -> tuple[str, str]:
    """Kind and message of a run's error."""
    return (run.error.kind, run.error.message) if run.error else ("", "")


async def test_an_action_whose_time_is_up_is_stopped(bench: Bench) -> None:
    """A step's timeout cancels its action and says how long it was given."""
    bench.home.write("one", "steps: [{id: a, uses: stage.act, with: {name: a}, timeout: 1s}]")
    bench.stage.answers("a", HOLD)
    run = await bench.run("one")

    assert (error_of(run), bench.stage.stopped) == (
        ("timeout", "stage.act took longer than its timeout of 1 s"),
        ["a"],
    )


@pytest.mark.parametrize("kind", ["unreachable", "denied", "conflict", "invalid", "exit"])
async def test_a_failure_keeps_its_kind_message_and_help(bench: Bench, kind: Any) -> None:
    """What an action says of its failure is what people see, and what `retry: when` reads."""
    bench.home.write(
        "one",
        f"""
        steps:
          - id: a
            uses: stage.act
            with: {{name: a}}
            retry: {{attempts: 2, delay: 1s, when: error.kind == "{kind}" && error.exit_code == 7}}
        """,
    )
    bench.stage.answers("a", failure("no route", kind=kind, help="Look at the cable.", exit_code=7))
    number = await bench.start("one")
    await bench.until_status(number, "waiting")
    bench.wind(1)
    run = await bench.to_end(number)

    assert (error_of(run), bench.stage.performed) == ((kind, "no route Look at the cable."), ["a", "a"])


async def test_wrong_inputs_are_all_told(bench: Bench) -> None:
    """An action that is called with the wrong values fails as `invalid` and names them."""
    bench.home.write(
        "one",
        """
        inputs: {n: {type: any, default: 7}}
        steps: [{id: a, uses: log, with: {message: x, level: "${{ inputs.n }}"}}]
        """.replace("type: any", "type: integer"),
    )
    run = await bench.run("one")

    assert error_of(run)[0] == "invalid"
    assert "level" in error_of(run)[1]


async def test_a_secret_is_put_in_at_the_moment_of_use(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    """An action has the secret's value in its inputs; the journal has its name."""
    monkeypatch.setenv("TOW_SECRET_DB", "s3cret-value")
    (home.folder / "actions").mkdir()
    home.write(
        "one",
        """
        steps:
          - {id: a, uses: file.write, with: {path: conf, content: "user=me\\npw=${{ secrets.db }}\\n"}}
        """,
    )
    async with embedded(home) as bench:
        run = await bench.run("one")
        work = next(event for event in bench.events(RunNumber(1)) if type(event).__name__ == "StepStarted")

    assert (run.status, (home.folder / "conf").read_text()) == ("succeeded", "user=me\npw=s3cret-value\n")
    assert "s3cret" not in repr(work)


async def test_a_projects_own_action_runs_and_is_stopped(home: Home) -> None:
    """A function of the project's actions folder is an action; cancelling stops it, in its own process."""
    (home.folder / "actions").mkdir()
    (home.folder / "actions" / "tools.py").write_text(
        "import time\nfrom pathlib import Path\nfrom towpath import ActionFailed, action\n\n\n"
        "@action\ndef add(a: int, b: int) -> dict:\n    '''Adds.'''\n    if b < 0:\n"
        "        raise ActionFailed('negative', kind='conflict')\n    return {'sum': a + b}\n\n\n"
        "@action\ndef hang(mark: str) -> None:\n    '''Hangs.'''\n    Path(mark).write_text('on')\n    time.sleep(600)\n"
    )
    home.write(
        "add",
        """
        inputs: {b: {type: integer}}
        steps: [{id: a, uses: tools.add, with: {a: 2, b: "${{ inputs.b }}"}}]
        """,
    )
    home.write("hang", f"steps: [{{id: a, uses: tools.hang, with: {{mark: {home.folder}/mark}}}}]")
    async with embedded(home) as bench:
        good, bad = await bench.run("add", b=3), await bench.run("add", b=-1)
        number = await bench.start("hang")
        await until((home.folder / "mark").exists)
        await bench.tell(number, stimuli.Cancel, by="user:ann")
        stopped = await bench.to_end(number)

    assert ((good.nodes["a"].outputs or {})["sum"], error_of(bad)) == (5, ("conflict", "negative"))
    assert stopped.status == "cancelled"


async def test_an_action_works_in_the_steps_folder_with_its_environment(bench: Bench) -> None:
    """Relative paths start in the project's folder, and `cwd` moves that."""
    (bench.home.folder / "sub").mkdir()
    bench.home.write(
        "one",
        """
        steps:
          - {id: a, uses: file.write, with: {path: here, content: x}}
          - {id: b, uses: file.write, cwd: sub, with: {path: here, content: y}}
        """,
    )
    run = await bench.run("one")

    assert run.status == "succeeded", run.error
    assert [Path(bench.home.folder, name).read_text() for name in ("here", "sub/here")] == ["x", "y"]


async def test_only_so_many_attempts_are_performed_at_once(home: Home) -> None:
    """The places of a process bound what it performs, over all runs; the others wait for theirs."""
    home.write("one", "steps: [{id: a, uses: stage.act, with: {name: a}}]")
    home.stage.answers("a", HOLD)
    async with embedded(home, performing_max=2) as bench:
        runs = [await bench.start("one") for _ in range(6)]
        await until(lambda: home.stage.now_going == 2)
        await asyncio.sleep(0.02)
        most = home.stage.most_at_once
        await bench.tell(runs[5], stimuli.Cancel, by="user:ann")
        cancelled = await bench.to_end(runs[5])
        home.stage.release("a")
        ended = [(await bench.to_end(run)).status for run in runs[:5]]

    assert (most, home.stage.most_at_once, cancelled.status, ended) == (2, 2, "cancelled", ["succeeded"] * 5)


@pytest.mark.parametrize("name", ["action", "ActionFailed", "Change", "Rehearsal"])
def test_what_authors_of_actions_need_is_at_the_top(name: str) -> None:
    """`from towpath import action` works, and loads nothing before it is asked for."""
    from towpath.steps import contract

    assert getattr(towpath, name) is getattr(contract, name)
