"""What killed processes leave in memory does not outlive the test."""

from __future__ import annotations

import shutil
from collections.abc import Iterator

import pytest
from fault_support import PLACES

from towpath import app as towpath_app
from towpath.store.folder import DataFolder


@pytest.fixture(autouse=True)
def _nothing_left_in_memory() -> Iterator[None]:
    """Removes the private folders of a test's places."""
    yield
    while PLACES:
        folder = DataFolder(PLACES.pop().data)
        private = towpath_app._private_folder(folder)
        if private != folder.workspaces:
            shutil.rmtree(private, ignore_errors=True)
