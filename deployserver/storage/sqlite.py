"""The SQLite driver: one connection that writes and a few that read, each on a thread of its own.

Facts this rests on (aiosqlite 0.22, SQLite's documentation): in WAL mode readers never wait for the writer; with
``synchronous=FULL`` a commit is on the disk when it returns; one INSERT statement outside a transaction is a
transaction by itself; ``AUTOINCREMENT`` gives its rows consecutive ids.
"""

from __future__ import annotations

import asyncio
import os
import sqlite3
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager, contextmanager
from functools import cache
from itertools import chain
from pathlib import Path

import aiosqlite

from deployserver.errors import DatabaseError, StoreUnavailable
from deployserver.models import DeploymentRow
from deployserver.storage.migrator import explain, migration_state
from deployserver.storage.records import Records
from deployserver.storage.references import References, StoredRow
from deployserver.storage.repository import Repository
from deployserver.storage.rows import RowRejected

# A statement is compiled once for every number of rows, and SQLite keeps the compiled form: large statements are few.
ROWS_PER_STATEMENT = 128
# Pages in the write-ahead log before it is copied into the database: 16 MiB. See benchmarks/README.md.
CHECKPOINT_PAGES = 4000
# Connections that read, at most: one slow question must not hold up the others. They are opened when first needed.
READERS = 4

_CLOSED = ("no active connection", "Connection closed")  # how aiosqlite says so, in a plain ValueError


class SQLiteDatabase:
    """A migrated SQLite file, open for use between ``open`` and ``close``."""

    def __init__(self, path: Path, busy_timeout: float) -> None:
        self.path = path
        self._busy_timeout = busy_timeout
        self._connections = AsyncExitStack()
        self._writer: aiosqlite.Connection
        self._readers: asyncio.LifoQueue[aiosqlite.Connection | None] = asyncio.LifoQueue()
        for _ in range(READERS):
            self._readers.put_nowait(None)
        self._is_open = False
        self._references = References()
        self._writing = asyncio.Lock()
        self._identity = (0, 0)
        self._opened = (0, 0)
        self._log_identity = (0, 0)

    @property
    def shared(self) -> bool:
        """Whether other processes, too, may change what it holds."""
        return True

    def has_grown(self) -> bool:
        """Tell whether deployments may have been added since this was last asked."""
        return True

    async def open(self) -> None:
        """Open the file. Raises DatabaseError if it cannot be opened."""
        self._identity = await self._open()

    async def close(self) -> None:
        """Close all connections; what was committed stays."""
        self._is_open = False
        await self._connections.aclose()

    @asynccontextmanager
    async def reopened(self) -> AsyncIterator[Repository]:
        """Open the file that has come in the place of the open one, and give a repository for reading it.

        Nothing is written to it before the block has ended well: what may be written must be read from it first.
        """
        async with self._writing:
            with self._translated_errors():
                async with self._nobody_reading():
                    self._identity = (0, 0)
                    await self.close()
                    self._references.forget()
                    self._remove_old_log()
                    state = await asyncio.to_thread(migration_state, self.path)  # only reads: is it ours?
                    if state.pending:
                        raise DatabaseError(f"{self.path} lacks the migrations {', '.join(state.pending)}")
                    identity = await self._open()
                async with self.snapshot() as repository:
                    yield repository
                self._identity = identity

    def is_in_place(self) -> bool:
        """Tell whether the open file is the one at ``path``. Raises StoreUnavailable if there is none there."""
        try:
            return _identity(self.path) == self._identity
        except OSError as error:
            raise StoreUnavailable from error

    def names_reach(self, newest: int) -> None:
        """Take note of the newest name's number: a lower one than before means that an older copy has been restored."""
        self._references.names_reach(newest)

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Repository]:
        """Give a repository whose changes are all committed, durably, when the block ends, or none if it raises."""
        async with self.connected_transaction() as connection:
            yield Repository(connection)

    @asynccontextmanager
    async def connected_transaction(self) -> AsyncIterator[aiosqlite.Connection]:
        """Give the connection that writes, within a transaction as ``transaction`` has it."""
        async with self._writing:
            with self._translated_errors():
                self._require_file()
                async with self._all_or_nothing():
                    yield self._writer

    @asynccontextmanager
    async def snapshot(self) -> AsyncIterator[Repository]:
        """Give a repository for reading, which sees one state of the database throughout."""
        async with self._read() as connection:
            yield Repository(connection)

    @asynccontextmanager
    async def records(self) -> AsyncIterator[Records]:
        """Give the records for reading, at one state of the database throughout."""
        async with self._read() as connection:
            yield Records(connection)

    @asynccontextmanager
    async def _read(self) -> AsyncIterator[aiosqlite.Connection]:
        reader = await self._readers.get()
        try:
            with self._translated_errors("The database is unavailable."):
                if reader is None:
                    if not self._is_open:
                        raise DatabaseError(f"{self.path} is not open")
                    reader = await self._connections.enter_async_context(self._connect())
                async with _rolled_back_on_error(reader, "BEGIN"):
                    yield reader
        finally:
            self._readers.put_nowait(reader)

    @asynccontextmanager
    async def _nobody_reading(self) -> AsyncIterator[None]:
        """Wait until nobody reads, and keep it so; the connections are to be opened again afterwards."""
        taken = 0
        try:
            while taken < READERS:
                await self._readers.get()
                taken += 1
            yield
        finally:
            for _ in range(taken):
                self._readers.put_nowait(None)

    async def add_deployments(self, rows: Sequence[DeploymentRow]) -> Sequence[int]:
        """Store all rows, durably, or none, and return their ids in the order of the rows.

        Raises RowRejected if the database will not have one of them, StoreUnavailable if it cannot take any.
        """
        self._require_file()  # here too: while another file is opened, rows meant for the old one must not wait for it
        async with self._writing:
            with self._translated_errors():
                self._require_file()
                stored = self._references.stored(rows)
                if stored is not None and len(rows) <= ROWS_PER_STATEMENT:
                    return await self._insert(stored)
                ids: list[int] = []
                async with self._all_or_nothing():
                    found = None
                    if stored is None:
                        found = await self._references.add(self._writer, rows)
                        stored = found.stored(rows)
                    for start in range(0, len(stored), ROWS_PER_STATEMENT):
                        ids += await self._insert(stored[start : start + ROWS_PER_STATEMENT])
                if found is not None:
                    self._references.remember(found)
                return ids

    async def probe(self) -> None:
        """Make a small durable change that means nothing. Raises StoreUnavailable if that cannot be done."""
        async with self.transaction() as repository:
            await repository.raise_revision()  # to set what is set already would write nothing

    async def _open(self) -> tuple[int, int]:
        try:
            identity = _identity(self.path)
            async with AsyncExitStack() as stack:
                self._writer = await stack.enter_async_context(self._connect())
                self._log_identity = _identity(self._log_path)
                self._opened = identity
                self._connections = stack.pop_all()
                self._is_open = True
        except (sqlite3.Error, OSError) as error:
            raise DatabaseError(f"The database {self.path} cannot be opened: {explain(error, self.path)}") from error
        return identity

    def _all_or_nothing(self) -> AbstractAsyncContextManager[None]:
        """Begin what is committed when the block ends, and undone if it raises."""
        return _rolled_back_on_error(self._writer, "BEGIN IMMEDIATE")

    async def _insert(self, rows: Sequence[StoredRow]) -> range:
        # The cursor is not closed: that would be another trip to the thread, and a finished INSERT holds nothing.
        cursor = await self._writer.execute(_insert_statement(len(rows)), tuple(chain.from_iterable(rows)))
        last = cursor.lastrowid
        assert last is not None
        return range(last - len(rows) + 1, last + 1)

    @asynccontextmanager
    async def _connect(self) -> AsyncIterator[aiosqlite.Connection]:
        async with aiosqlite.connect(
            f"{self.path.absolute().as_uri()}?mode=rw",
            uri=True,
            timeout=self._busy_timeout,
            isolation_level=None,
            cached_statements=2 * ROWS_PER_STATEMENT,
        ) as connection:
            for pragma in (
                "journal_mode = WAL",
                "synchronous = FULL",
                "fullfsync = ON",  # macOS only: without it a sync there stops at the disk's own cache
                "foreign_keys = ON",
                f"wal_autocheckpoint = {CHECKPOINT_PAGES}",
            ):
                await connection.execute_fetchall(f"PRAGMA {pragma}")
            yield connection

    @property
    def _log_path(self) -> Path:
        return Path(f"{self.path}-wal")

    def _require_file(self) -> None:
        """Refuse to write to a file that nobody will find again, and what was meant for one file to another."""
        if not self.is_in_place():
            raise StoreUnavailable from DatabaseError(f"{self.path} is another file than the one that was opened")

    def _remove_old_log(self) -> None:
        """Remove the write-ahead log of a file that has been replaced: SQLite would apply it to the new one."""
        try:
            replaced = _identity(self.path) != self._opened
            if replaced and _identity(self._log_path) == self._log_identity:
                self._log_path.unlink()
            self._log_identity = (0, 0)
        except FileNotFoundError:
            pass
        except OSError as error:
            raise StoreUnavailable from error

    @contextmanager
    def _translated_errors(self, *unavailable: str) -> Iterator[None]:
        try:
            yield
        except (
            sqlite3.IntegrityError,
            sqlite3.DataError,
            sqlite3.InterfaceError,
            UnicodeError,
            OverflowError,
        ) as error:
            raise RowRejected(str(error)) from error
        except (sqlite3.Error, DatabaseError) as error:
            raise StoreUnavailable(*unavailable) from error
        except ValueError as error:
            if str(error) not in _CLOSED:
                raise
            raise StoreUnavailable(*unavailable) from error


@asynccontextmanager
async def _rolled_back_on_error(connection: aiosqlite.Connection, begin: str) -> AsyncIterator[None]:
    try:
        await connection.execute_fetchall(begin)
        yield
        await connection.commit()
    except BaseException:  # cancellation too: the next user of the connection must not find a transaction open
        await connection.rollback()
        raise


def _identity(path: Path) -> tuple[int, int]:
    status = os.stat(path)
    return status.st_dev, status.st_ino


@cache
def _insert_statement(rows: int) -> str:
    columns = StoredRow._fields
    row = f"({', '.join('?' * len(columns))})"
    return f"INSERT INTO deployments ({', '.join(columns)}) VALUES {', '.join([row] * rows)}"
