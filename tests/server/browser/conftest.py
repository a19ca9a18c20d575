"""One server for all browser tests of a worker, and a browser for each file of them: no event loop runs beside it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from browser_support import PROJECT, WORKFLOWS, Shop, chromium, running
from playwright.sync_api import Browser
from serving.serving_support import Served


@pytest.fixture(scope="session")
def acme_served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A server whose people are Ada (admin), Ben and Cy (operators) and Vic (viewer)."""
    with running(tmp_path_factory.mktemp("acme"), PROJECT, WORKFLOWS) as made:
        yield made


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """A browser."""
    with chromium() as made:
        yield made


@pytest.fixture(scope="module")
def acme(acme_served: Served, browser: Browser) -> Shop:
    """The server, and the browser with which people use it."""
    return Shop(served=acme_served, browser=browser)
