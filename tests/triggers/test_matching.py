"""Matching: which run each entry of `on:` wants for an event, and the reason where it wants none."""

from __future__ import annotations

import textwrap
from dataclasses import replace
from typing import Any

import pytest

from towpath.definition import loader
from towpath.definition.triggers import triggers_of
from towpath.triggers import contract, matching, schedule
from towpath.triggers.contract import (
    AlertFacts,
    AlertNews,
    Broken,
    BuildFacts,
    CloudEventFacts,
    CodeFacts,
    CommandFacts,
    Event,
    Facts,
    FileFacts,
    Listener,
    PollFacts,
    Reading,
    RunFacts,
    ScheduleFacts,
    TicketFacts,
    Verdict,
    Verified,
    WebhookFacts,
)

SIGNED = Verified(way="signature", secrets=("github_webhook",))
PUSH = CodeFacts(repository="octo/shop", branch="main", paths=("app/a.py", "README.md"))
TAG = CodeFacts(repository="octo/shop", tag="v1.2", paths=None)
FORK = replace(PUSH, is_fork=True)
FIRING = AlertFacts(
    alerts=(
        AlertNews(name="DiskFull", status="firing", labels={"severity": "critical", "instance": "db1"}),
        AlertNews(name="Slow", status="resolved", labels={"severity": "warning"}),
    )
)
TICKET = TicketFacts(
    project="OPS",
    type="Change",
    labels=("deploy", "urgent"),
    fields={"priority": {"name": "High"}, "count": 3},
)
POLL = PollFacts(url="https://git.example/shop", branch="main", is_default=True, paths=("app/a.py",))


def listener(on: str, *, names_secrets: bool = False, inputs: str = "") -> Listener:
    """A workflow that listens."""
    text = f"name: shop\n{inputs}on:\n{textwrap.indent(textwrap.dedent(on).strip(), '  ')}\nsteps: [{{run: make}}]\n"
    return Listener(workflow=loader.load_workflow(text).workflow, names_secrets=names_secrets)


def event(kind: str, payload: Any = None, *, verified: Verified = SIGNED, delivery: str = "d1") -> Event:
    """An event."""
    return Event(
        source=kind.partition(".")[0],
        delivery=delivery,
        received_at=1,
        kind=kind,
        payload={} if payload is None else payload,
        verified=verified,
    )


def ask(on: str, facts: Facts, *, kind: str | None = None, payload: Any = None, **different: Any) -> Verdict:
    """What the one entry of a workflow says."""
    one = listener(
        on, names_secrets=different.pop("names_secrets", False), inputs=different.pop("inputs", "")
    )
    (trigger,) = triggers_of(one.workflow.on)
    kind = kind or trigger.kind
    verified = different.pop(
        "verified", Verified(way="signature", secrets=(f"{kind.partition('.')[0]}_webhook",))
    )
    (verdict,) = matching.ask(
        event(kind, payload, verified=verified, **different),
        Reading(kinds=(kind,), delivery="d1", facts=facts),
        one,
    )
    return verdict


FITS: list[tuple[str, Facts]] = [
    ("- github.push", PUSH),
    ("- github.push", TAG),
    ("- github.push: {branches: main}", PUSH),
    ("- github.push: {branches: [release/*, ma*]}", PUSH),
    ("- github.push: {branches: [main], tags: ['v*']}", TAG),
    ("- github.push: {repository: octo/*, paths: ['app/**']}", PUSH),
    ("- github.push: {paths: ['app/**']}", replace(PUSH, paths=None)),
    ("- github.push: {branches: [next]}", replace(PUSH, others=(replace(PUSH, branch="next"),))),
    ("- github.push: {forks: true}", FORK),
    ("- github.pull_request: {actions: [opened, closed]}", replace(PUSH, action="closed")),
    ("- git.poll: {url: 'https://git.example/shop'}", POLL),
    ("- git.poll: {url: 'https://git.example/shop', branches: [next]}", replace(POLL, branch="next", is_default=False)),
    ("- git.poll: {url: 'https://git.example/shop', tags: ['v*']}", replace(POLL, branch="", tag="v1")),
    ("- alertmanager", FIRING),
    ("- alertmanager: {labels: {severity: 'crit*'}, names: [Disk*]}", FIRING),
    ("- alertmanager: {status: resolved, names: [Slow]}", FIRING),
    ("- jira.created: {project: OPS, types: [Change, Bug], labels: [deploy]}", TICKET),
    ("- jira.created: {fields: {priority: High, count: '3'}}", TICKET),
    ("- slack.command: {command: /deploy, channels: ['#releases']}", CommandFacts(command="/deploy", channels=("C1", "releases"))),
    ("- jenkins.build: {job: 'shop/*'}", BuildFacts(job="shop/main", result="success")),
    ("- cloudevent: {type: 'disk.*', source: '/mon/*'}", CloudEventFacts(type="disk.full", source="/mon/1")),
    ("- webhook: {path: /go, unsafe_unverified: true}", WebhookFacts(path="/go")),
    ("- file: {path: 'in/*.csv', events: created}", FileFacts(path="in/a.csv", change="created", watch="in/*.csv")),
    ("- run: {workflow: build, status: [succeeded, failed]}", RunFacts(workflow="build", status="failed")),
]  # fmt: skip


@pytest.mark.parametrize(("on", "facts"), FITS, ids=lambda value: value if isinstance(value, str) else "")
def test_an_event_that_is_meant_is_wanted(on: str, facts: Facts) -> None:
    """Every filter that fits lets the event in."""
    verdict = ask(on, facts)

    assert verdict.because == ""
    assert verdict.wanted is not None


MISFITS: list[tuple[str, Facts, str]] = [
    ("- github.push: {branches: [main]}", TAG, "v1.2 is a tag, and branches are asked for"),
    ("- github.push: {tags: ['v*']}", PUSH, "main is a branch, and tags are asked for"),
    ("- github.push: {branches: [release/*]}", PUSH, "the branch is 'main', and release/* is asked for"),
    ("- github.push: {repository: other/*}", PUSH, "the repository is 'octo/shop', and other/* is asked for"),
    ("- github.push: {paths: ['*.py']}", PUSH, "none of the changed files (app/a.py, README.md) fits *.py"),
    ("- github.push: {paths: ['x']}", replace(PUSH, paths=()), "none of the changed files (nothing) fits x"),
    ("- github.push", FORK, "it comes from a fork, and the trigger does not say `forks: true`"),
    ("- github.push", replace(PUSH, action="deleted"), "what it is about was deleted"),
    ("- github.push: {branches: [main]}", CodeFacts(), "it is about no branch and no tag"),
    ("- github.pull_request: {actions: [opened]}", replace(PUSH, action="closed"), "the action is 'closed', and opened is asked for"),
    ("- git.poll: {url: 'https://git.example/shop'}", replace(POLL, branch="next", is_default=False), "next is not the default branch"),
    ("- git.poll: {url: 'https://git.example/other'}", POLL, "it is about https://git.example/shop"),
    ("- alertmanager: {status: resolved, names: [DiskFull]}", AlertFacts(alerts=FIRING.alerts[:1]), "DiskFull is firing, and resolved is asked for"),
    ("- alertmanager: {names: [Cpu*]}", FIRING, "the alert DiskFull does not fit Cpu*"),
    ("- alertmanager: {labels: {team: ops}}", FIRING, "DiskFull has no label `team`"),
    ("- alertmanager: {labels: {severity: low}}", FIRING, "the label `severity` is 'critical', and 'low' is asked for"),
    ("- alertmanager", AlertFacts(alerts=()), "it tells of no alert"),
    ("- jira.created: {labels: [deploy, safe]}", TICKET, "the ticket has no label safe"),
    ("- jira.created: {fields: {priority: Low}}", TICKET, "the field `priority` is 'High', and 'Low' is asked for"),
    ("- jira.created: {fields: {team: ops}}", TICKET, "the ticket has no field `team`"),
    ("- jira.created: {types: [Bug]}", TICKET, "the type is 'Change', and Bug is asked for"),
    ("- slack.command: {command: /deploy}", CommandFacts(command="/undo"), "it is the command /undo"),
    ("- slack.command: {command: /deploy, channels: [ops]}", CommandFacts(command="/deploy", channels=("C1", "x")), "it was typed in C1, x, and ops is asked for"),
    ("- jenkins.build", BuildFacts(job="a", result="failure"), "the result is failure, and success is asked for"),
    ("- jenkins.build", BuildFacts(job="a"), "the build has not ended"),
    ("- cloudevent: {subject: 'a*'}", CloudEventFacts(type="t", source="s"), "the subject is '', and a* is asked for"),
    ("- webhook: {path: /go, unsafe_unverified: true}", WebhookFacts(path="/stop"), "it came to /stop"),
    ("- file: {path: in}", FileFacts(path="in/a", change="deleted", watch="in"), "the file was deleted"),
    ("- run: {workflow: build}", RunFacts(workflow="test", status="succeeded"), "the workflow is 'test', and build is asked for"),
    ("- run: {workflow: build}", RunFacts(workflow="build", status="failed"), "the run ended failed, and succeeded is asked for"),
    ("- jenkins.build", None, "the event does not tell what the trigger asks"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("on", "facts", "because"), MISFITS, ids=lambda value: value if isinstance(value, str) else ""
)
def test_an_event_that_is_not_meant_is_refused_with_the_reason(on: str, facts: Facts, because: str) -> None:
    """The first filter that does not fit says so, in words that name both sides."""
    verdict = ask(on, facts)

    assert (verdict.wanted, verdict.because, verdict.is_failure) == (None, because, False)


def test_an_entry_listens_to_its_own_kind_only() -> None:
    """An entry of another kind says what it listens to."""
    assert ask("- manual", PUSH, kind="github.push").because == "it listens to `manual`"


PUSHED = {"ref": "refs/heads/main", "after": "abc", "forced": False, "commits": [{"id": "abc"}]}


@pytest.mark.parametrize(
    ("condition", "because", "is_failure"),
    [
        ('event.ref == "refs/heads/main"', "", False),
        ("event.forced", "`if` does not hold: event.forced", False),
        ("event.nothing == 1", "event has no `nothing`", True),
        ("event.after", "`event.after` is a text, and must be true or false", True),
    ],
)
def test_a_condition_reads_the_event(condition: str, because: str, is_failure: bool) -> None:
    """`if` lets an event in or not; one that cannot be told is a mistake of the author, and says so."""
    verdict = ask(f"- github.push: {{}}\n  if: {condition}", PUSH, payload=PUSHED)

    assert because in verdict.because
    assert (verdict.wanted is None, verdict.is_failure) == (bool(because), is_failure)


def test_inputs_come_from_the_event() -> None:
    """The mapping gives every input with the type that the event has."""
    verdict = ask(
        """
        - github.push: {}
          inputs: {version: "${{ event.after }}", note: "of ${{ event.ref }}", commits: "${{ event.commits }}"}
        """,
        PUSH,
        payload=PUSHED,
        inputs="inputs: {version: {}, note: {}, commits: {type: list}}\n",
    )

    assert verdict.wanted is not None
    assert verdict.wanted.inputs == {
        "version": "abc",
        "note": "of refs/heads/main",
        "commits": [{"id": "abc"}],
    }
    assert (verdict.wanted.event, verdict.wanted.started_by) == (PUSHED, "trigger:github.push")


def test_text_from_outside_is_never_evaluated() -> None:
    """What an event holds stays text, even where it looks like an expression, a pattern or a command."""
    evil = "${{ secrets.password }} $(reboot) {{ 1 + 1 }}"
    verdict = ask(
        '- github.push: {}\n  inputs: {version: "${{ event.after }}"}',
        PUSH,
        payload={"after": evil},
        inputs="inputs: {version: {}}\n",
    )

    assert verdict.wanted is not None
    assert verdict.wanted.inputs == {"version": evil}
    assert ask("- github.push: {branches: [main]}", replace(PUSH, branch="**")).wanted is None


def keys(on: str, *payloads: dict[str, str], delivery: str = "") -> list[str]:
    """The start keys that some events give."""
    found = []
    for number, payload in enumerate(payloads):
        verdict = ask(on, PUSH, payload=payload, delivery=delivery or f"d{number}")
        assert verdict.wanted is not None
        found.append(verdict.wanted.start_key)
    return found


def test_a_delivery_starts_a_workflow_once() -> None:
    """The start key follows from source and delivery: the same for the same delivery, whatever it holds."""
    first, second = keys("- github.push", {"after": "a"}, {"after": "b"})
    again, _ = keys("- github.push", {"after": "a"}, {"after": "b"}, delivery="d0")

    assert first == again != second
    assert first.startswith("event/shop/")


def test_dedupe_starts_one_run_for_each_value() -> None:
    """With `dedupe` the value decides, and not the delivery."""
    on = '- github.push: {}\n  dedupe: "${{ event.after }}"'
    first, same, other = keys(on, {"after": "a"}, {"after": "a"}, {"after": "b"})

    assert first == same != other
    assert first.startswith("dedupe/shop/")


def test_one_event_starts_a_workflow_once() -> None:
    """Of the entries that want it, the first gets it; the others say who has it."""
    one = listener("- github.push: {branches: [next]}\n- github.push\n- github.push: {branches: [main]}")
    found = list(
        matching.ask(event("github.push"), Reading(kinds=("github.push",), delivery="d", facts=PUSH), one)
    )

    assert [verdict.wanted is not None for verdict in found] == [False, True, False]
    assert found[2].because == "entry 2 has it already: one event starts a workflow once"


def test_debounce_is_told_with_what_is_wanted() -> None:
    """A run that has to wait until it is quiet says for how long."""
    assert ask("- github.push: {}\n  debounce: 30s", PUSH).debounce == 30_000_000


NOBODY = contract.NOBODY
TOKEN = Verified(way="token", secrets=("other",))


@pytest.mark.parametrize(
    ("on", "verified", "because"),
    [
        ("- github.push", SIGNED, ""),
        ("- github.push", contract.LOCAL, ""),
        (
            "- github.push",
            NOBODY,
            "nobody knows who sent it, and the trigger does not say `unsafe_unverified: true`",
        ),
        ("- github.push", TOKEN, "it was signed with another secret than `github_webhook`"),
        ("- github.push: {secret: other}", TOKEN, ""),
        ("- github.push: {secret: other}", SIGNED, "it was signed with another secret than `other`"),
        ("- github.push: {unsafe_unverified: true}", NOBODY, ""),
    ],
)
def test_an_event_has_to_be_verified_as_the_entry_says(on: str, verified: Verified, because: str) -> None:
    """Its own secret, the source's, or nobody's where that is spelt out."""
    assert because == ask(on, PUSH, verified=verified).because


@pytest.mark.parametrize(
    ("on", "facts", "verified", "names_secrets", "expected"),
    [
        ("- github.push: {forks: true}", FORK, SIGNED, False, (True, True)),
        ("- github.push: {forks: true}", FORK, SIGNED, True, (False, False)),
        ("- github.push: {unsafe_unverified: true}", PUSH, NOBODY, True, (False, False)),
        ("- github.push: {unsafe_unverified: true}", PUSH, NOBODY, False, (True, True)),
        ("- github.push", PUSH, SIGNED, True, (True, False)),
    ],
)
def test_an_event_from_a_stranger_comes_to_no_secret(
    on: str, facts: Facts, verified: Verified, names_secrets: bool, expected: tuple[bool, bool]
) -> None:
    """A fork, or nobody knows who, starts only workflows in which no secret is named."""
    verdict = ask(on, facts, verified=verified, names_secrets=names_secrets)
    wanted = verdict.wanted

    assert expected == (wanted is not None, wanted is not None and wanted.without_secrets)
    assert verdict.is_failure is (wanted is None)


def test_a_schedule_starts_its_own_workflow() -> None:
    """The event of a schedule is for the entry that it came from, and for no other one."""
    one = listener('- schedule: {cron: "0 3 * * *"}\n- schedule: {cron: "0 4 * * *"}')
    first, second = triggers_of(one.workflow.on)
    facts = ScheduleFacts(workflow="shop", schedule=schedule.identity_of(second))
    found = list(
        matching.ask(
            event("schedule", verified=contract.LOCAL),
            Reading(kinds=("schedule",), delivery="d", facts=facts),
            one,
        )
    )

    assert first.position == 0
    assert [verdict.because for verdict in found] == ["it is another schedule's", ""]


def test_a_project_answers_for_all_its_workflows() -> None:
    """Entries of other kinds are left out; a workflow that does not load is named; nobody at all is a reason too."""
    reading = Reading(kinds=("github.push",), delivery="d", facts=PUSH)
    broken = Broken(name="half", why="`steps` is missing")
    manual, pushed = listener("- manual"), listener("- manual\n- github.push")

    judged = matching.judge(event("github.push"), reading, [manual, pushed, broken])
    nobody = matching.judge(event("github.push"), reading, [manual])

    assert [(one.kind, one.is_failure) for one in judged.verdicts] == [("github.push", False), ("", True)]
    assert judged.verdicts[1].because == "the workflow does not load: `steps` is missing"
    assert (nobody.verdicts, nobody.note) == ((), "no workflow listens to github.push")
