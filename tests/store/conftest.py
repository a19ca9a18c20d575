"""Stores on disk, and runs to put into them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from towpath.store.sqlite import SqliteStore, open_store

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Name a data folder that does not exist yet."""
    return tmp_path / "data"


@pytest.fixture
def store(data: Path) -> Iterator[SqliteStore]:
    """Open a new store."""
    opened = open_store(data)
    yield opened
    opened.close()
