"""Patterns of names and paths, as people write them: ``*`` stands for anything."""

from __future__ import annotations


def fits_pattern(pattern: str | None, text: str) -> bool:
    """Tell whether a text fits a pattern in which only ``*`` is special, in any letter case."""
    if pattern is None:
        return True
    start, *others = pattern.casefold().split("*")
    text = text.casefold()
    if not others:
        return text == start
    *between, end = others
    if len(text) < len(start) + len(end) or not text.startswith(start) or not text.endswith(end):
        return False
    position, last = len(start), len(text) - len(end)
    for part in between:  # each as early as it can be, which takes no time that grows with the number of stars
        found = text.find(part, position, last)
        if found < 0:
            return False
        position = found + len(part)
    return True
