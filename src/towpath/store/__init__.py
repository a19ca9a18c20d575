"""THE MEMORY: the append-only journal and everything that is derived from it."""
