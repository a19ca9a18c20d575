"""The review that a broken glass leaves behind: a run of its own, with one task that nobody can skip by silence."""

from __future__ import annotations

import functools

from towpath.core.run import Run
from towpath.definition import loader
from towpath.engines.contract import StartRequest
from towpath.store.contract import Definition, RunNumber

_TEXT = """\
name: break_glass_review
title: Review of an emergency change
description: Started by Towpath when a run goes into a protected environment without its rules.
kind: task
inputs:
  run: {type: string, title: The run}
  environments: {type: string, title: What it may have changed}
  reason: {type: string, title: The reason that was given}
  started_by: {type: string, title: Who broke the glass}
  reviewers: {type: list, items: {type: string}}
steps:
  - id: review
    task: Review run ${{ inputs.run }}, which broke the glass
    instructions: |
      ${{ inputs.started_by }} started run ${{ inputs.run }} without the rules of ${{ inputs.environments }}.
      The reason given: ${{ inputs.reason }}

      1. Look at what it did: tow show ${{ inputs.run }} --timeline
      2. Was the reason good? Was anything done that the rules would have kept from being done?
      3. What has to change, so that it need not happen again?
    assign: [REVIEWERS]
    takes: 15m
    form:
      justified: {type: boolean, title: Was it justified?, required: true}
      findings: {type: string, title: What was found and what follows from it, required: true, min_length: 1}
"""
NAME = "break_glass_review"


def review_of(
    number: RunNumber, run: Run, *, fallback: tuple[str, ...] = ("group:reviewers",)
) -> StartRequest:
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
            "reviewers": list(approvers),
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
