"""What the contexts of GitHub (`github`, `env`, `matrix`, `steps`, `needs`, …) are in a workflow of ours.

What GitHub knows of the event that started a run (`github.ref`, `github.sha`, `github.event_name`, …) becomes an
input: every trigger fills it from its event, and whoever starts a run by hand can say it. So a condition reads the
same value however the run was started, and `tow lint` knows that it is there.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from towpath.definition.importing import naming
from towpath.definition.importing.github import cel
from towpath.definition.importing.github.cel import CannotTranslate, Kind, Term
from towpath.definition.importing.report import Notes

_TEXT_INPUTS: Final[Mapping[str, tuple[str, Mapping[str, str]]]] = {
    "event_name": ("workflow_dispatch", {}),
    "ref": (
        "refs/heads/main",
        {
            "push": "${{ event.ref }}",
            "pull_request": "refs/pull/${{ event.number }}/merge",
            "release": "refs/tags/${{ event.release.tag_name }}",
        },
    ),
    "ref_name": (
        "main",
        {
            "push": '${{ replace(replace(event.ref, "refs/heads/", ""), "refs/tags/", "") }}',
            "pull_request": "${{ event.number }}/merge",
            "release": "${{ event.release.tag_name }}",
        },
    ),
    "ref_type": (
        "branch",
        {
            "push": '${{ event.ref.startsWith("refs/tags/") ? "tag" : "branch" }}',
            "release": "tag",
        },
    ),
    "sha": (
        "HEAD",
        {
            "push": "${{ event.after }}",
            "pull_request": "${{ event.pull_request.head.sha }}",
            "release": "${{ event.release.target_commitish }}",
            "workflow_run": "${{ event.workflow_run.head_sha }}",
        },
    ),
    "head_ref": ("", {"pull_request": "${{ event.pull_request.head.ref }}"}),
    "base_ref": ("", {"pull_request": "${{ event.pull_request.base.ref }}"}),
    "actor": ("", {"*": "${{ event.sender.login }}"}),
    "repository": ("", {"*": "${{ event.repository.full_name }}"}),
    "repository_owner": ("", {"*": "${{ event.repository.owner.login }}"}),
}
"""Parts of `github` that become inputs: what a start by hand says, and what each kind of event says."""
_ALIASES: Final = {"triggering_actor": "actor"}
_FIXED: Final = {
    "server_url": "https://github.com",
    "api_url": "https://api.github.com",
    "graphql_url": "https://api.github.com/graphql",
    "retention_days": "90",
}
RUNNER: Final = {"os": "Linux", "arch": "X64", "temp": "/tmp", "debug": ""}  # noqa: S108 - what GitHub's own is here


@dataclass(slots=True, kw_only=True)
class StepSeen:
    """A step that has been translated already, as others see it."""

    new_id: str
    """Empty where the step was left out."""
    outputs: dict[str, str] = field(default_factory=dict)
    """Names that others read, and what they are called here; filled while others are translated."""
    sure: set[str] = field(default_factory=set)
    """Outputs that its script is seen to write."""
    is_conditional: bool = False
    has_outputs: bool = True
    """Whether it can have any."""


@dataclass(slots=True, kw_only=True)
class JobSeen:
    """A job as others see it."""

    new_id: str
    outputs: dict[str, Term | str] = field(default_factory=dict)
    """What it hands on; a text says why that is not possible."""


@dataclass(slots=True, kw_only=True)
class Shared:
    """What all jobs of a workflow have in common while it is translated."""

    notes: Notes
    ids: naming.Ids
    inputs: dict[str, Mapping[str, Any]] = field(default_factory=dict)  # Any: JSON
    """The inputs that the workflow declares itself, by our names."""
    events: dict[str, str] = field(default_factory=dict)
    """Inputs that stand for parts of the event: our name, and the part of `github`."""
    vars: dict[str, int] = field(default_factory=dict)
    """Configuration variables, and where they are first read."""
    secrets: dict[str, int] = field(default_factory=dict)
    jobs: dict[str, JobSeen] = field(default_factory=dict)
    gates: dict[str, str] = field(default_factory=dict)
    """Inputs that stand for conditions that could not be translated, with their titles."""

    def input_kind(self, name: str) -> Kind:
        """The type of a declared input."""
        kinds: Mapping[str, Kind] = {"boolean": "bool", "number": "number", "integer": "number"}
        return kinds.get(str(self.inputs[name].get("type")), "text")


@dataclass(slots=True, kw_only=True)
class Scope:
    """The names at one place; `Names` for the translator."""

    shared: Shared
    line: int
    job: str = ""
    env: dict[str, Term | str] = field(default_factory=dict)
    """Environment variables that the workflow sets; a text says why the value cannot be read."""
    matrix: Mapping[str, Kind] | None = None
    """The names of the matrix, by GitHub's names; None outside one, and `*` where they are not known."""
    steps: Mapping[str, StepSeen] = field(default_factory=dict)
    needs: tuple[str, ...] = ()

    def changed(self, message: str) -> None:
        """Notes that something means something slightly different."""
        self.shared.notes.changed(self.line, message)

    def results_of(self, words: tuple[str, ...]) -> tuple[Term, ...] | None:
        """What `needs.*.result` stands for."""
        if words != ("needs", "*", "result"):
            return None
        return tuple(self._result(name) for name in self.needs)

    def read(self, words: tuple[str, ...]) -> Term:
        """The value at a path; raises CannotTranslate."""
        own = getattr(self, f"_read_{words[0]}", None)
        if own is None:
            raise CannotTranslate(f"there is nothing like `{words[0]}`")
        if "*" in words:
            raise CannotTranslate(f"`{'.'.join(words)}` stands for many values")
        term: Term = own(words[1:])
        return term

    # --- contexts, by name ---

    def _read_github(self, rest: tuple[str, ...]) -> Term:  # noqa: C901, PLR0911 - a table
        if not rest:
            raise CannotTranslate("`github` as a whole is not there")
        word = _ALIASES.get(rest[0], rest[0])
        if word == "event":
            return self._event(rest[1:])
        if word in _FIXED:
            return cel.constant(_FIXED[word])
        if word in _TEXT_INPUTS:
            name = f"github_{word}"
            if name in self.shared.inputs:
                raise CannotTranslate(f"the workflow has an input `{name}` of its own")
            self.shared.events.setdefault(name, word)
            return Term(cel=f"inputs.{name}", kind="text")
        match word:
            case "workflow":
                return Term(cel="run.workflow", kind="text")
            case "run_id" | "run_number":
                if word == "run_number":
                    self.changed("github.run_number is the run's id")
                return Term(cel="run.id", kind="text")
            case "run_attempt":
                self.changed("github.run_attempt is always 1: a retried run is a new one")
                return cel.constant("1")
            case "job":
                return cel.constant(self.job)
            case "token":
                return self._read_secrets(("GITHUB_TOKEN",))
            case _:
                raise CannotTranslate(f"`github.{word}` is not known here")

    def _event(self, rest: tuple[str, ...]) -> Term:
        if rest[:1] == ("inputs",) and len(rest) == 2:  # noqa: PLR2004 - the name of one input
            return self._read_inputs(rest[1:])
        if not all(re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", word) for word in rest):
            path = "event" + "".join(f"[{cel.quoted(word)}]" for word in rest)
        else:
            path = ".".join(("event", *rest))
        return Term(cel=path, kind="any", may_lack=bool(rest))

    def _read_inputs(self, rest: tuple[str, ...]) -> Term:
        if len(rest) != 1:
            raise CannotTranslate("an input is named: inputs.version")
        name = naming.slug(rest[0], otherwise="input")
        if name not in self.shared.inputs:
            raise CannotTranslate(f"the workflow has no input `{rest[0]}`")
        return Term(cel=f"inputs.{name}", kind=self.shared.input_kind(name))

    def _read_env(self, rest: tuple[str, ...]) -> Term:
        if len(rest) != 1:
            raise CannotTranslate("an environment variable is named: env.VERSION")
        found = self.env.get(rest[0])
        if found is None:
            raise CannotTranslate(f"nothing in this file sets `env.{rest[0]}`")
        if isinstance(found, str):
            raise CannotTranslate(found)
        return found

    def _read_vars(self, rest: tuple[str, ...]) -> Term:
        if len(rest) != 1:
            raise CannotTranslate("a variable is named: vars.REGION")
        name = naming.slug(rest[0], otherwise="var")
        self.shared.vars.setdefault(name, self.line)
        return Term(cel=f"vars.{name}", kind="text")

    def _read_secrets(self, rest: tuple[str, ...]) -> Term:
        if len(rest) != 1:
            raise CannotTranslate("a secret is named: secrets.TOKEN")
        name = naming.slug(rest[0], otherwise="secret")
        self.shared.secrets.setdefault(name, self.line)
        return Term(cel=f"secrets.{name}", kind="secret")

    def _read_matrix(self, rest: tuple[str, ...]) -> Term:
        if self.matrix is None:
            raise CannotTranslate("there is no matrix here")
        if not rest:
            return Term(cel="matrix", kind="any")
        known = self.matrix.get(rest[0])
        if known is None and "*" not in self.matrix:
            return cel.constant("")
        words = [naming.slug(rest[0], otherwise="value"), *rest[1:]]
        if not all(re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", word) for word in words):
            raise CannotTranslate(f"`matrix.{'.'.join(rest)}` cannot be written as a name")
        is_sure = known is not None and len(rest) == 1
        return Term(
            cel=".".join(("matrix", *words)), kind=known if known and is_sure else "any", may_lack=not is_sure
        )

    def _read_strategy(self, rest: tuple[str, ...]) -> Term:
        if rest == ("job-index",) and self.matrix is not None:
            return Term(cel="index", kind="number")
        raise CannotTranslate(f"`strategy.{'.'.join(rest)}` is not known here")

    def _read_runner(self, rest: tuple[str, ...]) -> Term:
        if len(rest) == 1 and rest[0] in RUNNER:
            return cel.constant(RUNNER[rest[0]])
        raise CannotTranslate(f"`runner.{'.'.join(rest)}` is not known here")

    def _read_job(self, rest: tuple[str, ...]) -> Term:
        if rest == ("status",):
            self.changed("job.status is the state of the whole run so far")
            return Term(cel="run.status", kind="status")
        raise CannotTranslate(f"`job.{'.'.join(rest)}` is not known here")

    def _read_steps(self, rest: tuple[str, ...]) -> Term:
        if len(rest) < 2:  # noqa: PLR2004 - a step and what of it
            raise CannotTranslate("a step's output or outcome is named")
        seen = self.steps.get(rest[0])
        if seen is None:
            raise CannotTranslate(f"no earlier step of this job has the id `{rest[0]}`")
        match rest[1:]:
            case ("outcome" | "conclusion",):
                return Term(cel=f"steps.{seen.new_id}.status", kind="status") if seen.new_id else _ended()
            case ("outputs", name):
                return self._output(seen, name)
            case _:
                raise CannotTranslate(f"`steps.{'.'.join(rest)}` is not known here")

    def _output(self, seen: StepSeen, name: str) -> Term:
        if not seen.new_id or not seen.has_outputs:
            tell = self.shared.notes.cannot if seen.new_id else self.shared.notes.changed
            tell(self.line, f"the output `{name}` is always empty: what wrote it is not there any more")
            return cel.constant("")
        new = seen.outputs.setdefault(name, naming.slug(name, otherwise="output"))
        return Term(
            cel=f"steps.{seen.new_id}.outputs.{new}",
            kind="text",
            may_lack=seen.is_conditional or name not in seen.sure,
        )

    def _read_needs(self, rest: tuple[str, ...]) -> Term:
        if len(rest) < 2:  # noqa: PLR2004 - a job and what of it
            raise CannotTranslate("a job's output or result is named")
        if rest[0] not in self.shared.jobs:
            raise CannotTranslate(f"there is no earlier job `{rest[0]}`")
        if self.job and rest[0] not in self.needs:
            raise CannotTranslate(f"the job does not need `{rest[0]}`, so GitHub reads nothing there")
        match rest[1:]:
            case ("result",):
                return self._result(rest[0])
            case ("outputs", name):
                found = self.shared.jobs[rest[0]].outputs.get(name)
                if found is None:
                    return cel.constant("")
                if isinstance(found, str):
                    raise CannotTranslate(found)
                return found
            case _:
                raise CannotTranslate(f"`needs.{'.'.join(rest)}` is not known here")

    _read_jobs = _read_needs  # what `workflow_call` hands back reads jobs by that name

    def _result(self, job: str) -> Term:
        seen = self.shared.jobs.get(job)
        if seen is None:
            raise CannotTranslate(f"there is no earlier job `{job}`")
        return Term(cel=f"steps.{seen.new_id}.status", kind="status")


def _ended() -> Term:
    """The outcome of a step that was left out: nothing went wrong."""
    return Term(cel='"succeeded"', kind="status")


def event_inputs(events: Mapping[str, str], default_branch: str) -> dict[str, dict[str, object]]:
    """The declarations of the inputs that stand for parts of `github`."""
    declared: dict[str, dict[str, object]] = {}
    for name, word in events.items():
        default = _TEXT_INPUTS[word][0].replace("main", default_branch)
        declared[name] = {"type": "string", "default": default, "title": f"github.{word}"}
    return declared


def from_event(events: Mapping[str, str], event: str) -> dict[str, str]:
    """What a trigger of one kind of event says for these inputs."""
    found: dict[str, str] = {}
    for name, word in events.items():
        by_event = _TEXT_INPUTS[word][1]
        if word == "event_name":
            found[name] = event
            continue
        text = by_event.get(event) or (by_event.get("*") if event != "schedule" else None)
        if text is not None:
            found[name] = text
    return found
