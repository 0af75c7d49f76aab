"""The connection that writes, and what becomes of a batch whose answer is lost.

A batch is recorded by one statement, which is a transaction by itself. When the connection breaks meanwhile, nobody
knows whether it was committed. Each process therefore has a row in ``writers``, which the same statement changes: over
a new connection its generation is raised, which waits for what is left of the old one and stops what has not begun,
and after that the row says for certain whether the batch is there.

This holds as long as the database keeps what it has committed: a standby that takes over must have been a synchronous
one (``synchronous_standby_names``).
"""

from __future__ import annotations

import asyncio
import logging
import uuid
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from deployserver.errors import DatabaseError, StoreInDoubt
from deployserver.models import DeploymentRow
from deployserver.storage.database import Also
from deployserver.storage.postgresql.connection import PostgreSQLConnection
from deployserver.storage.postgresql.connector import Connector, Limits
from deployserver.storage.postgresql.failures import FAILURES, SUPERSEDED, is_repeatable, is_undone, is_useless
from deployserver.storage.postgresql.transactions import close, commit, undo
from deployserver.storage.references import Found, References, Sought, StoredRow
from deployserver.storage.repository import Repository

_log = logging.getLogger(__name__)

ATTEMPTS = 3
"""How often a batch is written that was not stored through no fault of its own."""

CHECKED_AFTER = 15
"""Seconds after which a connection is tried before a batch is given to it: a firewall may have cut it."""

_BEGIN = "BEGIN ISOLATION LEVEL READ COMMITTED"
_RECORD = "SELECT record_batch($1, $2, $3, $4)"
_RECORD_NEW = "SELECT first, name_ids, installation_ids FROM record_batch_of_new($1, $2, $3, $4, $5, $6)"
_REGISTER = """
INSERT INTO writers AS w (id, generation, batch, first_id, seen_at) VALUES ($1, $2, 0, 0, now())
ON CONFLICT (id) DO UPDATE SET generation = greatest(w.generation + 1, excluded.generation)
RETURNING generation, batch, first_id
"""
# A row that has not been used for so long is nobody's, or of one who will make a new one.
_SWEEP = """
DELETE FROM writers
WHERE id IN (SELECT id FROM writers WHERE seen_at < now() - interval '1 day' FOR UPDATE SKIP LOCKED)
"""
_UNKNOWN = (
    "It is not known whether the deployment was stored: the connection to the database broke meanwhile, and the "
    "database has not come back in time."
)


class Writer:
    """The one connection of a process that writes, for one transaction at a time."""

    def __init__(self, connector: Connector, limits: Limits, references: References) -> None:
        self._connector = connector
        self._limits = limits
        self._references = references
        self._alone = asyncio.Lock()
        self._connection: PostgreSQLConnection | None = None
        self._id = uuid.uuid4()
        self._generation = 0
        self._registered: PostgreSQLConnection | None = None
        self._batch = 0
        self._used = 0.0
        self._closed = False

    async def open(self) -> None:
        """Connect. Raises what the driver raises."""
        self._connection = await self._connector.attempt()

    async def close(self) -> None:
        """Close the connection when nobody uses it any more."""
        async with self._alone:
            self._closed = True
            connection, self._connection = self._connection, None
            if connection is not None:
                await close(connection)

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[PostgreSQLConnection]:
        """Give the connection, within a transaction that is committed at the end of the block.

        Raises DatabaseError, what the driver raises if nothing was stored, StoreUnavailable if nobody knows.
        """
        async with self._alone:
            connection = await self._begun(_BEGIN)
            try:
                yield connection
                await commit(connection, self._limits, self._connector)
            except BaseException as error:
                if is_useless(error):
                    connection.driver.terminate()
                await undo(connection, self._limits)
                raise

    async def add(self, rows: Sequence[DeploymentRow], also: Also | None = None) -> range:
        """Record a batch and return its ids; ``also`` is done in the same transaction.

        Raises DatabaseError and what the driver raises if it was not stored, StoreInDoubt if nobody knows.
        """
        async with self._alone:
            for attempt in range(1, ATTEMPTS + 1):
                self._batch += 1
                first: int | None
                try:
                    first = await self._add(rows, also)
                except FAILURES as error:
                    if is_undone(error):
                        if not is_repeatable(error) or attempt == ATTEMPTS:
                            raise
                        continue
                    _log.warning(
                        "whether %d deployments were stored is being found out: %s", len(rows), self._why(error)
                    )
                    stored = await self._looked_up(error)
                    _log.warning("the deployments were %s", "stored" if stored else "not stored, and are written again")
                    if stored is None and attempt == ATTEMPTS:
                        raise
                    first = stored
                if first is not None:
                    return range(first, first + len(rows))
        raise AssertionError

    async def _add(self, rows: Sequence[DeploymentRow], also: Also | None) -> int:
        connection = await self._ready()
        stored = self._references.stored(rows)
        batch = self._references.sought(rows) if stored is None else stored
        try:
            async with asyncio.timeout(self._limits.answer):
                if also is None:
                    first, found = await self._record(connection, batch)
                else:
                    first, found = await self._record_also(connection, batch, also)
        except BaseException as error:
            if not is_undone(error):  # cancelled, too
                connection.driver.terminate()
            elif getattr(error, "sqlstate", None) == SUPERSEDED:
                self._registered = None
            elif is_useless(error):
                connection.driver.terminate()
            else:
                await self._rolled_back(connection)
            raise
        if found is not None:
            self._references.remember(found)
        self._used = asyncio.get_running_loop().time()
        return first

    async def _record_also(
        self, connection: PostgreSQLConnection, batch: Sequence[StoredRow] | Sought, also: Also
    ) -> tuple[int, Found | None]:
        await connection.driver.execute(_BEGIN)
        first, found = await self._record(connection, batch)
        await also(Repository(connection))
        done = await connection.driver.execute("COMMIT")
        if done != "COMMIT":
            raise DatabaseError("part of a transaction failed")
        return first, found

    async def _record(
        self, connection: PostgreSQLConnection, batch: Sequence[StoredRow] | Sought
    ) -> tuple[int, Found | None]:
        """Record a batch in one trip, whatever it refers to; return its first id, and what was sought."""
        writer = (self._id, self._generation, self._batch)
        if not isinstance(batch, Sought):
            return await connection.driver.fetchval(_RECORD, *writer, batch), None
        new: Any = await connection.driver.fetchrow(_RECORD_NEW, *writer, batch.names, batch.installations, batch.rows)
        first, name_ids, installation_ids = new
        return first, batch.found(name_ids, installation_ids)

    async def _looked_up(self, lost: BaseException) -> int | None:
        """Return the first id of the last batch if it is there, None if it is not and will not be.

        Raises StoreInDoubt if the database is away for too long.
        """
        try:
            async with asyncio.timeout(self._limits.doubt):
                while True:
                    await self._connector.back()
                    try:
                        self._connection = await self._connector.begun(self._connection, "SELECT 1")
                        batch, first = await self._register(self._connection)
                    except (*FAILURES, DatabaseError):
                        await asyncio.sleep(0.05)  # the server may still be at it, and hold the lock
                    else:
                        return first if batch == self._batch else None
        except TimeoutError:
            raise StoreInDoubt(_UNKNOWN) from self._connector.explained(lost)

    async def _ready(self) -> PostgreSQLConnection:
        """Return the connection, and be known on it."""
        idle = asyncio.get_running_loop().time() - self._used > CHECKED_AFTER
        connection = self._connection
        if connection is None or connection.driver.is_closed() or idle:
            connection = await self._begun("SELECT 1")
        if self._registered is not connection:
            await self._register(connection)
        return connection

    async def _register(self, connection: PostgreSQLConnection) -> tuple[int, int]:
        """Raise the generation, and return which batch was the last that was stored, and its first id."""
        try:
            async with asyncio.timeout(self._limits.answer):
                found: Any = await connection.driver.fetchrow(_REGISTER, self._id, self._generation + 1)
                if self._generation == 0:
                    await connection.driver.execute(_SWEEP)
        except BaseException as error:
            if is_useless(error) or not isinstance(error, Exception):
                connection.driver.terminate()
            raise
        self._generation, batch, first = found
        self._registered = connection
        return batch, first

    async def _begun(self, statement: str) -> PostgreSQLConnection:
        if self._closed:
            raise DatabaseError("The database is not open.")
        self._connection = await self._connector.begun(self._connection, statement)
        return self._connection

    async def _rolled_back(self, connection: PostgreSQLConnection) -> None:
        if connection.driver.is_in_transaction():
            await undo(connection, self._limits)

    def _why(self, error: BaseException) -> str:
        return str(self._connector.explained(error))
