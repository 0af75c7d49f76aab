"""Which records somebody asks for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple


class Pattern(NamedTuple):
    """What a name is compared with: the beginning of its casefolded text if ``is_prefix``, else all of it."""

    key: str
    is_prefix: bool

    def matches(self, name: str) -> bool:
        """Tell whether a name is one of those that are meant."""
        key = name.casefold()
        return key.startswith(self.key) if self.is_prefix else key == self.key


def read_pattern(text: str) -> Pattern:
    """Return what a client has written: a ``*`` at the end stands for anything, and ``**`` for one asterisk."""
    key = text.casefold()
    if key.endswith("**"):
        return Pattern(key[:-1], is_prefix=False)
    return Pattern(key.removesuffix("*"), is_prefix=key.endswith("*"))


def exactly(name: str) -> str:
    """Return the pattern that only this name matches, though it may end with an asterisk."""
    return f"{name}*" if name.endswith("*") else name


class Word(NamedTuple):
    """A word that is looked for in every field; ``feed_ids`` are the feeds whose name has it."""

    text: str
    feed_ids: frozenset[int]


@dataclass(frozen=True, slots=True)
class RecordFilter:
    """Conditions that a record meets all of; of several names for one field it has one.

    Names are patterns (see ``read_pattern``); the group of a package without one has an empty name. ``feed_ids`` are
    the feeds to look in, None for all; ``since`` and ``until`` are dates, in microseconds since 1970, that are
    included.
    """

    feed_ids: frozenset[int] | None = None
    groups: tuple[str, ...] = ()
    packages: tuple[str, ...] = ()
    targets: tuple[str, ...] = ()
    versions: tuple[str, ...] = ()
    applications: tuple[str, ...] = ()
    users: tuple[str, ...] = ()
    since: int | None = None
    until: int | None = None
    words: tuple[Word, ...] = ()
