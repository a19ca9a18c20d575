"""Texts with expressions inside, and the secrets that they only name."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from towpath.definition.expressions import (
    DYNAMIC,
    Code,
    CompileError,
    EvaluationError,
    Names,
    Reference,
    SecretReference,
    TemplateWithSecrets,
    compile_expression,
    limits,
    parse_template,
)

RUN: dict[str, Any] = {
    "inputs": {
        "version": "v1.2",
        "hosts": ["web1", "web2"],
        "count": 3,
        "share": 0.5,
        "dry": False,
        "note": None,
    },
    "text": "${{ inputs.version }} $${{ }}",
}
TYPES = Names.of(
    {"inputs.version": "string", "inputs.count": "int", "inputs.hosts": "list(string)", "secrets": "map"}
)

VALUES = [
    ("", ""),
    ("plain", "plain"),
    ("a $ b {{ c }} ${d}", "a $ b {{ c }} ${d}"),
    # whole: the type stays
    ("${{ inputs.version }}", "v1.2"),
    ("${{inputs.count}}", 3),
    ("${{ inputs.share * 2.0 }}", 1.0),
    ("${{ inputs.dry }}", False),
    ("${{ inputs.note }}", None),
    ("${{ inputs.hosts }}", ["web1", "web2"]),
    ("${{ {'a': {'b': 1}} }}", {"a": {"b": 1}}),
    ("${{ {'a': {'b': 1}}}}", {"a": {"b": 1}}),
    # inside text: everything is text
    ("v=${{ inputs.version }}", "v=v1.2"),
    (" ${{ inputs.count }}", " 3"),
    ("${{ inputs.count }}${{ inputs.count }}", "33"),
    ("${{ inputs.share * 2.0 }} of ${{ inputs.share }}", "1 of 0.5"),
    ("${{ 1e20 }}, ${{ -0.25 }}, ${{ 123456789.0 }}", "1e+20, -0.25, 123456789"),
    ("dry: ${{ inputs.dry }}, ${{ true }}", "dry: false, true"),
    ("on ${{ inputs.hosts }}", 'on ["web1","web2"]'),
    ("${{ {'b': 'é', 'a': [null, 1.5]} }}!", '{"a":[null,1.5],"b":"é"}!'),
    ("${{ duration('90s') }}.", "90s."),
    # what ends an expression, and what does not
    ("${{ '}}' }}", "}}"),
    ('${{ "a}}\\"}}" }}-', 'a}}"}}-'),
    ("${{ r'\\d}}' }}-", "\\d}}-"),
    ("${{ '''}}''' }}-", "}}-"),
    ("${{ 1 // }} is no end here\n }}-", "1-"),
    ("${{ 1 }} }}", "1 }}"),
    ("${{\n  inputs.count\n    + 1\n}}", 4),
    # escapes
    ("$${{ x }}", "${{ x }}"),
    ("$${{ ${{ inputs.count }} }}", "${{ 3 }}"),
    ("$$${{ x }}", "$${{ x }}"),
    ("$${{", "${{"),
    # what an expression gives is never looked at again
    ("${{ text }}", "${{ inputs.version }} $${{ }}"),
    ("a ${{ text }}", "a ${{ inputs.version }} $${{ }}"),
]


@pytest.mark.parametrize(("text", "expected"), VALUES, ids=[text for text, _ in VALUES])
def test_a_template_has_its_value(text: str, expected: object) -> None:
    """A whole expression keeps its type; inside other text a value is written the way people do."""
    found = parse_template(text, names=DYNAMIC).evaluate(RUN)

    assert (type(expected), expected) == (type(found), found)


def test_a_template_tells_its_parts() -> None:
    """A template tells its texts, expressions and secrets, and where in the text each path is read."""
    template = parse_template(
        "to ${{ inputs.version }}, ${{ secrets.token }}: ${{ inputs.hosts }}", names=TYPES
    )

    assert (
        "to ",
        compile_expression("inputs.version", names=TYPES),
        ", ",
        SecretReference(name="token"),
        ": ",
        compile_expression("inputs.hosts", names=TYPES),
    ) == template.parts
    assert (
        Reference(path=("inputs", "version"), offset=7),
        Reference(path=("inputs", "hosts"), offset=52),
    ) == template.references
    assert template.secrets == ("token",)
    assert not template.is_whole
    assert not template.is_static
    assert template.result == "string"


@pytest.mark.parametrize(
    ("text", "whole", "static", "result"),
    [
        ("", False, True, "string"),
        ("a $${{ b", False, True, "string"),
        ("${{ inputs.count }}", True, False, "int"),
        ("${{ inputs.count }} ", False, False, "string"),
        ("${{ secrets.a }}", True, False, "string"),
    ],
)
def test_a_template_tells_its_kind(text: str, whole: bool, static: bool, result: str) -> None:
    """A template tells whether it is one whole expression, holds none at all, and the type that it gives."""
    template = parse_template(text, names=TYPES)

    assert (whole, static, result) == (template.is_whole, template.is_static, template.result)


SECRETS = [
    ("${{ secrets.token }}", (SecretReference(name="token"),)),
    ("${{secrets['db password']}}", (SecretReference(name="db password"),)),
    ('${{ secrets [ "a.b" ] }}', (SecretReference(name="a.b"),)),
    ("Bearer ${{ secrets.token }}", ("Bearer ", SecretReference(name="token"))),
    (
        "${{ inputs.version }}:${{ secrets.a }}${{ secrets.a }}-${{ inputs.count }}",
        ("v1.2:", SecretReference(name="a"), SecretReference(name="a"), "-3"),
    ),
]


@pytest.mark.parametrize(("text", "parts"), SECRETS, ids=[text for text, _ in SECRETS])
def test_a_secret_stays_a_reference(text: str, parts: tuple[str | SecretReference, ...]) -> None:
    """A template works everything out but its secrets, which it only names."""
    assert TemplateWithSecrets(parts=parts) == parse_template(text, names=TYPES).evaluate(RUN)


def test_a_secret_is_revealed_at_the_moment_of_use() -> None:
    """Whoever uses the text puts the values in, as data, and its printed form never shows them."""
    filled = parse_template("u:${{ secrets.a }}@${{ secrets.b }}", names=DYNAMIC).evaluate({})
    values = {"a": "${{ secrets.b }}", "b": "pw"}

    assert isinstance(filled, TemplateWithSecrets)
    assert filled.reveal(values.__getitem__) == "u:${{ secrets.b }}@pw"
    assert filled.secrets == ("a", "b")
    assert str(filled) == "u:${{ secrets.a }}@${{ secrets.b }}"


MISTAKES = [
    ("a ${{ b", [(Code.SYNTAX, 2, "`${{` is never closed")]),
    ("a ${{ 'b }}", [(Code.SYNTAX, 6, "quotes")]),
    ("a ${{ }}", [(Code.SYNTAX, 6, "empty")]),
    ("${{ foo(1 }} b", [(Code.SYNTAX, 9, "ends too early")]),
    ("${{ inputs.vresion }} b", [(Code.UNKNOWN_NAME, 4, "has no `vresion`")]),
    (
        "${{ inputs.vresion }}\n${{ 1 + 'a' }} ${{ lowr('a') }} ${{ x",
        [
            (Code.UNKNOWN_NAME, 4, "has no `vresion`"),
            (Code.TYPE, 28, "`+` does not go between int and string"),
            (Code.UNKNOWN_FUNCTION, 41, "unknown function `lowr`"),
            (Code.SYNTAX, 54, "never closed"),
        ],
    ),
    ("${{ 'a' + secrets.token }}", [(Code.SECRET, 10, "only ever passed on")]),
    ("${{ secrets.a.b }}", [(Code.SECRET, 4, "only ever passed on")]),
    ("${{ secrets }}", [(Code.SECRET, 4, "only ever passed on")]),
    ("${{ 1 }}" * 257, [(Code.LIMIT, 2048, "more than 256 expressions")]),
    ("x" * (limits.TEMPLATE_CHARS_MAX + 1), [(Code.LIMIT, 0, "1048576 are the limit")]),
]


@pytest.mark.parametrize(("text", "problems"), MISTAKES, ids=[text[:40] for text, _ in MISTAKES])
def test_mistakes_are_found_where_they_stand(text: str, problems: list[tuple[Code, int, str]]) -> None:
    """Every mistake of every expression in a text is reported at once, with its column in the whole text."""
    with pytest.raises(CompileError) as caught:
        parse_template(text, names=TYPES)
    found = caught.value.problems

    assert [(code, offset) for code, offset, _ in problems] == [(each.code, each.offset) for each in found]
    assert all(message in each.message for (_, _, message), each in zip(problems, found, strict=True))


def test_a_secret_stands_only_where_secrets_may() -> None:
    """Where `secrets` is not among the names, a secret is refused with the places where it may stand."""
    with pytest.raises(CompileError) as caught:
        parse_template("${{ secrets.token }}", names=Names.of({"inputs": "map"}))

    assert (
        caught.value.code,
        caught.value.offset,
        caught.value.message,
        caught.value.hint,
    ) == (Code.SECRET, 4, "no secret can stand here", "secrets go into `with`, `env` and `stdin` only")


@pytest.mark.parametrize("text", ["note: ${{ inputs.note }}", "${{ null }}${{ 1 }}"])
def test_null_has_no_text(text: str) -> None:
    """Null inside text is an error that offers `default`, and never an empty or a funny word."""
    with pytest.raises(EvaluationError) as caught:
        parse_template(text, names=DYNAMIC).evaluate(RUN)

    assert "cannot stand inside text: null has no text" in caught.value.message
    assert caught.value.hint == 'choose a text with default(value, "none")'


def test_a_text_cannot_outgrow_its_limit() -> None:
    """The filled text has a limit, although each of its values stays below it."""
    template = parse_template("${{ x }}${{ x }}", names=DYNAMIC)
    with pytest.raises(EvaluationError) as caught:
        template.evaluate({"x": "a" * 600_000})

    assert caught.value.code is Code.LIMIT
    assert "beyond 1048576 characters" in caught.value.message


TEXTS = st.text(st.characters(codec="utf-8"))


@given(TEXTS)
def test_any_value_is_data(value: str) -> None:
    """No value, whatever it holds, changes the text around it or is looked at for expressions."""
    template = parse_template("a${{ x }}b", names=DYNAMIC)

    assert f"a{value}b" == template.evaluate({"x": value})


@given(TEXTS)
def test_any_text_can_be_written_by_escaping(text: str) -> None:
    """Every text can be had literally: `$${{` stands for `${{`."""
    escaped = text.replace("${{", "$${{")

    assert text == parse_template(escaped, names=DYNAMIC).evaluate({})


@given(
    st.lists(
        st.sampled_from(
            ["${{", "}}", "$${{", "$", "{", "}", " ", "x", "'", '"', "secrets.a", "//", "\n", "r"]
        )
    )
)
def test_no_text_breaks_the_parser(pieces: list[str]) -> None:
    """Any text is a template or a CompileError whose place is inside the text."""
    text = "".join(pieces)
    try:
        parse_template(text, names=TYPES)
    except CompileError as caught:
        assert all(0 <= problem.offset <= len(text) for problem in caught.problems)  # noqa: PT017 - both are right
