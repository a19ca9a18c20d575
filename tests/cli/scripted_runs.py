"""Runs made by the real core from a file's text and a script of what happens: the views are tested on what users see."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable

from towpath.core import commands, decide, events, stimuli
from towpath.core.plan import Plan
from towpath.core.run import Error, Run
from towpath.definition import model, shape, source

START = 1_764_000_000_000_000
SECOND = 1_000_000


class Scripted:
    """A run that a test drives by hand; time goes on only when it says so."""

    def __init__(self, text: str, **inputs: object) -> None:
        read = source.read_source(textwrap.dedent(text), path="test.yaml")
        workflow = shape.shape(model.Workflow, read).value
        assert workflow is not None, read.problems
        defaults = {name: given.default for name, given in workflow.inputs.items() if given.has_default}
        self.plan = Plan(workflow, "d" * 64)
        self.now = START
        self.facts: list[events.AnyEvent] = []
        self.run: Run = decide.new_run(self.plan, "r1")
        self.tell(
            stimuli.Start(
                at=self.now, run="r1", digest="d" * 64, inputs={**defaults, **inputs}, started_by="user:ada"
            )
        )

    def tell(self, stimulus: stimuli.AnyStimulus) -> Scripted:
        """Tells the core something."""
        facts, self.run = decide.advance(self.run, stimulus)
        self.facts += facts
        return self

    def after(self, seconds: float) -> Scripted:
        """Time passes."""
        self.now += round(seconds * SECOND)
        return self

    def done(self, *paths: str, **outputs: object) -> Scripted:
        """Attempts succeed, a second each."""
        for path in paths:
            node = self.run.nodes[path]
            self.after(1).tell(
                stimuli.StepEnded(
                    at=self.now, path=path, attempt=node.attempt, stage=node.stage, outputs=outputs
                )
            )
        return self

    def fails(
        self, path: str, message: str = "exit code 1", *, kind: str = "exit", exit_code: int | None = 1
    ) -> Scripted:
        """An attempt fails after a second."""
        node = self.run.nodes[path]
        error = Error(kind=kind, message=message, step=path, exit_code=exit_code)
        return self.after(1).tell(
            stimuli.StepEnded(at=self.now, path=path, attempt=node.attempt, stage=node.stage, error=error)
        )

    def lost(self, path: str) -> Scripted:
        """The performer of an attempt is lost."""
        node = self.run.nodes[path]
        return self.tell(stimuli.Interrupted(at=self.now, path=path, attempt=node.attempt, stage=node.stage))

    def fires(self, path: str) -> Scripted:
        """The timer of a step is due."""
        due = self.run.nodes[path].due
        assert due is not None
        self.now = max(self.now, due)
        return self.tell(stimuli.TimerFired(at=self.now, path=path, purpose="due", due=due))

    def answered(
        self, path: str, decision: str, *, by: str = "user:grace", comment: str = "", **form: object
    ) -> Scripted:
        """A person answers."""
        return self.tell(
            stimuli.Answered(
                at=self.now, path=path, by=by, decision=decision, comment=comment, form=form, via="cli"
            )
        )

    def cancelled(self, by: str = "user:ada", *, rollback: bool = True) -> Scripted:
        """Somebody stops the run; what was being performed ends as cancelled."""
        self.tell(stimuli.Cancel(at=self.now, by=by, rollback=rollback))
        for node in tuple(self.run.open_leaves()):
            if node.stopping:
                self.fails(node.path, "was stopped", kind="cancelled", exit_code=None)
        return self

    def all_done(self) -> Scripted:
        """Everything that is being performed, and what follows, succeeds."""
        while self.run.performing:
            self.done(next(path for path in self.run.leaves if self.run.nodes[path].status == "performing"))
        return self


def owed(facts: Iterable[events.AnyEvent]) -> list[commands.AnyCommand]:
    """The commands that facts ask for."""
    return [command for fact in facts for command in commands.commands(fact)]


RELEASE = """
name: release_shop
inputs:
  version: {type: string, default: 1.0.0}
steps:
  - id: test
    title: Unit tests
    run: "true"
  - id: build
    title: Build ${{ inputs.version }}
    run: "true"
  - id: go_live
    title: Go live
    steps:
      - id: switch
        title: Switch the symlink
        run: "true"
        rollback: {run: "true", id: switch_back}
      - id: smoke
        title: Ask the shop
        run: "true"
        retry: {attempts: 2, delay: 4s, jitter: false}
finally:
  - id: served
    title: What is live now
    run: "true"
"""
FLEET = """
name: fleet
inputs:
  hosts: {type: list, default: [web1, web2, web3]}
steps:
  - id: fleet
    each: ${{ inputs.hosts }}
    as: host
    batch: [1, 100%]
    max_failures: 5
    steps:
      - {id: install, run: "true"}
      - {id: smoke, run: "true"}
"""
"""A small world: three hosts, the first one as a canary."""
