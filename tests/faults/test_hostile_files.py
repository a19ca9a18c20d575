"""Files that were made to break their reader: a named error within a second, and nothing starts."""

from __future__ import annotations

import os
import resource
import subprocess
from pathlib import Path

import pytest
from fault_support import TOW, Place

SECONDS_MAX = 1.0
"""Processor time, beyond that of a sound file: on a busy machine the clock on the wall tells nothing."""
SAID_CHARS_MAX = 100_000
MEMORY_BYTES_MAX = 1024 * 1024 * 1024
STEP = "steps: [{id: a, run: 'true'}]\n"

FILES = {
    "brackets, 100,000 deep": "steps: " + "[" * 100_000,
    "maps, 100,000 deep": "".join(f"{' ' * depth}a:\n" for depth in range(1_000)) + "{a: " * 100_000,
    "lists, 100,000 deep, closed": "name: w\nsteps: " + "[" * 100_000 + "]" * 100_000,
    "quotes and brackets": "a: '" + "[" * 100_000 + "'\nb: " + "[" * 100_000,
    "a billion laughs": "a: &a [x,x,x,x,x,x,x,x,x]\n"
    + "".join(f"{b}: &{b} [{','.join([f'*{a}'] * 9)}]\n" for a, b in zip("abcdefgh", "bcdefghi", strict=True))
    + "steps: *i\n",
    "an anchor that holds itself": "name: w\nsteps: &s [*s]\n",
    "a merge": "name: w\nx: &x {a: 1}\nsteps: [{<<: *x, id: a, run: 'true'}]\n",
    "a tag that makes objects": "name: w\nsteps: !!python/object/apply:os.system ['touch pwned']\n",
    "two keys alike": "name: w\nname: v\n" + STEP,
    "two keys alike, deep inside": "name: w\nsteps: [{id: a, run: 'true', env: {A: '1', A: '2'}}]\n",
    "a matrix of a million": "name: w\nsteps:\n  - id: m\n    each: {matrix: {x: ["
    + ",".join(map(str, range(1000)))
    + "], y: ["
    + ",".join(map(str, range(1000)))
    + "]}}\n    steps: [{id: a, run: 'true'}]\n",
    "larger than a mebibyte": "name: w\ndescription: " + "x" * 1_100_000 + "\n" + STEP,
    "a million keys": "name: w\nlabels: {" + ",".join(f"k{n}: v" for n in range(80_000)) + "}\n" + STEP,
    "twenty thousand steps": "name: w\nsteps:\n"
    + "".join(f"  - {{id: s{n}, run: 'true'}}\n" for n in range(20_000)),
    "not text": b"name: w\n\xff\xfe\x00\x01" + STEP.encode(),
    "a NUL": "name: w\ntitle: a\0b\n" + STEP,
    "nothing": "",
    "two documents": "name: w\n" + STEP + "---\nname: v\n" + STEP,
    "an expression that nests": 'name: w\nsteps: [{id: a, run: "true", if: "'
    + "(" * 5_000
    + "true"
    + ")" * 5_000
    + '"}]\n',
    "an expression that is long": 'name: w\nsteps: [{id: a, run: "true", if: "'
    + "true && " * 60_000
    + 'true"}]\n',
    "an expression in a script": "name: w\nsteps: [{id: a, run: 'echo ${{ inputs.x }}'}]\n",
}

CODES = {
    "brackets, 100,000 deep": "TOW007",
    "maps, 100,000 deep": "TOW007",
    "lists, 100,000 deep, closed": "TOW007",
    "quotes and brackets": "TOW007",
    "a billion laughs": "TOW014",
    "an anchor that holds itself": "TOW014",
    "a merge": "TOW014",
    "a tag that makes objects": "TOW013",
    "two keys alike": "TOW012",
    "two keys alike, deep inside": "TOW012",
    "a matrix of a million": "TOW406",
    "larger than a mebibyte": "TOW002",
    "a million keys": "TOW009",
    "twenty thousand steps": "TOW009",
    "not text": "TOW003",
    "a NUL": "TOW004",
    "nothing": "TOW016",
    "two documents": "TOW015",
    "an expression that nests": "TOW208",
    "an expression that is long": "TOW008",
    "an expression in a script": "TOW211",
}


def limited() -> None:
    """A reader that would take all the memory is stopped instead of the machine."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES_MAX * 4, MEMORY_BYTES_MAX * 4))


def judged(place: Place, command: str, name: str) -> tuple[int, str, float]:
    """Exit code, what was said, and the seconds of processor time that it took."""
    said = place.folder / "said"
    with said.open("wb") as out:
        process = subprocess.Popen(
            [*TOW, command, f"workflows/{name}.yaml"],
            cwd=place.folder,
            env=place.environment(),
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
            preexec_fn=limited,
        )
        _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    return process.returncode, said.read_text(), used.ru_utime + used.ru_stime


@pytest.fixture(scope="module")
def start_seconds(tmp_path_factory: pytest.TempPathFactory) -> float:
    """The processor time that `tow lint` takes for a sound file, on this machine, now."""
    place = Place(tmp_path_factory.mktemp("sound") / "project", w=STEP)
    judgements = [judged(place, "lint", "w") for _ in range(3)]

    assert {code for code, _, _ in judgements} == {0}
    return min(seconds for _, _, seconds in judgements)


@pytest.mark.parametrize("command", ["lint", "run"])
@pytest.mark.parametrize("name", FILES)
def test_a_hostile_file_is_refused_by_name(
    name: str, command: str, tmp_path: Path, start_seconds: float
) -> None:
    """The error has a code and names the file, it takes less than a second, and nothing was started."""
    place = Place(tmp_path / "project")
    text = FILES[name]
    path = place.folder / "workflows" / "hostile.yaml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    code, said, seconds = judged(place, command, "hostile")

    assert (code, "Traceback" in said, (place.folder / "pwned").exists()) == (1, False, False), said[-800:]
    assert "hostile.yaml:" in said
    assert f"error {CODES[name]} " in said, said[:300]
    assert len(said) < SAID_CHARS_MAX
    assert seconds - start_seconds < SECONDS_MAX


def test_all_of_them_at_once_leave_the_process_alive(tmp_path: Path) -> None:
    """One process reads every hostile file of a project, names what is wrong with each, and goes on to the sound one."""
    place = Place(tmp_path / "project", sound=STEP)
    for number, text in enumerate(FILES.values()):
        path = place.folder / "workflows" / f"hostile{number}.yaml"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
    ended = place.tow("lint")
    unnamed = [
        number for number in range(len(FILES)) if f"hostile{number}.yaml" not in ended.stdout + ended.stderr
    ]
    ran = place.tow("run", "sound")

    assert (ended.returncode, unnamed, ran.returncode) == (1, [], 0), ran.stderr[-500:]
