"""Triggers: the cron text, and what a loaded workflow says of what starts it."""

from __future__ import annotations

import pytest

from towpath.definition import triggers
from towpath.definition.loader import check_workflow, load_workflow
from towpath.definition.problems import errors_of

GOOD_CRON = [
    ("0 3 * * 1-5", "0 3 * * 1-5"),
    ("*/15 * * * *", "*/15 * * * *"),
    ("0 0 1,15 * *", "0 0 1,15 * *"),
    ("0  0\t* * SUN", "0 0 * * SUN"),
    ("0 0 * JAN-MAR mon", "0 0 * JAN-MAR mon"),
    ("0 0 29 2 *", "0 0 29 2 *"),
    ("0 0 30 2 mon", "0 0 30 2 mon"),
    ("0 0 L * *", "0 0 L * *"),
    ("0 0 * * fri#2", "0 0 * * fri#2"),
    ("59 23 31 12 7", "59 23 31 12 7"),
    ("@daily", "0 0 * * *"),
    ("@hourly", "0 * * * *"),
]
BAD_CRON = [
    "",
    "* * * *",
    "* * * * * *",
    "60 * * * *",
    "* 24 * * *",
    "* * 0 * *",
    "* * 32 * *",
    "* * * 13 *",
    "* * * * 8",
    "* * * FOO *",
    "*/0 * * * *",
    "*/x * * * *",
    "5-1 * * * *",
    "1,,2 * * * *",
    "-1 * * * *",
    "0 0 30 2 *",
    "0 0 31 4,6 *",
    "@noon",
    "a" * 500,
]


@pytest.mark.parametrize(("text", "expected"), GOOD_CRON)
def test_a_cron_expression_is_read(text: str, expected: str) -> None:
    """Five fields, names of days and months, and words such as @daily."""
    assert expected == triggers.parse_cron(text)


@pytest.mark.parametrize("text", BAD_CRON)
def test_a_wrong_cron_expression_is_refused(text: str) -> None:
    """What is no time, and a day that never comes, is said when the file is written."""
    with pytest.raises(ValueError, match=r"cron|never"):
        triggers.parse_cron(text)


FILE = """
name: a
on:
  - manual
  - schedule: {cron: "@daily", timezone: Europe/Berlin}
    inputs: {version: main}
  - github.push: {branches: main}
    if: event.ref == "main"
    inputs: {version: "${{ event.after }}"}
    dedupe: ${{ event.after }}
    debounce: 10s
inputs: {version: {type: string}}
steps: [{run: make}]
"""


def test_a_loaded_workflow_says_what_starts_it() -> None:
    """The entries of `on` come out typed, with their options, in their order."""
    found = triggers.triggers_of(load_workflow(FILE).workflow.on)

    assert found == (
        triggers.Trigger(kind="manual", settings=triggers.Manual(), position=0),
        triggers.Trigger(
            kind="schedule",
            settings=triggers.Schedule(cron="@daily", timezone="Europe/Berlin"),
            position=1,
            inputs={"version": "main"},
        ),
        triggers.Trigger(
            kind="github.push",
            settings=triggers.CodeEvent(branches=("main",)),
            position=2,
            if_='event.ref == "main"',
            inputs={"version": "${{ event.after }}"},
            dedupe="${{ event.after }}",
            debounce=10.0,
        ),
    )


def test_a_workflow_starts_by_hand_where_nothing_is_said() -> None:
    """Without `on`, people start it."""
    workflow = load_workflow("name: a\nsteps: [{run: make}]").workflow

    assert [trigger.kind for trigger in triggers.triggers_of(workflow.on)] == ["manual"]


@pytest.mark.parametrize("kind", triggers.TRIGGER_CLASSES)
def test_every_kind_of_trigger_can_be_written(kind: str) -> None:
    """Each kind loads with the settings that it needs, and comes back as that kind."""
    needed = {
        "schedule": "{every: 1h}",
        "webhook": "{path: /x, unsafe_unverified: true}",
        "git.poll": "{url: https://example.org/a.git}",
        "slack.command": "{command: /deploy}",
        "file": "{path: /tmp/x}",
        "metric": "{server: 'http://prometheus', query: up == 0, for: 5m}",
        "run": "{workflow: other}",
    }
    workflow = load_workflow(
        f"name: a\non: [{{{kind}: {needed.get(kind, '{}')}}}]\nsteps: [{{run: make}}]"
    ).workflow

    assert [kind] == [trigger.kind for trigger in triggers.triggers_of(workflow.on)]


def test_a_trigger_may_leave_no_required_input_empty() -> None:
    """A workflow that nobody could start rightly does not load."""
    text = "name: a\non: [alertmanager]\ninputs: {version: {type: string}}\nsteps: [{run: make}]"

    assert [p.name for p in errors_of(check_workflow(text).problems)] == ["input-left-empty"]
