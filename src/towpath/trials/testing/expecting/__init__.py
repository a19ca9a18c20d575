"""What was expected against what came of it."""

from towpath.trials.testing.expecting.comparing import differences
from towpath.trials.testing.expecting.difference import Difference
from towpath.trials.testing.expecting.steps import work_view
from towpath.trials.testing.expecting.telling import telling_line

__all__ = ["Difference", "differences", "telling_line", "work_view"]
