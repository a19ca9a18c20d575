"""The action contract: what an action says of itself, what it is given, and what it answers."""

from __future__ import annotations

import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import pytest
from action_support import FakeContext

from towpath.errors import AuthorError
from towpath.steps import Action, ActionFailed, Change, Rehearsal, StepContext, action
from towpath.steps.builtin.log import log
from towpath.steps.shapes import Range


@dataclass(frozen=True, slots=True, kw_only=True)
class Doubled:
    """What `double` answers."""

    value: Annotated[int, "Twice as much"]


@action("demo.double", idempotent=True, effects="none", secrets=("number",))
async def double(number: Annotated[int, "How much", Range(0)], *, times: int = 1) -> Doubled:
    """Doubles a number. More is said here."""
    return Doubled(value=number * 2**times)


@double.rehearsal
async def rehearse_double(number: int, *, times: int = 1) -> Rehearsal:
    """Tells the result."""
    return Rehearsal(
        summary=f"doubles {number} {times} times", changes=(Change(verb="run", target="double"),)
    )


@action
async def plain(text: str, context: StepContext) -> str:
    """Answers with a text."""
    context.log(text)
    return text


def test_an_action_carries_its_card() -> None:
    """Name, summary, inputs, outputs and promises are read from the function."""
    card = double.card

    assert isinstance(double, Action)
    assert (card.name, card.summary) == ("demo.double", "Doubles a number.")
    assert {name: (one.required, one.secret_allowed) for name, one in card.inputs.items()} == {
        "number": (True, True),
        "times": (False, False),
    }
    assert card.inputs["number"].schema == {"type": "integer", "minimum": 0, "description": "How much"}
    assert card.inputs["times"].schema == {"type": "integer", "default": 1}
    assert card.outputs is not None
    assert dict(card.outputs) == {"value": {"type": "integer", "description": "Twice as much"}}
    assert (card.idempotent, card.can_rehearse, card.effects) == (True, True, "none")


def test_an_action_without_a_name_is_called_after_its_module() -> None:
    """`@action` alone is enough."""
    assert (plain.card.name, plain.card.outputs) == ("test_action_contract.plain", None)


async def test_an_action_is_performed_with_plain_json(tmp_path: Path) -> None:
    """Values come in as JSON and outputs go out as JSON; an answer that is no mapping is called `result`."""
    context = FakeContext(workspace=tmp_path)

    assert await double.perform({"number": 3, "times": 2}, context) == {"value": 12}
    assert await plain.perform({"text": "a"}, context) == {"result": "a"}
    assert context.lines == [("info", "a")]


async def test_an_action_is_still_its_function() -> None:
    """A test of an action may call it directly."""
    assert Doubled(value=4) == await double(number=2)


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({}, "`number` is required"),
        ({"number": "3"}, "`number` must be an integer, not text"),
        ({"number": True}, "`number` must be an integer, not a boolean"),
        ({"number": 1.5}, "`number` must be an integer, not a number"),
        ({"number": -1}, "`number` must be at least 0"),
        ({"number": 1, "tims": 2}, "`tims` is not known; did you mean `times`?"),
        (
            {"number": None, "times": []},
            "`number` must be an integer, not null; `times` must be an integer, not a list",
        ),
    ],
)
async def test_wrong_inputs_are_told_all_at_once(values: dict[str, Any], told: str, tmp_path: Path) -> None:
    """Every problem is in one failure of the kind `invalid`, performing and rehearsing alike."""
    for act in (double.perform, double.rehearse):
        with pytest.raises(ActionFailed) as caught:
            await act(values, FakeContext(workspace=tmp_path))

        assert caught.value.kind == "invalid"
        assert told in caught.value.message


async def test_a_secret_is_not_in_the_message_about_a_wrong_input(tmp_path: Path) -> None:
    """A message names the kind of a value, never the value."""
    with pytest.raises(ActionFailed) as caught:
        await double.perform({"number": "hunter2"}, FakeContext(workspace=tmp_path))

    assert "hunter2" not in caught.value.message


async def test_an_action_without_a_rehearsal_says_so(tmp_path: Path) -> None:
    """Nothing is claimed to be known, and nothing is done."""
    context = FakeContext(workspace=tmp_path)
    told = await plain.rehearse({"text": "a"}, context)

    assert (told.known, context.lines) == (False, [])


async def test_an_action_that_only_looks_is_rehearsed_by_looking(tmp_path: Path) -> None:
    """What changes nothing may be done; its failure is that of the rehearsal: it would fail as things are now."""

    @action("demo.look", effects="none")
    async def look(number: int) -> Doubled:
        """Looks."""
        if number < 0:
            raise ActionFailed("nothing there", kind="invalid")
        return Doubled(value=number)

    context = FakeContext(workspace=tmp_path)
    found = await look.rehearse({"number": 1}, context)

    assert look.card.can_rehearse
    assert (found.known, found.changes, found.outputs) == (True, (), {"value": 1})
    with pytest.raises(ActionFailed, match="nothing there"):
        await look.rehearse({"number": -1}, context)


async def test_a_rehearsal_is_asked_with_the_same_inputs(tmp_path: Path) -> None:
    """The rehearsal function takes what the action takes."""
    told = await double.rehearse({"number": 3}, FakeContext(workspace=tmp_path))

    assert told.summary == "doubles 3 1 times"


def test_an_instant_action_is_performed_at_once(tmp_path: Path) -> None:
    """`log` needs no task, and costs far less than the 20 µs that a hot path has for it."""
    context = FakeContext(workspace=tmp_path)
    started = time.perf_counter()
    for _ in range(1000):
        log.perform_now({"message": "hello"}, context)
    micros = (time.perf_counter() - started) * 1000

    assert log.instant
    assert context.lines[:1] == [("info", "hello")]
    assert micros < 200, "ten times the budget: this machine is shared"


@pytest.mark.parametrize(
    ("values", "lines"),
    [
        ({"message": "a"}, [("info", "a")]),
        ({"message": "a", "level": "error"}, [("error", "a")]),
        ({"message": 5}, [("info", "5")]),
        ({"message": None}, [("info", "null")]),
        ({"message": {"ä": [1, True]}}, [("info", '{"ä": [1, true]}')]),
        ({"message": "x" * 100_000}, [("info", "x" * 65_536)]),
    ],
)
async def test_log_writes_anything(
    values: dict[str, Any], lines: list[tuple[str, str]], tmp_path: Path
) -> None:
    """Whatever an expression gives can be logged; a rehearsal logs nothing."""
    rehearsing, performing = FakeContext(workspace=tmp_path), FakeContext(workspace=tmp_path)
    await log.rehearse(values, rehearsing)
    outputs = await log.perform(values, performing)

    assert rehearsing.lines == []
    assert lines == performing.lines
    assert {"message": lines[0][1]} == outputs


async def test_a_plain_function_that_is_not_instant_is_refused(tmp_path: Path) -> None:
    """It would stop everything else while it works."""

    @action("demo.slow")
    def slow() -> None:
        """Blocks."""

    with pytest.raises(AuthorError, match="block"):
        await slow.perform({}, FakeContext(workspace=tmp_path))


def test_an_action_cannot_be_async_and_instant() -> None:
    """The two contradict each other."""

    async def wait() -> None: ...

    with pytest.raises(AuthorError, match="instant"):
        action("demo.wait", instant=True)(wait)


def test_secrets_must_be_inputs() -> None:
    """A declaration that names a missing input protects nothing and is refused."""

    @action("demo.odd", secrets=("pasword",))
    async def odd(password: str) -> None: ...

    with pytest.raises(AuthorError, match="pasword"):
        _ = odd.card


def test_an_unreadable_annotation_names_itself() -> None:
    """A type that is imported for the checker only cannot be read at run time."""

    @action("demo.hidden")
    async def hidden(a: Missing) -> None: ...  # noqa: F821

    with pytest.raises(AuthorError, match="Missing"):
        _ = hidden.card


@pytest.mark.parametrize("told", [lambda inputs: inputs["number"] > 1, False, True])
def test_idempotence_may_depend_on_the_inputs(told: Any) -> None:
    """A function of the typed inputs decides; wrong inputs count as not idempotent when it is asked."""

    @action("demo.once", idempotent=told)
    async def once(number: int) -> None: ...

    found = [once.idempotent_with({"number": number}) for number in (1, 2)]

    assert ([told, told] if isinstance(told, bool) else [False, True]) == found
    assert once.card.idempotent is (told is True)


@pytest.mark.parametrize("answer", [{1: 2}, float("nan"), object(), b"bytes", {"a": [object()]}])
async def test_an_answer_without_json_fails(answer: Any, tmp_path: Path) -> None:
    """What cannot be kept in the journal is the author's mistake, told as such."""

    @action("demo.odd")
    async def odd() -> Any:
        return answer

    with pytest.raises(ActionFailed) as caught:
        await odd.perform({}, FakeContext(workspace=tmp_path))

    assert caught.value.kind == "invalid"


def test_the_contract_loads_nothing_dear(tmp_path: Path) -> None:
    """Names, membership, `log` and the cards of a project's own actions load no library and no event loop."""
    (tmp_path / "actions").mkdir()
    (tmp_path / "actions" / "a.py").write_text("def b(c: int) -> None: ...\n")
    code = (
        "import pathlib, sys\n"
        "from towpath.steps.catalogue import Catalogue\n"
        "assert 'http.request' in Catalogue.load().cards()\n"
        "Catalogue.load().get('log').card\n"
        f"Catalogue.load(pathlib.Path({str(tmp_path)!r})).card('a.b')\n"
        "dear = {'pydantic', 'httpx2', 'asyncio', 'msgspec', 'ssl'}\n"
        "print(sorted(dear & set(sys.modules)))\n"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert told.stdout.strip() == "[]"
