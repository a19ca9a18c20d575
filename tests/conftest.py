"""What every test shares: settings of hypothesis, and an environment that says nothing of who runs it."""

from __future__ import annotations

import os

import pytest
from hypothesis import HealthCheck, settings

# On two busy cores wall-clock deadlines lie. The seed of a failure is printed all the same.
settings.register_profile(
    "towpath", deadline=None, print_blob=True, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "towpath"))


@pytest.fixture(autouse=True)
def _nobodys_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """A test sees no TOW_… variable of the shell that started it."""
    for name in [name for name in os.environ if name.startswith("TOW_")]:
        monkeypatch.delenv(name)
