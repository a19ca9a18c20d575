"""Drafts of steps in, a workflow of manual tasks out, with the commands as suggestions.

A command of the runbook stands twice: in the task's instructions, where people read it, and as a commented `run:`
below the task, where `tow automate` takes it from. Nothing runs that nobody confirmed.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

from towpath.definition import model
from towpath.definition.checks import people as people_checks
from towpath.definition.importing import drafts, markdown, naming, scripts, writing
from towpath.definition.importing.drafts import Code, Draft, Placeholder
from towpath.definition.importing.report import Imported, Notes
from towpath.definition.importing.writing import Section
from towpath.definition.project import People
from towpath.errors import LimitExceeded

DEFAULT_ASSIGNEE: Final = "group:ops"
LINES_SHOWN: Final = 20
"""Lines that one note names."""
_OPEN = "${{"


@dataclass(frozen=True, slots=True, kw_only=True)
class Assignment:
    """Who does what nobody is named for, and who there is."""

    otherwise: str | None = None
    """A principal; the project's operators, or `group:ops`, where it is None."""
    people: People | None = None
    """The project's people; nobody is checked without."""


def import_markdown(
    text: str, *, path: str, stem: str, name: str | None = None, assignment: Assignment | None = None
) -> Imported:
    """A runbook or a checklist in Markdown as a workflow of manual tasks.

    Args:
        text: the runbook.
        path: what comments and notes call it.
        stem: the file's name without its ending; title and name come from it where nothing else says them.
        name: the workflow's name.
        assignment: who does what the runbook names nobody for.

    """
    notes = Notes()
    runbook = markdown.read(text, stem=stem, notes=notes)
    count = sum(step.count() for step in runbook.steps)
    if count > model.STEPS_MAX:
        raise LimitExceeded(
            f"the runbook has {count:,} steps; a workflow has at most {model.STEPS_MAX:,}",
            limit="steps_max",
            help="import its parts one by one; a `workflow` step calls another file",
        )
    return _Writer(runbook, path=path, notes=notes, assignment=assignment or Assignment()).write(
        name or naming.slug(runbook.name or stem, otherwise="runbook")
    )


def usual_assignee(people: People | None) -> str:
    """Who does what nobody is named for: `group:ops`, or the group of the project that is most like it."""
    if people is None or people_checks.unknown_principal(people, DEFAULT_ASSIGNEE) is None:
        return DEFAULT_ASSIGNEE
    operators = [name for name in people.groups if re.match(r"op(?:s|erat)|infra|platform|sre", name)]
    for name in (*operators, *people.groups):
        return f"group:{name}"
    return next((f"user:{name}" for name in people.users), DEFAULT_ASSIGNEE)


@dataclass(slots=True, kw_only=True)
class _InputSeen:
    """A placeholder, and where it stands."""

    lines: list[int] = field(default_factory=list)
    written: dict[str, None] = field(default_factory=dict)


class _Writer:
    """One runbook being written as a workflow."""

    def __init__(self, runbook: markdown.Runbook, *, path: str, notes: Notes, assignment: Assignment) -> None:
        self._runbook = runbook
        self._path = path
        self._notes = notes
        self._people = assignment.people
        self._otherwise = assignment.otherwise or usual_assignee(assignment.people)
        words = [naming.slug(step.title) for step in _all(runbook.steps)]
        self._ids = naming.Ids(shared=frozenset(word for word in words if words.count(word) > 1))
        self._inputs: dict[str, _InputSeen] = {}
        self._set = {
            name: leaf
            for leaf in self._leaves()
            for code in leaf.codes
            for name in scripts.variables_set(code.text)
        }
        self._suggestions = 0
        self._nobody: list[int] = []

    def write(self, name: str) -> Imported:
        """The whole file."""
        self._find_inputs()
        steps = [self._step(step, within="") for step in self._runbook.steps]
        top = Section(head=self._header())
        title = self._fixed(self._runbook.title, 1)
        top.add("name", name)
        top.add("title", title[: model.TITLE_CHARS_MAX])
        if self._runbook.description:
            text = self._fixed(self._runbook.description, 1)
            top.add("description", text + ("\n" if "\n" in text else ""))
        top.add("kind", naming.kind_of(title))
        self._add_inputs(top)
        top.add("steps", steps, has_gap=True)
        self._add_left(top)
        if self._nobody:
            lines = ", ".join(str(line) for line in self._nobody[:LINES_SHOWN])
            more = len(self._nobody) - LINES_SHOWN
            also = f" and {more} more" if more > 0 else ""
            self._notes.changed(
                self._nobody[0], f"nobody is named in line {lines}{also}: {self._otherwise} does it"
            )
        return Imported(
            name=name,
            text=writing.document(top),
            steps=sum(1 for _ in self._leaves()),
            suggestions=self._suggestions,
            notes=self._notes.in_order(),
        )

    def _header(self) -> list[str]:
        return [
            f"Made from {self._path} by `tow import`. People do every step and say so: tow answer",
            "A step is automated one by one and keeps its id, so its history stays comparable:",
            "  tow automate STEP --from-suggestion    takes the commented `run:` below the step",
            "  tow automate STEP --run 'command'      takes another one",
            *self._runbook.comments,
        ]

    # --- steps ---

    def _leaves(self) -> Iterable[Draft]:
        return (leaf for step in self._runbook.steps for leaf in step.leaves())

    def _step(self, draft: Draft, *, within: str) -> Section:
        word = naming.slug(draft.title)
        name = self._ids.take(word, within=within)
        if draft.children:
            section = Section(head=list(draft.comments))
            section.add("id", name)
            section.add("title", self._text(draft.title))
            section.add("steps", [self._step(child, within=word) for child in draft.children])
            self._notes.translated(draft.line, f"group `{name}`")
            return section
        return self._task(draft, name)

    def _task(self, draft: Draft, name: str) -> Section:
        section = Section(head=list(draft.comments))
        section.add("id", name)
        section.add("task", self._text(draft.title))
        suggestion = self._suggestion(draft)
        instructions = self._instructions(draft)
        if instructions:
            section.add("instructions", instructions)
        section.add("assign", self._assign(draft))
        if draft.takes:
            section.add("takes", draft.takes)
        if suggestion is not None:
            section.tail = writing.fragment(suggestion)
            self._suggestions += 1
            self._notes.translated(draft.line, f"task `{name}`, with a suggested `run`")
        else:
            self._notes.translated(draft.line, f"task `{name}`")
        return section

    def _instructions(self, draft: Draft) -> str:
        parts = [self._values(draft)] if draft.body else []
        parts += [
            self._text(text.markdown) if text.kind == "prose" else _escaped(text.markdown)
            for text in draft.body
        ]
        text = "\n\n".join(part.strip("\n") for part in parts if part.strip())
        return f"{text}\n" if "\n" in text else text

    def _values(self, draft: Draft) -> str:
        """What the placeholders in the commands stand for; the commands themselves stay as they were written."""
        code = "\n".join(text.markdown for text in draft.body if text.kind == "code")
        known: dict[str, str] = {found.written: found.name for found in drafts.placeholders(code)}
        for variable in scripts.variables_read("\n".join(each.text for each in draft.codes)):
            if self._is_input(variable):
                known[f"${variable}"] = _of_variable(variable)
        if not known or not code:
            return ""
        said = ", ".join(f"`{written}` is ${{{{ inputs.{name} }}}}" for written, name in known.items())
        return f"Here {said}."

    def _text(self, text: str) -> str:
        """Prose with its placeholders as inputs."""
        parts: list[str] = []
        end = 0
        for found in drafts.placeholders(text):
            parts += [_escaped(text[end : found.start]), f"${{{{ inputs.{found.name} }}}}"]
            end = found.end
        return "".join(parts) + _escaped(text[end:])

    def _fixed(self, text: str, line: int) -> str:
        """A text that takes no expression."""
        if _OPEN in text:
            self._notes.changed(line, f"`{_OPEN}` is written with a gap: titles and descriptions are fixed")
        return text.replace(_OPEN, "$ {{")

    # --- who ---

    def _assign(self, draft: Draft) -> list[str]:
        named = [*draft.owners] or [*self._runbook.owners]
        if not named:
            self._nobody.append(draft.line)
            return [self._otherwise]
        known = []
        for principal in named:
            unknown = people_checks.unknown_principal(self._people, principal) if self._people else None
            if unknown is None:
                known.append(principal)
            else:
                message, advice = unknown
                self._notes.cannot(
                    draft.line, f"{message} ({advice}): {self._otherwise} does it until somebody is named"
                )
        return list(dict.fromkeys(known)) or [self._otherwise]

    # --- values ---

    def _find_inputs(self) -> None:
        for leaf in self._leaves():
            texts: list[tuple[int, str]] = [(leaf.line, leaf.title)]
            texts += [(text.line, text.markdown) for text in leaf.body]
            texts += [(code.line, code.text) for code in leaf.codes]
            for line, text in texts:
                for found in drafts.placeholders(text):
                    self._see(found.name, line, found.written)
            for code in leaf.codes:
                for variable in scripts.variables_read(code.text):
                    self._see_variable(variable, code, leaf)
        for group in _all(self._runbook.steps):
            if group.children:
                for found in drafts.placeholders(group.title):
                    self._see(found.name, group.line, found.written)

    def _see(self, name: str, line: int, written: str) -> None:
        seen = self._inputs.setdefault(name, _InputSeen())
        seen.written.setdefault(written)
        if line not in seen.lines:
            seen.lines.append(line)

    def _see_variable(self, variable: str, code: Code, leaf: Draft) -> None:
        if self._is_input(variable):
            self._see(_of_variable(variable), code.line, f"${variable}")
        elif self._set[variable] is not leaf:
            where = self._set[variable].line
            self._notes.cannot(
                code.line,
                f"`${variable}` is set by the step of line {where}; steps do not share a shell: "
                f"when both are automated, hand it on through $TOW_OUTPUT and `outputs`",
            )

    def _is_input(self, variable: str) -> bool:
        return variable not in self._set

    def _add_inputs(self, top: Section) -> None:
        if not self._inputs:
            return
        inputs = Section()
        for name, seen in self._inputs.items():
            lines = ", ".join(str(line) for line in sorted(seen.lines)[:8])
            written = ", ".join(f"`{one}`" for one in seen.written)
            title = name.replace("_", " ").capitalize()
            inputs.add(name, {"type": "string", "title": title}, beside=f"{written} in line {lines}")
            self._notes.translated(min(seen.lines), f"{written} became the input `{name}`")
        top.add("inputs", inputs, has_gap=True)

    # --- suggestions ---

    def _suggestion(self, draft: Draft) -> Section | None:
        """The `run` that the commands of a step make."""
        usable: list[Code] = []
        shell = None
        for code in draft.codes:
            runs_in = scripts.SHELLS.get(code.language)
            if runs_in is None:
                self._notes.cannot(
                    code.line, f"a block of `{code.language}` is no script: it stays in the instructions"
                )
            elif _OPEN in code.text:
                self._notes.cannot(code.line, f"a script cannot hold `{_OPEN}`: no `run` is suggested")
            elif shell not in (None, runs_in):
                self._notes.cannot(
                    code.line, "a second language in one step: split the step to automate both"
                )
            else:
                shell = runs_in
                usable.append(code)
        text = "".join(_script_of(code) for code in usable)
        if not text.strip():
            return None
        return self._run(draft, text, shell or "bash")

    def _run(self, draft: Draft, text: str, shell: str) -> Section | None:
        found = list(drafts.placeholders(text))
        env: dict[str, str] = {}
        if shell == "bash":
            text, env = self._with_variables(draft, text, found)
            for variable in scripts.variables_read(text):
                if variable not in env and self._is_input(variable):
                    env[variable] = f"${{{{ inputs.{_of_variable(variable)} }}}}"
        elif found:
            words = ", ".join(f"`{each.written}`" for each in found)
            self._notes.cannot(
                draft.line, f"{words} stands in a script of {shell}: read it from the environment there"
            )
            return None
        section = Section()
        script = text.strip("\n")
        section.add("run", f"{script}\n" if "\n" in script else script)
        if shell != "bash":
            section.add("shell", shell)
        section.add_some("env", env)
        return section

    def _with_variables(
        self, draft: Draft, text: str, found: Sequence[Placeholder]
    ) -> tuple[str, dict[str, str]]:
        names = {each.name: _variable_of(each.name) for each in found}
        replaced = scripts.replace(
            text,
            [scripts.Span(start=each.start, end=each.end, variable=names[each.name]) for each in found],
        )
        for span in replaced.unread:
            self._notes.cannot(
                draft.line, f"`${span.variable}` stands where the shell reads no variable: look at the script"
            )
        return replaced.text, {variable: f"${{{{ inputs.{name} }}}}" for name, variable in names.items()}

    def _add_left(self, top: Section) -> None:
        """Lines that belong to no step stand at the end, as comments."""
        if not self._runbook.left:
            return
        top.has_tail_gap = True
        top.tail.append("Lines of the runbook that belong to no step:")
        for line, text in self._runbook.left:
            top.tail.append(f"  {line}: {text.strip()}")
            self._notes.cannot(line, "belongs to no step: it stands at the end, as a comment")


def _all(steps: Iterable[Draft]) -> Iterable[Draft]:
    for step in steps:
        yield step
        yield from _all(step.children)


def _escaped(text: str) -> str:
    """Text in which nothing is an expression."""
    return text.replace(_OPEN, "$" + _OPEN)


def _of_variable(variable: str) -> str:
    return naming.slug(variable, otherwise="value")


def _variable_of(name: str) -> str:
    variable = name.upper()
    return (
        f"VALUE_{variable}"
        if variable in scripts.KNOWN_VARIABLES or variable.startswith("TOW_")
        else variable
    )


def _script_of(code: Code) -> str:
    text = scripts.without_prompts(code.text)
    return text if text.endswith("\n") else f"{text}\n"
