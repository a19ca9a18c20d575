"""Whether somebody may answer a question, asked before they are: the same rules by which the owner of the run judges the answer.

The command line has no sign-in: whoever may use the data folder says who they are. The owner's judgement counts, at the moment when it
decides; here nobody is asked for an answer that would be refused.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from towpath.core.run import Node, Run
from towpath.people import authority

if TYPE_CHECKING:
    from towpath.app import App


def refusal(app: App, run: Run, node: Node, *, says: str, actor: str) -> str:
    """Why *actor* may not say this to the question of *node*; empty where they may."""
    verdict = judged(app, run, node, says=says, actor=actor)
    return verdict.reason if isinstance(verdict, authority.Deny) else ""


def judged(app: App, run: Run, node: Node, *, says: str, actor: str) -> authority.Verdict:
    """Whether *actor* may say this to the question of *node* now."""
    assert node.question is not None, f"{node.path} asks nothing"
    case = authority.case_of(run, node, app.desk.calendar(node.question.hours))
    return authority.judge(app.desk.directory, case, by=actor, says=says, at=app.now())
