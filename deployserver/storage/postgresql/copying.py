"""A PostgreSQL database as either side of a copy."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Collection, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager

import asyncpg

from deployserver.database_urls import hide_password, without_passwords
from deployserver.errors import DatabaseError
from deployserver.storage.copying.sides import ROWS_AT_ONCE, Row
from deployserver.storage.copying.tables import TABLES, Table
from deployserver.storage.postgresql.connector import connect
from deployserver.storage.postgresql.failures import FAILURES, explain

_LOCK = 8624_0002
"""Of PostgreSQL's advisory locks the one that whoever copies to the database holds."""

_NO_LIMITS = "SET statement_timeout = 0; SET idle_in_transaction_session_timeout = 0; SET lock_timeout = 0"


class _Side:
    """A connection; ``timeout`` is how many seconds it may take to connect."""

    def __init__(self, url: str, timeout: float) -> None:
        self._url = url
        self._timeout = timeout
        self._driver: asyncpg.Connection

    @property
    def place(self) -> str:
        """Where it is, as messages name it."""
        return hide_password(self._url)

    @asynccontextmanager
    async def _connected(self) -> AsyncIterator[None]:
        with self._translated_errors():
            self._driver = await connect(self._url, self._timeout)
            await self._driver.execute(_NO_LIMITS)
        try:
            yield
        finally:
            self._driver.terminate()  # nothing that was committed waits for it, and the server may be gone

    @contextlib.contextmanager
    def _translated_errors(self) -> Iterator[None]:
        try:
            yield
        except asyncpg.IntegrityConstraintViolationError as error:
            raise DatabaseError(f"The database {self.place} is being written to by others: {error}.") from error
        except FAILURES as error:
            why = without_passwords(explain(error), self._url)
            raise DatabaseError(f"The database {self.place} failed: {why}") from error


class PostgreSQLReader(_Side):
    """One state of the database; see ``deployserver.storage.copying.sides.Reader``."""

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[None]:
        """Connect, and see what is committed now during the block."""
        async with self._connected():
            with self._translated_errors():
                await self._driver.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
                await self._driver.fetchval("SELECT 1")  # it sees what there is when it first reads
            yield

    async def count(self, table: Table, after: int = 0) -> int:
        """Return how many rows a table has."""
        condition, parameters = _after(table, after)
        with self._translated_errors():
            return int(await self._driver.fetchval(f"SELECT count(*) FROM {table.name} {condition}", *parameters))

    async def rows(self, table: Table, after: int = 0) -> AsyncIterator[Sequence[Row]]:
        """Give the rows in the order of their keys, some at a time."""
        condition, parameters = _after(table, after)
        with self._translated_errors():
            cursor = await self._driver.cursor(
                f"SELECT {', '.join(table.columns)} FROM {table.name} {condition} ORDER BY {', '.join(table.key)}",
                *parameters,
            )
        while True:
            with self._translated_errors():
                rows = await cursor.fetch(ROWS_AT_ONCE)
            if not rows:
                return
            yield list(map(tuple, rows))

    async def last_ids(self) -> Mapping[str, int]:
        """Return the greatest id that was ever given in each table."""
        with self._translated_errors():
            last = {"deployments": await self._driver.fetchval("SELECT last FROM deployment_ids")}
            for name in _with_sequence():
                sequence = await self._driver.fetchval("SELECT pg_get_serial_sequence($1, 'id')", name)
                last[name] = await self._driver.fetchval(
                    f"SELECT CASE WHEN is_called THEN last_value ELSE 0 END FROM {sequence}"
                )
            return last


class PostgreSQLWriter(_Side):
    """A database that is to become a copy; see ``deployserver.storage.copying.sides.Writer``."""

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[None]:
        """Connect during the block, and keep other copies away."""
        async with self._connected():
            with self._translated_errors():
                if not await self._driver.fetchval("SELECT pg_try_advisory_lock($1)", _LOCK):
                    raise DatabaseError(f"Another copy to {self.place} is under way.")
                await self._driver.execute("SET synchronous_commit = off")
            yield

    async def is_marked(self, mark: str) -> bool:
        """Tell whether it is noted that it is not to be used."""
        with self._translated_errors():
            return bool(await self._driver.fetchval("SELECT 1 FROM schema_migrations WHERE name = $1", mark))

    async def mark(self, mark: str) -> None:
        """Note that it is not to be used."""
        with self._translated_errors():
            await self._driver.execute("INSERT INTO schema_migrations VALUES ($1, now())", mark)

    async def remove_mark(self, mark: str) -> None:
        """Take that note away, durably: a commit that is synced syncs those before it."""
        with self._translated_errors():
            await self._driver.execute("SET synchronous_commit = on")
            await self._driver.execute("DELETE FROM schema_migrations WHERE name = $1", mark)

    @asynccontextmanager
    async def transaction(self, mark: str) -> AsyncIterator[None]:
        """Write all or nothing of the block."""
        with self._translated_errors():
            async with self._driver.transaction():
                if not await self.is_marked(mark):
                    raise DatabaseError(f"The database {self.place} has been finished by another copy meanwhile.")
                yield

    async def last(self, table: Table) -> int:
        """Return the greatest id in a table."""
        with self._translated_errors():
            return int(await self._driver.fetchval(f"SELECT coalesce(max(id), 0) FROM {table.name}"))

    async def ids(self, table: Table) -> set[int]:
        """Return all ids in a table."""
        with self._translated_errors():
            return {id_ for (id_,) in await self._driver.fetch(f"SELECT id FROM {table.name}")}

    async def remove(self, table: Table, ids: Collection[int] | None = None) -> None:
        """Remove rows, with those that refer to them, or all there are."""
        with self._translated_errors():
            if ids is None:
                await self._driver.execute(f"DELETE FROM {table.name}")
                return
            if table.name == "installations":  # which deployments refer to without a foreign key
                await self._driver.execute("DELETE FROM deployments WHERE installation_id = ANY ($1)", list(ids))
            await self._driver.execute(f"DELETE FROM {table.name} WHERE id = ANY ($1)", list(ids))

    async def add(self, table: Table, rows: Sequence[Row]) -> None:
        """Add rows that are not there yet."""
        await self._copy(table, table.name, rows)

    async def merge(self, table: Table, rows: Sequence[Row]) -> None:
        """Add rows, or change those that are there."""
        others = [column for column in table.columns if column not in table.key]
        columns = ", ".join(table.columns)
        excluded = [f"excluded.{column}" for column in others]
        with self._translated_errors():
            await self._driver.execute(f"CREATE TEMP TABLE to_be_merged AS SELECT {columns} FROM {table.name} LIMIT 0")
            await self._copy(table, "to_be_merged", rows)
            await self._driver.execute(
                f"INSERT INTO {table.name} ({columns}) SELECT {columns} FROM to_be_merged "
                f"ON CONFLICT ({', '.join(table.key)}) DO UPDATE "
                f"SET ({', '.join(others)}) = ROW ({', '.join(excluded)}) "
                f"WHERE ({', '.join(f'{table.name}.{column}' for column in others)}) "
                f"IS DISTINCT FROM ({', '.join(excluded)})"
            )
            await self._driver.execute("DROP TABLE to_be_merged")

    async def set_last_ids(self, last: Mapping[str, int]) -> None:
        """Let the next id in each table be the one after."""
        with self._translated_errors():
            await self._driver.execute("UPDATE deployment_ids SET last = $1", last["deployments"])
            for name in _with_sequence():
                await self._driver.execute(
                    "SELECT setval(pg_get_serial_sequence($1, 'id'), $2, $3)", name, max(last[name], 1), last[name] > 0
                )

    async def settle(self) -> None:
        """Let it gather statistics, and note which pages all may see."""
        with self._translated_errors():
            tables = await self._driver.fetch("SELECT tablename FROM pg_tables WHERE schemaname = current_schema()")
            await self._driver.execute(f"VACUUM (ANALYZE) {', '.join(name for (name,) in tables)}")

    async def _copy(self, table: Table, into: str, rows: Sequence[Row]) -> None:
        places = [place for place, column in enumerate(table.columns) if column in table.booleans]
        if places:
            rows = [tuple(bool(item) if n in places else item for n, item in enumerate(row)) for row in rows]
        with self._translated_errors():
            try:
                await self._driver.copy_records_to_table(into, records=rows, columns=table.columns)
            except (asyncpg.DataError, ValueError) as error:  # a number that is too great, a character that is not had
                raise DatabaseError(
                    f"A row of {table.name} cannot be kept by {self.place}: {error}. It is one of those from "
                    f"{_name(table, rows[0])} to {_name(table, rows[-1])}."
                ) from error


def _with_sequence() -> list[str]:
    return [table.name for table in TABLES if table.is_numbered and table.name != "deployments"]


def _after(table: Table, after: int) -> tuple[str, tuple[int, ...]]:
    return ("WHERE id > $1", (after,)) if table.is_numbered else ("", ())


def _name(table: Table, row: Row) -> str:
    return ", ".join(f"{table.columns[place]} {row[place]}" for place in table.key_places)
