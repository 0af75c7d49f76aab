"""A SQLite file as either side of a copy."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
from collections.abc import AsyncIterator, Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TypeVar

from deployserver.errors import DatabaseError
from deployserver.storage.copying.sides import ROWS_AT_ONCE, Row
from deployserver.storage.copying.tables import TABLES, Table
from deployserver.storage.sqlite.migrator import explain

T = TypeVar("T")

CACHE_KIBIBYTES = 65_536
"""What the writer keeps of the file in memory: indexes whose order is not that of the rows need it."""


class _Side:
    """A connection on a thread of its own."""

    def __init__(self, path: Path, busy_timeout: float) -> None:
        self._path = path
        self._busy_timeout = busy_timeout
        self._thread = ThreadPoolExecutor(1)
        self._connection: sqlite3.Connection

    @property
    def place(self) -> str:
        """Where it is, as messages name it."""
        return str(self._path)

    @asynccontextmanager
    async def _connected(self, mode: str, *first: str) -> AsyncIterator[None]:
        uri = f"{self._path.absolute().as_uri()}?mode={mode}"

        def connect() -> None:
            self._connection = sqlite3.connect(uri, uri=True, timeout=self._busy_timeout, isolation_level=None)
            for statement in first:
                self._connection.execute(statement).fetchall()

        with self._thread:
            await self._do(connect)
            try:
                yield
            finally:
                await self._do(lambda: self._connection.close())

    async def _do(self, work: Callable[[], T]) -> T:
        with self._translated_errors():
            return await asyncio.get_running_loop().run_in_executor(self._thread, work)

    async def _run(self, statement: str, *parameters: object) -> list[Row]:
        return await self._do(lambda: self._connection.execute(statement, parameters).fetchall())

    @contextlib.contextmanager
    def _translated_errors(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.IntegrityError as error:
            raise DatabaseError(f"The database {self.place} is being written to by others: {error}.") from error
        except (sqlite3.Error, OSError) as error:
            raise DatabaseError(f"The database {self.place} failed: {explain(error, self._path)}") from error


class SQLiteReader(_Side):
    """One state of the file; see ``deployserver.storage.copying.sides.Reader``."""

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[None]:
        """Connect, and see what is committed now during the block."""
        # A transaction sees what there is when it first reads.
        async with self._connected("ro", "BEGIN", "SELECT count(*) FROM schema_migrations"):
            yield

    async def count(self, table: Table, after: int = 0) -> int:
        """Return how many rows a table has."""
        condition, parameters = _after(table, after)
        ((count,),) = await self._run(f"SELECT count(*) FROM {table.name} {condition}", *parameters)
        return int(count)

    async def rows(self, table: Table, after: int = 0) -> AsyncIterator[Sequence[Row]]:
        """Give the rows in the order of their keys, some at a time."""
        condition, parameters = _after(table, after)
        statement = f"SELECT {', '.join(table.columns)} FROM {table.name} {condition} ORDER BY {', '.join(table.key)}"
        cursor = await self._do(lambda: self._connection.execute(statement, parameters))
        while rows := await self._do(lambda: cursor.fetchmany(ROWS_AT_ONCE)):
            yield rows

    async def last_ids(self) -> Mapping[str, int]:
        """Return the greatest id that was ever given in each table."""
        last = {table.name: 0 for table in TABLES if table.is_numbered}
        for name, id_ in await self._run("SELECT name, seq FROM sqlite_sequence"):
            if name in last:
                last[name] = id_
        return last


class SQLiteWriter(_Side):
    """A file that is to become a copy; see ``deployserver.storage.copying.sides.Writer``."""

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[None]:
        """Connect during the block."""
        async with self._connected(
            "rw",
            "PRAGMA synchronous = NORMAL",  # commits are synced when they are moved into the file, and at the end
            "PRAGMA fullfsync = ON",
            "PRAGMA foreign_keys = ON",
            f"PRAGMA cache_size = -{CACHE_KIBIBYTES}",
            "PRAGMA wal_autocheckpoint = 16000",
        ):
            yield

    async def is_marked(self, mark: str) -> bool:
        """Tell whether it is noted that it is not to be used."""
        return bool(await self._run("SELECT 1 FROM schema_migrations WHERE name = ?", mark))

    async def mark(self, mark: str) -> None:
        """Note that it is not to be used."""
        await self._run("INSERT INTO schema_migrations VALUES (?, strftime('%Y-%m-%dT%H:%M:%SZ', 'now'))", mark)

    async def remove_mark(self, mark: str) -> None:
        """Take that note away, durably."""
        await self._run("PRAGMA wal_checkpoint(TRUNCATE)")
        await self._run("PRAGMA synchronous = FULL")
        await self._run("DELETE FROM schema_migrations WHERE name = ?", mark)

    @asynccontextmanager
    async def transaction(self, mark: str) -> AsyncIterator[None]:
        """Write all or nothing of the block."""
        await self._run("BEGIN IMMEDIATE")
        try:
            if not await self.is_marked(mark):
                raise DatabaseError(f"The database {self.place} has been finished by another copy meanwhile.")
            yield
            await self._run("COMMIT")
        except BaseException:
            with contextlib.suppress(DatabaseError):  # SQLite has rolled back by itself where the disk is full
                await self._run("ROLLBACK")
            raise

    async def last(self, table: Table) -> int:
        """Return the greatest id in a table."""
        ((last,),) = await self._run(f"SELECT coalesce(max(id), 0) FROM {table.name}")
        return int(last)

    async def ids(self, table: Table) -> set[int]:
        """Return all ids in a table."""
        return {id_ for (id_,) in await self._run(f"SELECT id FROM {table.name}")}

    async def remove(self, table: Table, ids: Collection[int] | None = None) -> None:
        """Remove rows, with those that refer to them, or all there are."""
        if ids is None:
            await self._run(f"DELETE FROM {table.name}")
            return
        statement = f"DELETE FROM {table.name} WHERE id = ?"
        await self._do(lambda: self._connection.executemany(statement, [(id_,) for id_ in ids]))

    async def add(self, table: Table, rows: Sequence[Row]) -> None:
        """Add rows that are not there yet."""
        await self._do(lambda: self._connection.executemany(_insert(table), rows))

    async def merge(self, table: Table, rows: Sequence[Row]) -> None:
        """Add rows, or change those that are there."""
        others = [column for column in table.columns if column not in table.key]
        statement = (
            f"{_insert(table)} ON CONFLICT ({', '.join(table.key)}) DO UPDATE SET "
            f"{', '.join(f'{column} = excluded.{column}' for column in others)} "
            f"WHERE {' OR '.join(f'{table.name}.{column} IS NOT excluded.{column}' for column in others)}"
        )
        await self._do(lambda: self._connection.executemany(statement, rows))

    async def set_last_ids(self, last: Mapping[str, int]) -> None:
        """Let the next id in each table be the one after."""
        for name, id_ in last.items():
            await self._run("DELETE FROM sqlite_sequence WHERE name = ?", name)
            await self._run("INSERT INTO sqlite_sequence (name, seq) VALUES (?, ?)", name, id_)

    async def settle(self) -> None:
        """Do nothing: questions are written so that SQLite needs no statistics."""


def _after(table: Table, after: int) -> tuple[str, tuple[int, ...]]:
    return ("WHERE id > ?", (after,)) if table.is_numbered else ("", ())


def _insert(table: Table) -> str:
    marks = ", ".join("?" * len(table.columns))
    return f"INSERT INTO {table.name} ({', '.join(table.columns)}) VALUES ({marks})"
