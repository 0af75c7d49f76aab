"""Connections that are opened when they are needed, a few at most, each for one user at a time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from deployserver.errors import DatabaseError
from deployserver.storage.postgresql.connection import PostgreSQLConnection
from deployserver.storage.postgresql.connector import Connector, Limits
from deployserver.storage.postgresql.failures import is_useless
from deployserver.storage.postgresql.transactions import close, undo

READERS = 4
"""Connections that read, at most, in each process."""

TURN_SECONDS = 30
"""How long one waits for the others."""

READING = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"
INDEXING = "BEGIN ISOLATION LEVEL READ COMMITTED; SET LOCAL synchronous_commit = off"
"""How transactions begin; what is derived from the records need not wait for the disk: all of it can be made again."""


class Pool:
    """At most ``size`` connections, whose transactions all begin alike."""

    def __init__(self, connector: Connector, limits: Limits, size: int, begin: str) -> None:
        self._connector = connector
        self._limits = limits
        self._begin = begin
        self._turns = asyncio.Semaphore(size)
        self._idle: list[PostgreSQLConnection] = []
        self._closed = False

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[PostgreSQLConnection]:
        """Give a connection in a transaction of its own.

        Raises DatabaseError, and what the driver raises.
        """
        if not self._idle:
            self._connector.require()
        async with asyncio.timeout(TURN_SECONDS) if self._turns.locked() else _no_limit():
            await self._turns.acquire()
        try:
            connection = await self._begun()
            try:
                yield connection
                async with asyncio.timeout(self._limits.answer):
                    await connection.driver.execute("COMMIT")
            except BaseException as error:
                if is_useless(error):
                    connection.driver.terminate()
                await undo(connection, self._limits)
                raise
            finally:
                self._give_back(connection)
        finally:
            self._turns.release()

    async def close(self) -> None:
        """Close the connections; one in use is closed when its user is done."""
        self._closed = True
        idle, self._idle = self._idle, []
        await asyncio.gather(*map(close, idle))

    async def _begun(self) -> PostgreSQLConnection:
        if self._closed:
            raise DatabaseError("The database is not open.")
        found = self._idle.pop() if self._idle else None
        connection = await self._connector.begun(found, self._begin)
        if found is not None and connection is not found:
            self._forget()
        return connection

    def _forget(self) -> None:
        """Close what is idle: what cut one connection has most likely cut all."""
        while self._idle:
            self._idle.pop().driver.terminate()

    def _give_back(self, connection: PostgreSQLConnection) -> None:
        if connection.driver.is_closed():
            self._forget()
        elif self._closed:
            connection.driver.terminate()
        else:
            self._idle.append(connection)


@asynccontextmanager
async def _no_limit() -> AsyncIterator[None]:
    yield
