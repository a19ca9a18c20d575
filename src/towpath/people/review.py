"""The review that a broken glass leaves behind: a run of its own, which asks until somebody answers.

Silence never ends it: there is no time limit, and the reviewers are reminded every day. Whoever broke the glass may not find that it was
right (four eyes). Who finds that it was not rejects it, and the review ends as rejected, for everybody to see.
"""

from __future__ import annotations

import functools

from towpath.core.run import Run
from towpath.definition import loader
from towpath.engines.contract import StartRequest
from towpath.store.contract import Definition, RunNumber

_TEXT = """\
name: break_glass_review
title: Review of an emergency change
description: Started by Towpath when a run goes into protected environments without their rules.
kind: task
inputs:
  run: {type: string, title: The run}
  environments: {type: string, title: What it may have changed}
  reason: {type: string, title: The reason that was given}
  started_by: {type: string, title: Who broke the glass}
steps:
  - id: review
    approve: |
      Was it right to break the glass for run ${{ inputs.run }}?
      ${{ inputs.started_by }} started it without the rules of ${{ inputs.environments }}.
      The reason given: ${{ inputs.reason }}

      1. Look at what it did: tow show ${{ inputs.run }} --timeline
      2. Was the reason good? Was anything done that the rules would have kept from being done?
      3. What has to change, so that it need not happen again?
    who: [REVIEWERS]
    remind: 1d
    takes: 15m
    form:
      findings: {type: string, title: What was found and what follows from it, required: true, min_length: 1}
"""
NAME = "break_glass_review"
FALLBACK = ("group:reviewers",)
"""Who reviews where nobody had to approve."""


def is_review(run: Run) -> bool:
    """Whether a run is the review of another one."""
    name: str = run.plan.workflow.name
    return name == NAME


def review_of(number: RunNumber, run: Run, *, fallback: tuple[str, ...] = FALLBACK) -> StartRequest:
    """The start of the review of *run*: by those who would have approved it, else by *fallback*."""
    approvers = dict.fromkeys(who for protection in run.protections.values() for who in protection.who)
    loaded = _loaded(tuple(approvers) or fallback)
    return StartRequest(
        workflow=loaded.workflow,
        definition=Definition(digest=loaded.digest, text=loaded.source.text, path=NAME),
        inputs={
            "run": str(number),
            "environments": ", ".join(run.protections) or "no environment",
            "reason": run.break_glass,
            "started_by": run.started_by,
        },
        started_by=run.started_by,
        start_key=f"review:{run.id}",
        origin=number,
        origin_reason="review",
    )


@functools.lru_cache(maxsize=64)
def _loaded(reviewers: tuple[str, ...]) -> loader.Loaded:
    assign = ", ".join(f'"{reviewer}"' for reviewer in reviewers)
    return loader.load_workflow(_TEXT.replace("REVIEWERS", assign), path=NAME)
