"""The order of Maven versions, by "Version Order Specification" in Maven's POM reference.

Univers has the order of an old Maven: it is no order (1.sp < 1-alpha < 1 < 1.sp), does not know ``release``, and
recurses as deeply as a version has parts.
"""

from __future__ import annotations

import re

from deployserver.versions.keys import Key

_ALIASES = {"ga": "", "final": "", "release": "", "cr": "rc"}
_BEFORE_A_NUMBER = {"a": "alpha", "b": "beta", "m": "milestone"}
_BEFORE_THE_RELEASE = ("alpha", "beta", "milestone", "rc", "snapshot")

_LETTER_AND_NUMBER = re.compile(r"(?<![^0-9.-])([abm])(?=[0-9])")
_TRANSITION = re.compile(r"(?<=[0-9])(?=[^0-9.-])|(?<=[^0-9.-])(?=[0-9])")
_SEPARATOR = re.compile(r"([.-])")

# What is not there sorts after alpha to snapshot and before the rest.
_END: Key = (1,)
_NOTHING: Key = (2,)
_AFTER_A_HYPHEN = 4
_AFTER_A_DOT = 5
_NULLS = frozenset({_NOTHING, (_AFTER_A_HYPHEN, 0), (_AFTER_A_DOT, 0)})


def maven_key(text: str) -> Key:
    """Return the sort key of a Maven version; every text is one."""
    text = _LETTER_AND_NUMBER.sub(lambda match: _BEFORE_A_NUMBER[match[1]], text.lower())
    first, *rest = _SEPARATOR.split(_TRANSITION.sub("-", text))
    items: list[Key] = []
    for separator, token in (("." if first.isdigit() else "-", first), *zip(rest[::2], rest[1::2], strict=True)):
        item = _item(separator, token)
        if item[0] != _AFTER_A_DOT:
            _trim(items)
        items.append(item)
    _trim(items)
    return (*items, _END)


def _item(separator: str, token: str) -> Key:
    if not token or token.isdigit():
        return (_AFTER_A_DOT if separator == "." else _AFTER_A_HYPHEN, int(token or 0))
    word = _ALIASES.get(token, token)
    if not word:
        return _NOTHING
    if word in _BEFORE_THE_RELEASE:
        return (0, _BEFORE_THE_RELEASE.index(word))
    return (3, word != "sp", word)


def _trim(items: list[Key]) -> None:
    while items and items[-1] in _NULLS:
        items.pop()
