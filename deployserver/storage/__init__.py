"""Where records, keys and privileges are kept. Only this package knows a database driver."""

from __future__ import annotations

from pathlib import Path

from deployserver.settings import Settings
from deployserver.storage import migrator
from deployserver.storage.indexer import Indexer
from deployserver.storage.memory import MemoryDatabase
from deployserver.storage.migrator import MigrationState, explain
from deployserver.storage.rows import RowRejected
from deployserver.storage.sqlite import SQLiteDatabase
from deployserver.storage.writer import DeploymentWriter

__all__ = [
    "DeploymentWriter",
    "Indexer",
    "MemoryDatabase",
    "MigrationState",
    "RowRejected",
    "SQLiteDatabase",
    "backup",
    "database",
    "database_path",
    "explain",
    "migrate",
    "migration_state",
]


def database_path(settings: Settings) -> Path:
    """Return the SQLite file that ``[database] url`` names."""
    return settings.path(Path(settings.database.url.removeprefix("sqlite:///")))


def database(settings: Settings) -> SQLiteDatabase:
    """Return the database of the settings, not yet open."""
    return SQLiteDatabase(database_path(settings), settings.database.busy_timeout)


def migrate(settings: Settings) -> tuple[str, ...]:
    """Apply pending migrations to the database of the settings and return their names; see ``migrator.migrate``."""
    return migrator.migrate(database_path(settings), settings.database.busy_timeout)


def backup(settings: Settings, to: Path) -> None:
    """Copy the database of the settings to a new file, while it is in use; see ``migrator.backup``."""
    migrator.backup(database_path(settings), to, settings.database.busy_timeout)


def migration_state(settings: Settings) -> MigrationState:
    """Tell which migrations the database of the settings has and lacks; see ``migrator.migration_state``."""
    return migrator.migration_state(database_path(settings))
