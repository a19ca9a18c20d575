"""The files that runs of a server keep, fetched and checked against their digest."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from towpath.errors import NotFound, Refused

if TYPE_CHECKING:
    from towpath.cli.remote.reader import RemoteReader
    from towpath.cli.remote.wire import Wire


class RemoteArtifacts:
    """What `tow artifacts` asks of the stored files."""

    def __init__(self, wire: Wire, reader: RemoteReader) -> None:
        self._wire = wire
        self._reader = reader

    def read(self, digest: str) -> Iterator[bytes]:
        """A file bit by bit; raises Refused at its end where it is not what it should be."""
        run = self._reader.kept.get(digest)
        if run is None:
            raise NotFound("no run that was listed keeps this file")
        found = hashlib.sha256()
        for part in self._wire.parts("rows/artifact", run=run, digest=digest):
            found.update(part)
            yield part
        if found.hexdigest() != digest:
            raise Refused("what came is not the file that was kept", help="fetch it again")

    def copy_to(self, digest: str, target: Path) -> None:
        """Writes a file; nothing stays where it is not what it should be."""
        try:
            with target.open("xb") as file:
                for part in self.read(digest):
                    file.write(part)
        except FileExistsError:
            raise Refused(f"{target} exists already", help="name another file with --out") from None
        except BaseException:
            target.unlink(missing_ok=True)
            raise
