"""What `tow doctor` looks at: the machine, the data folder, the project and its server, and what to do about what is wrong."""

from towpath.server.examining.everything import examine
from towpath.server.examining.finding import Finding

__all__ = ["Finding", "examine"]
