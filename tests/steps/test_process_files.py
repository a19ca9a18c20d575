"""`$TOW_OUTPUT`, `$TOW_SUMMARY` and the script: what a step writes is read with care."""

from __future__ import annotations

import os
import stat
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
import pytest_asyncio
from hypothesis import given
from hypothesis import strategies as st
from process_support import ENVIRONMENT

from towpath.errors import LimitExceeded, Refused
from towpath.steps.processes import (
    EndedBy,
    OutputsInvalid,
    ProcessRunner,
    ProcessSpec,
    StepFiles,
    parse_outputs,
    shell_named,
    shells,
    step_files,
)


@pytest_asyncio.fixture
async def processes() -> AsyncIterator[ProcessRunner]:
    """A runner that is closed after the test."""
    async with ProcessRunner() as made:
        yield made


OUTPUTS = [
    ("", {}),
    ("\n\n", {}),
    ("image=shop:1", {"image": "shop:1"}),
    ("image=shop:1\n", {"image": "shop:1"}),
    ("a=1\n\nb=2\n", {"a": "1", "b": "2"}),
    ("a=\n", {"a": ""}),
    ("a= x = y \n", {"a": " x = y "}),
    ("a=1\na=2\n", {"a": "2"}),
    ("a=x<<y\n", {"a": "x<<y"}),
    ("a=1\r\nb=2\r\n", {"a": "1", "b": "2"}),
    ("a<<END\none\n\n two=2\nEND\nb=1\n", {"a": "one\n\n two=2", "b": "1"}),
    ("a<<END\nEND\n", {"a": ""}),
    ("a<<END\r\none\r\nEND\r\n", {"a": "one\r"}),
    ("a<< END\nENDS\nEND\n", {"a": "ENDS"}),
    ("a<<ghadelimiter_=\nx\nghadelimiter_=\n", {"a": "x"}),
    ("a=ü€\n", {"a": "ü€"}),
]


@pytest.mark.parametrize(("text", "expected"), OUTPUTS)
def test_outputs_are_read(text: str, expected: dict[str, object]) -> None:
    """Lines and blocks are read as they are written, and the last value of a name counts."""
    assert parse_outputs(text.encode()) == expected


WRONG = [
    (b"a=1\nnonsense\n", 2, "no `name=value` in 'nonsense'."),
    (b"my image=1\n", 1, "'my image' cannot be the name of an output."),
    (b"=1\n", 1, "'' cannot be the name of an output."),
    (b"1a=1\n", 1, "'1a' cannot be the name of an output."),
    (b"\na<<END\none\n", 2, "the text that begins here is never ended by a line 'END'."),
    (b"a<<\n", 1, "`a<<` names no word that ends the text."),
    (b"a=1\nb=\xff\n", 2, "byte 0xff is not UTF-8."),
    (b"a=1\nb=\0\n", 2, "a NUL character."),
    (b"x" * 100, 1, "no `name=value` in '" + "x" * 60 + "…'."),
]


@pytest.mark.parametrize(("data", "line", "message"), WRONG)
def test_what_cannot_be_understood_is_named_by_line(data: bytes, line: int, message: str) -> None:
    """An error says in which line it is and what is there."""
    with pytest.raises(OutputsInvalid) as wrong:
        parse_outputs(data)

    assert (wrong.value.line, str(wrong.value)) == (line, f"$TOW_OUTPUT, line {line}: {message}")


@given(
    st.dictionaries(
        st.from_regex(r"[A-Za-z_][A-Za-z0-9_]*", fullmatch=True),
        st.text(st.characters(codec="utf-8", exclude_characters="\0\r")),
        max_size=5,
    )
)
def test_any_text_survives_a_block(values: dict[str, str]) -> None:
    """A value written as a block comes back as it was, whatever it holds."""
    written = "".join(f"{name}<<no-such-line\n{value}\nno-such-line\n" for name, value in values.items())

    assert parse_outputs(written.encode()) == values


def test_declared_json_is_read() -> None:
    """Names that are declared as JSON give its values; the others stay text."""
    found = parse_outputs(b'a={"x": [1, true, null]}\nb=1\n', as_json=["a"])

    assert found == {"a": {"x": [1, True, None]}, "b": "1"}


@pytest.mark.parametrize("text", ["{", "NaN", "", "[" * 100_000])
def test_wrong_json_is_named_by_line(text: str) -> None:
    """What is declared as JSON and is none is an error of its line."""
    with pytest.raises(OutputsInvalid) as wrong:
        parse_outputs(f"b=1\na={text}\n".encode(), as_json=["a"])

    assert wrong.value.line == 2


def test_an_undeclared_name_is_refused() -> None:
    """An output that nobody declared is an error that shows how to declare it."""
    with pytest.raises(OutputsInvalid) as wrong:
        parse_outputs(b"a=1\ntag=2\n", declared=["a"])

    assert (str(wrong.value), wrong.value.help) == (
        "$TOW_OUTPUT, line 2: `tag` is not declared as an output of the step.",
        "Add it: outputs: [a, tag].",
    )


def test_there_is_a_limit_to_outputs() -> None:
    """Too many names are refused by the limit's name."""
    with pytest.raises(LimitExceeded) as refused:
        parse_outputs(b"".join(b"n%d=1\n" % number for number in range(step_files.OUTPUTS_MAX + 1)))

    assert refused.value.limit == "outputs_max"


def test_an_output_file_that_is_too_long_is_refused(tmp_path: Path) -> None:
    """A step that writes too much to its output is told so, and what it wrote is not read further."""
    files = StepFiles.prepare(tmp_path / "build-1")
    files.output.write_bytes(b"a=" + b"x" * step_files.OUTPUT_BYTES_MAX)
    with pytest.raises(LimitExceeded) as refused:
        files.outputs()

    assert refused.value.limit == "output_bytes_max"


def test_a_summary_that_is_too_long_is_cut(tmp_path: Path) -> None:
    """Of a long summary the beginning is kept; what is no UTF-8 is replaced."""
    files = StepFiles.prepare(tmp_path / "build-1")
    files.summary.write_bytes(b"# \xff\n" + b"x" * step_files.SUMMARY_BYTES_MAX)
    text = files.summary_text()

    assert (text[:5], len(text)) == ("# �\nx", step_files.SUMMARY_BYTES_MAX)


def test_nothing_written_is_nothing(tmp_path: Path) -> None:
    """A step that wrote neither outputs nor a summary has none."""
    files = StepFiles.prepare(tmp_path / "build-1")

    assert (files.outputs(), files.summary_text()) == ({}, "")


def _link(path: Path) -> None:
    path.symlink_to("/etc/passwd")


TRICKS: dict[str, Callable[[Path], object]] = {
    "a link": _link,
    "a pipe": os.mkfifo,
    "a folder": os.mkdir,
}


@pytest.mark.parametrize("trick", TRICKS)
def test_only_a_plain_file_is_read(trick: str, tmp_path: Path) -> None:
    """An output file that a step has replaced is neither followed nor waited for."""
    files = StepFiles.prepare(tmp_path / "build-1")
    TRICKS[trick](files.output)
    with pytest.raises(OutputsInvalid) as wrong:
        files.outputs()

    assert "is no plain file any more" in str(wrong.value)


def test_files_are_for_their_owner_only(tmp_path: Path) -> None:
    """Neither the folder of an attempt nor its script is open to others, and no attempt finds another's."""
    files = StepFiles.prepare(tmp_path / "build-1", shell=shell_named(), script="true\n")
    assert files.script is not None
    modes = [stat.S_IMODE(path.stat().st_mode) for path in (files.folder, files.script)]
    with pytest.raises(FileExistsError):
        StepFiles.prepare(tmp_path / "build-1")

    assert modes == [0o700, 0o600]


def test_an_attempt_without_a_folder_finds_nothing_of_an_earlier_one(tmp_path: Path) -> None:
    """What stands under the names of an attempt before it begins is removed; other attempts keep theirs."""
    other = StepFiles.prepare(tmp_path / "build-2", on_disk=False)
    other.output.write_text("a=2\n")
    earlier = StepFiles.prepare(tmp_path / "build-1", on_disk=False)
    earlier.output.write_text("a=1\n")
    earlier.summary.mkdir()
    (earlier.summary / "more").write_text("x")
    files = StepFiles.prepare(tmp_path / "build-1", on_disk=False)

    assert (files.outputs(), files.summary_text(), other.outputs()) == ({}, "", {"a": "2"})


@pytest.mark.parametrize("on_disk", [False, True])
@pytest.mark.parametrize("shell", ["bash", "sh", "python", "pwsh", "perl -w"])
def test_files_are_removed_with_all_that_was_put_there(shell: str, on_disk: bool, tmp_path: Path) -> None:
    """After a step nothing of its files is left, the script included."""
    files = StepFiles.prepare(tmp_path / "a", shell=shell_named(shell), script="x", on_disk=on_disk)
    files.output.write_text("a=1\n")
    files.summary.mkdir()
    (files.summary / "more").write_text("x")
    files.remove()

    assert list(tmp_path.iterdir()) == []


SCRIPTS = {
    "quotes arrive as they are": (
        "bash",
        "echo \"a'b\" $'c\\n' '$HOME' `echo d`",
        0,
        "a'b c\n $HOME d\n",
        "",
        {},
    ),
    "an error ends it": ("bash", "false\necho no", 1, "", "", {}),
    "an unset name ends it": (
        "bash",
        'echo "$NOPE"',
        1,
        "",
        "SCRIPT: line 1: NOPE: unbound variable\n",
        {},
    ),
    "a pipe fails with its parts": ("bash", "false | true\necho no", 1, "", "", {}),
    "outputs": (
        "bash",
        'echo "image=shop" >>"$TOW_OUTPUT"\ncat >>"$TOW_OUTPUT" <<X\nnotes<<EOF\none\ntwo\nEOF\nX',
        0,
        "",
        "",
        {"image": "shop", "notes": "one\ntwo"},
    ),
    "sh": ("sh", "echo one; false; echo no", 1, "one\n", "", {}),
    "python": (
        "python",
        "import os, sys\nprint(1)\nopen(os.environ['TOW_OUTPUT'], 'a').write('x=1')\nsys.exit(4)",
        4,
        "1\n",
        "",
        {"x": "1"},
    ),
    "another program": (("cat", "-n"), "hello\n", 0, "     1\thello\n", "", {}),
    "another program in one text": ("cat -n", "hello\n", 0, "     1\thello\n", "", {}),
    "a long script": ("bash", ": " + "x" * 500_000 + "\necho done", 0, "done\n", "", {}),
}


@pytest.mark.parametrize("on_disk", [False, True], ids=["in memory", "on disk"])
@pytest.mark.parametrize("name", SCRIPTS)
async def test_scripts_run_as_written(
    name: str, on_disk: bool, processes: ProcessRunner, tmp_path: Path
) -> None:
    """A script reaches its shell as it was written, runs by its rules, and tells its outputs."""
    shell, text, *expected = SCRIPTS[name]
    made = shell_named(shell)
    files = StepFiles.prepare(tmp_path / "a", shell=made, script=text, on_disk=on_disk)
    env = {**ENVIRONMENT, **files.facts()}
    result = await processes.run(ProcessSpec(argv=files.argv, files=files.in_memory, cwd="/", env=env))
    stderr = result.stderr_tail.decode().replace(files.argv[-1], "SCRIPT")

    assert [result.exit_code, result.stdout_tail.decode(), stderr, files.outputs()] == expected
    assert result.ended_by is EndedBy.EXIT


async def test_a_script_stays_off_the_disk_and_the_command_line(
    processes: ProcessRunner, tmp_path: Path
) -> None:
    """While a script runs in memory, neither a file nor the list of processes holds its text."""
    script = "token=opensesame; tr '\\0' ' ' </proc/$$/cmdline; ls $FOLDER"
    files = StepFiles.prepare(tmp_path / "a", shell=shell_named(), script=script, on_disk=False)
    env = {**ENVIRONMENT, "FOLDER": str(tmp_path)}
    result = await processes.run(ProcessSpec(argv=files.argv, files=files.in_memory, cwd="/", env=env))

    assert result.stdout_tail == b"bash --noprofile --norc -euo pipefail /dev/fd/33 "


def test_powershell_stops_at_errors_and_keeps_its_line_numbers(tmp_path: Path) -> None:
    """A PowerShell script is a file with the suffix that it must have, and its line numbers stay right."""
    script = "Write-Output 1\nWrite-Output 2\n"
    files = StepFiles.prepare(tmp_path / "a", shell=shell_named("pwsh"), script=script, on_disk=False)
    assert files.script is not None
    text = files.script.read_text()

    assert (files.argv[-1], files.script.suffix, text) == (
        str(files.script),
        ".ps1",
        "$ErrorActionPreference = 'Stop'; $PSNativeCommandUseErrorActionPreference = $true; " + script,
    )


@pytest.mark.parametrize("shell", ["", "   ", (), ("",), ("a", ""), ("a\0",)])
def test_a_shell_that_is_none_is_refused(shell: str | tuple[str, ...]) -> None:
    """A shell without a program is refused with the names that there are."""
    with pytest.raises(Refused) as refused:
        shell_named(shell)

    assert refused.value.help == "Use bash, sh, python, pwsh, or a list such as [perl, -w]."


def test_a_script_that_is_too_long_is_refused(tmp_path: Path) -> None:
    """A script past the limit is refused by the limit's name, and nothing is written."""
    with pytest.raises(LimitExceeded) as refused:
        shells.script_command(shell_named(), "x" * (shells.SCRIPT_BYTES_MAX + 1), tmp_path / "script")

    assert (refused.value.limit, list(tmp_path.iterdir())) == ("script_bytes_max", [])
