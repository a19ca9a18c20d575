"""Jobs as groups: their steps, their matrix, what they need and what they hand on."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from towpath.definition.importing import naming
from towpath.definition.importing.github import matrix, steps, texts, tree
from towpath.definition.importing.github.cel import Kind, Status, Term
from towpath.definition.importing.github.contexts import JobSeen, Scope, Shared
from towpath.definition.importing.github.steps import Defaults, StepReader
from towpath.definition.importing.writing import Section
from towpath.definition.projects import Project
from towpath.definition.source import Entry, Items, Node, Table

_KEYS: Final = frozenset(
    ("name", "needs", "if", "runs-on", "env", "defaults", "steps", "timeout-minutes", "strategy", "container",
     "services", "environment", "outputs", "continue-on-error", "uses", "with", "secrets", "concurrency", "permissions")
)  # fmt: skip
_HOSTED: Final = re.compile(r"ubuntu-[\w.-]+")


@dataclass(slots=True, kw_only=True)
class Job:
    """One job, translated."""

    name: str
    new_id: str
    section: Section
    status: Status
    needs: tuple[str, ...]
    """GitHub's names."""
    is_conditional: bool
    line: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """What all jobs of a file have in common and does not change."""

    file: tree.File
    shared: Shared
    env: Mapping[str, Term | str]
    defaults: Defaults
    assign: str
    by_hand: frozenset[str]
    """Ids of what did not load when it was translated: a person does it."""
    project: Project | None


@dataclass(slots=True, kw_only=True)
class _Parts:
    """A job's keys on their way."""

    section: Section
    inner: Section | None = None
    """The group around one item's steps, where a matrix needs one."""
    wrapped: dict[str, Any] = field(default_factory=dict)  # Any: JSON
    """Keys that read the matrix, or count for one item."""


def in_order(jobs: Table, frame: Frame) -> list[Entry]:
    """The jobs, those that are needed first."""
    due = list(jobs.entries)
    done: list[Entry] = []
    names = {entry.key.text for entry in due}
    while due:
        ready = [
            entry for entry in due if not ({*_needs(entry.value)} & names - {each.key.text for each in done})
        ]
        if not ready:
            for entry in due:
                frame.shared.notes.cannot(
                    frame.file.line(entry.key), f"the job `{entry.key.text}` needs itself"
                )
            return [*done, *due]
        done.append(ready[0])
        due.remove(ready[0])
    return done


def _needs(node: Node | None) -> list[str]:
    return tree.texts(tree.value(node, "needs"))


def read(entry: Entry, frame: Frame) -> Job:
    """Translates one job."""
    return _Reader(entry, frame).read()


class _Reader:
    """One job being read."""

    def __init__(self, entry: Entry, frame: Frame) -> None:
        self._frame = frame
        self._name = entry.key.text
        self._node = entry.value
        self._line = frame.file.line(entry.key)
        self._notes = frame.shared.notes
        self._needs = tuple(_needs(entry.value))
        self._new_id = frame.shared.ids.take(naming.slug(self._name, otherwise="job"))
        self._scope = Scope(
            shared=frame.shared, line=self._line, job=self._name, env=dict(frame.env), needs=self._needs
        )

    def read(self) -> Job:
        """All of it."""
        for entry in tree.entries(self._node):
            self._tell_unknown(entry)
        status, condition = self._condition()
        known = [name for name in self._needs if name in self._frame.shared.jobs]
        for name in self._needs:
            if name not in known:
                self._notes.cannot(
                    self._line, f"the job `{self._name}` needs `{name}`, which is not there before it"
                )
        section = Section().add("id", self._new_id)
        self._frame.shared.jobs[self._name] = JobSeen(new_id=self._new_id)
        job = Job(
            name=self._name,
            new_id=self._new_id,
            section=section,
            status=status,
            needs=tuple(known),
            is_conditional=condition is not None or status is not Status.SUCCESS,
            line=self._line,
        )
        section.add_some("title", self._title())
        section.add_some("if", condition)
        if self._new_id in self._frame.by_hand:
            self._by_hand(section, "the translation did not load")
        elif tree.value(self._node, "uses") is not None:
            self._called(section)
        else:
            try:
                self._body(section, job)
            except steps.Refusal as error:
                self._by_hand(section, str(error))
        return job

    def _tell_unknown(self, entry: Entry) -> None:
        key, line = entry.key.text, self._frame.file.line(entry.key)
        match key:
            case "permissions":
                self._notes.cannot(line, "`permissions`: a token's rights are given where the token is made")
            case "concurrency":
                self._notes.cannot(
                    line, "`concurrency` of a job: only a whole workflow or an environment has it"
                )
            case "services":
                for service in tree.entries(entry.value):
                    at = self._frame.file.line(service.key)
                    self._notes.cannot(
                        at, f"the service `{service.key.text}` has to run on the machine already"
                    )
            case _ if key not in _KEYS:
                self._notes.cannot(line, f"`{key}` of a job has no like here")

    # --- the shapes of a job ---

    def _body(self, section: Section, job: Job) -> None:
        """A job with steps."""
        strategy = matrix.read(tree.value(self._node, "strategy"), self._frame.file, self._scope)
        self._scope.matrix = strategy.kinds
        parts = _Parts(section=section)
        env = steps.environment_of(tree.value(self._node, "env"), self._frame.file, self._scope)
        self._add_where(parts, env, is_loop=strategy.each is not None)
        reader = self._steps()
        outputs = self._outputs(strategy.each is not None, is_conditional=job.is_conditional)
        reader.finish()
        self._frame.shared.jobs[self._name].outputs.update(outputs)
        body = steps.sections(reader.built, Status.SUCCESS) or [self._empty()]
        failure = steps.sections(reader.built, Status.FAILURE)
        always = steps.sections(reader.built, Status.ALWAYS)
        self._tell_order(reader)
        if strategy.each is None:
            for key, value in parts.wrapped.items():
                section.add_some(key, value)
            if failure and section.get("on_failure") is not None:  # it goes on, after these
                inner = Section().add("id", self._frame.shared.ids.take(f"{self._new_id}_steps"))
                _add_lists(inner, body, failure, always)
                body, failure, always = [inner], [], []
            _add_lists(section, body, failure, always)
        else:
            self._loop(section, strategy, parts, (body, failure, always))
        self._notes.translated(self._line, f"the job `{self._name}` is the group `{self._new_id}`")

    def _loop(
        self,
        section: Section,
        strategy: matrix.Strategy,
        parts: _Parts,
        lists: tuple[list[Section], list[Section], list[Section]],
    ) -> None:
        """A job with a matrix: its steps for every item, in a group of their own where that says something."""
        body, failure, always = lists
        section.add("each", strategy.each)
        section.add("as", "matrix")
        for key, value in strategy.keys.items():
            section.add(key, value)
        if not (parts.wrapped or failure or always):
            section.add("steps", body)
            return
        inner = Section().add("id", self._frame.shared.ids.take(f"{self._new_id}_item"))
        for key, value in parts.wrapped.items():
            inner.add_some(key, value)
        _add_lists(inner, body, failure, always)
        section.add("steps", [inner])

    def _called(self, section: Section) -> None:
        """A job that is another workflow."""
        written = tree.text_at(self._node, "uses") or ""
        name = naming.slug(re.sub(r"\.ya?ml(@.*)?$", "", written.rpartition("/")[2]), otherwise="workflow")
        project = self._frame.project
        if not written.startswith("./") or project is None or name not in project.workflows:
            self._by_hand(
                section,
                f"the workflow `{written}` is not in this project: import it first, then this one again",
            )
            return
        section.add("workflow", name)
        given: dict[str, str] = {}
        for entry in tree.entries(tree.value(self._node, "with")):
            self._scope.line = self._frame.file.line(entry.key)
            try:
                given[naming.slug(entry.key.text, otherwise="input")] = texts.text(
                    tree.text(entry.value) or "", self._scope
                )
            except steps.Refusal as error:
                self._notes.cannot(self._scope.line, f"the input `{entry.key.text}`: {error}")
        section.add_some("with", given)
        if tree.value(self._node, "secrets") is not None:
            self._notes.changed(self._line, "secrets are not handed over: the other workflow names its own")
        self._notes.translated(self._line, f"the job `{self._name}` calls the workflow `{name}`")

    def _by_hand(self, section: Section, why: str) -> None:
        """A job that cannot be translated is done by a person until somebody writes it."""
        file = self._frame.file
        section.entries = [entry for entry in section.entries if entry.key in ("id", "if")]
        section.head = [
            f"Line {self._line} of the original:",
            *(f"  {each}" for each in file.original(self._node)),
        ]
        what = (tree.text_at(self._node, "uses") or "").replace(texts.OPEN, "$ {{")
        section.add("task", f"By hand: the job {self._plain_name()}")
        words = why.replace(texts.OPEN, "$ {{")
        section.add(
            "instructions",
            f"Do what the job in line {self._line} of the original did"
            f"{f' (the workflow `{what}`)' if what else ''}, or replace this task under the same id.\n"
            f"Why: {words}\n",
        )
        section.add("assign", [self._frame.assign])
        self._notes.cannot(self._line, f"{why}: the job `{self._name}` is a task for {self._frame.assign}")

    def _empty(self) -> Section:
        word = self._frame.shared.ids.take(f"{self._new_id}_nothing")
        return Section(head=["None of its steps is needed here."]).add("id", word).add("run", ":")

    # --- keys ---

    def _title(self) -> str | None:
        name = tree.text_at(self._node, "name")
        if name is None:
            return None
        try:
            return texts.text(name, self._scope)
        except steps.Refusal:
            return _without_values(name) or None

    def _plain_name(self) -> str:
        return _without_values(tree.text_at(self._node, "name") or "") or _without_values(self._name)

    def _condition(self) -> tuple[Status, str | None]:
        given = tree.value(self._node, "if")
        source = tree.text(given)
        if given is None or source is None:
            return Status.SUCCESS, None
        self._scope.line = self._frame.file.line(given)
        found = steps.condition_of(
            source,
            self._scope,
            gate=f"run_{self._new_id}",
            what=f"the job `{self._name}`",
            is_lost=self._new_id in self._frame.by_hand,
        )
        self._scope.line = self._line
        return found.status, found.cel

    def _add_where(self, parts: _Parts, env: dict[str, str], *, is_loop: bool) -> None:
        """Where and how long the job runs, and with which environment."""
        keys: dict[str, Any] = {}
        minutes = tree.value(self._node, "timeout-minutes")
        if minutes is not None:
            timeout = steps.duration_of(tree.text(minutes))
            if timeout is None:
                self._notes.cannot(self._frame.file.line(minutes), "a timeout is written out: 10m")
            else:
                parts.wrapped["timeout"] = timeout
        if environment := self._environment(parts):
            parts.wrapped["environment"] = environment
        if runs_on := self._runs_on():
            keys["runs_on"] = runs_on
        if env:
            reads_matrix = is_loop and any("matrix" in value for value in env.values())
            (parts.wrapped if reads_matrix else keys)["env"] = env
        for key, value in keys.items():
            parts.section.add_some(key, value)
        goes_on = tree.value(self._node, "continue-on-error")
        if tree.data(goes_on) is True:
            parts.section.add("on_failure", "continue")
        elif goes_on is not None and tree.data(goes_on) is not False:
            self._notes.cannot(
                self._frame.file.line(goes_on),
                "`continue-on-error` is true or false: a failure of the job counts",
            )

    def _environment(self, parts: _Parts) -> str | None:
        node = tree.value(self._node, "environment")
        if node is None:
            return None
        line = self._frame.file.line(node)
        name = tree.text(node) or tree.text_at(node, "name")
        if tree.value(node, "url") is not None:
            self._notes.cannot(line, "the `url` of an environment stands in towpath.yaml")
        if name is None:
            return None
        self._scope.line = line
        try:
            written = texts.text(name, self._scope)
        except steps.Refusal as error:
            self._notes.cannot(line, f"`environment: {name}`: {error}; its protection does not apply")
            return None
        project = self._frame.project
        is_fixed = texts.OPEN not in written
        if is_fixed and project is not None and project.has_file and written not in project.file.environments:
            self._notes.cannot(
                line, f"towpath.yaml has no environment `{written}`: add it there, and here: environment"
            )
            parts.section.head.append(f"environment: {written}    once towpath.yaml has it")
            return None
        if is_fixed and not naming.is_id(written):
            self._notes.changed(line, f"the environment `{written}` is `{naming.slug(written)}`")
            return naming.slug(written)
        return written

    def _runs_on(self) -> list[str]:
        node = tree.value(self._node, "runs-on")
        if node is None:
            return []
        line = self._frame.file.line(node)
        labels = tree.texts(tree.value(node, "labels") if isinstance(node, Table) else node)
        if any("${{" in label for label in labels) or not labels:
            self._notes.cannot(
                line, "`runs-on` by an expression: labels are written out; it runs on any worker"
            )
            return []
        hosted = [label for label in labels if _HOSTED.fullmatch(label)]
        if hosted:
            self._notes.changed(line, f"`{hosted[0]}`: it runs where Towpath runs, or in a `container`")
        kept = [label for label in labels if label not in hosted and label != "self-hosted"]
        if kept:
            self._notes.changed(
                line, f"a worker has to have the label {', '.join(f'`{label}`' for label in kept)}"
            )
        return kept

    def _container(self) -> str | None:
        node = tree.value(self._node, "container")
        if node is None:
            return None
        image = tree.text(node) or tree.text_at(node, "image")
        for entry in tree.entries(node):
            if entry.key.text == "env":
                self._notes.cannot(
                    self._frame.file.line(entry.key), "`env` of a container: write it on the job"
                )
            elif entry.key.text != "image":
                self._notes.cannot(
                    self._frame.file.line(entry.key), f"`{entry.key.text}` of a container has no like here"
                )
        self._scope.line = self._frame.file.line(node)
        return texts.text(image, self._scope) if image else None

    # --- steps and outputs ---

    def _steps(self) -> StepReader:
        own = defaults_of(tree.value(self._node, "defaults"))
        windows = any(label.startswith("windows") for label in tree.texts(tree.value(self._node, "runs-on")))
        defaults = Defaults(
            shell=own.shell or self._frame.defaults.shell or ("pwsh" if windows else None),
            cwd=own.cwd or self._frame.defaults.cwd,
            container=self._container(),
        )
        reader = StepReader(
            self._frame.file,
            self._scope,
            defaults=defaults,
            assign=self._frame.assign,
            by_hand=self._frame.by_hand,
        )
        node = tree.value(self._node, "steps")
        for item in node.items if isinstance(node, Items) else ():
            reader.read(item)
        return reader

    def _tell_order(self, reader: StepReader) -> None:
        """Steps that run at the end now, and not in the middle as before."""
        last = max((n for n, each in enumerate(reader.built) if each.status is Status.SUCCESS), default=-1)
        for place, each in enumerate(reader.built):
            if each.status is not Status.SUCCESS and place < last:
                self._notes.changed(each.line, f"`{each.seen.new_id}` runs after the job's other steps")

    def _outputs(self, is_loop: bool, *, is_conditional: bool) -> dict[str, Term | str]:  # noqa: FBT001 - two facts
        made: dict[str, Term | str] = {}
        for entry in tree.entries(tree.value(self._node, "outputs")):
            name, line = entry.key.text, self._frame.file.line(entry.key)
            self._scope.line = line
            if is_loop:
                made[name] = f"the job `{self._name}` runs once for each item: its outputs are many"
                self._notes.cannot(line, f"{made[name]}; read steps.{self._new_id}.items")
                continue
            try:
                term = texts.whole(tree.text(entry.value) or "", self._scope)
            except steps.Refusal as error:
                made[name] = f"the output `{name}` of the job `{self._name}`: {error}"
                self._notes.cannot(line, str(made[name]))
                continue
            made[name] = term if term.is_constant or not is_conditional else _lacking(term)
        return made


def _without_values(name: str) -> str:
    """A name without its expressions, and without the brackets that hold nothing else."""
    name = re.sub(r"\s*\([^()]*\$\{\{[^()]*\)|\s*\[[^\[\]]*\$\{\{[^\[\]]*\]", "", name)
    name = re.sub(r"\s*\$\{\{.*?\}\}", "", name).replace(texts.OPEN, "$ {{")
    return name.strip(" -–—/,:")


def _lacking(term: Term) -> Term:
    kind: Kind = term.kind
    return Term(cel=term.cel, kind=kind, may_lack=True, binds=term.binds)


def _add_lists(section: Section, body: list[Section], failure: list[Section], always: list[Section]) -> None:
    section.add("steps", body)
    section.add_some("on_failure", failure)
    section.add_some("finally", always)


def defaults_of(node: Node | None) -> Defaults:
    """`defaults: run:` of a workflow or a job."""
    run = tree.value(node, "run")
    return Defaults(shell=tree.text_at(run, "shell"), cwd=tree.text_at(run, "working-directory"))


def words(jobs: Table) -> Iterator[str]:
    """The words that the ids of all jobs and steps are made from."""
    for entry in jobs.entries:
        yield naming.slug(entry.key.text, otherwise="job")
        node = tree.value(entry.value, "steps")
        for item in node.items if isinstance(node, Items) else ():
            yield steps.word_of(item)
