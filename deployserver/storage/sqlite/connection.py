"""The SQLite connection that the records are asked through: their SQL is SQLite's own."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import cache
from typing import Any, ParamSpec, TypeVar

import aiosqlite

from deployserver.storage.connection import Parameters
from deployserver.storage.references import StoredRow
from deployserver.storage.repository import load_queries
from deployserver.storage.sqlite.texts import SQLiteTexts

P = ParamSpec("P")
T = TypeVar("T")

# A statement is compiled once for every number of rows, and SQLite keeps the compiled form: large statements are few.
ROWS_PER_STATEMENT = 128
# What the write-ahead log holds before it is copied into the database, and what the connection that writes keeps of the
# database in memory: a part of it, so that only a large one costs memory. What they, and the size of a page, make of a
# large database is in benchmarks/README.md.
CHECKPOINT_BYTES = 64 * 2**20
CACHED_PART = 1 / 128
LEAST_CACHE_BYTES, MOST_CACHE_BYTES = 2 * 2**20, 16 * 2**20


class SQLiteParameters(Parameters):
    """Parameters by their names; what is a table of values is one parameter, in JSON.

    They are not numbered: of ?1 and its like, Python 3.12.0 to 3.12.3 wrongly warn, and whoever tests with the double
    and takes warnings for errors would be answered 500.
    """

    def is_given(self, column: str, query: str) -> str:
        """Return the condition that ``column`` is one of the ids of a query."""
        return f"{column} IN ({query})"

    def earliest(self, records: str, by: str, columns: str) -> str:
        """Return a query for the row with the least ``date`` of those with the same ``by``."""
        # With min(), SQLite takes all other columns of a group from the row that has the least.
        return f"SELECT min(date) AS date, {columns} FROM ({records}) AS r GROUP BY {by}"

    def table(self, ids: Iterable[int]) -> str:
        """Return a query that gives ``ids`` as ``value``."""
        return f"SELECT value FROM json_each({self._json(list(ids))})"

    def texts(self, texts: Iterable[str]) -> str:
        """Return a query that gives ``texts`` as ``value``."""
        return f"SELECT value FROM json_each({self._json(list(texts))})"

    def tuples(self, rows: Sequence[Sequence[int | str]], **columns: type[int] | type[str]) -> str:
        """Return a query that gives ``rows`` with their number from 0 as ``number``, and their items as ``columns``."""
        items = "".join(f", json_extract(value, '$[{index}]') AS {name}" for index, name in enumerate(columns))
        return f"SELECT key AS number{items} FROM json_each({self._json(rows)})"

    def _json(self, values: Sequence[Any]) -> str:
        return self.add(json.dumps(values, ensure_ascii=False, separators=(",", ":")))


class SQLiteConnection:
    """A connection of aiosqlite as ``Connection`` has it."""

    def __init__(self, driver: aiosqlite.Connection) -> None:
        self.driver = driver
        self.queries = load_queries("sqlite", "aiosqlite")
        self.texts = SQLiteTexts(self)

    def parameters(self) -> SQLiteParameters:
        """Return parameters for a statement."""
        return SQLiteParameters()

    async def rows(self, statement: str, parameters: Parameters | Mapping[str, Any] | None = None) -> Sequence[Any]:
        """Execute a statement and return its rows."""
        values = parameters.values if isinstance(parameters, Parameters) else parameters
        return list(await self.driver.execute_fetchall(statement, values))

    def execute(self, statement: str, values: Sequence[Any]) -> sqlite3.Cursor:
        """Execute a statement, on the thread of the connection."""
        return self.driver._conn.execute(statement, values)

    async def make_writer(self) -> None:
        """Set what only pays for the connection that writes."""
        ((page_bytes, pages),) = await self.rows(
            "SELECT page_size, page_count FROM pragma_page_size, pragma_page_count"
        )
        await self.rows(f"PRAGMA wal_autocheckpoint = {CHECKPOINT_BYTES // page_bytes}")
        cached = min(max(int(page_bytes * pages * CACHED_PART), LEAST_CACHE_BYTES), MOST_CACHE_BYTES)
        await self.rows(f"PRAGMA cache_size = -{cached // 1024}")

    async def on_thread(self, work: Callable[P, T], *arguments: P.args, **options: P.kwargs) -> T:
        """Do something on the thread of the connection, when all that was asked of it before is done."""
        result: T = await self.driver._execute(work, *arguments, **options)  # type: ignore[no-untyped-call]
        return result


@asynccontextmanager
async def connected(
    uri: str, busy_timeout: float, check: Callable[[], None] = lambda: None
) -> AsyncIterator[SQLiteConnection]:
    """Give a connection to a file, which commits durably, and waits for a lock for so many seconds.

    ``check`` is called when the file has been opened, and nothing has been read yet.
    """
    async with aiosqlite.connect(
        uri,
        uri=True,
        timeout=busy_timeout,
        isolation_level=None,
        cached_statements=2 * ROWS_PER_STATEMENT,
    ) as connection:
        check()
        for pragma in (
            "journal_mode = WAL",
            "synchronous = FULL",
            "fullfsync = ON",  # macOS only: without it a sync there stops at the disk's own cache
            "foreign_keys = ON",
        ):
            await connection.execute_fetchall(f"PRAGMA {pragma}")
        yield SQLiteConnection(connection)


@cache
def insert_statement(rows: int) -> str:
    """Return the statement that inserts so many deployments."""
    columns = StoredRow._fields
    row = f"({', '.join('?' * len(columns))})"
    return f"INSERT INTO deployments ({', '.join(columns)}) VALUES {', '.join([row] * rows)}"
