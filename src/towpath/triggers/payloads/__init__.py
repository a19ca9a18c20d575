"""What a payload is: one small file for each sender's shape, and pure: the same payload is always the same thing."""

from towpath.triggers.payloads.body import parse_body
from towpath.triggers.payloads.sources import SOURCES, Source, guess_source, read, source_named

__all__ = ["SOURCES", "Source", "guess_source", "parse_body", "read", "source_named"]
