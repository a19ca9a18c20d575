"""Real senders: Prometheus and Alertmanager start an incident and let it go on, a real `git push` starts a release in two ways."""

from __future__ import annotations

import contextlib
import hashlib
import http.server
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

from serving_support import Served, served, wait_for

from towpath.store.contract import EventFilter
from towpath.triggers.watch.polling import DIGEST_CHARS

TOKEN = "opensesame"
INCIDENT = """
name: incident
inputs: {alert: {type: string}}
on:
  - alertmanager: {labels: {severity: critical}}
    inputs: {alert: "${{ event.commonLabels.alertname }}"}
    dedupe: "${{ event.groupKey }} ${{ event.alerts[0].startsAt }}"
steps:
  - {id: begin, run: "echo \\"$ALERT\\" > incident", env: {ALERT: "${{ inputs.alert }}"}}
  - id: until_well
    wait: {event: alertmanager, if: 'event.status == "resolved"'}
  - {id: end, run: "touch well"}
"""
MEND = """
name: mend
on: [{{metric: {{server: "{prometheus}", query: "shop_up == 0", for: 1s, every: 1s}}}}]
steps: [{{id: mend, run: "touch mended", idempotent: true}}]
"""
PROMETHEUS = """
global: {{scrape_interval: 1s, evaluation_interval: 1s}}
rule_files: ["{folder}/rules.yml"]
alerting: {{alertmanagers: [{{static_configs: [{{targets: ["{alertmanager}"]}}]}}]}}
scrape_configs: [{{job_name: shop, static_configs: [{{targets: ["{target}"]}}]}}]
"""
RULES = """
groups:
  - name: shop
    rules: [{alert: ShopDown, expr: shop_up == 0, labels: {severity: critical}, annotations: {summary: the shop is down}}]
"""
ALERTMANAGER = """
route: {{receiver: towpath, group_by: [alertname], group_wait: 1s, group_interval: 1s, repeat_interval: 1h}}
receivers:
  - name: towpath
    webhook_configs:
      - {{url: "{hook}", send_resolved: true, http_config: {{authorization: {{credentials: {token}}}}}}}
"""


class Shop(http.server.BaseHTTPRequestHandler):
    """What Prometheus scrapes."""

    is_up = False

    def do_GET(self) -> None:
        """Tells whether the shop is up."""
        body = f"shop_up {int(Shop.is_up)}\n".encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/plain")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Says nothing."""


@contextlib.contextmanager
def shop() -> Iterator[str]:
    """The shop, and where it is."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Shop) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"127.0.0.1:{server.server_address[1]}"
        server.shutdown()


@contextlib.contextmanager
def program(folder: Path, *words: str) -> Iterator[None]:
    """A real program, for as long as the context is open."""
    with (folder / f"{words[0]}.log").open("wb") as log:
        process = subprocess.Popen(words, cwd=folder, stdout=log, stderr=log, stdin=subprocess.DEVNULL)
        try:
            yield
        finally:
            process.terminate()
            process.wait(60)


def free_address() -> str:
    """An address where nobody listens."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{one.getsockname()[1]}"


def test_an_alert_starts_an_incident_and_its_end_lets_it_go_on(tmp_path: Path) -> None:
    """Prometheus fires, Alertmanager tells, an incident waits; when the shop is up again the *resolved* message ends it."""
    Shop.is_up = False
    prometheus, alertmanager = free_address(), free_address()
    with served(tmp_path / "project", TOW_SECRET_ALERTMANAGER_WEBHOOK=TOKEN) as one, shop() as target:
        one.add("incident", INCIDENT)
        one.add("mend", MEND.format(prometheus=f"http://{prometheus}"))
        one.start()
        (tmp_path / "rules.yml").write_text(RULES)
        (tmp_path / "prometheus.yml").write_text(
            PROMETHEUS.format(folder=tmp_path, alertmanager=alertmanager, target=target)
        )
        (tmp_path / "alertmanager.yml").write_text(
            ALERTMANAGER.format(hook=f"{one.address}/hooks/alertmanager", token=TOKEN)
        )
        told = (
            "prometheus-alertmanager", "--config.file=alertmanager.yml", f"--web.listen-address={alertmanager}",
            "--storage.path=alerts", "--cluster.listen-address=",
        )  # fmt: skip
        watches = (
            "prometheus", "--config.file=prometheus.yml", f"--web.listen-address={prometheus}",
            "--storage.tsdb.path=tsdb",
        )  # fmt: skip
        with program(tmp_path, *told), program(tmp_path, *watches):
            wait_for(lambda: dict(one.statuses()).get("incident") == "waiting", what="an incident that waits")
            wait_for((one.folder / "mended").exists, what="the workflow of the query")
            Shop.is_up = True
            wait_for(lambda: dict(one.statuses()).get("incident") == "succeeded", what="the resolved message")
        with one.app() as app:
            events = [
                (row.kind, row.state, row.way)
                for row in app.store.events.events(EventFilter(source="alertmanager"))
            ]
            runs = sorted(name for name, _ in one.statuses())

    assert (one.folder / "incident").read_text() == "ShopDown\n"
    assert (one.folder / "well").exists()
    assert events == [("alertmanager", "matched", "token")] * 2
    assert runs == ["incident", "mend"]


RELEASE = """
name: {name}
inputs: {{commit: {{type: string}}}}
on:
  - {trigger}
    inputs: {{commit: "${{{{ event.after }}}}"}}
steps:
  - {{id: make, run: "echo \\"$COMMIT\\" >> {name}.txt", env: {{COMMIT: "${{{{ inputs.commit }}}}"}}, idempotent: true}}
"""
HOOK = """#!{python}
# What a forge does after a push: tell it, signed.
import hashlib, hmac, json, sys, urllib.request, uuid
for line in sys.stdin:
    before, after, ref = line.split()
    body = json.dumps({{"ref": ref, "before": before, "after": after, "commits": [],
                       "repository": {{"full_name": "acme/shop", "default_branch": "main"}}}}).encode()
    request = urllib.request.Request("{address}/hooks/github", body, {{
        "Content-Type": "application/json", "X-GitHub-Event": "push", "X-GitHub-Delivery": str(uuid.uuid4()),
        "X-Hub-Signature-256": "sha256=" + hmac.new(b"{secret}", body, hashlib.sha256).hexdigest()}})
    print("towpath answers", urllib.request.urlopen(request).status)
"""


def test_a_push_starts_a_release_by_polling_and_by_a_signed_payload(tmp_path: Path) -> None:
    """A real `git push` to a bare repository: its hook tells at once, and who only looks finds it a moment later."""
    bare, work = tmp_path / "shop.git", tmp_path / "work"
    git(tmp_path, "init", "-q", "--bare", "-b", "main", str(bare))
    git(tmp_path, "clone", "-q", str(bare), str(work))
    commit_and_push(work, "one")
    with served(tmp_path / "project", TOW_SECRET_GITHUB_WEBHOOK=TOKEN) as one:
        one.add("told", RELEASE.format(name="told", trigger="github.push: {branches: main}"))
        one.add("polled", RELEASE.format(name="polled", trigger=f'git.poll: {{url: "{bare}", every: 5s}}'))
        one.start()
        wait_for(lambda: polled_once(one, bare), what="the first look at the repository")
        hook = bare / "hooks" / "post-receive"
        hook.write_text(HOOK.format(python=sys.executable, address=one.address, secret=TOKEN))
        hook.chmod(0o755)
        said = commit_and_push(work, "two")
        wait_for(
            lambda: sorted(one.statuses()) == [("polled", "succeeded"), ("told", "succeeded")],
            what="a run of each",
        )
    pushed = git(work, "rev-parse", "HEAD")

    assert "towpath answers 202" in said
    assert [(one.folder / f"{name}.txt").read_text() for name in ("told", "polled")] == [pushed, pushed]


def polled_once(one: Served, url: Path) -> bool:
    """Whether the repository was looked at: what is there then starts nothing."""
    digest = hashlib.sha256(str(url).encode()).hexdigest()[:DIGEST_CHARS]
    with one.app() as app:
        return app.store.events.mark(f"git/{digest}") is not None


def commit_and_push(work: Path, word: str) -> str:
    """A commit, pushed; gives what git says."""
    (work / "file.txt").write_text(word)
    git(work, "add", ".")
    git(work, "-c", "user.name=ada", "-c", "user.email=ada@example.org", "commit", "-q", "-m", word)
    return git(work, "push", "origin", "HEAD:main", stderr=subprocess.STDOUT)


def git(folder: Path, *words: str, stderr: int | None = None) -> str:
    """What git says."""
    env = {"PATH": os.environ["PATH"], "HOME": str(folder), "GIT_CONFIG_NOSYSTEM": "1"}
    return subprocess.run(
        ["git", *words], cwd=folder, env=env, stdout=subprocess.PIPE, stderr=stderr, text=True, check=True
    ).stdout
