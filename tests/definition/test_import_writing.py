"""What is written for people is read back by the loader as it was given."""

from __future__ import annotations

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from towpath.definition import source
from towpath.definition.importing import writing
from towpath.definition.importing.writing import Section

TEXTS = st.text(st.characters(exclude_categories=("Cs",)), max_size=40) | st.sampled_from(
    [
        "",
        " ",
        "on",
        "no",
        "null",
        "~",
        "true",
        "0755",
        "1e3",
        "22:30",
        "- a",
        "a: b",
        "a #b",
        "#a",
        "a:",
        "${{ x }}",
        "'",
        '"',
        "a\nb",
        "a\n",
        "\n",
        "\n\na\n\n",
        "  a\nb",
        "a\n  b\n\n\n",
        "\ta\nb",
        "a\n\tb",
        "|",
        ">",
        "@x",
        "`x`",
        "%x",
        "a,b",
        "[a]",
        "{a}",
        "a}",
        "?",
        "-",
        "---",
        "...",
        "a\rb",
        "a\u2028b",
        "\ufeffa",
        "é",
        "x" * 130,
        "a \nb ",
        "*",
        "&a",
        "=",
        "<<",
        "a\\b",
        "a: b\nc: d\n",
        "# a\n# b\n",
    ]
)
KEYS = TEXTS.filter(lambda text: text not in ("", "<<") and len(text) < 120)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.sampled_from([0.5, 3.11]) | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=12,
)


def read_back(text: str) -> object:
    """The values of a file, and what is wrong with it."""
    read = source.read_source(text, path="f.yaml")
    wrong = [
        problem.message
        for problem in read.problems
        if problem.name not in ("shortened-number", "bad-key", "too-long")
    ]
    assert wrong == []
    assert read.root is not None
    return source.to_data(read.root)


def is_line(text: str) -> bool:
    """Whether a text can be a key: one line without strange characters."""
    return text.isprintable()


@settings(max_examples=300, deadline=None)
@given(st.dictionaries(KEYS.filter(is_line), VALUES, min_size=1, max_size=5))
@example({"run": "a\n\n  b\n"})
@example({"steps": [{"id": "a", "with": {"x": ["- a", "b: c\n"]}}]})
def test_whatever_is_written_is_read_back(values: dict[str, object]) -> None:
    """Any JSON value survives being written and read: quotes, blocks and lists never change it."""
    section = Section()
    for key, value in values.items():
        section.add(key, value)

    assert values == read_back(writing.document(section))


@settings(max_examples=100, deadline=None)
@given(st.lists(TEXTS, max_size=4), TEXTS)
def test_a_comment_is_never_more_than_a_comment(lines: list[str], value: str) -> None:
    """Whatever stands in comments, above, beside or below, the values stay the same."""
    inner = Section(head=lines, tail=lines).add("b", value, before=lines)
    section = Section(head=lines, tail=lines).add("a", [inner], before=lines, has_gap=True)

    assert read_back(writing.document(section)) == {"a": [{"b": value}]}


WRITTEN = [
    ({"name": "a", "on": ["manual"]}, "name: a\non: [manual]\n"),
    ({"run": "make all"}, "run: make all\n"),
    ({"run": "a\nb\n"}, "run: |\n  a\n  b\n"),
    ({"run": "a\nb"}, "run: |-\n  a\n  b\n"),
    ({"run": "  a\nb\n"}, "run: |2\n    a\n  b\n"),
    ({"title": "Wait: now"}, 'title: "Wait: now"\n'),
    ({"if": 'a == "b"'}, 'if: a == "b"\n'),
    ({"env": {"A": "${{ inputs.a }}"}}, 'env: {A: "${{ inputs.a }}"}\n'),
    ({"title": "${{ inputs.a }}"}, "title: ${{ inputs.a }}\n"),
    ({"assign": ["group:ops"]}, "assign: [group:ops]\n"),
    ({"on": [{"schedule": {"cron": "0 3 * * *"}}]}, "on:\n  - schedule: {cron: 0 3 * * *}\n"),
    ({"port": "8080"}, 'port: "8080"\n'),
    ({"empty": {}}, "empty: {}\n"),
]


@pytest.mark.parametrize(("values", "expected"), WRITTEN)
def test_it_is_written_as_a_person_would(values: dict[str, object], expected: str) -> None:
    """Short things stand on one line, scripts are blocks, and quotes appear only where they are needed."""
    section = Section()
    for key, value in values.items():
        section.add(key, value)

    assert expected == writing.document(section)
