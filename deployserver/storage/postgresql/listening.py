"""Hears at once of changes that others make: PostgreSQL tells whoever listens (see tell_of_access in the schema)."""

from __future__ import annotations

import asyncio
from typing import Any

from deployserver.errors import DatabaseError
from deployserver.storage.postgresql.connection import PostgreSQLConnection
from deployserver.storage.postgresql.connector import Connector
from deployserver.storage.postgresql.failures import FAILURES

CHANNEL = "deployserver_access"

LOOK_SECONDS = 0.8
"""How often to look all the same: a copy that was restored tells nobody, nor does a connection that is silently cut."""


class Listening:
    """A connection that only listens. Without one, whoever waits is told to look for themselves."""

    def __init__(self, connector: Connector) -> None:
        self._connector = connector
        self._connection: PostgreSQLConnection | None = None
        self._beginning: asyncio.Task[None] | None = None
        self._changed = asyncio.Event()
        self._hears = False
        self._looked = 0.0

    async def changed(self, seconds: float) -> bool:
        """Wait until there is a change, ``seconds`` at most, and tell whether there may have been one."""
        if self._connection is None and (self._beginning is None or self._beginning.done()):
            self._beginning = asyncio.create_task(self._begin(), name="database listener")
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(seconds):
                await self._changed.wait()
        except TimeoutError:
            if self._hears and loop.time() - self._looked < LOOK_SECONDS:
                return False
        self._changed.clear()
        self._looked = loop.time()
        return True

    async def close(self) -> None:
        """Stop listening."""
        if self._beginning is not None:
            self._beginning.cancel()
            await asyncio.wait([self._beginning])
        if self._connection is not None:
            self._connection.driver.terminate()

    async def _begin(self) -> None:
        """Listen, and speak, to know that what is said is heard: a pooler in between may see to it that it is not."""
        try:
            connection = await self._connector.connection()
        except (*FAILURES, DatabaseError):
            return
        try:
            connection.driver.add_termination_listener(self._ended)
            await connection.driver.add_listener(CHANNEL, self._heard)
            await connection.driver.execute(f"NOTIFY {CHANNEL}")
        except FAILURES:
            connection.driver.terminate()
        except BaseException:
            connection.driver.terminate()
            raise
        else:
            if not connection.driver.is_closed():
                self._connection = connection

    def _heard(self, *_: Any) -> None:
        self._hears = True
        self._changed.set()

    def _ended(self, *_: Any) -> None:
        self._connection = None
        self._hears = False
        self._changed.set()
