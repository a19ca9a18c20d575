"""What every page has in common: escaped text, files of their own, colours that can be read, and a way in for those who are not known."""

from __future__ import annotations

import re
from pathlib import Path

import jinja2
import pytest
from server_support import server_in, write_project

from towpath.server.web import icons, pages, states, static

CSS = (static.FOLDER / "towpath.css").read_text()
TEMPLATES = sorted((static.FOLDER.parent / "templates").glob("*.html"))
HTML = {"accept": "text/html"}
AA_CONTRAST = 4.5
LINES_CONTRAST = 3.0
TEXTS = ("ink", "soft", "link", "good", "bad", "busy", "warn", "ask")
GROUNDS = ("ground", "paper", "raised")
ON_THEIR_OWN = [(tone, f"{tone}-bg") for tone in ("good", "bad", "busy", "warn", "ask")]
PAIRS = [
    *((text, ground) for text in TEXTS for ground in GROUNDS),
    *ON_THEIR_OWN,
    *(("ink", f"{tone}-bg") for tone in ("good", "bad", "busy", "warn", "ask")),
    ("on-accent", "accent"),
    ("on-danger", "danger"),
    ("ink", "mark"),
]


def tokens(scheme: str) -> dict[str, str]:
    """The colours of a scheme, as the stylesheet names them."""
    light, dark = CSS.split("@media (prefers-color-scheme: dark)", 1)
    text = light if scheme == "light" else dark.split("/*", 1)[0]
    return dict(re.findall(r"--([a-z-]+): (#[0-9a-f]{6});", text))


def contrast(one: str, other: str) -> float:
    """The contrast of two colours, as WCAG 2 defines it."""
    brighter, darker = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (brighter + 0.05) / (darker + 0.05)


def _luminance(colour: str) -> float:
    channels = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [one / 12.92 if one <= 0.04045 else ((one + 0.055) / 1.055) ** 2.4 for one in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_text_can_be_read_on_its_ground(scheme: str) -> None:
    """Each pair of text and ground that the stylesheet makes has a contrast of at least 4.5, dark and light."""
    known = tokens(scheme)

    faint = {
        pair: round(contrast(known[pair[0]], known[pair[1]]), 2)
        for pair in PAIRS
        if contrast(known[pair[0]], known[pair[1]]) < AA_CONTRAST
    }
    assert faint == {}
    assert contrast(known["rim"], known["paper"]) >= LINES_CONTRAST


def test_both_schemes_name_the_same_colours() -> None:
    """No colour is forgotten in the dark."""
    assert tokens("light").keys() == tokens("dark").keys()


def test_colours_stand_among_the_tokens_only() -> None:
    """Rules name tokens; a colour that stands in a rule would not follow the dark."""
    rules = CSS.split("/* --- the ground", 1)[1]

    assert re.findall(r"#[0-9a-f]{3,8}\b(?![^{]*\{)", rules) == []


@pytest.mark.parametrize("file", TEMPLATES, ids=lambda file: file.name)
def test_templates_cannot_open_a_door(file: Path) -> None:
    """No template switches escaping off, has a script or a style in the page, a handler in an attribute, or an address elsewhere."""
    text = file.read_text()

    doors = (
        r"\|\s*safe\b", r"autoescape", r"<script(?![^>]*\bsrc=)", r"<style", r"\sstyle=", r"\son(?!ly=)[a-z]+=",
        r"javascript:", r"(?:src|href|action)=\"(?:https?:)?//", r"hx-on",
    )  # fmt: skip
    assert [door for door in doors if re.search(door, text, re.IGNORECASE)] == []


def test_there_is_no_way_around_escaping() -> None:
    """The template engine escapes everything, has no filter that says otherwise, and refuses names that do not exist."""
    engine = pages._templates()

    assert engine.autoescape is True
    assert "safe" not in engine.filters
    assert engine.undefined is jinja2.StrictUndefined
    shown = engine.from_string('<p title="{{ it }}">{{ it }}</p>').render(it='"><script>x</script>\u202etxt')
    assert shown == (
        '<p title="&#34;&gt;&lt;script&gt;x&lt;/script&gt;\N{REPLACEMENT CHARACTER}txt">'
        "&#34;&gt;&lt;script&gt;x&lt;/script&gt;\N{REPLACEMENT CHARACTER}txt</p>"
    )


def test_every_status_has_a_picture() -> None:
    """Each status names a picture that there is, and a status nobody knows is shown by its word."""
    shown = states._STATES

    assert {one.icon for one in shown.values()} - set(icons.names()) == set()
    assert states.state_of("quite_new") == states.State("pending", "calm", "quite new")


async def test_files_are_found_by_their_content_and_nothing_else_is(tmp_path: Path) -> None:
    """A file has its content in its name and may be kept for ever; every other path is 404, upwards ones too."""
    write_project(tmp_path)
    async with server_in(tmp_path) as server:
        found = {name: await server.client.get(static.address(name)) for name in static.FILES}
        lost = [
            await server.client.get(f"/static/{path}")
            for path in (
                "towpath.css", "../pages.py", "%2e%2e/pages.py", "..%2f..%2fmaking.py", "/etc/passwd", ""
            )
        ]  # fmt: skip

    assert {name: one.status_code for name, one in found.items()} == dict.fromkeys(static.FILES, 200)
    assert found["towpath.css"].headers["cache-control"] == "public, max-age=31536000, immutable"
    assert found["towpath.js"].headers["x-content-type-options"] == "nosniff"
    assert {one.status_code for one in lost} == {404}


async def test_whoever_is_not_known_is_asked_to_sign_in(tmp_path: Path) -> None:
    """A page leads to the sign-in and remembers where one wanted to go; programs get a problem as before."""
    write_project(tmp_path)
    async with server_in(tmp_path) as server:
        seen = await server.client.get("/runs?q=a%20b", headers=HTML)
        told = await server.client.get("/runs")

    assert (seen.status_code, seen.headers["location"]) == (303, "/login?next=%2Fruns%3Fq%3Da%2520b")
    assert (told.status_code, told.headers["content-type"]) == (401, "application/problem+json")


async def test_errors_are_pages_for_people(tmp_path: Path) -> None:
    """What cannot be found or is not allowed is told as a page that says what happened, without an inside."""
    write_project(tmp_path)
    async with server_in(tmp_path) as server:
        nowhere = await server.client.get("/nowhere<script>", headers={**HTML, **server.as_("ada")})
        stranger = await server.client.get("/runs", headers={**HTML, **server.as_("stranger")})

    assert (nowhere.status_code, stranger.status_code) == (404, 403)
    assert "<h1>You may not do this</h1>" in stranger.text
    assert "<script>" not in nowhere.text.replace("<script src", "")


@pytest.mark.parametrize("place", ["//evil.example", "https://evil.example", "/\\evil.example", "runs"])
def test_a_page_never_leads_elsewhere(place: str) -> None:
    """After a form a browser is sent to a path of ours, never to another site."""
    with pytest.raises(AssertionError):
        pages.see_other(place)
