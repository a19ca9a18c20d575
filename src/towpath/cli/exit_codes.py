"""What `tow` answers to the shell; the numbers never change their meaning."""

from __future__ import annotations

from typing import Final

OK: Final = 0
"""Done; a run succeeded."""
FAILED: Final = 1
"""A run failed, or problems were found."""
USAGE: Final = 2
"""The command line itself is wrong."""
REFUSED: Final = 3
"""Not allowed, not now, or not in this state."""
NOT_FOUND: Final = 4
"""No such run, workflow, step, file or secret."""
ROLLED_BACK: Final = 5
"""A run failed and was rolled back."""
CANCELLED: Final = 6
"""A run was cancelled."""
REJECTED: Final = 7
"""A run was rejected by a person or a policy."""
WAITING: Final = 8
"""A run waits, and the command does not."""
PARTIAL: Final = 9
"""A run succeeded in part."""
ROLLBACK_FAILED: Final = 10
"""A run failed, and so did its rollback."""
UNAVAILABLE: Final = 11
"""The data folder or a server cannot be used."""
FINDINGS: Final = 12
"""`tow check` found something wrong."""
INTERRUPTED: Final = 130
"""Stopped with Ctrl-C."""
