"""The two sides of a copy, as each kind of database has them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any, Protocol

from deployserver.storage.copying.tables import Table

Row = tuple[Any, ...]

ROWS_AT_ONCE = 5000
"""Rows that are read, and written, at once: a few megabytes, unless all descriptions are as long as they may be."""


class Reader(Protocol):
    """One state of a database, from ``opened`` until its block ends. Everything raises DatabaseError."""

    @property
    def place(self) -> str:
        """Where the database is, as messages name it."""

    def opened(self) -> AbstractAsyncContextManager[None]:
        """Connect, and see what is committed now during the block."""

    async def count(self, table: Table, after: int = 0) -> int:
        """Return how many rows a table has; of one that is numbered, those with greater ids than ``after``."""

    def rows(self, table: Table, after: int = 0) -> AsyncIterator[Sequence[Row]]:
        """Give the rows that ``count`` counts, in the order of their keys, some at a time."""

    async def last_ids(self) -> Mapping[str, int]:
        """Return the greatest id that was ever given in each table that is numbered; 0 where none was."""


class Writer(Protocol):
    """A migrated database that is to become a copy. Everything raises DatabaseError."""

    def opened(self) -> AbstractAsyncContextManager[None]:
        """Connect during the block, and keep other copies away."""

    async def is_marked(self, mark: str) -> bool:
        """Tell whether the note is there that ``mark`` makes."""

    async def mark(self, mark: str) -> None:
        """Note, among its migrations, that it is not to be used."""

    async def remove_mark(self, mark: str) -> None:
        """Take that note away, durably, with all that was written before."""

    def transaction(self, mark: str) -> AbstractAsyncContextManager[None]:
        """Write all or nothing of the block, which needs the mark to be there. It may still be lost with the power."""

    async def last(self, table: Table) -> int:
        """Return the greatest id in a table; 0 if it has no rows."""

    async def ids(self, table: Table) -> set[int]:
        """Return all ids in a table."""

    async def remove(self, table: Table, ids: Collection[int] | None = None) -> None:
        """Remove rows, with those that refer to them, or all there are."""

    async def add(self, table: Table, rows: Sequence[Row]) -> None:
        """Add rows that are not there yet."""

    async def merge(self, table: Table, rows: Sequence[Row]) -> None:
        """Add rows, or change those that are there."""

    async def set_last_ids(self, last: Mapping[str, int]) -> None:
        """Let the next id in each table be the one after."""

    async def settle(self) -> None:
        """Let the database find out what it should know of so many new rows."""
