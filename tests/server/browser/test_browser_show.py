"""The show: sign in, start a release from its form, watch it, have it approved by somebody else, see it succeed."""

from __future__ import annotations

import re

from browser_support import Shop
from playwright.sync_api import expect

EXPECT_MILLISECONDS = 60_000


def test_a_release_is_started_watched_approved_and_succeeds(acme: Shop) -> None:
    """From the one-time link to the end of the run, in two browsers, and no page is loaded anew to see what happens."""
    expect.set_options(timeout=EXPECT_MILLISECONDS)
    with acme.watched("ada") as ada, acme.watched("ben", width=360, height=740) as ben:
        page = ada.go("/workflows/release_shop")
        page.get_by_role("link", name="Start").first.click()
        page.get_by_label("Commit, tag or branch").fill("v2.4.0")
        page.get_by_role("button", name="Start", exact=True).click()
        page.wait_for_url(re.compile(r"/runs/\d+"))
        number = int(re.search(r"/runs/(\d+)", page.url)[1])  # type: ignore[index] # it was waited for
        page.evaluate("window.stillTheSamePage = true")
        expect(page.locator("#head")).to_contain_text("waiting")

        phone = ben.go("/inbox")
        phone.get_by_role("link", name="Release v2.4.0 to production?").first.click()
        expect(phone.locator(".diff .add")).to_have_text("+listen 443 ssl;\n")
        phone.get_by_label("Change ticket").fill("CHG42")
        phone.get_by_label("Comment", exact=True).fill("fine with me")
        phone.get_by_role("button", name="Approve").click()
        expect(phone.locator("main")).to_contain_text("decided by ben: approved (fine with me)")

        expect(page.locator("#head")).to_contain_text("succeeded")
        assert page.evaluate("window.stillTheSamePage") is True
        page.goto(f"{acme.origin}/audit?by=ben")
        expect(page.locator("main")).to_contain_text("fine with me")

    assert acme.status_of(number) == "succeeded"
    assert (ada.complaints, ada.abroad, ben.complaints, ben.abroad) == ([], [], [], [])


def test_everything_is_done_from_the_keyboard(acme: Shop) -> None:
    """Without a mouse: the menu, the list, the form, the answer. What has the focus can be seen."""
    expect.set_options(timeout=EXPECT_MILLISECONDS)
    acme.start("checklist")
    with acme.watched("cy") as watched:
        page = watched.go("/")

        def tab_to(name: str, role: str = "a") -> None:
            for _ in range(120):
                page.keyboard.press("Tab")
                here = page.evaluate(
                    "() => { const one = document.activeElement; const style = getComputedStyle(one);"
                    "return [one.tagName.toLowerCase(), (one.labels && one.labels[0] || one).textContent.trim(),"
                    "style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) >= 2 || style.boxShadow !== 'none'] }"
                )
                if here[0] == role and name in here[1]:
                    assert here[2], f"nobody sees that {name} has the focus"
                    return
            raise AssertionError(f"{name} cannot be reached")

        page.keyboard.press("Tab")
        assert "Skip" in page.evaluate("document.activeElement.textContent")
        tab_to("Inbox")
        page.keyboard.press("Enter")
        page.wait_for_url("**/inbox")
        tab_to("Walk round the data centre")
        page.keyboard.press("Enter")
        page.wait_for_url("**/inbox/*/round")
        number = int(page.url.split("/")[-2])
        tab_to("Look at the lights of rack A", "input")
        page.keyboard.press("Space")
        assert page.evaluate("document.activeElement.checked")
        tab_to("notes", "textarea")
        page.keyboard.type("all quiet")
        tab_to("Done", "button")
        page.keyboard.press("Enter")
        expect(page.locator("main")).to_contain_text("This is over")

    assert acme.status_of(number) == "succeeded"
    assert watched.complaints == []
