"""One file for each kind of block."""
