"""What happens now, for those who look on: a signal whenever the journal has grown.

Nobody gets a queue of their own. Whoever follows something remembers up to where they have read, waits for the next beat, and reads on
from the journal: one who is slow, or was away, misses nothing and costs nothing.
"""

from __future__ import annotations


class Live:
    """Tells those who wait that something was written."""
