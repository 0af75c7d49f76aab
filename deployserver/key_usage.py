"""When each API key was last used, written to the database now and then and not with every request."""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from itertools import islice

from deployserver.errors import StoreUnavailable
from deployserver.storage import Database

_log = logging.getLogger(__name__)

WRITE_SECONDS = 30.0
"""How far behind "last used" may be."""

_KEYS_AT_ONCE = 100
"""How many are written in one transaction, so that no deployment waits long behind them."""


class KeyUsage:
    """Remembers the last use of each key, and writes it every ``WRITE_SECONDS`` and at the end."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._last_used: dict[int, int] = {}
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> KeyUsage:
        self._task = asyncio.create_task(self._run(), name="key usage")
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._task is not None
        self._task.cancel()
        with suppress(asyncio.CancelledError):
            await self._task
        await self.write()

    def used(self, key_id: int, at: int) -> None:
        """Note that a key is being used."""
        self._last_used[key_id] = at

    async def write(self) -> None:
        """Write what has been noted; if the database is unavailable, it is tried again later."""
        while self._last_used:
            # In order: two servers that write the same rows must not wait for each other.
            part = dict(islice(sorted(self._last_used.items()), _KEYS_AT_ONCE))
            try:
                async with self._database.transaction() as repository:
                    for key_id, at in part.items():
                        await repository.api_key_used(key_id, at)
            except StoreUnavailable as error:
                _log.warning("when API keys were last used could not be written: %s", error.__cause__)
                return
            for key_id, at in part.items():
                if self._last_used[key_id] == at:
                    del self._last_used[key_id]

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(WRITE_SECONDS)
            await self.write()
