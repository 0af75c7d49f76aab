"""Texts as a failed check shows them: short, with what differs in sight, and nothing invisible."""

from __future__ import annotations

import re
import unicodedata
from itertools import zip_longest

LONGEST = 60
"""Characters of a value that are shown; of a longer one, those around the first difference."""

_LEAD = 20  # of them before the difference
_PLAIN = re.compile(r'[^\s",]+')


def one_line(text: str, longest: int = 200) -> str:
    """Return the text with whatever is not printable escaped, cut off with ``…`` after ``longest`` characters."""
    cut = len(text) > longest
    return _escaped(text[:longest], "") + ("…" if cut else "")


def shown(text: str) -> str:
    """Return a text as it is if one word, else in quotes, with escapes; ``…`` outside of the quotes is what is cut."""
    if len(text) <= LONGEST and _PLAIN.fullmatch(text) and text.isprintable():
        return text
    return _quoted(text, 0)


def shown_apart(expected: str, actual: str) -> tuple[str, str, str]:
    """Return both texts, which differ, as they are shown beside each other, and a note that may be empty."""
    position = _first_difference(expected, actual)
    note = _note(expected, actual, position)
    if max(len(expected), len(actual)) > LONGEST:
        start = max(position - _LEAD, 0)
        where = _where(expected, actual, position)
        note = f"{note}, {where}" if note else where
        return _quoted(expected, start), _quoted(actual, start), note
    left, right = shown(expected), shown(actual)
    if note or left != expected or right != actual:  # quotes around one only would look like a difference
        left, right = _quoted(expected, 0), _quoted(actual, 0)
    return left, right, note


def _first_difference(one: str, other: str) -> int:
    return next(index for index, (left, right) in enumerate(zip_longest(one, other)) if left != right)


def _note(expected: str, actual: str, position: int) -> str:
    """Say what kind of difference it is where the eye would miss it."""
    if "".join(expected.split()) == "".join(actual.split()):
        return "only white space differs"
    if expected.lower() == actual.lower():
        return "only letter case differs"
    pairs = list(zip(expected, actual, strict=False))
    alike = len(expected) == len(actual) and all(left == right or not (left + right).isascii() for left, right in pairs)
    if alike or unicodedata.normalize("NFKC", expected) == unicodedata.normalize("NFKC", actual):
        return f"character {position + 1}: expected {_named(expected, position)}, got {_named(actual, position)}"
    return ""


def _named(text: str, position: int) -> str:
    character = text[position]
    return f"U+{ord(character):04X} {unicodedata.name(character, '')}".rstrip()


def _where(expected: str, actual: str, position: int) -> str:
    before = expected[:position]
    line, column = before.count("\n") + 1, position - (before.rfind("\n") + 1) + 1
    if "\n" in expected or "\n" in actual:
        return f"from line {line}, character {column} on"
    return f"from character {column} on"


def _quoted(text: str, start: int) -> str:
    part = text[start : start + LONGEST]
    before, after = "…" if start else "", "…" if start + LONGEST < len(text) else ""
    return f'{before}"{_escaped(part, chr(34) + chr(92))}"{after}'


def _escaped(text: str, also: str) -> str:
    return "".join(
        character
        if character.isprintable() and character not in also
        else '\\"'
        if character == '"'
        else character.encode("unicode_escape").decode()
        for character in text
    )
