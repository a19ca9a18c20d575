"""A rehearsal writes nothing: no file, no journal, and no request but those that ask; for every built-in action and every example."""

from __future__ import annotations

import http.server
import json
import shutil
import subprocess
import tarfile
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from rehearsal_support import SECRETS, copied, picture, rehearsed

from towpath.engines.rehearsing import looking, text_of
from towpath.steps.catalogue import BUILT_IN
from towpath.steps.contract import SAFE_METHODS

EXAMPLES = Path(__file__).resolve().parents[3] / "examples"
NAMES = sorted(path.stem for path in (EXAMPLES / "workflows").glob("*.yaml"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """A local server that remembers what it was asked."""

    port: int
    methods: list[str] = field(default_factory=list)


@pytest.fixture
def server() -> Iterator[Server]:
    """Answers everything with 200 and counts."""
    methods: list[str] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            """Answers."""
            methods.append(self.command)
            self.send_response(503 if self.path == "/down" else 200)
            self.send_header("Content-Type", "application/json")
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(b'{"ok": true}')

        do_POST = do_PUT = do_PATCH = do_DELETE = do_HEAD = do_OPTIONS = do_GET  # noqa: N815 - the names of http.server

        def log_message(self, *_: object) -> None:
            """Says nothing."""

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as listening:
        thread = threading.Thread(target=listening.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        yield Server(port=listening.server_address[1], methods=methods)
        listening.shutdown()
        thread.join()


@pytest.fixture
def memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder in which rehearsals put what they need for a moment."""
    folder = tmp_path / "memory"
    folder.mkdir()
    monkeypatch.setattr(looking, "_MEMORY", folder)
    return folder


@pytest.fixture
def project(tmp_path: Path, memory: Path, monkeypatch: pytest.MonkeyPatch) -> Path:  # noqa: ARG001 - it is looked into afterwards
    """The project of the cases with something for every action to work on."""
    for name, value in SECRETS.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(tmp_path)
    folder = copied(tmp_path)
    (folder / "template.txt").write_text("port={{ port }}\n")
    (folder / "link").symlink_to("there.txt")
    with tarfile.open(folder / "packed.tar.gz", "w:gz") as packed:
        packed.add(folder / "there.txt", arcname="there.txt")
    (folder / "function.py").write_text(
        "from pathlib import Path\n\n\ndef write() -> None:\n    Path('written').touch()\n"
    )
    git = ["git", "-c", "user.name=a", "-c", "user.email=a@example.org", "-C", str(folder / "repository")]
    (folder / "repository").mkdir()
    (folder / "repository" / "file").write_text("a\n")
    for words in (["init", "-q", "-b", "main"], ["add", "file"], ["commit", "-q", "-m", "first"]):
        subprocess.run([*git, *words], check=True, capture_output=True)
    return folder


METHODS = ("GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE")
INPUTS: Mapping[str, list[Mapping[str, object]]] = {
    "file.archive": [{"source": "there.txt", "target": "new.tar.gz"}],
    "file.checksum": [{"path": "there.txt"}],
    "file.copy": [{"source": "there.txt", "target": "copy.txt"}, {"source": "there.txt", "target": "old.txt", "overwrite": True}],
    "file.extract": [{"archive": "packed.tar.gz", "target": "unpacked"}],
    "file.find": [{"path": "."}],
    "file.make_folder": [{"path": "a/b"}],
    "file.move": [{"source": "there.txt", "target": "moved.txt"}],
    "file.read": [{"path": "there.txt"}],
    "file.remove": [{"path": "there.txt"}, {"path": "repository", "recursive": True}],
    "file.stat": [{"path": "there.txt"}],
    "file.symlink": [{"path": "link", "target": "old.txt", "previous": "before"}],
    "file.template": [{"source": "template.txt", "target": "a/b/new.txt", "values": {"port": 1}, "make_folders": True}],
    "file.write": [{"path": "there.txt", "content": "other"}, {"path": "a/b/c", "content": "x", "make_folders": True, "mode": "0600"}],
    "git.clone": [{"url": "PROJECT/repository", "path": "clone"}, {"url": "PROJECT/repository", "path": "repository", "overwrite": True}],
    "http.request": [
*[{"url": "SERVER/a", "method": method} for method in METHODS],
        {"url": "SERVER/a", "save_to": "saved"},
        {"url": "SERVER/a", "method": "POST", "json": {"a": 1}, "auth": {"bearer": "${{ secrets.token }}"}},
    ],
    "log": [{"message": "hello"}],
    "python.call": [{"function": "function:write"}],
    "towpath.rehearse": [{}],
}  # fmt: skip
"""Inputs for every built-in action that would do something."""
CALLS = [(name, position) for name, given in INPUTS.items() for position in range(len(given))]


def test_every_built_in_action_is_tried() -> None:
    """A new action has to stand in the table."""
    assert sorted(BUILT_IN) == sorted(INPUTS)


@pytest.mark.parametrize(("name", "position"), CALLS, ids=[f"{name}-{position}" for name, position in CALLS])
def test_a_built_in_action_is_rehearsed_without_a_trace(
    name: str, position: int, project: Path, memory: Path, server: Server
) -> None:
    """Nothing in the project, no data folder, nothing left in memory, and no request that could change something."""
    given = json.dumps(INPUTS[name][position])
    given = given.replace("PROJECT", str(project)).replace("SERVER", f"http://127.0.0.1:{server.port}")
    (project / "workflows" / "one.yaml").write_text(
        f"name: one\nsteps: [{{id: only, uses: {name}, with: {given}}}]\n"
    )
    before = picture(project)
    found = rehearsed(project, "one")

    assert [one.effect for one in found.all() if one.effect == "fails"] == [], text_of(found)
    assert picture(project) == before
    assert list(memory.iterdir()) == []
    assert set(server.methods) <= SAFE_METHODS


def test_reading_requests_are_really_sent(project: Path, server: Server) -> None:
    """GET, HEAD and OPTIONS are sent, and their answers are known to later steps; others are only told."""
    (project / "workflows" / "http.yaml").write_text(
        f"""
name: http
steps:
  - {{id: asked, uses: http.request, with: {{url: "http://127.0.0.1:{server.port}/"}}}}
  - {{id: used, if: steps.asked.outputs.json.ok, uses: log, with: {{message: "${{{{ steps.asked.outputs.status }}}}"}}}}
  - {{id: sent, uses: http.request, with: {{url: "http://127.0.0.1:{server.port}/", method: POST}}}}
"""
    )
    asked, used, sent = rehearsed(project, "http").steps

    assert server.methods == ["GET"]
    assert (asked.effect, used.happens, used.values["with"]) == ("nothing", "yes", {"message": 200})
    assert (sent.effect, [change.verb for change in sent.changes]) == ("changes", ["send"])


ANSWERS = [
    ("/", "", "nothing"),
    ("/down", "", "fails"),
    ("/down", "success_when: outputs.status == 503", "nothing"),
    ("/", "success_when: outputs.status == 503", "fails"),
    ("/", "success_when: outputs.json.ok", "nothing"),
]


@pytest.mark.parametrize(
    ("path", "rule", "effect"), ANSWERS, ids=[f"{path} {rule}" for path, rule, _ in ANSWERS]
)
def test_an_answer_is_judged_as_in_a_run(
    path: str, rule: str, effect: str, project: Path, server: Server
) -> None:
    """What was really asked succeeds or fails by the status and by `success_when`, as the step itself would."""
    (project / "workflows" / "judged.yaml").write_text(
        f"""
name: judged
steps:
  - id: asked
    uses: http.request
    with: {{url: "http://127.0.0.1:{server.port}{path}"}}
    {rule}
"""
    )

    assert [one.effect for one in rehearsed(project, "judged").steps] == [effect]


LOCAL = """
from towpath import Rehearsal, action


@action(effects="none")
def look(url: str) -> dict:
    return {"answer": 42}


@action
async def change(url: str, context) -> dict:
    return {}


@change.rehearsal
async def rehearse_change(url: str, context) -> Rehearsal:
    return Rehearsal(summary="changes it", detail="+ one\\n- two", changes=())


@action
async def silent(url: str) -> dict:
    return {}
"""


def test_actions_of_the_project_are_asked(project: Path) -> None:
    """One that only looks is performed, one with a rehearsal is asked, and of any other one nothing is claimed."""
    (project / "actions").mkdir()
    (project / "actions" / "own.py").write_text(LOCAL)
    steps = "".join(
        f"  - {{id: {name}, uses: own.{name}, with: {{url: x}}}}\n" for name in ("look", "change", "silent")
    )
    (project / "workflows" / "own.yaml").write_text(f"name: own\nsteps:\n{steps}")
    before = picture(project)
    look, change, silent = rehearsed(project, "own").steps

    assert (look.effect, change.effect, silent.effect) == ("nothing", "nothing", "unknown")
    assert change.detail == "+ one\n- two"
    assert {path: held for path, held in picture(project).items() if "__pycache__" not in path} == before


@pytest.fixture
def examples(tmp_path: Path, memory: Path, monkeypatch: pytest.MonkeyPatch) -> Path:  # noqa: ARG001 - it is looked into afterwards
    """A copy of the examples in which nothing has run yet."""
    folder = tmp_path / "examples"
    shutil.copytree(EXAMPLES, folder, ignore=shutil.ignore_patterns("var", ".towpath", "__pycache__"))
    monkeypatch.chdir(folder)
    return folder


@pytest.mark.parametrize("name", NAMES)
def test_an_example_is_rehearsed_without_a_trace(name: str, examples: Path, memory: Path) -> None:
    """Every example can be rehearsed where nothing has run yet, and leaves nothing behind."""
    before = picture(examples)
    found = rehearsed(examples, name)

    assert len(list(found.all())) > 2, text_of(found)
    assert picture(examples) == before
    assert list(memory.iterdir()) == []
