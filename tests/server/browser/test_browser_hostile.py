"""Text from outside is text: whatever stands in it, wherever a page shows it. And other sites have no hands here."""

from __future__ import annotations

import contextlib
import http.server
import json
import threading
from collections.abc import Iterator

import pytest
from browser_support import Shop, running
from playwright.sync_api import Browser, expect

MARK = "pwned"
SCRIPT = f"<script>window.{MARK}=1;alert(1)</script>"
IMAGE = f"<img src=x onerror=window.{MARK}=1>"
BREAKOUT = f"\"'><svg/onload=window.{MARK}=1>{{{{7*7}}}}"
PAYLOAD = f"{BREAKOUT}{IMAGE}{SCRIPT}"
Q = json.dumps(PAYLOAD)
PROTOCOLS = (
    "[...document.querySelectorAll('a[href], form[action], img[src], iframe')].map((one) => new URL("
    "one.getAttribute('href') || one.getAttribute('action') || one.getAttribute('src') || '', location.href).protocol)"
)
"""Where links, forms and pictures lead."""
PROJECT = f"""
name: hostile
title: {Q}
people:
  users:
    ada: {{name: {Q}, email: ada@example.org}}
    ben: {{name: {Q}, email: ben@example.org}}
  groups:
    operators: {{title: {Q}, members: ["user:ben", "user:ada"]}}
  on_call:
    platform: {{title: {Q}, rotations: [{{people: ["user:ben"]}}]}}
access:
  roles:
    boss: {{title: {Q}, permissions: ["*"]}}
  grants: [{{role: boss, to: ["user:ada", "group:operators"]}}]
environments:
  production: {{title: {Q}, url: {json.dumps("javascript:alert(1)//" + PAYLOAD)}, windows: office, freeze: office}}
calendars:
  office: {{title: {Q}, freezes: [{{from: 2020-01-01, until: 2099-01-01, title: {Q}}}]}}
channels:
  hook: {{kind: webhook, url: "http://127.0.0.1:9/x", to: [{Q}], default: true}}
"""
HOSTILE = f"""
name: hostile
title: {Q}
description: {Q}
labels: {{note: {Q}}}
on: [manual, {{webhook: {{path: /hostile, unsafe_unverified: true}}, inputs: {{text: "${{{{ event.text }}}}"}}}}]
inputs:
  text: {{type: string, default: {Q}, title: {Q}, description: {Q}}}
steps:
  - id: say
    title: {Q}
    run: |
      printf '%s\\n\\033[31m%s\\033[0m \\033]8;;javascript:alert(1)\\033\\\\link\\033]8;;\\033\\\\\\n' "$TEXT" "$TEXT"
      printf 'said<<E\\n%s\\nE\\n' "$TEXT" >> "$TOW_OUTPUT"
      echo x > '<img src=x onerror=window.{MARK}=1>.txt'
    env: {{TEXT: "${{{{ inputs.text }}}}"}}
    outputs: [said]
    artifacts: ["*.txt"]
  - id: ask
    approve: "${{{{ inputs.text }}}}"
    who: ["group:operators"]
    show: {{text: "${{{{ steps.say.outputs.said }}}}", map: {{"{MARK}": "${{{{ inputs.text }}}}"}}}}
    form:
      field: {{type: string, default: {Q}, title: {Q}, description: {Q}}}
      choice: {{type: string, enum: [{Q}, other], default: {Q}}}
  - id: fail
    run: |
      echo "$TEXT" >&2
      exit 3
    env: {{TEXT: "${{{{ inputs.text }}}}"}}
"""
BROKEN = f"""
name: not_loading
title: {Q}
steps: [{{id: {Q}, run: 1, {Q}: 2}}]
"""


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory, browser: Browser) -> Iterator[Shop]:
    """A server in which everything that may hold markup does."""
    workflows = {"hostile": HOSTILE, "not_loading": BROKEN}
    with running(tmp_path_factory.mktemp("hostile"), PROJECT, workflows) as made:
        yield Shop(served=made, browser=browser)


def test_markup_from_outside_is_shown_and_never_runs(hostile: Shop) -> None:
    """In every string of every page: titles, names, inputs, outputs, logs, comments, forms, events, errors, names of files. The policy has nothing to stop."""
    expect.set_options(timeout=60_000)
    first = hostile.start("hostile")
    second = hostile.start("hostile")
    hostile.served.post(
        "/hooks/hostile", json={"text": PAYLOAD, PAYLOAD: [PAYLOAD]}, headers={"User-Agent": PAYLOAD}
    )
    seen: dict[str, int] = {}
    with hostile.watched("ben") as watched:
        page = watched.go(f"/inbox/{first}/ask")
        expect(page.locator("h1")).to_have_text(PAYLOAD)
        page.get_by_label("Say something to the others").fill(PAYLOAD)
        page.get_by_role("button", name="Comment", exact=True).click()
        page.get_by_label("Comment", exact=True).fill(PAYLOAD)
        page.get_by_role("button", name="Approve").click()
        expect(page.locator("main")).to_contain_text("decided by ben")
        page.goto(f"{hostile.origin}/events")
        event = page.locator("#events tbody a[href^='/events/']").first.get_attribute("href")
        page.goto(f"{hostile.origin}/runs/{first}")
        expect(page.locator("#head")).to_contain_text("failed")
        views = [f"/runs/{first}?view={one}" for one in ("timeline", "logs", "values", "files", "history")]
        for address in (
            "/",
            "/workflows",
            "/workflows/hostile",
            "/workflows/not_loading",
            "/workflows/hostile/start",
            "/runs",
            f"/runs/{first}",
            *views,
            f"/runs/{first}?step=say",
            f"/runs/{first}?step=fail",
            f"/runs/{second}/do/cancel",
            "/inbox?everybody=true",
            f"/inbox/{first}/ask",
            f"/inbox/{second}/ask",
            "/events",
            str(event),
            "/schedule",
            "/environments",
            "/audit",
            "/audit?of=access",
            "/settings/me",
            "/settings/people",
            "/settings/on-call",
            "/settings/channels",
        ):
            watched.go(address)
            seen[address] = page.locator("main").inner_text().count("onerror=window") + page.evaluate(
                "[...document.querySelectorAll('input, textarea')].filter((one) => one.value.includes('onerror=window')).length"
            )
            assert page.evaluate(f"window.{MARK}") is None, address
            assert set(page.evaluate(PROTOCOLS)) <= {"http:"}, address
        watched.expected = ("404", "422", "409", "400")
        for address in (
            f"/runs/{PAYLOAD}",
            f"/inbox/{first}/{PAYLOAD}",
            f"/runs?q={PAYLOAD}",
            f"/login?next={PAYLOAD}",
        ):
            watched.go(address)
            assert page.evaluate(f"window.{MARK}") is None, address

    quiet = {
        "/events",
        "/schedule",
        "/audit?of=access",
        "/settings/me",
        views[0],
        f"/runs/{second}/do/cancel",
    }
    assert {address for address, count in seen.items() if not count} <= quiet
    assert (watched.complaints, watched.abroad) == ([], [])


class _Elsewhere(http.server.BaseHTTPRequestHandler):
    """Another site, whose pages send forms and requests to ours."""

    victim = ""
    targets: tuple[str, ...] = ()

    def do_GET(self) -> None:
        forms = "".join(
            f'<form method="post" enctype="{kind}" target="frame{number}" action="{self.victim}{target}">'
            f'<input name="decision" value="approve"><input name="name" value="x"></form><iframe name="frame{number}"></iframe>'
            for number, (target, kind) in enumerate(
                (target, kind)
                for target in self.targets
                for kind in ("application/x-www-form-urlencoded", "text/plain")
            )
        )
        script = (
            "<script>for (const form of document.forms) form.submit();"
            f"const all = {json.dumps([self.victim + one for one in self.targets])}.map((one) => Promise.allSettled(["
            "fetch(one, {method: 'POST', mode: 'no-cors', credentials: 'include', body: 'decision=approve'}),"
            "fetch(one, {method: 'POST', credentials: 'include', headers: {'content-type': 'application/json'}, body: '{}'}),"
            "fetch(one, {method: 'DELETE', credentials: 'include'})]));"
            f"Promise.allSettled([...all, fetch({json.dumps(self.victim + '/api/v1/me')}, {{credentials: 'include'}})"
            ".then((one) => one.text()).then((one) => { document.title = 'read ' + one; })])"
            ".then(() => { if (!document.title.startsWith('read')) document.title = 'done'; });</script>"
        )
        body = f"<!doctype html><title>…</title>{forms}<iframe id=ours src='{self.victim}/inbox'></iframe>{script}".encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Says nothing."""


@contextlib.contextmanager
def elsewhere(victim: str, targets: tuple[str, ...]) -> Iterator[int]:
    """Another site; gives its port."""
    handler = type("Elsewhere", (_Elsewhere,), {"victim": victim, "targets": targets})
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_other_sites_have_no_hands_here(acme: Shop, host: str) -> None:
    """Forms and requests of another site do nothing and read nothing, though the browser is signed in: of one on the same host too, to which it sends the cookie. Nobody frames us."""
    number = acme.start("checklist")
    targets = (
        f"/inbox/{number}/round/answer",
        f"/inbox/{number}/round/claim",
        f"/runs/{number}/do/cancel",
        f"/api/v1/runs/{number}/cancel",
        "/settings/tokens",
        "/workflows/broken/start",
        "/logout",
    )
    with acme.served.app() as app:
        before = [row.number for row in app.reader.runs()], len(app.store.identities.tokens())
    context = acme.browser.new_context(storage_state=acme.signed_in("ben").storage_state())
    page = context.new_page()
    page.set_default_timeout(60_000)
    with elsewhere(acme.origin, targets) as port:
        page.goto(f"http://{host}:{port}/")
        page.wait_for_function("document.title === 'done' || document.title.startsWith('read')")
        title = page.title()
        framed = [frame.url for frame in page.frames if frame.url.startswith(acme.origin)]
    page.goto(f"{acme.origin}/inbox")
    is_signed_in = "/login" not in page.url
    context.close()
    with acme.served.app() as app:
        after = [row.number for row in app.reader.runs()], len(app.store.identities.tokens())
        row, run = app.run(str(number))

    assert title == "done"
    assert framed == []
    assert is_signed_in
    assert before == after
    assert (row.summary.status, run.nodes["round"].claimed_by, run.nodes["round"].status) == (
        "waiting",
        "",
        "asking",
    )
