"""What is imported is declared, and what is declared is locked."""

from __future__ import annotations

import re
import sys
import tomllib
from importlib.metadata import packages_distributions

from house_sources import ROOT, imports, modules, parse, tracked_files

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
COMES_WITH = {"pydantic_core": "pydantic"}
"""Modules that another declared package brings along as a part of itself."""


def plain(name: str) -> str:
    """A distribution's name as the index compares it."""
    return re.sub(r"[-_.]+", "-", re.split(r"[\s\[<>=!~;]", name)[0]).lower()


def declared(requirements: list[str]) -> set[str]:
    """The names in a list of requirements."""
    return {plain(requirement) for requirement in requirements}


RUNTIME = declared(PROJECT["project"]["dependencies"])
DEVELOPMENT = RUNTIME | declared(PROJECT["dependency-groups"]["dev"])
EXTRAS = {
    name for wanted in PROJECT["project"]["optional-dependencies"].values() for name in declared(wanted)
}


def foreign(names: set[str], known: set[str]) -> set[str]:
    """The imported modules that are neither Python's own nor ours nor of a known distribution."""
    owners = packages_distributions()
    return {
        name
        for name in names - set(sys.stdlib_module_names) - {"towpath"}
        if not {plain(owner) for owner in owners.get(COMES_WITH.get(name, name), ())} & known
    }


def test_the_package_declares_what_it_imports() -> None:
    """Whoever installs the wheel gets everything that it imports, or an extra that names it."""
    imported = {each.name.partition(".")[0] for module in modules() for each in imports(module)}

    assert foreign(imported, RUNTIME | EXTRAS) == set()


def test_the_tests_declare_what_they_import() -> None:
    """Whoever runs the tests gets everything that they import, from the lock."""
    paths = [ROOT / name for name in tracked_files() if re.match(r"(tests|bench|docs)/.*\.py$", name)]
    beside = {path.stem for path in paths} | {path.parent.name for path in paths}
    imported = {each.name.partition(".")[0] for path in paths for each in imports(parse(path, source=ROOT))}

    assert foreign(imported - beside, DEVELOPMENT) == set()


def test_everything_declared_is_locked() -> None:
    """The lock was made after the last change of the dependencies."""
    lock = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    locked = {plain(name) for name in re.findall(r"^(\S+)==", lock, re.MULTILINE)}

    assert DEVELOPMENT - locked == set()
