"""Where records, keys and privileges are kept. Only this package knows a database driver."""

from __future__ import annotations

from pathlib import Path

from deployserver.settings import Settings
from deployserver.storage.database import Database
from deployserver.storage.engine import Engine
from deployserver.storage.indexer import Indexer
from deployserver.storage.migrations import MigrationState
from deployserver.storage.rows import RowRejected
from deployserver.storage.sqlite.database import SQLiteDatabase
from deployserver.storage.sqlite.engine import SQLiteEngine
from deployserver.storage.sqlite.memory import MemoryDatabase
from deployserver.storage.writer import DeploymentWriter

__all__ = [
    "Database",
    "DeploymentWriter",
    "Engine",
    "Indexer",
    "MemoryDatabase",
    "MigrationState",
    "RowRejected",
    "SQLiteDatabase",
    "database",
    "engine",
    "engine_at",
    "migrate",
]

_SQLITE = "sqlite:///"


def engine_at(url: str, settings: Settings) -> Engine:
    """Return what makes the database at ``url`` ready, with all else as the settings have it.

    Raises ConfigurationError if what it needs is not installed.
    """
    if url.startswith(_SQLITE):
        return SQLiteEngine(settings.path(Path(url.removeprefix(_SQLITE))), settings.database.busy_timeout)
    from deployserver.storage.postgresql.engine import PostgreSQLEngine

    return PostgreSQLEngine(url, settings.database.busy_timeout)


def engine(settings: Settings) -> Engine:
    """Return what makes the database of the settings ready."""
    return engine_at(settings.database.url, settings)


def database(settings: Settings) -> Database:
    """Return the database of the settings, not yet open."""
    return engine(settings).database()


def migrate(settings: Settings) -> tuple[str, ...]:
    """Apply pending migrations to the database of the settings and return their names. Raises DatabaseError."""
    return engine(settings).migrate()
