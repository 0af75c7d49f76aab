"""What the services ask of a database, whichever it is."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Self

from deployserver.models import DeploymentRow
from deployserver.storage.connection import Connection
from deployserver.storage.records import Records
from deployserver.storage.references import References
from deployserver.storage.repository import Repository

Also = Callable[[Repository], Awaitable[None]]
"""What is to be stored together with deployments."""


class Database(ABC):
    """A migrated database, open for use between ``open`` and ``close``."""

    def __init__(self) -> None:
        self._references = References()

    @property
    @abstractmethod
    def place(self) -> str:
        """Where it is, as messages name it: without a password."""

    @property
    def shared(self) -> bool:
        """Whether other processes, too, may change what it holds."""
        return True

    @abstractmethod
    def explain(self, error: BaseException) -> str:
        """Say what an error of it means, and what to do about it."""

    @abstractmethod
    async def open(self) -> None:
        """Open it. Raises DatabaseError if it cannot be opened."""

    @abstractmethod
    async def close(self) -> None:
        """Close all connections; what was committed stays."""

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[Self]:
        """Open it, and close it when the block ends. Raises DatabaseError if it cannot be opened."""
        await self.open()
        try:
            yield self
        finally:
            await self.close()

    @abstractmethod
    def is_in_place(self) -> bool:
        """Tell whether what is open is what new servers would open. Raises StoreUnavailable if there is none."""

    @abstractmethod
    def reopened(self) -> AbstractAsyncContextManager[Repository]:
        """Open what has come in the place of the open one, and give a repository for reading it.

        Nothing is written to it before the block has ended well: what may be written must be read from it first.
        """

    def names_reach(self, newest: int) -> None:
        """Take note of the newest name's number: a lower one than before means that an older copy has been restored."""
        self._references.names_reach(newest)

    def has_grown(self) -> bool:
        """Tell whether deployments may have been added since this was last asked."""
        return True

    @abstractmethod
    async def changed(self, seconds: float) -> bool:
        """Wait until another may have changed it, ``seconds`` at most, and tell whether it may have been changed.

        What was changed since the last call counts, and of the first call everything. Raises StoreUnavailable.
        """

    @abstractmethod
    def watched(self) -> AbstractAsyncContextManager[Repository]:
        """Give a repository as ``snapshot`` does, on a connection of its own, which no slow question holds up."""

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Repository]:
        """Give a repository whose changes are all committed, durably, when the block ends, or none if it raises.

        Raises StoreUnavailable, whose text says so where the connection breaks so that nobody knows which.
        """
        async with self.connected_transaction() as connection:
            yield Repository(connection)

    @abstractmethod
    def connected_transaction(self) -> AbstractAsyncContextManager[Connection]:
        """Give the connection that writes, within a transaction as ``transaction`` has it."""

    @abstractmethod
    def indexing_transaction(self) -> AbstractAsyncContextManager[Connection]:
        """Give a connection that writes what is derived from the records, within a transaction.

        It keeps nobody from recording where the database allows that, and what it commits may be lost with a crash,
        as long as all of it is.
        """

    @asynccontextmanager
    async def snapshot(self) -> AsyncIterator[Repository]:
        """Give a repository for reading, which sees one state of the database throughout."""
        async with self.connected_snapshot() as connection:
            yield Repository(connection)

    @asynccontextmanager
    async def records(self) -> AsyncIterator[Records]:
        """Give the records for reading, at one state of the database throughout."""
        async with self.connected_snapshot() as connection:
            yield Records(connection)

    @abstractmethod
    def connected_snapshot(self) -> AbstractAsyncContextManager[Connection]:
        """Give a connection for reading, as ``snapshot`` has it."""

    @abstractmethod
    async def add_deployments(self, rows: Sequence[DeploymentRow], also: Also | None = None) -> Sequence[int]:
        """Store all rows, durably, or none, and return their ids in the order of the rows.

        What ``also`` does with the repository that it is given is stored with them, or if it raises, nothing is.
        Raises RowRejected if the database will not have one of them, StoreUnavailable if it cannot take any.
        """

    @abstractmethod
    async def probe(self) -> None:
        """Make a small durable change that means nothing. Raises StoreUnavailable if that cannot be done."""
