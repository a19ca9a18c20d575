"""What is sent with a key is done once, although the server is killed while it answers."""

from __future__ import annotations

import concurrent.futures
import contextlib
import threading
from collections import Counter
from pathlib import Path

import httpx2
from serving_support import Served, served, wait_for

from towpath.core.events import SignalReceived

HELLO = """
name: hello
steps:
  - {id: greet, uses: log, with: {message: hello}}
"""
WAITING = """
name: waiting
steps:
  - id: hold
    wait: {signal: never}
"""
REQUESTS = 12
ANSWERS_BEFORE_THE_END = 5


def ask(one: Served, headers: dict[str, str], number: int) -> httpx2.Response:
    """Every other request starts a run, the others signal one; each has its own key."""
    keyed = headers | {"Idempotency-Key": f"request-{number}"}
    if number % 2:
        return one.post("/api/v1/runs", json={"workflow": "hello"}, headers=keyed, timeout=60)
    return one.post("/api/v1/runs/1/signal", json={"name": f"s{number}"}, headers=keyed, timeout=60)


def ask_until_done(one: Served, headers: dict[str, str], number: int) -> httpx2.Response:
    """Sends a request again for as long as it is refused: the next server may not have taken the waiting run over yet."""
    answers: list[httpx2.Response] = []

    def is_done() -> bool:
        answers.append(ask(one, headers, number))
        return answers[-1].is_success

    wait_for(is_done, what=f"request {number}")
    return answers[-1]


def test_what_was_asked_is_done_once_although_the_server_is_killed(tmp_path: Path) -> None:
    """Requests are under way when the server is killed; sent again to the next one, each is done once, and the answered ones are not lost."""
    with served(tmp_path) as one:
        one.add("hello", HELLO)
        one.add("waiting", WAITING)
        one.start()
        headers = one.token()
        assert one.post("/api/v1/runs", json={"workflow": "waiting"}, headers=headers).status_code == 201
        answered: list[int] = []
        enough = threading.Event()

        def send(number: int) -> None:
            with contextlib.suppress(httpx2.HTTPError):
                if ask(one, headers, number).is_success:
                    answered.append(number)
                    if len(answered) >= ANSWERS_BEFORE_THE_END:
                        enough.set()

        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            sent = [pool.submit(send, number) for number in range(REQUESTS)]
            assert enough.wait(120)
            one.kill()
            concurrent.futures.wait(sent, timeout=120)
        one.start()
        again = [ask_until_done(one, headers, number) for number in range(REQUESTS)]
        wait_for(lambda: Counter(one.statuses())["hello", "succeeded"] == REQUESTS // 2, what="every run")
        statuses = Counter(one.statuses())
        with one.app() as app:
            signals = Counter(
                fact.name for _, fact in app.events(app.reader.run("1")) if isinstance(fact, SignalReceived)
            )

    assert {number for number in answered if "idempotency-replayed" not in again[number].headers} == set()
    assert statuses == {("waiting", "waiting"): 1, ("hello", "succeeded"): REQUESTS // 2}
    assert signals == {f"s{number}": 1 for number in range(0, REQUESTS, 2)}
