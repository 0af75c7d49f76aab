"""Which file a SQLite database is: another may come in the place of the open one, with a log that is not its own."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from deployserver.errors import DatabaseError, StoreUnavailable

Identity = tuple[int, int]
"""Device and number of a file."""

NO_FILE: Identity = (0, 0)


class DatabaseFile:
    """The file at ``path``; ``current`` is the one that may be written to, ``NO_FILE`` for none."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.current = NO_FILE
        self._opened = NO_FILE
        self._log_opened = NO_FILE

    def identity(self) -> Identity:
        """Return which file is there. Raises OSError if there is none."""
        return _identity(self.path)

    def opened(self, identity: Identity) -> None:
        """Take note of the file that has been opened, and of its log. Raises OSError."""
        self._log_opened = _identity(self._log)
        self._opened = identity

    def is_in_place(self) -> bool:
        """Tell whether the current file is the one at ``path``. Raises StoreUnavailable if there is none there."""
        try:
            return self.identity() == self.current
        except OSError as error:
            raise StoreUnavailable from error

    def require_opened(self, identity: Identity | None = None) -> None:
        """Raise DatabaseError if a connection that has just been made is to another file than the one that was opened.

        SQLite would apply the log of the one to the other.
        """
        with suppress(FileNotFoundError):
            if self.identity() == (identity or self._opened):
                return
        raise self.is_another()

    def remove_old_log(self) -> None:
        """Remove the write-ahead log of a file that has been replaced: SQLite would apply it to the new one."""
        try:
            if self.identity() != self._opened and _identity(self._log) == self._log_opened:
                self._log.unlink()
            self._log_opened = NO_FILE
        except FileNotFoundError:
            pass
        except OSError as error:
            raise StoreUnavailable from error

    def is_another(self) -> DatabaseError:
        """Return the error that says that the file at ``path`` is another one."""
        return DatabaseError(f"{self.path} is another file than the one that was opened")

    @property
    def _log(self) -> Path:
        return Path(f"{self.path}-wal")


def _identity(path: Path) -> Identity:
    status = os.stat(path)
    return status.st_dev, status.st_ino
