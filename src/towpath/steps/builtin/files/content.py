"""`file.write`, `file.template`, `file.read`, `file.checksum`, `file.stat` and `file.find`: what is in files.

`file.write` and `file.template` know what they want the file to be, look at what it is, and do the
difference; when there is none they write nothing. A rehearsal shows the same difference.
"""

from __future__ import annotations

import contextlib
import datetime
import hashlib
import json
import os
import re
import stat
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final, Literal

from towpath.steps.builtin.blocking import Stop, beside_the_loop
from towpath.steps.builtin.files import differences
from towpath.steps.builtin.files.places import (
    Kind,
    Mode,
    appearing,
    at,
    digest_of,
    folder_for,
    kind_of,
    meaning,
    mode_number,
)
from towpath.steps.contract import ActionFailed, Change, Rehearsal, StepContext, action
from towpath.steps.shapes import Range

__all__ = ["checksum", "find", "read", "state", "template", "write"]

READ_BYTES_MAX: Final = 1024 * 1024
"""How much `file.read` takes in when nothing else is said; outputs are kept with the run for ever."""
TEMPLATE_BYTES_MAX: Final = 4 * 1024 * 1024
FOUND_MAX: Final = 10_000

MakeFolders = Annotated[bool, "Make the folders above it when they are missing"]
PathInput = Annotated[Path, "Where; a relative path starts in the step's workspace"]


# --- file.write and file.template ---------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class WriteOutputs:
    """What became of a file that was to have some content."""

    path: Annotated[str, "The file, as an absolute path"]
    changed: Annotated[bool, "Whether anything had to be done"]
    bytes: Annotated[int, "Its size"]
    sha256: Annotated[str, "The digest of its content"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What a file shall be."""

    path: Path
    content: bytes
    mode: int | None
    make_folders: bool

    def difference(self) -> Change | None:
        """What has to be done; None when the file is so already."""
        target = self.real_path()
        kind = kind_of(target)
        if kind == Kind.NOTHING:
            return Change(verb="create", target=str(self.path), detail=differences.between(b"", self.content))
        if kind != Kind.FILE:
            raise ActionFailed(f"{self.path} is a {kind}, not a file.", kind="conflict")
        before = target.read_bytes() if target.stat().st_size == len(self.content) else None
        mode = stat.S_IMODE(target.stat().st_mode)
        is_mode_right = self.mode is None or self.mode == mode
        if before == self.content and is_mode_right:
            return None
        detail = "" if is_mode_right else f"mode {mode:04o} → {self.mode:04o}\n"
        if before != self.content and not differences.may_be_shown(target):
            detail += differences.HIDDEN
        elif before != self.content:
            detail += differences.between(differences.start_of(target), self.content)
        return Change(verb="change", target=str(self.path), detail=detail)

    def real_path(self) -> Path:
        """The file behind links: writing to a link writes what it points to."""
        return self.path.resolve() if self.path.is_symlink() else self.path

    def outputs(self, *, changed: bool) -> WriteOutputs:
        """What is answered when the file is so."""
        return WriteOutputs(
            path=str(self.path),
            changed=changed,
            bytes=len(self.content),
            sha256=hashlib.sha256(self.content).hexdigest(),
        )

    def achieve(self, _stop: Stop) -> WriteOutputs:
        """Makes the file so."""
        with meaning(f"{self.path} cannot be written"):
            if self.difference() is None:
                return self.outputs(changed=False)
            target = self.real_path()
            folder_for(target, make_folders=self.make_folders)
            with appearing(target, mode=self.mode) as file:
                file.write(self.content)
        return self.outputs(changed=True)

    def rehearsed(self, _stop: Stop) -> Rehearsal:
        """Tells what `achieve` would do."""
        with meaning(f"{self.path} cannot be read"):
            change = self.difference()
            if change is not None and not self.make_folders:
                folder_for(self.real_path(), make_folders=False)
        outputs = self.outputs(changed=change is not None)
        if change is None:
            return Rehearsal(summary=f"leaves {self.path} as it is", outputs=_plain(outputs))
        verb = "creates" if change.verb == "create" else "changes"
        return Rehearsal(summary=f"{verb} {self.path}", changes=(change,), outputs=_plain(outputs))


def _plain(outputs: WriteOutputs) -> Mapping[str, object]:
    return {name: getattr(outputs, name) for name in outputs.__slots__}


def _wanted_write(
    context: StepContext,
    path: Path,
    content: Any,  # noqa: ANN401 - text, list or map
    mode: str | None,
    *,
    make_folders: bool,
) -> Wanted:
    text = content if isinstance(content, str) else json.dumps(content, ensure_ascii=False, indent=2) + "\n"
    return Wanted(
        path=at(context, path), content=text.encode(), mode=mode_number(mode), make_folders=make_folders
    )


@action("file.write", idempotent=True, effects="files", secrets=("content",))
async def write(
    path: PathInput,
    content: Annotated[
        str | list[Any] | dict[str, Any], "The whole content; a list or a map is written as JSON"
    ],
    *,
    mode: Mode | None = None,
    make_folders: MakeFolders = False,
    context: StepContext,
) -> WriteOutputs:
    """Gives a file this content, at once and whole; does nothing when it has it already."""
    return await beside_the_loop(
        _wanted_write(context, path, content, mode, make_folders=make_folders).achieve
    )


@write.rehearsal
async def rehearse_write(
    path: Path,
    content: Any,  # noqa: ANN401 - text, list or map
    *,
    mode: str | None = None,
    make_folders: bool = False,
    context: StepContext,
) -> Rehearsal:
    """Shows the difference."""
    return await beside_the_loop(
        _wanted_write(context, path, content, mode, make_folders=make_folders).rehearsed
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class TemplateInputs:
    """What `file.template` takes."""

    source: Annotated[Path, "The template: text with `{{ name }}` where a value goes"]
    target: Annotated[Path, "The file to write"]
    values: Annotated[dict[str, str | int | float | bool], "The values by name"]
    mode: Mode | None = None
    make_folders: MakeFolders = False


@action("file.template", idempotent=True, effects="files", secrets=("values",))
async def template(inputs: TemplateInputs, context: StepContext) -> WriteOutputs:
    """Writes a file from a template: values take the place of `{{ name }}`, and there is no logic."""
    return await beside_the_loop(lambda stop: _wanted_template(inputs, context).achieve(stop))


@template.rehearsal
async def rehearse_template(inputs: TemplateInputs, context: StepContext) -> Rehearsal:
    """Shows the difference."""
    return await beside_the_loop(lambda stop: _wanted_template(inputs, context).rehearsed(stop))


_PLACE = re.compile(r"\{\{\s*([A-Za-z_][A-Za-z0-9_]*)\s*\}\}")


def _wanted_template(inputs: TemplateInputs, context: StepContext) -> Wanted:
    text = _read_text(at(context, inputs.source), bytes_max=TEMPLATE_BYTES_MAX)
    missing = sorted({name for name in _PLACE.findall(text) if name not in inputs.values})
    if missing:
        raise ActionFailed(
            f"{inputs.source} wants {', '.join(missing)}, and `values` has no such name.", kind="invalid"
        )
    # One pass: what a value holds is text and is never looked at again.
    content = _PLACE.sub(lambda found: _text_of(inputs.values[found[1]]), text)
    return Wanted(
        path=at(context, inputs.target),
        content=content.encode(),
        mode=mode_number(inputs.mode),
        make_folders=inputs.make_folders,
    )


def _text_of(value: str | float | bool) -> str:  # noqa: FBT001 - a value of a template
    return value if isinstance(value, str) else json.dumps(value)


# --- file.read ----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadOutputs:
    """What a file holds."""

    path: Annotated[str, "The file, as an absolute path"]
    content: Annotated[str, "Its text"]
    json: Annotated[Any, "The value that it holds, with `parse: json`"]
    lines: Annotated[list[str], "Its lines, with `parse: lines`"]
    bytes: Annotated[int, "Its size"]
    sha256: Annotated[str, "The digest of its content"]


@action("file.read", idempotent=True, effects="none")
async def read(
    path: PathInput,
    parse: Annotated[Literal["text", "json", "lines"], "What to make of it besides the text"] = "text",
    bytes_max: Annotated[int, "Fail when it is larger", Range(1, 64 * 1024 * 1024)] = READ_BYTES_MAX,
    *,
    context: StepContext,
) -> ReadOutputs:
    """Reads a file of UTF-8 text."""
    where = at(context, path)
    text = await beside_the_loop(lambda _stop: _read_text(where, bytes_max=bytes_max))
    raw = text.encode()
    return ReadOutputs(
        path=str(where),
        content=text,
        json=_parsed_json(text, where) if parse == "json" else None,
        lines=text.splitlines() if parse == "lines" else [],
        bytes=len(raw),
        sha256=hashlib.sha256(raw).hexdigest(),
    )


def _read_text(path: Path, *, bytes_max: int) -> str:
    with meaning(f"{path} cannot be read"):
        # A pipe or a device would wait or never end.
        if not path.is_file() and path.exists():
            raise ActionFailed(f"{path} is no file.", kind="invalid")
        with path.open("rb") as file:
            raw = file.read(bytes_max + 1)
    if len(raw) > bytes_max:
        raise ActionFailed(f"{path} is larger than {bytes_max} bytes.", kind="invalid")
    try:
        return raw.decode()
    except UnicodeDecodeError as error:
        raise ActionFailed(f"{path} is no UTF-8 text (byte {error.start}).", kind="invalid") from None


def _parsed_json(text: str, path: Path) -> Any:  # noqa: ANN401 - any JSON
    try:
        return json.loads(text, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise ActionFailed(f"{path} is no JSON: {error}.", kind="invalid") from None


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON number")


# --- file.checksum ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class ChecksumOutputs:
    """The digest of a file."""

    path: Annotated[str, "The file, as an absolute path"]
    digest: Annotated[str, "In hexadecimal digits"]
    algorithm: Annotated[str, "How it was made"]
    bytes: Annotated[int, "The size of the file"]


@action("file.checksum", idempotent=True, effects="none")
async def checksum(
    path: PathInput,
    algorithm: Annotated[Literal["sha256", "sha512", "sha1", "md5", "blake2b"], "How"] = "sha256",
    expected: Annotated[str | None, "Fail when the digest is another one"] = None,
    *,
    context: StepContext,
) -> ChecksumOutputs:
    """Computes the digest of a file, and compares it with the one that is expected."""
    where = at(context, path)

    def work(stop: Stop) -> tuple[str, int]:
        with meaning(f"{where} cannot be read"):
            return digest_of(where, stop, algorithm=algorithm)

    digest, size = await beside_the_loop(work)
    outputs = ChecksumOutputs(path=str(where), digest=digest, algorithm=algorithm, bytes=size)
    if expected is not None and expected.strip().lower() != digest:
        raise ActionFailed(
            f"The {algorithm} digest of {where} is {digest}, not {expected.strip().lower()}.",
            kind="conflict",
            outputs={"path": str(where), "digest": digest, "algorithm": algorithm, "bytes": size},
        )
    return outputs


# --- file.stat ----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class StatOutputs:
    """What stands at a path; all but *exists* and *kind* are null when there is nothing."""

    path: Annotated[str, "As an absolute path"]
    exists: Annotated[bool, "Whether anything is there; a link counts even when it points nowhere"]
    kind: Annotated[Literal["file", "folder", "link", "other", "nothing"], "What is there"]
    bytes: Annotated[int | None, "The size of a file"] = None
    mode: Annotated[str | None, "Permissions as four octal digits"] = None
    modified_at: Annotated[str | None, "When it was last changed (UTC)"] = None
    user: Annotated[int | None, "The number of its owner"] = None
    group: Annotated[int | None, "The number of its group"] = None
    target: Annotated[str | None, "Where a link points to"] = None


@action("file.stat", idempotent=True, effects="none")
async def state(path: PathInput, *, context: StepContext) -> StatOutputs:
    """Tells what stands at a path, without following a link."""
    where = at(context, path)
    with meaning(f"{where} cannot be looked at"):
        kind: Any = kind_of(where)
        if kind == Kind.NOTHING:
            return StatOutputs(path=str(where), exists=False, kind=kind)
        told = where.lstat()
        return StatOutputs(
            path=str(where),
            exists=True,
            kind=kind,
            bytes=told.st_size if kind == Kind.FILE else None,
            mode=f"{stat.S_IMODE(told.st_mode):04o}",
            modified_at=datetime.datetime.fromtimestamp(told.st_mtime, datetime.UTC).isoformat(),
            user=told.st_uid,
            group=told.st_gid,
            target=str(where.readlink()) if kind == Kind.LINK else None,
        )


# --- file.find ----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class FindInputs:
    """What `file.find` takes."""

    path: Annotated[Path, "The folder to look in"] = Path()
    pattern: Annotated[str, "Names to look for: `*.log`, or `**/*.log` in every folder below"] = "*"
    kind: Annotated[Literal["file", "folder", "link", "any"], "What to look for"] = "file"
    older_than: Annotated[datetime.timedelta | None, "Only what was last changed longer ago"] = None
    newer_than: Annotated[datetime.timedelta | None, "Only what was changed since"] = None
    larger_than: Annotated[int | None, "Only files of more bytes"] = None
    count_max: Annotated[int, "Fail when there are more", Range(1, FOUND_MAX)] = FOUND_MAX


@dataclass(frozen=True, slots=True, kw_only=True)
class FindOutputs:
    """What was found."""

    paths: Annotated[list[str], "Absolute paths, sorted"]
    count: Annotated[int, "How many"]
    bytes: Annotated[int, "The size of the files together"]


@action("file.find", idempotent=True, effects="none")
async def find(inputs: FindInputs, context: StepContext) -> FindOutputs:
    """Finds files by name, age and size; links to folders are not followed."""
    folder = at(context, inputs.path)
    parts = Path(inputs.pattern).parts
    if not parts or ".." in parts or Path(inputs.pattern).is_absolute():
        raise ActionFailed("`pattern` is relative to `path` and does not leave it.", kind="invalid")

    def work(stop: Stop) -> FindOutputs:
        with meaning(f"{folder} cannot be looked through"):
            if not folder.is_dir():
                raise ActionFailed(f"There is no folder {folder}.", kind="invalid")
            found = sorted(_found(folder, inputs, stop))
        return FindOutputs(
            paths=[path for path, _ in found], count=len(found), bytes=sum(size for _, size in found)
        )

    return await beside_the_loop(work)


def _found(folder: Path, inputs: FindInputs, stop: Stop) -> Iterator[tuple[str, int]]:
    now, count = time.time(), 0
    matches = _matcher(inputs.pattern)
    for here, folders, files in os.walk(folder, onerror=_raise):
        stop.check()
        for name in (*folders, *files):
            path = Path(here, name)
            if not matches(path.relative_to(folder)):
                continue
            with contextlib.suppress(FileNotFoundError):  # gone since it was listed
                told = path.lstat()
                if _is_wanted(kind_of(path), told, inputs, now):
                    count += 1
                    if count > inputs.count_max:
                        raise ActionFailed(f"More than {inputs.count_max} were found.", kind="invalid")
                    yield str(path), told.st_size if stat.S_ISREG(told.st_mode) else 0


def _raise(error: OSError) -> None:
    raise error


def _is_wanted(kind: str, told: os.stat_result, inputs: FindInputs, now: float) -> bool:
    age = now - told.st_mtime
    return (
        inputs.kind in (kind, "any")
        and (inputs.older_than is None or age > inputs.older_than.total_seconds())
        and (inputs.newer_than is None or age < inputs.newer_than.total_seconds())
        and (inputs.larger_than is None or (kind == Kind.FILE and told.st_size > inputs.larger_than))
    )


def _matcher(pattern: str) -> Any:  # noqa: ANN401 - a function of a path
    """A test for relative paths: `*` and `?` stay inside a name, `**` stands for any folders."""
    regex = ""
    for part in Path(pattern).parts:
        if part == "**":
            regex += r"(?:[^/]+/)*"
            continue
        for character in part:
            regex += {"*": "[^/]*", "?": "[^/]"}.get(character, re.escape(character))
        regex += "/"
    regex = regex.removesuffix("/") if not regex.endswith(")*") else regex
    if regex.endswith(r"(?:[^/]+/)*"):
        regex += "[^/]+"
    machine = re.compile(regex)
    return lambda path: machine.fullmatch(path.as_posix()) is not None
