"""The SQLite driver: one connection that writes and a few that read, each on a thread of its own.

Facts this rests on (aiosqlite 0.22, SQLite's documentation): in WAL mode readers never wait for the writer; with
``synchronous=FULL`` a commit is on the disk when it returns; one INSERT statement outside a transaction is a
transaction by itself; ``AUTOINCREMENT`` gives its rows consecutive ids.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager, contextmanager
from functools import partial
from itertools import chain
from pathlib import Path

from deployserver.errors import DatabaseError, StoreUnavailable
from deployserver.models import DeploymentRow
from deployserver.storage.database import Also, Database
from deployserver.storage.references import StoredRow
from deployserver.storage.repository import Repository
from deployserver.storage.rows import RowRejected
from deployserver.storage.sqlite.connection import ROWS_PER_STATEMENT, SQLiteConnection, connected, insert_statement
from deployserver.storage.sqlite.file import NO_FILE, DatabaseFile, Identity
from deployserver.storage.sqlite.migrator import explain, migration_state
from deployserver.storage.sqlite.turns import Turns

# Connections that read, at most: one slow question must not hold up the others. They are opened when first needed.
READERS = 4

_CLOSED = ("no active connection", "Connection closed")  # how aiosqlite says so, in a plain ValueError


class SQLiteDatabase(Database):
    """A migrated SQLite file, open for use between ``open`` and ``close``."""

    def __init__(self, path: Path, busy_timeout: float) -> None:
        super().__init__()
        self.path = path
        self._busy_timeout = busy_timeout
        self._connections = AsyncExitStack()
        self._writer: SQLiteConnection
        self._readers: asyncio.LifoQueue[SQLiteConnection | None] = asyncio.LifoQueue()
        for _ in range(READERS):
            self._readers.put_nowait(None)
        self._watcher: SQLiteConnection | None = None
        self._watching = asyncio.Lock()
        self._version = -1
        self._is_open = False
        self._writing = asyncio.Lock()
        self._turns = Turns(path)
        self._file = DatabaseFile(path)

    @property
    def place(self) -> str:
        """Where it is, as messages name it."""
        return str(self.path)

    def explain(self, error: BaseException) -> str:
        """Say what an error of it means, and what to do about it."""
        return explain(error, self.path)

    async def changed(self, seconds: float) -> bool:
        """Wait, and tell whether another connection has committed since the last call, or the file is another one."""
        await asyncio.sleep(seconds)
        if not self.is_in_place():
            return True
        async with self._watching:
            with self._translated_errors("The database is unavailable."):
                watcher = await self._open_watcher()
                before = self._version
                ((self._version,),) = await watcher.rows("PRAGMA data_version")
                return self._version != before

    async def open(self) -> None:
        """Open the file. Raises DatabaseError if it cannot be opened."""
        self._file.current = await self._open()

    async def close(self) -> None:
        """Close all connections; what was committed stays."""
        self._is_open = False
        self._watcher = None
        await self._connections.aclose()
        self._turns.close()

    @asynccontextmanager
    async def reopened(self) -> AsyncIterator[Repository]:
        """Open the file that has come in the place of the open one, and give a repository for reading it.

        Nothing is written to it before the block has ended well: what may be written must be read from it first.
        """
        async with self._writing:
            with self._translated_errors():
                async with self._nobody_reading(), self._watching:
                    self._file.current = NO_FILE
                    await self.close()
                    self._references.forget()
                    self._file.remove_old_log()
                    state = await asyncio.to_thread(migration_state, self.path)  # only reads: is it ours?
                    if state.pending:
                        raise DatabaseError(f"{self.path} lacks the migrations {', '.join(state.pending)}")
                    identity = await self._open()
                async with self.snapshot() as repository:
                    yield repository
                self._file.current = identity

    def is_in_place(self) -> bool:
        """Tell whether the open file is the one at ``path``. Raises StoreUnavailable if there is none there."""
        return self._file.is_in_place()

    @asynccontextmanager
    async def connected_transaction(self) -> AsyncIterator[SQLiteConnection]:
        """Give the connection that writes, within a transaction as ``transaction`` has it."""
        async with self._writing:
            with self._translated_errors():
                self._require_file()
                async with self._all_or_nothing():
                    yield self._writer

    def indexing_transaction(self) -> AbstractAsyncContextManager[SQLiteConnection]:
        """Give the connection that writes: SQLite has only one that writes at a time."""
        return self.connected_transaction()

    @asynccontextmanager
    async def watched(self) -> AsyncIterator[Repository]:
        """Give a repository as ``snapshot`` does, on a connection of its own, which no slow question holds up."""
        async with self._watching:
            with self._translated_errors("The database is unavailable."):
                watcher = await self._open_watcher()
                async with _rolled_back_on_error(watcher, "BEGIN"):
                    yield Repository(watcher)

    async def _open_watcher(self) -> SQLiteConnection:
        if self._watcher is None:
            self._watcher, self._version = await self._another(), -1
        return self._watcher

    async def _another(self) -> SQLiteConnection:
        """Open another connection to the open file, which is closed with it."""
        if not self._is_open:
            raise DatabaseError(f"{self.path} is not open")
        return await self._connections.enter_async_context(self._connect())

    @asynccontextmanager
    async def connected_snapshot(self) -> AsyncIterator[SQLiteConnection]:
        """Give a connection for reading, which sees one state of the database throughout."""
        reader = await self._readers.get()
        try:
            with self._translated_errors("The database is unavailable."):
                if reader is None:
                    reader = await self._another()
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

    async def add_deployments(self, rows: Sequence[DeploymentRow], also: Also | None = None) -> Sequence[int]:
        """Store all rows, durably, or none, and return their ids in the order of the rows.

        What ``also`` does with the repository that it is given is stored with them, or if it raises, nothing is.
        Raises RowRejected if the database will not have one of them, StoreUnavailable if it cannot take any.
        """
        self._require_file()  # here too: while another file is opened, rows meant for the old one must not wait for it
        async with self._writing:
            with self._translated_errors():
                self._require_file()
                stored = self._references.stored(rows)
                if stored is not None and len(rows) <= ROWS_PER_STATEMENT and also is None:
                    return await self._insert(stored, alone=True)
                ids: list[int] = []
                async with self._all_or_nothing():
                    found = None
                    if stored is None:
                        found = await self._references.add(self._writer, rows)
                        stored = found.stored(rows)
                    for start in range(0, len(stored), ROWS_PER_STATEMENT):
                        ids += await self._insert(stored[start : start + ROWS_PER_STATEMENT])
                    if also is not None:
                        await also(Repository(self._writer))
                if found is not None:
                    self._references.remember(found)
                return ids

    async def probe(self) -> None:
        """Make a small durable change that means nothing. Raises StoreUnavailable if that cannot be done."""
        async with self.transaction() as repository:
            await repository.raise_revision()  # to set what is set already would write nothing

    async def _open(self) -> Identity:
        try:
            identity = self._file.identity()
            async with AsyncExitStack() as stack:
                self._writer = await stack.enter_async_context(self._connect(identity))
                await self._writer.make_writer()
                self._file.opened(identity)
                self._turns.open()
                self._connections = stack.pop_all()
                self._is_open = True
        except (sqlite3.Error, OSError) as error:
            raise DatabaseError(f"The database {self.path} cannot be opened: {explain(error, self.path)}") from error
        return identity

    @asynccontextmanager
    async def _all_or_nothing(self) -> AsyncIterator[None]:
        """Begin what is committed when the block ends, and undone if it raises."""
        try:
            async with _rolled_back_on_error(self._writer, "BEGIN IMMEDIATE", self._turns.take):
                yield
        finally:
            self._turns.give()

    async def _insert(self, rows: Sequence[StoredRow], *, alone: bool = False) -> range:
        """Insert rows; with ``alone``, that is a transaction, which waits for its turn."""
        # The cursor is not closed: that would be another trip to the thread, and a finished INSERT holds nothing.
        work = partial(self._writer.execute, insert_statement(len(rows)), tuple(chain.from_iterable(rows)))
        cursor = await (self._writer.on_thread(self._turns.during, work) if alone else self._writer.on_thread(work))
        last = cursor.lastrowid
        assert last is not None
        return range(last - len(rows) + 1, last + 1)

    def _connect(self, identity: Identity | None = None) -> AbstractAsyncContextManager[SQLiteConnection]:
        """Connect to the file with this identity, that of the open one by default, and to no other."""
        uri = f"{self.path.absolute().as_uri()}?mode=rw"
        return connected(uri, self._busy_timeout, partial(self._file.require_opened, identity))

    def _require_file(self) -> None:
        """Refuse to write to a file that nobody will find again, and what was meant for one file to another."""
        if not self.is_in_place():
            raise StoreUnavailable from self._file.is_another()

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
async def _rolled_back_on_error(
    connection: SQLiteConnection, begin: str, before: Callable[[], None] | None = None
) -> AsyncIterator[None]:
    try:
        if before is not None:
            await connection.on_thread(before)
        await connection.driver.execute_fetchall(begin)
        yield
        await connection.driver.commit()
    except BaseException:  # cancellation too: the next user of the connection must not find a transaction open
        await connection.driver.rollback()
        raise
