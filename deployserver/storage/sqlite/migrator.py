"""Brings a SQLite file to the schema this version needs: numbered SQL files, applied in order, forward only.

All that is pending is applied and noted in one transaction under the database's own write lock. A process that is
killed in the middle leaves the old schema and no lock behind, and of several that start together one migrates while
the others wait. (yoyo-migrations keeps its lock and its notes in transactions of their own: killed in the middle it
leaves a lock that somebody has to break by hand, or a schema that it does not know it has made.)
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import time
from collections.abc import Iterable, Iterator
from importlib.resources.abc import Traversable
from pathlib import Path

from deployserver.errors import DatabaseError
from deployserver.storage.migrations import MigrationState, UnfinishedCopy, compare, folder_of, migration_names

OLDEST_SQLITE = (3, 35, 0)  # the first with RETURNING

_LEDGER = "CREATE TABLE IF NOT EXISTS schema_migrations (name TEXT PRIMARY KEY, applied_at TEXT NOT NULL)"
# Of a new file; an older one keeps its own. A record touches many pages of a large database, each is written whole, and
# this is half of SQLite's usual size. See benchmarks/README.md.
_PAGE_BYTES = 2048
_LOCKED = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)


def migrations_folder() -> Traversable:
    """Return the folder of SQLite migrations."""
    return folder_of("sqlite")


def migration_state(path: Path, folder: Traversable | None = None) -> MigrationState:
    """Tell what ``migrate`` would do, changing nothing; a file that does not exist lacks everything.

    Raises DatabaseError if the file cannot be read or is newer than this version.
    """
    with _explained(path):
        if not path.exists():
            return compare((), folder or migrations_folder())
        with contextlib.closing(_connect(path, "ro", 5)) as connection:
            return compare(_applied(connection), folder or migrations_folder())


def migrate(path: Path, busy_timeout: float = 5, folder: Traversable | None = None) -> tuple[str, ...]:
    """Apply what is pending and return its names; the file is made if it does not exist.

    A file that holds data is copied first, to ``FILE.before-MIGRATION``, beside it. Raises DatabaseError if the file
    cannot be opened, read or written, or has migrations that this version does not know.
    """
    if sqlite3.sqlite_version_info < OLDEST_SQLITE:
        needed = ".".join(map(str, OLDEST_SQLITE))
        raise DatabaseError(f"SQLite {needed} or later is needed; this Python has {sqlite3.sqlite_version}.")
    folder = folder or migrations_folder()
    with _explained(path), contextlib.suppress(FileExistsError):
        _make(path, 0o600)  # it holds hashes of passwords and of keys, short ones perhaps
    with _explained(path), contextlib.closing(_connect(path, "rwc", busy_timeout)) as connection:
        compare(_applied(connection), folder or migrations_folder())  # what is not ours stays as it is
        connection.execute(f"PRAGMA page_size = {_PAGE_BYTES}")
        _use_wal(connection, busy_timeout)
        connection.execute("BEGIN IMMEDIATE")  # from here to COMMIT nobody else migrates or writes
        state = compare(_applied(connection), folder or migrations_folder())
        if state.pending:
            if state.applied:
                _copy(path, Path(f"{path}.before-{state.pending[0]}"), busy_timeout)
            _apply(connection, state.pending, folder)
        else:
            connection.execute("DELETE FROM schema_migrations WHERE 0")  # fails here if the file is read-only
        connection.execute("COMMIT")
        return state.pending


def empty_database() -> bytes:
    """Return a database that has all migrations and holds nothing, as the bytes of its file."""
    folder = migrations_folder()
    with contextlib.closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
        _teach(connection)
        _apply(connection, migration_names(folder), folder)
        return connection.serialize()


def _apply(connection: sqlite3.Connection, names: Iterable[str], folder: Traversable) -> None:
    """Run migrations and note them, within the transaction of the connection."""
    connection.execute(_LEDGER)
    for name in names:
        for statement in _statements((folder / f"{name}.sql").read_text("utf-8")):
            connection.execute(statement)
        connection.execute("INSERT INTO schema_migrations VALUES (?, strftime('%Y-%m-%dT%H:%M:%SZ', 'now'))", (name,))


def _connect(path: Path, mode: str, busy_timeout: float) -> sqlite3.Connection:
    uri = f"{path.absolute().as_uri()}?mode={mode}"
    connection = sqlite3.connect(uri, timeout=busy_timeout, isolation_level=None, uri=True)
    _teach(connection)
    connection.execute("PRAGMA synchronous = FULL")
    return connection


def _teach(connection: sqlite3.Connection) -> None:
    """Define the functions that migrations use and SQLite does not have."""
    connection.create_function("casefold", 1, str.casefold, deterministic=True)


def _make(path: Path, mode: int) -> None:
    """Make an empty file, which is an empty database. Raises FileExistsError."""
    os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, mode))


def _use_wal(connection: sqlite3.Connection, busy_timeout: float) -> None:
    """Switch to write-ahead logging; SQLite does not wait for a lock here by itself, so this does."""
    deadline = time.monotonic() + busy_timeout
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode not in _LOCKED or time.monotonic() > deadline:
                raise
        time.sleep(0.02)


def _applied(connection: sqlite3.Connection) -> set[str]:
    known = connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'schema_migrations'").fetchone()
    if known:
        return {name for (name,) in connection.execute("SELECT name FROM schema_migrations")}
    if connection.execute("SELECT 1 FROM sqlite_master").fetchone():
        raise DatabaseError("it is the database of another program (it has tables, but none of deployserver's).")
    return set()


def require_writable(path: Path) -> None:
    """Raise DatabaseError if this user may not write the database, or make it, and the files beside it."""
    with _explained(path):
        for needed in (path, path.parent):
            if needed.exists() and not os.access(needed, os.W_OK):
                raise PermissionError(needed)


def backup(path: Path, to: Path, busy_timeout: float = 5) -> None:
    """Copy a database as it is now to a file that does not exist yet, while others write to it.

    Raises DatabaseError if the database cannot be read, or the copy cannot be written or exists.
    """
    if to.exists():
        raise DatabaseError(f"The copy {to} exists already; choose another name.")
    if not to.absolute().parent.is_dir():
        raise DatabaseError(f"There is no directory {to.absolute().parent} to copy to.")
    with _explained(path):
        if not path.exists():
            raise DatabaseError("the file does not exist.")
        _copy(path, to, busy_timeout)


def _copy(path: Path, to: Path, busy_timeout: float) -> None:
    """Copy the database as it is now, under a temporary name until the copy is whole."""
    unfinished = Path(f"{to}.tmp")
    unfinished.unlink(missing_ok=True)
    _make(unfinished, path.stat().st_mode & 0o777)
    with (
        contextlib.closing(_connect(path, "ro", busy_timeout)) as source,
        contextlib.closing(sqlite3.connect(unfinished)) as target,
    ):
        source.backup(target)
    unfinished.replace(to)


def _statements(script: str) -> Iterator[str]:
    """Split a script into statements; a trigger's body stays whole."""
    pending = ""
    for line in script.splitlines(keepends=True):
        pending += line
        if sqlite3.complete_statement(pending):
            yield pending
            pending = ""
    if pending.strip():
        yield pending


@contextlib.contextmanager
def _explained(path: Path) -> Iterator[None]:
    try:
        yield
    except UnfinishedCopy as error:
        raise UnfinishedCopy(error.original, error.state, f"The database {path} cannot be used: {error}") from None
    except DatabaseError as error:
        raise DatabaseError(f"The database {path} cannot be used: {error}") from None
    except (sqlite3.Error, OSError) as error:
        raise DatabaseError(f"The database {path} cannot be used: {explain(error, path)}") from error


def explain(error: BaseException, path: Path) -> str:
    """Say what a driver's or the system's error about the database file means, and what to do about it."""
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if not path.parent.is_dir():
        return f"the directory {path.parent} does not exist; make it, or change [database] url."
    if code == sqlite3.SQLITE_CANTOPEN or isinstance(error, PermissionError):
        return "the file cannot be opened; check that this user may read and write it and its directory."
    if code == sqlite3.SQLITE_READONLY:
        return "it is read-only; check that this user may write the file and its directory."
    if code in _LOCKED:
        return "another process has kept it locked for too long; stop that process, or raise [database] busy_timeout."
    if code in (sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT):
        return f"it is damaged or no SQLite database ({error}); go back to a copy of it."
    if code == sqlite3.SQLITE_FULL:
        return "the disk is full; make room."
    return f"{error}."
