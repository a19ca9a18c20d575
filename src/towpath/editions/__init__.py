"""The project as it is now: one value that is replaced as a whole when something changed and loads, from a folder or from Git."""

from towpath.editions.edition import BrokenFile, Edition, Ready
from towpath.editions.keeper import Keeper, KeeperState

__all__ = ["BrokenFile", "Edition", "Keeper", "KeeperState", "Ready"]
