"""What both engines do with an order to perform a step: run its script or its action, and say how it ended."""

from towpath.engines.performing.orders import Order
from towpath.engines.performing.performer import Performer, Tools

__all__ = ["Order", "Performer", "Tools"]
