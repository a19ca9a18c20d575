"""What steps print: one append-only log for each run, bounded, read while it is written, from any process."""

from towpath.store.logs.blocks import LogLine, Stream
from towpath.store.logs.following import Piece, read_on
from towpath.store.logs.reading import LogReader
from towpath.store.logs.writing import LogLimits, Logs, StepLog

__all__ = ["LogLimits", "LogLine", "LogReader", "Logs", "Piece", "StepLog", "Stream", "read_on"]
