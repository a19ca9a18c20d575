"""Checks workflow files of a folder as `tow check` does, without a command line."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from towpath.core.run import Json
from towpath.definition import loader
from towpath.steps.catalogue import Catalogue
from towpath.trials import checking

PATIENT = checking.Options(limits=checking.Limits(seconds_max=3_600))
"""Other work on the machine never bounds a search."""


class Bench:
    """A project whose workflows are checked."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.project = loader.load_project(folder)
        self.catalogue = Catalogue.load(folder)
        self.cards = self.catalogue.cards()

    def check(
        self, content: Path | str, options: checking.Options | None = None, *, path: str | None = None
    ) -> checking.Report:
        """The report of one workflow."""
        loaded = loader.load_workflow(content, path=path, project=self.project, cards=self.cards)
        return checking.check(loaded, self.setting, options or PATIENT)

    @property
    def setting(self) -> checking.Setting:
        """What the project's workflows are checked against."""

        def is_repeatable(action: str, given: Mapping[str, Json]) -> bool:
            return self.catalogue.get(action).idempotent_with(given)

        return checking.Setting(project=self.project, cards=self.cards, repeatable=is_repeatable)
