"""WHAT DRIVES: they wait, perform and remember; the rules are in the core."""
