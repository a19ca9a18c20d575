"""Every page, as people see it: wide and narrow, dark and light. Pictures of all of them are kept for review."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from browser_support import SCREENSHOTS, Shop, Watched
from playwright.sync_api import expect

FITNESS = (Path(__file__).parent / "fitness.js").read_text()
LOOKS = [(width, scheme) for width in (1280, 360) for scheme in ("light", "dark")]
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


@pytest.mark.parametrize(("width", "scheme"), LOOKS)
def test_every_page_is_fit_to_be_used(acme: Shop, addresses: dict[str, str], width: int, scheme: str) -> None:
    """No complaint of the browser, no request elsewhere, AA contrast, nothing too small to press, no scrolling to the side, names for all."""
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    unfit: dict[str, list[str]] = {}
    with acme.watched("ada", width=width, scheme=scheme) as watched:
        for name, address in addresses.items():
            page = watched.go(address)
            page.screenshot(path=SCREENSHOTS / f"{name}-{width}-{scheme}.png", full_page=True)
            if wrong := page.evaluate(FITNESS):
                unfit[name] = wrong
    print(f"screenshots: {SCREENSHOTS}")

    assert unfit == {}
    assert (watched.complaints, watched.abroad) == ([], [])


@pytest.mark.parametrize(("width", "scheme"), LOOKS)
def test_pages_outside_are_fit_too(acme: Shop, width: int, scheme: str) -> None:
    """Signing in, being refused and finding nothing are pages like the others."""
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    unfit: dict[str, list[str]] = {}
    context = acme.browser.new_context(
        viewport={"width": width, "height": 740}, color_scheme="dark" if scheme == "dark" else "light"
    )
    outside = Watched(page=context.new_page(), origin=acme.origin, expected=("401", "404", "403")).begin()
    for name, address in {"login": "/login", "login-link": "/login?link=towl_made_up"}.items():
        page = outside.go(address)
        page.screenshot(path=SCREENSHOTS / f"{name}-{width}-{scheme}.png", full_page=True)
        unfit[name] = page.evaluate(FITNESS)
    page.get_by_role("button", name="Sign in").click()
    expect(page.locator("main")).to_contain_text("does not let you in")
    page.screenshot(path=SCREENSHOTS / f"login-refused-{width}-{scheme}.png", full_page=True)
    unfit["login-refused"] = page.evaluate(FITNESS)
    context.close()
    with acme.watched("vic", width=width, scheme=scheme) as watched:
        watched.expected = ("404", "403")
        for name, address in {"not-found": "/runs/4711", "forbidden": "/audit"}.items():
            page = watched.go(address)
            page.screenshot(path=SCREENSHOTS / f"{name}-{width}-{scheme}.png", full_page=True)
            unfit[name] = page.evaluate(FITNESS)

    assert {name: wrong for name, wrong in unfit.items() if wrong} == {}
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
