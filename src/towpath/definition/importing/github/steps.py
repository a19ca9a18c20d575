"""One job's steps: scripts, actions, and what becomes a task because nothing here is like it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from towpath.definition.importing import naming
from towpath.definition.importing.github import actions, cel, texts, tree
from towpath.definition.importing.github.cel import CannotTranslate, Status, Term
from towpath.definition.importing.github.contexts import Scope, StepSeen
from towpath.definition.importing.github.syntax import NotAnExpression
from towpath.definition.importing.writing import Section
from towpath.definition.source import Node

_KEYS: Final = frozenset(
    ("id", "name", "if", "uses", "run", "with", "env", "shell", "working-directory", "continue-on-error",
     "timeout-minutes")
)  # fmt: skip
_SHELLS: Final = {"bash": "bash", "sh": "sh", "python": "python", "pwsh": "pwsh", "powershell": "pwsh"}
Refusal: Final = (CannotTranslate, NotAnExpression)
_ENV_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


@dataclass(frozen=True, slots=True, kw_only=True)
class Defaults:
    """What steps say where they say nothing."""

    shell: str | None = None
    cwd: str | None = None
    container: str | None = None


@dataclass(slots=True, kw_only=True)
class Built:
    """A step of ours on its way; its outputs are known when all of the job has been read."""

    section: Section
    seen: StepSeen
    status: Status
    line: int
    script: texts.Script | None = None
    shell: str = "bash"
    is_task: bool = False
    exports: Mapping[str, str] = field(default_factory=dict)


def word_of(node: Node) -> str:
    """The word that a step's id is made from."""
    given = tree.text_at(node, "id") or tree.text_at(node, "name")
    if given is None and (uses := tree.text_at(node, "uses")) is not None:
        given = uses.partition("@")[0].removesuffix("/").rpartition("/")[2]
    if given is None:
        lines = _without_values(tree.text_at(node, "run") or "").strip().splitlines()
        given = " ".join((lines[0] if lines else "").split()[:4])
    return naming.slug(_without_values(given) or "script")


def _without_values(text: str) -> str:
    return re.sub(r"\$\{\{.*?\}\}", " ", text).strip()


class StepReader:
    """Reads the steps of one job, in their order."""

    def __init__(
        self,
        file: tree.File,
        scope: Scope,
        *,
        defaults: Defaults,
        assign: str,
        by_hand: frozenset[str],
    ) -> None:
        self._file = file
        self._scope = scope
        self._defaults = defaults
        self._assign = assign
        self._by_hand = by_hand
        self._seen: dict[str, StepSeen] = {}
        self._exports: dict[str, str] = {}
        """Variables that earlier steps set for later ones, with the texts that read them."""
        scope.steps = self._seen
        self.built: list[Built] = []

    def read(self, node: Node) -> None:
        """Translates one step."""
        scope, line = self._scope, self._file.line(node)
        scope.line = line
        new_id = scope.shared.ids.take(word_of(node), within=naming.slug(scope.job, otherwise="job"))
        seen = StepSeen(new_id=new_id)
        before = dict(scope.env)
        for entry in tree.entries(node):
            if entry.key.text not in _KEYS:
                scope.shared.notes.cannot(
                    self._file.line(entry.key), f"`{entry.key.text}` of a step has no like here"
                )
        env = self._env(tree.value(node, "env"))
        status, condition = self._condition(node, new_id)
        seen.is_conditional = condition is not None or status is not Status.SUCCESS
        built = self._body(node, seen, env, condition, status)
        scope.env = before
        if built is not None:
            self.built.append(built)
            for name, output in built.exports.items():
                term = Term(cel=f"steps.{new_id}.outputs.{output}", kind="text", may_lack=True)
                scope.env[name] = term
                self._exports[name] = f"{texts.OPEN} {cel.there(term)} }}}}"
        if (own_id := tree.text_at(node, "id")) is not None:
            self._seen[own_id] = seen

    def finish(self) -> None:
        """Writes the outputs of every step, now that it is known which are read."""
        for built in self.built:
            if built.is_task:
                self._finish_task(built)
            elif built.script is not None:
                self._finish_script(built)
            elif built.seen.outputs:
                self._finish_action(built)

    # --- what a step is ---

    def _body(
        self, node: Node, seen: StepSeen, env: dict[str, str], condition: str | None, status: Status
    ) -> Built | None:
        line = self._file.line(node)
        if status is Status.CANCELLED:
            self._scope.shared.notes.cannot(
                line, "runs only when the run is cancelled: nothing here does; left out"
            )
            seen.new_id = ""
            return None
        start = Section().add("id", seen.new_id)
        if seen.new_id in self._by_hand:
            return self._task(node, seen, start, condition, status, "the translation did not load")
        try:
            if tree.value(node, "run") is not None:
                return self._run(node, seen, start, env, condition, status)
            if tree.value(node, "uses") is not None:
                return self._uses(node, seen, start, env, condition, status)
        except Refusal as error:
            return self._task(node, seen, start, condition, status, str(error))
        return self._task(node, seen, start, condition, status, "it says neither `run` nor `uses`")

    def _run(
        self,
        node: Node,
        seen: StepSeen,
        section: Section,
        env: dict[str, str],
        condition: str | None,
        status: Status,
    ) -> Built:
        scope = self._scope
        source = tree.value(node, "run")
        assert source is not None, "asked for before"
        shell = self._shell(tree.text_at(node, "shell"))
        scope.line = self._file.first_text_line(source)
        made = texts.script(
            tree.text(source) or ":",
            language=shell if isinstance(shell, str) else shell[0],
            scope=scope,
            own_env={**self._exports, **env},
        )
        scope.line = self._file.line(node)
        self._title(node, section)
        section.add_some("if", condition)
        section.add("run", _script_text(made.text))
        if shell != "bash":
            section.add("shell", shell)
        section.add_some("env", {**self._exports, **env, **made.env})
        self._cwd(node, section)
        if self._defaults.container:
            section.add("container", self._defaults.container)
        self._usual(node, section)
        seen.sure = set() if seen.is_conditional else set(made.outputs)
        for name, new in made.outputs.items():
            seen.outputs.setdefault(name, new)
        taken = set(seen.outputs.values())
        exports = {name: f"env_{new}" if new in taken else new for name, new in made.exports.items()}
        scope.shared.notes.translated(self._file.line(node), f"`run` is the step `{seen.new_id}`")
        return Built(
            section=section,
            seen=seen,
            status=status,
            line=self._file.line(node),
            script=made,
            shell=shell if isinstance(shell, str) else shell[0],
            exports=exports,
        )

    def _uses(
        self,
        node: Node,
        seen: StepSeen,
        section: Section,
        env: dict[str, str],
        condition: str | None,
        status: Status,
    ) -> Built | None:
        scope, line = self._scope, self._file.line(node)
        written = tree.text_at(node, "uses") or ""
        name = written.partition("@")[0]
        if written.startswith("docker://"):
            return self._docker(node, seen, section, env, condition, status)
        known = actions.known(name)
        if known is None:
            raise CannotTranslate(f"nothing here is like `{written}`")
        made = known(actions.Use(file=self._file, with_=tree.value(node, "with"), line=line, scope=scope))
        if made.needs_look:
            scope.shared.notes.cannot(line, f"`{written}`: {made.needs_look}")
        if made.changed:
            scope.shared.notes.changed(line, f"`{written}`: {made.changed}")
        if not made.keys:
            if not made.needs_look and not made.changed:
                scope.shared.notes.translated(line, f"`{written}`: the project's folder is the workspace")
            seen.new_id = ""
            return None
        if "uses" not in made.keys:
            seen.has_outputs = False
        self._title(node, section, otherwise=made.title)
        section.add_some("if", condition)
        keys = dict(made.keys)
        if "run" in keys:
            keys["env"] = {**self._exports, **env, **keys.get("env", {})}
        for key, found in keys.items():
            section.add_some(key, found)
        self._usual(node, section)
        scope.shared.notes.translated(line, f"`{written}` is the step `{seen.new_id}`")
        return Built(section=section, seen=seen, status=status, line=line)

    def _docker(
        self,
        node: Node,
        seen: StepSeen,
        section: Section,
        env: dict[str, str],
        condition: str | None,
        status: Status,
    ) -> Built:
        """`uses: docker://image` with arguments is a script in a container."""
        with_ = tree.value(node, "with")
        arguments = tree.text_at(with_, "args")
        others = [entry.key.text for entry in tree.entries(with_) if entry.key.text != "args"]
        if not arguments or others:
            raise CannotTranslate("what the image does by itself cannot be seen: write it as a `run`")
        made = texts.script(arguments, language="sh", scope=self._scope, own_env={**self._exports, **env})
        self._title(node, section)
        section.add_some("if", condition)
        section.add("run", _script_text(made.text))
        section.add("shell", "sh")
        section.add_some("env", {**self._exports, **env, **made.env})
        section.add("container", (tree.text_at(node, "uses") or "").removeprefix("docker://"))
        self._usual(node, section)
        self._scope.shared.notes.changed(
            self._file.line(node), "the arguments run in a shell inside the image"
        )
        return Built(section=section, seen=seen, status=status, line=self._file.line(node), script=made)

    def _task(
        self, node: Node, seen: StepSeen, section: Section, condition: str | None, status: Status, why: str
    ) -> Built:
        """What cannot be translated is done by a person until somebody writes it."""
        line = self._file.line(node)
        section.head = [f"Line {line} of the original:", *(f"  {each}" for each in self._file.original(node))]
        what = _plain(tree.text_at(node, "uses") or "")
        words = f"what `{what}` did" if what else "what this script did"
        section.add("task", f"By hand: {self._plain_title(node) or words}")
        section.add_some("if", condition)
        section.add(
            "instructions",
            f"Do {words} in line {line} of the original, or replace this task under the same id.\n"
            f"Why: {_plain(why)}\n",
        )
        section.add("assign", [self._assign])
        self._usual(node, section, is_task=True)
        self._scope.shared.notes.cannot(line, f"{why}: `{seen.new_id}` is a task for {self._assign}")
        return Built(section=section, seen=seen, status=status, line=line, is_task=True)

    # --- keys of a step ---

    def _condition(self, node: Node, new_id: str) -> tuple[Status, str | None]:
        given = tree.value(node, "if")
        source = tree.text(given)
        if given is None or source is None:
            return Status.SUCCESS, None
        self._scope.line = self._file.line(given)
        found = condition_of(
            source,
            self._scope,
            gate=f"run_{new_id}",
            what=f"the step `{new_id}`",
            is_lost=new_id in self._by_hand,
        )
        self._scope.line = self._file.line(node)
        return found.status, found.cel

    def _env(self, node: Node | None) -> dict[str, str]:
        return environment_of(node, self._file, self._scope)

    def _title(self, node: Node, section: Section, otherwise: str | None = None) -> None:
        title = self._plain_title(node) or otherwise
        section.add_some("title", title)

    def _plain_title(self, node: Node) -> str:
        name = tree.text_at(node, "name")
        if name is None:
            return ""
        try:
            return texts.text(name, self._scope)
        except Refusal as error:
            self._scope.shared.notes.changed(
                self._scope.line, f"the name `{name}` is written without its values: {error}"
            )
            return _plain(re.sub(r"\$\{\{.*?\}\}", "…", name))

    def _shell(self, given: str | None) -> str | list[str]:
        shell = given or self._defaults.shell or "bash"
        if shell in _SHELLS:
            if shell == "powershell":
                self._scope.changed("`powershell` is `pwsh`")
            return _SHELLS[shell]
        words = [word for word in shell.split() if word != "{0}"]
        if not words or "${{" in shell or words[0] == "cmd":
            raise CannotTranslate(f"the shell `{shell}` is not known here")
        return words

    def _cwd(self, node: Node, section: Section) -> None:
        given = tree.text_at(node, "working-directory") or self._defaults.cwd
        if given is None:
            return
        given = re.sub(r"^\$\{\{\s*github\.workspace\s*\}\}/?", "", given).removeprefix("./").rstrip("/")
        if not given or given == ".":
            return
        cwd = texts.text(given, self._scope)
        if cwd.startswith(("/", "~")) or ".." in cwd.split("/"):
            raise CannotTranslate(f"`working-directory: {given}` is outside the workspace")
        section.add("cwd", cwd)

    def _usual(self, node: Node, section: Section, *, is_task: bool = False) -> None:
        """`timeout-minutes` and `continue-on-error`."""
        minutes = tree.value(node, "timeout-minutes")
        if minutes is not None and not is_task:
            timeout = duration_of(tree.text(minutes))
            if timeout is None:
                self._scope.shared.notes.cannot(self._file.line(minutes), "a timeout is written out: 10m")
            else:
                section.add("timeout", timeout)
        goes_on = tree.value(node, "continue-on-error")
        if goes_on is None or tree.data(goes_on) is False:
            return
        if tree.data(goes_on) is True:
            section.add("on_failure", "continue")
        else:
            self._scope.shared.notes.cannot(
                self._file.line(goes_on),
                "`continue-on-error` is true or false: the step stops the job when it fails",
            )

    # --- outputs ---

    def _finish_task(self, built: Built) -> None:
        form = {
            new: {"type": "string", "required": True, "title": _plain(name)}
            for name, new in built.seen.outputs.items()
        }
        built.section.add_some("form", form)

    def _finish_action(self, built: Built) -> None:
        missing = [name for name in built.seen.outputs if name != "commit"]
        for name in missing:
            self._scope.shared.notes.cannot(built.line, f"there is no output `{name}` any more")
        outputs = {
            new: '${{ default("", "") }}' for name, new in built.seen.outputs.items() if name in missing
        }
        built.section.add_some("outputs", outputs)

    def _finish_script(self, built: Built) -> None:
        made = built.script
        assert made is not None, "asked for before"
        names: dict[str, str] = {}
        """Our names, and those that the script writes."""
        for name, new in built.seen.outputs.items():
            names[new] = name.replace("-", "_")
            if name in made.outputs:
                continue
            if "-" in name:
                self._scope.shared.notes.cannot(
                    built.line,
                    f"the output `{name}` is written where it cannot be seen; it has to be `{names[new]}`",
                )
        unseen = [name for name in built.seen.outputs if name not in made.outputs]
        if unseen and "TOW_OUTPUT" not in made.text:
            self._export_file(built, made)
        names |= {new: name for name, new in built.exports.items()}
        if not names:
            return
        if all(new == written for new, written in names.items()):
            built.section.add("outputs", list(names))
        else:
            built.section.add(
                "outputs", {new: f"{texts.OPEN} outputs.{written} }}}}" for new, written in names.items()}
            )

    def _export_file(self, built: Built, made: texts.Script) -> None:
        """A program that is called writes the outputs: it is told where."""
        if built.shell not in ("bash", "sh"):
            self._scope.shared.notes.cannot(
                built.line, "where its outputs are written cannot be seen: use $TOW_OUTPUT"
            )
            return
        self._scope.shared.notes.changed(
            built.line, "GITHUB_OUTPUT points to our file, for the programs that it calls"
        )
        made.text = f'export GITHUB_OUTPUT="$TOW_OUTPUT" GITHUB_STEP_SUMMARY="$TOW_SUMMARY"\n{made.text}'
        built.section.replace("run", _script_text(made.text))


def condition_of(source: str, scope: Scope, *, gate: str, what: str, is_lost: bool = False) -> cel.Condition:
    """An `if` of ours; one that cannot be said becomes an input that is false until somebody says otherwise.

    With *is_lost*, its translation did not load.
    """
    try:
        found = cel.condition(source, scope)
        if found.cel is None or (found.cel != "false" and not is_lost):
            return found
        why = "its translation does not load" if is_lost else "the condition never holds"
        status = found.status
    except Refusal as error:
        why, status = str(error), _status_in(source)
    scope.shared.notes.cannot(
        scope.line, f"`if: {source.strip()}`: {why}; {what} runs only with `-i {gate}=true`"
    )
    scope.shared.gates[gate] = source
    return cel.Condition(status=status, cel=f"inputs.{gate}")


def _status_in(source: str) -> Status:
    """The status of a condition that cannot be read as a whole."""
    if re.search(r"(?<!!)\bfailure\(\)", source) and "||" not in source:
        return Status.FAILURE
    return Status.ALWAYS if re.search(r"\balways\(\)|!\s*cancelled\(\)", source) else Status.SUCCESS


def environment_of(node: Node | None, file: tree.File, scope: Scope) -> dict[str, str]:
    """The environment variables under `env`, which from then on can be read as `env.NAME`."""
    if node is not None and not tree.entries_are_there(node):
        scope.shared.notes.cannot(file.line(node), "`env` as one expression cannot be said")
        return {}
    made: dict[str, str] = {}
    for entry in tree.entries(node):
        name, source = entry.key.text, tree.text(entry.value) or ""
        scope.line = file.line(entry.key)
        if not _ENV_NAME.fullmatch(name) or name.startswith("TOW_"):
            scope.shared.notes.cannot(scope.line, f"`{name}` cannot be the name of a variable here")
            continue
        try:
            made[name] = texts.text(source, scope, takes_secrets=True)
        except Refusal as error:
            scope.shared.notes.cannot(scope.line, f"`{name}`: {error}; it is not set")
            scope.env[name] = f"`{name}`: {error}"
            continue
        try:
            scope.env[name] = texts.whole(source, scope)
        except Refusal as error:
            scope.env[name] = f"`{name}` holds a secret" if "secret" in str(error) else str(error)
    return made


def duration_of(minutes: str | None) -> str | None:
    """Minutes as a duration, or None where they are not written out."""
    try:
        seconds = round(float(minutes or "") * 60)
    except ValueError:
        return None
    if seconds < 1:
        return None
    return f"{seconds // 60}m" if seconds % 60 == 0 else f"{seconds}s"


def _script_text(text: str) -> str:
    body = text.strip("\n")
    return f"{body}\n" if "\n" in body else body or ":"


def _plain(why: str) -> str:
    return why.replace(texts.OPEN, "$ {{")


def sections(built: Sequence[Built], *statuses: Status) -> list[Section]:
    """The steps that run at one time."""
    return [each.section for each in built if each.status in statuses]
