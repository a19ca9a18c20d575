"""Looking instead of being told: repositories and files are compared with what they were, and what changed becomes an event."""

from towpath.triggers.watch.ends import Ends
from towpath.triggers.watch.files import FileWatch
from towpath.triggers.watch.git import GitError, Repository
from towpath.triggers.watch.metrics import Metrics
from towpath.triggers.watch.polling import GitPolling
from towpath.triggers.watch.watcher import Looked, Watcher

__all__ = ["Ends", "FileWatch", "GitError", "GitPolling", "Looked", "Metrics", "Repository", "Watcher"]
