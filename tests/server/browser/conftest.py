"""One server and one browser for all browser tests of a worker."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from browser_support import PROJECT, WORKFLOWS, Shop, shop


@pytest.fixture(scope="session")
def acme(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    """A server whose people are Ada (admin), Ben and Cy (operators) and Vic (viewer)."""
    with shop(tmp_path_factory.mktemp("acme"), PROJECT, WORKFLOWS) as made:
        yield made
