"""Numbers and names as people read them."""

from __future__ import annotations

import re
from collections.abc import Sequence

from markupsafe import Markup

from deployserver.pages.svg import element, joined


def thousands(number: int) -> str:
    """Return a count with its thousands apart: ``1,234``."""
    return f"{number:,}"


def compact(number: int) -> str:
    """Return a count in at most five characters, for an axis: ``950``, ``1.2k``, ``34M``."""
    for size, suffix in ((1_000_000_000_000, "T"), (1_000_000_000, "G"), (1_000_000, "M"), (1_000, "k")):
        if abs(number) >= size:
            text = f"{number / size:.1f}" if abs(number) < 10 * size else str(number // size)
            return text.removesuffix(".0") + suffix
    return str(number)


def percent(part: int, whole: int) -> str:
    """Return a share such as ``12%``; what is not nothing is not 0%, and what is not all is not 100%."""
    if whole <= 0 or part <= 0:
        return "0%"
    if part >= whole:
        return "100%"
    share = round(100 * part / whole)
    return "<1%" if share < 1 else ">99%" if share > 99 else f"{share}%"


def plural(count: int, one: str, many: str | None = None) -> str:
    """Return a count with its noun: ``1 target``, ``1,200 targets``."""
    return f"{count:,} {one if count == 1 else many or one + 's'}"


def middle_ellipsis(text: str, length: int = 32) -> str:
    """Return a text of at most ``length`` characters, with what is too much cut from its middle.

    Names differ at both ends: servers in their number, packages and versions in their last part.
    """
    if len(text) <= length:
        return text
    tail = (length - 1) // 2
    return f"{text[: length - 1 - tail]}…{text[len(text) - tail :]}"


def marked(text: str, words: Sequence[str]) -> Markup:
    """Return a text in which the words are marked, in any letter case."""
    if not words:
        return joined([text])
    pattern = "|".join(re.escape(word) for word in sorted(words, key=len, reverse=True))
    parts = re.split(f"({pattern})", text, flags=re.IGNORECASE)
    return joined(element("mark", part) if place % 2 else part for place, part in enumerate(parts))
