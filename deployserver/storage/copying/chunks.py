"""Rows that come some at a time, read while those before them are made use of."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from types import TracebackType

from deployserver.storage.copying.sides import Row


class Chunks:
    """The rows of an iterator within a block; the next of them are being read while some are made use of."""

    def __init__(self, rows: AsyncIterator[Sequence[Row]]) -> None:
        self._rows = rows
        self._coming: asyncio.Task[Sequence[Row]]

    async def __aenter__(self) -> Chunks:
        self._coming = asyncio.create_task(self._read())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if error is not None:
            self._coming.cancel()  # else it ends by itself: what is cancelled costs PostgreSQL the whole transaction
        with suppress(asyncio.CancelledError, Exception):  # nobody waits for it any more
            await self._coming

    async def next(self) -> Sequence[Row]:
        """Return the next rows, none if that was all. Raises DatabaseError if they cannot be read."""
        rows = await self._coming
        if rows:
            self._coming = asyncio.create_task(self._read())
        return rows

    async def _read(self) -> Sequence[Row]:
        async for rows in self._rows:
            return rows
        return ()
