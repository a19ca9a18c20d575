"""What systemd is told: that the server is ready, stops, lives (`sd_notify(3)`). Without systemd nobody is told anything."""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping
from typing import Final

_MICROS: Final = 1_000_000


class Supervisor:
    """Whoever started this process and wants to hear of it; perhaps nobody."""

    def __init__(self, environ: Mapping[str, str] | None = None) -> None:
        env = os.environ if environ is None else environ
        self._address = env.get("NOTIFY_SOCKET", "")
        is_meant = env.get("WATCHDOG_PID", "") in ("", str(os.getpid()))
        self._watchdog = env.get("WATCHDOG_USEC", "") if is_meant else ""

    @property
    def wants_a_sign_seconds(self) -> float | None:
        """How often it wants a sign of life, twice as often as it would lose patience; None where it wants none."""
        return (
            int(self._watchdog) / _MICROS / 2 if self._watchdog.isdecimal() and int(self._watchdog) else None
        )

    def ready(self, status: str) -> None:
        """Everything has begun."""
        self._tell(f"READY=1\nSTATUS={status}")

    def status(self, status: str) -> None:
        """How things are, in a line."""
        self._tell(f"STATUS={status}")

    def stopping(self) -> None:
        """The process is on its way out."""
        self._tell("STOPPING=1")

    def lives(self) -> None:
        """A sign of life."""
        self._tell("WATCHDOG=1")

    def _tell(self, text: str) -> None:
        if not self._address.startswith(("/", "@")):
            return
        address = f"\0{self._address[1:]}" if self._address.startswith("@") else self._address
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as way:
            way.settimeout(0)
            try:
                way.sendto(text.encode(), address)
            except OSError:
                return  # a supervisor that does not listen is no reason to stop
