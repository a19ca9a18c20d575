"""A run in the foreground: shown while it goes on, asked about where a person is there, stopped as one wishes."""
