"""What Towpath itself has to report goes into a file of the data folder, and never between the lines of a run."""

from __future__ import annotations

import logging
from logging.handlers import RotatingFileHandler
from pathlib import Path

DIARY_BYTES_MAX = 2 * 1024 * 1024
DIARIES_KEPT = 2
_FORMAT = "%(asctime)s %(process)d %(levelname)s %(name)s %(message)s"


def keep(folder: Path) -> None:
    """Writes warnings and errors to `towpath.log` in *folder*, which is made when the first one comes."""
    logger = logging.getLogger("towpath")
    for handler in [one for one in logger.handlers if isinstance(one, RotatingFileHandler)]:
        logger.removeHandler(handler)
        handler.close()
    if not folder.is_dir():
        logger.addHandler(logging.NullHandler())
        return
    path = folder / "towpath.log"
    handler = RotatingFileHandler(
        path, maxBytes=DIARY_BYTES_MAX, backupCount=DIARIES_KEPT, encoding="utf-8", delay=True
    )
    handler.setFormatter(logging.Formatter(_FORMAT))
    logger.addHandler(handler)
    logger.setLevel(logging.WARNING)
    logger.propagate = False
