"""The desk: what an engine asks of people, answered from the project as it is now.

People come and go and calendars change while a question waits for weeks, so the project's file is read anew when it changes, and
everything is worked out at the moment when it is asked.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol, TypeAlias

import msgspec

from towpath.core import stimuli
from towpath.core.gates import WINDOW_PREFIX
from towpath.core.run import Json, Micros, Node, Protection, Question, Run
from towpath.core.stimuli import AnyStimulus
from towpath.definition.project import Calendar, Environment, ProjectFile
from towpath.engines.contract import LadderKind, StartRequest
from towpath.errors import Refused
from towpath.people import authority, calendars, escalation, review
from towpath.people.directory import Directory
from towpath.store.contract import RunNumber

EVIDENCE_BYTES_MAX = 1024 * 1024
"""The largest file that a question may show."""
EVIDENCE_SHOWN_CHARS_MAX = 64 * 1024
"""How much of its text is shown; the digest is of all of it."""
WINDOW_LOOKS_MAX = 1_000
"""Openings and freezes that are looked at for one answer."""
_MICROS = 1_000_000
_SAYINGS: Mapping[type, str] = {
    stimuli.Released: "release",
    stimuli.HandedOver: "hand_over",
    stimuli.Commented: "comment",
    stimuli.Withdrawn: "withdraw",
    stimuli.Retry: "retry",
    stimuli.Skip: "skip",
}
"""What a stimulus says, where it is not an answer with a decision of its own."""


FolderOf: TypeAlias = Callable[[Run], Path]
"""Where the files lie that a run's questions show."""


class Bell(Protocol):
    """Has people told, durably and without waiting."""

    def ring(
        self, number: RunNumber, run: Run, node: Node, *, why: str, times: int, to: tuple[str, ...]
    ) -> None:
        """Tells the people behind *to* about a question, once."""


class Silence:
    """A bell that nobody hears: the foreground shows what waits, and the inbox lists it."""

    def ring(
        self, number: RunNumber, run: Run, node: Node, *, why: str, times: int, to: tuple[str, ...]
    ) -> None:
        """Does nothing."""


class KnownElsewhere(Protocol):
    """What is known of people beside the project's file."""

    def token_makers(self, owner: str) -> frozenset[str]:
        """Who ever made a token that acts for somebody."""

    def groups_of(self, actor: str) -> frozenset[str]:
        """The groups that the identity provider vouches for now, without `group:`."""


class NothingElsewhere:
    """Nobody but the project's file knows anything of people."""

    def token_makers(self, owner: str) -> frozenset[str]:  # noqa: ARG002 - the contract of what is known
        """Nobody."""
        return frozenset()

    def groups_of(self, actor: str) -> frozenset[str]:  # noqa: ARG002 - the contract of what is known
        """None."""
        return frozenset()


class Desk:
    """Keeps `engines.contract.People` for a project."""

    def __init__(
        self,
        project: Callable[[], ProjectFile],
        folder: Path | FolderOf,
        bell: Bell | None = None,
        *,
        known: KnownElsewhere | None = None,
    ) -> None:
        self._project = project
        self._known = known or NothingElsewhere()
        self._folder_of: FolderOf = folder if callable(folder) else lambda _: folder
        self._bell = bell or Silence()
        self._directory: Directory | None = None

    def ring_with(self, bell: Bell) -> None:
        """From now on people are told by *bell*."""
        self._bell = bell

    def be_silent(self) -> None:
        """From now on nobody is told anything."""
        self._bell = Silence()

    @property
    def directory(self) -> Directory:
        """The people of the project, as its file says now."""
        file = self._project()
        if self._directory is None or self._directory.file is not file:
            self._directory = Directory(file=file, makers=self._known.token_makers)
        return self._directory

    def judge(self, run: Run, stimulus: AnyStimulus) -> None:
        """Raises Refused, with the reason, where the person who says this may not.

        A project whose file names no people, and that has no identity provider either, cannot tell who belongs to what: there everybody
        may speak, and what the question itself knows still counts (four eyes, one answer each).
        """
        node = run.nodes.get(getattr(stimulus, "path", ""))
        if node is None or node.question is None or node.status != "asking":
            return
        verdict = self.verdict(
            run, node, by=getattr(stimulus, "by", ""), says=_said(stimulus), at=stimulus.at
        )
        if isinstance(verdict, authority.Deny):
            raise Refused(verdict.reason, help=verdict.help)

    def verdict(self, run: Run, node: Node, *, by: str, says: str, at: Micros) -> authority.Verdict:
        """Whether *by* may say *says* to the question of a node at an instant."""
        assert node.question is not None, f"{node.path} asks nothing"
        case = authority.case_of(run, node, self.calendar(node.question.hours))
        if not self.directory.names_people and not self._has_provider:
            return authority.judge_four_eyes(self.directory, case, by=by, says=says)
        groups = self._known.groups_of(by) if self._has_provider else ()
        return authority.judge(self.directory, case, by=by, says=says, at=at, groups=groups)

    @property
    def _has_provider(self) -> bool:
        """Whether an identity provider says who is in which group."""
        return self.directory.file.people.provider == "oidc"

    def next_at(self, node: Node, now: Micros) -> Micros | None:
        """When a question's ladder is due next, not before *now*; None where nothing more will come."""
        if node.question is None:
            return None
        return escalation.next_at(
            node.question,
            told_reminders=node.told_reminders,
            told_rungs=node.told_rungs,
            now=now,
            calendar=self.calendar(node.question.hours),
        )

    def due(self, node: Node, now: Micros) -> tuple[tuple[LadderKind, int], ...]:
        """What of a question's ladder is due and was not told, in order: kind and number."""
        if node.question is None:
            return ()
        found = escalation.due(
            node.question,
            told_reminders=node.told_reminders,
            told_rungs=node.told_rungs,
            now=now,
            calendar=self.calendar(node.question.hours),
        )
        return tuple((rung.kind, rung.number) for rung in found)

    def window_opens_at(self, calendar: str, now: Micros) -> Micros | None:
        """When a calendar's window, or that of an environment, is open next; None where it never opens, as it stands."""
        if calendar.startswith(WINDOW_PREFIX):
            return self._environment_opens_at(calendar.removeprefix(WINDOW_PREFIX), now)
        known = self.calendar(calendar)
        if known is None:
            return None
        return now if calendars.is_open(known, now).is_open else calendars.next_open(known, now)

    def tell(
        self, number: RunNumber, run: Run, node: Node, *, why: str, times: int, to: tuple[str, ...]
    ) -> None:
        """Has people told; returns at once."""
        question = node.question
        asked = () if question is None else question.who
        self._bell.ring(number, run, node, why=why, times=times, to=to or asked)

    def read_evidence(self, run: Run, question: Question) -> Mapping[str, Json]:
        """The files that a question shows: name to digest and text."""
        folder = self._folder_of(run)
        return {name: _evidence(folder, file) for name, file in question.files.items()}

    def calendar(self, name: str | None) -> Calendar | None:
        """A calendar of the project; None where there is none of this name."""
        return None if name is None else self._project().calendars.get(name)

    def protections(self) -> Mapping[str, Protection]:
        """What the environments of the project ask of a run before its first step in them."""
        return {
            name: _protection(environment)
            for name, environment in self._project().environments.items()
            if environment.approval is not None
            or environment.windows
            or environment.freeze
            or environment.concurrency is not None
        }

    def check_start(self, environment: str, now: Micros) -> None:
        """Raises Refused where an environment is frozen now, naming the calendar's entry."""
        known = self._project().environments.get(environment)
        for name in known.freeze if known is not None else ():
            calendar = self.calendar(name)
            entry = None if calendar is None else calendars.freezes_at(calendar, now)
            if entry is not None:
                raise Refused(
                    f"{environment} is frozen: {entry.name} (calendar {name})",
                    help="wait until it is over, or start with --break-glass REASON: it is loud and leaves a review task",
                )

    def review_of(self, number: RunNumber, run: Run) -> StartRequest:
        """The start of the review that a broken glass leaves behind."""
        groups = self.directory.file.people.groups
        named = tuple(one for one in review.FALLBACK if one.removeprefix("group:") in groups)
        fallback = named or authority.everybody(self.directory) or review.FALLBACK
        return review.review_of(number, run, fallback=fallback)

    def _environment_opens_at(self, name: str, now: Micros) -> Micros | None:
        """The first instant at which the window is open and nothing freezes the environment."""
        environment = self._project().environments.get(name)
        if environment is None:
            return now
        at = now
        for _ in range(WINDOW_LOOKS_MAX):
            opens_at = self._first_window(environment, at)
            if opens_at is None:
                return None
            frozen_until = self._frozen_until(environment, opens_at)
            if frozen_until is None:
                return opens_at
            at = frozen_until
        return None

    def _first_window(self, environment: Environment, at: Micros) -> Micros | None:
        """When the first of its windows opens; *at* where it has none."""
        opens = [self.window_opens_at(window, at) for window in environment.windows]
        return min((one for one in opens if one is not None), default=None) if opens else at

    def _frozen_until(self, environment: Environment, at: Micros) -> Micros | None:
        for name in environment.freeze:
            calendar = self.calendar(name)
            entry = None if calendar is None else calendars.freezes_at(calendar, at)
            if entry is not None:
                return entry.end
        return None


def _evidence(folder: Path, file: str) -> dict[str, Any]:
    path = (folder / file).resolve()
    if not path.is_relative_to(folder.resolve()):
        return {"file": file, "digest": "", "error": "the file is not in the workspace"}
    try:
        with path.open("rb") as opened:
            data = opened.read(EVIDENCE_BYTES_MAX + 1)
    except OSError as error:
        return {"file": file, "digest": "", "error": (error.strerror or str(error)).lower()}
    if len(data) > EVIDENCE_BYTES_MAX:
        return {
            "file": file,
            "digest": "",
            "error": f"larger than EVIDENCE_BYTES_MAX ({EVIDENCE_BYTES_MAX} bytes)",
        }
    text = data.decode("utf-8", "replace")[:EVIDENCE_SHOWN_CHARS_MAX]
    return {"file": file, "digest": hashlib.sha256(data).hexdigest(), "text": text}


def _said(stimulus: AnyStimulus) -> str:
    if isinstance(stimulus, stimuli.Claimed):
        return "take_over" if stimulus.force else "claim"
    return _SAYINGS.get(type(stimulus)) or str(getattr(stimulus, "decision", ""))


def _protection(environment: Environment) -> Protection:
    approval = environment.approval
    places = environment.concurrency
    rules = Protection(
        has_window=bool(environment.windows or environment.freeze),
        places=None if places is None else places.max,
        when_full="queue" if places is None else places.when_full,
    )
    if approval is None:
        return rules
    within = approval.answer_within
    return msgspec.structs.replace(
        rules,
        who=approval.who,
        quorum=approval.quorum,
        four_eyes=approval.four_eyes,
        answer_within=None if within is None else round(within * _MICROS),
        if_unanswered=approval.if_unanswered,
    )
