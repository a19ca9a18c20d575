"""Actions of installed packages: listed without being imported, and harmless when they are broken."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from towpath.errors import Refused
from towpath.steps.catalogue import Catalogue

MODULE = '''
import builtins
from towpath.steps import action
builtins.acme_was_imported = True

@action("acme.deploy", idempotent=True, extras=("acme",))
async def deploy(app: str) -> None:
    """Deploys an app."""

@action("acme.other")
async def misnamed() -> None:
    """Has another name than its entry point."""

something = 5
'''

ENTRY_POINTS = """
[towpath.actions]
acme.deploy = acme_towpath:deploy
acme.wrong = acme_towpath:misnamed
acme.none = acme_towpath:something
acme.lost = acme_towpath:nothing
acme.broken = acme_broken:act
"""


@pytest.fixture
def acme(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An installed package with good and bad actions."""
    information = tmp_path / "acme_towpath-1.0.dist-info"
    information.mkdir()
    (information / "METADATA").write_text("Metadata-Version: 2.1\nName: acme-towpath\nVersion: 1.0\n")
    (information / "entry_points.txt").write_text(ENTRY_POINTS)
    (tmp_path / "acme_towpath.py").write_text(MODULE)
    (tmp_path / "acme_broken.py").write_text("import a_library_that_is_missing\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delattr("builtins.acme_was_imported", raising=False)
    for name in ("acme_towpath", "acme_broken"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    return tmp_path


def test_listing_imports_no_package(acme: Path) -> None:  # noqa: ARG001 - installed
    """Names and membership come from the entry points alone; the card needs the module."""
    catalogue = Catalogue.load()

    assert "acme.deploy" in catalogue.names()
    assert "acme.deploy" in catalogue.cards()
    assert "acme_towpath" not in sys.modules
    card = catalogue.card("acme.deploy")
    assert (card.source, card.idempotent, card.extras) == ("package acme-towpath", True, ("acme",))


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("acme.wrong", "is called acme.other"),
        ("acme.none", "is no action"),
        ("acme.lost", "AttributeError"),
        ("acme.broken", "a_library_that_is_missing"),
    ],
)
def test_a_broken_package_costs_only_its_own_actions(name: str, told: str, acme: Path) -> None:  # noqa: ARG001
    """The reason is told when the action is asked for, and the others work."""
    catalogue = Catalogue.load()
    with pytest.raises(Refused, match=told):
        catalogue.get(name)

    assert catalogue.get("log").instant


def test_a_project_cannot_take_the_name_of_a_package(acme: Path, tmp_path: Path) -> None:  # noqa: ARG001
    """Which of the two would run must never be a matter of luck."""
    (tmp_path / "actions").mkdir()
    (tmp_path / "actions" / "acme.py").write_text("def deploy(): ...\n")
    catalogue = Catalogue.load(tmp_path)

    assert "acme.deploy is the name of an action of package acme-towpath" in str(catalogue.problems[0])
    with pytest.raises(Refused, match="both"):
        catalogue.get("acme.deploy")
