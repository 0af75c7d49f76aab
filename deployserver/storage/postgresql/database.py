"""The PostgreSQL driver: one connection that writes, a few that read, and one that listens.

While the database is away, all that is asked of it fails at once with StoreUnavailable, and one task tries to reach it
again. A pooler in between (PgBouncer) must pool sessions: prepared statements, settings and listening are a session's.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager

from deployserver.database_urls import hide_password
from deployserver.errors import DatabaseError, StoreUnavailable
from deployserver.models import DeploymentRow
from deployserver.storage.database import Also, Database
from deployserver.storage.postgresql.connection import PostgreSQLConnection
from deployserver.storage.postgresql.connector import Connector, Limits
from deployserver.storage.postgresql.failures import FAILURES, is_rejected
from deployserver.storage.postgresql.listening import Listening
from deployserver.storage.postgresql.pool import INDEXING, READERS, READING, Pool
from deployserver.storage.postgresql.writer import Writer
from deployserver.storage.repository import Repository
from deployserver.storage.rows import RowRejected


class PostgreSQLDatabase(Database):
    """A migrated PostgreSQL database, open for use between ``open`` and ``close``."""

    def __init__(self, url: str, timeout: float) -> None:
        super().__init__()
        limits = Limits.of(timeout)
        self._url = url
        self._connector = Connector(url, limits)
        self._writer = Writer(self._connector, limits, self._references)
        self._readers = Pool(self._connector, limits, READERS, READING)
        self._watcher = Pool(self._connector, limits, 1, READING)
        self._indexer = Pool(self._connector, limits, 1, INDEXING)
        self._listening = Listening(self._connector)

    @property
    def place(self) -> str:
        """Where it is, as messages name it."""
        return hide_password(self._url)

    def explain(self, error: BaseException) -> str:
        """Say what an error of it means, and what to do about it."""
        return str(self._connector.explained(error))

    async def open(self) -> None:
        """Connect. Raises DatabaseError if that cannot be done."""
        try:
            await self._writer.open()
        except FAILURES as error:
            raise DatabaseError(f"The database {self.place} cannot be opened: {self.explain(error)}") from error

    async def close(self) -> None:
        """Close all connections; what was committed stays."""
        await self._listening.close()
        await self._connector.close()
        for pool in (self._readers, self._watcher, self._indexer):
            await pool.close()
        await self._writer.close()

    def is_in_place(self) -> bool:
        """Tell that it is where it was."""
        return True

    @asynccontextmanager
    async def reopened(self) -> AsyncIterator[Repository]:
        """Forget what was known of it."""
        self._references.forget()
        async with self.snapshot() as repository:
            yield repository

    async def changed(self, seconds: float) -> bool:
        """Wait until another may have changed it, ``seconds`` at most, and tell whether it may have been changed."""
        return await self._listening.changed(seconds)

    @asynccontextmanager
    async def connected_transaction(self) -> AsyncIterator[PostgreSQLConnection]:
        """Give the connection that writes, within a transaction as ``transaction`` has it."""
        with self._translated_errors():
            async with self._writer.transaction() as connection:
                yield connection

    @asynccontextmanager
    async def indexing_transaction(self) -> AsyncIterator[PostgreSQLConnection]:
        """Give a connection of its own, which waits for nobody and for no disk."""
        with self._translated_errors():
            async with self._indexer.transaction() as connection:
                yield connection

    @asynccontextmanager
    async def watched(self) -> AsyncIterator[Repository]:
        """Give a repository as ``snapshot`` does, on a connection of its own, which no slow question holds up."""
        async with self._read(self._watcher) as connection:
            yield Repository(connection)

    def connected_snapshot(self) -> AbstractAsyncContextManager[PostgreSQLConnection]:
        """Give a connection for reading, which sees one state of the database throughout."""
        return self._read(self._readers)

    @asynccontextmanager
    async def _read(self, pool: Pool) -> AsyncIterator[PostgreSQLConnection]:
        foreign: OSError | None = None
        with self._translated_errors("The database is unavailable."):
            async with pool.transaction() as connection:
                try:
                    yield connection
                except OSError as error:  # of the network, or of whatever else the reader does
                    if isinstance(error, TimeoutError) or connection.driver.is_closed():
                        raise
                    foreign = error
        if foreign is not None:
            raise foreign

    async def add_deployments(self, rows: Sequence[DeploymentRow], also: Also | None = None) -> Sequence[int]:
        """Store all rows, durably, or none, and return their ids in the order of the rows.

        What ``also`` does with the repository that it is given is stored with them, or if it raises, nothing is.
        Raises RowRejected if the database will not have one of them, StoreUnavailable if it cannot take any,
        StoreInDoubt should it stay away so long that nobody knows.
        """
        with self._translated_errors():
            return await self._writer.add(rows, also)

    async def probe(self) -> None:
        """Make a small durable change that means nothing. Raises StoreUnavailable if that cannot be done."""
        async with self.connected_transaction() as connection:
            await connection.rows("UPDATE deployment_ids SET last = last")

    @contextmanager
    def _translated_errors(self, *unavailable: str) -> Iterator[None]:
        try:
            yield
        except DatabaseError as error:
            raise StoreUnavailable(*unavailable) from error
        except (*FAILURES, UnicodeError) as error:
            if is_rejected(error):
                raise RowRejected(str(error)) from error
            raise StoreUnavailable(*unavailable) from self._connector.explained(error)
