"""Reading pages in tests: forms as a browser would send them, links, and what a page consists of."""

from __future__ import annotations

from dataclasses import dataclass, field
from html.parser import HTMLParser

import httpx2
from server_support import TestServer

HTML = {"accept": "text/html"}


@dataclass
class Page(HTMLParser):
    """A page, taken apart."""

    source: str
    tags: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.feed(self.source)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Notes an element."""
        self.tags.append((tag, {name: value or "" for name, value in attrs}))

    def handle_data(self, data: str) -> None:
        """Notes a text."""
        self.texts.append(data)

    @property
    def text(self) -> str:
        """What a person reads, with single spaces."""
        return " ".join(" ".join(self.texts).split())

    @property
    def links(self) -> list[str]:
        """Where links lead."""
        return [attributes["href"] for tag, attributes in self.tags if tag == "a" and "href" in attributes]

    def fields(self) -> dict[str, str]:
        """The values of inputs, by name."""
        return {
            attributes["name"]: attributes.get("value", "")
            for tag, attributes in self.tags
            if tag == "input" and "name" in attributes and _is_sent(attributes)
        }

    def has(self, tag: str, **wanted: str) -> bool:
        """Whether there is such an element."""
        return any(
            one == tag and all(attributes.get(name.rstrip("_")) == value for name, value in wanted.items())
            for one, attributes in self.tags
        )


def _is_sent(attributes: dict[str, str]) -> bool:
    """Whether a browser would send it: a box that is not ticked is left out."""
    return attributes.get("type") not in ("checkbox", "radio") or "checked" in attributes


async def look(server: TestServer, path: str, name: str = "ada", *, status: int = 200) -> Page:
    """A page, as somebody sees it."""
    answer = await server.client.get(path, headers={**HTML, **server.as_(name)})
    assert answer.status_code == status, (path, answer.status_code, answer.text[:2_000])
    return Page(answer.text)


async def send(server: TestServer, path: str, form: dict[str, str], name: str = "ada") -> httpx2.Response:
    """Sends a form."""
    return await server.client.post(path, data=form, headers={**HTML, **server.as_(name)})


async def started(
    server: TestServer, workflow: str, form: dict[str, str] | None = None, name: str = "ada"
) -> int:
    """The number of a run that was started from its form."""
    answer = await send(server, f"/workflows/{workflow}/start", {"act": "start", **(form or {})}, name)
    assert answer.status_code == 303, answer.text[:3_000]
    return int(answer.headers["location"].split("?")[0].rsplit("/", 1)[1])
