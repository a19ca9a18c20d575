"""Secrets in a folder, one file each: as Docker, Kubernetes and systemd (`LoadCredential=`) hand them out."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from pathlib import Path

from towpath.steps.secrets.contract import SecretMissing, SecretUnreadable, check_secret_name
from towpath.steps.secrets.masking import SECRET_BYTES_MAX

_NOT_OWNER = stat.S_IRWXG | stat.S_IRWXO


@dataclass(frozen=True, slots=True, kw_only=True)
class FileSecrets:
    """Finds `db_password` in the file of that name; one newline at its end is not part of the value.

    A file that its group or others may use is refused: what everybody can read is no secret, and what
    everybody can write is not ours.
    """

    folder: Path
    name: str = "file"

    def get(self, name: str) -> str:
        """The content of the file *name*."""
        check_secret_name(name)
        path = self.folder / name
        try:
            fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        except FileNotFoundError as error:
            raise SecretMissing(
                f"{path} does not exist.", help=f"write it to {path} with mode 0600"
            ) from error
        except OSError as error:
            raise SecretUnreadable(f"The secret file {path} cannot be opened: {error.strerror}.") from error
        try:
            _check_file(path, os.fstat(fd))
            data = os.read(fd, SECRET_BYTES_MAX + 2)
        finally:
            os.close(fd)
        return _as_text(path, data)


def _check_file(path: Path, facts: os.stat_result) -> None:
    if not stat.S_ISREG(facts.st_mode):
        raise SecretUnreadable(f"The secret file {path} is not a plain file.")
    if facts.st_mode & _NOT_OWNER:
        raise SecretUnreadable(
            f"The secret file {path} can be used by others (mode {stat.S_IMODE(facts.st_mode):04o}).",
            help=f"chmod 0600 {path}",
        )
    if facts.st_uid not in (0, os.geteuid()):
        raise SecretUnreadable(
            f"The secret file {path} belongs to another user (uid {facts.st_uid}).",
            help=f"chown it to uid {os.geteuid()}.",
        )


def _as_text(path: Path, data: bytes) -> str:
    try:
        return data.decode("utf-8").removesuffix("\n").removesuffix("\r")
    except UnicodeDecodeError as error:
        raise SecretUnreadable(
            f"The secret file {path} is not UTF-8 text.", help="Keep binary secrets in base64."
        ) from error
