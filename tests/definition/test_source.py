"""Text to a tree: YAML 1.2, places of everything, and files that want to do harm."""
# A row of a table is one line:

from __future__ import annotations

import gc
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from towpath.definition import source
from towpath.definition.loader import check_workflow

HARMLESS_SECONDS_MAX = 1.0

PLAIN_SCALARS = [
    # What the YAML 1.2 core schema makes of a scalar without quotes.
    ("on", "on"),
    ("off", "off"),
    ("yes", "yes"),
    ("no", "no"),
    ("y", "y"),
    ("22:30", "22:30"),
    ("190:20:30", "190:20:30"),
    ("2026-01-01", "2026-01-01"),
    ("1_000", "1_000"),
    ("0b11", "0b11"),
    ("=", "="),
    ("true", True),
    ("False", False),
    ("TRUE", True),
    ("tRUE", "tRUE"),
    ("null", None),
    ("~", None),
    ("Null", None),
    ("", None),
    ("0", 0),
    ("-7", -7),
    ("+7", 7),
    ("0x1F", 31),
    ("0o17", 15),
    ("9223372036854775807", 2**63 - 1),
    ("1.5", 1.5),
    (".5", 0.5),
    ("1.", 1.0),
    ("1e3", 1000.0),
    ("-1.5E-3", -0.0015),
    ("1.2.3", "1.2.3"),
    ("1e", "1e"),
    (".", "."),
    ("-", "-"),
]


@pytest.mark.parametrize(("text", "expected"), PLAIN_SCALARS, ids=repr)
def test_a_scalar_without_quotes_is_read_by_the_core_schema_of_yaml_1_2(text: str, expected: object) -> None:
    """`on`, `no`, `22:30` and dates are text; only what YAML 1.2 calls a number, a boolean or null is one."""
    value = source.resolve_plain(text)

    assert (type(expected), expected) == (type(value), value)


@pytest.mark.parametrize(
    "text", ["0755", "-00", "9223372036854775808", "9" * 5000, "1e999", ".inf", "-.INF", ".nan"]
)
def test_a_number_that_would_change_is_refused(text: str) -> None:
    """Octal look-alikes, numbers beyond 64 bits and what JSON does not know are named, never bent."""
    assert isinstance(source.resolve_plain(text), source.Ambiguous)


@pytest.mark.parametrize(
    "text",
    ["key: on", 'key: "on"', "key: 'on'", "key: |-\n  on", "key: >-\n  on"],
)
def test_text_is_the_same_in_every_style(text: str) -> None:
    """How a text is quoted does not change it."""
    read = source.read_source(text, path="f")
    assert read.root is not None

    assert source.to_data(read.root) == {"key": "on"}


HOSTILE = {
    "100,000 brackets": "[" * 100_000,
    "100,000 braces": "a: " + "{a: " * 100_000,
    "a megabyte of brackets": "[" * (source.FILE_BYTES_MAX - 1),
    "brackets on lines": "[\n" * 200_000,
    "100,000 dashes": "- " * 100_000,
    "100,000 questions": "? " * 100_000,
    "deep indentation": "\n".join(" " * depth + "a:" for depth in range(1_400)),
    "a laughing bomb": "a: &a [x]\n"
    + "".join(f"b{i}: &b{i} [*a,*a,*a,*a,*a,*a,*a,*a]\n" for i in range(20_000)),
    "500,000 items": "steps: [" + "1," * 500_000 + "]",
    "a long key": "a" * 500_000 + ": 1",
    "a long value": "a: " + "b" * 900_000,
    "many duplicate keys": "a: 1\n" * 100_000,
    "many colons": "a: b" + ": c" * 200_000,
    "many quotes": "a: " + "'x' " * 100_000,
    "many expressions": "a: {b: " + "${{ x }} " * 100_000,
    "many tabs": "a:\n" + "\t\n" * 200_000 + "\tb: 1",
    "many documents": "---\n" * 200_000,
    "many tags": "a: " + "!x " * 200_000,
    "two megabytes": "a: b\n" * 400_000,
    "a long number": "a: " + "9" * 200_000,
    "many steps": "name: a\nsteps:\n" + "- run: x\n" * 20_000,
    "many unknown inputs": "name: a\nsteps:\n"
    + "".join(f"- run: x\n  env: {{A: '${{{{ inputs.x{i} }}}}'}}\n" for i in range(1_500)),
    "many wrong steps": "name: a\nsteps:\n" + "- ran: x\n" * 16_000,
    "deep blocks": "name: a\nsteps:\n" + "".join(" " * (2 * d) + "- steps:\n" for d in range(60)),
    "many columns": "name: a\nsteps: [{run: x, env: {"
    + ", ".join(f"A{i}: ${{{{ x }}}}" for i in range(5_000))
    + "}}]",
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_file_gets_a_named_problem_at_once(name: str) -> None:
    """Whatever a file holds, there is a problem with a code in less than a second, and the process lives."""
    check_workflow("name: warm\nsteps: [{run: up}]", path="f")
    gc.collect()
    gc.freeze()  # what other tests left in memory is not to be looked through while this one is timed
    started = time.process_time()
    checked = check_workflow(HOSTILE[name], path="hostile.yaml")
    seconds = time.process_time() - started
    gc.unfreeze()

    assert checked.problems
    assert seconds < HARMLESS_SECONDS_MAX


LIMITS = [
    ("too-large", "a: b\n" * 300_000),
    ("too-deep", "[" * 65),
    ("too-long", "a" * (source.KEY_CHARS_MAX + 1) + ": 1"),
    ("too-long", "a: " + "b" * (source.SCALAR_CHARS_MAX + 1)),
    ("too-many-values", "a: [" + "1," * source.VALUES_MAX + "]"),
    ("too-many-steps", "name: a\nsteps:\n" + "- run: x\n" * 2_001),
    ("nested-too-deep", "name: a\nsteps:\n" + "".join("  " * d + "- steps:\n" for d in range(17)) + "  " * 17 + "- run: x"),
    ("too-many-items", "name: a\nsteps:\n- each: {matrix: {a: [" + "1," * 1000 + "], b: [" + "1," * 1000 + "]}}\n  steps: [{run: x}]"),
    ("too-many-expressions", "name: a\nenv:\n" + "".join(f"  A{i}: $" + "{{ run.id }}\n" for i in range(10_001)) + "steps: [{run: x}]"),
    ("more-problems", "name: a\nsteps:\n" + "- {run: x, no: 1}\n" * 300),
]  # fmt: skip


@pytest.mark.parametrize(("name", "text"), LIMITS, ids=[name for name, _ in LIMITS])
def test_a_limit_has_a_name(name: str, text: str) -> None:
    """What goes past a limit is told with the limit's code."""
    assert name in {problem.name for problem in check_workflow(text, path="f.yaml").problems}


def test_what_is_at_a_limit_is_fine() -> None:
    """The limits are the largest sizes that pass, not the smallest that do not."""
    deep = "a: " + "[" * (source.DEPTH_MAX - 1) + "]" * (source.DEPTH_MAX - 1)
    long_key = "k" * source.KEY_CHARS_MAX + ": " + "v" * source.SCALAR_CHARS_MAX

    assert source.read_source(deep, path="f").problems == []
    assert source.read_source(long_key, path="f").problems == []


CHARACTERS = [
    (b"name: a\x00b", "control-character", 1, 8),
    (b"name: a\nb: \x1b[31m", "control-character", 2, 4),
    ("name: \u202egnp.exe".encode(), "control-character", 1, 7),
    ("name: a\u2028b".encode(), "control-character", 1, 8),
    ("name: a\x85b".encode(), "control-character", 1, 8),
    (b"name: a\rb: c", "control-character", 1, 8),
    ("\ufeffname: a".encode(), "byte-order-mark", 1, 1),
    (b"name: \xff", "not-utf8", 1, 7),
    (b"a: b\nname: \xc3\x28", "not-utf8", 2, 7),
    (b"name: \xed\xa0\x80", "not-utf8", 1, 7),
    ("name: a".encode("utf-16"), "not-utf8", 0, 1),
]


@pytest.mark.parametrize(("raw", "name", "line", "column"), CHARACTERS, ids=repr)
def test_a_character_that_does_not_belong_into_a_file_is_shown(
    raw: bytes, name: str, line: int, column: int
) -> None:
    """Bytes that are no text, and characters that nobody sees, are told with their place."""
    (problem, *_) = source.read_source(raw, path="f").problems

    assert (name, line, column) == (problem.name, problem.line, problem.column)


def test_windows_line_ends_change_nothing_but_the_digest() -> None:
    """A file with CRLF reads like one with LF; its digest is that of its bytes."""
    unix = source.read_source(b"a: |\n  x\n  y\nb: 1\n", path="f")
    windows = source.read_source(b"a: |\r\n  x\r\n  y\r\nb: 1\r\n", path="f")
    assert unix.root is not None
    assert windows.root is not None

    assert source.to_data(unix.root) == source.to_data(windows.root)
    assert unix.digest != windows.digest


STYLES = {
    "plain": lambda text: f"key: {text}",
    "single": lambda text: "key: '" + text.replace("'", "''") + "'",
    "double": lambda text: 'key: "' + text.replace("\\", "\\\\").replace('"', '\\"') + '"',
    "escaped": lambda text: 'key: "' + "".join(f"\\u{ord(c):04x}" if c == "ü" else c for c in text) + '"',
    "literal": lambda text: "key: |\n  first\n    " + text,
    "folded": lambda text: "key: >-\n  first\n  " + text,
    "flow": lambda text: f"{{other: [1, 2], key: '{text}'}}",
    "nested": lambda text: f"a:\n- b: 1\n  c: [{{}}, x]\nkey: {text}",
}


@pytest.mark.parametrize("style", STYLES)
@given(before=st.text(alphabet="abü ", max_size=12), after=st.text(alphabet="abü ", max_size=6))
def test_a_caret_lands_on_the_expression_in_every_style(style: str, before: str, after: str) -> None:
    """A place inside a value is the same place in the file, whatever quotes, folds and escapes are between."""
    text = f"x{before}${{{{ name }}}}{after}x"
    written = STYLES[style](text)
    read = source.read_source(written, path="f")
    assert read.root is not None
    value = source.to_data(read.root)["key"]
    start, end = read.span_inside(("key",), value.index("name"), len("name"))

    assert written[start:end] == "name"
    assert source.to_data(read.root)["key"].count("name") == 1


@given(st.text(max_size=200))
def test_no_text_breaks_the_reader(text: str) -> None:
    """Any text gives a tree or problems, and never anything else."""
    read = source.read_source(text, path="f")

    assert read.root is not None or read.problems


@given(st.text(alphabet="{}[]:,-|>'\"${} \n\tab?&*!%@#", max_size=80))
def test_no_heap_of_yaml_signs_breaks_the_loader(text: str) -> None:
    """Whatever YAML's signs are put together to, the loader answers with problems whose places are in the text."""
    checked = check_workflow(text, path="f")
    lines = text.split("\n")

    assert checked.problems
    assert all(0 <= problem.line <= len(lines) for problem in checked.problems)
