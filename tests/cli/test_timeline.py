"""What happened is told in order, in words, with who did it."""

from __future__ import annotations

from typing import get_args, get_type_hints

from scripted_runs import FLEET, RELEASE, Scripted

from towpath.cli.views import timeline
from towpath.core import events

ASKS = """
name: asks
steps:
  - id: go
    approve: Go live?
    who: [group:shop]
    four_eyes: false
  - id: deploy
    run: "true"
    on_failure: ask
  - {id: pause, wait: 10m}
  - {id: signal_wait, wait: {signal: go_on}}
"""


def told(world: Scripted) -> list[tuple[str, str, str]]:
    """The entries as (path, text, by)."""
    return [(entry.path, entry.text, entry.by) for entry in timeline.Teller().tell(world.facts)]


def test_a_failing_release() -> None:
    """A failure, its retry, the rollback and the last steps are told, each with how long it took."""
    world = Scripted(RELEASE).done("test", "build", "go_live/switch").fails("go_live/smoke", "exit code 1")
    world.fires("go_live/smoke").fails("go_live/smoke", "exit code 2").all_done()

    assert told(world) == [
        ("", "accepted", "user:ada"),
        ("test", "started", ""),
        ("test", "succeeded after 1.0s", ""),
        ("build", "started", ""),
        ("build", "succeeded after 1.0s", ""),
        ("go_live/switch", "started", ""),
        ("go_live/switch", "succeeded after 1.0s", ""),
        ("go_live/smoke", "started", ""),
        ("go_live/smoke", "failed: exit code 1; attempt 2 in 4.0s", ""),
        ("go_live/smoke", "attempt 2 started", ""),
        ("go_live/smoke", "failed after 6.0s: exit code 2", ""),
        ("go_live", "rolls back go_live/switch", ""),
        ("go_live/switch", "is being rolled back", ""),
        ("go_live/switch~rollback/switch_back", "started", ""),
        ("go_live/switch~rollback/switch_back", "succeeded after 1.0s", ""),
        ("go_live/switch", "rolled back after 1.0s", ""),
        ("go_live", "failed after 8.0s", ""),
        ("", "begins its last steps", ""),
        ("~finally/served", "started", ""),
        ("~finally/served", "succeeded after 1.0s", ""),
        ("", "ended: rolled_back after 11s", ""),
    ]


def test_people() -> None:
    """Questions say whom they ask; answers say who gave them and with which words."""
    world = Scripted(ASKS).after(5).answered("go", "approve", comment="fine\nby me").fails("deploy")
    world.answered("deploy", "retry", by="user:mary").done("deploy").fires("pause")

    assert [entry for entry in told(world) if entry[0] in ("go", "deploy") or entry[2]] == [
        ("", "accepted", "user:ada"),
        ("go", "asks group:shop: Go live?", ""),
        ("go", "answered: approve — fine", "user:grace"),
        ("go", "succeeded after 5.0s", ""),
        ("deploy", "started", ""),
        ("deploy", "failed after 1.0s: exit code 1", ""),
        ("deploy", "asks: deploy failed: exit code 1", ""),
        ("deploy", "answered: retry", "user:mary"),
        ("", "will run again: deploy", "user:mary"),
        ("deploy", "attempt 2 started", ""),
        ("deploy", "succeeded after 1.0s", ""),
    ]
    assert told(world)[-1] == ("signal_wait", "waits for the signal go_on", "")


def test_a_cancelled_run() -> None:
    """A stop names who asked for it and whether things are undone."""
    world = Scripted(RELEASE).done("test").cancelled(rollback=False).all_done()

    assert ("", "is being stopped: cancelled and is left as it is", "user:ada") in told(world)
    assert told(world)[-1][1].startswith("ended: cancelled")


def test_what_is_notable_in_a_crowd() -> None:
    """Of many items, failures and what people do are told; ordinary starts and ends are not."""
    world = Scripted(FLEET).done("fleet[web1]/install").fails("fleet[web1]/smoke", "no answer")

    notable = [entry.text for entry in timeline.Teller().tell(world.facts) if entry.path and entry.is_notable]

    assert notable == ["failed after 1.0s: no answer"]


def test_every_way_into_an_environment_has_its_words() -> None:
    """However a gate opens, the timeline can say so."""
    assert set(timeline.ENTERED) == set(get_args(get_type_hints(events.EnvironmentEntered)["how"]))
