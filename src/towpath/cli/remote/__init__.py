"""The same commands against a server: an App whose reader, runs and people are on the other side of HTTP."""
