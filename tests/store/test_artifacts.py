"""Kept files: stored by content, whole or not at all."""

from __future__ import annotations

import io
import os
import resource
import threading
from hashlib import sha256
from typing import TYPE_CHECKING

import pytest

from towpath.errors import LimitExceeded, NotFound, StoreUnavailable
from towpath.store.artifacts import PIECE_BYTES, Artifact, Artifacts

if TYPE_CHECKING:
    from pathlib import Path

LONG_AGO = 1_000_000


@pytest.fixture
def artifacts(tmp_path: Path) -> Artifacts:
    """Give an empty store of files."""
    folder = tmp_path / "artifacts"
    folder.mkdir()
    return Artifacts(folder, bytes_max=4 * PIECE_BYTES)


@pytest.mark.parametrize("content", [b"", b"hello", os.urandom(3 * PIECE_BYTES + 7)])
def test_a_kept_file_comes_back(artifacts: Artifacts, content: bytes) -> None:
    """What was kept is found by its digest and is the same."""
    kept = artifacts.keep(io.BytesIO(content))

    assert kept == Artifact(digest=sha256(content).hexdigest(), size=len(content))
    assert b"".join(artifacts.read(kept.digest)) == content
    assert artifacts.has(kept.digest)


def test_the_same_content_is_stored_once(artifacts: Artifacts, tmp_path: Path) -> None:
    """A hundred runs that keep the same file need its place once."""
    (tmp_path / "a").write_bytes(b"same")
    (tmp_path / "b").write_bytes(b"same")

    digests = {artifacts.keep_file(tmp_path / name).digest for name in ("a", "b")}

    assert len(digests) == 1
    assert [some.digest for some in artifacts.stored()] == list(digests)


def test_a_damaged_file_is_noticed_when_read(artifacts: Artifacts, tmp_path: Path) -> None:
    """Bytes that are not what was kept are an error, and are copied nowhere."""
    kept = artifacts.keep(io.BytesIO(b"right"))
    artifacts.path(kept.digest).write_bytes(b"wrong")

    with pytest.raises(StoreUnavailable, match="damaged"):
        list(artifacts.read(kept.digest))
    with pytest.raises(StoreUnavailable, match="damaged"):
        artifacts.copy_to(kept.digest, tmp_path / "copy")

    assert sorted(path.name for path in tmp_path.iterdir()) == ["artifacts"]


def test_a_copy_appears_as_a_whole(artifacts: Artifacts, tmp_path: Path) -> None:
    """A copy replaces what was there only when it is complete."""
    kept = artifacts.keep(io.BytesIO(b"new"))
    (tmp_path / "copy").write_bytes(b"old")

    artifacts.copy_to(kept.digest, tmp_path / "copy")

    assert (tmp_path / "copy").read_bytes() == b"new"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["artifacts", "copy"]


def test_a_file_has_a_limit(artifacts: Artifacts) -> None:
    """A file that is too large is refused and leaves nothing."""
    with pytest.raises(LimitExceeded):
        artifacts.keep(io.BytesIO(bytes(4 * PIECE_BYTES + 1)))

    assert list(artifacts.stored()) == []


def test_a_full_disk_leaves_nothing_half_written(artifacts: Artifacts, tmp_path: Path) -> None:
    """A file that cannot be written as a whole is not there at all."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_000, before[1]))
    try:
        with pytest.raises(StoreUnavailable) as caught:
            artifacts.keep(io.BytesIO(bytes(PIECE_BYTES)))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)

    assert caught.value.help
    assert list((tmp_path / "artifacts").glob("unfinished-*")) == []
    assert list(artifacts.stored()) == []


@pytest.mark.parametrize(
    "name",
    ["", "..", "../../etc/passwd", "a" * 63, "A" * 64, "g" * 64, "a" * 64 + "\n", "a" * 32 + "/" + "a" * 31],
)
def test_only_a_digest_is_a_name(artifacts: Artifacts, name: str) -> None:
    """A name that is no digest is not found, whatever it points to."""
    for ask in (artifacts.path, artifacts.has, lambda name: list(artifacts.read(name))):
        with pytest.raises(NotFound):
            ask(name)


def test_what_is_not_there_is_not_found(artifacts: Artifacts, tmp_path: Path) -> None:
    """Asking for an unknown file is a clear error."""
    with pytest.raises(NotFound):
        artifacts.path("a" * 64)
    with pytest.raises(NotFound):
        artifacts.keep_file(tmp_path / "nothing")
    assert not artifacts.has("a" * 64)


def test_a_file_that_was_kept_just_now_is_not_removed(artifacts: Artifacts) -> None:
    """Its run may be about to note it; later it may go."""
    kept = artifacts.keep(io.BytesIO(b"x"))

    assert not artifacts.remove(kept.digest)
    os.utime(artifacts.path(kept.digest), (LONG_AGO, LONG_AGO))

    assert artifacts.remove(kept.digest)
    assert not artifacts.remove(kept.digest)
    assert not artifacts.has(kept.digest)


def test_keeping_an_old_file_again_makes_it_young(artifacts: Artifacts) -> None:
    """A file that is kept again is not removed between its keeping and its note."""
    kept = artifacts.keep(io.BytesIO(b"x"))
    os.utime(artifacts.path(kept.digest), (LONG_AGO, LONG_AGO))

    artifacts.keep(io.BytesIO(b"x"))

    assert not artifacts.remove(kept.digest)


def test_what_a_crash_left_is_removed_later(artifacts: Artifacts, tmp_path: Path) -> None:
    """Unfinished files of today may be somebody's; older ones are nobody's."""
    for name, age in (("unfinished-old", LONG_AGO), ("unfinished-new", None)):
        path = tmp_path / "artifacts" / name
        path.write_bytes(b"12345")
        if age:
            os.utime(path, (age, age))

    assert artifacts.remove_unfinished() == 5
    assert [path.name for path in (tmp_path / "artifacts").glob("unfinished-*")] == ["unfinished-new"]


def test_many_may_keep_the_same_file_at_once(artifacts: Artifacts) -> None:
    """Keeping needs no order among those who keep."""
    content = os.urandom(100_000)
    kept: list[Artifact] = []
    threads = [
        threading.Thread(target=lambda: kept.append(artifacts.keep(io.BytesIO(content)))) for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(kept) == 8
    assert [b"".join(artifacts.read(some.digest)) for some in artifacts.stored()] == [content]
