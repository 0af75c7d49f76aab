"""Keeps what only readers need up to date, a moment behind the records: uses of names, daily counts, texts.

Doing this for many records at once costs a fraction of doing it with every insert, and it waits while deployments
wait to be written. Readers look through the few records it has not come to by themselves.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress

from deployserver.errors import StoreUnavailable
from deployserver.storage.database import Database
from deployserver.storage.indexing import index_next

_log = logging.getLogger(__name__)

EVERY_SECONDS = 0.5
AT_ONCE = 1000
"""Records in one transaction, so that no deployment waits long behind it: some 5 ms."""

TURN_SECONDS = 0.5
PAUSE_SECONDS = 0.12
"""After so long a turn there is so long a pause: who waits for SQLite's lock in another process tries every 0.1 s."""

DEPUTY_SECONDS = 10.0
"""How often a deputy looks whether records are indexed."""

FAR_BEHIND = 200_000
"""How many records may be left to readers while deployments keep coming."""


class Indexer:
    """A task that indexes what has been recorded; ``busy`` tells whether deployments wait to be written.

    A ``deputy`` leaves that to another process for as long as it sees that it is done.
    """

    def __init__(self, database: Database, busy: Callable[[], bool], *, deputy: bool = False) -> None:
        self._database = database
        self._busy = busy
        self._deputy = deputy
        self._seen_behind = 0
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Indexer:
        self._task = asyncio.create_task(self._run(), name="indexer")
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._task is not None
        self._task.cancel()
        with suppress(asyncio.CancelledError):
            await self._task

    async def _run(self) -> None:
        able = True
        behind = True
        while True:
            await asyncio.sleep(DEPUTY_SECONDS if self._deputy else EVERY_SECONDS)
            behind = behind or self._database.has_grown()
            if not behind:
                continue
            try:
                if not self._deputy or await self._is_missed():
                    behind = not await self._catch_up()
            except StoreUnavailable as error:
                if able:
                    _log.warning("records cannot be indexed now: %s", error.__cause__)
                able = False
            except Exception:  # noqa: BLE001 - it must go on, or reading would slow down with every record
                _log.exception("indexing records failed")
            else:
                able = True

    async def _is_missed(self) -> bool:
        """Tell whether as many records as before, or more, wait to be indexed."""
        async with self._database.snapshot() as repository:
            behind = await repository.unindexed()
        before, self._seen_behind = self._seen_behind, behind
        return 0 < before <= behind

    async def _catch_up(self) -> bool:
        """Index what there is, and tell whether that was all."""
        loop = asyncio.get_running_loop()
        began = loop.time()
        while True:
            async with self._database.snapshot() as repository:
                behind = await repository.unindexed()
            if not behind or (self._busy() and behind < FAR_BEHIND):
                return not behind
            async with self._database.indexing_transaction() as connection:
                if not await index_next(connection, AT_ONCE):
                    return False  # another server is at it
            if loop.time() - began > TURN_SECONDS:
                await asyncio.sleep(PAUSE_SECONDS)
                began = loop.time()
