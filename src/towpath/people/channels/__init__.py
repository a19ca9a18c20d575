"""The ways in which people are told something: the terminal, e-mail, webhooks, and all that apprise reaches."""

from towpath.people.channels.contract import Channel, Notice, SendFailed, Sending, Text, Why
from towpath.people.channels.routes import TERMINAL, Routes

__all__ = ["TERMINAL", "Channel", "Notice", "Routes", "SendFailed", "Sending", "Text", "Why"]
