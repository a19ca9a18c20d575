"""Which way leads to whom: a person's contacts, their e-mail address, the default channels.

The rules, in this order; the first that finds a way counts:

1. `contact` of the person: each entry names a channel of towpath.yaml, or a kind of channel (`slack: U012AB3`), and the person's address
   there. All of them are used.
2. `email` of the person, through the e-mail channels that are `default`, or else through the first one.
3. The channels that are `default`, to where they go by themselves. Several people who are reached so are told once, together.

Whoever sits at the terminal of this process is told there as well. What is for everybody who operates goes to the default channels in
any case, besides the people who are named.

Where nothing is found, that is recorded in the place of a sending: nobody could be told. A channel that wakes people up
(PagerDuty, Opsgenie) is used where somebody is to answer, never to say that it is decided.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from towpath.store.contract import SENDINGS_MAX, NewSending

if TYPE_CHECKING:
    from towpath.definition.project import Channel, ProjectFile, User

TERMINAL: Final = "terminal"
"""The channel of a process that has a person in front of it; it is in no file."""
TO_PERSON: Final = "user:"
TO_PLACE: Final = "to:"
WAKING: Final = frozenset({"pagerduty", "opsgenie"})
"""Kinds of channels that wake people up."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Routes:
    """The ways of one project."""

    users: Mapping[str, User]
    channels: Mapping[str, Channel]
    at_terminal: str = ""
    """Who sits in front of this process, without `user:`; empty where nobody does."""

    @classmethod
    def of(cls, file: ProjectFile, *, at_terminal: str = "") -> Routes:
        """The ways that a project's file names."""
        return cls(users=file.people.users, channels=file.channels, at_terminal=at_terminal)

    def to(
        self, people: Iterable[str], *, is_calling: bool = True, is_for_all: bool = False
    ) -> tuple[NewSending, ...]:
        """How these people are told.

        Args:
            people: users' names.
            is_calling: somebody is to do something. Then it is never empty: where no way is found, it says so.
            is_for_all: it is for whoever operates, whether or not they are named.

        """
        names = {*people, self.at_terminal} if is_for_all and self.at_terminal else set(people)
        found = [sending for name in sorted(names) for sending in self._to_person(name)]
        if is_for_all:
            found = [*(one for one in found if one.channel), *self._by_default()] or found
        if not found:
            found = [_unreachable(TO_PERSON, _NOBODY_OPERATES if is_for_all else _NOBODY_STANDS_BEHIND)]
        if not is_calling:
            found = [one for one in found if one.channel and not self._wakes(one.channel)]
        return _limited(tuple({(one.recipient, one.channel): one for one in found}.values()))

    def _wakes(self, channel: str) -> bool:
        return channel in self.channels and self.channels[channel].kind in WAKING

    def zone_of(self, recipient: str) -> str:
        """The time zone in which a recipient reads times."""
        user = self.users.get(recipient.removeprefix(TO_PERSON))
        return (user.time_zone if user is not None else None) or "UTC"

    def _to_person(self, name: str) -> tuple[NewSending, ...]:
        recipient = f"{TO_PERSON}{name}"
        user = self.users.get(name)
        ways = (
            tuple(self._by_contact(recipient, user))
            or tuple(self._by_email(recipient, user))
            or tuple(self._by_default())
        )
        if name == self.at_terminal:
            ways = (*ways, NewSending(recipient=recipient, channel=TERMINAL))
        return ways or (_unreachable(recipient, _why_not(name, user)),)

    def _by_contact(self, recipient: str, user: User | None) -> Iterator[NewSending]:
        for key, address in user.contact.items() if user is not None else ():
            channel = self._named(key)
            if channel is not None and address:
                yield NewSending(recipient=recipient, channel=channel, address=address)

    def _named(self, key: str) -> str | None:
        """The channel of this name, else the first one of this kind."""
        if key in self.channels:
            return key
        return next((name for name, channel in self.channels.items() if channel.kind == key), None)

    def _by_email(self, recipient: str, user: User | None) -> Iterator[NewSending]:
        if user is None or user.email is None:
            return
        mails = [name for name, channel in self.channels.items() if channel.kind == "email"]
        chosen = [name for name in mails if self.channels[name].default] or mails[:1]
        for name in chosen:
            yield NewSending(recipient=recipient, channel=name, address=user.email)

    def _by_default(self) -> Iterator[NewSending]:
        for name, channel in self.channels.items():
            if channel.default:
                for place in channel.to or ("",):
                    yield NewSending(recipient=f"{TO_PLACE}{place}", channel=name, address=place)


_NOBODY_STANDS_BEHIND: Final = "nobody could be told: nobody stands behind those who are asked"
_NOBODY_OPERATES: Final = "nobody could be told: nobody is named, and no channel of towpath.yaml is a default"


def _why_not(name: str, user: User | None) -> str:
    if user is None:
        return f"nobody could be told: {name} is not in towpath.yaml, and no channel there is a default"
    return (
        f"nobody could be told: {name} has no contact or e-mail address that a channel of towpath.yaml reaches,"
        " and no channel there is a default"
    )


def _unreachable(recipient: str, why: str) -> NewSending:
    return NewSending(recipient=recipient, channel="", error=why)


def _limited(sendings: tuple[NewSending, ...]) -> tuple[NewSending, ...]:
    if len(sendings) <= SENDINGS_MAX:
        return sendings
    left_out = len(sendings) - SENDINGS_MAX + 1
    return (
        *sendings[: SENDINGS_MAX - 1],
        _unreachable(TO_PERSON, f"{left_out} more could not be told: SENDINGS_MAX is {SENDINGS_MAX}"),
    )
