"""Every page, as people see it: wide and narrow, dark and light. Pictures of all of them are kept for review."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Literal

import pytest
from browser_support import SCREENSHOTS, Shop, Watched
from playwright.sync_api import Page, expect

FITNESS = (Path(__file__).parent / "fitness.js").read_text()
WIDTHS = (1280, 360)
SCHEMES: tuple[Literal["light"], Literal["dark"]] = ("light", "dark")
LONG = "v" + "1234567890." * 12 + "0"


@pytest.fixture(scope="module")
def addresses(acme: Shop) -> dict[str, str]:
    """The pages of a server on which something has happened, by the names of their pictures."""
    asking = acme.start("release_shop", version="v3.0")
    acme.start("release_shop", version=LONG)
    task, failed = acme.start("checklist"), acme.start("broken")
    acme.served.post("/hooks/deploy", json={"text": "x" * 300, "nested": {"a": [1, 2, 3]}})
    with acme.watched("ada") as watched:
        page = watched.go(f"/inbox/{asking}/go_live")
        page.get_by_label("Say something to the others").fill("Is the database done?\nI think so.")
        page.get_by_role("button", name="Comment").click()
        expect(page.locator("main")).to_contain_text("Is the database done?", timeout=60_000)
        event = _first_event(watched)
    question = f"/inbox/{asking}/go_live"
    return {
        "home": "/",
        "workflows": "/workflows",
        "workflow": "/workflows/release_shop",
        "start": "/workflows/release_shop/start",
        "runs": "/runs",
        "runs-none": "/runs?q=nothing+is+called+so",
        "run": f"/runs/{asking}",
        "run-timeline": f"/runs/{asking}?view=timeline",
        "run-logs": f"/runs/{asking}?view=logs",
        "run-values": f"/runs/{asking}?view=values",
        "run-files": f"/runs/{asking}?view=files",
        "run-history": f"/runs/{asking}?view=history",
        "run-early": f"/runs/{asking}?at=2",
        "run-failed": f"/runs/{failed}",
        "run-cancel": f"/runs/{asking}/do/cancel",
        "inbox": "/inbox",
        "inbox-everybody": "/inbox?everybody=true",
        "question": question,
        "question-task": f"/inbox/{task}/round",
        "question-failure": f"/inbox/{failed}/dump",
        "events": "/events",
        "events-none": "/events?kind=nothing",
        "event": event,
        "schedule": "/schedule",
        "schedule-month": "/schedule?view=month",
        "environments": "/environments",
        "audit": "/audit",
        "audit-access": "/audit?of=access",
        "audit-verify": "/audit/verify",
        "settings-me": "/settings/me",
        "settings-people": "/settings/people",
        "settings-on-call": "/settings/on-call",
        "settings-channels": "/settings/channels",
        "settings-secrets": "/settings/secrets",
        "settings-health": "/settings/health",
    }


def _first_event(watched: Watched) -> str:
    page = watched.go("/events")
    found = page.locator("#events tbody a[href^='/events/']").first
    address = found.get_attribute("href")
    assert address is not None
    return address


@pytest.mark.parametrize("width", WIDTHS)
def test_every_page_is_fit_to_be_used(acme: Shop, addresses: dict[str, str], width: int) -> None:
    """No complaint of the browser, no request elsewhere, AA contrast, nothing too small to press, no scrolling to the side, names for all."""
    unfit: dict[str, list[str]] = {}
    with acme.watched("ada", width=width) as watched:
        for name, address in addresses.items():
            unfit |= looked_at(watched.go(address), name, width)
    print(f"screenshots: {SCREENSHOTS}")

    assert unfit == {}
    assert (watched.complaints, watched.abroad) == ([], [])


def looked_at(page: Page, name: str, width: int) -> dict[str, list[str]]:
    """Takes pictures of a page in both colours; gives what is wrong with it."""
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    found: dict[str, list[str]] = {}
    for scheme in SCHEMES:
        page.emulate_media(color_scheme=scheme)
        page.screenshot(path=SCREENSHOTS / f"{name}-{width}-{scheme}.png", full_page=True)
        if wrong := page.evaluate(FITNESS):
            found[f"{name}, {scheme}"] = wrong
    return found


@pytest.mark.parametrize("width", WIDTHS)
def test_pages_outside_are_fit_too(acme: Shop, width: int) -> None:
    """Signing in, being refused and finding nothing are pages like the others."""
    unfit: dict[str, list[str]] = {}
    context = acme.browser.new_context(viewport={"width": width, "height": 740})
    outside = Watched(page=context.new_page(), origin=acme.origin, expected=("401", "404", "403")).begin()
    for name, address in {"login": "/login", "login-link": "/login?link=towl_made_up"}.items():
        page = outside.go(address)
        unfit |= looked_at(page, name, width)
    page.get_by_role("button", name="Sign in").click()
    expect(page.locator("main")).to_contain_text("does not let you in")
    unfit |= looked_at(page, "login-refused", width)
    context.close()
    with acme.watched("vic", width=width) as watched:
        watched.expected = ("404", "403")
        for name, address in {"not-found": "/runs/4711", "forbidden": "/audit"}.items():
            unfit |= looked_at(watched.go(address), name, width)

    assert unfit == {}
    assert (outside.complaints, outside.abroad, watched.complaints, watched.abroad) == ([], [], [], [])


def test_a_page_without_scripts_works(acme: Shop) -> None:
    """Everything that is needed to decide works where no script runs: lists, forms, answers."""
    number = acme.start("checklist")
    context = acme.browser.new_context(
        storage_state=acme.signed_in("ben").storage_state(), java_script_enabled=False
    )
    page = context.new_page()
    page.set_default_timeout(60_000)
    page.goto(f"{acme.origin}/inbox/{number}/round")
    page.get_by_role("button", name="Done").click()
    page.wait_for_url(re.compile("/inbox/"))
    told = page.content()
    context.close()

    assert "decided by ben: done" in told
