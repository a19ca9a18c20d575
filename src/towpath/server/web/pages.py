"""Pages: templates filled in, with what every page shows around them.

Everything that a page shows may come from outside and be hostile. So every value is escaped, by the template engine and without exception
(there is no `safe` filter), and characters that would hide or reorder text are made visible first. Markup of our own is of one type, and
is made in two places only: `icons` and `drawings`.
"""

from __future__ import annotations

import datetime
import functools
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote, urlencode

import jinja2
from fastapi import Request
from markupsafe import Markup
from starlette.responses import HTMLResponse, RedirectResponse, Response

import towpath
from towpath.observe import words
from towpath.people import inbox
from towpath.server.api import questions
from towpath.server.call import Call
from towpath.server.identity import coming_back
from towpath.server.problems import Problem
from towpath.server.shapes.moments import stamp
from towpath.server.web import ansi, icons, states, static

SEE_OTHER: Final = 303
_UNAUTHENTICATED: Final = 401
WAITING_SHOWN_MAX: Final = 99
"""More questions than that are told as `99+` beside the inbox."""
JSON_SHOWN_CHARS_MAX: Final = 100_000
"""How much of one value a page shows."""
_HIDDEN: Final = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u2069\ufeff\ufff9-\ufffb]"
)
"""Control characters, and those that hide text or turn its direction around."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """One entry of the navigation."""

    key: str
    title: str
    path: str
    permission: str
    """Whoever has it for nothing at all does not see the entry; empty: everybody who is known does."""


SECTIONS: Final = (
    Section(key="home", title="Home", path="/", permission=""),
    Section(key="workflows", title="Workflows", path="/workflows", permission="workflow.view"),
    Section(key="runs", title="Runs", path="/runs", permission="run.view"),
    Section(key="inbox", title="Inbox", path="/inbox", permission="question.view"),
    Section(key="events", title="Events", path="/events", permission="event.view"),
    Section(key="schedule", title="Schedule", path="/schedule", permission="workflow.view"),
    Section(key="environments", title="Environments", path="/environments", permission="environment.view"),
    Section(key="audit", title="Audit", path="/audit", permission="audit.view"),
    Section(key="settings", title="Settings", path="/settings", permission=""),
)


def page(
    call: Call | None,
    template: str,
    *,
    title: str,
    section: str = "",
    status: int = 200,
    headers: Mapping[str, str] | None = None,
    **values: Any,  # noqa: ANN401 - what this template shows
) -> HTMLResponse:
    """A page of somebody's.

    Args:
        call: who looks at it; None where nobody knows.
        template: the file in `templates/`.
        title: what the page is called, in the window's title too.
        section: the key of the navigation's entry that it belongs to.
        status: the HTTP status.
        headers: what the answer carries besides.
        values: what the template shows.

    """
    shown = render(call, template, title=title, section=section, **values)
    return HTMLResponse(shown, status, headers=dict(headers or {}))


def render(call: Call | None, template: str, **values: Any) -> str:  # noqa: ANN401 - what this template shows
    """The text of a page, or of a part of one."""
    now = call.app.now() if call is not None else _now()
    around = _around(call)
    return _templates().get_template(template).render({"now": now, "call": call, **around, **values})


def see_other(path: str, **query: str) -> RedirectResponse:
    """Where a browser goes after it has sent a form; only ever a path of ours."""
    assert re.match(r"/(?![/\\])", path), path
    shown = {key: value for key, value in query.items() if value}
    return RedirectResponse(f"{path}?{urlencode(shown)}" if shown else path, SEE_OTHER)


def address(path: str, **query: object) -> str:
    """A path of ours with a query; what is empty is left out."""
    kept = {key: value for key, value in query.items() if value not in (None, "")}
    return f"{path}?{urlencode(kept)}" if kept else path


def error_page(request: Request, problem: Problem) -> Response:
    """What went wrong, as a page; whoever is not known is asked to sign in first."""
    call: Call | None = getattr(request.state, "call", None)
    if problem.status == _UNAUTHENTICATED:
        wanted = request.url.path + (f"?{request.url.query}" if request.url.query else "")
        if coming_back.was_sent_here(request):
            return coming_back.going_on(wanted)
        return see_other("/login", next=wanted if request.method == "GET" and wanted != "/" else "")
    return page(call, "error.html", title=problem.title, status=problem.status, problem=problem)


def is_part(request: Request) -> bool:
    """Whether htmx asks for a part of a page that is shown already."""
    return request.headers.get("hx-request") == "true"


# --- what stands around every page ---------------------------------------------------------------------


def _around(call: Call | None) -> dict[str, Any]:
    """The navigation, and who looks at it."""
    if call is None:
        return {"sections": (), "me": "", "project": "", "waiting_for_me": ""}
    return {
        "sections": tuple(one for one in SECTIONS if not one.permission or call.may_at_all(one.permission)),
        "me": call.by,
        "project": _name_of_project(call),
        "waiting_for_me": waiting_for_me(call),
    }


def _name_of_project(call: Call) -> str:
    """What people call the project, as its file says; else its folder."""
    file = call.app.project_file()
    return file.title or file.name or call.app.settings.project.name


def waiting_for_me(call: Call) -> str:
    """How many questions somebody could answer now, as the navigation shows it; empty where none waits."""
    if not call.may_at_all("question.view"):
        return ""
    seen = questions.waiting(call, inbox.Wanted(items_max=WAITING_SHOWN_MAX + 1))
    count = sum(item.standing == "asked" for item in seen.items)
    if count > WAITING_SHOWN_MAX:
        return f"{WAITING_SHOWN_MAX}+"
    return str(count) if count else ""


# --- templates -----------------------------------------------------------------------------------------


@functools.cache
def _templates() -> jinja2.Environment:
    made = jinja2.Environment(
        loader=jinja2.FileSystemLoader(static.FOLDER.parent / "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        finalize=_visible,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    del made.filters["safe"]
    made.filters.update(
        ahead=ahead,
        ago=ago,
        duration=words.duration,
        json=as_json,
        moment=moment,
        path=path_part,
        person=person_name,
        printed=printed,
        size=words.size,
        stamp=stamp,
        count=lambda number: f"{number:,}",
        counted=words.counted,
    )
    made.globals.update(
        icon=icons.icon, state=states.state_of, static=static.address, version=towpath.__version__
    )
    return made


def _visible(value: object) -> object:
    """What a template writes, before it is escaped: characters that hide or turn text are shown as a mark."""
    if isinstance(value, str) and not isinstance(value, Markup):
        return visible(value)
    return value


def visible(text: str) -> str:
    """Text in which every character can be seen, but for line breaks and tabs."""
    if text.isprintable():
        return text
    return _HIDDEN.sub("\N{REPLACEMENT CHARACTER}", text.replace("\r\n", "\n"))


def moment(at: int | None, now: int) -> Markup:
    """A moment in the server's time, short; in full where one points at it, and for programs in the attribute."""
    return Markup("") if at is None else _time(at, words.moment(at, now=now), kind="moment")


def ago(at: int | None, now: int) -> Markup:
    """How long ago a moment was."""
    return Markup("") if at is None else _time(at, words.ago(at, now=now), kind="ago")


def ahead(at: int | None, now: int) -> Markup:
    """How far ahead a moment is."""
    return Markup("") if at is None else _time(at, words.ahead(at, now=now), kind="ahead")


def _time(at: int, text: str, *, kind: str) -> Markup:
    exact = datetime.datetime.fromtimestamp(at // words.MICROS, tz=datetime.UTC)
    local = exact.astimezone()
    return Markup('<time datetime="{}" title="{}" data-kind="{}">{}</time>').format(
        exact.strftime("%Y-%m-%dT%H:%M:%SZ"), local.strftime("%Y-%m-%d %H:%M:%S %Z"), kind, text
    )


def as_json(value: Any) -> str:  # noqa: ANN401 - whatever JSON can say
    """A value as JSON, over several lines where it is not small; cut where it is too long to be read."""
    plain = json.dumps(value, ensure_ascii=False, default=str)
    text = plain if len(plain) < 60 else json.dumps(value, ensure_ascii=False, indent=2, default=str)  # noqa: PLR2004 - a line
    if len(text) <= JSON_SHOWN_CHARS_MAX:
        return text
    return f"{text[:JSON_SHOWN_CHARS_MAX]}\n… ({len(text) - JSON_SHOWN_CHARS_MAX:,} characters more)"


def printed(text: str) -> str:
    """What a program printed, without what only a terminal understands."""
    return text if "\x1b" not in text else "\n".join(ansi.plain(line) for line in text.split("\n"))


def path_part(text: str) -> str:
    """A text as one part of a path, whatever stands in it."""
    return quote(text, safe="")


def person_name(actor: str) -> str:
    """Who did something, as a page says it: `ada`, `service deployer`, `trigger nightly`."""
    kind, separator, name = actor.partition(":")
    if not separator:
        return actor
    return name if kind == "user" else f"{kind} {name}"


def _now() -> int:
    return int(datetime.datetime.now(tz=datetime.UTC).timestamp() * words.MICROS)
