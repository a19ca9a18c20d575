"""The JSON Schema that editors use says what the loader says, as far as a schema can."""
# A row of a table is one line:

from __future__ import annotations

import functools
import re
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from definition_support import CARDS, FILES, REPOSITORY

from towpath.definition import loader, schema, source
from towpath.definition.problems import errors_of
from towpath.definition.triggers import TRIGGER_CLASSES

EXAMPLES = sorted((REPOSITORY / "examples" / "workflows").glob("*.yaml"))


@functools.cache
def validator(what: str) -> jsonschema.Draft202012Validator:
    """The validator of a schema."""
    made = {
        "workflow": schema.workflow_schema,
        "actions": lambda: schema.workflow_schema(cards=CARDS),
        "project": schema.project_schema,
    }[what]()
    jsonschema.Draft202012Validator.check_schema(made)
    return jsonschema.Draft202012Validator(made)


def data_of(text: str) -> Any:
    """The values of a YAML text, as the loader reads them."""
    read = source.read_source(text, path="f.yaml")
    assert read.root is not None, read.problems
    return source.to_data(read.root)


def accepts(what: str, text: str) -> bool:
    """Whether the schema accepts a file."""
    return validator(what).is_valid(data_of(text))


@pytest.mark.parametrize("file", EXAMPLES, ids=lambda file: file.stem)
def test_every_example_is_valid(file: Path) -> None:
    """What the examples say, the schema allows."""
    found = [error.message for error in validator("workflow").iter_errors(data_of(file.read_text()))]

    assert found == []


def test_the_whole_language_is_valid() -> None:
    """A file that uses every part of the language is valid, with its actions checked."""
    found = [
        error.message
        for error in validator("actions").iter_errors(data_of((FILES / "whole_file.yaml").read_text()))
    ]

    assert found == []


GOOD_STEPS = [
    "{run: x}",
    "{run: x, shell: [perl, -w], outputs: [a], parse: json}",
    "{run: x, outputs: {a: '${{ outputs.b }}'}, retry: {attempts: 2, delay: 1m30s, jitter: false}}",
    "{run: x, rollback: {run: y}}",
    "{run: x, rollback: [{run: y}, {uses: log, with: {message: a}}]}",
    "{run: x, check: test -e y}",
    "{run: x, check: {uses: log, with: {message: a}, done_when: 'true == true'}}",
    "{run: x, runs_on: linux, on_failure: ask}",
    "{run: x, runs_on: [linux, arm], on_failure: [{run: y}]}",
    "{run: x, if: true}",
    "{uses: log, with: {message: a}}",
    "{approve: Go?, who: [group:a], answer_within: 4h, if_unanswered: reject, escalate: [{after: 1h, to: [user:b]}]}",
    "{task: Do, assign: [oncall:a], form: {a: {type: integer, required: true}}}",
    "{wait: 10m}",
    "{wait: {until: '2026-12-24T10:00:00Z'}}",
    "{wait: {event: github.push, if: event.x == 1}}",
    "{wait: {signal: go}}",
    "{wait: {window: hours}}",
    "{steps: [{run: x}], catch: [{run: y}], finally: [{run: z}]}",
    "{parallel: [{id: a, run: x}, {run: y, needs: [a]}], max_parallel: 2}",
    "{each: [1, 2], steps: [{run: x}]}",
    "{each: '${{ event.hosts }}', as: host, batch: [1, 10%], max_failures: 10%, steps: [{run: x}]}",
    "{each: {a: 1, b: 2}, steps: [{run: x}]}",
    "{each: {matrix: {a: [1], b: [x, y]}}, batch: 2, steps: [{run: x}]}",
    "{choose: [{if: event.x == 1, steps: [{run: x}]}, {else: [{run: y}]}]}",
    "{repeat: [{run: x}], until: event.x == 1, every: 1s, times: 3}",
    "{workflow: other, with: {a: 1}, detach: true}",
    "{end: {status: failed, message: no}}",
]
BAD_STEPS = [
    "{}",
    "5",
    "[run]",
    "{run: 5}",
    "{run: null}",
    "{runn: x}",
    "{run: x, uses: log}",
    "{run: x, unknown: 1}",
    "{run: x, batch: 1}",
    "{run: x, id: Build}",
    "{run: x, id: 5}",
    "{run: x, timeout: 5}",
    "{run: x, timeout: 5 minutes}",
    "{run: x, timeout: null}",
    "{run: x, if: null}",
    "{run: x, if: 5}",
    "{run: x, idempotent: yes}",
    "{run: x, env: [a]}",
    "{run: x, outputs: [A]}",
    "{run: x, outputs: text}",
    "{run: x, on_failure: carry on}",
    "{run: x, on_failure: [{}]}",
    "{run: x, retry: {attempts: 0}}",
    "{run: x, retry: {attempts: '3'}}",
    "{run: x, retry: {tries: 3}}",
    "{run: x, retry: {factor: 0.5}}",
    "{run: x, rollback: {run: 1}}",
    "{run: x, check: {run: a, uses: log}}",
    "{run: x, check: {shell: bash}}",
    "{run: x, parse: yaml}",
    "{uses: Log}",
    "{uses: log, with: [a]}",
    "{uses: log, outputs: [a]}",
    "{approve: Go?}",
    "{approve: Go?, who: []}",
    "{approve: Go?, who: [anna]}",
    "{approve: Go?, who: [user:a], quorum: 0}",
    "{approve: Go?, who: [user:a], answer_within: 4h}",
    "{approve: Go?, who: [user:a], if_unanswered: reject}",
    "{approve: Go?, who: [user:a], retry: {attempts: 2}}",
    "{task: Do}",
    "{task: Do, assign: [user:a], answer_within: 1h, if_unanswered: approve}",
    "{task: Do, assign: [user:a], form: {A: {type: string}}}",
    "{task: Do, assign: [user:a], form: {a: {type: text}}}",
    "{wait: 5}",
    "{wait: {event: 1}}",
    "{wait: {until: a, window: b}}",
    "{wait: {signal: Go}}",
    "{steps: []}",
    "{steps: {run: x}}",
    "{steps: [{run: x}], retry: {attempts: 2}}",
    "{parallel: [{run: x}], max_parallel: 0}",
    "{each: 5, steps: [{run: x}]}",
    "{each: [1]}",
    "{each: [1], steps: []}",
    "{each: {matrix: {}}, steps: [{run: x}]}",
    "{each: {matrix: {A: [1]}}, steps: [{run: x}]}",
    "{each: {matrix: {a: [1]}, b: 1}, steps: [{run: x}]}",
    "{each: [1], batch: [0], steps: [{run: x}]}",
    "{each: [1], batch: 200%, steps: [{run: x}]}",
    "{each: [1], batch: [], steps: [{run: x}]}",
    "{each: [1], max_failures: -1, steps: [{run: x}]}",
    "{choose: []}",
    "{choose: [{if: event.x == 1}]}",
    "{choose: [{steps: [{run: x}]}]}",
    "{choose: [{if: event.x == 1, else: [{run: x}]}]}",
    "{repeat: [{run: x}]}",
    "{repeat: [{run: x}], until: event.x == 1, times: 0}",
    "{workflow: 5}",
    "{workflow: a, detach: no}",
    "{end: {status: gone}}",
    "{end: failed}",
    "{end: {}, timeout: 1m}",
]
GOOD_TRIGGERS = [
    "manual",
    "{manual: }",
    '{schedule: {cron: "0 3 * * *", timezone: Europe/Berlin, catch_up: all}}',
    "{schedule: {every: 1h}, if: event.x == 1, debounce: 10s}",
    "{webhook: {path: /x, verify: {hmac: {secret: key}}}}",
    "{webhook: {path: /x, unsafe_unverified: true}}",
    "{github.push: {branches: main, paths: [a/**]}, inputs: {}}",
    "alertmanager",
    "{alertmanager: {status: firing, labels: {team: a}}}",
    "{run: {workflow: other, status: [failed]}}",
    "{metric: {server: 'http://p', query: up == 0, for: 5m}}",
    "{file: {path: /tmp/x, events: created}}",
]
BAD_TRIGGERS = [
    "schedule",
    "{schedule: {}}",
    "{schedule: {cron: a, every: 1h}}",
    "{schedule: {every: soon}}",
    "{shedule: {every: 1h}}",
    "{}",
    "{manual: {}, schedule: {every: 1h}}",
    "{webhook: {path: /x}}",
    "{webhook: {path: x, unsafe_unverified: true}}",
    "{webhook: {path: /x, unsafe_unverified: false}}",
    "{github.push: {branch: main}}",
    "{github.push: {}, paths: [a]}",
    "{alertmanager: {status: burning}}",
    "{run: {}}",
    "{run: {workflow: a, status: done}}",
    "{manual: {}, debounce: 5}",
    "5",
]
BAD_FILES = [
    "steps: [{run: x}]",
    "name: a",
    "{name: A, steps: [{run: x}]}",
    "{name: a, steps: []}",
    "{name: a, steps: {run: x}}",
    "{name: a, kind: other, steps: [{run: x}]}",
    "{name: a, unknown: 1, steps: [{run: x}]}",
    "{name: a, on: manual, steps: [{run: x}]}",
    "{name: a, inputs: {a: {type: text}}, steps: [{run: x}]}",
    "{name: a, inputs: {a: {typ: string}}, steps: [{run: x}]}",
    "{name: a, inputs: {A: {}}, steps: [{run: x}]}",
    "{name: a, labels: {a: 1}, steps: [{run: x}]}",
    "{name: a, concurrency: {max: 1}, steps: [{run: x}]}",
    "{name: a, concurrency: {group: a, max: 0}, steps: [{run: x}]}",
    "{name: a, timeout: 1, steps: [{run: x}]}",
    "{name: a, finally: {run: x}, steps: [{run: x}]}",
    "{name: a, release: {canary: {next: 5}}, steps: [{run: x}]}",
    "{name: a, outputs: {A: x}, steps: [{run: x}]}",
]


def file_with(*, step: str = "{run: x}", trigger: str = "manual") -> str:
    """A file that is sound but for what is put into it."""
    return f"name: a\non:\n  - {trigger}\nsteps:\n  - {step}\n"


def loads(text: str) -> bool:
    """Whether the loader finds no error."""
    return not errors_of(loader.check_workflow(text, path="f.yaml").problems)


CASES = [
    *((True, file_with(step=step)) for step in GOOD_STEPS),
    *((False, file_with(step=step)) for step in BAD_STEPS),
    *((True, file_with(trigger=trigger)) for trigger in GOOD_TRIGGERS),
    *((False, file_with(trigger=trigger)) for trigger in BAD_TRIGGERS),
    *((False, text) for text in BAD_FILES),
]


@pytest.mark.parametrize(("is_good", "text"), CASES, ids=[text[:70] for _, text in CASES])
def test_schema_and_loader_agree(is_good: bool, text: str) -> None:
    """What the loader takes the schema takes, and what it refuses for its shape the schema refuses."""
    assert (is_good, is_good) == (loads(text), accepts("workflow", text))


PROJECTS = [
    (True, "{}"),
    (True, "name: a\npeople: {users: {anna: {email: a@b.c}}, groups: {ops: [user:anna], leads: {members: [user:anna]}}}"),
    (True, "people: {users: {anna: {}}, on_call: {a: {rotations: [{people: [user:anna], handover: mon 09:00, days: mon-fri}]}}}"),
    (True, "calendars: {a: {time_zone: Europe/Berlin, hours: {mon-fri: 09:00-17:00}, holidays: [2026-12-25]}}"),
    (True, "environments: {a: {freeze: b, runs_on: linux}}\ncalendars: {b: {}}"),
    (True, "secrets: {providers: [env, sealed, {file: {folder: /x}}, {env: {prefix: X_}}, {sealed: }]}"),
    (True, "channels: {a: {kind: slack, to: '#ops'}}\nlimits: {output_max: 10MiB}"),
    (True, "access: {roles: {d: [run.start, run.*]}, grants: [{role: d, to: [user:a]}]}"),
    (False, "name: A"),
    (False, "nothing: 1"),
    (False, "people: {users: {anna: {mail: a@b.c}}}"),
    (False, "people: {users: {anna: {email: a}}}"),
    (False, "people: {groups: {ops: anna}}"),
    (False, "people: {groups: {ops: [anna]}}"),
    (False, "people: {on_call: {a: {rotations: []}}}"),
    (False, "calendars: {a: {hours: {weekdays: 09:00-17:00}}}"),
    (False, "calendars: {a: {hours: {mon: 9-17}}}"),
    (False, "environments: {A: {}}"),
    (False, "environments: {a: {approval: {}}}"),
    (False, "secrets: {providers: [nothing]}"),
    (False, "secrets: {providers: [vault]}"),
    (False, "secrets: {providers: [{env: {}, sealed: {}}]}"),
    (False, "channels: {a: {kind: pigeon}}"),
    (False, "engine: {kind: other}"),
    (False, "limits: {output_max: 10MB}"),
    (False, "access: {roles: {d: [Run Start]}}"),
]  # fmt: skip


@pytest.mark.parametrize(("is_good", "text"), PROJECTS, ids=[text for _, text in PROJECTS])
def test_schema_and_loader_agree_on_projects(is_good: bool, text: str) -> None:
    """The schema of towpath.yaml takes and refuses what the loader does."""
    _, problems = loader.check_project(text)

    assert (is_good, is_good) == (not errors_of(problems), accepts("project", text))


@pytest.mark.parametrize("what", ["workflow", "project"])
def test_every_key_is_explained(what: str) -> None:
    """An editor has a sentence for every key that it completes."""
    made = schema.workflow_schema() if what == "workflow" else schema.project_schema()

    assert [key for key, text in schema.described_keys(made) if not text and not is_trigger(key)] == []


def is_trigger(key: str) -> bool:
    """Whether a key is a trigger's name, which the settings explain."""
    return key.removeprefix("Trigger.") in TRIGGER_CLASSES


ACTIONS = [
    (True, "{uses: log, with: {message: a}}"),
    (True, "{uses: http.request, with: {url: a, timeout_seconds: 5}}"),
    (True, "{uses: http.request, with: {url: a, timeout_seconds: '${{ event.x }}'}}"),
    (True, "{uses: open.anything, with: {a: 1}}"),
    (False, "{uses: lgo, with: {message: a}}"),
    (False, "{uses: log}"),
    (False, "{uses: log, with: {}}"),
    (False, "{uses: log, with: {message: a, more: 1}}"),
    (False, "{uses: http.request, with: {url: a, timeout_seconds: soon}}"),
    (False, "{uses: http.request, with: {url: a, method: FETCH}}"),
]


@pytest.mark.parametrize(("is_good", "step"), ACTIONS, ids=[step for _, step in ACTIONS])
def test_the_inputs_of_actions_are_in_the_schema(is_good: bool, step: str) -> None:
    """With the cards of the actions, the schema knows their names and what `with` takes, as the loader does."""
    text = file_with(step=step)
    problems = errors_of(loader.check_workflow(text, path="f.yaml", cards=CARDS).problems)

    assert (is_good, is_good) == (not problems, accepts("actions", text))


def test_the_schema_names_no_class_of_ours_as_a_title() -> None:
    """Titles that a tool makes up of our own names help nobody."""
    text = str(schema.workflow_schema())

    assert not re.search(r"'title': '(Run|Uses|Approve)Step'", text)
