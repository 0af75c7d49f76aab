"""What finds the records that have some characters in their description or link: every database has its own index."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from deployserver.storage.connection import Parameters

_LAST_CHARACTER = "\U0010ffff"


class Texts(Protocol):
    """The index of the texts of one database, on one of its connections."""

    @property
    def index_steps(self) -> Sequence[str]:
        """The statements that index the records with ids after ``:after`` up to ``:last``, and new names."""

    async def with_word(self, word: str, most: int, *, is_rare: bool = False) -> Collection[int] | None:
        """Return the ids of up to ``most`` indexed records whose texts may have a word.

        All that have it are among them, if they are fewer than ``most``. None if so many have it that looking through
        the records finds some soon, or if looking through them is no slower than this. With ``is_rare`` it is known
        that it does not.
        """

    async def names_with(self, parameters: Parameters, word: str) -> str:
        """Return what a FROM clause takes: names ``n``, among them all with a word; how many others is left open."""


def begins(column: str, beginning: str, parameters: Parameters) -> str:
    """Return the condition that a column begins with something, which its index may be asked for."""
    return f"{column} >= {parameters.add(beginning)} AND {column} < {parameters.add(beginning + _LAST_CHARACTER)}"


def spellings(word: str) -> Iterator[str]:
    """Yield the usual ways to write a word, as far as they differ in more than the case of ASCII letters."""
    yield from dict.fromkeys((word,) if word.isascii() else (word, word.lower(), word.upper(), word.capitalize()))


def has_any(column: str, patterns: Collection[str]) -> list[str]:
    """Return a condition for each of the patterns, of which the parameters are given."""
    return [rf"{column} LIKE {parameter} ESCAPE '\'" for parameter in patterns]


def pattern(spelling: str) -> str:
    """Return what is LIKE a text with this anywhere in it."""
    escaped = spelling.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    return f"%{escaped}%"
