"""A real Chromium against a real `tow up`: a project to look at, people who are signed in, pages that are watched while they are used."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, Request, sync_playwright
from serving.serving_support import Served, served

from towpath.server.identity import links

CHROMIUM = "/usr/bin/chromium"
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
PATIENCE_MILLISECONDS = 60_000
SCREENSHOTS = Path(__file__).parents[3] / "build" / "screenshots"
"""Where pictures of all pages lie after a test run, for review."""

PROJECT = """
name: acme_hosting
title: Acme Hosting
people:
  users:
    ada: {name: Ada Lovelace, email: ada@example.org, time_zone: Europe/Berlin}
    ben: {name: Ben Bitdiddle, email: ben@example.org, time_zone: America/New_York}
    cy: {email: cy@example.org}
    vic: {email: vic@example.org}
  groups:
    operators: {title: Operators, members: ["user:ben", "user:cy"]}
    release_managers: ["user:ada", "group:operators"]
  on_call:
    platform: {title: Platform, time_zone: Europe/Berlin, rotations: [{people: ["user:ada", "user:ben"], every: 7d}]}
access:
  grants:
    - {role: admin, to: ["user:ada"]}
    - {role: operator, to: ["group:operators"]}
    - {role: viewer, to: ["user:vic"]}
environments:
  staging: {title: Staging, url: "https://staging.example.org"}
  production:
    title: Production
    approval: {who: ["group:release_managers"], quorum: 2, answer_within: 4h, if_unanswered: reject}
    windows: business
    freeze: business
    concurrency: {max: 1}
calendars:
  business:
    title: Business hours
    time_zone: Europe/Berlin
    hours: {mon-fri: "08:00-18:00"}
    holidays: [2030-12-25]
    freezes: [{from: 2020-01-01, until: 2099-01-01, title: The long freeze}]
"""
RELEASE = """
name: release_shop
title: Release the shop
description: Plans, asks and rolls out.
kind: deployment
on: [manual, {schedule: {cron: "0 3 * * *", timezone: Europe/Berlin}}, {webhook: {path: /deploy, unsafe_unverified: true}}]
inputs:
  version: {type: string, default: v1.0, title: "Commit, tag or branch", pattern: "v[0-9.]+"}
  loud: {type: boolean, default: false, title: Tell everybody}
steps:
  - id: plan
    run: |
      printf '\\033[32mplanned\\033[0m %s\\n' "$VERSION"
      echo "hello" > report.txt
    env: {VERSION: "${{ inputs.version }}"}
    artifacts: [report.txt]
  - id: go_live
    approve: "Release ${{ inputs.version }} to production?"
    who: ["group:release_managers"]
    show:
      change: |
        --- a/nginx.conf
        +++ b/nginx.conf
        @@ -1,2 +1,2 @@
        -listen 80;
        +listen 443 ssl;
      scan: {critical: 0, high: 2}
    form:
      ticket: {type: string, title: Change ticket, pattern: "CHG[0-9]+"}
    answer_within: 4h
    if_unanswered: reject
    remind: 1h
  - {id: roll_out, run: "echo rolled out"}
"""
CHECKLIST = """
name: checklist
title: Before the weekend
kind: maintenance
steps:
  - id: round
    task: Walk round the data centre
    instructions: |
      Take the torch.
      1. Look at the lights of rack A
      2. Listen for fans that rattle
    assign: ["group:operators"]
    form: {notes: {type: string, max_length: 2000, required: false}}
"""
BROKEN = """
name: broken
steps:
  - {id: dump, run: "false", on_failure: ask}
"""
WORKFLOWS = {"release_shop": RELEASE, "checklist": CHECKLIST, "broken": BROKEN}


@dataclass
class Watched:
    """A page, and all that went wrong on it."""

    page: Page
    origin: str
    complaints: list[str] = field(default_factory=list)
    """Console errors, scripts that failed, what the policy stopped, dialogs."""
    abroad: list[str] = field(default_factory=list)
    """Requests to anywhere but here."""
    expected: tuple[str, ...] = ()
    """Parts of complaints that a test asks for."""

    def begin(self) -> Watched:
        """Begins to watch."""
        page = self.page
        page.set_default_timeout(PATIENCE_MILLISECONDS)
        page.on("console", self._console)
        page.on("pageerror", lambda error: self.complaints.append(f"script: {error}"))
        page.on(
            "dialog", lambda dialog: (self.complaints.append(f"dialog: {dialog.message}"), dialog.dismiss())
        )
        page.on("request", self._request)
        return self

    def _console(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning") and not any(one in message.text for one in self.expected):
            self.complaints.append(f"{message.type} on {self.page.url}: {message.text}")

    def _request(self, request: Request) -> None:
        address = request.url
        if not address.startswith((self.origin + "/", "data:", "about:", "blob:")):
            self.abroad.append(address)

    def go(self, path: str) -> Page:
        """Opens a page of the server."""
        self.page.goto(self.origin + path)
        return self.page


@dataclass
class Shop:
    """A server, and the people who use it."""

    served: Served
    browser: Browser
    contexts: dict[str, BrowserContext] = field(default_factory=dict)

    @property
    def origin(self) -> str:
        """Where it is."""
        found = urlsplit(self.served.address)
        return f"{found.scheme}://{found.netloc}"

    def link_for(self, name: str) -> str:
        """The path of a one-time link."""
        with self.served.app() as app:
            return links.make(app, name, by="user:ada").path

    def signed_in(self, name: str) -> BrowserContext:
        """A browser in which somebody is signed in; the same one each time."""
        if name not in self.contexts:
            context = self.contexts[name] = self.browser.new_context()
            page = context.new_page()
            page.set_default_timeout(PATIENCE_MILLISECONDS)
            page.goto(self.origin + self.link_for(name))
            page.get_by_role("button", name="Sign in").click()
            page.wait_for_url(lambda address: "/login" not in address)
            page.close()
        return self.contexts[name]

    @contextlib.contextmanager
    def watched(
        self, name: str, *, width: int = 1280, height: int = 800, scheme: str = "light"
    ) -> Iterator[Watched]:
        """A page of somebody's, watched; in a window of its own size and colours."""
        state = self.signed_in(name).storage_state()
        context = self.browser.new_context(
            storage_state=state,
            viewport={"width": width, "height": height},
            color_scheme="dark" if scheme == "dark" else "light",
        )
        try:
            yield Watched(page=context.new_page(), origin=self.origin).begin()
        finally:
            context.close()

    def status_of(self, number: int) -> str:
        """A run's status, from the journal."""
        with self.served.app() as app:
            return app.reader.run(str(number)).summary.status

    def start(self, workflow: str, **inputs: str) -> int:
        """Starts a run as Ada, through the API."""
        answer = self.served.post(
            "/api/v1/runs", json={"workflow": workflow, "inputs": inputs}, headers=self.headers
        )
        assert answer.is_success, answer.text
        return int(answer.json()["run"]["number"])

    @property
    def headers(self) -> dict[str, str]:
        """Ada's token."""
        if not hasattr(self, "_headers"):
            self._headers = self.served.token()
        return self._headers


@contextlib.contextmanager
def running(folder: Path, project: str, workflows: Mapping[str, str]) -> Iterator[Served]:
    """A server over a project."""
    with served(folder) as one:
        (folder / "towpath.yaml").write_text(project)
        for name, text in workflows.items():
            one.add(name, text)
        one.start()
        yield one


@contextlib.contextmanager
def chromium() -> Iterator[Browser]:
    """Debian's Chromium, without a window.

    While it is there, no event loop can run in this thread: it has to be gone before the next test that is a coroutine.
    """
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=os.environ.get("CHROMIUM", CHROMIUM), args=list(FLAGS)
        )
        try:
            yield browser
        finally:
            browser.close()
