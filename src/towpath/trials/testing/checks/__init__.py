"""What only a test can get wrong: names that its workflow does not have, and expectations that it cannot meet."""

from towpath.trials.testing.checks.scripts import check

__all__ = ["check"]
