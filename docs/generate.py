"""Write the reference pages from the code that they describe: `./dev docs`.

Each page is made by one function that reads a table or a class of the code and gives Markdown. What the
page says of a key, an event or a command is the docstring beside it, so a page cannot drift from the
code; a house test makes the pages again and compares.
"""

from __future__ import annotations

import importlib
import json
import sys
import textwrap
import typing
from collections.abc import Callable, Iterable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from towpath.definition.actions import ActionCard

REFERENCE = Path(__file__).resolve().parent / "reference"
MADE = "<!-- Made by docs/generate.py from the code: change the code, then run ./dev docs -->\n\n"

Schema = Mapping[str, Any]


def main() -> int:
    """Write every page that changed and say which."""
    for name, make in PAGES.items():
        path = REFERENCE / name
        text = page(make)
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")
            print(f"wrote {path.relative_to(REFERENCE.parents[1])}")
    return 0


def page(make: Callable[[], Iterable[str]]) -> str:
    """One page: the blocks that *make* gives, apart by a blank line."""
    return MADE + "\n\n".join(block.strip("\n") for block in make()) + "\n"


def table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    """A Markdown table; a bar inside a cell does not end it."""
    lines = [head, tuple("---" for _ in head), *rows]
    return "\n".join("| " + " | ".join(_cell(cell) for cell in line) + " |" for line in lines)


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def first_paragraph(documented: object) -> str:
    """The first paragraph of a docstring, on one line."""
    text = typing.cast("str | None", getattr(documented, "__doc__", None)) or ""
    return " ".join(textwrap.dedent(text).strip().split("\n\n")[0].split())


# --- the language ---

STEP = "[step](#kinds)"
STEP_EXAMPLES = {
    "run": """
        - id: build
          run: make image                     # bash -euo pipefail
          env: {VERSION: "${{ inputs.version }}"}
          outputs: [image]                    # the script writes: echo "image=…" >>"$TOW_OUTPUT"
          retry: {attempts: 3, delay: 5s}
        """,
    "uses": """
        - id: healthy
          uses: http.request
          with: {url: "https://shop.example/healthz"}
          success_when: outputs.status == 200
        """,
    "approve": """
        - id: go_live
          approve: Release ${{ inputs.version }} to production?
          who: [group:release_managers]
          quorum: 2
          answer_within: 4h
          if_unanswered: reject
        """,
    "task": """
        - id: handover
          task: Tell support about ${{ inputs.version }}
          assign: [group:shop]
          form: {link: {type: string, required: true}}
        """,
    "wait": """
        - wait: 10m
        - wait: {until: "2027-01-01T06:00:00Z"}
        - wait: {window: business_hours}
        - wait: {signal: go}
        """,
    "steps": """
        - id: go_live
          steps:
            - run: ./switch.sh to "$VERSION"
              env: {VERSION: "${{ inputs.version }}"}
              rollback: {run: ./switch.sh back}
            - run: ./smoke.sh
        """,
    "parallel": """
        - id: checks
          parallel:
            - {id: unit, run: make test}
            - {id: scan, run: make scan}
            - {id: report, needs: [unit, scan], run: make report}
        """,
    "each": """
        - id: fleet
          each: ${{ inputs.hosts }}
          as: host
          batch: [1, 10%, 100%]
          steps:
            - run: ./install.sh "$HOST"
              env: {HOST: "${{ host }}"}
        """,
    "choose": """
        - id: size
          choose:
            - if: inputs.hosts.size() > 100
              steps: [{run: ./announce.sh}]
            - else: [{run: echo "a small one"}]
        """,
    "repeat": """
        - id: settled
          repeat:
            - {id: lag, run: ./replication-lag.sh, outputs: [seconds]}
          until: int(steps.lag.outputs.seconds) < 5
          every: 10s
          times: 60
        """,
    "workflow": """
        - id: backup_first
          workflow: backup_database
          with: {keep: 10}
        """,
    "end": """
        - if: inputs.version == ""
          end: {status: rejected, message: There is nothing to release}
        """,
}


def language() -> Iterator[str]:
    """The page of the workflow language: every key, from the model that reads the files."""
    from towpath.definition import model
    from towpath.definition.schema import workflow_schema

    complete = workflow_schema()["$defs"]
    schema = model.Workflow.model_json_schema(by_alias=True)
    parts: Mapping[str, Schema] = schema["$defs"]
    yield "# The workflow language"
    yield (
        "One YAML file is one workflow. This page lists every key; what holds for expressions is on "
        "[a page of its own](expressions.md), what happens when something fails is in "
        "[Failure and rollback](../explain/rollback.md). `tow schema` prints the same as JSON Schema, "
        "from which an editor completes ([how](../howto/editor.md))."
    )
    yield table(
        ("written as", "is"),
        [
            ("*id*", f"`{model.ID_PATTERN}`, at most {model.ID_CHARS_MAX} characters"),
            ("*duration*", "`250ms`, `30s`, `10m`, `2h`, `3d`, `1h30m`"),
            ("*condition*", "a bare [CEL expression](expressions.md) that is true or false"),
            ("*text*", "may hold `${{ … }}` unless the key says that it is fixed when the file loads"),
            ("*principal*", "`user:…`, `group:…` or `oncall:…`"),
            ("*steps*", "a list of [steps](#kinds)"),
        ],
    )
    yield (
        "YAML is read as version 1.2 of the core schema: `on:` and `no` are text. There are no tags, anchors "
        "or merges."
    )
    yield "## The file {#file}"
    yield keys(schema, parts)
    yield "## Steps {#kinds}"
    yield "A step has exactly one of these keys; it says what the step does."
    kinds = {cls.kind: cls for cls in model.STEP_CLASSES}
    yield table(
        ("key", "the step"), [(f"[`{kind}`](#{kind})", first_paragraph(cls)) for kind, cls in kinds.items()]
    )
    yield "### Keys of every step {#step}"
    common = set(_properties(parts["EndStep"])) - {"end"}
    yield keys(parts["RunStep"], parts, only=common)
    for kind, cls in kinds.items():
        part = parts[cls.__name__]
        yield f"### `{kind}` {{#{kind}}}"
        yield first_paragraph(cls)
        yield keys(part, parts, without=common)
        shared = [f"`{key}`" for key in _properties(complete[cls.__name__]) if key in common]
        yield f"Of the [keys of every step](#step) these have an effect here: {', '.join(shared)}."
        yield f"```yaml\n{textwrap.dedent(STEP_EXAMPLES[kind]).strip()}\n```"
    yield from described_parts({name: part for name, part in parts.items() if not name.endswith("Step")})
    yield "## Limits {#limits}"
    yield table(("limit", "value", "what it bounds"), limits("towpath.definition.model"))


def described_parts(parts: Mapping[str, Schema]) -> Iterator[str]:
    """A section for each part that a key may hold."""
    yield "## Parts {#parts}"
    for name, part in sorted(parts.items()):
        yield f"### {_spoken(name)} {{#{name.lower()}}}"
        yield " ".join(part.get("description", "").split())
        if part.get("properties"):
            yield keys(part, parts)


def keys(
    part: Schema,
    parts: Mapping[str, Schema],
    *,
    only: AbstractSet[str] | None = None,
    without: AbstractSet[str] = frozenset(),
) -> str:
    """The table of the keys of one part of the language."""
    required = set(part.get("required", ()))
    return table(
        ("key", "takes", "without it", "meaning"),
        [
            (
                f"`{name}`",
                takes(value, parts),
                "**required**" if name in required else without_it(value),
                value.get("description") or _referred(value, parts).get("description", ""),
            )
            for name, value in _properties(part).items()
            if name not in without and (only is None or name in only)
        ],
    )


def _properties(part: Schema) -> Mapping[str, Schema]:
    return typing.cast("Mapping[str, Schema]", part.get("properties", {}))


def _referred(value: Schema, parts: Mapping[str, Schema]) -> Schema:
    return parts.get(value.get("$ref", "").rpartition("/")[2], {})


def _spoken(name: str) -> str:
    return "".join(
        f" {letter.lower()}" if letter.isupper() and place else letter for place, letter in enumerate(name)
    )


def takes(value: Schema, parts: Mapping[str, Schema]) -> str:  # noqa: PLR0911 - one answer for each shape
    """What a key takes, in words."""
    if "$ref" in value:
        name = value["$ref"].rpartition("/")[2]
        return f"[{_spoken(name).lower()}](#{name.lower()})"
    if "anyOf" in value or "oneOf" in value:
        options = [each for each in value.get("anyOf", value.get("oneOf", ())) if each.get("type") != "null"]
        if _is_steps(options):
            return STEP
        return " or ".join(dict.fromkeys(takes(each, parts) for each in options))
    if "enum" in value:
        return ", ".join(f"`{choice}`" for choice in value["enum"])
    if "const" in value:
        return f"`{value['const']}`"
    kind = value.get("type")
    if kind == "array":
        inner = takes(value["items"], parts) if "items" in value else "anything"
        return "[steps](#kinds)" if inner == STEP else f"list of {inner}"
    if kind == "object":
        values = value.get("additionalProperties")
        return f"map of {takes(values, parts)}" if isinstance(values, dict) else "map"
    if kind == ["string", "boolean"]:
        return "*condition*"
    if kind == "string":
        return _text(value)
    return {"integer": "whole number", "number": "number", "boolean": "`true` or `false`"}.get(
        str(kind), "anything"
    )


def _is_steps(options: list[Schema]) -> bool:
    return len(options) > 1 and all(each.get("$ref", "").endswith("Step") for each in options)


def _text(value: Schema) -> str:
    pattern = value.get("pattern", "")
    if "ms)?" in pattern:
        return "*duration*"
    if "KiB" in pattern:
        return "*size*"
    if "oncall" in pattern:
        return "*principal*"
    if pattern.startswith("^[a-z][a-z0-9_]*") or value.get("maxLength") == 64:  # noqa: PLR2004 - ID_CHARS_MAX
        return "*id*"
    return "text"


def without_it(value: Schema) -> str:
    """What a key means that is not written."""
    default = value.get("default")
    if default is None or isinstance(default, dict) or default in ([], ()):
        return ""
    options = [value, *value.get("anyOf", ())]
    if isinstance(default, float) and any("ms)?" in each.get("pattern", "") for each in options):
        return f"`{_duration(default)}`"
    return f"`{json.dumps(default)}`" if not isinstance(default, str) else f"`{default}`"


def _duration(seconds: float) -> str:
    if seconds and seconds % 60 == 0:
        return f"{seconds / 60:g}m"
    return f"{seconds:g}s"


def limits(module_name: str) -> Iterator[tuple[str, ...]]:
    """The named limits of a module with the text under each."""
    for name, value, said in constants(module_name):
        if name.endswith("_MAX"):
            yield f"`{name}`", f"{value:,}" if isinstance(value, int | float) else str(value), said


def constants(module_name: str) -> Iterator[tuple[str, object, str]]:
    """The constants of a module: name, value, and the text under each."""
    import ast
    import inspect

    module = importlib.import_module(module_name)
    body = ast.parse(inspect.getsource(module)).body
    for position, node in enumerate(body):
        target = node.targets[0] if isinstance(node, ast.Assign) else getattr(node, "target", None)
        if not (isinstance(target, ast.Name) and target.id.isupper() and not target.id.startswith("_")):
            continue
        following = body[position + 1] if position + 1 < len(body) else None
        said = ""
        if isinstance(following, ast.Expr) and isinstance(following.value, ast.Constant):
            said = str(following.value.value)
        yield target.id, getattr(module, target.id), said


def triggers() -> Iterator[str]:
    """The page of what starts runs."""
    from towpath.definition.triggers import TRIGGER_CLASSES, Options

    parts: dict[str, Schema] = {}
    yield "# Triggers"
    yield (
        "What can stand under `on:`. An entry is a kind alone (`- manual`) or a kind with settings, and "
        "beside it the options below. [Let events start runs](../howto/receive-events.md) tells how a "
        "delivery becomes a run, [Run on a schedule](../howto/run-on-a-schedule.md) when a schedule comes "
        "round."
    )
    yield "## Options of every trigger {#options}"
    yield keys(Options.model_json_schema(by_alias=True), parts)
    kinds: dict[type[Any], list[str]] = {}
    for kind, settings in TRIGGER_CLASSES.items():
        kinds.setdefault(settings, []).append(kind)
    for settings, names in kinds.items():
        schema = settings.model_json_schema(by_alias=True)
        parts |= schema.get("$defs", {})
        alone = len(names) == 1
        title = f"`{names[0]}`" if alone else _spoken(settings.__name__)
        yield f"## {title} {{#{_anchor(names[0])}}}"
        yield first_paragraph(settings)
        if not alone:
            yield ", ".join(f"`{name}`" for name in names)
        if schema.get("properties"):
            yield keys(schema, parts)
    yield from described_parts(parts)


PROJECT_INTRODUCTION = """
A folder is a project when it has a `towpath.yaml`, which may be empty. `tow` looks for it from where you are
upwards.

```text
towpath.yaml        people, environments, calendars, secrets, channels, engine, limits
workflows/*.yaml    the workflows
actions/*.py        local actions: typed Python functions
policies/*.rego     policy as code
tests/*.yaml        workflow tests
.towpath/           the data folder; not for version control
```

A run keeps the definition that it started with, whatever happens to the file. A file that does not load never
replaces the version that does.
"""


def project() -> Iterator[str]:
    """The page of the project's file."""
    from towpath.definition.project import BUILT_IN_ROLES, ProjectFile

    schema = ProjectFile.model_json_schema(by_alias=True)
    yield "# The project"
    yield PROJECT_INTRODUCTION
    yield "## towpath.yaml {#file}"
    yield keys(schema, schema["$defs"])
    yield f"Built-in roles: {', '.join(f'`{role}`' for role in BUILT_IN_ROLES)}."
    yield from described_parts(schema["$defs"])


TESTS_INTRODUCTION = """
A file in `tests/` holds tests of workflows; `tow test` plays them, and `tow schema tests` prints what an editor completes from. See
[Test a workflow](../howto/test-a-workflow.md) for how to write them.

What a file says above `tests` holds for each of them; a test says only what is different. What nobody says succeeds: scripts and actions
hand on plausible values of the shape that they declare, checks find nothing done yet, and people say yes to approvals and tasks, one
minute after they were asked. Nobody says anything by themselves to a failure, an unknown outcome or a failed rollback.
"""
ADDRESSES = """
A step is named by its **id** (`smoke`), which means every instance of it. One instance is named by its **path** (`fleet[web1]/smoke`),
which may begin with any id; `fleet[*]/smoke` stands for all items or rounds. What is said most exactly counts.

| written | means |
| --- | --- |
| `smoke` | the step with this id, in every item and round |
| `fleet[web1]/smoke` | the step of one item |
| `folders[#2]/look` | the second item, where items have no key of their own |
| `switch~rollback/1` | the first step of a handler, where it has no id |
| `backup_first>copy` | a step of the workflow that the step `backup_first` starts |
| `gate:production` | the gate of a protected environment |

In `path`, `passes`, `never` and `when`, `switch:check` is the look whether something is done already, and `go_live?` is the question to
people. A step with `run`, `uses` or `workflow` is ordered once for each attempt; blocks and waits are not ordered.
"""


def tests() -> Iterator[str]:
    """The page of the test files."""
    from towpath.trials.testing.files import Script, TestFile

    schema = TestFile.model_json_schema(by_alias=True)
    parts = {name: part for name, part in schema["$defs"].items() if name != "Case"}
    script = frozenset(field.alias or name for name, field in Script.model_fields.items())
    yield "# Test files"
    yield TESTS_INTRODUCTION
    yield "## A file {#file}"
    yield "Beside `tests`, everything that a test may say of the world, for all of them."
    yield keys(schema, schema["$defs"], without=script)
    yield "## A test {#case}"
    yield keys(schema["$defs"]["Case"], schema["$defs"], without=script)
    yield "## The world {#world}"
    yield "What a file or a test says of the world."
    yield keys(schema["$defs"]["Case"], schema["$defs"], only=script)
    yield "## Naming steps {#addresses}"
    yield ADDRESSES
    yield from described_parts(parts)


def functions() -> Iterator[str]:
    """The page of the functions that expressions may call."""
    from towpath.definition.expressions import functions as own

    yield "# Functions in expressions"
    yield (
        "CEL's own functions (`size`, `contains`, `startsWith`, `endsWith`, `matches`, `int`, `double`, "
        "`string`, `duration`, `timestamp`, `has`, and the macros `all`, `exists`, `exists_one`, "
        "`filter`, `map`), and these. Where there is a *yes* the function can also stand behind its first "
        "argument: `inputs.name.lower()`."
    )
    yield table(
        ("function", "gives", "also behind"),
        [
            (
                function.summary.partition(": ")[0],
                function.summary.partition(": ")[2],
                "yes" if any(form.member for form in function.forms) else "",
            )
            for function in sorted((*own.FUNCTIONS, *own.REWRITTEN), key=lambda each: each.name.lower())
        ],
    )
    yield "## Limits {#limits}"
    yield table(("limit", "value", "what it bounds"), limits("towpath.definition.expressions.limits"))


# --- actions ---


def actions() -> Iterator[str]:
    """The page of the built-in actions, from their cards."""
    from towpath.steps.catalogue import BUILT_IN, Catalogue

    cards = Catalogue.load(None).cards()
    yield "# Actions"
    yield (
        "What `uses` can name without anything else being installed. `tow actions` lists these, those of "
        "installed packages and [those of your project](../howto/write-an-action.md)."
    )
    yield table(
        ("action", "does"),
        [(f"[`{name}`](#{_anchor(name)})", cards[name].summary) for name in sorted(BUILT_IN)],
    )
    for name in sorted(BUILT_IN):
        yield from action(cards[name])


def _anchor(name: str) -> str:
    return name.replace(".", "-")


def action(card: ActionCard) -> Iterator[str]:
    """The section of one action."""
    yield f"## `{card.name}` {{#{_anchor(card.name)}}}"
    yield card.summary
    facts = [
        f"idempotent: {'yes' if card.idempotent else 'no, or it depends on the inputs'}",
        f"can be rehearsed: {'yes' if card.can_rehearse else 'no'}",
        f"changes: {card.effects}",
    ]
    if card.binaries:
        facts.append(f"needs: {', '.join(f'`{program}`' for program in card.binaries)}")
    yield " · ".join(facts)
    if card.inputs or card.open_inputs:
        yield table(
            ("input", "takes", "without it", "meaning"),
            [
                (
                    f"`{name}`",
                    _json_type(one.schema) + (", may hold a secret" if one.secret_allowed else ""),
                    "**required**" if one.required else without_it(one.schema),
                    one.description or str(one.schema.get("description", "")),
                )
                for name, one in card.inputs.items()
            ],
        )
    if card.outputs is None:
        yield "Its outputs are whatever it answers; they are not checked before it runs."
    elif card.outputs:
        yield table(
            ("output", "is", "meaning"),
            [
                (
                    f"`{name}`",
                    _json_type(schema),
                    card.details.get(name) or str(schema.get("description", "")),
                )
                for name, schema in card.outputs.items()
            ],
        )


def _json_type(schema: Schema) -> str:
    """A JSON Schema in a few words."""
    if "enum" in schema:
        return ", ".join(f"`{choice}`" for choice in schema["enum"])
    if "anyOf" in schema:
        options = [_json_type(each) for each in schema["anyOf"] if each.get("type") != "null"]
        return " or ".join(dict.fromkeys(options))
    kinds = schema.get("type", "anything")
    if not isinstance(kinds, str):
        return " or ".join(_json_type({**schema, "type": kind}) for kind in kinds if kind != "null")
    if kinds == "array":
        return f"list of {_json_type(schema['items'])}" if schema.get("items") else "list"
    return {"object": "map", "string": "text", "integer": "whole number"}.get(kinds, kinds)


# --- what can be wrong with a file ---

PROBLEM_GROUPS = {
    "0": "The text itself",
    "1": "The shape",
    "2": "Names and expressions",
    "3": "Order",
    "4": "Actions and other workflows",
    "5": "Triggers",
    "6": "People and the project",
    "7": "Tests of workflows",
    "9": "Too much",
}


def problems() -> Iterator[str]:
    """The page of the problems that `tow lint` tells."""
    from towpath.definition.problems import CODES

    yield "# Problems in files"
    yield (
        "What `tow lint`, `tow run` and an editor say about a file. All problems of a file are told at "
        "once, each with its line, a caret and a way out. A number keeps its meaning for ever. Nothing "
        "starts from a file with an error; a warning stops nothing."
    )
    for group, title in PROBLEM_GROUPS.items():
        yield f"## {title}"
        yield table(
            ("number", "name", "rule"),
            [
                (
                    f'<span id="{code.number.lower()}"></span>`{code.number}`',
                    f"`{code.name}`" + (" (warning)" if code.severity.value == "warning" else ""),
                    code.explanation,
                )
                for code in CODES.values()
                if code.number[3] == group
            ],
        )


# --- what the core is told, answers and asks ---


def events() -> Iterator[str]:
    """The page of stimuli, events and commands."""
    yield "# Stimuli, events, commands"
    yield (
        "The words of the [decider](../explain/decider.md). A stimulus comes from outside and may be "
        "refused. An event is a fact: it is what the journal keeps and what replay reads. A command is an "
        "order that follows from an event. Times are microseconds since 1970 in UTC."
    )
    for title, module, base, said in (
        ("Stimuli", "stimuli", "Stimulus", "What the core is told."),
        ("Events", "events", "Event", "What became true. Every event has `at`, and its name under `event`."),
        ("Commands", "commands", "Command", "What the world is asked to do. Every command has `path`."),
    ):
        yield f"## {title}"
        yield said
        for struct in structs(f"towpath.core.{module}", base):
            tag = struct.__struct_config__.tag
            yield f"### `{tag}` {{#{base.lower()}-{tag}}}"
            yield " ".join((struct.__doc__ or "").split())
            rows = [(f"`{name}`", f"`{kind}`", said) for name, kind, said in struct_fields(struct)]
            if rows:
                yield table(("field", "type", "meaning"), rows)


def structs(module_name: str, base: str) -> list[Any]:
    """The tagged structs of a module, in the order in which they stand there."""
    module = importlib.import_module(module_name)
    root = getattr(module, base)
    return [
        each
        for each in vars(module).values()
        if isinstance(each, type)
        and issubclass(each, root)
        and each is not root
        and each.__module__ == module_name
    ]


def struct_fields(struct: Any) -> Iterator[tuple[str, str, str]]:  # noqa: ANN401 - a struct's metaclass has no type
    """Name on the wire, type and meaning of the fields that a struct adds to its base."""
    wire = dict(zip(struct.__struct_fields__, struct.__struct_encode_fields__, strict=True))
    for name, kind, said in fields(struct):
        yield wire[name], kind, said


def fields(described: type) -> Iterator[tuple[str, str, str]]:
    """Name, type and meaning of the fields that a class declares itself; a meaning stands below its field."""
    import ast
    import inspect

    body = typing.cast("ast.ClassDef", ast.parse(textwrap.dedent(inspect.getsource(described))).body[0]).body
    for position, node in enumerate(body):
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            following = body[position + 1] if position + 1 < len(body) else None
            said = ""
            if isinstance(following, ast.Expr) and isinstance(following.value, ast.Constant):
                said = str(following.value.value)
            yield node.target.id, ast.unparse(node.annotation), said


def errors() -> Iterator[str]:
    """The page of the error tree."""
    from towpath import errors as own

    tree = textwrap.dedent(own.__doc__ or "").split("\n\n", 1)[1].strip("\n")
    yield "# Errors"
    yield (
        "Every error that Towpath raises on purpose has a place in one tree, split by who can put it "
        "right. Its message says what happened and where, its help what to try. What a *step* fails with "
        "is an [error kind](expressions.md#names), what a *file* is refused for is a "
        "[problem](problems.md), and what the shell sees is an [exit code](exit-codes.md)."
    )
    yield f"```text\n{tree}\n```"
    yield table(
        ("error", "is a", "means"),
        [
            (f"`{name}`", f"`{kind.__bases__[0].__name__}`", first_paragraph(kind))
            for name in own.__all__
            if (kind := getattr(own, name)) is not own.TowpathError
        ],
    )


# --- the command line ---


def exit_codes() -> Iterator[str]:
    """The page of what `tow` answers to the shell."""
    yield "# Exit codes"
    yield "What `tow` answers to the shell. The numbers never change their meaning."
    yield table(
        ("code", "name", "means"),
        [
            (f"`{value}`", name.lower().replace("_", " "), said)
            for name, value, said in constants("towpath.cli.exit_codes")
            if isinstance(value, int)
        ],
    )


def settings() -> Iterator[str]:
    """The page of what an operator can set."""
    from towpath import settings as own

    yield "# Settings"
    yield first_paragraph(own)
    yield (
        "A setting that is wrong is refused with its name and its limits. What belongs to a project and "
        "not to a machine stands in [towpath.yaml](project.md)."
    )
    yield table(("setting", "meaning"), [(f"`{name}`", said) for name, _, said in fields(own.Settings)])
    yield "## The server"
    yield first_paragraph(own.Serving)
    yield table(("setting", "meaning"), [(f"`{name}`", said) for name, _, said in fields(own.Serving)])
    yield "All variables that `tow` reads are on [another page](scripts.md#tow)."


def cli() -> Iterator[str]:
    """The page of the commands, from the table and from what click knows of each."""
    from towpath.cli import commands
    from towpath.cli.group import PROGRAM, root

    yield "# The command line"
    yield f"```text\n{commands.overview()}\n```"
    yield (
        "Text goes to standard output, errors to standard error, and the [exit code](exit-codes.md) says "
        "how it ended. What is drawn for a terminal becomes plain lines when it is piped."
    )
    context = click.Context(root, info_name=PROGRAM)
    for title, entries in commands.SECTIONS:
        yield f"## {title}"
        for entry in entries:
            yield from command_of(root, entry.name, context)


def command_of(group: click.Group, name: str, parent: click.Context, *, depth: int = 3) -> Iterator[str]:
    """The section of the command that *group* has under *name*."""
    known = group.get_command(parent, name)
    if known is None:
        raise LookupError(f"the table names `{name}`, which is no command")
    yield from command(known, click.Context(known, info_name=name, parent=parent), depth=depth)


def command(known: click.Command, context: click.Context, *, depth: int) -> Iterator[str]:
    """The section of one command, and those of the commands below it."""
    yield f"{'#' * depth} `{context.command_path}` {{#{context.command_path.replace(' ', '-')}}}"
    yield f"```text\n{' '.join(known.get_usage(context).split()).removeprefix('Usage: ')}\n```"
    yield from paragraphs(known.help or "")
    options = [each for each in known.params if isinstance(each, click.Option) and not each.hidden]
    if options:
        yield table(("option", "takes", "without it", "meaning"), [option(each, context) for each in options])
    if isinstance(known, click.Group):
        for name in known.list_commands(context):
            yield from command_of(known, name, context, depth=depth + 1)


def paragraphs(text: str) -> Iterator[str]:
    """The paragraphs of a help text; what click is told not to wrap is shown as it stands."""
    import inspect

    for paragraph in inspect.cleandoc(text).split("\n\n"):
        if paragraph.startswith("\b"):
            shown = textwrap.dedent(paragraph.removeprefix("\b").strip("\n"))
            yield f"```text\n{shown}\n```"
        else:
            yield " ".join(paragraph.split())


def option(known: click.Option, context: click.Context) -> tuple[str, str, str, str]:
    """The row of one option."""
    names = ", ".join(f"`{name}`" for name in (*known.opts, *known.secondary_opts))
    takes_value = not known.is_flag and not known.count
    choices = known.type.choices if isinstance(known.type, click.Choice) else ()
    value = ", ".join(f"`{choice}`" for choice in choices) or known.make_metavar(context).lower()
    default = known.get_default(context) if takes_value else None
    shown = f"`{default}`" if isinstance(default, str | int | float) and default != "" else ""
    return names, value if takes_value else "", shown, known.help or ""


# --- who may do what ---


def permissions() -> Iterator[str]:
    """The page of permissions: which roles have each, and which routes ask for it."""
    from towpath.policy import access
    from towpath.server import making, routing

    declared = [one for routes in making.all_routes() for one in routes.declared]
    asked: dict[str, list[str]] = {}
    for one in declared:
        asked.setdefault(one.permission, []).append(f"`{one.name}`{' (page)' if one.is_page else ''}")
    yield "# Permissions"
    yield (
        "Whoever wants to do something over HTTP, on a page or with a program, needs the permission of that route. `access: grants:` in "
        "`towpath.yaml` gives people roles, and a role is a list of permissions; what is not granted is denied. A grant may be limited to "
        "workflows and environments; a token may do less than its owner, never more. The same table is asked for every request, and a test "
        "asks every route as nobody, as each role, and with tokens that have ended."
    )
    yield "## Roles that every project has {#roles}"
    rows = [
        (
            f"[`{name}`](#{name.replace('.', '-').replace('_', '-')})",
            *("✓" if access.covers(patterns, name) else "" for patterns in access.BUILT_IN.values()),
            meaning,
        )
        for name, meaning in access.PERMISSIONS.items()
    ]
    yield table(("permission", *access.BUILT_IN, "lets somebody"), rows)
    yield "A project adds roles of its own under [`access: roles:`](project.md)."
    yield "## What each permission is asked for {#routes}"
    for name, meaning in access.PERMISSIONS.items():
        yield f"### `{name}` {{#{name.replace('.', '-').replace('_', '-')}}}"
        yield f"To {meaning}."
        found = asked.get(name)
        yield (
            "\n".join(f"- {route}" for route in sorted(found))
            if found
            else ("Asked for inside of other routes, where it comes to that.")
        )
    yield "## Whoever is signed in {#signed-in}"
    yield "These are about oneself, or ask for what they need when it is known; whoever is known may use them."
    yield "\n".join(f"- {route}" for route in sorted(asked.get(routing.SIGNED_IN, ())))
    yield "## Anybody at all {#public}"
    yield "Nothing else answers somebody whom nobody knows. The server does not start with a route that is public and not on this list."
    yield table(("route", "why"), [(f"`{name}`", why) for name, why in routing.PUBLIC_ROUTES.items()])


# --- the API ---


def api() -> Iterator[str]:
    """The page of the HTTP API, from its own description."""
    from towpath.server import making, openapi
    from towpath.server.call import Parts

    server = making.make_server(typing.cast("Parts", None))
    described = openapi.describe(server)
    parts: Mapping[str, Schema] = described["components"]["schemas"]
    yield "# The HTTP API"
    yield f"`GET {making.OPENAPI_PATH}` gives this description as OpenAPI {openapi.VERSION}."
    yield openapi.ABOUT.strip()
    for one in described["tags"]:
        tag = one["name"]
        yield f"## {tag.capitalize()} {{#tag-{tag}}}"
        yield one["description"]
        for method, path, operation in openapi.operations(described):
            if tag in operation.get("tags", ()):
                yield from _operation(method, path, operation, parts)
    yield "## Values {#values}"
    yield "What requests and answers hold."
    for name, part in sorted(parts.items()):
        yield f"### {_spoken(name).strip()} {{#{name.lower()}}}"
        yield " ".join(part.get("description", "").split())
        if part.get("properties"):
            yield keys(part, parts)


def _operation(method: str, path: str, operation: Schema, parts: Mapping[str, Schema]) -> Iterator[str]:
    """One route: who may, what it takes, what it answers."""
    yield f"### `{method} {path}` {{#route-{operation['operationId'].replace('_', '-')}}}"
    yield " ".join(operation.get("description", operation.get("summary", "")).split())
    permission = operation.get("x-permission", "")
    told = {"public": "anybody", "signed-in": "whoever is signed in"}.get(permission, f"`{permission}`")
    yield f"For {told}; `{operation['operationId']}`."
    rows = [
        (
            f"`{one['name']}`",
            one["in"],
            takes(one["schema"], parts),
            "**required**" if one.get("required") else without_it(one["schema"]).replace("``", ""),
            one.get("description", ""),
        )
        for one in operation.get("parameters", ())
        if "$ref" not in one
    ]
    if rows:
        yield table(("parameter", "in", "takes", "without it", "meaning"), rows)
    body = _content(operation.get("requestBody", {}), parts)
    if body:
        yield f"Takes {body}."
    answers = (
        f"{status}: {told}"
        for status, answer in sorted(operation["responses"].items())
        if status.startswith("2") and (told := _content(answer, parts) or answer["description"])
    )
    yield f"Answers {'; '.join(answers)}."


def _content(holder: Schema, parts: Mapping[str, Schema]) -> str:
    """What a body holds: a value by its name, or a kind of file."""
    return " or ".join(
        takes(content["schema"], parts)
        if kind == "application/json" and content.get("schema")
        else f"`{kind}`"
        for kind, content in holder.get("content", {}).items()
    )


PAGES: dict[str, Callable[[], Iterable[str]]] = {
    "api.md": api,
    "actions.md": actions,
    "exit-codes.md": exit_codes,
    "functions.md": functions,
    "language.md": language,
    "project.md": project,
    "problems.md": problems,
    "settings.md": settings,
    "tests.md": tests,
    "triggers.md": triggers,
    "cli.md": cli,
    "permissions.md": permissions,
    "errors.md": errors,
    "events.md": events,
}


if __name__ == "__main__":
    sys.exit(main())
