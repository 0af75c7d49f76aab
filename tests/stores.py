"""Databases of every kind for tests that use them without a server: with feeds, and empty each time."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import sqlite3
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import asyncpg
from postgres import Cluster

from deployserver.storage import Database, SQLiteDatabase
from deployserver.storage.postgresql.database import PostgreSQLDatabase
from deployserver.storage.sqlite.migrator import migrate

FEEDS = {1: "DefaultNuGet", 2: "npm-internal", 3: "Zürich"}


class Stores(ABC):
    """Gives databases of one kind."""

    kind: str

    @contextlib.asynccontextmanager
    async def opened(self) -> AsyncIterator[Database]:
        """Give an open database that holds nothing but the feeds."""
        database = await self.made()
        await database.open()
        try:
            yield database
        finally:
            await database.close()

    @contextlib.asynccontextmanager
    async def another(self, database: Database) -> AsyncIterator[Database]:
        """Open a database once more, as another server does."""
        other = self.again(database)
        await other.open()
        try:
            yield other
        finally:
            await other.close()

    @abstractmethod
    def again(self, database: Database) -> Database:
        """Return the same database, not yet open."""

    def run(self, ask: Callable[[Database], Awaitable[None]]) -> None:
        """Ask a database that holds nothing but the feeds, from a test that is not in an event loop."""

        async def go() -> None:
            async with self.opened() as database:
                await ask(database)

        asyncio.run(go())

    @abstractmethod
    def close(self) -> None:
        """Close what ``run`` has kept open."""

    @abstractmethod
    async def made(self) -> Database:
        """Return a database that holds nothing but the feeds, not yet open; the one before it may be gone."""

    @abstractmethod
    async def execute(self, database: Database, statement: str, *parameters: Any) -> list[tuple[Any, ...]]:
        """Execute a statement as somebody else does, and return its rows."""


class SQLiteStores(Stores):
    """Copies of a file in ``directory``."""

    kind = "sqlite"

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._numbers = itertools.count()
        self._template = directory / "template.db"
        migrate(self._template)
        with contextlib.closing(sqlite3.connect(self._template)) as connection, connection:
            connection.executemany(
                "INSERT INTO feeds (id, name, type, created_at) VALUES (?, ?, 'nuget', 0)", list(FEEDS.items())
            )

    def again(self, database: Database) -> SQLiteDatabase:
        assert isinstance(database, SQLiteDatabase)
        return SQLiteDatabase(database.path, 5)

    def close(self) -> None:
        pass

    async def made(self) -> SQLiteDatabase:
        for left in self._directory.glob("test-*"):
            left.unlink()
        path = self._directory / f"test-{next(self._numbers)}.db"
        path.write_bytes(self._template.read_bytes())
        return SQLiteDatabase(path, 0.2)

    async def execute(self, database: Database, statement: str, *parameters: Any) -> list[tuple[Any, ...]]:
        assert isinstance(database, SQLiteDatabase)
        with contextlib.closing(sqlite3.connect(database.path)) as connection, connection:
            return connection.execute(statement, parameters).fetchall()


class PostgreSQLStores(Stores):
    """One database, which is emptied each time: that takes less than to make another."""

    kind = "postgresql"

    def __init__(self, cluster: Cluster, template: str) -> None:
        self._cluster = cluster
        self._template = template
        self._url = ""
        self._runner: asyncio.Runner | None = None
        self._kept: PostgreSQLDatabase | None = None

    def run(self, ask: Callable[[Database], Awaitable[None]]) -> None:
        """Keep the connections and their plans from one time to the next: most of the time would go into them."""

        async def go() -> None:
            if self._kept is None:
                self._kept = await self.made()
                await self._kept.open()
            else:
                async with self._kept.transaction() as repository:
                    await _empty(repository.connection.driver)
                async with self._kept.reopened():
                    pass  # which forgets the names there were
            await ask(self._kept)

        if self._runner is None:
            self._runner = asyncio.Runner()
        self._runner.run(go())

    def again(self, database: Database) -> PostgreSQLDatabase:
        return PostgreSQLDatabase(self._url, 5)

    def close(self) -> None:
        if self._runner is not None:
            with self._runner as runner:
                if self._kept is not None:
                    runner.run(self._kept.close())

    async def made(self) -> PostgreSQLDatabase:
        if not self._url:
            self._url = self._cluster.url(await self._cluster.make(self._template))
        connection = await asyncpg.connect(self._url)
        try:
            await _empty(connection)
        finally:
            await connection.close()
        return PostgreSQLDatabase(self._url, 5)

    async def execute(self, database: Database, statement: str, *parameters: Any) -> list[tuple[Any, ...]]:
        numbers = itertools.count(1)
        parts = statement.split("?")
        numbered = parts[0] + "".join(f"${next(numbers)}{part}" for part in parts[1:])
        connection = await asyncpg.connect(self._url)
        try:
            return [tuple(row) for row in await connection.fetch(numbered, *parameters)]
        finally:
            await connection.close()


async def _empty(connection: asyncpg.Connection) -> None:
    await connection.execute(
        """
        DELETE FROM deployments; DELETE FROM installations; DELETE FROM feeds; DELETE FROM names;
        DELETE FROM name_uses; DELETE FROM name_counts; DELETE FROM deployment_texts;
        UPDATE indexed SET deployment_id = 0; UPDATE deployment_ids SET last = 0;
        ALTER SEQUENCE names_id_seq RESTART; ALTER SEQUENCE installations_id_seq RESTART;
        """
    )
    await connection.executemany("INSERT INTO feeds VALUES ($1, $2, 'nuget', true, true, 0)", list(FEEDS.items()))
