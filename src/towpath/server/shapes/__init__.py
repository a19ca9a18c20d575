"""Everything that is told to programs, as plain values: what the API answers and what the command line prints with `--json`."""
