"""A whole workflow of GitHub Actions as one of ours.

The idea. Translating is tried, and the outcome is read by the same loader that runs read. Where it does not load,
what does not load becomes a task for a person, and it is tried again: so the outcome always passes `tow lint`,
whatever the original holds, and what was given up is told with its line.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from towpath.definition import loader, model, shape, source
from towpath.definition.actions import ActionCards
from towpath.definition.importing import naming, writing
from towpath.definition.importing.checklist import Assignment, usual_assignee
from towpath.definition.importing.github import contexts, jobs, steps, texts, tree, triggers
from towpath.definition.importing.github.cel import Status
from towpath.definition.importing.github.contexts import Scope, Shared
from towpath.definition.importing.github.jobs import Frame, Job
from towpath.definition.importing.report import Imported, Notes
from towpath.definition.importing.writing import Section
from towpath.definition.problems import DefinitionProblems, Problem, errors_of
from towpath.definition.projects import Project
from towpath.definition.source import Node, Scalar, Table
from towpath.errors import Refused

ROUNDS_MAX: Final = 12
"""Times that what did not load is given up and the rest is tried again."""
_KEYS: Final = frozenset(("name", "run-name", "on", "permissions", "env", "defaults", "concurrency", "jobs"))


@dataclass(frozen=True, slots=True, kw_only=True)
class _GivenUp:
    """What did not load when it was translated."""

    steps: frozenset[str] = frozenset()
    triggers: frozenset[int] = frozenset()
    keys: frozenset[str] = frozenset()
    """Keys of the file, and `env.NAME`."""


def import_github(
    text: str,
    *,
    path: str,
    stem: str,
    name: str | None = None,
    assignment: Assignment | None = None,
    project: Project | None = None,
    cards: ActionCards | None = None,
) -> Imported:
    """A workflow of GitHub Actions as a workflow of ours.

    Raises DefinitionProblems where the original is no YAML, and Refused where it is no workflow.

    Args:
        text: the original.
        path: what comments and notes call it.
        stem: the file's name without its ending.
        name: the workflow's name.
        assignment: who does what cannot be translated.
        project: whose environments, people and other workflows there are.
        cards: the actions that there are.

    """
    read = source.read_source(text, path=path)
    if read.root is None:
        raise DefinitionProblems(read.problems)
    file = tree.File(read=read, root=read.root)
    if not isinstance(tree.value(read.root, "jobs"), Table):
        raise Refused(f"{path} is no workflow of GitHub Actions: it has no `jobs`")
    own_name = name or naming.slug(stem, otherwise="workflow")
    given_up = _GivenUp()
    for _ in range(ROUNDS_MAX):
        made = _Writer(file, own_name, assignment or Assignment(), project, given_up).write()
        problems = errors_of(
            loader.check_workflow(made.text, path=path, project=project, cards=cards).problems
        )
        more = _giving_up(made.text, problems, given_up)
        if more == given_up:
            break
        given_up = more
    return made


class _Writer:
    """One workflow being written."""

    def __init__(
        self,
        file: tree.File,
        name: str,
        assignment: Assignment,
        project: Project | None,
        given_up: _GivenUp,
    ) -> None:
        self._file = file
        self._name = name
        self._project = project
        self._given_up = given_up
        self._assign = assignment.otherwise or usual_assignee(assignment.people)
        self._notes = Notes()
        table = tree.value(file.root, "jobs")
        assert isinstance(table, Table), "asked for before"
        self._jobs = table
        words = list(jobs.words(table))
        shared_words = frozenset(word for word in words if words.count(word) > 1)
        self._shared = Shared(notes=self._notes, ids=naming.Ids(shared=shared_words))
        if len(table.entries) > 1:
            self._block_id = self._shared.ids.take("jobs")
        self._scope = Scope(shared=self._shared, line=1)

    def write(self) -> Imported:
        """All of it."""
        root = self._file.root
        self._tell_keys()
        started = triggers.read(self._file, self._notes)
        self._shared.inputs = dict(started.inputs)
        env = self._env()
        concurrency = self._concurrency()
        frame = Frame(
            file=self._file,
            shared=self._shared,
            env=self._scope.env,
            defaults=jobs.defaults_of(tree.value(root, "defaults")),
            assign=self._assign,
            by_hand=self._given_up.steps,
            project=self._project,
        )
        done = [jobs.read(entry, frame) for entry in jobs.in_order(self._jobs, frame)]
        outputs = self._outputs(started.outputs)
        top = Section(head=self._header())
        top.add("name", self._name)
        title = (tree.text_at(root, "name") or "").replace(texts.OPEN, "$ {{")
        top.add_some("title", title[: model.TITLE_CHARS_MAX])
        top.add("kind", naming.kind_of(title or self._name))
        top.add("on", started.written(self._shared.events, self._given_up.triggers), has_gap=True)
        self._add_inputs(top, started)
        self._add_vars(top)
        if concurrency:
            top.add("concurrency", concurrency, has_gap=True)
        top.add("env", {"CI": "true", **env}, has_gap=True)
        self._add_jobs(top, done)
        top.add_some("outputs", outputs)
        self._tell_secrets()
        text = writing.document(top)
        return Imported(
            name=self._name, text=text, steps=_count(text), suggestions=0, notes=self._notes.in_order()
        )

    def _header(self) -> list[str]:
        return [
            f"Made from {self._file.read.path} by `tow import`, which also told what could not be taken over.",
            "What nothing here is like became a task, with the original above it: tow automate makes it a script.",
        ]

    # --- keys of the file ---

    def _tell_keys(self) -> None:
        for problem in self._file.read.problems:
            if problem.severity == "error":
                self._notes.cannot(problem.line or 1, problem.message)
        for entry in self._file.root.entries:
            key, line = entry.key.text, self._file.line(entry.key)
            if key == "permissions":
                self._notes.cannot(line, "`permissions`: a token's rights are given where the token is made")
            elif key == "run-name":
                self._notes.cannot(line, "`run-name`: a run is called by its workflow and number")
            elif key not in _KEYS:
                self._notes.cannot(line, f"`{key}` has no like here")
        for key in sorted(self._given_up.keys):
            self._notes.cannot(1, f"`{key}` was left out: its translation did not load")

    def _env(self) -> dict[str, str]:
        found = steps.environment_of(tree.value(self._file.root, "env"), self._file, self._scope)
        return {name: value for name, value in found.items() if f"env.{name}" not in self._given_up.keys}

    def _concurrency(self) -> dict[str, Any] | None:
        node = tree.value(self._file.root, "concurrency")
        if node is None or "concurrency" in self._given_up.keys:
            return None
        line = self._file.line(node)
        self._scope.line = line
        group = tree.text(node) or tree.text_at(node, "group") or self._name
        try:
            written = texts.text(group, self._scope)
        except steps.Refusal as error:
            self._notes.cannot(line, f"`concurrency: {group}`: {error}; one run at a time instead")
            written = self._name
        cancels = tree.value(node, "cancel-in-progress")
        if cancels is not None and not isinstance(tree.data(cancels), bool):
            self._notes.cannot(self._file.line(cancels), "`cancel-in-progress` is true or false: runs queue")
        replaces = tree.data(cancels) is True
        self._notes.translated(
            line, f"`concurrency`: {'a new run replaces the old one' if replaces else 'runs queue'}"
        )
        return {"group": written, "max": 1, "when_full": "replace" if replaces else "queue"}

    def _outputs(self, node: Node | None) -> dict[str, str]:
        made: dict[str, str] = {}
        for entry in tree.entries(node):
            self._scope.line = self._file.line(entry.key)
            name = naming.slug(entry.key.text, otherwise="output")
            if f"outputs.{name}" in self._given_up.keys:
                continue
            try:
                made[name] = texts.text(tree.text_at(entry.value, "value") or "", self._scope)
            except steps.Refusal as error:
                self._notes.cannot(self._scope.line, f"the output `{entry.key.text}`: {error}")
        return made

    def _add_inputs(self, top: Section, started: triggers.Started) -> None:
        declared: dict[str, dict[str, Any]] = dict(started.inputs)
        declared.update(contexts.event_inputs(self._shared.events, started.default_branch))
        for name, written in self._shared.gates.items():
            title = " ".join(written.replace(texts.OPEN, "").replace("}}", "").split())
            declared[name] = {"type": "boolean", "default": False, "title": f"Was: if {title}"}
        if declared:
            inputs = Section()
            for name, value in declared.items():
                inputs.add(name, value)
            top.add("inputs", inputs, has_gap=True)

    def _add_vars(self, top: Section) -> None:
        if not self._shared.vars:
            return
        found = Section()
        for name, line in self._shared.vars.items():
            found.add(name, "", beside=f"the value of vars.{name.upper()}")
            self._notes.cannot(
                line, f"the value of the variable `{name}` is kept at GitHub: write it under `vars`"
            )
        top.add("vars", found, has_gap=True)

    def _tell_secrets(self) -> None:
        for name, line in self._shared.secrets.items():
            self._notes.changed(line, f"the secret `{name}` has to be set: tow secrets set {name}")

    # --- jobs ---

    def _add_jobs(self, top: Section, done: Sequence[Job]) -> None:
        """Jobs side by side; those that always run, or run after a failure, at the end."""
        normal = [job for job in done if job.status is Status.SUCCESS]
        for job in done:
            if job.status is Status.CANCELLED:
                self._notes.cannot(
                    job.line, f"the job `{job.name}` runs only when a run is cancelled: left out"
                )
        if not normal:
            normal = [Job(name="", new_id="", section=Section().add("id", "nothing").add("run", ":"),
                          status=Status.SUCCESS, needs=(), is_conditional=False, line=1)]  # fmt: skip
        if _is_chain(normal):
            top.add("steps", [job.section for job in normal], has_gap=True)
        else:
            block = Section().add("id", self._block_id)
            block.add("parallel", [self._beside(job, normal) for job in normal])
            block.add("fail_fast", False)  # noqa: FBT003 - the value of the key
            top.add("steps", [block], has_gap=True)
        for key, status in (("on_failure", Status.FAILURE), ("finally", Status.ALWAYS)):
            late = [job for job in done if job.status is status]
            if late:
                top.add(key, [job.section for job in late], has_gap=True)
            for job in late:
                self._notes.translated(job.line, f"the job `{job.name}` stands under `{key}`")
        self._tell_left_out(done, {job.name for job in normal})

    def _tell_left_out(self, done: Sequence[Job], names: set[str]) -> None:
        for job in done:
            if job.status is Status.CANCELLED:
                self._notes.cannot(
                    job.line, f"the job `{job.name}` runs only when a run is cancelled: left out"
                )
            if job.name not in names:
                continue
            for need in job.needs:
                if need not in names:
                    self._notes.cannot(
                        job.line, f"the job `{job.name}` needs `{need}`, which runs at the very end now"
                    )

    def _beside(self, job: Job, normal: Iterable[Job]) -> Section:
        """A job with what it needs; one that needs a job that may be passed over is passed over with it."""
        by_name = {other.name: other for other in normal}
        needs = [by_name[name] for name in job.needs if name in by_name]
        section = job.section
        unsure = [other for other in needs if other.is_conditional]
        holds = [f'steps.{other.new_id}.status != "skipped"' for other in unsure]
        own = section.get("if")
        if holds and own is not None:
            section.replace("if", " && ".join([*holds, f"({own})" if "||" in own or "?" in own else own]))
        made = Section(head=section.head)
        for entry in section.entries:
            made.entries.append(entry)
            if entry.key == "id":
                made.add_some("needs", [other.new_id for other in needs])
                if holds and own is None:
                    made.add("if", " && ".join(holds))
        return made


def _is_chain(done: Sequence[Job]) -> bool:
    """Whether every job needs the one before it and no other, and none can be passed over but the last."""
    names = {job.name for job in done}
    for place, job in enumerate(done):
        needs = [name for name in job.needs if name in names]
        if needs != ([done[place - 1].name] if place else []):
            return False
        if job.is_conditional and place + 1 < len(done):
            return False
    return True


def _count(text: str) -> int:
    """The steps that do something."""
    read = source.read_source(text, path="")
    shaped = shape.shape(model.Workflow, read) if read.root is not None else None
    workflow = shaped.value if shaped is not None else None
    return sum(1 for step in _all_steps(workflow) if not any(True for _ in step.body())) if workflow else 0


def _all_steps(part: model.Workflow | model.Step) -> Iterable[model.Step]:
    for _, listed in part.children():
        for step in listed:
            yield step
            yield from _all_steps(step)


# --- what does not load -------------------------------------------------------------------------------------


def _giving_up(text: str, problems: Sequence[Problem], before: _GivenUp) -> _GivenUp:
    """What has to go so that the rest loads: the innermost step around each problem, or a key of the file."""
    if not problems:
        return before
    read = source.read_source(text, path="")
    if read.root is None:
        return before
    lost_steps, lost_triggers, lost_keys = set(before.steps), set(before.triggers), set(before.keys)
    for problem in problems:
        offset = read.line_starts[(problem.line or 1) - 1] + (problem.column or 1) - 1
        name = _step_around(read.root, offset, lost_steps)
        if name is not None:
            lost_steps.add(name)
            continue
        for entry in read.root.entries:
            if entry.key.start <= offset <= entry.value.end:
                _give_up_key(entry.key.text, entry.value, offset, lost_triggers, lost_keys)
    return replace(
        before, steps=frozenset(lost_steps), triggers=frozenset(lost_triggers), keys=frozenset(lost_keys)
    )


def _give_up_key(key: str, value: Node, offset: int, lost_triggers: set[int], lost_keys: set[str]) -> None:
    if key == "on":
        places = [n for n, item in enumerate(getattr(value, "items", ())) if item.start <= offset <= item.end]
        lost_triggers.update(places)
    elif key in ("env", "outputs"):
        for inner in tree.entries(value):
            if inner.key.start <= offset <= inner.value.end:
                lost_keys.add(f"{key}.{inner.key.text}")
    elif key == "concurrency":
        lost_keys.add(key)


def _step_around(root: Node, offset: int, lost: set[str]) -> str | None:
    """The id of the innermost step around an offset that is not given up yet."""
    found: str | None = None
    for table in _tables(root):
        if not table.start <= offset <= table.end:
            continue
        entry = table.get("id")
        is_step = entry is not None and isinstance(entry.value, Scalar) and len(table.entries) > 1
        if entry is not None and is_step and entry.value.text not in lost:  # type: ignore[union-attr] # a scalar
            found = entry.value.text  # type: ignore[union-attr] # as above
    return found


def _tables(node: Node) -> Iterable[Table]:
    """Every mapping, the outer ones first."""
    if isinstance(node, Table):
        yield node
        for entry in node.entries:
            yield from _tables(entry.value)
    elif not isinstance(node, Scalar):
        for item in node.items:
            yield from _tables(item)
