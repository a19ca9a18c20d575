"""`towpath.rehearse`: hands on the plan that its run makes, and holds it to an earlier one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from action_support import FakeContext

from towpath.steps.builtin.rehearse import rehearse
from towpath.steps.contract import ActionFailed, Values

NOW = {
    "plan": "a\nnew\nc",
    "digest": "d2",
    "changes": 2,
    "unforeseen": 0,
    "failing": 0,
    "changes_nothing": False,
}
BEFORE = {**NOW, "plan": "a\nold\nc", "digest": "d1"}


class InARun(FakeContext):
    """A context whose run makes one plan."""

    async def rehearse_steps(self, names: tuple[str, ...]) -> Values:
        """The plan, for the steps that a workflow may have."""
        assert names in ((), ("change",))
        return NOW


@pytest.mark.parametrize("expect", [None, "d2", NOW], ids=["nothing", "digest", "outputs"])
async def test_a_plan_that_is_as_expected_is_handed_on(expect: Any, tmp_path: Path) -> None:
    """The plan is in the outputs and in the log."""
    context = InARun(workspace=tmp_path)
    found = await rehearse.perform({"steps": ["change"], "expect": expect}, context)

    assert found == NOW
    assert context.lines == [("info", NOW["plan"])]


@pytest.mark.parametrize(
    ("expect", "logged"),
    [("d1", NOW["plan"]), (BEFORE, "what has changed in the plan:\n@@ -1,3 +1,3 @@\n a\n-old\n+new\n c")],
    ids=["digest", "outputs"],
)
async def test_another_plan_is_a_conflict(expect: Any, logged: str, tmp_path: Path) -> None:
    """The failure hands on the new plan; the log shows what has changed, where the old plan is given."""
    context = InARun(workspace=tmp_path)
    with pytest.raises(ActionFailed, match="The plan has changed") as caught:
        await rehearse.perform({"expect": expect}, context)

    assert (caught.value.kind, caught.value.outputs) == ("conflict", NOW)
    assert context.lines == [("info", logged)]


async def test_outputs_without_a_digest_are_no_plan(tmp_path: Path) -> None:
    """Whatever else is given as the plan is refused before anything is rehearsed."""
    with pytest.raises(ActionFailed, match="holds no digest"):
        await rehearse.perform({"expect": {"image": "x"}}, InARun(workspace=tmp_path))


async def test_outside_of_a_run_there_is_nothing_to_rehearse(tmp_path: Path) -> None:
    """A context without a run says so."""
    with pytest.raises(ActionFailed, match="only inside a run"):
        await rehearse.perform({}, FakeContext(workspace=tmp_path))


async def test_its_own_rehearsal_rehearses_nothing(tmp_path: Path) -> None:
    """In a rehearsal of the whole run it only tells whose plan it would show."""
    told = await rehearse.rehearse({"steps": ["change"]}, FakeContext(workspace=tmp_path))

    assert (told.summary, told.changes, told.outputs) == ("shows the plan of change", (), None)
