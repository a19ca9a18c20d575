"""Ends of runs start runs: each end once, whatever happens in between, and no chain for ever."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from towpath.app import App, build
from towpath.settings import Settings
from towpath.store.contract import EventFilter, Mark, RunFilter
from towpath.triggers.contract import RUN_CHAIN_MAX
from towpath.triggers.watch.ends import MARK

WORKFLOWS = {
    "build": "name: build\ninputs: {word: {type: string, default: x}}\nsteps: [{id: make, run: 'true'}]\n",
    "broken": "name: broken\nsteps: [{id: make, run: 'false'}]\n",
    "deploy": (
        "name: deploy\ninputs: {word: {type: string, default: ''}, of: {type: integer, default: 0}}\n"
        "on:\n  - run: {workflow: build}\n    inputs: {word: '${{ event.inputs.word }}', of: '${{ event.number }}'}\n"
        "steps: [{id: make, run: 'true'}]\n"
    ),
    "mourn": (
        "name: mourn\non:\n  - run: {workflow: '*', status: [failed, rolled_back]}\nsteps: [{id: make, run: 'true'}]\n"
    ),
}


def app_of(folder: Path, workflows: dict[str, str]) -> App:
    """A project with these workflows."""
    (folder / "workflows").mkdir(parents=True, exist_ok=True)
    (folder / "towpath.yaml").write_text("name: shop\n")
    for name, text in workflows.items():
        (folder / "workflows" / f"{name}.yaml").write_text(text)
    return build(Settings(project=folder, data=folder / ".towpath", user="ada"))


async def run_all(app: App, *names: str, rounds: int = 1, **inputs: str) -> None:
    """Runs workflows one after the other, and then what their ends start, round by round."""
    async with app.engine("test") as engine:
        decider = app.decider(engine)
        for name in names:
            started = await engine.start(app.request(app.find(name), inputs))
            await engine.until_ended(started.number)
        for _ in range(rounds):
            app.ends.look()
            await decider.work()
            for row in app.reader.runs(RunFilter(is_open=True)):
                await engine.until_ended(row.number)


def kept(app: App) -> list[tuple[str, str, str]]:
    """What was kept of the ends, oldest first: title, state, why."""
    rows = app.store.events.events(EventFilter(source="run", rows_max=1_000))
    return [(row.title, row.state, row.because) for row in reversed(rows)]


def ended(app: App) -> list[tuple[str, str]]:
    """Every run, oldest first."""
    rows = app.reader.runs(RunFilter(rows_max=1_000))
    return [(row.workflow, row.summary.status) for row in reversed(rows)]


async def test_an_end_starts_what_asks_for_it(tmp_path: Path) -> None:
    """The run that follows knows the inputs and the number of the one that ended; an end that nobody asks for is not kept."""
    app = app_of(tmp_path, WORKFLOWS)
    app.ends.look()
    await run_all(app, "build", word="hello")
    deploy = app.run("2")[1]

    assert kept(app) == [("build succeeded", "matched", "")]
    assert ended(app) == [("build", "succeeded"), ("deploy", "succeeded")]
    assert dict(deploy.inputs) == {"word": "hello", "of": 1}
    assert deploy.started_by == "trigger:run"
    app.close()


async def test_a_failure_starts_what_waits_for_failures(tmp_path: Path) -> None:
    """Only the ends that are asked for count."""
    app = app_of(tmp_path, WORKFLOWS)
    app.ends.look()
    await run_all(app, "broken", rounds=2)

    assert kept(app) == [("broken failed", "matched", "")]
    assert ended(app) == [("broken", "failed"), ("mourn", "succeeded")]
    app.close()


async def test_what_ended_before_the_first_look_starts_nothing(tmp_path: Path) -> None:
    """A server that is new to a data folder does not start a run for everything that there ever was."""
    app = app_of(tmp_path, WORKFLOWS)
    await run_all(app, "build", rounds=3)

    assert (kept(app), ended(app)) == ([], [("build", "succeeded")])
    app.close()


async def test_what_ended_while_nobody_looked_starts_once(tmp_path: Path) -> None:
    """Runs that ended while no server was there are noticed by the next, once; a lost mark repeats nothing."""
    app = app_of(tmp_path, WORKFLOWS)
    app.ends.look()
    await run_all(app, "build", "build", rounds=0)
    app.close()
    second = app_of(tmp_path, WORKFLOWS)
    await run_all(second, rounds=2)
    mark = second.store.events.mark(MARK)
    assert mark is not None
    second.store.events.put((), mark=replace(mark, value=b"0"))
    await run_all(second, rounds=2)

    assert len(kept(second)) == 2
    assert ended(second) == [("build", "succeeded")] * 2 + [("deploy", "succeeded")] * 2
    second.close()


async def test_of_two_who_look_one_keeps_it(tmp_path: Path) -> None:
    """A mark that another process has moved meanwhile keeps nothing twice."""
    app = app_of(tmp_path, WORKFLOWS)
    other = app_of(tmp_path, WORKFLOWS)
    app.ends.look()
    await run_all(app, "build", rounds=0)
    looks = [app.ends.look().kept, other.ends.look().kept]

    assert (looks, len(kept(app))) == ([1, 0], 1)
    app.close()
    other.close()


async def test_two_that_start_each_other_come_to_an_end(tmp_path: Path) -> None:
    """A chain of runs that start one another is as long as RUN_CHAIN_MAX, and the last event says so."""
    follow = "name: {}\non: [{{run: {{workflow: {}}}}}]\nsteps: [{{id: make, run: 'true'}}]\n"
    app = app_of(tmp_path, {"ping": follow.format("ping", "pong"), "pong": follow.format("pong", "ping")})
    app.ends.look()
    await run_all(app, "ping", rounds=RUN_CHAIN_MAX + 3)

    assert len(ended(app)) == RUN_CHAIN_MAX + 1
    assert (kept(app)[-2][1], kept(app)[-1][1]) == ("matched", "ignored")
    assert (
        f"more than RUN_CHAIN_MAX ({RUN_CHAIN_MAX})"
        in app.store.events.events(EventFilter(rows_max=1))[0].reactions[0].because
    )
    app.close()


async def test_a_run_that_cannot_be_read_keeps_nobody_back(tmp_path: Path) -> None:
    """The end of a poisonous run is told without its inputs, and the others as ever."""
    app = app_of(tmp_path, WORKFLOWS)
    app.ends.look()
    await run_all(app, "build", "build", rounds=0)
    load = app.ends._load

    def broken(row: object) -> object:
        if row.number == 1:  # type: ignore[attr-defined] # a RunRow
            raise RuntimeError("poison")
        return load(row)  # type: ignore[arg-type] # as above

    app.ends._load = broken  # type: ignore[assignment]
    looked = app.ends.look()

    assert looked.kept == 2
    app.close()


def test_the_mark_is_kept_as_a_position(tmp_path: Path) -> None:
    """What is remembered is the position of the last change that was looked at."""
    app = app_of(tmp_path, WORKFLOWS)
    app.ends.look()

    assert Mark(name=MARK, value=str(app.reader.last_news()).encode(), version=1) == app.store.events.mark(
        MARK
    )
    app.close()
