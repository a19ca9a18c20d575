"""A run goes on with the text it started with, whatever became of its file."""

from __future__ import annotations

import pytest

from engines.engine_support import Home, dying, embedded, until
from towpath.store.contract import RunNumber

ONE = RunNumber(1)
TEXT = """
steps:
  - {id: q, approve: "Go?", who: ["group:team"]}
  - {id: a, uses: stage.act, with: {name: WORD}}
"""


@pytest.mark.parametrize("after", ["changed", "broken", "gone"])
async def test_a_run_goes_on_with_the_text_it_started_with(after: str, home: Home) -> None:
    """A file that was changed, broken or removed after the start changes nothing for a run that another process takes over."""
    home.write("one", TEXT.replace("WORD", "old"))
    async with dying(home) as bench:
        await bench.start("one")
    if after == "changed":
        home.write("one", TEXT.replace("WORD", "new"))
    elif after == "broken":
        home.write("one", "steps: [{id: a, no: 1}]")
    else:
        (home.folder / "workflows" / "one.yaml").unlink()
    async with embedded(home) as bench:
        await bench.engine.resume(ONE)
        await until(lambda: bench.state(ONE).nodes["q"].status == "asking")
        await bench.answer(ONE, "q", "approve")
        run = await bench.to_end(ONE)

    assert (run.status, home.stage.performed) == ("succeeded", ["old"])
