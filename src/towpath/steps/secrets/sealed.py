"""The encrypted store of `tow secrets`: one JSON file of sealed values, and a key beside it.

Each value is sealed with AES-256-GCM under a fresh random nonce. The name and the date are authenticated
with it, so an entry cannot be moved to another name or be dated back. The key is made when the first secret
is set, is readable by its owner only, and never leaves its file; a backup of the data without the keys
holds nothing that can be read. Which key an entry was sealed with can be told (`key_id`), so a wrong key
and a damaged file are different errors.

Writers take turns by a file lock. A change is written to a new file, synced, and renamed over the old one:
a crash leaves the old store or the new one.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import fcntl
import hashlib
import json
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NoReturn

from towpath.errors import LimitExceeded, StoreUnavailable
from towpath.steps.secrets.contract import SecretMissing, SecretUnreadable, check_secret_name
from towpath.steps.secrets.masking import check_maskable

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

KEY_BYTES: Final = 32
NONCE_BYTES: Final = 12
SECRETS_MAX: Final = 1000
STORE_BYTES_MAX: Final = 128 * 1024 * 1024
VERSION: Final = 1
_NOT_OWNER: Final = stat.S_IRWXG | stat.S_IRWXO

Entries = dict[str, dict[str, Any]]  # decoded JSON, checked where it is read


@dataclass(frozen=True, slots=True, kw_only=True)
class SealedEntry:
    """What may be known of a secret without opening it."""

    name: str
    set_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class SealedSecrets:
    """Secrets in the encrypted store."""

    path: Path
    key_path: Path
    name: str = "sealed"

    def get(self, name: str) -> str:
        """The value of the secret *name*."""
        check_secret_name(name)
        key_id, entries = self._load()
        if name not in entries:
            raise SecretMissing(
                f"The encrypted store has no secret `{name}`.", help=f"tow secrets set {name}"
            )
        cipher, own_key_id = self._cipher()
        if key_id != own_key_id:
            raise SecretUnreadable(
                f"The secrets in {self.path} were sealed with another key than {self.key_path}.",
                help="Put the right key file back, or remove the store and set the secrets anew.",
            )
        return self._open(cipher, name, entries[name])

    def list(self) -> tuple[SealedEntry, ...]:
        """Names and dates, by name; no value is opened for it."""
        _, entries = self._load()
        return tuple(
            SealedEntry(name=name, set_at=self._date(entry)) for name, entry in sorted(entries.items())
        )

    def set(self, name: str, value: str) -> None:
        """Keep *value* under *name*, in place of what was there."""
        check_secret_name(name)
        check_maskable(value, name=name)
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        with self._turn():
            key_id, entries = self._load()
            key = self._read_key() if entries or self.key_path.exists() else self._make_key()
            if entries and key_id != _key_id(key):
                raise SecretUnreadable(
                    f"The secrets in {self.path} were sealed with another key than {self.key_path}.",
                    help="Put the right key file back before you set more.",
                )
            if name not in entries and len(entries) >= SECRETS_MAX:
                raise LimitExceeded(
                    f"The encrypted store holds {SECRETS_MAX} secrets already.", limit="secrets_max"
                )
            set_at = datetime.now(UTC).isoformat(timespec="seconds")
            nonce = os.urandom(NONCE_BYTES)
            sealed = AESGCM(key).encrypt(
                nonce, value.encode("utf-8", "surrogatepass"), _bound_to(name, set_at)
            )
            entries[name] = {"set_at": set_at, "nonce": _b64(nonce), "sealed": _b64(sealed)}
            self._save(_key_id(key), entries)

    def remove(self, name: str) -> None:
        """Forget the secret *name*."""
        check_secret_name(name)
        with self._turn():
            key_id, entries = self._load()
            if name not in entries:
                raise SecretMissing(f"The encrypted store has no secret `{name}`.", help="tow secrets list")
            del entries[name]
            self._save(key_id, entries)

    def _open(self, cipher: AESGCM, name: str, entry: dict[str, Any]) -> str:
        from cryptography.exceptions import InvalidTag

        try:
            nonce, sealed = base64.b64decode(entry["nonce"]), base64.b64decode(entry["sealed"])
            return cipher.decrypt(nonce, sealed, _bound_to(name, entry["set_at"])).decode(
                "utf-8", "surrogatepass"
            )
        except (InvalidTag, KeyError, TypeError, ValueError) as error:
            raise SecretUnreadable(
                f"The secret `{name}` in {self.path} is damaged or was tampered with.",
                help=f"Set it anew: tow secrets set {name}",
            ) from error

    def _date(self, entry: dict[str, Any]) -> datetime:
        try:
            return datetime.fromisoformat(entry["set_at"])
        except (KeyError, TypeError, ValueError):
            self._damaged()

    def _cipher(self) -> tuple[AESGCM, str]:
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        key = self._read_key()
        return AESGCM(key), _key_id(key)

    def _read_key(self) -> bytes:
        try:
            fd = os.open(self.key_path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
        except FileNotFoundError as error:
            raise SecretUnreadable(
                f"The key {self.key_path} is missing, so the secrets in {self.path} cannot be opened.",
                help="Put the key file back, or remove the store and set the secrets anew.",
            ) from error
        except OSError as error:
            raise SecretUnreadable(f"The key {self.key_path} cannot be opened: {error.strerror}.") from error
        try:
            mode = os.fstat(fd).st_mode
            text = os.read(fd, 4 * KEY_BYTES)
        finally:
            os.close(fd)
        if mode & _NOT_OWNER:
            raise SecretUnreadable(
                f"The key {self.key_path} can be used by others (mode {stat.S_IMODE(mode):04o}).",
                help=f"chmod 0600 {self.key_path}; when somebody may have read it, set the secrets anew.",
            )
        return self._key_of(text)

    def _key_of(self, text: bytes) -> bytes:
        try:
            key = base64.b64decode(text.strip(), validate=True)
        except binascii.Error:
            key = b""
        if len(key) != KEY_BYTES:
            raise SecretUnreadable(
                f"{self.key_path} holds no key.", help="Put the key file back from where you keep it."
            )
        return key

    def _make_key(self) -> bytes:
        """Make the key, whole or not at all; another process may have made it first, then its key counts."""
        self.key_path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        key = os.urandom(KEY_BYTES)
        draft = self.key_path.with_name(f".{self.key_path.name}.{os.getpid()}")
        _write_synced(draft, _b64(key).encode() + b"\n")
        try:
            os.link(draft, self.key_path)
        except FileExistsError:
            return self._read_key()
        finally:
            draft.unlink()
        _sync_folder(self.key_path.parent)
        return key

    def _load(self) -> tuple[str, Entries]:
        """The id of the key and the entries; nothing when there is no store yet."""
        try:
            with self.path.open("rb") as file:
                data = file.read(STORE_BYTES_MAX)
        except FileNotFoundError:
            return "", {}
        except OSError as error:
            raise StoreUnavailable(f"{self.path} cannot be read: {error.strerror}.") from error
        try:
            content = json.loads(data)
            version, key_id, entries = content["version"], content["key_id"], content["secrets"]
        except (ValueError, KeyError, TypeError, RecursionError):
            self._damaged()
        if version != VERSION:
            raise SecretUnreadable(
                f"{self.path} is of version {version}; this program reads version {VERSION}.",
                help="Use a newer towpath.",
            )
        if (
            not isinstance(key_id, str)
            or not isinstance(entries, dict)
            or not all(isinstance(entry, dict) for entry in entries.values())
        ):
            self._damaged()
        return key_id, entries

    def _damaged(self) -> NoReturn:
        raise SecretUnreadable(
            f"{self.path} is damaged: it is no store of secrets.",
            help="Restore it from a backup, or remove it and set the secrets anew.",
        )

    def _save(self, key_id: str, entries: Entries) -> None:
        content = {"version": VERSION, "key_id": key_id, "secrets": entries}
        draft = self.path.with_name(f".{self.path.name}.{os.getpid()}")
        try:
            _write_synced(draft, json.dumps(content, indent=1, sort_keys=True).encode() + b"\n")
            draft.replace(self.path)
            _sync_folder(self.path.parent)
        except OSError as error:
            with contextlib.suppress(OSError):
                draft.unlink(missing_ok=True)
            raise StoreUnavailable(
                f"{self.path} cannot be written: {error.strerror}. Nothing was changed."
            ) from error

    @contextlib.contextmanager
    def _turn(self) -> Iterator[None]:
        """Wait for the turn to change the store; it ends with the process at the latest."""
        try:
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            fd = os.open(
                self.path.with_name(f"{self.path.name}.lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600
            )
        except OSError as error:
            raise StoreUnavailable(f"{self.path.parent} cannot be written: {error.strerror}.") from error
        try:
            fcntl.flock(fd, fcntl.LOCK_EX)
            yield
        finally:
            os.close(fd)


def _key_id(key: bytes) -> str:
    """Tells keys apart without telling anything of them."""
    return hashlib.sha256(b"towpath secrets key id\0" + key).hexdigest()[:16]


def _bound_to(name: str, set_at: str) -> bytes:
    return f"towpath secret {VERSION}\0{name}\0{set_at}".encode()


def _b64(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


def _write_synced(path: Path, data: bytes) -> None:
    path.unlink(missing_ok=True)
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        with os.fdopen(fd, "wb", closefd=False) as file:
            file.write(data)
        os.fsync(fd)
    finally:
        os.close(fd)


def _sync_folder(folder: Path) -> None:
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
