"""Markup made of elements: escaped, and without a style attribute, which the pages' policy forbids."""

from __future__ import annotations

from collections.abc import Iterable

from markupsafe import Markup, escape

Content = str | Markup
Attribute = str | int | float | None


def element(name: str, /, *content: Content, **attributes: Attribute) -> Markup:
    """Return an element; in names of attributes ``_`` is ``-`` and a last one is dropped, and None leaves one out."""
    written = "".join(
        f' {attribute.rstrip("_").replace("_", "-")}="{escape(_written(value))}"'
        for attribute, value in attributes.items()
        if value is not None
    )
    return Markup(f"<{name}{written}>{joined(content)}</{name}>")  # noqa: S704 - every part has been escaped


def joined(parts: Iterable[Content]) -> Markup:
    """Return parts one after the other, escaping those that are text."""
    return Markup("").join(parts)


def title(text: str) -> Markup:
    """Return what a browser shows when a mark is pointed at."""
    return element("title", text)


def percentage(share: float) -> str:
    """Return a share of the width, 0 to 1, as a coordinate."""
    return f"{_written(100 * share)}%"


def _written(value: str | int | float) -> str:
    return value if isinstance(value, str) else f"{value:.3f}".rstrip("0").rstrip(".") if value else "0"
