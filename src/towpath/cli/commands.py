"""The table of commands: what `tow` says of each without loading it.

A command's module is imported when the command is used, so that `tow --help` and completion answer at once.
"""

from __future__ import annotations

import keyword
from typing import NamedTuple


class Entry(NamedTuple):
    """One command: its name and the sentence that the overview shows; its module has the same name.

    In the module's name an underscore stands for a hyphen, and where the name is a word of Python's own, another one stands at the end.
    No dataclass: importing those would take a third of the time that `tow --help` has.
    """

    name: str
    help: str

    @property
    def module(self) -> str:
        """Where its `command` is defined."""
        return f"towpath.cli.{self.name.replace('-', '_')}{'_' * keyword.iskeyword(self.name)}"


def _entries(**helps: str) -> tuple[Entry, ...]:
    return tuple(
        Entry(name=name.removesuffix("_").replace("_", "-"), help=text) for name, text in helps.items()
    )


SECTIONS: tuple[tuple[str, tuple[Entry, ...]], ...] = (
    (
        "Serve",
        _entries(
            up="Serve the project: pages, an API, and everything that starts runs",
            doctor="Look whether everything is there that the project needs",
        ),
    ),
    (
        "Run",
        _entries(
            run="Run a workflow, from a file or by its name, and watch it",
            resume="Go on with runs whose owner is gone",
            retry="Go on from the step that failed",
            rerun="Run once more from the beginning, with the same inputs",
        ),
    ),
    (
        "See",
        _entries(
            ps="List runs: what is on its way, what waits, whose owner died",
            show="Show a run: its tree, why it waits, what to type next",
            logs="Show what steps printed",
            graph="Draw a workflow or a run",
            artifacts="List or fetch the files that a run kept",
            versions="The versions of workflows: which one runs take, what changed, why one does not load",
            audit="Who did what, and the proof that nobody changed the record",
        ),
    ),
    (
        "Decide",
        _entries(
            inbox="What waits for you: approvals, tasks, failures",
            approve="Say yes",
            reject="Say no",
            done="Say that a task, or a step by hand, is done",
            send_back="Return the work to an earlier step",
            claim="Say that you take care of a question",
            hand_over="Let somebody else answer",
            withdraw="Take your answer back, while it is open",
            comment="Say something without deciding",
            remind="Tell those who are asked once more",
            outbox="Who was told what, and what could not be told",
            on_call="Who is on call, and who is next",
        ),
    ),
    (
        "Act",
        _entries(
            answer="Answer a question, do a task, settle an unknown outcome",
            cancel="Stop a run and undo what it did",
            skip="Pass over a step that asks or waits for its retry",
            rollback="Undo what a run did",
            signal="Send a signal to a run that waits for one",
        ),
    ),
    (
        "Listen",
        _entries(
            events="What arrived from outside, and which runs it started",
            trigger="Try out what starts workflows, and what schedules start next",
        ),
    ),
    (
        "Keep",
        _entries(
            login="Keep a token for a server, to use it from here",
            logout="Forget a token",
            users="Who may come in, what they may do and why, links to sign in with",
            tokens="Tokens for programs: make, list, revoke",
            secrets="Keep secrets in the encrypted store",
            gc="Remove old runs and what only they need",
            backup="Write all data into one file",
            restore="Bring the data back from a backup",
        ),
    ),
    (
        "Project",
        _entries(
            init="Begin a project in this folder",
            import_="Make a workflow from a runbook or from GitHub Actions",
            automate="Make a manual step a script, or a script a manual step",
            lint="Check workflows: every mistake at once",
            check="Explore what can happen in a workflow before it runs",
            test="Test workflows: scripted steps and people, virtual time",
            schema="Print the JSON Schema that editors complete from",
            actions="List the actions that steps can use",
            completion="Print the completion script of a shell",
            version="Print the version",
        ),
    ),
)

ENTRIES: dict[str, Entry] = {entry.name: entry for _, entries in SECTIONS for entry in entries}

OPTIONS: tuple[tuple[str, str], ...] = (
    ("--project DIR", "The project's folder; the nearest one upwards with a towpath.yaml"),
    ("--data DIR", "The data folder; .towpath in the project's folder (TOW_DATA)"),
    ("--server URL", "A server to use instead of a data folder (TOW_SERVER, TOW_TOKEN); see tow login"),
    ("--help", "Show this text, or that of a command: tow run --help"),
)
"""The options that stand before a command."""

_COLUMN = 12


def overview() -> str:
    """What `tow` and `tow --help` print."""
    lines = ["Usage: tow [OPTIONS] COMMAND [ARGS]…", "", "Workflows for hosting and IT operations."]
    for title, entries in SECTIONS:
        lines += ["", title, *(f"  {entry.name:<{_COLUMN}}{entry.help}" for entry in entries)]
    lines += ["", "Options", *(f"  {name:<15}{text}" for name, text in OPTIONS)]
    lines += ["", "RUN is a number, an id or its beginning, or `last`. Begin with: tow init && tow run hello"]
    return "\n".join(lines)
