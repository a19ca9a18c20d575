"""The shop's own tests; the first step of the release runs them."""

from __future__ import annotations

import json
import sys
import tempfile
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from shop import prices  # found through the line above


class PriceList(unittest.TestCase):
    """What the price list promises."""

    def test_total_adds_up(self) -> None:
        """Three articles cost what they cost one by one."""
        self.assertEqual(6150, prices.total({"rope": 1250, "lantern": 4900}, ["rope", "lantern"]))

    def test_nonsense_is_refused(self) -> None:
        """A price of nothing is a mistake."""
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "prices.json"
            path.write_text(json.dumps({"rope": 0}))
            with self.assertRaises(ValueError):
                prices.load(path)
