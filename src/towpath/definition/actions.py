"""What the checker needs to know about an action: its card.

An action is code, and code lives upstairs in `steps`. The language only needs its card: which inputs it
takes, which outputs it promises, whether it may be repeated. `steps.catalogue` writes the cards; the checks
read them as a plain mapping from name to card.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Literal, TypeAlias

__all__ = ["ActionCard", "ActionCards", "Effects", "ParameterCard", "Schema"]

Schema: TypeAlias = Mapping[str, object]
"""A JSON Schema (draft 2020-12)."""

Effects: TypeAlias = Literal["none", "files", "remote", "anything"]
"""What performing may change: nothing, files here, another system, or whatever its author's code does."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ParameterCard:
    """One input of an action, as its author declared it."""

    required: bool
    schema: Schema
    secret_allowed: bool = False
    """Whether `${{ secrets.… }}` may stand here, or anywhere inside it."""
    description: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ActionCard:
    """What an action promises before it runs."""

    name: str
    summary: str
    inputs: Mapping[str, ParameterCard]
    outputs: Mapping[str, Schema] | None
    """The outputs by name; None when the action may answer with anything (its outputs cannot be checked)."""
    open_inputs: bool = False
    """Whether inputs beyond the declared ones are taken (a function with `**values`)."""
    idempotent: bool = False
    """Whether performing it twice is as good as once; False also when that depends on the inputs."""
    can_rehearse: bool = False
    effects: Effects = "anything"
    extras: tuple[str, ...] = ()
    """Extras of the package that must be installed (`pip install towpath[aws]`)."""
    binaries: tuple[str, ...] = ()
    """Programs that must be on the PATH of the machine that performs it."""
    source: str = "built-in"
    """Where it comes from: `built-in`, `package NAME`, or the project's file."""
    details: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    """More to read for people: output name → description."""


ActionCards: TypeAlias = Mapping[str, ActionCard]
"""Every known action by name. Cards may be made on first use: names are cheap, reading a card may not be."""
