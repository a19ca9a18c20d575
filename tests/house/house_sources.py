"""The repository as the house tests read it: tracked files, modules and what they import."""

from __future__ import annotations

import ast
import importlib.util
import subprocess
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import ModuleType

ROOT = Path(__file__).resolve().parents[2]
SOURCE = ROOT / "src" / "towpath"


@cache
def tracked_files() -> tuple[str, ...]:
    """The paths that git keeps, and those that it would: new files count before they are added."""
    listing = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        check=True,
        text=True,
    ).stdout
    return tuple(sorted(name for name in listing.split("\0") if name and (ROOT / name).is_file()))


def text_of(name: str) -> str | None:
    """A tracked file as text, or None where it is not text."""
    try:
        return (ROOT / name).read_text(encoding="utf-8")
    except UnicodeDecodeError:
        return None


def load_script(path: Path) -> ModuleType:
    """A script of the repository as a module, without running it."""
    spec = importlib.util.spec_from_file_location(f"script_{path.stem}", path)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@dataclass(frozen=True, slots=True, kw_only=True)
class Import:
    """One name that a module imports, where, and whether it happens when the module loads."""

    name: str
    line: int
    at_load: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Module:
    """One Python file of the package, named without the leading `towpath`; the package itself is ''."""

    name: str
    path: Path
    tree: ast.Module

    @property
    def room(self) -> str:
        """The first part of the name."""
        return self.name.partition(".")[0]

    @property
    def where(self) -> str:
        """The path as messages show it."""
        return str(self.path.relative_to(ROOT))

    @property
    def is_package(self) -> bool:
        """Whether this is a folder's `__init__`."""
        return self.path.name == "__init__.py"


def parse(path: Path, *, source: Path = SOURCE) -> Module:
    """Reads one file."""
    parts = list(path.relative_to(source).with_suffix("").parts)
    if parts[-1] == "__init__":
        parts.pop()
    return Module(name=".".join(parts), path=path, tree=ast.parse(path.read_text(encoding="utf-8")))


@cache
def modules() -> tuple[Module, ...]:
    """Every Python file of the package."""
    return tuple(parse(path) for path in sorted(SOURCE.rglob("*.py")))


@cache
def module_names() -> frozenset[str]:
    """The names of all modules."""
    return frozenset(module.name for module in modules())


def imports(module: Module) -> tuple[Import, ...]:
    """Everything that *module* imports, inside functions and `if TYPE_CHECKING` too."""
    deferred = _deferred(module.tree)
    found: list[Import] = []
    for node in ast.walk(module.tree):
        at_load = node not in deferred
        if isinstance(node, ast.Import):
            found += [Import(name=alias.name, line=node.lineno, at_load=at_load) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = _absolute(module, node)
            found += [
                Import(name=f"{base}.{alias.name}" if base else alias.name, line=node.lineno, at_load=at_load)
                for alias in node.names
            ]
    return tuple(found)


def own_module(name: str, known: frozenset[str]) -> str | None:
    """The module of the package that the imported *name* belongs to, or None for a name from elsewhere."""
    if name != "towpath" and not name.startswith("towpath."):
        return None
    parts = name.split(".")[1:]
    while parts and ".".join(parts) not in known:
        parts.pop()
    return ".".join(parts)


def _absolute(module: Module, node: ast.ImportFrom) -> str:
    if not node.level:
        return node.module or ""
    package = ["towpath", *module.name.split(".")] if module.name else ["towpath"]
    if not module.is_package:
        package.pop()
    package = package[: len(package) - node.level + 1]
    return ".".join([*package, *([node.module] if node.module else [])])


def _deferred(tree: ast.Module) -> set[ast.AST]:
    """The nodes that do not run when the module loads."""
    later: set[ast.AST] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            later.update(ast.walk(node))
        elif isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test):
            for statement in node.body:
                later.update(ast.walk(statement))
    return later
