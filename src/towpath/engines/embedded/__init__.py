"""The embedded engine: one process, one loop, SQLite."""
