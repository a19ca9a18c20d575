"""The HTTP API: one file for each noun, and pages show what these give."""
