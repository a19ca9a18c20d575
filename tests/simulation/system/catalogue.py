"""The workflows that are simulated: those of workflows.yaml, and others made at random from a grammar."""

from __future__ import annotations

import functools
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, cast

import yaml

from simulation.system.dice import Dice
from simulation.tape import Tape
from simulation.workflows import make_workflow
from towpath.core.plan import Plan
from towpath.definition import loader, model
from towpath.definition.project import ProjectFile
from towpath.engines import history
from towpath.errors import NotFound
from towpath.store.contract import Definition

HERE: Final = Path(__file__).parent
RANDOM_WORKFLOWS: Final = 400
"""Different workflows made at random."""
RANDOM: Final = "random_"
IDEMPOTENT_ACTIONS: Final = frozenset({"log.say"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """A workflow, ready to be started."""

    workflow: model.Workflow
    definition: Definition
    plan: Plan


@functools.cache
def weights() -> Mapping[str, int]:
    """How often each workflow of the file is started."""
    return {document["workflow"]["name"]: document["weight"] for document in _documents()}


@functools.cache
def find(name: str) -> Listed:
    """The workflow with this name; raises NotFound."""
    return _listed(_document_of(name))


def _document_of(name: str) -> Mapping[str, Any]:
    if name.startswith(RANDOM):
        number = int(name.removeprefix(RANDOM))
        dice = Dice(number, "workflow")
        numbers = [dice.below(1_000) for _ in range(6 + number % 12)]
        return {**make_workflow(Tape(numbers)), "name": name}
    if name in _KEPT:
        return _KEPT[name]
    for document in _documents():
        if document["workflow"]["name"] == name:
            return cast("Mapping[str, Any]", document["workflow"])
    raise NotFound(f"there is no workflow {name!r}")


def keep(name: str) -> tuple[str, Mapping[str, Any]]:
    """A name and a text for a workflow that stay what they are, however workflows are made at random one day."""
    document = _document_of(name)
    digest = hashlib.sha256(json.dumps(document).encode()).hexdigest()
    kept = f"kept_{digest[:8]}"
    return kept, {**document, "name": kept}


def bring_back(workflows: Mapping[str, Mapping[str, Any]]) -> None:
    """Makes workflows known that were kept."""
    _KEPT.update(workflows)


def _listed(document: Mapping[str, Any]) -> Listed:
    text = json.dumps(document)
    digest = hashlib.sha256(text.encode()).hexdigest()
    workflow = model.Workflow.model_validate(document)
    plan = Plan(workflow, digest, idempotent_actions=IDEMPOTENT_ACTIONS)
    PLANS[digest] = plan
    return Listed(workflow=workflow, definition=Definition(digest=digest, text=text), plan=plan)


@functools.cache
def _documents() -> tuple[Mapping[str, Any], ...]:
    loaded = yaml.safe_load_all((HERE / "workflows.yaml").read_text(encoding="utf-8"))
    return tuple(document for document in loaded if document is not None)


PLANS: Final[dict[str, Plan]] = {}
_KEPT: Final[dict[str, Mapping[str, Any]]] = {}


class KnownPlans(history.Plans):
    """Plans that are laid out once for all processes and worlds: they are values, and laying out is dear."""

    def __init__(self) -> None:
        super().__init__()
        self._plans = PLANS


class Library:
    """Keeps `engines.contract.Library`."""

    def edited_by(self, definition: Definition) -> str:  # noqa: ARG002 - the contract of a library
        """Nobody knows."""
        return ""

    def find(self, name: str, *, commit: str = "") -> tuple[model.Workflow, Definition]:
        """The current version of a workflow; there is no other."""
        assert not commit
        found = find(name)
        return found.workflow, found.definition


@functools.cache
def project() -> ProjectFile:
    """The project's file."""
    file, problems = loader.check_project((HERE / "project.yaml").read_text(encoding="utf-8"))
    assert file is not None, problems
    return file
