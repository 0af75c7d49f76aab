"""A database in memory, for a server that is to forget everything: the test double's."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

import aiosqlite

from deployserver.models import DeploymentRow
from deployserver.storage.database import Also
from deployserver.storage.repository import Repository
from deployserver.storage.sqlite.connection import ROWS_PER_STATEMENT, SQLiteConnection
from deployserver.storage.sqlite.database import SQLiteDatabase
from deployserver.storage.sqlite.file import NO_FILE, Identity
from deployserver.storage.sqlite.migrator import empty_database

T = TypeVar("T")


class MemoryDatabase(SQLiteDatabase):
    """A migrated SQLite database that is in memory between ``open`` and ``close``, and then gone.

    It has one connection, which reads and writes in turn: two connections to one database in memory would not see a
    state of their own each, as they do of a file.
    """

    def __init__(self) -> None:
        super().__init__(Path(":memory:"), busy_timeout=0)
        self._grown = False

    @property
    def shared(self) -> bool:
        """Whether other processes, too, may change what it holds: they cannot."""
        return False

    def has_grown(self) -> bool:
        """Tell whether deployments have been added since this was last asked."""
        grown, self._grown = self._grown, False
        return grown

    def is_in_place(self) -> bool:
        """Tell that it is where it was."""
        return True

    async def add_deployments(self, rows: Sequence[DeploymentRow], also: Also | None = None) -> Sequence[int]:
        """Store all rows, or none; see ``SQLiteDatabase.add_deployments``."""
        self._grown = True
        return await super().add_deployments(rows, also)

    @asynccontextmanager
    async def watched(self) -> AsyncIterator[Repository]:
        """Give a repository as ``snapshot`` does: there is one connection."""
        async with self.snapshot() as repository:
            yield repository

    @asynccontextmanager
    async def at_once(self) -> AsyncIterator[SQLiteDatabase]:
        """Give what takes any number of changes: all of them are made when the block ends, or none if it raises.

        Nothing else is read or written meanwhile.
        """
        async with self.connected_transaction() as connection:
            yield _Within(connection)
        self._grown = True

    async def _open(self) -> Identity:
        async with AsyncExitStack() as stack:
            self._writer = await stack.enter_async_context(self._connect())
            self._connections = stack.pop_all()
            self._is_open = True
        return NO_FILE

    @asynccontextmanager
    async def _connect(self, identity: Identity | None = None) -> AsyncIterator[SQLiteConnection]:
        async with _Connection() as connection:
            yield SQLiteConnection(connection)

    @asynccontextmanager
    async def connected_snapshot(self) -> AsyncIterator[SQLiteConnection]:
        """Give the one connection: nobody writes while it is read from."""
        async with self.connected_transaction() as connection:
            yield connection


class _Within(MemoryDatabase):
    """A database during a transaction: what is a transaction elsewhere is a part of that one here.

    What it remembers of names is its own, and gone with it: it may all be undone.
    """

    def __init__(self, connection: SQLiteConnection) -> None:
        super().__init__()
        self._writer = connection

    @asynccontextmanager
    async def _all_or_nothing(self) -> AsyncIterator[None]:
        yield


class _Connection(aiosqlite.Connection):
    """A connection to a new database in memory that has been migrated.

    It needs no thread: what is asked of it takes microseconds, of which going to a thread and back would be most. The
    methods below are all of ``aiosqlite.Connection`` that knows of the thread.
    """

    def __init__(self) -> None:
        super().__init__(_new_database, iter_chunk_size=64)

    async def __aenter__(self) -> _Connection:
        self._connection = self._connector()
        return self

    async def _execute(self, fn: Callable[..., T], *args: Any, **kwargs: Any) -> T:
        if self._connection is None:
            raise ValueError("Connection closed")
        return fn(*args, **kwargs)

    async def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def _new_database() -> sqlite3.Connection:
    connection = sqlite3.connect(":memory:", isolation_level=None, cached_statements=2 * ROWS_PER_STATEMENT)
    with contextlib.closing(sqlite3.connect(":memory:")) as source:
        source.deserialize(_empty())
        source.backup(connection)  # a database that was only deserialized cannot grow without bounds
    connection.execute("PRAGMA foreign_keys = ON")
    return connection


@cache
def _empty() -> bytes:
    return empty_database()
