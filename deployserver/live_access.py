"""Keeps ``Access`` in memory and up to date with what other processes change in the database."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress

from deployserver.access import Access
from deployserver.errors import DatabaseError, StoreUnavailable
from deployserver.storage import Database
from deployserver.storage.repository import Repository

_log = logging.getLogger(__name__)

WATCH_SECONDS = 0.4
"""How often other processes' changes are looked for: a revoked key must stop working within a second."""


async def read_access(repository: Repository) -> Access:
    """Read all that decides who may do what."""
    return Access(
        await repository.revision(),
        await repository.feeds(),
        await repository.users(),
        await repository.api_keys(),
        await repository.privileges(),
    )


class LiveAccess:
    """``current`` is never older than ``WATCH_SECONDS``, for as long as the database can be read.

    Of a database that no other process changes, it is what the last ``refresh`` has read. Each of ``also`` is awaited
    with every reading, for what else must be known as soon.
    """

    def __init__(self, database: Database, *also: Callable[[Repository], Awaitable[None]]) -> None:
        self._database = database
        self._also = also
        self._task: asyncio.Task[None] | None = None
        self.current = Access(0, (), (), (), ())

    async def __aenter__(self) -> LiveAccess:
        """Raises DatabaseError if the database cannot be read."""
        try:
            await self.refresh()
        except StoreUnavailable as error:
            why = self._database.explain(error.__cause__ or error)
            raise DatabaseError(f"The database {self._database.place} cannot be read: {why}") from error
        if self._database.shared:
            self._task = asyncio.create_task(self._watch(), name="access watch")
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task

    async def refresh(self) -> None:
        """Read the database again if it, or the file it is in, has changed.

        Raises StoreUnavailable if it cannot be read.
        """
        if not self._database.is_in_place():
            async with self._database.reopened() as repository:
                self.current = await read_access(repository)
                await self._read_more(repository)
            return
        async with self._database.watched() as repository:
            self._database.names_reach(await repository.newest_name())
            if await repository.revision() != self.current.revision:
                self.current = await read_access(repository)
            await self._read_more(repository)

    async def _read_more(self, repository: Repository) -> None:
        for read in self._also:
            await read(repository)

    async def _watch(self) -> None:
        readable, missed = True, False
        while True:
            try:
                if await self._database.changed(WATCH_SECONDS) or missed:
                    missed = True
                    await self.refresh()
                    missed = False
            except StoreUnavailable as error:
                missed = True
                if readable:
                    _log.error(
                        "keys and privileges cannot be read, the last known stay in force: %s",
                        error.__cause__,
                    )
                readable = False
            except Exception:  # noqa: BLE001 - the watch must go on, or revoked keys would work for ever
                _log.exception("reading keys and privileges failed")
            else:
                if not readable:
                    _log.warning("keys and privileges can be read again")
                readable = True
