"""Deployments as they are recorded, by this process or another."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import NamedTuple

from deployserver.errors import StoreUnavailable
from deployserver.models import Caller, Deployment
from deployserver.storage import Database
from deployserver.viewing import Asked, Viewing

_log = logging.getLogger(__name__)

LOOK_SECONDS = 0.25
"""How often new records are looked for, while somebody follows."""

_AT_ONCE = 500


class News(NamedTuple):
    """Records that have arrived, in that order; ``until`` is the id up to which all have been looked at."""

    deployments: list[Deployment]
    until: int


class Live:
    """Lets callers follow what is recorded; one task looks for all of them."""

    def __init__(self, viewing: Viewing, database: Database, stopping: asyncio.Event) -> None:
        self._viewing = viewing
        self._database = database
        self._stopping = stopping
        self._newest = 0
        self._changed = asyncio.Condition()
        self._followers = 0
        self._awaited = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Live:
        self._task = asyncio.create_task(self._look(), name="live deployments")
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._task is not None
        self._task.cancel()
        with suppress(asyncio.CancelledError):
            await self._task

    async def newest_id(self) -> int:
        """Return the id of the record that arrived last; 0 if there is none."""
        async with self._database.records() as records:
            return await records.newest_id()

    async def follow(self, caller: Caller, asked: Asked, after: int, patience: float) -> AsyncIterator[News]:
        """Yield what arrives after the record with the id ``after``, and nothing after every ``patience`` seconds.

        It ends when the server stops, and when the caller's key or user is no longer accepted. Raises NotPermitted.
        """
        self._followers += 1
        self._awaited.set()
        try:
            while not self._stopping.is_set() and self._viewing.may_go_on(caller):
                view = self._viewing.view(caller)
                async with view.database.records() as records:
                    newest = await records.newest_id()
                    found = await records.after(view.filter(asked), after, _AT_ONCE)
                # Further ones are left for the next time round if there may be more.
                after = max(after, found[-1].id if len(found) == _AT_ONCE else newest)
                yield News(view.deployments(found), after)
                if len(found) < _AT_ONCE:
                    await self._wait_for_more_than(after, patience)
        finally:
            self._followers -= 1

    async def _wait_for_more_than(self, after: int, patience: float) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(patience), self._changed:
                await self._changed.wait_for(lambda: self._newest > after or self._stopping.is_set())

    async def _look(self) -> None:
        while True:
            if not self._followers:
                self._awaited.clear()
                await self._awaited.wait()
            with suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), LOOK_SECONDS)
            try:
                newest = await self.newest_id()
            except StoreUnavailable:
                newest = self._newest  # whoever follows finds out by asking for the records
            except Exception:  # noqa: BLE001 - followers would wait for ever
                _log.exception("looking for new deployments failed")
                newest = self._newest
            if newest != self._newest or self._stopping.is_set():
                self._newest = newest
                async with self._changed:
                    self._changed.notify_all()
            if self._stopping.is_set():
                return
