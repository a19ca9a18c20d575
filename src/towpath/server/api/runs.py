"""Runs: listed, looked at, started and acted upon."""

from __future__ import annotations

from towpath.server.routing import Routes

ROUTES = Routes(prefix="/api/v1/runs", tag="runs")
