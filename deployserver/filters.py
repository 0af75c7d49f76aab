"""Which records somebody asks for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple


class Word(NamedTuple):
    """A word that is looked for in every field; ``feed_ids`` are the feeds whose name has it."""

    text: str
    feed_ids: frozenset[int]


@dataclass(frozen=True, slots=True)
class RecordFilter:
    """Conditions that a record meets all of; of several names for one field it has one.

    Names match in any letter case, and a ``*`` at their end stands for anything. ``feed_ids`` are the feeds to look
    in, None for all; ``since`` and ``until`` are dates, in microseconds since 1970, that are included.
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
