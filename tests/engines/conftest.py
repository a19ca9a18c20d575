"""What the tests of engines share."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio

from engines.engine_support import Bench, Home, embedded


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    """A project."""
    made = Home(tmp_path)
    yield made
    made.close()


@pytest_asyncio.fixture
async def bench(home: Home) -> AsyncIterator[Bench]:
    """An embedded engine on the project."""
    async with embedded(home) as made:
        yield made
