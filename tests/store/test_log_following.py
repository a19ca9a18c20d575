"""Going on in a log from a place, piece by piece, while it is written."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest

from towpath.errors import Refused
from towpath.store.contract import RunNumber
from towpath.store.logs import LogLimits, LogLine, LogReader, Logs, read_on

ONE = RunNumber(1)
KIB = 1024
SMALL = LogLimits(head_bytes=4 * KIB, tail_bytes=8 * KIB, run_bytes=64 * KIB, rest_bytes=8 * KIB)


@pytest.fixture
def logs(tmp_path: Path) -> Logs:
    """Give the logs of a data folder, with small limits and a clock that goes on at every look."""
    moments = itertools.count(1_000, 1_000)
    return Logs(tmp_path, limits=SMALL, clock=lambda: next(moments))


def rest_of(
    logs: Logs, place: str, *, step: str | None = None, attempt: int | None = None
) -> tuple[list[LogLine], str]:
    """Everything behind a place, in the smallest pieces that there are."""
    found: list[LogLine] = []
    while True:
        piece = read_on(logs.folder_of(ONE), place=place, step=step, attempt=attempt, piece_bytes=1)
        place = piece.place
        if not piece.lines:
            return found, place
        found += piece.lines


@pytest.mark.parametrize("step", [None, "build", "test", "nothing"])
def test_pieces_give_what_the_whole_gives(logs: Logs, step: str | None) -> None:
    """However small the pieces, and whenever they are read, they give every line once, in its order, of any step."""
    build, test = logs.step(ONE, "build", 1), logs.step(ONE, "test", 1)
    place, found = "", []
    for number in range(60):
        (build if number % 3 else test).write("stdout", f"line {number} {'.' * 60}\n".encode())
        if number % 7 == 0:
            more, place = rest_of(logs, place, step=step)
            found += more
    more, place = rest_of(logs, place, step=step)
    with LogReader(logs.folder_of(ONE), step=step) as reader:
        whole = list(reader.more())

    assert found + more == whole
    assert rest_of(logs, place, step=step) == ([], place)


def test_what_a_ring_has_lost_is_said(logs: Logs) -> None:
    """Who comes back after the ring went round is told how much is gone, once, and goes on with what is kept."""
    noisy = logs.step(ONE, "noisy", 1)
    noisy.write("stdout", b"x" * 5 * KIB + b"\n")
    _, place = rest_of(logs, "")
    for number in range(200):
        noisy.write("stdout", f"{number:04} {'y' * 200}\n".encode())
    more, _ = rest_of(logs, place)

    remarks = [line.text for line in more if line.stream == "system" and "not kept" in line.text]
    assert len(remarks) == 1
    assert more[-1].text.startswith("0199 ")


def test_a_log_that_has_not_begun_is_empty(logs: Logs) -> None:
    """Nothing printed, nothing read, and the place is the beginning."""
    assert read_on(logs.folder_of(ONE)).lines == ()
    assert read_on(logs.folder_of(ONE)).place == ""


@pytest.mark.parametrize("place", ["../x=1", "main", "main=-1", "main=1.", ".".join(["main=1"] * 65)])
def test_what_is_no_place_is_refused(logs: Logs, place: str) -> None:
    """Text from outside is judged before a file is looked at."""
    with pytest.raises(Refused):
        read_on(logs.folder_of(ONE), place=place)
