"""What a run would do, found out without doing it: real reads, no writes."""

from towpath.engines.rehearsing.forecast import Effect, Forecast, Happens, RehearsedRun
from towpath.engines.rehearsing.looking import Announce
from towpath.engines.rehearsing.rehearser import Imagined, Rehearser
from towpath.engines.rehearsing.telling import MEANINGS, Row, digest_of, rows_of, sum_of, text_of

__all__ = [
    "MEANINGS",
    "Announce",
    "Effect",
    "Forecast",
    "Happens",
    "Imagined",
    "RehearsedRun",
    "Rehearser",
    "Row",
    "digest_of",
    "rows_of",
    "sum_of",
    "text_of",
]
