"""`tow up` as a process: it is there alone, goes on after every end, and says how it is."""

from __future__ import annotations

import json
import re
import shutil
import signal
import socket
import ssl
import subprocess
from pathlib import Path

import httpx2
import pytest
from serving_support import PATIENCE_SECONDS, Served, push, served, wait_for

from tiers import Tier
from towpath.server.identity import signing_in
from towpath.store.contract import EventFilter

RELEASE = """
name: release
on: [{github.push: {branches: main}}]
steps: [{id: make, run: "true", idempotent: true}]
"""
SLOW = """
name: slow
steps:
  - {id: first, run: "touch begun; while [ ! -e go ]; do sleep 0.1; done", idempotent: true}
  - {id: second, run: "touch ended"}
"""


def test_the_first_start_prints_a_link_and_the_second_goes_on(tmp_path: Path) -> None:
    """It says where it is, and how to sign in as long as nobody has; a second one is refused with pid and address; after `kill -9` the runs go on."""
    with served(tmp_path, TOW_SECRET_GITHUB_WEBHOOK="hush") as one:
        one.add("slow", SLOW)
        one.start()
        first, pid = one.address, one.process.pid if one.process else 0
        with one.app() as app:
            signing_in.with_link(app, re.findall(r"link=(\S+)", one.out)[0])
        beside = one.tow("run", "slow", "--no-ask")
        wait_for((tmp_path / "begun").exists, what="a step that runs")
        second = one.tow("up", "--listen", "127.0.0.1:0")
        refused = second.wait(PATIENCE_SECONDS)
        told = one.err
        one.kill()
        beside.kill()
        beside.wait()
        (tmp_path / "go").touch()
        one.start()
        wait_for(lambda: one.statuses() == [("slow", "succeeded")], what="the run of the killed process")
        code = one.stop()

    links = re.findall(r"http://127\.0\.0\.1:\d+/login\?link=\S+", one.out)
    assert (refused, code) == (3, 0), one.err
    assert f"process {pid} serves {tmp_path / '.towpath'} already, at {first}" in told
    assert (len(links), one.out.count("Towpath serves")) == (1, 2)
    assert links[0].startswith(first)
    assert (tmp_path / "ended").exists()


def test_it_stops_in_order_and_a_second_signal_ends_it_at_once(tmp_path: Path) -> None:
    """SIGTERM ends the steps and leaves the runs open; they go on afterwards. Who does not want to wait sends a second signal."""
    stubborn = "name: stubborn\nsteps: [{id: a, run: \"trap '' TERM INT; touch begun; sleep 600\", idempotent: true}]\n"
    with served(tmp_path) as one:
        one.add("slow", SLOW)
        one.add("stubborn", stubborn)
        one.start()
        headers = one.token()
        started = one.post("/api/v1/runs", headers=headers, json={"workflow": "slow"})
        wait_for((tmp_path / "begun").exists, what="a step that runs")
        in_order = one.stop()
        left = one.statuses()
        (tmp_path / "go").touch()
        one.start()
        wait_for(lambda: one.statuses() == [("slow", "succeeded")], what="the run that was left")
        (tmp_path / "begun").unlink()
        one.post("/api/v1/runs", headers=headers, json={"workflow": "stubborn"})
        wait_for((tmp_path / "begun").exists, what="a step that does not want to end")
        assert one.process is not None
        one.process.send_signal(signal.SIGINT)
        wait_for(lambda: "server.stopping why=SIGINT" in one.err, what="a stop that has begun")
        at_once = one.stop(signal.SIGINT)

    assert (started.status_code, in_order, left) == (201, 0, [("slow", "running")])
    assert at_once == 128 + signal.SIGINT


def test_nothing_that_was_answered_is_lost_by_a_kill(tmp_path: Path, tier: Tier) -> None:
    """`kill -9` right after a 2xx: the event is there, and so is its run, once, however often the delivery comes again."""
    rounds = tier.rounds(quick=2, full=20)
    answered: list[str] = []
    with served(tmp_path, TOW_SECRET_GITHUB_WEBHOOK="hush") as one:
        one.add("release", RELEASE)
        for number in range(rounds):
            one.start()
            for nth in range(1 + number * 3):
                name = f"{number}-{nth}"
                assert one.post("/hooks/github", **push(name)).status_code == 202
                answered.append(name)
            one.kill()
        one.start()
        again = [one.post("/hooks/github", **push(name)) for name in answered]
        wait_for(lambda: _ended(one) == len(answered), what="a run for every delivery")
        with one.app() as app:
            kept = {row.delivery: row for row in app.store.events.events(EventFilter(rows_max=1_000))}

    assert [answer.status_code for answer in again] == [200] * len(answered)
    assert set(kept) == set(answered)
    assert [row.state for row in kept.values()] == ["matched"] * len(answered)
    assert len({row.reactions[0].run for row in kept.values()}) == len(answered)


def _ended(one: Served) -> int:
    return sum(status == "succeeded" for _, status in one.statuses())


def test_a_repository_that_does_not_answer_holds_up_no_end(tmp_path: Path) -> None:
    """While git waits for an answer that never comes, the server is ready, and ends in order when it is told to."""
    with socket.create_server(("127.0.0.1", 0)) as silent, served(tmp_path) as one:
        silent.settimeout(PATIENCE_SECONDS)
        url = f"git://127.0.0.1:{silent.getsockname()[1]}/shop.git"
        one.add(
            "polled", f'name: polled\non: [{{git.poll: {{url: "{url}"}}}}]\nsteps: [{{id: a, run: "true"}}]\n'
        )
        one.start()
        asking, _ = silent.accept()
        code = one.stop()
        asking.close()

    assert (code, "server.left_a_thread_behind" in one.err) == (0, True)


def test_with_a_certificate_a_supervisor_and_a_log_for_machines(tmp_path: Path) -> None:
    """It speaks TLS and says so, a supervisor hears READY, signs of life and STOPPING, each line of the log is an object, Prometheus reads it."""
    certificate = certified(tmp_path)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as heard:
        heard.bind(str(tmp_path / "notify"))
        heard.settimeout(PATIENCE_SECONDS)
        options = (
            "--log-format",
            "json",
            "--tls-cert",
            str(certificate),
            "--tls-key",
            str(tmp_path / "key.pem"),
        )
        environ = {"NOTIFY_SOCKET": str(tmp_path / "notify"), "WATCHDOG_USEC": "200000"}
        with served(tmp_path / "project", *options, **environ) as one:
            one.add("slow", SLOW)
            one.start()
            told = [heard.recv(1_000).decode() for _ in range(4)]
            trusting = ssl.create_default_context(cafile=certificate)
            live = httpx2.get(f"{one.address}/healthz", verify=trusting, timeout=PATIENCE_SECONDS)
            metrics = one.get("/metrics", headers=one.token("prometheus", scope=("health.view",)))
            refused = [
                one.get("/metrics").status_code,
                one.get("/readyz", headers={"Host": "evil.example"}).status_code,
            ]
            code = one.stop()
            heard.setblocking(False)
            while "STOPPING=1" not in told[-1]:
                told.append(heard.recv(1_000).decode())
    lines = [json.loads(line) for line in one.err.splitlines()]
    checked = subprocess.run(
        ["promtool", "check", "metrics"], input=metrics.text, capture_output=True, text=True, check=False
    )

    assert (one.address.startswith("https://127.0.0.1:"), live.text, code) == (True, "ok\n", 0)
    assert (told[0].splitlines()[0], told.count("WATCHDOG=1") >= 2) == ("READY=1", True)
    assert {"server.ready", "server.stopping", "server.closed"} <= {line["event"] for line in lines}
    assert refused == [401, 400]
    assert "towpath_ready 1" in metrics.text.splitlines()
    assert (checked.returncode, checked.stdout) == (0, ""), checked.stderr


def certified(folder: Path) -> Path:
    """A certificate for this machine, that its own key has signed."""
    openssl = shutil.which("openssl")
    assert openssl is not None
    certificate = folder / "cert.pem"
    subprocess.run(
        [openssl, "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=127.0.0.1",
         "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", folder / "key.pem", "-out", certificate],
        check=True, capture_output=True,
    )  # fmt: skip
    return certificate


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--listen", "0.0.0.0:0"), "other machines could read every password"),
        (("--listen", "nowhere"), "is not an address to listen on"),
        (("--listen", "127.0.0.1:0", "--tls-cert", "x.pem"), "belong together"),
        (("--listen", "127.0.0.1:0", "--base-url", "ftp://x"), "the base URL has to be"),
        (("--listen", "127.0.0.1:0", "--trust-proxy", "proxy"), "a trusted proxy is an address"),
    ],
)
def test_what_cannot_be_or_would_be_careless_is_refused(
    tmp_path: Path, options: tuple[str, ...], said: str
) -> None:
    """An option that cannot be is refused before anything begins, and so is plain HTTP that others reach."""
    from click.testing import CliRunner

    from towpath.cli.group import root

    (tmp_path / "towpath.yaml").write_text("name: shop\n")
    done = CliRunner().invoke(root, ["--project", str(tmp_path), "up", *options])

    assert done.exception is not None
    assert said in str(done.exception)
    assert not (tmp_path / ".towpath").exists()
