"""What may be done with a run from its page: each act has a page that says what will happen, and a form there that does it.

Offered is only what makes sense now and what whoever looks may do. Both are asked once more when the form is sent, by the act itself.
"""

from __future__ import annotations

import functools
import json
import secrets
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Annotated, Final, Literal, TypeAlias

from fastapi import Form, Query
from starlette.concurrency import run_in_threadpool
from starlette.responses import HTMLResponse, Response

from towpath.core.run import Json, Node, Run
from towpath.engines import acting
from towpath.errors import AuthorError, NotFound, Refused, TowpathError
from towpath.observe import words
from towpath.server.api import acts, finding
from towpath.server.call import Asked, Call, Forbidden, target_of
from towpath.server.once import Once, once_for_form
from towpath.server.routing import SIGNED_IN, Routes
from towpath.server.web import pages
from towpath.store.contract import RunRow

ROUTES = Routes(is_page=True)
Key: TypeAlias = Literal[
    "cancel", "retry", "rerun", "rollback", "resume", "signal", "retry_step", "skip", "stop_step"
]
REASON_CHARS_MAX: Final = 1_000
SIGNALS_SHOWN_MAX: Final = 10
_CONFLICT: Final = 409


@dataclass(frozen=True, slots=True, kw_only=True)
class Act:
    """Something that may be done with a run, or with a step of one."""

    key: Key
    button: str
    permission: str
    title: str
    will: str
    """What happens then."""
    tone: Literal["", "primary", "danger"] = ""
    asks_reason: bool = False
    icon: str = ""


ACTS: Final[Mapping[str, Act]] = MappingProxyType(
    {
        act.key: act
        for act in (
            Act(
                key="resume",
                button="Take over",
                permission="run.retry",
                title="Take the run over",
                tone="primary",
                will="The process that drove this run is gone. This server goes on with it. Steps that had ended are not run again; a step "
                "that was running runs again where that is harmless or its check says that it is not done, else somebody is asked.",
                icon="start",
            ),
            Act(
                key="retry",
                button="Go on from the failure",
                permission="run.retry",
                title="Go on from where it failed",
                tone="primary",
                will="A new run starts with the same definition and the same inputs. What had ended well is taken over and not done "
                "again; the step that failed, and all that comes after it, runs.",
                icon="start",
            ),
            Act(
                key="rerun",
                button="Run again",
                permission="run.retry",
                title="Run it once more from the beginning",
                will="A new run starts from the beginning, with the same definition and the same inputs. Every step runs again.",
            ),
            Act(
                key="rollback",
                button="Undo",
                permission="run.rollback",
                title="Undo what it did",
                tone="danger",
                will="What the steps did is undone in reverse order, as far as they say how. An open run is stopped first.",
                asks_reason=True,
                icon="undone",
            ),
            Act(
                key="cancel",
                button="Cancel",
                permission="run.cancel",
                title="Stop the run",
                tone="danger",
                will="Its steps are ended and none of their processes is left.",
                asks_reason=True,
                icon="stopped",
            ),
            Act(
                key="signal",
                button="Send a signal",
                permission="run.signal",
                title="Send a signal",
                will="The signal is kept with the run until a step waits for it.",
            ),
            Act(
                key="retry_step",
                button="Try again now",
                permission="run.retry",
                title="Try the step again",
                tone="primary",
                will="The step runs once more, at once.",
            ),
            Act(
                key="skip",
                button="Pass over",
                permission="run.skip",
                title="Pass over the step",
                tone="danger",
                will="The run goes on without this step. It ends as partially succeeded at best.",
                asks_reason=True,
                icon="skipped",
            ),
            Act(
                key="stop_step",
                button="Stop this step",
                permission="run.cancel",
                title="Stop what the step is doing",
                tone="danger",
                will="What this step is doing is ended, and nothing else. It has failed as cancelled, and the run goes on as its "
                "file says.",
                asks_reason=True,
                icon="stopped",
            ),
        )
    }
)
NOTES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "started": "The run was started.",
        "existing": "This form had been sent before. This is the run that it started.",
        "cancel": "The run is being stopped.",
        "rollback": "What it did is being undone.",
        "resume": "This server goes on with the run.",
        "retry": "This run goes on from where the other one failed.",
        "rerun": "This run repeats the other one.",
        "signal": "The signal was sent.",
        "retry_step": "The step is tried again.",
        "skip": "The step was passed over.",
        "stop_step": "The step is being stopped.",
    }
)
"""What a run's page says after something was done, by the word in `?done=`."""


def acts_for(call: Call, row: RunRow, run: Run, *, is_stranded: bool) -> tuple[Act, ...]:
    """What may be done with a run now, by whoever looks."""
    if row.is_open:
        keys: tuple[Key, ...] = ("resume",) if is_stranded else ("signal", "rollback", "cancel")
    else:
        keys = ("retry", "rerun", "rollback")
    return tuple(ACTS[key] for key in keys if _makes_sense(key, row, run) and _may(call, row, ACTS[key]))


def acts_for_step(call: Call, row: RunRow, run: Run, node: Node) -> tuple[Act, ...]:
    """What may be done with one step now, by whoever looks."""
    if not row.is_open or run.has_ended:
        return ()
    keys: list[Key] = []
    choices = node.question.choices if node.question is not None and node.status == "asking" else ()
    if node.status == "retrying" or "retry" in choices:
        keys.append("retry_step")
    if node.status == "retrying" or "skip" in choices:
        keys.append("skip")
    if node.status == "performing" and not node.stopping:
        keys.append("stop_step")
    return tuple(ACTS[key] for key in keys if _may(call, row, ACTS[key]))


def _may(call: Call, row: RunRow, act: Act) -> bool:
    return call.may(act.permission, target_of(row))


def _makes_sense(key: Key, row: RunRow, run: Run) -> bool:
    match key:
        case "retry" | "rerun" | "rollback" if not row.is_open:
            return not (key == "retry" and run.mode == "rollback") and _has_something_to_do(key, row, run)
        case "rollback":
            return run.undo is not None and not run.stops
        case "cancel":
            return "" not in run.stops
        case "signal":
            return bool(_awaited_signals(run))
        case _:
            return True


def _has_something_to_do(key: Literal["retry", "rerun", "rollback"], row: RunRow, run: Run) -> bool:
    try:
        acting.check_going_on(run, row, key)
    except Refused:
        return False
    return True


def _awaited_signals(run: Run) -> tuple[str, ...]:
    nodes = (run.nodes[path] for path in run.leaves)
    found = (
        node.awaited.name for node in nodes if node.awaited is not None and node.awaited.kind == "signal"
    )
    return tuple(dict.fromkeys(found))[:SIGNALS_SHOWN_MAX]


# --- the page that asks once more ------------------------------------------------------------------------


@ROUTES.get("/runs/{run}/do/{act}", permission="run.view")
def ask(
    call: Asked, run: str, act: str, step: Annotated[str, Query(max_length=2_000)] = "", name: str = ""
) -> HTMLResponse:
    """What will happen, and a form that has it happen. Opening this does nothing."""
    return _page(call, run, act, step=step, typed={"name": name})


def _page(
    call: Call,
    run: str,
    act: str,
    *,
    step: str,
    typed: Mapping[str, str],
    refused: TowpathError | None = None,
    status: int = 200,
) -> HTMLResponse:
    chosen = _known(act)
    row = finding.find_run(call, run)
    call.allow(chosen.permission, target_of(row))
    state = finding.state_of(call, row)
    return pages.page(
        call,
        "act.html",
        title=f"{chosen.title}: {row.workflow} #{row.number}",
        section="runs",
        status=status,
        act=chosen,
        row=row,
        run=state,
        step=step,
        typed={"reason": "", "keep": "", "name": "", "payload": "", **typed},
        refused=refused,
        signals=_awaited_signals(state),
        key=_key(),
        effects=_effects(chosen, row, state),
    )


def _known(act: str) -> Act:
    found = ACTS.get(act)
    if found is None:
        raise NotFound("there is no such act", help="a run's page shows what may be done with it")
    return found


def _key() -> str:
    return secrets.token_urlsafe(18)


def _effects(act: Act, row: RunRow, run: Run) -> tuple[str, ...]:
    """What of this run will be concerned."""
    if act.key in ("cancel", "rollback") and row.is_open:
        busy = [node.path for node in run.open_leaves() if node.status == "performing"]
        told = [f"{words.counted(len(busy), 'step')} at work: {', '.join(busy[:10])}"] if busy else []
        return (*told, *_undone_by(run))
    if act.key == "rollback":
        return _undone_by(run)
    return ()


def _undone_by(run: Run) -> tuple[str, ...]:
    names: list[str] = []
    entry = run.undo
    while entry is not None and len(names) < 20:  # noqa: PLR2004 - as many as one reads
        node = run.nodes[entry.path]
        if node.started and not node.undone:
            names.append(entry.path)
        entry = entry.older
    return (f"can be undone, the last one first: {', '.join(names)}",) if names else ()


# --- doing it ----------------------------------------------------------------------------------------------


@ROUTES.post("/runs/{run}/do/{act}", permission=SIGNED_IN)
async def do(  # noqa: PLR0913, PLR0917 - the fields of the form
    call: Asked,
    run: str,
    act: str,
    step: Annotated[str, Form(max_length=2_000)] = "",
    reason: Annotated[str, Form(max_length=REASON_CHARS_MAX)] = "",
    keep: Annotated[str, Form()] = "",
    name: Annotated[str, Form(max_length=200)] = "",
    payload: Annotated[str, Form(max_length=200_000)] = "",
    key: Annotated[str, Form(max_length=100)] = "",
) -> Response:
    """Does it, and goes back to the run, or to the new one."""
    chosen = _known(act)
    once = once_for_form(call, key)
    try:
        said = _Said(
            step=step or None, reason=reason.strip(), keep=bool(keep), name=name.strip(), payload=payload
        )
        acted = await _DOES[chosen.key](call, run, said, once)
    except Forbidden:
        raise
    except (Refused, AuthorError, NotFound) as error:
        typed = {"reason": reason, "keep": keep, "name": name, "payload": payload}
        again = functools.partial(_page, step=step, typed=typed, refused=error, status=_CONFLICT)
        return await run_in_threadpool(again, call, run, act)
    return pages.see_other(f"/runs/{acted.run.number}", done=chosen.key)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Said:
    """What the form says."""

    step: str | None
    reason: str
    keep: bool
    """Leave what was done as it is."""
    name: str
    payload: str


_Does: TypeAlias = Callable[[Call, str, _Said, Once | None], Awaitable[acts.Acted]]


def _retry(call: Call, run: str, said: _Said, once: Once | None) -> Awaitable[acts.Acted]:
    return acts.retry_run(call, run, acts.OneStep(step=said.step), once)


_DOES: Final[Mapping[Key, _Does]] = {
    "cancel": lambda call, run, said, once: acts.cancel_run(
        call, run, acts.Cancel(rollback=not said.keep, reason=said.reason), once
    ),
    "retry": _retry,
    "retry_step": _retry,
    "rerun": lambda call, run, _, once: acts.rerun_run(call, run, once),
    "rollback": lambda call, run, said, once: acts.roll_back_run(
        call, run, acts.Reason(reason=said.reason), once
    ),
    "resume": lambda call, run, *_: acts.resume_run(call, run),
    "signal": lambda call, run, said, once: acts.signal_run(
        call, run, _signal(said.name, said.payload), once
    ),
    "skip": lambda call, run, said, once: acts.skip_step(
        call, run, acts.Skip(step=said.step, reason=said.reason), once
    ),
    "stop_step": lambda call, run, said, once: acts.stop_step(
        call, run, acts.StopStep(step=_named(said.step), reason=said.reason), once
    ),
}
"""Each act, as the API does it."""


def _named(step: str | None) -> str:
    if not step:
        raise AuthorError("no step is named", help="a step's own place on the run's page has the button")
    return step


def _signal(name: str, payload: str) -> acts.Signal:
    if not name:
        raise AuthorError(
            "the signal needs a name", help="a `wait: {signal: …}` step names the one it waits for"
        )
    try:
        value: Json = json.loads(payload) if payload.strip() else None
    except (ValueError, RecursionError):
        raise AuthorError(
            "what goes along with the signal is not JSON", help='write for example {"version": 3}'
        ) from None
    return acts.Signal(name=name, payload=value)
