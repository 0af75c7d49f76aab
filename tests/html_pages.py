"""What a browser without scripts makes of a page: its texts, links, fields and rows."""

from __future__ import annotations

from html.parser import HTMLParser
from typing import Any
from urllib.parse import urlsplit

from conftest import Answer, Service

_EMPTY = {"meta", "link", "input", "br", "hr", "img"}


class Page(HTMLParser):
    """A page, read; it must nest its elements as they should be, and hold no script of its own."""

    def __init__(self, answer: Answer) -> None:
        super().__init__()
        self.status = answer.status
        self.text = answer.text
        self.links: list[tuple[str, str]] = []
        """Text and address."""
        self.fields: list[dict[str, str | None]] = []
        self.cells: list[dict[str, str]] = []
        """Rows, by the labels of their cells."""
        self.words = ""
        self._open: list[tuple[str, dict[str, str | None]]] = []
        assert answer.headers["Content-Type"] == "text/html; charset=utf-8", answer.text
        assert "script-src 'self'" in answer.headers["Content-Security-Policy"]
        self.feed(answer.text)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = dict(attrs)
        assert "style" not in attributes and not any(name.startswith("on") for name in attributes)
        if tag == "script":
            assert (attributes.get("src") or "").partition("?")[0].endswith("/static/app.js")
        if tag == "a" and not self._within("template"):
            self.links.append(("", attributes.get("href") or ""))
        if tag in ("input", "select"):
            self.fields.append({"tag": tag, **attributes})
        if tag == "tr" and not self._within("template"):
            self.cells.append({})
        if tag not in _EMPTY:
            self._open.append((tag, attributes))

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        pass  # of drawings

    def handle_endtag(self, tag: str) -> None:
        opened, _ = self._open.pop()
        assert opened == tag, f"{opened} is closed by {tag}"

    def handle_data(self, data: str) -> None:
        if self._within("template"):
            return
        self.words += data
        if self._within("a"):
            text, address = self.links[-1]
            self.links[-1] = (text + data, address)
        for _, attributes in self._open:
            if label := attributes.get("data-label"):
                self.cells[-1][label] = (self.cells[-1].get(label, "") + data).strip()

    def _within(self, tag: str) -> bool:
        return any(opened == tag for opened, _ in self._open)

    @property
    def rows(self) -> list[dict[str, str]]:
        """The records that are shown."""
        return [row for row in self.cells if row]

    @property
    def title(self) -> str:
        """What the browser calls the page."""
        return self.text.partition("<title>")[2].partition("</title>")[0]

    def values(self, name: str) -> list[str | None]:
        """Return what the fields of a name hold."""
        return [field.get("value") for field in self.fields if field.get("name") == name]

    def to(self, text: str) -> str:
        """Return the address of the one link with a text."""
        addresses = {address for shown, address in self.links if " ".join(shown.split()) == text}
        assert len(addresses) == 1, (text, self.links)
        return addresses.pop()

    def leads_to(self, path: str) -> list[str]:
        """Return the addresses of all links to a path."""
        return [address for _, address in self.links if urlsplit(address).path == path]


async def get_page(service: Service, path: str, *, status: int = 200, **options: Any) -> Page:
    """Get a page."""
    answer = await service.request("GET", path, **options)
    assert answer.status == status, answer.text
    return Page(answer)
