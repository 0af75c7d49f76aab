"""A kind of database: how one is made ready, before it is open."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from deployserver.storage.copying.sides import Reader, Writer
from deployserver.storage.database import Database
from deployserver.storage.migrations import MigrationState


class Engine(Protocol):
    """What can be done with a database that is not open."""

    @property
    def place(self) -> str:
        """Where it is, as messages name it: without a password."""

    def exists(self) -> bool:
        """Tell whether there is a database, be it an empty one, as far as that shows without connecting to it."""

    def database(self) -> Database:
        """Return the database, not yet open."""

    def migrate(self) -> tuple[str, ...]:
        """Apply pending migrations and return their names. Raises DatabaseError."""

    def migration_state(self) -> MigrationState:
        """Tell which migrations it has and lacks, changing nothing. Raises DatabaseError."""

    def require_writable(self) -> None:
        """Raise DatabaseError if a server could not start for want of a right to write, changing nothing."""

    def backup(self, to: Path) -> None:
        """Copy it to a new file, while it is in use. Raises DatabaseError."""

    def reader(self) -> Reader:
        """Return it as what is copied from, or compared; it must have been migrated."""

    def writer(self) -> Writer:
        """Return it as what is copied to; it must have been migrated."""
