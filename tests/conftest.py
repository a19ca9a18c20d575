"""What every test shares: settings of hypothesis, an environment that says nothing of who runs it, and how much is played."""

from __future__ import annotations

import os

import pytest
from hypothesis import HealthCheck, settings

from promise_counts import PromiseCounts, played
from tiers import Tier

__all__ = ["played"]

# On two busy cores wall-clock deadlines lie. The seed of a failure is printed all the same.
settings.register_profile(
    "towpath", deadline=None, print_blob=True, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "towpath"))


def pytest_addoption(parser: pytest.Parser) -> None:
    """How much is played, and where the figures go."""
    parser.addoption(
        "--tier",
        choices=[tier.value for tier in Tier],
        default=Tier.QUICK.value,
        help="how many faults are played",
    )
    parser.addoption("--counts", metavar="FILE", help="keep the figures for docs/explain/promises.md")


def pytest_configure(config: pytest.Config) -> None:
    """Has the tests of promises marked and counted."""
    config.addinivalue_line("markers", "promise: shows a promise of docs/explain/promises.md")
    config.pluginmanager.register(PromiseCounts(config))


@pytest.fixture(scope="session")
def tier(pytestconfig: pytest.Config) -> Tier:
    """How much is to be played."""
    return Tier(pytestconfig.getoption("tier"))


@pytest.fixture(autouse=True)
def _nobodys_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """A test sees no TOW_… variable of the shell that started it."""
    for name in [name for name in os.environ if name.startswith("TOW_")]:
        monkeypatch.delenv(name)
