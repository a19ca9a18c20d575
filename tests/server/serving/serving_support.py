"""`tow up` as a process of its own, on a free port, for tests that kill it."""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2

from towpath.app import App, build
from towpath.server.identity import tokens
from towpath.server.running.holding import holder_of
from towpath.settings import Settings
from towpath.store.contract import PAGE_ROWS_MAX, RunFilter
from towpath.store.folder import DataFolder
from towpath.store.reader import SqliteReader
from towpath.store.sqlite import open_reader

PATIENCE_SECONDS = 300.0
"""How long anything may take on a machine that is busy; nothing is expected to be quicker."""
SECRET = "hush"
PROJECT = """
people:
  users: {ada: {email: ada@example.org}}
access:
  grants: [{role: admin, to: ["user:ada"]}]
secrets: {providers: [{env: {}}]}
"""


@dataclass
class Served:
    """A project, and the server of it while there is one."""

    folder: Path
    options: tuple[str, ...] = ()
    environ: Mapping[str, str] = field(default_factory=dict)
    process: subprocess.Popen[bytes] | None = None
    address: str = ""
    _reader: SqliteReader | None = None
    _client: httpx2.Client | None = None

    @property
    def data(self) -> Path:
        """The data folder."""
        return self.folder / ".towpath"

    def add(self, name: str, text: str) -> None:
        """A workflow of the project."""
        (self.folder / "workflows").mkdir(parents=True, exist_ok=True)
        (self.folder / "workflows" / f"{name}.yaml").write_text(text)

    def tow(self, *words: str) -> subprocess.Popen[bytes]:
        """`tow` in the project's folder."""
        env = {**os.environ, "TOW_USER": "ada", "PYTHONUNBUFFERED": "1", **self.environ}
        with (self.folder / "out.txt").open("ab") as out, (self.folder / "err.txt").open("ab") as err:
            return subprocess.Popen(
                [sys.executable, "-m", "towpath", *words],
                cwd=self.folder,
                env=env,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
            )

    def start(self) -> None:
        """Starts the server and waits until it takes work."""
        if not (self.folder / "towpath.yaml").exists():
            (self.folder / "towpath.yaml").write_text(PROJECT)
        self.process = process = self.tow("up", "--listen", "127.0.0.1:0", *self.options)
        wait_for(lambda: self._is_ready() or process.poll() is not None, what="a server that is ready")
        assert process.poll() is None, self.err

    def _is_ready(self) -> bool:
        holder = holder_of(DataFolder(self.data))
        if holder is None or self.process is None or holder.pid != self.process.pid:
            return False
        self.address = holder.address
        with contextlib.suppress(httpx2.HTTPError):
            return bool(self.client.get(f"{self.address}/readyz", timeout=5).status_code == 200)
        return False

    @property
    def client(self) -> httpx2.Client:
        """One for all requests: each would read every certificate of the machine again."""
        if self._client is None:
            self._client = httpx2.Client(verify=False, timeout=PATIENCE_SECONDS)
        return self._client

    def kill(self) -> None:
        """`kill -9`."""
        assert self.process is not None
        self.process.kill()
        self.process.wait(PATIENCE_SECONDS)

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Ends it in order; gives its exit code."""
        assert self.process is not None
        self.process.send_signal(number)
        return self.process.wait(PATIENCE_SECONDS)

    @property
    def out(self) -> str:
        """What all processes have printed."""
        return (self.folder / "out.txt").read_text()

    @property
    def err(self) -> str:
        """What they have logged."""
        return (self.folder / "err.txt").read_text()

    def get(self, path: str, **options: Any) -> httpx2.Response:
        """A request."""
        return self.client.get(f"{self.address}{path}", **options)

    def post(self, path: str, **options: Any) -> httpx2.Response:
        """A request that brings something."""
        return self.client.post(f"{self.address}{path}", **options)

    @contextlib.contextmanager
    def app(self) -> Iterator[App]:
        """The same project and data, looked at from here."""
        app = build(Settings(project=self.folder, data=self.data, user="ada"))
        try:
            yield app
        finally:
            app.close()

    def token(self, name: str = "test", scope: tuple[str, ...] = ("*",)) -> dict[str, str]:
        """The headers of Ada's requests."""
        with self.app() as app:
            made = tokens.make(app, owner="user:ada", name=name, scope=scope, by="user:ada")
        return {"Authorization": f"Bearer {made.text}"}

    def statuses(self) -> list[tuple[str, str]]:
        """Every run with its status, oldest first; of more than a page, the newest."""
        if not (self.data / "towpath.db").exists():
            return []
        if self._reader is None:
            self._reader = open_reader(self.data)
        return [
            (row.workflow, row.summary.status)
            for row in reversed(self._reader.runs(RunFilter(rows_max=PAGE_ROWS_MAX)))
        ]

    def close(self) -> None:
        """Ends whatever is left."""
        if self.process is not None and self.process.poll() is None:
            self.kill()
        for opened in (self._reader, self._client):
            if opened is not None:
                opened.close()


@contextlib.contextmanager
def served(folder: Path, *options: str, **environ: str) -> Iterator[Served]:
    """A project in an empty folder; whatever serves it ends with the context."""
    folder.mkdir(parents=True, exist_ok=True)
    one = Served(folder, options, environ)
    try:
        yield one
    finally:
        one.close()


def wait_for(condition: Callable[[], object], *, what: str) -> None:
    """Waits until something is so."""
    until = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < until, f"waited in vain for {what}"
        time.sleep(0.1)


def github(payload: object, *, event: str = "push", delivery: str, secret: str = SECRET) -> dict[str, Any]:
    """A delivery as GitHub signs it."""
    body = json.dumps(payload).encode()
    return {
        "content": body,
        "headers": {
            "Content-Type": "application/json",
            "X-GitHub-Event": event,
            "X-GitHub-Delivery": delivery,
            "X-Hub-Signature-256": f"sha256={hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()}",
        },
    }


def push(delivery: str, **more: Any) -> dict[str, Any]:
    """A push to `main` of `acme/shop`."""
    payload = {
        "ref": "refs/heads/main",
        "before": "0" * 40,
        "after": "1" * 40,
        "repository": {"full_name": "acme/shop", "default_branch": "main"},
        "commits": [],
    }
    return github(payload, delivery=delivery, **more)
