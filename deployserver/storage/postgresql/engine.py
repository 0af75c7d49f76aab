"""A PostgreSQL database: how it is reached, migrated and copied."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from deployserver.database_urls import hide_password, without_passwords
from deployserver.errors import ConfigurationError, DatabaseError
from deployserver.storage.migrations import MigrationState, UnfinishedCopy

try:
    import asyncpg
except ImportError as error:
    raise ConfigurationError(
        "PostgreSQL needs a driver that is not installed: pip install 'deployserver[postgresql]'"
    ) from error

from deployserver.storage.postgresql import migrator
from deployserver.storage.postgresql.connector import Limits, connect
from deployserver.storage.postgresql.copying import PostgreSQLReader, PostgreSQLWriter
from deployserver.storage.postgresql.database import PostgreSQLDatabase
from deployserver.storage.postgresql.failures import FAILURES, explain

T = TypeVar("T")


class PostgreSQLEngine:
    """The database at ``url``; ``timeout`` is how many seconds another transaction may keep it locked."""

    def __init__(self, url: str, timeout: float) -> None:
        self._url = url
        self._timeout = timeout

    @property
    def place(self) -> str:
        """Where it is, as messages name it."""
        return hide_password(self._url)

    def exists(self) -> bool:
        """Tell that there is a database: should there be none, whatever is done with it says so, and why."""
        return True

    def database(self) -> PostgreSQLDatabase:
        """Return the database, not yet open."""
        return PostgreSQLDatabase(self._url, self._timeout)

    def migrate(self) -> tuple[str, ...]:
        """Apply pending migrations, all or none, and return their names. No copy is made: nothing is half done."""
        return self._connected(migrator.migrate)

    def migration_state(self) -> MigrationState:
        """Tell which migrations it has and lacks."""
        return self._connected(migrator.migration_state)

    def require_writable(self) -> None:
        """Raise DatabaseError if this user may not write, or make tables that are missing."""
        self._connected(migrator.require_writable)

    def backup(self, to: Path) -> None:
        """Refuse: PostgreSQL brings tools for that."""
        raise DatabaseError(
            f"backup copies a SQLite database. Of PostgreSQL, make one with: pg_dump --format=custom --file={to}; or "
            "copy all to SQLite with deployserver database copy."
        )

    def reader(self) -> PostgreSQLReader:
        """Return one side of a copy."""
        return PostgreSQLReader(self._url, self._timeout)

    def writer(self) -> PostgreSQLWriter:
        """Return the other side of a copy."""
        return PostgreSQLWriter(self._url, self._timeout)

    def _connected(self, work: Callable[[asyncpg.Connection], Awaitable[T]]) -> T:
        async def run() -> T:
            connection = await connect(self._url, Limits.of(self._timeout).connect)
            try:
                return await work(connection)
            finally:
                connection.terminate()  # what was to be committed is; a server that hangs must not be waited for

        try:
            with ThreadPoolExecutor(1) as thread:  # which has no event loop, whatever the caller's has
                return thread.submit(asyncio.run, run()).result()
        except UnfinishedCopy as error:
            message = f"The database {self.place} cannot be used: {error}"
            raise UnfinishedCopy(error.original, error.state, message) from None
        except DatabaseError as error:
            raise DatabaseError(f"The database {self.place} cannot be used: {error}") from None
        except FAILURES as error:
            why = without_passwords(explain(error), self._url)
            raise DatabaseError(f"The database {self.place} cannot be used: {why}") from error
