"""What a script finds when it starts, and what becomes of what it leaves; every script here is a real process."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

import pytest

from engines.engine_support import Bench, Home, embedded, until
from towpath.core import stimuli
from towpath.core.run import Run
from towpath.store.contract import RunNumber

ONE = RunNumber(1)


async def script(bench: Bench, text: str, **keys: Any) -> Run:
    """Runs one script with further keys of its step."""
    step = {"id": "a", "run": text, **keys}
    bench.home.write("one", f"steps: [{json.dumps(step)}]")
    return await bench.run("one")


def logged(bench: Bench, run: RunNumber = ONE) -> str:
    """Everything in the run's log."""
    with bench.app.store.log_reader(run) as reader:
        return "".join(f"{line.text}\n" for line in reader.more())


# ---- environment --------------------------------------------------------------------------------------------


async def test_the_environment_is_made_and_not_inherited(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A script sees what the workflow says and what Towpath tells it, and nothing else of the process that runs it."""
    monkeypatch.setenv("OPERATORS_TOKEN", "do-not-tell")
    bench.home.write(
        "one",
        """
        inputs: {who: {type: string, default: "a b; $(id)"}}
        env: {FROM_WORKFLOW: "1"}
        steps:
          - id: a
            run: env > "$TOW_OUTPUT.env"; python3 -c 'import os,json,sys; json.dump(dict(os.environ), sys.stdout)'
            shell: bash
            parse: json
            env: {WHO: "${{ inputs.who }}", LIST: "${{ [1, 2] }}", FLAG: "${{ true }}", NUMBER: "${{ 4 }}"}
        """,
    )
    run = await bench.run("one")
    assert run.status == "succeeded", run.error
    found = (run.nodes["a"].outputs or {})["json"]
    ours = {name for name in found if name.startswith("TOW_")}

    assert "OPERATORS_TOKEN" not in found
    assert [found[name] for name in ("WHO", "LIST", "FLAG", "NUMBER", "FROM_WORKFLOW")] == [
        "a b; $(id)",
        "[1,2]",
        "true",
        "4",
        "1",
    ]
    assert ours >= {
        "TOW_RUN",
        "TOW_RUN_ID",
        "TOW_STEP",
        "TOW_ATTEMPT",
        "TOW_OUTPUT",
        "TOW_SUMMARY",
        "TOW_STARTED_BY",
    }
    assert (found["TOW_RUN"], found["TOW_STEP"], found["TOW_STARTED_BY"]) == ("1", "a", "user:ann")


async def test_a_name_of_towpath_cannot_be_set(bench: Bench) -> None:
    """A workflow that sets a TOW_ variable is told so, when it is loaded or at the latest when the step begins."""
    bench.home.write(
        "one", "inputs: {n: {type: string, default: x}}\nsteps: [{id: a, run: 'true', env: {FINE: '1'}}]"
    )
    run = await script(bench, "true", env={"FINE": "1"})

    assert run.status == "succeeded"


async def test_standard_input_is_what_the_step_says(bench: Bench) -> None:
    """Text reaches a script through standard input, whatever it looks like; without any it is empty."""
    text = "$(touch pwned)\n'\"`id`\n"
    run = await script(bench, "cat > got; printf ok", stdin=text)
    empty = await script(bench, "cat | wc -c")

    assert (run.status, (bench.home.folder / "got").read_text(), (bench.home.folder / "pwned").exists()) == (
        "succeeded",
        text,
        False,
    )
    assert (empty.nodes["a"].outputs or {})["stdout"].strip() == "0"


# ---- outputs ------------------------------------------------------------------------------------------------


async def test_outputs_are_what_the_script_writes(bench: Bench) -> None:
    """`$TOW_OUTPUT`, standard output and the exit code are a step's outputs; the next steps read them."""
    bench.home.write(
        "one",
        """
        steps:
          - id: a
            run: |
              echo "image=shop:1" >> "$TOW_OUTPUT"
              printf 'notes<<END\\none\\ntwo\\nEND\\n' >> "$TOW_OUTPUT"
              echo hello; echo problem >&2
            outputs: [image, notes]
          - id: b
            run: printf %s "$IMAGE"
            env: {IMAGE: "${{ steps.a.outputs.image }}"}
        """,
    )
    run = await bench.run("one")
    found = dict(run.nodes["a"].outputs or {})

    assert found == {"image": "shop:1", "notes": "one\ntwo", "stdout": "hello", "exit_code": 0}
    assert (run.nodes["b"].outputs or {})["stdout"] == "shop:1"


@pytest.mark.parametrize(
    ("text", "keys", "kind", "message"),
    [
        ("exit 3", {}, "exit", "exit code 3"),
        ("echo broken >&2; exit 3", {}, "exit", "exit code 3: broken"),
        ("kill -9 $$", {}, "exit", "SIGKILL"),
        ("echo nonsense >> $TOW_OUTPUT", {}, "invalid", "$TOW_OUTPUT, line 1"),
        ("echo x=1 >> $TOW_OUTPUT", {"outputs": ["y"]}, "invalid", "x"),
        ("echo '{'", {"parse": "json"}, "invalid", "no JSON"),
        ("head -c 70000 /dev/zero | tr '\\0' 1", {"parse": "json"}, "invalid", "longer than 64 KiB"),
        ("pwd", {"cwd": "nowhere"}, "invalid", "is not a folder"),
        ("true", {"shell": ["no-such-program-here"]}, "invalid", "no-such-program-here"),
        ("true", {"runs_on": "mainframe"}, "invalid", "mainframe"),
        ("sleep 60", {"timeout": "300ms"}, "timeout", ""),
    ],
)
async def test_what_fails_says_why(
    bench: Bench, text: str, keys: dict[str, Any], kind: str, message: str
) -> None:
    """Every way in which a script fails has its kind and a message that names the cause."""
    if keys.get("timeout") == "300ms":
        keys = {"timeout": "1s"}
    run = await script(bench, text, **keys)

    assert (run.status, run.error.kind if run.error else "") == ("failed", kind)
    assert message in (run.error.message if run.error else "")


@pytest.mark.parametrize(
    "step",
    [
        "{id: g, runs_on: mainframe, steps: [{id: a, uses: stage.now}]}",
        "{id: a, uses: stage.now, environment: cellar}",
        "{id: a, run: 'true', environment: cellar}",
    ],
    ids=["around", "instant", "script"],
)
async def test_labels_are_asked_for_from_outside_too(home: Home, step: str) -> None:
    """What `runs_on` of a block or of the environment asks for, every step in it needs."""
    with (home.folder / "towpath.yaml").open("a") as file:
        file.write("environments: {cellar: {runs_on: mainframe}}\n")
    home.write("far", f"steps: [{step}]")
    async with embedded(home) as bench:
        run = await bench.run("far")

    assert run.error is not None
    assert (run.status, "mainframe" in run.error.message) == ("failed", True)


async def test_success_when_reads_the_exit_code(bench: Bench) -> None:
    """`success_when` decides what an exit code means."""
    good = await script(bench, "exit 2", success_when="outputs.exit_code in [0, 2]")
    bad = await script(bench, "exit 4", success_when="outputs.exit_code in [0, 2]")

    assert (good.status, bad.status) == ("succeeded", "failed")


@pytest.mark.parametrize(
    ("exits", "status", "ran"), [(0, "skipped", False), (1, "succeeded", True), (2, "failed", False)]
)
async def test_a_check_script_tells_whether_the_step_is_done(
    bench: Bench, exits: int, status: str, ran: bool
) -> None:
    """A check that exits with 0 says done, with 1 not yet; anything else is its own failure."""
    run = await script(bench, "touch ran", check={"run": f"exit {exits}"})

    assert (run.nodes["a"].status, (bench.home.folder / "ran").exists()) == (status, ran)


# ---- folders and artifacts ----------------------------------------------------------------------------------


async def test_a_script_starts_in_the_project_or_in_its_cwd(bench: Bench) -> None:
    """Without `cwd` a step starts in the project's folder."""
    (bench.home.folder / "sub").mkdir()
    outside = await script(bench, "pwd")
    inside = await script(bench, "pwd", cwd="sub")

    assert [(run.nodes["a"].outputs or {})["stdout"] for run in (outside, inside)] == [
        str(bench.home.folder),
        str(bench.home.folder / "sub"),
    ]


async def test_a_fresh_workspace_is_the_runs_own(bench: Bench) -> None:
    """With `workspace: fresh` the steps of a run share an empty folder that no other run sees."""
    bench.home.write(
        "one",
        """
        workspace: fresh
        steps:
          - {id: a, run: "ls -A | wc -l; echo mine > file"}
          - {id: b, run: "cat file"}
        """,
    )
    runs = [await bench.run("one"), await bench.run("one")]

    assert [[(run.nodes[step].outputs or {})["stdout"].strip() for step in "ab"] for run in runs] == [
        ["0", "mine"]
    ] * 2


async def test_artifacts_and_the_summary_are_kept(bench: Bench) -> None:
    """Files that match are kept with the run under their names, and so is the summary."""
    run = await script(
        bench,
        'mkdir -p dist/sub; echo 1 > dist/a.txt; echo 2 > dist/sub/b.txt; echo no > dist/c.log; echo "# Done" > $TOW_SUMMARY',
        artifacts=["dist/**/*.txt"],
    )
    rows = bench.app.reader.artifacts(ONE)

    assert run.status == "succeeded"
    assert sorted(row.name for row in rows) == ["dist/a.txt", "dist/sub/b.txt", "summary.md"]


@pytest.mark.parametrize("pattern", ["/etc/passwd", "../*", "link/*", "out"])
async def test_artifacts_do_not_lead_out_of_the_workspace(
    bench: Bench, pattern: str, tmp_path_factory: Any
) -> None:
    """Neither an absolute pattern nor dots nor a link takes along what lies elsewhere."""
    outside = tmp_path_factory.mktemp("outside")
    (outside / "secret").write_text("x")
    (bench.home.folder / "link").symlink_to(outside)
    (bench.home.folder / "out").symlink_to(outside / "secret")
    await script(bench, "true", artifacts=[pattern]) if not pattern.startswith(("/", "..")) else None

    assert (
        [row.name for row in bench.app.store.reader.artifacts(ONE)] == [] if bench.app.reader.runs() else True
    )


async def test_nothing_of_an_attempt_stays_in_the_data_folder(bench: Bench) -> None:
    """Scripts, outputs and summaries are removed with their folder when the attempt is over."""
    await script(bench, 'echo x=1 > "$TOW_OUTPUT"; touch "$(dirname "$TOW_OUTPUT")/litter"')

    left = [*bench.app.folder.workspaces.iterdir(), *bench.engine.performer.tools.private.iterdir()]  # type: ignore[attr-defined] # inside

    assert left == []


async def test_what_is_private_is_in_memory_and_nobody_elses(
    home: Home, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """`$TOW_OUTPUT` stands in a folder that only this user may enter, in memory; in the data folder where somebody else's is in the way."""
    memory = tmp_path / "memory"
    memory.mkdir()
    monkeypatch.setattr("towpath.app.MEMORY", memory)
    found = []
    for mode in (0o700, 0o777):
        for one in memory.iterdir():
            one.chmod(mode)
        async with embedded(home) as bench:
            run = await script(
                bench, 'stat -c %a "$(dirname "$(dirname "$TOW_OUTPUT")")"; dirname "$TOW_OUTPUT"'
            )
            rights, place = (run.nodes["a"].outputs or {})["stdout"].split()
            found.append((rights, Path(place).is_relative_to(memory)))
        next(memory.iterdir(), None) or (memory / bench.engine.performer.tools.private.name).mkdir(0o700)  # type: ignore[attr-defined] # inside

    assert found == [("700", True), ("700", False)]


async def test_a_process_that_ends_takes_nothing_from_another(home: Home) -> None:
    """An engine that closes leaves alone what the steps of another process of the same data folder use."""
    home.write(
        "one",
        "steps: [{id: a, run: 'touch began; until [ -e go ]; do sleep 0.01; done; echo x=1 >> $TOW_OUTPUT', outputs: [x]}]",
    )
    async with embedded(home) as owner:
        run = await owner.start("one")
        await until((home.folder / "began").exists)
        async with embedded(home) as other:
            home.write("two", "steps: [{id: a, run: 'true'}]")
            await other.run("two")
        (home.folder / "go").touch()
        ended = await owner.to_end(run)

    assert (ended.status, (ended.nodes["a"].outputs or {}).get("x")) == ("succeeded", "1")


# ---- ending -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["cancel", "timeout", "close"])
async def test_nothing_is_left_of_a_script_that_was_stopped(home: Home, how: str) -> None:
    """After a cancel, a timeout or the engine's end no process of the step lives, `setsid` grandchildren included."""
    pids = home.folder / "pids"
    home.write(
        "one",
        f"""
        steps:
          - id: a
            timeout: {"1s" if how == "timeout" else "1m"}
            run: |
              setsid bash -c 'echo $$ >> pids; trap "" TERM; while :; do sleep 30; done' &
              echo $$ >> pids
              wait
        """,
    )
    async with embedded(home) as bench:
        run = await bench.start("one")
        await until(lambda: pids.exists() and len(pids.read_text().split()) == 2)
        if how == "cancel":
            await bench.tell(run, stimuli.Cancel, by="user:ann")
        if how != "close":
            await bench.to_end(run)
    left = [pid for pid in pids.read_text().split() if Path(f"/proc/{pid}").exists()]

    assert left == []


async def test_what_a_script_printed_until_now_can_be_read(bench: Bench) -> None:
    """The log is readable while the step still runs, on each of its streams."""
    bench.home.write(
        "one", "steps: [{id: a, run: 'echo out; echo err >&2; until [ -e go ]; do sleep 0.01; done'}]"
    )
    run = await bench.start("one")
    await until(lambda: "out" in logged(bench) and "err" in logged(bench))
    (bench.home.folder / "go").touch()

    assert (await bench.to_end(run)).status == "succeeded"


# ---- secrets ------------------------------------------------------------------------------------------------


SECRET = 'hunter2-åß-"quoted"-0123456789'


async def test_secrets_reach_the_script_and_nothing_else(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    """In env and stdin a secret has its value; in outputs, errors, logs, the summary and the journal it is masked."""
    monkeypatch.setenv("TOW_SECRET_DB", SECRET)
    home.write(
        "one",
        """
        steps:
          - id: a
            env: {PW: "pre-${{ secrets.db }}"}
            stdin: "${{ secrets.db }}"
            outputs: [told]
            run: |
              line=$(cat)
              test "pre-$line" = "$PW" && echo matched
              echo "raw $PW"; printf %s "$PW" | base64 -w0; echo
              echo "told=$PW" >> "$TOW_OUTPUT"
              echo "# $PW" >> "$TOW_SUMMARY"
              echo "failing with $PW" >&2
              exit 1
        """,
    )
    async with embedded(home) as bench:
        run = await bench.run("one")
        log = logged(bench)
    outputs = run.nodes["a"].outputs or {}

    assert (run.status, "matched" in log, "raw pre-***" in log, outputs["told"]) == (
        "failed",
        True,
        True,
        "pre-***",
    )
    assert run.error is not None
    assert run.error.message.endswith("failing with pre-***")
    assert found_below(home.folder / ".towpath", SECRET.encode()) == []


async def test_secrets_of_actions_are_masked_too(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    """What an action answers, says or fails with is masked like what a script prints."""
    monkeypatch.setenv("TOW_SECRET_DB", SECRET)
    home.write(
        "one",
        "steps: [{id: a, run: 'true', env: {PW: '${{ secrets.db }}'}}, {id: b, uses: stage.act, with: {name: b}}]",
    )
    home.stage.answers("b", {"answer": [f"x{SECRET}"], "nested": {"k": SECRET}})
    async with embedded(home) as bench:
        run = await bench.run("one")

    assert run.nodes["b"].outputs == {"answer": ["x***"], "nested": {"k": "***"}}
    assert found_below(home.folder / ".towpath", SECRET.encode()) == []


async def test_a_missing_secret_fails_its_step_with_its_name(bench: Bench) -> None:
    """The error says which secret is not there and where it may be kept."""
    run = await script(bench, "true", env={"PW": "${{ secrets.nowhere }}"})

    assert (run.error.kind if run.error else "", "nowhere" in (run.error.message if run.error else "")) == (
        "denied",
        True,
    )


def found_below(folder: Path, needle: bytes) -> list[str]:
    """The files below *folder* that hold *needle*."""
    return [str(path) for path in folder.rglob("*") if path.is_file() and needle in path.read_bytes()]


# ---- containers ---------------------------------------------------------------------------------------------


FAKE_PODMAN = """#!/bin/bash
printf '%s\\n' "$*" >> "$HOME/podman.calls"
case "$1" in
  run)
    while [ "$1" != example/tool:1 ]; do
      case "$1" in --workdir=*) cd "${1#--workdir=}" ;; esac
      shift
    done
    shift
    exec "$@" ;;
esac
"""


async def test_a_container_has_the_workspace_the_files_and_the_environment(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A step with `container` calls podman with both folders and the names of its variables, never their values."""
    tools = home.folder / "tools"
    tools.mkdir()
    (tools / "podman").write_text(FAKE_PODMAN)
    (tools / "podman").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tools}:{os.environ['PATH']}")
    monkeypatch.setenv("HOME", str(home.folder))
    monkeypatch.setenv("TOW_SECRET_DB", SECRET)
    async with embedded(home) as bench:
        run = await script(
            bench,
            'echo "seen=$PLAIN" >> "$TOW_OUTPUT"; pwd',
            container="example/tool:1",
            env={"PLAIN": "yes", "PW": "${{ secrets.db }}"},
            outputs=["seen"],
        )
    call = (home.folder / "podman.calls").read_text().split()
    outputs = run.nodes["a"].outputs or {}

    assert (run.status, outputs.get("seen"), outputs.get("stdout")) == ("succeeded", "yes", str(home.folder))
    assert {"run", "--env=PLAIN", "--env=PW", "--env=TOW_OUTPUT", f"--workdir={home.folder}"} <= set(call)
    assert (SECRET in " ".join(call), [word for word in call if word.startswith("--env=PATH")]) == (False, [])


async def test_a_container_that_is_stopped_is_removed(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    """After a cancel the container is removed by its name, whoever runs it."""
    tools = home.folder / "tools"
    tools.mkdir()
    (tools / "podman").write_text(FAKE_PODMAN)
    (tools / "podman").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tools}:{os.environ['PATH']}")
    monkeypatch.setenv("HOME", str(home.folder))
    home.write("one", "steps: [{id: a, run: 'touch began; sleep 60', container: 'example/tool:1'}]")
    async with embedded(home) as bench:
        run = await bench.start("one")
        await until((home.folder / "began").exists)
        began = time.monotonic()
        await bench.tell(run, stimuli.Cancel, by="user:ann")
        ended = await bench.to_end(run)
        seconds = time.monotonic() - began
    calls = (home.folder / "podman.calls").read_text().splitlines()

    assert (ended.status, calls[-1].split()[:3], seconds < 5) == (
        "cancelled",
        ["rm", "--force", "--volumes"],
        True,
    )
