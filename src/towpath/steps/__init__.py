"""WHAT CAN BE DONE: the action contract, the catalogue, and what a running step is given."""
