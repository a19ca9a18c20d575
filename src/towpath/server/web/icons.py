"""Small pictures of our own, drawn in one colour: that of the text beside them.

A status is told three times: by its word, by its shape and by its colour. The shapes are here.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from markupsafe import Markup

_SHAPES: Final[Mapping[str, str]] = MappingProxyType(
    {
        # Of a status.
        "ok": '<circle cx="8" cy="8" r="6.5"/><path d="M5 8.3l2.1 2.1L11 6"/>',
        "partly": '<circle cx="8" cy="8" r="6.5"/><path d="M4.8 8h6.4"/>',
        "bad": '<path d="M5.2 1.5h5.6l3.7 3.7v5.6l-3.7 3.7H5.2l-3.7-3.7V5.2z"/><path d="M5.7 5.7l4.6 4.6M10.3 5.7l-4.6 4.6"/>',
        "busy": '<circle cx="8" cy="8" r="6.5"/><path d="M6.6 5.3v5.4L11 8z" fill="currentColor"/>',
        "wait": '<circle cx="8" cy="8" r="6.5"/><path d="M8 4.3V8l2.4 1.6"/>',
        "ask": '<path d="M2 2.5h12v8.5H8.2L5 14v-3H2z"/><path d="M6.6 5.6c.2-1.3 3-1.4 3 .2 0 1-1.5 1.1-1.5 2.1M8.1 9.2v.1"/>',
        "queued": '<circle cx="8" cy="8" r="6.5" stroke-dasharray="2.4 2"/>',
        "undone": '<path d="M3 6.2h6.3a3.4 3.4 0 010 6.8H6M3 6.2l3-3M3 6.2l3 3"/>',
        "skipped": '<path d="M3 4l4.5 4L3 12zM8.5 4L13 8l-4.5 4z"/>',
        "stopped": '<circle cx="8" cy="8" r="6.5"/><path d="M3.5 3.5l9 9"/>',
        "pending": '<circle cx="8" cy="8" r="3"/>',
        "warn": '<path d="M8 1.8l6.6 11.9H1.4z"/><path d="M8 6v3.6M8 11.6v.1"/>',
        # Of the navigation.
        "home": '<path d="M2 8l6-5.5L14 8M3.8 6.8v6.7h8.4V6.8"/>',
        "workflows": '<path d="M2 2.5h5v4H2zM9 9.5h5v4H9zM4.5 6.5v5H9"/>',
        "runs": '<path d="M2 4h8M2 8h12M2 12h6"/><path d="M11.5 10.5v3l2.5-1.5z"/>',
        "inbox": '<path d="M2 9.5L4 3h8l2 6.5V13H2zM2 9.5h3.7l1 1.8h2.6l1-1.8H14"/>',
        "events": '<path d="M9 1.5L3.5 9H8l-1 5.5L12.5 7H8z"/>',
        "schedule": '<path d="M2 3.5h12v10H2zM2 6.5h12M5.2 1.8v3M10.8 1.8v3"/>',
        "environments": '<path d="M2 2.5h12v4.3H2zM2 9.2h12v4.3H2zM4.4 4.7h.1M4.4 11.4h.1"/>',
        "audit": '<path d="M3.5 1.5h9v13h-9zM5.8 5h4.4M5.8 8h4.4M5.8 11h2.4"/>',
        "settings": '<path d="M2 4.5h7M12 4.5h2M2 11.5h2M7 11.5h7"/>'
        '<circle cx="10.5" cy="4.5" r="1.6"/><circle cx="5.5" cy="11.5" r="1.6"/>',
        "menu": '<path d="M2 4h12M2 8h12M2 12h12"/>',
        "search": '<circle cx="7" cy="7" r="4.5"/><path d="M10.3 10.3L14 14"/>',
        # Of things to do.
        "start": '<path d="M4.5 2.8v10.4L13 8z"/>',
        "back": '<path d="M10 3L5 8l5 5"/>',
        "next": '<path d="M6 3l5 5-5 5"/>',
        "first": '<path d="M11.5 3l-5 5 5 5M4 3v10"/>',
        "last": '<path d="M4.5 3l5 5-5 5M12 3v10"/>',
        "download": '<path d="M8 2v8.5M4.5 7L8 10.5 11.5 7M2.5 13.5h11"/>',
        "people": '<circle cx="8" cy="5" r="2.8"/><path d="M2.5 14c.5-3.5 3-4.6 5.5-4.6s5 1.1 5.5 4.6"/>',
        "lock": '<path d="M3.5 7h9v6.5h-9zM5.3 7V5a2.7 2.7 0 015.4 0v2"/>',
        "file": '<path d="M3.5 1.5h6l3 3v10h-9zM9.5 1.5v3h3"/>',
    }
)


@functools.cache
def icon(name: str, label: str = "") -> Markup:
    """A picture; without a label it says nothing to those who cannot see it, since words stand beside it."""
    spoken = Markup('role="img" aria-label="{}"').format(label) if label else Markup('aria-hidden="true"')
    return Markup('<svg class="icon" viewBox="0 0 16 16" width="16" height="16" {}>{}</svg>').format(
        spoken, _shape(name)
    )


def _shape(name: str) -> Markup:
    return Markup(_SHAPES[name])  # noqa: S704 - the table above


def names() -> tuple[str, ...]:
    """Every picture that there is."""
    return tuple(_SHAPES)
