"""`file.archive` and `file.extract`: folders as one file, and back.

An archive from outside is hostile: its names may climb out of the folder, its links may point out of it,
and a kilobyte of it may become a terabyte. So it is unpacked into a fresh folder that nobody else sees;
every name is checked; links are made last, when nothing is written through them any more, and only when
they stay inside; devices are refused; entries and bytes are counted. Only a whole and good result takes
the target's place.
"""

from __future__ import annotations

import contextlib
import gzip
import os
import posixpath
import stat
import tarfile
import time
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, Annotated, BinaryIO, Final, Literal, cast

from towpath.steps.builtin.blocking import PIECE_BYTES, Stop, beside_the_loop
from towpath.steps.builtin.files.places import (
    Kind,
    appearing,
    at,
    check_folder,
    digest_of,
    folder_for,
    kind_of,
    meaning,
)
from towpath.steps.builtin.files.tree import replace_with
from towpath.steps.contract import ActionFailed, Change, Rehearsal, StepContext, action
from towpath.steps.shapes import Range

__all__ = ["archive", "extract"]

ENTRIES_MAX: Final = 100_000
EXTRACTED_BYTES_MAX: Final = 16 * 1024**3
HEADER_BYTES_MAX: Final = 4 * PIECE_BYTES
LINK_CHARS_MAX: Final = 4_096

Format = Literal["tar.gz", "tar", "zip"]
_SUFFIXES: dict[str, Format] = {".tar.gz": "tar.gz", ".tgz": "tar.gz", ".tar": "tar", ".zip": "zip"}
_OLDEST_ZIP_TIME = 315_532_800
"""1980: zip knows no earlier time."""


def _format_of(path: Path) -> Format:
    for suffix, form in _SUFFIXES.items():
        if path.name.lower().endswith(suffix):
            return form
    raise ActionFailed(
        f"The name of {path} does not tell how it is packed.",
        kind="invalid",
        help=f"Use {', '.join(_SUFFIXES)}.",
    )


# --- file.archive -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class ArchiveInputs:
    """What `file.archive` takes."""

    source: Annotated[Path, "The file or the folder to pack; the content of a folder, without its own name"]
    target: Annotated[Path, "The archive: .tar.gz, .tgz, .tar or .zip"]
    exclude: Annotated[tuple[str, ...], "Names or relative paths to leave out, with `*` and `?`"] = ()
    make_folders: Annotated[bool, "Make the folders above it when they are missing"] = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ArchiveOutputs:
    """The archive that was made."""

    path: Annotated[str, "As an absolute path"]
    entries: Annotated[int, "How many files, folders and links it holds"]
    bytes: Annotated[int, "Its size"]
    sha256: Annotated[str, "Its digest; the same content makes the same archive"]


@action("file.archive", idempotent=True, effects="files")
async def archive(inputs: ArchiveInputs, context: StepContext) -> ArchiveOutputs:
    """Packs a file or a folder into one archive, which appears whole and replaces an older one."""
    source, target = at(context, inputs.source), at(context, inputs.target)

    def work(stop: Stop) -> ArchiveOutputs:
        with meaning(f"{source} cannot be packed into {target}"):
            form, entries = _format_of(target), _entries(source, target, inputs, stop)
            folder_for(target, make_folders=inputs.make_folders)
            with appearing(target) as file:
                pack = _pack_zip if form == "zip" else _pack_tar
                pack(file, entries, stop, compress=form == "tar.gz")
            digest, size = digest_of(target, Stop())
        return ArchiveOutputs(path=str(target), entries=len(entries), bytes=size, sha256=digest)

    return await beside_the_loop(work)


@archive.rehearsal
async def rehearse_archive(inputs: ArchiveInputs, context: StepContext) -> Rehearsal:
    """Counts what would be packed."""
    source, target = at(context, inputs.source), at(context, inputs.target)

    def work(stop: Stop) -> Rehearsal:
        with meaning(f"{source} cannot be packed"):
            _format_of(target)
            check_folder(target, make_folders=inputs.make_folders)
            count = len(_entries(source, target, inputs, stop))
        verb: Literal["create", "change"] = "create" if kind_of(target) == Kind.NOTHING else "change"
        change = Change(verb=verb, target=str(target), detail=f"{count} entries of {source}")
        return Rehearsal(summary=f"packs {count} entries of {source} into {target}", changes=(change,))

    return await beside_the_loop(work)


def _entries(source: Path, target: Path, inputs: ArchiveInputs, stop: Stop) -> list[tuple[str, Path]]:
    """Name in the archive and place, sorted, so that the same content makes the same archive."""
    kind = kind_of(source)
    if kind == Kind.FILE:
        return [(source.name, source)]
    if kind != Kind.FOLDER:
        raise ActionFailed(f"{source} is no file and no folder.", kind="invalid")
    found: list[tuple[str, Path]] = []
    for here, folders, files in os.walk(source, onerror=_raise):
        stop.check()
        for name in (*folders, *files):
            path = Path(here, name)
            inside = path.relative_to(source).as_posix()
            if path == target or _is_left_out(inside, inputs.exclude):
                if name in folders:
                    folders.remove(name) if path.is_dir() else None
                continue
            if kind_of(path) == Kind.OTHER:
                raise ActionFailed(f"{path} is neither a file nor a folder.", kind="invalid")
            found.append((inside, path))
            if len(found) > ENTRIES_MAX:
                raise ActionFailed(f"{source} holds more than {ENTRIES_MAX} entries.", kind="invalid")
    return sorted(found)


def _raise(error: OSError) -> None:
    raise error


def _is_left_out(inside: str, patterns: tuple[str, ...]) -> bool:
    path = PurePosixPath(inside)
    return any(path.match(pattern) for pattern in patterns)


def _pack_tar(file: BinaryIO, entries: list[tuple[str, Path]], stop: Stop, *, compress: bool) -> None:
    with contextlib.ExitStack() as stack:
        # Neither the name of the file nor the time of packing: the same content makes the same bytes.
        out: IO[bytes] = file
        if compress:
            packer = gzip.GzipFile(filename="", mode="wb", fileobj=file, mtime=0)
            stack.callback(packer.close)
            out = cast("IO[bytes]", packer)
        tar = stack.enter_context(tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT))
        for name, path in entries:
            stop.check()
            member = tar.gettarinfo(path, arcname=name)
            member.uid = member.gid = 0
            member.uname = member.gname = ""
            member.mtime = int(member.mtime)
            if member.islnk():  # a hard link to something packed before: the content is packed again
                member.type, member.linkname, member.size = tarfile.REGTYPE, "", path.stat().st_size
            if member.isreg():
                with path.open("rb") as content:
                    tar.addfile(member, _Watched(content, stop))
            else:
                tar.addfile(member)


class _Watched:
    """A file that looks at the stop whenever it is read."""

    def __init__(self, file: IO[bytes], stop: Stop) -> None:
        self._file = file
        self._stop = stop

    def read(self, size: int = -1) -> bytes:
        """The next bytes."""
        self._stop.check()
        return self._file.read(size)


def _pack_zip(file: BinaryIO, entries: list[tuple[str, Path]], stop: Stop, *, compress: bool) -> None:  # noqa: ARG001 - a zip is always compressed
    with zipfile.ZipFile(file, "w", compression=zipfile.ZIP_DEFLATED) as packed:
        for name, path in entries:
            stop.check()
            told = path.lstat()
            is_folder = stat.S_ISDIR(told.st_mode)
            when = time.gmtime(max(told.st_mtime, _OLDEST_ZIP_TIME))
            member = zipfile.ZipInfo(name + "/" * is_folder, date_time=when[:6])
            member.external_attr = (told.st_mode & 0xFFFF) << 16
            member.compress_type = zipfile.ZIP_DEFLATED
            if is_folder:
                packed.writestr(member, b"")
            elif stat.S_ISLNK(told.st_mode):
                packed.writestr(member, os.fsencode(path.readlink()))
            else:
                with path.open("rb") as content, packed.open(member, "w", force_zip64=True) as into:
                    while piece := content.read(PIECE_BYTES):
                        stop.check()
                        into.write(piece)


# --- file.extract -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class ExtractInputs:
    """What `file.extract` takes."""

    archive: Annotated[Path, "The archive: .tar.gz, .tgz, .tar or .zip"]
    target: Annotated[Path, "The folder that shall hold its content; it is made"]
    strip: Annotated[int, "How many leading folders of each name to leave away", Range(0, 20)] = 0
    overwrite: Annotated[bool, "Replace the folder when it is there"] = False
    make_folders: Annotated[bool, "Make the folders above it when they are missing"] = False
    entries_max: Annotated[int, "Fail when it holds more", Range(1, ENTRIES_MAX)] = ENTRIES_MAX
    bytes_max: Annotated[int, "Fail when it becomes larger", Range(1)] = EXTRACTED_BYTES_MAX


@dataclass(frozen=True, slots=True, kw_only=True)
class ExtractOutputs:
    """What was unpacked."""

    path: Annotated[str, "The folder, as an absolute path"]
    entries: Annotated[int, "How many files, folders and links"]
    bytes: Annotated[int, "The size of the files together"]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Entry:
    """One thing in an archive, whatever packed it."""

    name: str
    kind: Literal["file", "folder", "link", "hard_link"]
    mode: int
    size: int
    link: str = ""
    content: zipfile.ZipInfo | tarfile.TarInfo


@action("file.extract", idempotent=lambda inputs: inputs.overwrite, effects="files")
async def extract(inputs: ExtractInputs, context: StepContext) -> ExtractOutputs:
    """Unpacks an archive into a folder, which appears whole; nothing gets out of it."""
    source, target = at(context, inputs.archive), at(context, inputs.target)

    def work(stop: Stop) -> ExtractOutputs:
        with meaning(f"{source} cannot be unpacked into {target}"), _readable(source):
            _check_place(target, inputs)
            folder_for(target, make_folders=inputs.make_folders)
            with _opened(source) as packed, replace_with(target, stop) as fresh:
                entries, size = _Extraction(packed=packed, into=fresh, inputs=inputs, stop=stop).run()
        return ExtractOutputs(path=str(target), entries=entries, bytes=size)

    return await beside_the_loop(work)


@extract.rehearsal
async def rehearse_extract(inputs: ExtractInputs, context: StepContext) -> Rehearsal:
    """Reads the list of the archive and checks every name."""
    source, target = at(context, inputs.archive), at(context, inputs.target)

    def work(stop: Stop) -> Rehearsal:
        with meaning(f"{source} cannot be read"), _readable(source):
            _check_place(target, inputs)
            check_folder(target, make_folders=inputs.make_folders)
            with _opened(source) as packed:
                entries, size = _Extraction(packed=packed, into=None, inputs=inputs, stop=stop).run()
        verb: Literal["create", "change"] = "create" if kind_of(target) == Kind.NOTHING else "change"
        change = Change(verb=verb, target=str(target), detail=f"{entries} entries, {size} bytes")
        outputs = {"path": str(target), "entries": entries, "bytes": size}
        return Rehearsal(
            summary=f"unpacks {entries} entries of {source} into {target}", changes=(change,), outputs=outputs
        )

    return await beside_the_loop(work)


def _check_place(target: Path, inputs: ExtractInputs) -> None:
    kind = kind_of(target)
    if kind not in (Kind.NOTHING, Kind.FOLDER):
        raise ActionFailed(f"{target} is a {kind}, not a folder.", kind="conflict")
    if kind == Kind.FOLDER and not inputs.overwrite and any(target.iterdir()):
        raise ActionFailed(
            f"{target} is not empty.", kind="conflict", help="Say `overwrite: true` to replace the folder."
        )


@contextlib.contextmanager
def _readable(source: Path) -> Iterator[None]:
    try:
        yield
    except (tarfile.TarError, zipfile.BadZipFile, zlib.error, EOFError, gzip.BadGzipFile) as error:
        raise ActionFailed(f"{source} is damaged or no archive: {error}.", kind="invalid") from None
    except (
        NotImplementedError,
        RuntimeError,
    ) as error:  # a way of packing or a password that zipfile cannot deal with
        raise ActionFailed(f"{source} cannot be unpacked: {error}.", kind="invalid") from None


@contextlib.contextmanager
def _opened(source: Path) -> Iterator[tarfile.TarFile | zipfile.ZipFile]:
    form = _format_of(source)
    if form == "zip":
        with zipfile.ZipFile(source) as packed:
            yield packed
    else:
        with source.open("rb") as file:
            content = gzip.GzipFile(fileobj=file) if form == "tar.gz" else file
            with tarfile.open(fileobj=cast("IO[bytes]", _Bounded(content)), mode="r:") as tar:
                yield tar


class _Bounded:
    """A file read in bounded pieces: tar reads a long name at once, however long it says it is."""

    def __init__(self, file: gzip.GzipFile | BinaryIO) -> None:
        self._file = file

    def read(self, size: int = -1) -> bytes:
        """The next bytes."""
        if not 0 <= size <= HEADER_BYTES_MAX:
            raise ActionFailed(f"It holds a header of more than {HEADER_BYTES_MAX} bytes.", kind="invalid")
        return self._file.read(size)

    def seek(self, place: int, whence: int = 0) -> int:
        """Goes to a place."""
        return self._file.seek(place, whence)

    def tell(self) -> int:
        """Where it is."""
        return self._file.tell()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Extraction:
    """One unpacking; without *into* only everything is checked."""

    packed: tarfile.TarFile | zipfile.ZipFile
    into: Path | None
    inputs: ExtractInputs
    stop: Stop

    def run(self) -> tuple[int, int]:
        """How many entries there are, and the size of the files."""
        count = size = 0
        links: list[tuple[str, str]] = []
        folders: list[tuple[str, int]] = []
        for entry in self._entries():
            self.stop.check()
            name = self._place(entry.name)
            if name is None:
                continue
            count, size = count + 1, size + (entry.size if entry.kind == "file" else 0)
            if count > self.inputs.entries_max:
                raise ActionFailed(f"It holds more than {self.inputs.entries_max} entries.", kind="invalid")
            if size > self.inputs.bytes_max:
                raise self._too_large()
            if entry.kind == "link":
                self._check_link(name, entry.link)
                links.append((name, entry.link))
            elif entry.kind == "folder":
                folders.append((name, entry.mode))
            elif entry.kind == "hard_link" and self._place(entry.link) is None:
                raise _climbs(entry.link)
            if self.into is not None:
                self._put(self.into, name, entry)
        if self.into is not None:
            self._finish(self.into, links, folders)
        return count, size

    def _entries(self) -> Iterator[_Entry]:
        if isinstance(self.packed, zipfile.ZipFile):
            return (self._zip_entry(info) for info in self.packed.infolist())
        return (_tar_entry(info) for info in self.packed)

    def _zip_entry(self, info: zipfile.ZipInfo) -> _Entry:
        mode = info.external_attr >> 16
        if stat.S_ISLNK(mode):
            if info.file_size > LINK_CHARS_MAX:
                raise ActionFailed(f"The link {info.filename!r} is too long.", kind="invalid")
            link = os.fsdecode(cast("zipfile.ZipFile", self.packed).read(info))
            return _Entry(name=info.filename, kind="link", mode=0, size=0, link=link, content=info)
        kind: Literal["file", "folder"] = "folder" if info.is_dir() else "file"
        # An archive from a system without permissions has none.
        usual = 0o755 if kind == "folder" else 0o644
        return _Entry(name=info.filename, kind=kind, mode=mode or usual, size=info.file_size, content=info)

    def _place(self, name: str) -> str | None:
        """Where an entry goes inside the target; None when nothing of its name is left."""
        if name.startswith("/") or "\0" in name or "\\" in name or (len(name) > 1 and name[1] == ":"):
            raise _climbs(name)
        parts = [part for part in name.split("/") if part not in ("", ".")]
        if ".." in parts:
            raise _climbs(name)
        return "/".join(parts[self.inputs.strip :]) or None

    def _check_link(self, name: str, link: str) -> None:
        """A link stays inside, and climbs no further than its own place allows."""
        if not link or link.startswith("/") or "\0" in link:
            raise _climbs(f"{name} → {link}")
        if posixpath.normpath(posixpath.join(posixpath.dirname(name), link)).split("/")[0] == "..":
            raise _climbs(f"{name} → {link}")

    def _put(self, into: Path, name: str, entry: _Entry) -> None:
        path = into / name
        if entry.kind == "folder":
            path.mkdir(mode=0o700, parents=True, exist_ok=True)
            return
        if entry.kind == "link":
            return
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with path.open("xb") as file, self._content(into, entry) as content:
            total = 0
            while piece := content.read(PIECE_BYTES):
                self.stop.check()
                total += len(piece)
                if total > entry.size and entry.kind == "file":  # the list of the archive lied
                    raise self._too_large()
                file.write(piece)
            os.fchmod(file.fileno(), entry.mode & 0o755 | 0o600)

    def _content(self, into: Path, entry: _Entry) -> IO[bytes]:
        if entry.kind == "hard_link":
            return (into / str(self._place(entry.link))).open("rb")
        if isinstance(self.packed, zipfile.ZipFile):
            return self.packed.open(cast("zipfile.ZipInfo", entry.content))
        found = self.packed.extractfile(cast("tarfile.TarInfo", entry.content))
        assert found is not None
        return found

    def _finish(self, into: Path, links: list[tuple[str, str]], folders: list[tuple[str, int]]) -> None:
        for name, link in links:
            path = into / name
            # Nothing is made through a link that was made before, for that may lead out.
            if any((into / above).is_symlink() for above in PurePosixPath(name).parents):
                raise _climbs(name)
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            path.symlink_to(link)
        for folder, _, _ in os.walk(into):
            if folder != str(into):
                Path(folder).chmod(0o755)
        for name, mode in folders:
            if (into / name).is_dir() and not (into / name).is_symlink():
                (into / name).chmod(mode & 0o755 | 0o700)
        into.chmod(0o755)
        self._check_links(into, links)

    def _check_links(self, into: Path, links: list[tuple[str, str]]) -> None:
        """A chain of links may climb where each alone does not: look where each really ends."""
        real = into.resolve()
        for name, link in links:
            if not (into / name).resolve(strict=False).is_relative_to(real):
                raise _climbs(f"{name} → {link}")

    def _too_large(self) -> ActionFailed:
        return ActionFailed(
            f"It becomes larger than {self.inputs.bytes_max} bytes or than it says.", kind="invalid"
        )


def _tar_entry(info: tarfile.TarInfo) -> _Entry:
    kind: Literal["file", "folder", "link", "hard_link"]
    if info.isreg():
        kind = "file"
    elif info.isdir():
        kind = "folder"
    elif info.issym():
        kind = "link"
    elif info.islnk():
        kind = "hard_link"
    else:
        raise ActionFailed(f"The archive holds {info.name!r}, which is a device or a pipe.", kind="denied")
    return _Entry(name=info.name, kind=kind, mode=info.mode, size=info.size, link=info.linkname, content=info)


def _climbs(name: str) -> ActionFailed:
    return ActionFailed(f"The archive holds {name!r}, which leads out of its folder.", kind="denied")
