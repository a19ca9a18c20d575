"""Workflows for hosting and IT operations: from a trigger to a defined end, by machines or by people."""

__version__ = "0.1.0"
__all__ = ["__version__"]
