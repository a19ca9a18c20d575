"""A secret that a step prints, in any form that people use, is in no byte below the data folder: after the run, and after a crash."""

from __future__ import annotations

import base64
import json
import os
import urllib.parse
from pathlib import Path

import pytest
from fault_support import Place, kill, wait_for

SECRET = 'p@ss "w0rd"/ünd$%&+\\tail-0123456789abcdef'

PRINTING = r"""
import base64, json, os, sys, time, urllib.parse, shlex
s = os.environ["PW"]
out = sys.stdout.buffer
def say(data):
    out.write(data if isinstance(data, bytes) else data.encode()); out.flush()
say("raw " + s + "\n")
for character in s: say(character); time.sleep(0.002)
say("\n")
half = len(s.encode()) // 2
say(b"x" * 65530 + s.encode()[:half]); time.sleep(0.05); say(s.encode()[half:] + b"\n")
say("base64 " + base64.b64encode(s.encode()).decode() + "\n")
say("base64 in more " + base64.b64encode(("user:" + s).encode()).decode() + "\n")
say("base64url " + base64.urlsafe_b64encode(s.encode()).decode() + "\n")
say("url " + urllib.parse.quote(s) + " " + urllib.parse.quote_plus(s) + " " + urllib.parse.quote(s, safe="") + "\n")
say("json " + json.dumps({"password": s}) + "\n")
say("json text " + json.dumps({"password": s}, ensure_ascii=False) + "\n")
say("shell " + shlex.quote(s) + "\n")
say("hex " + s.encode().hex() + "\n")
sys.stderr.write("err " + s + "\n"); sys.stderr.flush()
if os.environ.get("TELL"):
    open(os.environ["TOW_OUTPUT"], "a").write("told<<END\n" + s + "\nEND\n")
    open(os.environ["TOW_SUMMARY"], "a").write("# " + s + "\n")
"""
STEPS = """
steps:
  - id: a
    shell: python
    env: {PW: "${{ secrets.db }}", TELL: "1"}
    outputs: [told]
    run: |
SCRIPT
  - id: b
    env: {TOLD: "${{ steps.a.outputs.told }}"}
    run: echo "$TOLD"; echo "and the file $(cat kept)" ; exit 3
  - id: never
    run: 'true'
"""
HANGS = """
steps:
  - id: a
    shell: python
    env: {PW: "${{ secrets.db }}"}
    run: |
SCRIPT
      open(os.environ["TOW_OUTPUT"], "a").write("told=" + s)
      open("ready", "w").close(); time.sleep(1000)
"""


def indented(text: str) -> str:
    """As a block of YAML."""
    return "\n".join(f"      {line}" for line in PRINTING.strip().splitlines()).join(text.split("SCRIPT"))


FORMS = {
    "raw": SECRET.encode(),
    "base64": base64.b64encode(SECRET.encode()).rstrip(b"="),
    "base64url": base64.urlsafe_b64encode(SECRET.encode()).rstrip(b"="),
    "url": urllib.parse.quote(SECRET, safe="").encode(),
    "url with slashes": urllib.parse.quote(SECRET).encode(),
    "form": urllib.parse.quote_plus(SECRET).encode(),
    "json": json.dumps(SECRET)[1:-1].encode(),
    "json text": json.dumps(SECRET, ensure_ascii=False)[1:-1].encode(),
    "hex": SECRET.encode().hex().encode(),
    "its first half": SECRET.encode()[:20],
    "its second half": SECRET.encode()[-20:],
}


def found(folder: Path) -> list[str]:
    """Where a form of the secret stands below a folder, the write-ahead log included."""
    hits = []
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            data = path.read_bytes()
            hits += [f"{name} in {path.relative_to(folder)}" for name, form in FORMS.items() if form in data]
    return hits


def test_a_secret_is_in_no_byte_after_a_run(tmp_path: Path) -> None:
    """Printed raw, in pieces, encoded and quoted, told as an output and passed on: nothing of it is kept, nor shown."""
    place = Place(tmp_path / "project", w=indented(STEPS))
    (place.folder / "kept").write_text(SECRET)
    ended = place.tow("run", "w", TOW_SECRET_DB=SECRET)
    shown = (
        ended.stdout + ended.stderr + place.tow("logs", "1").stdout + place.tow("show", "1", "--json").stdout
    )
    inside = [name for name, form in FORMS.items() if form.decode() in shown]

    assert ended.returncode == 1, shown
    assert (found(place.data), inside) == ([], [])
    assert "raw ***" in shown


@pytest.mark.parametrize("when", ["while it prints", "while it waits"])
def test_a_secret_is_in_no_byte_after_a_crash(when: str, tmp_path: Path) -> None:
    """`kill -9` leaves no unmasked piece behind, in no log, in no half-written file, in no output that was not read yet."""
    place = Place(tmp_path / "project", w=indented(HANGS))
    running = place.begin("run", "w", TOW_SECRET_DB=SECRET)
    logs = place.data / "logs"
    if when == "while it waits":
        wait_for((place.folder / "ready").exists, what="the step", of=running)
    else:
        wait_for(
            lambda: logs.exists() and any(path.stat().st_size for path in logs.rglob("*.log")), what="the log"
        )
    kill(running)

    assert found(place.data) == []


def test_the_search_would_find_it(tmp_path: Path) -> None:
    """A script whose text is not told that it prints a secret does leave it: so the search looks in the right place."""
    place = Place(tmp_path / "project", w="steps: [{id: a, run: 'cat kept'}]\n")
    (place.folder / "kept").write_text(SECRET)
    place.tow("run", "w")

    assert "raw" in {hit.split(" in ")[0] for hit in found(place.data)}
    assert os.environ.get("PW") is None
