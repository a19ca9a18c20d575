"""Every check, one after the other."""

from __future__ import annotations

from typing import Any

from towpath.definition import model
from towpath.definition.problems import Problem


def check(workflow: model.Workflow, source: Any, shaped: Any, *, project: Any, cards: Any) -> list[Problem]:
    return []


def check_project(file: Any, source: Any, shaped: Any) -> list[Problem]:
    return []
