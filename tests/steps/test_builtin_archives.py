"""`file.extract` and `file.archive`: round trips, and archives that mean harm."""

from __future__ import annotations

import gzip
import io
import os
import stat
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from action_support import FakeContext, NoEgress, picture

from towpath.steps import ActionFailed
from towpath.steps.catalogue import Catalogue

CATALOGUE = Catalogue.load()


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A workspace inside a folder in which nothing may change."""
    folder = tmp_path / "work"
    (folder / "site" / "css").mkdir(parents=True)
    (folder / "site" / "index.html").write_text("<h1>hi</h1>")
    (folder / "site" / "run.sh").write_text("#!/bin/sh\n")
    (folder / "site" / "run.sh").chmod(0o755)
    (folder / "site" / "css" / "a.css").write_text("a{}")
    (folder / "site" / "css" / "up").symlink_to("../index.html")
    os.link(folder / "site" / "index.html", folder / "site" / "same.html")
    (tmp_path / "outside").mkdir()
    return folder


async def perform(place: Path, name: str, /, **values: Any) -> Any:
    """Performs an action in the workspace."""
    return await CATALOGUE.get(name).perform(values, FakeContext(workspace=place, egress=NoEgress()))


@pytest.mark.parametrize("suffix", ["tar.gz", "tgz", "tar", "zip"])
async def test_what_was_packed_comes_out_again(suffix: str, place: Path) -> None:
    """Content, links and the right to execute survive; a hard link becomes a file of its own."""
    packed = await perform(place, "file.archive", source="site", target=f"a.{suffix}")
    found = await perform(place, "file.extract", archive=f"a.{suffix}", target="out")

    assert (packed["entries"], found["entries"]) == (6, 6)
    assert (place / "out" / "css" / "up").readlink() == Path("../index.html")
    assert stat.S_IMODE((place / "out" / "run.sh").stat().st_mode) == 0o755
    assert (place / "out" / "same.html").read_text() == "<h1>hi</h1>"
    assert stat.S_IMODE((place / "out").stat().st_mode) == 0o755
    assert [path for path in picture(place) if ".part" in path] == []


@pytest.mark.parametrize("suffix", ["tar.gz", "zip"])
async def test_the_same_content_makes_the_same_archive(suffix: str, place: Path) -> None:
    """The digest of an archive tells whether anything changed."""
    digests = {
        (await perform(place, "file.archive", source="site", target=f"{n}.{suffix}"))["sha256"] for n in "ab"
    }

    assert len(digests) == 1


async def test_a_replaced_folder_holds_only_the_new(place: Path) -> None:
    """With `overwrite` nothing of the old folder stays; without, it is a conflict."""
    await perform(place, "file.archive", source="site/css", target="a.zip")
    with pytest.raises(ActionFailed) as caught:
        await perform(place, "file.extract", archive="a.zip", target="site")
    assert caught.value.kind == "conflict"

    await perform(place, "file.archive", source="site/run.sh", target="a.zip")
    await perform(place, "file.extract", archive="a.zip", target="site", overwrite=True)
    assert sorted(path.name for path in (place / "site").iterdir()) == ["run.sh"]


async def test_leading_folders_can_be_left_away(place: Path) -> None:
    """As with `tar --strip-components`."""
    write_tar(place / "a.tar", file("top/a", b"1"), file("top/b/c", b"2"), file("top", b"3"))
    found = await perform(place, "file.extract", archive="a.tar", target="out", strip=1)

    assert (found["entries"], list(picture(place / "out"))) == (2, ["a", "b", "b/c"])


Entry = Callable[[tarfile.TarFile], None]


def file(name: str, content: bytes = b"x", **more: Any) -> Entry:
    """A file in a tar."""

    def add(tar: tarfile.TarFile) -> None:
        info = tarfile.TarInfo(name)
        info.size = len(content)
        for key, value in more.items():
            setattr(info, key, value)
        tar.addfile(info, io.BytesIO(content))

    return add


def special(name: str, kind: bytes, link: str = "") -> Entry:
    """A link or a device in a tar."""

    def add(tar: tarfile.TarFile) -> None:
        info = tarfile.TarInfo(name)
        info.type, info.linkname = kind, link
        tar.addfile(info)

    return add


def link(name: str, target: str) -> Entry:
    """A symbolic link in a tar."""
    return special(name, tarfile.SYMTYPE, target)


def write_tar(path: Path, *entries: Entry) -> None:
    """A tar of these entries."""
    with tarfile.open(path, "w") as tar:
        for entry in entries:
            entry(tar)


EVIL = [
    ("absolute", [file("/etc/evil")], "leads out"),
    ("climbing", [file("../outside/evil")], "leads out"),
    ("climbing inside", [file("a/../../outside/evil")], "leads out"),
    ("backslash", [file("..\\outside\\evil")], "leads out"),
    ("drive", [file("C:evil")], "leads out"),
    ("absolute link", [link("l", "/etc/passwd")], "leads out"),
    ("climbing link", [link("l", "../outside")], "leads out"),
    ("deep climbing link", [link("a/b/l", "../../../outside")], "leads out"),
    ("through a link", [link("l", "."), file("l/x")], "File exists"),
    ("link through a link", [link("a/b", ".."), link("a/b/c", "x")], "leads out"),
    ("chain of links", [link("a/b/c", "../.."), link("a/b/c/l", "../../../outside")], "leads out"),
    (
        "chain by name",
        [link("a/x", "../b/y/.."), link("b/y", "../.."), link("z", "a/x/outside")],
        "leads out",
    ),
    ("hard link out", [special("h", tarfile.LNKTYPE, "../../../../etc/passwd")], "leads out"),
    ("hard link to nothing", [special("h", tarfile.LNKTYPE, "nowhere")], "No such file"),
    ("hard link to a link", [link("l", "x"), special("h", tarfile.LNKTYPE, "l")], "No such file"),
    ("device", [special("d", tarfile.CHRTYPE)], "device or a pipe"),
    ("pipe", [special("p", tarfile.FIFOTYPE)], "device or a pipe"),
    ("twice", [file("a"), file("a")], "File exists"),
    ("file as folder", [file("a"), file("a/b")], "exist"),
    ("empty link", [link("l", "")], "leads out"),
]


@pytest.mark.parametrize(("entries", "told"), [row[1:] for row in EVIL], ids=[row[0] for row in EVIL])
async def test_nothing_gets_out_of_its_folder(entries: list[Entry], told: str, place: Path) -> None:
    """An archive that tries leaves nothing at all: no file outside, no half folder."""
    write_tar(place / "evil.tar", *entries)
    before = picture(place.parent, times=False)
    with pytest.raises(ActionFailed) as caught:
        await perform(place, "file.extract", archive="evil.tar", target="out")

    assert told in caught.value.message
    assert before == picture(place.parent, times=False)


async def test_no_entry_gets_special_rights(place: Path) -> None:
    """Set-user bits and the right of everybody to write do not come out of an archive."""
    write_tar(place / "a.tar", file("a", mode=0o6777), file("b", mode=0))
    await perform(place, "file.extract", archive="a.tar", target="out")

    assert [stat.S_IMODE((place / "out" / name).stat().st_mode) for name in "ab"] == [0o755, 0o600]


def bomb_zip(path: Path) -> None:
    """A small zip of 50 MB of zeros."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as packed:
        packed.writestr("zeros", bytes(50_000_000))


def lying_zip(path: Path) -> None:
    """A zip whose list says that a file is smaller than it is."""
    bomb_zip(path)
    raw = path.read_bytes()
    path.write_bytes(raw.replace((50_000_000).to_bytes(4, "little"), (5).to_bytes(4, "little")))


def bomb_tar(path: Path) -> None:
    """A small tar.gz of 50 MB of zeros."""
    with tarfile.open(path, "w:gz") as tar:
        file("zeros", bytes(50_000_000))(tar)


def header_bomb(path: Path) -> None:
    """A tar.gz whose first header holds a name of 50 MB."""
    info = tarfile.TarInfo("././@LongLink")
    info.type, info.size = tarfile.GNUTYPE_LONGNAME, 50_000_000
    path.write_bytes(gzip.compress(info.tobuf() + bytes(50_000_000)))


def many(path: Path) -> None:
    """A zip of 2,000 empty files."""
    with zipfile.ZipFile(path, "w") as packed:
        for number in range(2_000):
            packed.writestr(f"f{number}", b"")


@pytest.mark.parametrize(
    ("make", "name", "told"),
    [
        (bomb_zip, "a.zip", "larger than"),
        (lying_zip, "a.zip", ""),
        (bomb_tar, "a.tgz", "larger than"),
        (header_bomb, "a.tgz", "header of more than"),
        (many, "a.zip", "more than 1000 entries"),
        (lambda path: path.write_bytes(b"no archive"), "a.zip", "damaged"),
        (lambda path: path.write_bytes(b"no archive" * 100), "a.tar", "damaged"),
        (lambda path: path.write_bytes(b"no archive"), "a.tgz", "damaged"),
        (lambda path: path.write_bytes(gzip.compress(b"x" * 10_000)[:20]), "a.tgz", "damaged"),
        (lambda path: None, "a.zip", "No such file"),  # noqa: ARG005 - made like the others
    ],
)
async def test_a_bad_archive_has_a_named_error(
    make: Callable[[Path], None], name: str, told: str, place: Path
) -> None:
    """Bombs end at their limit, damage is told, and nothing is left."""
    make(place / name)
    before = picture(place.parent, times=False)
    with pytest.raises(ActionFailed) as caught:
        await perform(
            place, "file.extract", archive=name, target="out", bytes_max=1_000_000, entries_max=1_000
        )

    assert caught.value.kind == "invalid"
    assert told in caught.value.message
    assert before == picture(place.parent, times=False)


async def test_a_rehearsal_reads_the_list_only(place: Path) -> None:
    """It counts, finds what would be refused, and writes nothing."""
    await perform(place, "file.archive", source="site", target="a.zip")
    before = picture(place.parent)
    context = FakeContext(workspace=place, egress=NoEgress())
    told = await CATALOGUE.get("file.extract").rehearse({"archive": "a.zip", "target": "out"}, context)

    assert before == picture(place.parent)
    assert dict(told.outputs or {}) == await perform(place, "file.extract", archive="a.zip", target="out")
