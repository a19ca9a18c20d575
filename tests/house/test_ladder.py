"""Imports go down the ladder of `docs/explain/architecture.md`, and never in a circle."""

from __future__ import annotations

import ast

import pytest
from house_sources import Import, Module, imports, module_names, modules, own_module

BELOW_3 = ("errors", "definition", "core")
BELOW_4 = (*BELOW_3, "policy", "steps", "store")
BELOW_6 = (*BELOW_4, "engines", "people", "triggers", "observe")
EVENT_SOURCES = (*BELOW_4, "engines.contract")

MAY_IMPORT: dict[str, tuple[str, ...]] = {
    # floor 0
    "errors": (),
    # floor 1
    "definition": ("errors",),
    # floor 2
    "core": ("errors", "definition.model", "definition.expressions"),
    # floor 3: the three do not know each other
    "policy": BELOW_3,
    "steps": BELOW_3,
    "store": BELOW_3,
    # floor 4
    "engines": BELOW_4,
    # floor 5: they talk to an engine through its contract only
    "people": EVENT_SOURCES,
    "triggers": EVENT_SOURCES,
    "observe": EVENT_SOURCES,
    # floor 6
    "integrations": ("errors", "steps.contract", "triggers.contract", "people.contract"),
    # floor 7: where things are plugged together; they may see each other
    "settings": (*BELOW_6, "app", "testing"),
    "editions": BELOW_6,
    "app": (*BELOW_6, "editions", "settings", "testing"),
    "testing": (*BELOW_6, "settings", "app"),
    "trials": (*BELOW_6, "settings"),
    # floor 8
    "server": (*BELOW_6, "editions", "settings", "app", "trials"),
    # floor 9
    "cli": (*BELOW_6, "editions", "settings", "app", "testing", "trials", "server"),
    "__main__": ("cli",),  # `python -m towpath`
    # the package itself hands out public names
    "": (*BELOW_6, "settings", "app", "testing"),
}
"""What a room may import besides itself and the bare package."""

STRANGERS = (("engines.embedded", "engines.temporal"), ("engines.temporal", "engines.embedded"))
"""Rooms inside a room that never import each other."""


ROOMS = [module for module in modules() if module.is_package]


def within(name: str, room: str) -> bool:
    """Whether the module *name* is *room* or lies in it."""
    return name == room or name.startswith(f"{room}.")


def forbidden(module: str, imported: str) -> bool:
    """Whether *module* may not import *imported*, both named without `towpath`."""
    if any(within(module, one) and within(imported, other) for one, other in STRANGERS):
        return True
    room = module.partition(".")[0]
    if room == "integrations" and within(imported, "integrations"):
        return module.split(".")[1:2] != imported.split(".")[1:2]
    if not imported or within(imported, room):
        return False
    return not any(within(imported, allowed) for allowed in MAY_IMPORT[room])


def package_imports(module: Module) -> list[tuple[Import, str]]:
    """The imports of *module* that stay inside the package, each with the module that it names."""
    known = module_names()
    return [(each, name) for each in imports(module) if (name := own_module(each.name, known)) is not None]


def test_every_room_is_on_the_ladder() -> None:
    """A new room has to be given a floor before it is built."""
    assert {module.room for module in modules()} - MAY_IMPORT.keys() == set()


@pytest.mark.parametrize("module", modules(), ids=lambda module: module.name or "towpath")
def test_imports_go_down_the_ladder(module: Module) -> None:
    """No module imports from a floor that it may not see, not even inside a function."""
    wrong = [
        f"{module.where}:{each.line} imports {each.name}"
        for each, name in package_imports(module)
        if forbidden(module.name, name)
    ]

    assert wrong == []


@pytest.mark.parametrize(
    ("module", "imported", "expected"),
    [
        ("core.decide", "definition.model", False),
        ("core.decide", "definition.loader", True),
        ("core.decide", "store.journal", True),
        ("definition.checks", "core.run", True),
        ("definition.checks", "definition.actions", False),
        ("steps.contract", "store.logs", True),
        ("engines.embedded.loop", "engines.temporal.worker", True),
        ("engines.temporal.worker", "engines.embedded", True),
        ("engines.embedded.loop", "engines.contract", False),
        ("people.inbox", "engines.contract", False),
        ("people.inbox", "engines.embedded.loop", True),
        ("integrations.slack.action", "steps.contract", False),
        ("integrations.slack.action", "steps.catalogue", True),
        ("integrations.slack.action", "integrations.slack.client", False),
        ("integrations.slack.action", "integrations.jira.client", True),
        ("cli.run", "integrations.jira", True),
        ("cli.run", "app", False),
        ("store.journal", "", False),
    ],
)
def test_the_ladder_itself(module: str, imported: str, expected: bool) -> None:
    """The rule says no where the architecture says no, and yes where it says yes."""
    assert forbidden(module, imported) is expected


def test_no_module_imports_itself_in_a_circle() -> None:
    """Loading one module never needs a module that is still being loaded."""
    graph = {
        module.name: {
            name for each, name in package_imports(module) if each.at_load and name not in ("", module.name)
        }
        for module in modules()
    }

    assert circle(graph) == []


def circle(graph: dict[str, set[str]]) -> list[str]:
    """One circle in *graph* as a path that ends where it starts, or nothing."""
    done: set[str] = set()

    def visit(node: str, path: list[str]) -> list[str]:
        if node in path:
            return [*path[path.index(node) :], node]
        if node in done:
            return []
        for following in sorted(graph.get(node, ())):
            # A package's own __init__ may import its modules while they import each other.
            if found := visit(following, [*path, node]):
                return found
        done.add(node)
        return []

    for start in sorted(graph):
        if found := visit(start, []):
            return found
    return []


def test_a_circle_is_found() -> None:
    """The search for circles finds one, and finds none where there is none."""
    assert circle({"a": {"b"}, "b": {"c"}, "c": {"b"}}) == ["b", "c", "b"]
    assert circle({"a": {"b", "c"}, "b": {"c"}, "c": set()}) == []


@pytest.mark.parametrize("module", ROOMS, ids=lambda module: module.name or "towpath")
def test_a_room_says_its_purpose_and_exports(module: Module) -> None:
    """A folder's `__init__` is a docstring, imports and the list of exports; nothing is defined there."""
    defined = [
        getattr(node, "name", type(node).__name__)
        for node in module.tree.body
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
        # PEP 562: the one function that an __init__ needs when its exports are loaded lazily.
        and node.name not in ("__getattr__", "__dir__")
    ]

    assert ast.get_docstring(module.tree), f"{module.where} does not say what the room is for"
    assert defined == [], f"{module.where} defines what belongs in a module of its own"
