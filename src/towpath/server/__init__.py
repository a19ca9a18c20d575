"""The window: an HTTP API, pages for people, and the process that serves both while it drives the runs."""
