"""`tow versions`: what a workflow was, what changed, why it does not load, and what people decide about a version that is tried."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

Tow = Callable[..., Any]  # Any: what `conftest.Said` is
Write = Callable[[str, str], None]

ONE = "steps: [{id: say, run: echo one}]"
TWO = "release: {canary: {next: 3}, abort_when: failure_rate > 0.2}\nsteps: [{id: say, run: echo two}]"
BROKEN = "steps: [{id: say, run: echo three, retries: 3}]"


def test_versions_are_listed_with_their_runs_and_what_changed(tow: Tow, write: Write) -> None:
    """Starting a run by name notes the version; a newer one is tried, and its difference is shown."""
    write("greet", ONE)
    tow("run", "greet", "--plain")
    write("greet", TWO)
    ran = tow("run", "greet", "--plain")
    listed = tow("versions", "greet")
    as_json = [json.loads(line) for line in tow("versions", "greet", "--json").out.splitlines()]
    diff = tow("versions", "greet", "--diff")
    overview = tow("versions")

    assert "two" in ran.out
    assert "canary (some runs try it)" in listed.out
    assert "1 of 3 runs have started; 1 ended, 0 of them failed" in listed.out
    assert [(one["state"], one["runs"]) for one in as_json] == [("canary", 1), ("current", 1)]
    assert "-steps: [{id: say, run: echo one}]" in diff.out
    assert "+steps: [{id: say, run: echo two}]" in diff.out
    assert "greet  " in overview.out


def test_people_promote_a_version_and_send_one_back(tow: Tow, write: Write) -> None:
    """Sent back, no run takes it; promoted, all do; a second time it is refused."""
    write("greet", ONE)
    tow("run", "greet", "--plain")
    write("greet", TWO)
    tow("versions", "greet")
    sent_back = tow("versions", "abort", "greet", "--comment", "too soon")
    old = tow("run", "greet", "--plain")
    promoted = tow("versions", "promote", "greet")
    new = tow("run", "greet", "--plain")
    again = tow("versions", "promote", "greet")
    told = tow("versions", "greet")

    assert "no run takes it any more" in sent_back.out
    assert "one" in old.out
    assert "all runs take it now" in promoted.out
    assert "two" in new.out
    assert again.code != 0
    assert "no version of greet is being tried" in again.err
    assert "user:ada" in told.out


def test_a_file_that_does_not_load_is_told_and_named_it_runs(tow: Tow, write: Write) -> None:
    """The list says why the file does not load, with a caret; a file that is named is run as it is, and is no version."""
    write("greet", ONE)
    tow("run", "greet", "--plain")
    write("greet", BROKEN)
    told = tow("versions", "greet")
    write("greet", TWO)
    named = tow("run", "workflows/greet.yaml", "--plain")
    nobody = tow("versions", "nobody")
    wrong = tow("versions", "promote", "greet", "more")

    assert "^^^^^^^" in told.err
    assert "current (runs take it)" in told.out
    assert "two" in named.out
    assert nobody.code != 0
    assert "no version of 'nobody' is known" in nobody.err
    assert wrong.code != 0
