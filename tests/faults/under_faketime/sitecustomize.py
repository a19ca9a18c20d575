"""Loaded by the processes whose clock a test moves, before anything else.

libfaketime 0.9.10 refuses to sleep until a moment of the clock that counts up (`clock_nanosleep` gives EINVAL), which is how Python sleeps;
waiting for nothing in `select` is the same and works. And a test may have the wall clock looked at more often than every 30 seconds.
"""

import os
import select
import time


def sleep(seconds: float) -> None:
    """Waits."""
    select.select([], [], [], max(0.0, seconds))


time.sleep = sleep

if "LOOK_AGAIN_SECONDS" in os.environ:
    from towpath.engines import clock

    clock.LOOK_AGAIN_SECONDS = float(os.environ["LOOK_AGAIN_SECONDS"])
