"""Values that stood in a script as text become variables that the shell reads as one value."""

from __future__ import annotations

import subprocess

import pytest

from towpath.definition.importing import scripts
from towpath.definition.importing.scripts import Span

VALUE = "two words; $(id) `id` \"'\\ *"
"""Nothing of it may be read by the shell."""

PLACES = [
    ("printf %s @", VALUE),
    ('printf %s "@"', VALUE),
    ("printf %s '@'", VALUE),
    ("printf %s 'a@b'", f"a{VALUE}b"),
    ("printf %s 'a @'", f"a {VALUE}"),
    ("printf %s '@ b'", f"{VALUE} b"),
    ('printf %s "a@b"', f"a{VALUE}b"),
    ("printf %s a@b", f"a{VALUE}b"),
    ("printf %s \"it's @\"", f"it's {VALUE}"),
    ("printf %s 'a'@'b'", f"a{VALUE}b"),
    ('x=@; printf %s "$x"', VALUE),
    ("printf %s $(printf %s '@' | wc -c)", str(len(VALUE))),
    ("cat <<END\na @ b\nEND", f"a {VALUE} b\n"),
    ("cat <<-END\n\ta @\n\tEND", f"a {VALUE}\n"),
    ("cat <<'END'\na @ b\nEND", "a $X b\n"),
    ("cat <<END; printf %s '@'\na\nEND", f"a\n{VALUE}"),
    ("cat <<'END'\nit's\nEND\nprintf %s @", f"it's\n{VALUE}"),
    ("printf a # it's\nprintf %s @", f"a{VALUE}"),
    ('printf %s\\" @', f'{VALUE}"'),
    ("cat <<<@", f"{VALUE}\n"),
    ("printf %s $((1 << 2)) '@'", f"4{VALUE}"),
]  # fmt: skip


@pytest.mark.parametrize(("script", "expected"), PLACES)
def test_bash_reads_a_value_as_itself(script: str, expected: str) -> None:
    """Wherever a value stands, bash prints exactly the value: it is one word, and never code."""
    start = script.index("@")
    replaced = scripts.replace(script, [Span(start=start, end=start + 1, variable="X")])
    done = subprocess.run(
        ["bash", "--noprofile", "--norc", "-euo", "pipefail", "-c", replaced.text],
        env={"X": VALUE, "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=True,
        timeout=20,
    )

    assert expected == done.stdout
    assert bool(replaced.unread) is ("$X" in expected)


@pytest.mark.parametrize(("value", "expected"), [("", "1"), ("a b", "2")])
def test_a_value_that_may_be_empty_is_no_empty_word(value: str, expected: str) -> None:
    """Nothing put into a script was no word; as a variable it is none either."""
    script = "set -- a @; printf %s $#"
    start = script.index("@")
    text = scripts.replace(script, [Span(start=start, end=start + 1, variable="X", may_be_empty=True)]).text
    done = subprocess.run(["bash", "-c", text], env={"X": value}, capture_output=True, text=True, check=True)

    assert expected == done.stdout


TRANSCRIPTS = [
    ("make\n", "make\n"),
    ("$ make\nok\n$ ls\na\n", "make\nls\n"),
    ("user@host:~$ make\n", "make\n"),
    ("[root@db1 ~]# reboot\n", "reboot\n"),
    ("# a comment\nmake\n", "# a comment\nmake\n"),
    ("$ a \\\n> b\nout\n", "a \\\nb\n"),
    ("echo $HOME\n", "echo $HOME\n"),
]


@pytest.mark.parametrize(("code", "expected"), TRANSCRIPTS)
def test_a_transcript_is_its_commands(code: str, expected: str) -> None:
    """Prompts and what the commands printed are left out; a script without prompts stays as it is."""
    assert expected == scripts.without_prompts(code)


READ = [
    ("echo $HOST", ("HOST",)),
    ("echo ${HOST:-a} ${HOST%.*}", ("HOST",)),
    ("echo '$HOST' # $OTHER", ()),
    ("echo $PATH $1 $host $_X \\$HOST", ()),
    ("cat <<'E'\n$HOST\nE\ncat <<E\n$USER_ID\nE", ("USER_ID",)),
]


@pytest.mark.parametrize(("script", "expected"), READ)
def test_the_variables_that_a_script_reads(script: str, expected: tuple[str, ...]) -> None:
    """Names in capital letters count where the shell reads them, and those that every machine has do not."""
    assert expected == scripts.variables_read(script)


SET = [
    ("A=1; export B=2\nlocal C=3", {"A", "B", "C"}),
    ("for D in 1; do read -r E; done", {"D", "E"}),
    ("[ a == b ] && echo F", set()),
    ("while read -r G; do :; done", {"G"}),
]


@pytest.mark.parametrize(("script", "expected"), SET)
def test_the_variables_that_a_script_sets(script: str, expected: set[str]) -> None:
    """Assignments, loops and `read` set variables."""
    assert expected == scripts.variables_set(script)
