"""A very small shop: a price list over HTTP. It stands in for the software that you release."""
