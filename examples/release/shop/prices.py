"""The price list and the one rule about it."""

from __future__ import annotations

import json
from pathlib import Path


def load(path: Path) -> dict[str, int]:
    """Read the price list: article to price in cents; raises where it is missing or holds nonsense."""
    prices = json.loads(path.read_text(encoding="utf-8"))
    for article, cents in prices.items():
        if not isinstance(cents, int) or cents <= 0:
            raise ValueError(f"{article} costs {cents!r}")
    return prices


def total(prices: dict[str, int], articles: list[str]) -> int:
    """Add up what *articles* cost, in cents."""
    return sum(prices[article] for article in articles)
