"""Expressions: what they compute, what they read, and how they fail."""

from __future__ import annotations

import json
import subprocess
import sys
import textwrap
import threading
from enum import StrEnum
from types import MappingProxyType
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from towpath import errors
from towpath.definition.expressions import (
    DYNAMIC,
    Code,
    CompileError,
    EvaluationError,
    Expression,
    Names,
    Reference,
    compile_condition,
    compile_expression,
    environments,
    evaluate_condition,
    limits,
)
from towpath.definition.expressions.evaluation import _Reader

RUN: dict[str, Any] = {
    "inputs": {
        "version": "v1.2",
        "hosts": ["web1", "web2"],
        "count": 3,
        "share": 0.5,
        "dry": False,
        "note": None,
    },
    "steps": {
        "build": {
            "status": "succeeded",
            "outputs": {"image": "shop:1", "stdout": '{"digest": "sha", "size": 7}'},
        },
        "fleet": {"items": [{"smoke": {"status": "succeeded"}}, {"smoke": {"status": "failed"}}]},
    },
    "host": "web1",
    "index": 1,
    "error": {"kind": "timeout", "exit_code": 75},
}

TYPES = Names.of(
    {
        "inputs.version": "string",
        "inputs.hosts": "list(string)",
        "inputs.count": "int",
        "inputs.share": "number",
        "inputs.dry": "bool",
        "inputs.note": "dyn",
        "steps.build.status": "string",
        "steps.build.outputs.image": "string",
        "steps.build.outputs.stdout": "string",
        "steps.fleet.items": "list",
        "host": "string",
        "index": "int",
        "error": "map",
    }
)


def value_of(source: str, names: dict[str, Any] | None = None) -> object:
    """Compile *source* for any names and evaluate it."""
    return compile_expression(source, names=DYNAMIC).evaluate(RUN if names is None else names)


VALUES = [
    # reading
    ("inputs.version", "v1.2"),
    ("inputs['version']", "v1.2"),
    ("inputs.hosts", ["web1", "web2"]),
    ("inputs.hosts[1]", "web2"),
    ("inputs.note", None),
    ("steps.fleet.items[0].smoke.status", "succeeded"),
    ("steps.fleet.items[index].smoke.status", "failed"),
    ("inputs.hosts.size()", 2),
    # deciding
    ('inputs.version == "v1.2"', True),
    ('inputs.dry || host == "web1"', True),
    ("steps.fleet.items.all(i, i.smoke.status == 'succeeded')", False),
    ("inputs.hosts.exists(h, h.endsWith('2'))", True),
    ("inputs.hosts.exists_one(h, h.startsWith('web'))", False),
    ('error.kind == "timeout" || error.exit_code in [75]', True),
    ("has(steps.build.outputs.image)", True),
    ("has(steps.build.outputs.digest)", False),
    ("has(steps.build.outputs.digest) ? 'yes' : 'no'", "no"),
    ("'version' in inputs", True),
    # computing
    ("inputs.count + 1", 4),
    ("index + inputs.count", 4),
    ("inputs.share * 2.0", 1.0),
    ("inputs.share + inputs.share", 1.0),
    ("-inputs.count", -3),
    ("7 / 2", 3),
    ("7 % 2", 1),
    ("5u", 5),
    ("'a' + host", "aweb1"),
    ("inputs.hosts + ['web3']", ["web1", "web2", "web3"]),
    ("inputs.hosts.map(h, h + '.lan')", ["web1.lan", "web2.lan"]),
    ("inputs.hosts.filter(h, h != host)", ["web2"]),
    ("inputs.hosts.map(h, h != host, h + '!')", ["web2!"]),
    ("inputs.hosts.map(h, inputs.hosts.map(g, h + g))", [["web1web1", "web1web2"], ["web2web1", "web2web2"]]),
    ("[1, 2, 3].map(n, n * n).filter(n, n > 1)", [4, 9]),
    ("[1, 2].map(n, {'n': n, 'all': inputs.hosts})", [{"n": n, "all": ["web1", "web2"]} for n in (1, 2)]),
    ("{'b': 1, 'a': [null, 1.5]}", {"a": [None, 1.5], "b": 1}),
    ("{'b': 1, 'a': 2}.map(k, k)", ["a", "b"]),
    ("inputs.map(k, k)", ["count", "dry", "hosts", "note", "share", "version"]),
    # converting
    ("string(inputs.count) + '!'", "3!"),
    ("int('12') + 1", 13),
    ("double(inputs.count) / 2.0", 1.5),
    ("type(inputs.count) == int", True),
    # time
    ("timestamp('2026-01-31T09:00:00+02:00')", "2026-01-31T07:00:00Z"),
    ("timestamp('2026-01-31T09:00:00.25Z')", "2026-01-31T09:00:00.250000Z"),
    ("timestamp('2026-01-31T09:00:00Z') + duration('1h30m')", "2026-01-31T10:30:00Z"),
    ("timestamp('2026-01-31T09:00:00Z') - timestamp('2026-01-31T08:00:00Z') > duration('59m')", True),
    ("timestamp('2026-01-31T09:00:00Z').getHours('Europe/Berlin')", 10),
    ("timestamp('9999-12-31T23:59:59.999999999Z')", "9999-12-31T23:59:59.999999Z"),
    ("timestamp('0001-01-01T00:00:00Z')", "0001-01-01T00:00:00Z"),
    ("duration('315576000000s')", "315576000000s"),
    ("duration('1h30m')", "5400s"),
    ("duration('-1500ms')", "-1.5s"),
    ("['2026-01-31T09:00:00Z'].map(t, timestamp(t))", ["2026-01-31T09:00:00Z"]),
    ("['90s'].map(t, {'for': [duration(t)]})", [{"for": ["90s"]}]),
]


@pytest.mark.parametrize(("source", "expected"), VALUES, ids=[source for source, _ in VALUES])
def test_an_expression_has_its_value(source: str, expected: object) -> None:
    """An expression computes what CEL says, and the result is what JSON can say."""
    assert expected == value_of(source)


FUNCTIONS = [
    ("json(steps.build.outputs.stdout).digest", "sha"),
    ("json('[1, 2.5, null, true, \"x\", {}]')", [1, 2.5, None, True, "x", {}]),
    ("toJson(inputs.hosts)", '["web1","web2"]'),
    ("toJson({'b': [1, 1.0, null, true], 'a': 'é\"'})", '{"a":"é\\"","b":[1,1.0,null,true]}'),
    ("toJson([timestamp('2026-01-31T09:00:00Z'), duration('90s')])", '["2026-01-31T09:00:00Z","90s"]'),
    ("join(inputs.hosts, ', ')", "web1, web2"),
    ("inputs.hosts.join()", "web1web2"),
    ("[80, 1.0, true, 'x'].join('-')", "80-1-true-x"),
    ("split('a,b,,c', ',')", ["a", "b", "", "c"]),
    ("'abc'.split('')", ["a", "b", "c"]),
    ("trim('  a b\\n')", "a b"),
    ("' a '.trim()", "a"),
    ("lower('ÄB')", "äb"),
    ("'Ab'.lower()", "ab"),
    ("upper(host)", "WEB1"),
    ("host.upper()", "WEB1"),
    ("replace('a-b-c', '-', '')", "abc"),
    ("'aaa'.replace('a', 'bb')", "bbbbbb"),
    ("default(inputs.note, 'none')", "none"),
    ("default(inputs.missing, 'none')", "none"),
    ("default(steps.deploy.outputs.url, 'none')", "none"),
    ("default(nothing.at.all, 'none')", "none"),
    ("default(inputs.version, 'none')", "v1.2"),
    ("default(inputs.dry, true)", False),
    ("default(json('nope').x, 1 + 1)", 2),
    ("default(default(inputs.a, inputs.b), default(inputs.c, 'd'))", "d"),
    ("inputs.hosts.map(h, default(json('{\"web1\": 1}')[h], 0))", [1, 0]),
    ("percentile([4, 1, 3, 2], 50)", 2.5),
    ("percentile([10.0, 20.0, 30.0], 100)", 30.0),
    ("[7].percentile(99.9)", 7.0),
    ("percentile([1, 2, 3, 4, 5], 0)", 1.0),
    ("glob('release/1.2', 'release/*')", True),
    ("glob('release/1/2', 'release/*')", False),
    ("'release/1/2'.glob('release/**')", True),
    ("glob('app/x/y.py', 'app/**/*.py')", True),
    ("glob('app/y.py', 'app/**/*.py')", True),
    ("glob('v1', 'v?')", True),
    ("glob('v/', 'v?')", False),
    ("glob('vb', 'v[a-c]')", True),
    ("glob('vb', 'v[!a-c]')", False),
    ("glob('a+b(c)', 'a+b(c)')", True),
    ("glob('aab', 'a+b')", False),
    ("glob('line\\nline', '*')", True),
    ("['main', 'dev'].filter(b, b.glob('m*'))", ["main"]),
    (
        "semver('v1.20.3-rc.1+build.5')",
        {"major": 1, "minor": 20, "patch": 3, "prerelease": "rc.1", "build": "build.5"},
    ),
    ("semver('1.10.0').key > semver('1.9.9').key", True),
    ("semver('2.0.0').minor", 0),
]


@pytest.mark.parametrize(("source", "expected"), FUNCTIONS, ids=[source for source, _ in FUNCTIONS])
def test_a_function_beyond_cels_has_its_value(source: str, expected: object) -> None:
    """Each function of the language does what the reference says of it, in both forms where it has two."""
    found = value_of(source)
    if isinstance(found, dict):
        found.pop("key", None)

    assert expected == found


def test_versions_sort_by_their_keys() -> None:
    """The keys of `semver` sort as the specification of semantic versions orders the versions."""
    ordered = [
        "0.9.0",
        "1.0.0-1",
        "1.0.0-2",
        "1.0.0-11",
        "1.0.0-alpha",
        "1.0.0-alpha.1",
        "1.0.0-alpha.beta",
        "1.0.0-alpha-x",
        "1.0.0-beta",
        "1.0.0-beta.2",
        "1.0.0-beta.11",
        "1.0.0-rc.1",
        "1.0.0",
        "1.0.1-rc.1",
        "1.2.0",
        "1.10.0",
        "999999999999999999.0.0",
    ]
    shuffled = ordered[1::2] + ordered[::2]
    key = compile_expression("semver(text).key", names=DYNAMIC)

    assert ordered == sorted(shuffled, key=lambda text: str(key.evaluate({"text": text})))


FAILURES = [
    ("inputs.dry ? steps.nope.x : json('{}').y", "json(…) has no `y`"),
    ("steps.build.outputs.digest", "steps.build.outputs has no `digest`"),
    ("steps.deploy.outputs.url", "steps has no `deploy`"),
    ("deploy.url", "there is no `deploy` here"),
    ("inputs.version.major", "inputs.version is a text, and has no `major`"),
    ("has(steps.deploy.outputs.url)", "steps has no `deploy`"),
    ("json('{}').a", "json(…) has no `a`"),
    ("steps.fleet.items.map(i, i.smok)", "i has no `smok`"),
    ("inputs.hosts.map(h, h.name)", "h is a text, and has no `name`"),
    ("inputs.hosts.map(h, json('[1]')[h])", "a list is indexed with a whole number"),
    ("inputs.hosts.filter(h, h)", "the condition in `map` is a text, and must be true or false"),
    ("inputs.hosts.all(h, upper(h))", "the condition in `all` is a text, and must be true or false"),
    ("inputs.version.map(v, v)", "`map` goes through a list or a map, and this is a text"),
    ("inputs.hosts[2]", "the list has no item 2; its size is 2"),
    ("inputs.hosts['a']", "a list is indexed with a whole number"),
    ("inputs.version + 1", "`+` does not go between string and int"),
    ("inputs.count > 1 && inputs.version", "`&&`"),
    ("!host", "`!` cannot be applied to"),
    ("host ? 1 : 2", "the condition before `?` must be true or false"),
    ("1 / (inputs.count - 3)", "division by zero"),
    ("1 % (inputs.count - 3)", "division by zero"),
    ("9223372036854775807 + inputs.count", "does not fit into 64 bits"),
    ("inputs.share / 0.0", "is no finite number (inf)"),
    ("[0.0 / 0.0]", "is no finite number (nan)"),
    ("int(dyn('x'))", "cannot convert string to int"),
    ("timestamp(dyn('soon'))", "the text is no timestamp"),
    ("duration(dyn('soon'))", "the text is no duration"),
    ("'a'.matches(dyn('('))", "invalid regular expression"),
    ("{1: 2}", "the key 1, and keys are texts"),
    ("{'a': 1, 'a': 2}", "duplicate key"),
    ("type(1)", "gives a type, which is no value of a run"),
    ("json('{')", "not JSON: Expecting property name enclosed in double quotes at line 1, column 2"),
    ("json('[NaN]')", "is given NaN"),
    ("json('9223372036854775808')", "does not fit into 64 bits"),
    ("json('1e999')", "too large"),
    ("toJson(0.0 / 0.0)", "is no finite number (nan)"),
    ("join(['a', null])", "item 1 is neither"),
    ("replace('a', '', 'b')", "look for an empty text"),
    ("percentile([], 50)", "an empty list"),
    ("percentile([1], 101)", "a share from 0 to 100, not 101"),
    ("percentile(['a'], 50)", "item 0 is none"),
    ("semver(dyn('1.2'))", "`1.2`, which is no version"),
    ("lower(inputs.count)", "`lower` cannot take int"),
]


@pytest.mark.parametrize(("source", "message"), FAILURES, ids=[source for source, _ in FAILURES])
def test_a_failure_says_what_and_where(source: str, message: str) -> None:
    """An evaluation that fails is an EvaluationError whose message names what is missing or wrong."""
    with pytest.raises(EvaluationError) as caught:
        value_of(source)

    assert message in caught.value.message
    assert source == caught.value.source
    assert caught.value.code is Code.EVALUATION


def test_a_missing_output_names_those_that_are_there() -> None:
    """A path that is not there is answered with what is there and with `default`."""
    with pytest.raises(EvaluationError) as caught:
        value_of("steps.build.outputs.digest")

    assert caught.value.hint == "it has image, stdout; default(a, b) chooses b where a is missing"


MISTAKES = [
    # source, code, offset, part of the message, part of the help
    ("inputs.versoin", Code.UNKNOWN_NAME, 0, "`inputs` has no `versoin`", "did you mean `version`?"),
    ("1 + stepz.build", Code.UNKNOWN_NAME, 4, "unknown name `stepz`", "did you mean `steps`?"),
    ("has(steps.build.outputs.imag)", Code.UNKNOWN_NAME, 4, "has no `imag`", "`image`"),
    ("default(inputs.versoin, 1)", Code.UNKNOWN_NAME, 8, "has no `versoin`", "`version`"),
    ("inputs.hosts.map(h, g)", Code.UNKNOWN_NAME, 20, "unknown name `g`", ""),
    ("inputs.hosts.map(inputs, inputs)", Code.UNKNOWN_NAME, 16, "calls its item `inputs`", "another name"),
    ("now", Code.UNKNOWN_NAME, 0, "unknown name `now`", "no clock"),
    (".host", Code.SYNTAX, 1, "begins with a dot", "write `host`"),
    ("now()", Code.UNKNOWN_FUNCTION, 0, "unknown function `now`", "no clock"),
    ("host == lowr(host)", Code.UNKNOWN_FUNCTION, 8, "unknown function `lowr`", "did you mean `lower`?"),
    ("host.lowr()", Code.UNKNOWN_FUNCTION, 5, "unknown function `lowr`", "did you mean `lower`?"),
    ("default(host)", Code.UNKNOWN_FUNCTION, 0, "`default` is not called like this", "default(a, b)"),
    ("host.json()", Code.UNKNOWN_FUNCTION, 5, "`json` is not called like this", "json(text)"),
    (
        "inputs.hosts.all(true)",
        Code.UNKNOWN_FUNCTION,
        13,
        "`all` is not written",
        "list.all(name, condition)",
    ),
    ("bytes('a')", Code.UNKNOWN_FUNCTION, 0, "`bytes`", "never of this type"),
    ("b'a'", Code.TYPE, 0, "never bytes", 'write "text"'),
    ("google.protobuf.Timestamp{seconds: 1}", Code.TYPE, 0, "builds a message", "write a map"),
    ("inputs.version + 1", Code.TYPE, 15, "`+` does not go between string and int", "string(…)"),
    ("inputs.count + 1.5", Code.TYPE, 13, "between int and double", "double(…)"),
    ("'é' +\n  1", Code.TYPE, 4, "between string and int", ""),
    ("host == 'a' ||\n host < 1", Code.TYPE, 21, "`<` does not go between string and int", ""),
    ("lower(inputs.count)", Code.TYPE, 0, "`lower` cannot take int", ""),
    ("host.name", Code.TYPE, 4, "this is string", ""),
    ("inputs.hosts['a']", Code.TYPE, 12, "list(string) cannot be indexed with string", ""),
    ("inputs.dry ? 1 : 'a'", Code.TYPE, 11, "the two sides of `:` are int and string", ""),
    ("host ? 1 : 2", Code.TYPE, 5, "the condition before `?`", ""),
    ("timestamp(host) < 1", Code.TYPE, 16, "between timestamp and int", ""),
    ("host.matches('(')", Code.TYPE, 5, "invalid regular expression", "RE2"),
    ("glob(host, 'a[z-a]')", Code.TYPE, 0, "invalid regular expression", "RE2"),
    ("host == '' ? duration('1 hour') : duration('1h')", Code.TYPE, 13, "no duration", "1h30m"),
    ("timestamp('31.1.2026') < timestamp(host)", Code.TYPE, 0, "no timestamp", "2026-01-31T09:00:00Z"),
    ("semver('1.2').major == 1", Code.TYPE, 0, "`1.2`, which is no version", ""),
    ("int('x')", Code.TYPE, 0, "cannot convert string to int", ""),
    ("1 +", Code.SYNTAX, 3, "ends too early", ""),
    ("host = 'a'", Code.SYNTAX, 5, "`=` is not understood here", "`==`"),
    ("inputs.dry and true", Code.SYNTAX, 11, "`and` is not expected here", "`&&`"),
    ("not inputs.dry", Code.SYNTAX, 4, "not expected", "`!`"),
    ("host | upper", Code.SYNTAX, 5, "not understood", "no pipes"),
    ("'abc", Code.SYNTAX, 0, "quotes are not closed", ""),
    ("has(host)", Code.SYNTAX, 4, "has() argument must be a field selection", ""),
    ("${{ host }}", Code.SYNTAX, 0, "an expression already", "without `${{ }}`"),
    ("  ", Code.SYNTAX, 0, "empty", ""),
    ("9223372036854775808", Code.SYNTAX, 0, "invalid int literal", ""),
    ("secrets.token == 'a'", Code.SECRET, 0, "only ever passed on", "of its own"),
    ("secrets.token", Code.SECRET, 0, "only ever passed on", "of its own"),
    ("toJson(secrets)", Code.SECRET, 7, "only ever passed on", "of its own"),
    ("default(secrets.a, 'x')", Code.SECRET, 8, "only ever passed on", "of its own"),
]


@pytest.mark.parametrize(
    ("source", "code", "offset", "message", "help_text"), MISTAKES, ids=[mistake[0] for mistake in MISTAKES]
)
def test_a_mistake_is_found_where_it_stands(
    source: str, code: Code, offset: int, message: str, help_text: str
) -> None:
    """What is wrong as it is written is reported with a code, the column of the word, and what to try."""
    with pytest.raises(CompileError) as caught:
        compile_expression(source, names=TYPES)
    problem = caught.value

    assert (code, offset) == (problem.code, problem.offset)
    assert message in problem.message
    assert help_text in problem.hint
    assert isinstance(problem, errors.AuthorError)


def test_all_problems_of_an_expression_are_reported_together() -> None:
    """One load shows every unknown name, unknown function and type error, in the order of the text."""
    with pytest.raises(CompileError) as caught:
        compile_expression("inputs.versoin == lowr(host) && host + 1 == 'a'", names=TYPES)

    assert [(problem.code, problem.offset) for problem in caught.value.problems] == [
        (Code.UNKNOWN_NAME, 0),
        (Code.UNKNOWN_FUNCTION, 18),
        (Code.TYPE, 37),
    ]


RESULTS = [
    ("inputs.version", "string"),
    ("inputs.count + 1", "int"),
    ("inputs.share + 1", "int"),
    ("inputs.share", "dyn"),
    ("inputs.hosts", "list(string)"),
    ("inputs.hosts.map(h, h.size())", "list(int)"),
    ("error.kind", "dyn"),
    ("null", "null"),
    ("timestamp('2026-01-31T09:00:00Z')", "timestamp"),
    ("has(steps.build.outputs.image)", "bool"),
    ("has(steps.build.outputs.image) && steps.build.outputs.image == 'a'", "bool"),
    ("semver(inputs.version)", "map(string, dyn)"),
]


@pytest.mark.parametrize(("source", "expected"), RESULTS, ids=[source for source, _ in RESULTS])
def test_the_type_of_a_result_is_known(source: str, expected: str) -> None:
    """The check knows the type of what an expression gives, as far as the names' types say."""
    assert expected == compile_expression(source, names=TYPES).result


REFERENCES = [
    ("inputs.version", [("inputs.version", 0, "")]),
    ("1 + inputs['count']", [("inputs.count", 4, "")]),
    ("steps['build'].outputs.image", [("steps.build.outputs.image", 0, "")]),
    ("steps.fleet.items[0].smoke", [("steps.fleet.items", 0, "")]),
    ("steps[host].outputs", [("steps", 0, ""), ("host", 6, "")]),
    ("steps.fleet.items.all(i, i.smoke.status == host)", [("steps.fleet.items", 0, ""), ("host", 43, "")]),
    ("has(steps.build.outputs.image)", [("steps.build.outputs.image", 4, "tested")]),
    ("default(steps.a.b, inputs.c)", [("steps.a.b", 8, "guarded"), ("inputs.c", 19, "")]),
    ("inputs.version.startsWith('v')", [("inputs.version", 0, "")]),
    ("[1].map(host, host)", []),
    ("type(index) == int", [("index", 5, "")]),
    ("'é' == host", [("host", 7, "")]),
    ("true ||\n  host == 'a'", [("host", 10, "")]),
    ("'a' + 'b'", []),
]


@pytest.mark.parametrize(("source", "expected"), REFERENCES, ids=[source for source, _ in REFERENCES])
def test_references_are_the_paths_that_are_read(source: str, expected: list[tuple[str, int, str]]) -> None:
    """The paths that an expression reads are known without running it, each with the column it stands at."""
    found = compile_expression(source, names=DYNAMIC).references

    assert expected == [(str(each), each.offset, _kind(each)) for each in found]


def _kind(reference: Reference) -> str:
    return "tested" if reference.tested else "guarded" if reference.guarded else ""


def test_only_what_is_read_is_handed_over() -> None:
    """An evaluation never looks at the rest of a run, so its cost does not grow with it."""

    class Guarded(dict[str, Any]):
        def __getitem__(self, key: str) -> Any:
            assert key in {"build", "outputs", "image"}, f"{key} was read"
            return super().__getitem__(key)

        def values(self) -> Any:
            raise AssertionError("everything was read")

        items = values

    steps = Guarded(build=Guarded(outputs=Guarded(image="shop:1", log=object())), other=object())

    assert value_of("steps.build.outputs.image + '!'", {"steps": steps}) == "shop:1!"
    assert value_of("steps.build.outputs.image", {"steps": steps}) == "shop:1"


def test_any_mapping_and_tuple_may_be_given() -> None:
    """Names may come as read-only mappings, tuples and text enumerations; the result is plain."""

    class Status(StrEnum):
        DONE = "done"

    names = {"a": MappingProxyType({"b": ({"s": Status.DONE},), "s": Status.DONE})}

    assert value_of("a.b.map(x, x.s)", names) == ["done"]
    assert value_of("a.b", names) == [{"s": "done"}]
    assert type(value_of("a.s", names)) is str
    assert value_of("a.s == 'done'", names) is True


STRANGE: list[tuple[str, object, str]] = [
    ("x + 1", 2**70, "does not fit into 64 bits"),
    ("x", 2**70, "does not fit into 64 bits"),
    ("x", float("inf"), "no finite number"),
    ("x == 1", b"bytes", "bytes is no value of a run"),
    ("x == 1", {1: 2}, "the key 1, and keys are texts"),
    ("x == 'a'", "\ud800", "half a character"),
    ("x == 'a'", "a\0b", "a NUL character"),
    ("x == ['a']", ["b", "a\0b"], "a NUL character"),
    ("x == {}", {"a\0b": 1}, "a NUL character"),
    ("x.b == {}", {"b": {"c": {"a\0b": 1}}}, "a NUL character"),
    ("json(x)[0] == 'a'", '["a\\u0000b"]', "a NUL character"),
    ("x.map(i, 'a\\u0000' + i).exists(j, j == 'a')", ["b"], "a NUL character"),
    ("x", b"bytes", "bytes is no value of a run"),
]


@pytest.mark.parametrize(("source", "value", "message"), STRANGE)
def test_what_is_no_value_is_refused(source: str, value: object, message: str) -> None:
    """A number beyond 64 bits, what JSON cannot say, or a broken text is an error and never a guess."""
    with pytest.raises(EvaluationError) as caught:
        value_of(source, {"x": value})

    assert message in caught.value.message


# Conditions


def test_a_condition_is_true_or_false() -> None:
    """A condition gives a bool, and one that cannot is refused when it is compiled."""
    condition = compile_condition("inputs.count > 2", names=TYPES)

    assert evaluate_condition(condition, RUN) is True
    with pytest.raises(CompileError) as caught:
        compile_condition("inputs.version", names=TYPES)
    assert caught.value.code is Code.NOT_BOOLEAN
    assert caught.value.message == "the condition is a text, and must be true or false"


@pytest.mark.parametrize("value", [None, 0, 1, "", "true", [], {"a": 1}])
def test_nothing_but_true_and_false_decides(value: object) -> None:
    """A condition whose type is known only at run time fails there for anything but true and false."""
    condition = compile_condition("x", names=DYNAMIC)

    with pytest.raises(EvaluationError, match="must be true or false"):
        evaluate_condition(condition, {"x": value})


# Limits

BIG = "x" * 1_000_000
LIMITS = [
    # source, part of the message
    ("big + big", "a text of more than 1048576 characters"),
    ("[big, big]", "gives more than 1048576 characters"),
    ("rounds.map(i, text)", "builds more than 16777216 characters"),
    ("rounds.map(i, text + string(i))", "builds more than 16777216 characters"),
    ("rounds.map(i, toJson([text, i])).size()", "builds more than 16777216 characters"),
    ("rounds.map(i, {'a': [text]}).size()", "builds more than 16777216 characters"),
    ("default(rounds.map(i, text), 'x')", "builds more than 16777216 characters"),
    ("rounds.exists(i, upper(text + string(i)) == '')", "builds more than 16777216 characters"),
    ("[[big]].map(x, [x, x, x, x, x]).map(x, [x, x, x, x, x])", "builds more than"),
    ("rounds.map(i, big)", "go through more than 134217728 characters"),
    ("rounds.map(i, big + string(i))", "go through more than 134217728 characters"),
    ("rounds.map(i, upper(big + string(i)))", "builds more than 16777216 characters"),
    ("toJson([big, big])", "more than 1048576 characters"),
    ("join([big, big])", "more than 1048576 characters"),
    ("replace(big, 'x', 'xx')", "more than 1048576 characters"),
    ("split(big, '')", "a list of more than 100000 items"),
    ("big_json.map(x, x)", "more than 10000 rounds"),
    ("json(too_long)", "json() is given more than 1048576 characters"),
    ("default(json(deep), 1)", "json() is given more than 64 lists or maps"),
    ("rounds.map(i, rounds.map(j, i + j))", "its loops take more than 10000 rounds"),
    ("rounds.all(i, rounds.all(j, j < i + 10000))", "its loops take more than 10000 rounds"),
    ("rounds.all(i, !big.matches('y$'))", "go through more than 134217728 characters"),
    ("rounds.all(i, !glob(big, '*y'))", "go through more than 134217728 characters"),
    ("rounds.all(i, !('a' in big_json))", "go through more than 134217728 characters"),
    ("glob('a', long_pattern)", "a glob pattern has more than 1024 characters"),
]


@pytest.mark.parametrize(("source", "message"), LIMITS, ids=[source for source, _ in LIMITS])
def test_no_expression_outgrows_its_limits(source: str, message: str) -> None:
    """Whatever grows has a limit with a name, and nothing in the expression can swallow it."""
    names = {
        "big": BIG,
        "text": "x" * 2000,
        "rounds": list(range(9000)),
        "big_json": list(range(100_000)),
        "deep": "[" * 65 + "]" * 65,
        "too_long": " " * (limits.RESULT_CHARS_MAX + 1),
        "long_pattern": "*" * 1025,
    }
    with pytest.raises(EvaluationError) as caught:
        value_of(source, names)

    assert message in caught.value.message
    assert caught.value.code is Code.LIMIT


def test_a_budget_is_for_one_evaluation() -> None:
    """What one evaluation used up, or broke, is there again for the next one and for other threads."""
    expression = compile_expression("rounds.map(i, text).size()", names=DYNAMIC)
    heavy = {"rounds": list(range(1000)), "text": "x" * 15_000}
    found: list[object] = []
    threads = [threading.Thread(target=lambda: found.append(expression.evaluate(heavy))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with pytest.raises(EvaluationError):
        expression.evaluate(heavy | {"text": "x" * 17_000})
    found.append(expression.evaluate(heavy))

    assert found == [1000] * 5


def test_gathering_is_linear() -> None:
    """`map` and `filter` over thousands of items do not copy their result for every item.

    CEL's own way needs seconds and more than a gigabyte for this.
    """
    names = {"rounds": list(range(4900))}

    assert value_of("rounds.map(i, string(i)).filter(s, s != '7').size()", names) == 4899


TOO_MUCH_TEXT = [
    ("1" * 4097, "4097 characters, and 4096 are the limit"),
    ("(" * 100_000 + "1" + ")" * 100_000, "4096 are the limit"),
    ("(" * 31 + "1" + ")" * 31, "nested more than 30 levels"),
    ("(" * 2000 + "1" + ")" * 2000, "nested more than 30 levels"),
    ("[" * 2000, "nested more than 30 levels"),
    ("!(" * 1300, "nested more than 30 levels"),
    ("a." * 2000 + "a", "nested more than 30 levels"),
    ("1+" * 2000 + "1", "nested more than 30 levels"),
    ("true?1:" * 500 + "1", "nested more than 30 levels"),
    ("x" + ".map(i,i)" * 400, "nested more than 30 levels"),
]


@pytest.mark.parametrize(("source", "message"), TOO_MUCH_TEXT, ids=range(len(TOO_MUCH_TEXT)))
def test_an_expression_has_a_size_and_a_depth(source: str, message: str) -> None:
    """A text that is too long or nested too deeply is a problem with a name, found before it can do harm."""
    with pytest.raises(CompileError) as caught:
        compile_expression(source, names=DYNAMIC)

    assert caught.value.code is Code.LIMIT
    assert message in caught.value.message


def test_data_of_any_depth_is_survived() -> None:
    """A value nested a hundred thousand deep is refused; handing it to CEL would end the process."""
    value: object = 1
    for _ in range(100_000):
        value = [value]
    with pytest.raises(EvaluationError) as caught:
        value_of("x == 1", {"x": value})
    # Taken apart by hand: some Pythons take a deep value apart by recursion.
    while isinstance(value, list):
        value = value.pop()

    assert "more than 64 lists or maps inside each other" in caught.value.message


# Purity


@pytest.mark.parametrize(
    "source", ["now", "now()", "env('HOME')", "env.HOME", "random()", "open('/etc/passwd')", "uuid()"]
)
def test_there_is_no_world_in_an_expression(source: str) -> None:
    """No expression can reach a clock, the environment, a file or chance."""
    with pytest.raises(CompileError):
        compile_expression(source, names=TYPES)


def test_an_expression_gives_the_same_in_every_process() -> None:
    """What is gathered from a map has one order, although CEL's maps have a new one in each process."""
    program = """
        import json
        from towpath.definition.expressions import DYNAMIC, compile_expression
        names = {"m": {f"k{i}": i for i in range(40)}}
        literal = "{" + ",".join(f"'k{i}': {i}" for i in range(40)) + "}"
        for source in ("m.map(k, k)", f"{literal}.map(k, k)", literal, "m.filter(k, k > 'k2')"):
            print(json.dumps(compile_expression(source, names=DYNAMIC).evaluate(names)))
    """
    printed = {
        subprocess.run(
            [sys.executable, "-c", textwrap.dedent(program)], capture_output=True, text=True, check=True
        ).stdout
        for _ in range(3)
    }

    assert len(printed) == 1


def test_cel_is_loaded_with_the_first_expression() -> None:
    """Importing the language does not load CEL, so commands that evaluate nothing do not wait for it."""
    program = "import sys, towpath.definition.expressions; print('cel_expr_python' in sys.modules)"
    printed = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    ).stdout

    assert printed == "False\n"


# Every JSON value goes through unharmed

CHARACTERS = st.characters(codec="utf-8", exclude_characters="\0")
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(CHARACTERS),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(CHARACTERS), inner, max_size=4),
    max_leaves=12,
)


@given(JSON)
def test_json_goes_through_cel_unharmed(value: Any) -> None:
    """Any JSON value comes out of CEL as it went in, through lists, maps, loops and functions."""
    names = {"x": value, "text": json.dumps(value)}

    assert value_of("x", names) == value
    assert value_of("[x][0]", names) == value
    assert value_of("[x].map(i, i)", names) == [value]
    assert value_of("{'k': x}", names) == {"k": value}
    assert value_of("default(y, x)", names) == value
    assert value_of("json(text)", names) == value
    assert value_of("json(toJson(x))", names) == value


@given(st.text(CHARACTERS), st.text(CHARACTERS, min_size=1))
def test_text_functions_agree_with_python(text: str, part: str) -> None:
    """Splitting, joining, replacing and searching do to any text what Python does."""
    names = {"t": text, "p": part}

    assert value_of("t.split(p).join(p)", names) == text
    assert value_of("t.replace(p, '')", names) == text.replace(part, "")
    assert value_of("(t + p).endsWith(p)", names) is True
    assert value_of("size(t + p)", names) == len(text) + len(part)


@given(st.text(CHARACTERS, max_size=30))
def test_a_glob_without_wildcards_is_the_text(text: str) -> None:
    """A pattern stands for itself where it has no wildcard, whatever it means in a regular expression."""
    pattern = text.replace("*", "").replace("?", "").replace("[", "")

    assert value_of("glob(t, t) && !glob(t + 'x', t)", {"t": pattern}) is True


@given(st.text(max_size=40))
def test_no_text_breaks_the_compiler(source: str) -> None:
    """Any text at all is an expression or an ExpressionError, and nothing else."""
    try:
        compile_expression(source, names=TYPES)
    except errors.ExpressionError as problem:
        assert 0 <= problem.offset <= len(source)  # noqa: PT017 - both ways are right


FRAGMENTS = st.sampled_from(
    """
    inputs .version steps host ( ) [ ] { } . , ? : + - * / == && || ! in 'a' "b" 1 2.5 null true has( .map(
    default( json( lower( .all( i i, ${{ }} // ' b'' secrets .x r'\\
    """.split()  # noqa: SIM905 - a line of words reads better
)


@given(st.lists(FRAGMENTS, max_size=14).map(" ".join))
def test_no_jumble_of_words_breaks_the_compiler(source: str) -> None:
    """Any row of the language's own words is an expression or an ExpressionError, and fails cleanly."""
    try:
        compile_expression(source, names=DYNAMIC).evaluate(RUN)
        compile_expression(source, names=TYPES).evaluate(RUN)
    except errors.ExpressionError as problem:
        assert problem.message  # noqa: PT017 - both ways are right


# What planning does not change

# Maps have one key here: the order of CEL's own maps is not to be had twice.
LEAVES = st.sampled_from(
    """
    1 2 0 1.5 'a' 'b' true null [] {} [1,'a'] {'a':1} host inputs.hosts inputs.count inputs.note inputs.nope
    steps.fleet.items steps.fleet
    """.split()  # noqa: SIM905 - a line of words reads better
)


def _combined(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    """Return larger expressions made of *inner* ones; `i` and `j` are the names of loops."""
    item = st.one_of(inner, st.sampled_from(["i", "j", "i + j", "[i]", "i == j"]))
    loops = st.sampled_from(["map", "filter", "all", "exists", "exists_one"])
    return st.one_of(
        st.builds("({} {} {})".format, inner, st.sampled_from(["+", "==", "&&", "||", "<", "in"]), inner),
        st.builds("[{}, {}]".format, item, inner),
        st.builds("{{'a': {}}}".format, item),
        st.builds("({} ? {} : {})".format, inner, inner, inner),
        st.builds("({}).{}({}, {})".format, inner, loops, st.sampled_from("ij"), item),
        st.builds("({}).map({}, {}, {})".format, inner, st.sampled_from("ij"), item, item),
        st.builds("size({})".format, inner),
        st.builds("string({}).matches({})".format, inner, inner),
        st.builds("({})[{}]".format, inner, inner),
    )


@settings(max_examples=300)
@given(st.recursive(LEAVES, _combined, max_leaves=8))
def test_planning_changes_no_result(source: str) -> None:
    """A plan gives what CEL itself gives for the whole expression, and fails where CEL fails."""
    try:
        expression = compile_expression(source, names=DYNAMIC)
    except CompileError as problem:
        assert problem.code is Code.LIMIT  # noqa: PT017 - anything else is a mistake of the generator
        return
    original = environments.runtime().compile(source, disable_check=True)

    assert _natively(original) == _evaluated(expression)


def _natively(original: Any) -> object:
    try:
        outcome = original.eval(data=RUN)
        kind = outcome.type().name()
        return "failed" if kind == "ERROR" else _Reader("").value(outcome, kind, 0)
    except (RuntimeError, EvaluationError):
        return "failed"


def _evaluated(expression: Expression) -> object:
    try:
        return expression.evaluate(RUN)
    except EvaluationError:
        return "failed"


# Memory


def test_an_evaluation_keeps_nothing() -> None:
    """What an evaluation reads and computes is let go: no reference is kept, and none is lost.

    CEL's own binding keeps the arguments of functions written in Python, and gives away references to null.
    """
    text, gone = "a text that is read " * 3, None
    sources = (
        "lower(text)",
        "[text].map(t, t + lower(t))",
        "json(toJson([gone, text]))",
        "default(gone, [gone])",
    )
    expressions = [compile_expression(source, names=DYNAMIC) for source in sources]
    names = {"text": text, "gone": gone}
    for expression in expressions:
        expression.evaluate(names)
    before = sys.getrefcount(text), sys.getrefcount(None)
    for _ in range(500):
        for expression in expressions:
            expression.evaluate(names)
    after = sys.getrefcount(text), sys.getrefcount(None)

    assert before[0] == after[0]
    assert abs(before[1] - after[1]) < 100
