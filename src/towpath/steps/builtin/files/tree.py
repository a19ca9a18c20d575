"""`file.copy`, `file.move`, `file.remove`, `file.symlink` and `file.make_folder`: where files are.

What is put somewhere is first made beside its place, under a hidden name, and then takes the place in one
move. So a reader never sees half of it, and a step that dies leaves at worst a hidden leftover.
"""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import shutil
import stat
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any

from towpath.steps.builtin.blocking import Stop, beside_the_loop
from towpath.steps.builtin.files import differences
from towpath.steps.builtin.files.places import (
    NEW_FOLDER_MODE,
    Kind,
    Mode,
    appearing,
    at,
    check_folder,
    copy_bytes,
    digest_of,
    folder_for,
    kind_of,
    meaning,
    mode_number,
    sync_folder,
)
from towpath.steps.contract import ActionFailed, Change, Rehearsal, StepContext, action

__all__ = ["copy", "make_folder", "move", "remove", "replace_with", "symlink"]

MakeFolders = Annotated[bool, "Make the folders above it when they are missing"]
Source = Annotated[Path, "What; a relative path starts in the step's workspace"]
Target = Annotated[Path, "Where; the path itself, not a folder to put it into"]
Overwrite = Annotated[bool, "Replace what stands there"]


@dataclass(frozen=True, slots=True, kw_only=True)
class PlacedOutputs:
    """What became of a path."""

    path: Annotated[str, "As an absolute path"]
    changed: Annotated[bool, "Whether anything had to be done"]


# --- file.copy ----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class _Copy:
    """One copy: look first, then do."""

    source: Path
    target: Path
    overwrite: bool
    make_folders: bool

    def plan(self, stop: Stop) -> Change | None:
        """What has to be done; None when the target is the same already."""
        kind = kind_of(self.source)
        if kind == Kind.NOTHING:
            raise ActionFailed(f"There is nothing at {self.source}.", kind="invalid")
        if kind == Kind.OTHER:
            raise ActionFailed(f"{self.source} is neither a file nor a folder.", kind="invalid")
        if _is_inside(self.target, self.source) or _is_inside(self.source, self.target):
            raise ActionFailed(f"One of {self.source} and {self.target} is inside the other.", kind="invalid")
        there = kind_of(self.target)
        if there == Kind.NOTHING:
            return Change(verb="create", target=str(self.target), detail=f"a copy of {self.source}")
        if there == kind and _same(self.source, self.target, stop):
            return None
        if not self.overwrite:
            raise _occupied(self.target, there)
        if there != kind:
            raise ActionFailed(f"{self.source} is a {kind} and {self.target} is a {there}.", kind="conflict")
        return Change(verb="change", target=str(self.target), detail=f"becomes a copy of {self.source}")

    def achieve(self, stop: Stop) -> PlacedOutputs:
        """Makes the copy."""
        with meaning(f"{self.source} cannot be copied to {self.target}"):
            if self.plan(stop) is None:
                return PlacedOutputs(path=str(self.target), changed=False)
            folder_for(self.target, make_folders=self.make_folders)
            if self.source.is_dir() and not self.source.is_symlink():
                with replace_with(self.target, stop) as fresh:
                    _copy_tree(self.source, fresh, stop)
            elif self.source.is_symlink():
                _point(self.target, str(self.source.readlink()))
            else:
                with self.source.open("rb") as old, appearing(self.target, mode=_mode_of(self.source)) as new:
                    copy_bytes(old, new, stop)
        return PlacedOutputs(path=str(self.target), changed=True)

    def rehearsed(self, stop: Stop) -> Rehearsal:
        """Tells what `achieve` would do."""
        with meaning(f"{self.source} cannot be copied to {self.target}"):
            change = self.plan(stop)
            if change is not None:
                check_folder(self.target, make_folders=self.make_folders)
            rehearsal = _told(change, self.target, "copies")
            if change is None or change.verb == "create" or kind_of(self.source) != Kind.FILE:
                return rehearsal
            detail = f"{change.detail}\n{differences.between_files(self.target, self.source)}"
            return replace(rehearsal, changes=(replace(change, detail=detail),))


@action("file.copy", idempotent=True, effects="files")
async def copy(
    source: Source,
    target: Target,
    *,
    overwrite: Overwrite = False,
    make_folders: MakeFolders = False,
    context: StepContext,
) -> PlacedOutputs:
    """Copies a file or a whole folder; does nothing when the target is the same already."""
    job = _Copy(
        source=at(context, source), target=at(context, target), overwrite=overwrite, make_folders=make_folders
    )
    return await beside_the_loop(job.achieve)


@copy.rehearsal
async def rehearse_copy(
    source: Path, target: Path, *, overwrite: bool = False, make_folders: bool = False, context: StepContext
) -> Rehearsal:
    """Tells whether there is anything to copy."""
    job = _Copy(
        source=at(context, source), target=at(context, target), overwrite=overwrite, make_folders=make_folders
    )
    return await beside_the_loop(job.rehearsed)


def _mode_of(path: Path) -> int:
    return stat.S_IMODE(path.lstat().st_mode)


def _same(one: Path, other: Path, stop: Stop) -> bool:
    """Whether two things of the same kind hold the same, permissions included."""
    kind = kind_of(one)
    if kind != kind_of(other):
        return False
    if kind == Kind.LINK:
        return one.readlink() == other.readlink()
    if _mode_of(one) != _mode_of(other):
        return False
    if kind == Kind.FOLDER:
        names = sorted(path.name for path in one.iterdir())
        return names == sorted(path.name for path in other.iterdir()) and all(
            _same(one / name, other / name, stop) for name in names
        )
    if kind == Kind.FILE:
        return one.lstat().st_size == other.lstat().st_size and digest_of(one, stop) == digest_of(other, stop)
    return False


def _copy_tree(source: Path, target: Path, stop: Stop) -> None:
    for here, folders, files in os.walk(source, onerror=_raise):
        into = target / Path(here).relative_to(source)
        for name in (*folders, *files):
            stop.check()
            old, new = Path(here, name), into / name
            kind = kind_of(old)
            if kind == Kind.LINK:
                new.symlink_to(old.readlink())
            elif kind == Kind.FOLDER:
                new.mkdir(mode=0o700)
            elif kind == Kind.FILE:
                with old.open("rb") as reader, new.open("xb") as writer:
                    copy_bytes(reader, writer, stop)
                shutil.copystat(old, new)
            else:
                raise ActionFailed(f"{old} is neither a file nor a folder.", kind="invalid")
    # Folders last and from below: a folder without write permission could not be filled.
    for here, _, _ in os.walk(source, topdown=False):
        shutil.copystat(here, target / Path(here).relative_to(source))


def _raise(error: OSError) -> None:
    raise error


# --- file.move ----------------------------------------------------------------------------------------


@action("file.move", effects="files")
async def move(
    source: Source,
    target: Target,
    *,
    overwrite: Overwrite = False,
    make_folders: MakeFolders = False,
    context: StepContext,
) -> PlacedOutputs:
    """Moves a file or a folder; on one file system in a single step."""
    old, new = at(context, source), at(context, target)

    def work(stop: Stop) -> PlacedOutputs:
        with meaning(f"{old} cannot be moved to {new}"):
            _plan_move(old, new, context, overwrite=overwrite)
            folder_for(new, make_folders=make_folders)
            _move(old, new, stop)
        return PlacedOutputs(path=str(new), changed=True)

    return await beside_the_loop(work)


@move.rehearsal
async def rehearse_move(
    source: Path,
    target: Path,
    *,
    overwrite: bool = False,
    make_folders: bool = False,
    context: StepContext,
) -> Rehearsal:
    """Tells what would be moved where."""
    old, new = at(context, source), at(context, target)
    with meaning(f"{old} cannot be moved to {new}"):
        changes = _plan_move(old, new, context, overwrite=overwrite)
        check_folder(new, make_folders=make_folders)
    outputs = {"path": str(new), "changed": True}
    return Rehearsal(summary=f"moves {old} to {new}", changes=changes, outputs=outputs)


def _plan_move(old: Path, new: Path, context: StepContext, *, overwrite: bool) -> tuple[Change, ...]:
    kind, there = kind_of(old), kind_of(new)
    if kind == Kind.NOTHING:
        raise ActionFailed(f"There is nothing at {old}.", kind="invalid")
    _guard(old, context, "moved")
    if _is_inside(new, old) or _is_inside(old, new):
        raise ActionFailed(f"One of {old} and {new} is inside the other.", kind="invalid")
    if there != Kind.NOTHING and not overwrite:
        raise _occupied(new, there)
    if there not in (Kind.NOTHING, kind):
        raise ActionFailed(f"{old} is a {kind} and {new} is a {there}.", kind="conflict")
    put = Change(verb="create" if there == Kind.NOTHING else "change", target=str(new), detail=f"was {old}")
    return (put, Change(verb="remove", target=str(old)))


def _move(old: Path, new: Path, stop: Stop) -> None:
    try:
        if kind_of(new) == Kind.FOLDER:
            with _set_aside(new, stop):
                old.rename(new)
        else:
            old.rename(new)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        # Another file system: a copy that appears whole, then the old one goes.
        _Copy(source=old, target=new, overwrite=True, make_folders=False).achieve(stop)
        _remove_tree(old, stop)
    sync_folder(new.parent)


# --- file.remove --------------------------------------------------------------------------------------


@action("file.remove", idempotent=True, effects="files")
async def remove(
    path: Source,
    *,
    recursive: Annotated[bool, "Remove a folder with everything in it"] = False,
    context: StepContext,
) -> PlacedOutputs:
    """Removes a file, a link or a folder; does nothing when it is gone already."""
    where = at(context, path)

    def work(stop: Stop) -> PlacedOutputs:
        with meaning(f"{where} cannot be removed"):
            if _plan_remove(where, context, recursive=recursive) is None:
                return PlacedOutputs(path=str(where), changed=False)
            _remove_tree(where, stop)
        return PlacedOutputs(path=str(where), changed=True)

    return await beside_the_loop(work)


@remove.rehearsal
async def rehearse_remove(path: Path, *, recursive: bool = False, context: StepContext) -> Rehearsal:
    """Tells what would be gone."""
    where = at(context, path)
    with meaning(f"{where} cannot be removed"):
        return _told(_plan_remove(where, context, recursive=recursive), where, "removes")


def _plan_remove(path: Path, context: StepContext, *, recursive: bool) -> Change | None:
    kind = kind_of(path)
    if kind == Kind.NOTHING:
        return None
    _guard(path, context, "removed")
    if kind != Kind.FOLDER:
        return Change(verb="remove", target=str(path))
    inside = sum(1 for _ in path.iterdir())
    if inside and not recursive:
        raise ActionFailed(
            f"{path} is a folder with {inside} entries.", kind="conflict", help="Say `recursive: true`."
        )
    return Change(verb="remove", target=str(path), detail=f"a folder with {inside} entries")


def _guard(path: Path, context: StepContext, done: str) -> None:
    """A path that came out wrong, and often empty, must not cost more than it holds."""
    # The link itself goes, not what it points to.
    real = path.parent.resolve() / path.name if path.name not in ("", "..") else path.resolve()
    precious = [context.workspace.resolve()]
    with contextlib.suppress(RuntimeError):  # a user without a home folder
        precious.append(Path.home().resolve())
    if any(_is_inside(one, real) for one in precious):
        raise ActionFailed(f"{path} holds the workspace or the home folder and is not {done}.", kind="denied")


def _remove_tree(path: Path, stop: Stop) -> None:
    if kind_of(path) != Kind.FOLDER:
        path.unlink(missing_ok=True)
        return
    # By handles of folders: somebody who swaps a folder for a link meanwhile leads us nowhere.
    for _, folders, files, handle in os.fwalk(path, topdown=False, onerror=_raise, follow_symlinks=False):
        for name in files:
            stop.check()
            with contextlib.suppress(FileNotFoundError):
                os.unlink(name, dir_fd=handle)
        for name in folders:
            _remove_entry(name, handle)
    path.rmdir()


def _remove_entry(name: str, handle: int) -> None:
    with contextlib.suppress(FileNotFoundError):
        try:
            os.rmdir(name, dir_fd=handle)
        except NotADirectoryError:  # a link to a folder
            os.unlink(name, dir_fd=handle)


# --- file.symlink -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class SymlinkInputs:
    """What `file.symlink` takes."""

    path: Annotated[Path, "Where the link is"]
    target: Annotated[str, "What it shall point to, as it shall stand in the link"]
    previous: Annotated[Path | None, "A second link, which is set to what the first pointed to before"] = None
    must_exist: Annotated[bool, "Fail when the target is not there"] = True
    make_folders: MakeFolders = False


@dataclass(frozen=True, slots=True, kw_only=True)
class SymlinkOutputs:
    """What became of the link."""

    path: Annotated[str, "The link, as an absolute path"]
    changed: Annotated[bool, "Whether anything had to be done"]
    target: Annotated[str, "What it points to now"]
    previous: Annotated[str | None, "What it pointed to before; null when it was not there"]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Switch:
    """One change of a link: look first, then do."""

    inputs: SymlinkInputs
    context: StepContext

    @property
    def link(self) -> Path:
        return at(self.context, self.inputs.path)

    def plan(self, _stop: Stop | None = None) -> tuple[tuple[Change, ...], SymlinkOutputs]:
        """What has to be done, and what will be answered."""
        target = self.inputs.target
        if not target or "\0" in target:
            raise ActionFailed("`target` is empty.", kind="invalid")
        if self.inputs.must_exist and not (self.link.parent / target).exists():
            raise ActionFailed(
                f"{target} is not there.",
                kind="invalid",
                help="Say `must_exist: false` to make the link all the same.",
            )
        before = _pointed(self.link)
        kept = None if self.inputs.previous is None else at(self.context, self.inputs.previous)
        kept_target = _pointed(kept) if kept else None
        if before == target:
            return (), self._answer(changed=False, previous=kept_target)
        detail = f"{before or 'nothing'} → {target}"
        changes = [Change(verb="change" if before else "create", target=str(self.link), detail=detail)]
        if kept and before:
            changes.insert(0, Change(verb="change", target=str(kept), detail=f"→ {before}"))
        return tuple(changes), self._answer(changed=True, previous=before)

    def _answer(self, *, changed: bool, previous: str | None) -> SymlinkOutputs:
        return SymlinkOutputs(
            path=str(self.link), changed=changed, target=self.inputs.target, previous=previous
        )

    def achieve(self, _stop: Stop) -> SymlinkOutputs:
        """Points the link to its target."""
        with meaning(f"{self.link} cannot be made to point to {self.inputs.target}"):
            changes, outputs = self.plan()
            if changes:
                folder_for(self.link, make_folders=self.inputs.make_folders)
                # The old target is kept first: a repetition after a crash in between still finds it.
                if self.inputs.previous is not None and outputs.previous is not None:
                    _point(at(self.context, self.inputs.previous), outputs.previous)
                _point(self.link, self.inputs.target)
        return outputs


@action(
    "file.symlink",
    # Without the second link, a repetition after a crash could not tell what to go back to.
    idempotent=lambda inputs: inputs.previous is not None,
    effects="files",
)
async def symlink(inputs: SymlinkInputs, context: StepContext) -> SymlinkOutputs:
    """Points a symbolic link to a target in a single step, so that it is never missing."""
    return await beside_the_loop(_Switch(inputs=inputs, context=context).achieve)


@symlink.rehearsal
async def rehearse_symlink(inputs: SymlinkInputs, context: StepContext) -> Rehearsal:
    """Tells where the link points and where it would."""
    job = _Switch(inputs=inputs, context=context)
    with meaning(f"{job.link} cannot be made to point to {inputs.target}"):
        changes, outputs = job.plan()
        if changes:
            check_folder(job.link, make_folders=inputs.make_folders)
    summary = f"points {job.link} to {inputs.target}" if changes else f"leaves {job.link} as it is"
    return Rehearsal(
        summary=summary, changes=changes, outputs={name: getattr(outputs, name) for name in outputs.__slots__}
    )


def _pointed(link: Path) -> str | None:
    kind = kind_of(link)
    if kind == Kind.NOTHING:
        return None
    if kind != Kind.LINK:
        raise ActionFailed(f"{link} is a {kind}, not a link.", kind="conflict")
    return str(link.readlink())


def _point(link: Path, target: str) -> None:
    fresh = _beside(link)
    fresh.symlink_to(target)
    try:
        fresh.replace(link)
    finally:
        fresh.unlink(missing_ok=True)
    sync_folder(link.parent)


# --- file.make_folder ---------------------------------------------------------------------------------


@action("file.make_folder", idempotent=True, effects="files")
async def make_folder(path: Target, *, mode: Mode | None = None, context: StepContext) -> PlacedOutputs:
    """Makes a folder, and those above it; does nothing when it is there."""
    where = at(context, path)
    with meaning(f"{where} cannot be made"):
        changes = _plan_folder(where, mode)
        if changes:
            where.mkdir(mode=NEW_FOLDER_MODE, parents=True, exist_ok=True)
            if mode is not None:
                where.chmod(mode_number(mode) or 0)
    return PlacedOutputs(path=str(where), changed=changes is not None)


@make_folder.rehearsal
async def rehearse_make_folder(path: Path, *, mode: str | None = None, context: StepContext) -> Rehearsal:
    """Tells whether it has to be made."""
    where = at(context, path)
    with meaning(f"{where} cannot be made"):
        return _told(_plan_folder(where, mode), where, "makes")


def _plan_folder(path: Path, mode: str | None) -> Change | None:
    if not path.exists() and kind_of(path) == Kind.NOTHING:
        return Change(verb="create", target=str(path))
    if not path.is_dir():
        raise ActionFailed(f"{path} is a {kind_of(path)}, not a folder.", kind="conflict")
    now = stat.S_IMODE(path.stat().st_mode)
    if mode is not None and now != mode_number(mode):
        return Change(verb="change", target=str(path), detail=f"mode {now:04o} → {mode}")
    return None


# --- small parts --------------------------------------------------------------------------------------


@contextlib.contextmanager
def replace_with(target: Path, stop: Stop) -> Iterator[Path]:
    """A fresh folder beside *target* that takes its place when it is filled; what stood there goes."""
    fresh = _beside(target)
    fresh.mkdir(mode=0o700)
    try:
        yield fresh
        if _mode_of(fresh) == 0o700:  # noqa: PLR2004 - nobody gave it another
            fresh.chmod(NEW_FOLDER_MODE)
        _sync_tree(fresh, stop)
        if kind_of(target) == Kind.NOTHING:
            fresh.rename(target)
        else:
            with _set_aside(target, stop):
                fresh.rename(target)
        sync_folder(target.parent)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)


def _sync_tree(folder: Path, stop: Stop) -> None:
    """Makes everything in a folder last; in one go, which costs far less than file by file while writing."""
    for here, _, files in os.walk(folder):
        for name in files:
            stop.check()
            path = Path(here, name)
            if not path.is_symlink():
                with path.open("rb") as file:
                    os.fsync(file.fileno())
        sync_folder(Path(here))


@contextlib.contextmanager
def _set_aside(target: Path, _stop: Stop) -> Iterator[None]:
    """Takes *target* out of the way, and brings it back when what follows fails."""
    old = _beside(target)
    target.rename(old)
    try:
        yield
    except BaseException:
        old.rename(target)
        raise
    _remove_tree(old, Stop())  # the new one stands: the old one goes for good, stopped or not


def _beside(path: Path) -> Path:
    return path.parent / f".{path.name[:100]}.{secrets.token_hex(4)}.part"


def _is_inside(path: Path, folder: Path) -> bool:
    """Whether *path* is *folder* or stands below it."""
    return Path(os.path.normpath(path)).is_relative_to(os.path.normpath(folder))


def _occupied(path: Path, kind: str) -> ActionFailed:
    return ActionFailed(
        f"There is a {kind} at {path} already.", kind="conflict", help="Say `overwrite: true` to replace it."
    )


def _told(change: Change | None, path: Path, verb: str) -> Rehearsal:
    outputs: dict[str, Any] = {"path": str(path), "changed": change is not None}
    if change is None:
        return Rehearsal(summary=f"leaves {path} as it is", outputs=outputs)
    summary = f"{verb} {path}" + (f": {change.detail}" if change.detail else "")
    return Rehearsal(summary=summary, changes=(change,), outputs=outputs)
