"""No form of a secret is left in anything that a step says, however it was cut, quoted or encoded."""

from __future__ import annotations

import base64
import functools
import html
import itertools
import json
import os
import shlex
import subprocess
import time
import urllib.parse
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from towpath.errors import LimitExceeded
from towpath.steps.secrets import NOTHING_TO_MASK, Masker, SecretUnmaskable
from towpath.steps.secrets import masking as masking_module
from towpath.steps.secrets.forms import FORM_BYTES_MIN, forms_of

PLAIN = "hunter2secret"
ODD = "p@ss w'rd\"$x/é&<y>\\!`~"
LINES = "-----BEGIN KEY-----\nMIIEowIBAAKCAQEA7bq\nzz+/8fQ==\n-----END KEY-----\n"
LONG = base64.b64encode(bytes(range(256))).decode()
SECRETS = [PLAIN, ODD, LINES, LONG, "correct horse\tbattery", "123456", "ключ-от-всего"]

INNOCENT = ["....", ". .\t'.", "....."]
"""What stands around a secret is known from how these are told."""
EDGE_CHARS_MAX = 3
"""What base64 may leave at either end: the characters that hold bits of the neighbours too."""

secrets = st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="*"), min_size=4, max_size=40
).filter(lambda text: len(text.strip().encode()) >= FORM_BYTES_MIN)


def bash(script: str) -> Callable[[str], bytes]:
    """What a bash script prints of `$S`."""

    def told(secret: str) -> bytes:
        run = subprocess.run(
            ["bash", "-c", script],
            env={"S": secret, "PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            check=True,
        )
        return run.stdout

    return told


def of_text(tell: Callable[[str], str]) -> Callable[[str], bytes]:
    """A way to tell that gives text."""
    return lambda secret: tell(secret).encode()


TELLERS: dict[str, Callable[[str], bytes]] = {
    "as it is": of_text(str),
    "in the middle": of_text(lambda secret: f"token={secret};"),
    "json": of_text(lambda secret: json.dumps({"k": secret})),
    "json with its letters": of_text(lambda secret: json.dumps({"k": secret}, ensure_ascii=False)),
    "json in json": of_text(lambda secret: json.dumps(json.dumps({"k": secret}))),
    "json in upper case": of_text(lambda secret: "".join(f"\\u{ord(character):04X}" for character in secret)),
    "repr": of_text(lambda secret: repr([secret])),
    "ascii": of_text(lambda secret: ascii([secret])),
    "a query": of_text(lambda secret: urllib.parse.urlencode({"k": secret})),
    "a path": of_text(urllib.parse.quote),
    "percent in lower case": of_text(lambda secret: "".join(f"%{byte:02x}" for byte in secret.encode())),
    "hex": of_text(lambda secret: secret.encode().hex()),
    "HEX": of_text(lambda secret: secret.encode().hex().upper()),
    "html": of_text(html.escape),
    "shlex": of_text(shlex.quote),
    "printf %q": bash("printf 'x%q' \"$S\""),
    "printf %q in the C locale": bash("LC_ALL=C; printf 'x%q' \"$S\""),
    "@Q": bash('echo "${S@Q}"'),
    "set -x": bash('set -x; : "$S"'),
    "declare -p": bash("declare -p S"),
    "an array": bash('a=("$S"); declare -p a'),
    "base64": bash('printf %s "$S" | base64'),
    "base64 in one line": bash('printf %s "$S" | base64 -w0'),
    "base64 with a newline": bash('base64 <<<"$S"'),
    "base64 after one": bash('base64 -w0 <<<"x$S"'),
    "base64 after two": bash('base64 -w0 <<<"xx$S"'),
    "base64 of a header": bash('base64 -w0 <<<"user:$S"'),
    "base64 in lines, somewhere": bash('base64 -w60 <<<"............................................$S"'),
    "base64 for URLs": of_text(lambda secret: base64.urlsafe_b64encode(secret.encode()).decode().rstrip("=")),
    "base64 of PowerShell": of_text(lambda secret: base64.b64encode(secret.encode("utf-16-le")).decode()),
}


@pytest.mark.parametrize("teller", TELLERS)
@pytest.mark.parametrize("secret", SECRETS, ids=range(len(SECRETS)))
def test_no_way_of_telling_tells(secret: str, teller: str) -> None:
    """What programs print of a secret holds, once masked, no more than the edges of it."""
    tell = TELLERS[teller]
    told = tell(secret)
    masked = Masker([secret]).data(told)
    left = [piece for piece in _pieces(masked) if not any(_is_of(piece, frame) for frame in _frames(teller))]

    assert (b"***" in masked, [piece for piece in left if len(piece) > EDGE_CHARS_MAX]) == (True, [])


@functools.cache
def _frames(teller: str) -> list[bytes]:
    """What is told of innocent words: all that may be left when a secret is told."""
    return [TELLERS[teller](innocent) for innocent in INNOCENT]


def _pieces(masked: bytes) -> list[bytes]:
    return [line for piece in masked.split(b"***") for line in piece.split(b"\n")]


def _is_of(piece: bytes, frame: bytes) -> bool:
    """Whether *piece* stands in *frame*, but for its edges."""
    edges = (0, EDGE_CHARS_MAX)
    return any(piece[begin : len(piece) - end] in frame for begin in edges for end in edges)


@given(data=st.data(), secret=secrets)
def test_every_form_of_every_secret_is_covered(data: st.DataObject, secret: str) -> None:
    """Whatever stands around it, no form of a secret stays readable."""
    form = data.draw(st.sampled_from(sorted(forms_of(secret))))
    before, after = data.draw(st.binary(max_size=20)), data.draw(st.binary(max_size=20))
    masked = Masker([secret]).data(before + form + after)

    assert (form in masked, b"***" in masked) == (False, True)


few = st.text("ab", min_size=4, max_size=6)


@given(
    values=st.lists(few, min_size=1, max_size=3),
    chunks=st.lists(st.text("abc \n", max_size=12).map(str.encode), max_size=12),
)
def test_chunks_do_not_matter(values: list[str], chunks: list[bytes]) -> None:
    """A stream that is cut in any way is masked as the whole is, and as a slow and simple reading says."""
    masker = Masker(values)
    stream = masker.stream()
    piecewise = b"".join(map(stream.feed, chunks)) + stream.finish()
    whole = b"".join(chunks)

    assert (piecewise, masker.data(whole)) == (_by_hand(values, whole), piecewise)


def _by_hand(values: list[str], data: bytes) -> bytes:
    """Cover every occurrence of every form; what overlaps is one."""
    found = sorted(
        (start, start + len(form))
        for value in values
        for form in forms_of(value)
        for start in range(len(data))
        if data.startswith(form, start)
    )
    said, position = [], 0
    for start, end in found:
        if start >= position:
            said += [data[position:start], b"***"]
        position = max(position, end)
    return b"".join([*said, data[position:]])


@given(data=st.data(), secret=secrets)
def test_a_secret_in_many_writes_is_found(data: st.DataObject, secret: str) -> None:
    """A form that arrives byte by byte, or in any parts, is covered."""
    form = data.draw(st.sampled_from(sorted(forms_of(secret))))
    cuts = sorted(data.draw(st.sets(st.integers(0, len(form)), max_size=6)) | {0, len(form)})
    stream = Masker([secret]).stream()
    masked = b"".join(stream.feed(form[start:end]) for start, end in itertools.pairwise(cuts))
    masked += stream.finish()

    assert form not in masked


@given(text=st.text(max_size=200), secret=secrets)
def test_innocent_text_is_left_alone(text: str, secret: str) -> None:
    """Text that holds no form of a secret comes out as it went in."""
    data = text.encode("utf-8", "surrogatepass")
    expected = any(form in data for form in forms_of(secret))

    assert (Masker([secret]).data(data) != data) == expected


OVERLAPS = [
    (["abcdef", "defghi"], b"abcdefghi!", b"***!"),
    (["abcdef", "abcdefghij"], b"abcdefghij abcdefgh", b"*** ***gh"),
    (["bcde", "abcdef"], b"abcdef", b"***"),
    (["abab"], b"abababab", b"***"),
    (["abcd"], b"abcdabcd", b"******"),
    (["abcd"], b"abcabcd", b"abc***"),
    (["abcd"], b"abc", b"abc"),
]


@pytest.mark.parametrize(("values", "data", "expected"), OVERLAPS)
def test_overlapping_secrets_leave_no_remainder(values: list[str], data: bytes, expected: bytes) -> None:
    """Of secrets that overlap, everything is covered."""
    assert Masker(values).data(data) == expected


def test_no_more_is_held_back_than_must_be() -> None:
    """A chunk comes out at once but for an end that could be the beginning of a secret."""
    stream = Masker([PLAIN]).stream()
    out = [stream.feed(chunk) for chunk in (b"a line\n", b"a prompt: hunt", b"er", b"!\n", b"hunter2")]

    assert (out, stream.finish()) == ([b"a line\n", b"a prompt: ", b"", b"hunter!\n", b""], b"hunter2")


@given(last=st.sampled_from("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+/.!"))
def test_a_line_is_not_held_back_for_its_last_letter(last: str) -> None:
    """A whole line is shown at once, although base64 may be broken into lines anywhere."""
    line = f"a line that ends with {last}\n".encode()

    assert Masker([PLAIN, "123456", LONG]).stream().feed(line) == line


def test_each_line_of_a_secret_is_one() -> None:
    """Of a secret of several lines each line is covered wherever it stands, but not a bracket."""
    masker = Masker(['{\n  "password": "hunter2secret"\n}\n'])

    assert masker.text('> "password": "hunter2secret"\n> }\n') == "> ***\n> }\n"


VALUES = [
    ("a hunter2secret b", "a *** b"),
    (
        ["hunter2secret", {"hunter2secret": 1, "x": [None, True, 1.5]}],
        ["***", {"***": 1, "x": [None, True, 1.5]}],
    ),
    (123456, "***"),
    (-123456.5, "-***.5"),
    ({"n": 12345}, {"n": 12345}),
    ({1: "x"}, {"1": "x"}),
    (("hunter2secret",), ["***"]),
    (ValueError("hunter2secret"), "ValueError('***')"),
    ("\ud800 hunter2secret", "\ud800 ***"),
]


@pytest.mark.parametrize(("value", "expected"), VALUES)
def test_values_are_masked_through_and_through(value: object, expected: object) -> None:
    """Texts, keys and numbers of a JSON value are masked, and its shape stays."""
    assert Masker([PLAIN, "123456"]).value(value) == expected


def test_a_value_that_is_too_deep_is_refused() -> None:
    """Nesting past the limit is an error with the limit's name, not a crash."""
    value: object = "x"
    for _ in range(100_000):
        value = [value]
    with pytest.raises(LimitExceeded) as refused:
        Masker([PLAIN]).value(value)
    while isinstance(value, list):  # freed without recursion
        value = value[0]

    assert refused.value.limit == "mask_depth_max"


@pytest.mark.parametrize("value", ["", "abc", "  a \n", "   \n\n   "])
def test_a_short_secret_is_refused(value: str) -> None:
    """A value that is too short to be masked is refused, and the message does not hold it."""
    with pytest.raises(SecretUnmaskable) as refused:
        Masker(["long enough", value])

    assert str(refused.value) == "A secret has fewer than 4 characters: it could not be masked in logs."


def test_a_huge_secret_is_refused() -> None:
    """A value that is too large to be looked for is refused by the limit's name."""
    with pytest.raises(LimitExceeded) as refused:
        Masker(["x" * (masking_module.SECRET_BYTES_MAX + 1)])

    assert refused.value.limit == "secret_bytes_max"


def test_nothing_to_mask_costs_nothing() -> None:
    """Without secrets a chunk comes back as the very same object."""
    chunk = b"x" * 1000

    assert NOTHING_TO_MASK.stream().feed(chunk) is chunk


def test_a_masker_does_not_show_its_values() -> None:
    """Neither `repr` nor what it grows into shows a secret."""
    masker = Masker([PLAIN]).including([ODD])

    assert (repr(masker), masker.including([PLAIN]) is masker) == ("<Masker of 2 secrets>", True)


def test_masking_is_linear() -> None:
    """Text made to be hard (the beginning of a secret again and again) takes time by its size only."""
    masker = Masker(["a" * 2000 + "b"])

    def seconds(size: int) -> float:
        stream, chunk = masker.stream(), b"a" * 65536
        begun = time.perf_counter()
        for _ in range(size):
            stream.feed(chunk)
        return time.perf_counter() - begun

    seconds(2)

    assert seconds(32) < 3 * 4 * max(seconds(8), 0.001)
