"""A SQLite file: how it is opened, migrated and copied."""

from __future__ import annotations

from pathlib import Path

from deployserver.storage.migrations import MigrationState
from deployserver.storage.sqlite import migrator
from deployserver.storage.sqlite.copying import SQLiteReader, SQLiteWriter
from deployserver.storage.sqlite.database import SQLiteDatabase


class SQLiteEngine:
    """The file at ``path``; ``busy_timeout`` is how many seconds another process may keep it locked."""

    def __init__(self, path: Path, busy_timeout: float) -> None:
        self.path = path
        self._busy_timeout = busy_timeout

    @property
    def place(self) -> str:
        """Where it is, as messages name it."""
        return str(self.path)

    def exists(self) -> bool:
        """Tell whether there is a file."""
        return self.path.exists()

    def database(self) -> SQLiteDatabase:
        """Return the database, not yet open."""
        return SQLiteDatabase(self.path, self._busy_timeout)

    def migrate(self) -> tuple[str, ...]:
        """Apply pending migrations and return their names; see ``migrator.migrate``."""
        return migrator.migrate(self.path, self._busy_timeout)

    def migration_state(self) -> MigrationState:
        """Tell which migrations it has and lacks; see ``migrator.migration_state``."""
        return migrator.migration_state(self.path)

    def require_writable(self) -> None:
        """Raise DatabaseError if this user may not write the file, or its directory."""
        migrator.require_writable(self.path)

    def backup(self, to: Path) -> None:
        """Copy it to a new file, while it is in use; see ``migrator.backup``."""
        migrator.backup(self.path, to, self._busy_timeout)

    def reader(self) -> SQLiteReader:
        """Return one side of a copy."""
        return SQLiteReader(self.path, self._busy_timeout)

    def writer(self) -> SQLiteWriter:
        """Return the other side of a copy."""
        return SQLiteWriter(self.path, self._busy_timeout)
