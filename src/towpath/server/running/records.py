"""The server's own log, on standard error: lines for people, or one JSON object a line for machines.

A line's first word is a short dotted constant (`server.request_failed`); what follows are fields and sentences. Whatever a message holds
stays on its line: nobody can forge a line by what they send.
"""

from __future__ import annotations

import datetime
import json
import logging
import sys
from typing import Final, Literal, TextIO

LogFormat = Literal["text", "json"]
LINE_CHARS_MAX: Final = 16_384
"""Of one message; the rest is left out."""


def keep(form: LogFormat, stream: TextIO | None = None) -> None:
    """Writes what Towpath and its web server report to standard error."""
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(JsonLines() if form == "json" else TextLines())
    for name, level in (
        ("towpath", logging.INFO),
        ("uvicorn", logging.WARNING),
        ("asyncio", logging.WARNING),
    ):
        logger = logging.getLogger(name)
        for old in list(logger.handlers):
            logger.removeHandler(old)
        logger.addHandler(handler)
        logger.setLevel(level)
        logger.propagate = False


class TextLines(logging.Formatter):
    """Lines for people."""

    def format(self, record: logging.LogRecord) -> str:
        """One record; a traceback follows on lines of its own, set in."""
        line = f"{_stamp(record)} {record.levelname.lower():<7} {_message(record)}"
        if record.exc_info:
            line += "".join(
                f"\n  | {_plain(row)}" for row in self.formatException(record.exc_info).splitlines()
            )
        return line


class JsonLines(logging.Formatter):
    """One JSON object a line."""

    def format(self, record: logging.LogRecord) -> str:
        """One record."""
        message = _message(record)
        told = {
            "at": _stamp(record),
            "level": record.levelname.lower(),
            "logger": record.name,
            "event": message.partition(" ")[0].rstrip(":"),
            "message": message,
            "pid": record.process,
        }
        if record.exc_info:
            told["traceback"] = self.formatException(record.exc_info)
        return json.dumps(told, ensure_ascii=False)


def _message(record: logging.LogRecord) -> str:
    return _plain(record.getMessage())[:LINE_CHARS_MAX]


def _plain(text: str) -> str:
    """A text on one line, without anything that a terminal would obey."""
    return "".join(char if char.isprintable() else repr(char)[1:-1] for char in text)


def _stamp(record: logging.LogRecord) -> str:
    moment = datetime.datetime.fromtimestamp(record.created, tz=datetime.UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
