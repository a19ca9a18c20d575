"""What the tests of the language share: a few actions, and the loading of case files."""

from __future__ import annotations

from pathlib import Path
from types import MappingProxyType

from towpath.definition.actions import ActionCard, ActionCards, ParameterCard

HERE = Path(__file__).parent
FILES = HERE / "files"
PROJECTS = HERE / "projects"
REPOSITORY = HERE.parents[1]


def _input(kind: str, *, required: bool = False, secret: bool = False, **schema: object) -> ParameterCard:
    return ParameterCard(required=required, schema={"type": kind, **schema}, secret_allowed=secret)


CARDS: ActionCards = MappingProxyType(
    {
        card.name: card
        for card in (
            ActionCard(
                name="log",
                summary="Writes to the step's log.",
                inputs={"message": _input("string", required=True), "level": _input("string")},
                outputs={},
            ),
            ActionCard(
                name="http.request",
                summary="Makes a request.",
                inputs={
                    "url": _input("string", required=True),
                    "method": _input("string", enum=["GET", "POST"]),
                    "headers": _input("object", secret=True),
                    "timeout_seconds": _input("number"),
                    "follow": _input("boolean"),
                },
                outputs={"status": {"type": "integer"}, "body": {"type": "string"}},
            ),
            ActionCard(
                name="scanner.trivy",
                summary="Scans an image.",
                inputs={"target": _input("string", required=True)},
                outputs={"critical": {"type": "integer"}},
            ),
            ActionCard(
                name="towpath.rehearse",
                summary="Rehearses steps of the run.",
                inputs={"steps": _input("array"), "expect": _input("string")},
                outputs={"plan": {"type": "string"}, "digest": {"type": "string"}},
            ),
            ActionCard(
                name="jira.create_issue",
                summary="Creates a ticket.",
                inputs={
                    "project": _input("string", required=True),
                    "summary": _input("string", required=True),
                },
                outputs=None,
            ),
            ActionCard(
                name="slack.post",
                summary="Posts a message.",
                inputs={"channel": _input("string", required=True), "text": _input("string", required=True)},
                outputs=None,
            ),
            ActionCard(
                name="open.anything", summary="Takes anything.", inputs={}, outputs=None, open_inputs=True
            ),
        )
    }
)
