"""The embedded engine: one process, one loop, SQLite."""

from towpath.engines.embedded.loop import EmbeddedEngine

__all__ = ["EmbeddedEngine"]
