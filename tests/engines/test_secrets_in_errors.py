"""What fails says why, and the reason holds no secret, whoever wrote the message."""

from __future__ import annotations

import pytest

from engines.engine_support import Home, embedded, failure
from towpath.store.contract import RunNumber

SECRET = "s3cret-value-0123"
STEPS = """
steps:
  - {id: a, uses: stage.act, with: {name: a}, env: {PW: "${{ secrets.db }}"}, retry: {attempts: 2, delay: 0s, jitter: false}}
"""


async def test_no_error_holds_a_secret(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    """An action that puts the secret into its error, as drivers do, leaves it neither in the journal nor in the lists."""
    monkeypatch.setenv("TOW_SECRET_DB", SECRET)
    home.write("one", STEPS)
    home.stage.answers(
        "a",
        failure(f"cannot connect as root:{SECRET}@db"),
        RuntimeError(f"driver: password {SECRET} is wrong"),
    )
    async with embedded(home) as bench:
        run = await bench.run("one")
        journal = repr(bench.events(RunNumber(1)))
        listed = repr(bench.app.reader.run("1"))

    assert (run.status, SECRET in journal, SECRET in listed) == ("failed", False, False)
    assert "cannot connect as root:***@db" in journal
    assert "driver: password *** is wrong" in journal
