"""Serves a project that changes: it is looked at again and again, in its folder or in Git, and replaced when what is new loads."""

from towpath.server.projects.keeping import Following, Looks, begin

__all__ = ["Following", "Looks", "begin"]
