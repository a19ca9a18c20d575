"""`on:` of GitHub Actions: triggers, and the inputs that a start may give."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from towpath.definition.importing import naming
from towpath.definition.importing.github import contexts, tree
from towpath.definition.importing.report import Notes
from towpath.definition.source import Items, Node, Scalar, Table
from towpath.definition.triggers import TRIGGER_CLASSES, parse_cron

_TYPES: Final = {
    "string": "string",
    "boolean": "boolean",
    "number": "number",
    "choice": "string",
    "environment": "string",
}
OPEN: Final = "${{"
_PULL_REQUEST_TYPES: Final = ["opened", "synchronize", "reopened"]
_ZERO: Final[Mapping[str, object]] = {"string": "", "boolean": False, "number": 0}


@dataclass(slots=True, kw_only=True)
class Started:
    """What starts a workflow."""

    entries: list[tuple[str, dict[str, Any], int]] = field(default_factory=list)  # Any: JSON
    """The event as GitHub calls it, the entry of `on:`, and its line."""
    inputs: dict[str, dict[str, Any]] = field(default_factory=dict)  # Any: JSON
    default_branch: str = "main"
    outputs: Node | None = None
    """What `workflow_call` hands back."""

    def written(self, events: Mapping[str, str], dropped: frozenset[int]) -> list[object]:
        """The entries of `on:`, with what each says for the inputs that stand for parts of the event."""
        found: list[object] = []
        for number, (event, entry, _) in enumerate(self.entries):
            if number in dropped:
                continue
            said = contexts.from_event(events, event) if event != "manual" else {}
            whole = {**entry, **({"inputs": said} if said else {})}
            kind = next(iter(whole))
            is_bare = len(whole) == 1 and not whole[kind]
            found.append(kind if is_bare else whole)
        return found


def read(file: tree.File, notes: Notes) -> Started:
    """The triggers and inputs of a workflow."""
    return _Reader(file, notes).read()


class _Reader:
    """One `on:` being read."""

    def __init__(self, file: tree.File, notes: Notes) -> None:
        self._file = file
        self._notes = notes
        self._started = Started()

    def read(self) -> Started:
        """All of it."""
        entry = self._file.root.get("on")
        for name, settings, line in self._events(entry.value if entry else None):
            own = getattr(self, f"_{name}", None)
            if own is not None:
                own(settings, line)
            elif f"github.{name}" in TRIGGER_CLASSES:
                self._event(name, settings, line)
            else:
                self._notes.cannot(line, f"`on: {name}`: no trigger here is like it")
        if not any(event == "manual" for event, _, _ in self._started.entries):
            self._started.entries.append(("manual", {"manual": {}}, 1))
        self._give_defaults()
        return self._started

    def _events(self, node: Node | None) -> Iterator[tuple[str, Node | None, int]]:
        match node:
            case Scalar():
                yield node.text, None, self._file.line(node)
            case Items():
                for item in node.items:
                    if isinstance(item, Scalar):
                        yield item.text, None, self._file.line(item)
            case Table():
                for entry in node.entries:
                    yield entry.key.text, entry.value, self._file.line(entry.key)
            case _:
                return

    def _add(self, event: str, entry: dict[str, Any], line: int) -> None:
        if any(entry == other for _, other, _ in self._started.entries):
            return
        self._started.entries.append((event, entry, line))
        self._notes.translated(line, f"`on: {event}` is the trigger `{next(iter(entry))}`")

    # --- code ---

    def _push(self, settings: Node | None, line: int) -> None:
        tags = self._patterns(settings, "tags", line)
        branches = self._patterns(settings, "branches", line)
        for branch in branches:
            if re.fullmatch(r"[\w./-]+", branch):
                self._started.default_branch = branch
                break
        paths = self._patterns(settings, "paths", line)
        ignores = bool(tree.texts(tree.value(settings, "branches-ignore")))
        if branches or ignores or not tags:
            self._add("push", self._code("github.push", settings, line, branches=branches, paths=paths), line)
        if tags:
            self._add("push", self._code("github.tag", settings, line, tags=tags), line)
        self._unknown(
            settings, ("branches", "tags", "paths", "branches-ignore", "tags-ignore", "paths-ignore")
        )

    def _pull_request(self, settings: Node | None, line: int) -> None:
        types = tree.texts(tree.value(settings, "types")) or _PULL_REQUEST_TYPES
        entry = self._code(
            "github.pull_request",
            settings,
            line,
            branches=self._patterns(settings, "branches", line),
            paths=self._patterns(settings, "paths", line),
            actions=types,
        )
        self._add("pull_request", entry, line)
        self._unknown(settings, ("types", "branches", "paths", "branches-ignore", "paths-ignore"))

    def _pull_request_target(self, settings: Node | None, line: int) -> None:
        self._notes.changed(line, "pull_request_target is pull_request: runs of forks never get secrets here")
        self._pull_request(settings, line)

    def _code(self, kind: str, settings: Node | None, line: int, **keys: list[str]) -> dict[str, Any]:
        entry: dict[str, Any] = {kind: {key: found for key, found in keys.items() if found}}
        conditions = list(self._negated(kind, settings, keys))
        if tree.value(settings, "paths-ignore") is not None:
            self._notes.cannot(
                self._line_in(settings, "paths-ignore", line), "`paths-ignore`: only `paths` can be said"
            )
        if conditions:
            entry["if"] = " && ".join(conditions)
        return entry

    def _negated(self, kind: str, settings: Node | None, keys: Mapping[str, list[str]]) -> Iterator[str]:
        """What must not be: `branches-ignore`, and patterns with `!`."""
        is_request = kind == "github.pull_request"
        where = 'default(event.pull_request.base.ref, "")' if is_request else 'default(event.ref, "")'
        for word, prefix in (("branches", "" if is_request else "refs/heads/"), ("tags", "refs/tags/")):
            if word not in keys:
                continue
            given = tree.texts(tree.value(settings, word))
            ignored = tree.texts(tree.value(settings, f"{word}-ignore"))
            for pattern in [*(each[1:] for each in given if each.startswith("!")), *ignored]:
                yield f'!glob({where}, "{prefix}{pattern}")'

    def _patterns(self, settings: Node | None, key: str, line: int) -> list[str]:
        found = [each for each in tree.texts(tree.value(settings, key)) if not each.startswith("!")]
        for each in found:
            if re.search(r"[+?]", each):
                self._notes.changed(
                    self._line_in(settings, key, line),
                    f"`{each}`: `?` is one character here, and `+` is itself",
                )
        if key == "paths" and any(each.startswith("!") for each in tree.texts(tree.value(settings, key))):
            self._notes.cannot(self._line_in(settings, key, line), "paths with `!` cannot be said")
        return found

    def _line_in(self, settings: Node | None, key: str, otherwise: int) -> int:
        entry = settings.get(key) if isinstance(settings, Table) else None
        return self._file.line(entry.key) if entry else otherwise

    def _unknown(self, settings: Node | None, known: tuple[str, ...]) -> None:
        for entry in tree.entries(settings):
            if entry.key.text not in known:
                self._notes.cannot(
                    self._file.line(entry.key), f"`{entry.key.text}` of a trigger has no like here"
                )

    # --- other events ---

    def _event(self, name: str, settings: Node | None, line: int) -> None:
        keys: dict[str, Any] = {}
        if actions := tree.texts(tree.value(settings, "types")):
            keys["actions"] = actions
        if branches := tree.texts(tree.value(settings, "branches")):
            keys["branches"] = branches
        entry: dict[str, Any] = {f"github.{name}": keys}
        if workflows := tree.texts(tree.value(settings, "workflows")):
            listed = ", ".join(f'"{each}"' for each in workflows)
            entry["if"] = f'default(event.workflow_run.name, "") in [{listed}]'
        self._add(name, entry, line)
        self._unknown(settings, ("types", "branches", "workflows"))

    def _schedule(self, settings: Node | None, line: int) -> None:
        for item in settings.items if isinstance(settings, Items) else ():
            at = self._file.line(item)
            cron = tree.text_at(item, "cron") or ""
            try:
                parse_cron(cron)
            except ValueError as error:
                self._notes.cannot(at, f"`{cron}` {error}")
                continue
            schedule: dict[str, Any] = {"cron": cron}
            if zone := tree.text_at(item, "timezone"):
                schedule["timezone"] = zone
            schedule["catch_up"] = "none"
            self._add("schedule", {"schedule": schedule}, at)
        if not isinstance(settings, Items):
            self._notes.cannot(line, "a schedule without `cron`")

    def _repository_dispatch(self, settings: Node | None, line: int) -> None:
        self._event("repository_dispatch", settings, line)

    def _workflow_dispatch(self, settings: Node | None, line: int) -> None:
        self._add("manual", {"manual": {}}, line)
        self._inputs(settings)

    def _workflow_call(self, settings: Node | None, line: int) -> None:
        self._notes.translated(line, "`workflow_call`: other workflows call it with a `workflow` step")
        self._inputs(settings)
        self._started.outputs = tree.value(settings, "outputs")
        for entry in tree.entries(tree.value(settings, "secrets")):
            self._notes.changed(
                self._file.line(entry.key),
                f"the secret `{entry.key.text}` is read from where the project keeps secrets, not handed over",
            )

    # --- inputs ---

    def _inputs(self, settings: Node | None) -> None:
        for entry in tree.entries(tree.value(settings, "inputs")):
            name = naming.slug(entry.key.text, otherwise="input")
            if name not in self._started.inputs:
                self._started.inputs[name] = self._input(
                    entry.key.text, entry.value, self._file.line(entry.key)
                )

    def _input(self, written: str, node: Node, line: int) -> dict[str, Any]:
        kind = tree.text_at(node, "type") or "string"
        declared: dict[str, Any] = {"type": _TYPES.get(kind, "string")}
        if kind not in _TYPES:
            self._notes.changed(line, f"an input of the type `{kind}` is text")
        options = tree.texts(tree.value(node, "options"))
        if options:
            declared["enum"] = options
        default = tree.value(node, "default")
        is_required = tree.data(tree.value(node, "required")) is True
        if default is not None:
            declared["default"] = _typed(default, declared["type"])
        elif options:
            declared["default"] = options[0]
        elif not is_required:
            declared["default"] = _ZERO[declared["type"]]
        title = tree.text_at(node, "description")
        if title:
            declared["title"] = " ".join(title.replace(OPEN, "$ {{").split())
        name = naming.slug(written, otherwise="input")
        self._notes.translated(
            line, f"the input `{written}`" + ("" if name == written else f" is `{name}` here")
        )
        return declared

    def _give_defaults(self) -> None:
        """A trigger that is no person cannot be asked: GitHub leaves such an input empty."""
        others = [line for event, _, line in self._started.entries if event != "manual"]
        for name, declared in self._started.inputs.items():
            if others and "default" not in declared:
                declared["default"] = _ZERO[declared["type"]]
                self._notes.changed(
                    others[0],
                    f"this trigger gives no value for the input `{name}`: it is empty then, as it was",
                )


def _typed(node: Node, kind: str) -> object:
    found = tree.data(node)
    match kind:
        case "boolean":
            return found is True or str(found).lower() == "true"
        case "number":
            try:
                number = float(str(found))
            except ValueError:
                return 0
            return int(number) if number.is_integer() else number
        case _:
            return (tree.text(node) or "").replace(OPEN, "$ {{")
