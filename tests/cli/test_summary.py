"""Around the tree stands why a run waits, how it ended, and what to type next."""

from __future__ import annotations

import io

import pytest
from scripted_runs import RELEASE, Scripted

from towpath.cli import failures
from towpath.cli.views import summary, waits
from towpath.cli.views.lines import Screen
from towpath.observe.chronicle import Chronicle
from towpath.store.contract import RunNumber

SCREEN = Screen(stream=io.StringIO(), fixed_width=120)
TWELVE = RunNumber(12)
WAITING = """
name: waiting
steps:
  - id: all
    parallel:
      - {id: asked, approve: "Go?", who: [group:shop], answer_within: 10m, if_unanswered: reject}
      - {id: signalled, wait: {signal: go_on}}
      - {id: window, wait: {window: business_hours}}
      - {id: later, wait: 1h}
      - {id: flaky, run: "false", retry: {attempts: 2, delay: 30s, jitter: false}}
"""


def texts(found: tuple[object, ...]) -> list[str]:
    """Lines as text."""
    return [SCREEN.text(one) for one in found]  # type: ignore[arg-type]


def test_every_kind_of_wait() -> None:
    """Each wait says for what, since when, until when, and which command ends it; questions come first."""
    world = Scripted(WAITING).fails("all/flaky", "no route").after(10)
    chronicle = Chronicle(world.facts)

    found = waits.waits(world.run, chronicle)

    assert [(wait.path, wait.reason, wait.hint, wait.then) for wait in found] == [
        ("all/asked", "asks group:shop: Go?", "tow approve RUN", "then it counts as rejected"),
        ("all/later", "waits", "", ""),
        ("all/signalled", "waits for the signal go_on", "tow signal RUN go_on", ""),
        ("all/window", "waits for the window business_hours (change scheduled)", "", ""),
        ("all/flaky", "will be tried again: no route", "tow retry RUN --step all/flaky", ""),
    ]
    shown = texts(summary.waiting_lines(world.run, chronicle, TWELVE, SCREEN, now=world.now))
    assert shown[0].startswith("waits  all/asked asks group:shop: Go?  for 11s; until ")
    assert shown[1] == "       tow approve 12"


ENDINGS = {
    "succeeded": (lambda: Scripted(RELEASE).all_done(), 0, ["tow show 12", "tow logs 12", "tow rollback 12"]),
    "rolled back": (
        lambda: Scripted(RELEASE).done("test", "build", "go_live/switch").fails("go_live/smoke").fires("go_live/smoke")
        .fails("go_live/smoke").all_done(),
        5,
        ["tow logs 12 --step go_live/smoke", "tow retry 12", "tow show 12 --timeline"],
    ),
    "failed": (
        lambda: Scripted(RELEASE).fails("test").all_done(),
        1,
        ["tow logs 12 --step test", "tow retry 12", "tow show 12 --timeline"],
    ),
    "cancelled": (
        lambda: Scripted(RELEASE).cancelled().all_done(),
        6,
        ["tow logs 12", "tow retry 12", "tow show 12 --timeline"],
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", ENDINGS)
def test_endings(case: str) -> None:
    """Every end state has its exit code and the commands that make sense after it."""
    make, code, commands = ENDINGS[case]
    run = make().run

    assert run.has_ended
    assert (code, commands) == (
        failures.code_of_run(run),
        [hint.command for hint in summary.hints(run, TWELVE)],
    )


def test_an_error_is_told_with_its_step_and_the_end_of_its_log() -> None:
    """What failed stands under the tree: where, why, and what it printed last."""
    run = Scripted(RELEASE).fails("test", "exit code 3: first\nsecond").all_done().run

    assert texts(summary.ending_lines(run, SCREEN, tail=("last words",))) == [
        "error  test: exit code 3: first second",
        "  ┃ last words",
    ]


def test_a_long_name_never_hides_the_status() -> None:
    """In a narrow window the name is cut, not the status."""
    world = Scripted(RELEASE.replace("release_shop", "release_the_shop_with_a_very_long_name"))

    text = SCREEN.text(summary.headline(world.run, TWELVE, now=world.now, width=34))

    assert text == "release_the_sh… #12  running  0.0s"


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("a/b", "a/b"),
        ("fleet[web1]/x", "'fleet[web1]/x'"),
        ("~finally/x", "'~finally/x'"),
        ("f[a'b]", "'f[a'\\''b]'"),
    ],
)
def test_paths_are_words_for_the_shell(path: str, expected: str) -> None:
    """A hint can be pasted into a shell, whatever an item is called."""
    assert expected == waits.quoted(path)
