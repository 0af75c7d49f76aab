"""Group commit: whatever was queued while the last batch was written is the next batch."""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Awaitable, Callable, Sequence

from deployserver.errors import DeployServerError, QueueFull, StoreUnavailable
from deployserver.models import DeploymentRow
from deployserver.storage.rows import RowRejected

_log = logging.getLogger(__name__)

AddDeployments = Callable[[Sequence[DeploymentRow]], Awaitable[Sequence[int]]]


class DeploymentWriter:
    """One task that writes what all requests queue, a batch a transaction.

    ``add_deployments`` stores all rows it is given or none; ``limit`` bounds how many rows wait or are being written.
    ``patience`` is how many seconds rows wait for a batch that does not end.
    """

    def __init__(self, add_deployments: AddDeployments, limit: int, patience: float = math.inf) -> None:
        self._add_deployments = add_deployments
        self._limit = limit
        self._patience = patience
        self._stuck = False
        self._queue: list[tuple[DeploymentRow, asyncio.Future[int]]] = []
        self._writing = 0
        self._wake = asyncio.Event()
        self._closing = False
        self._loop: asyncio.AbstractEventLoop
        self._task: asyncio.Task[None] | None = None
        self.failure: StoreUnavailable | None = None
        """Why the last batch could not be stored; None while writing works."""

    async def __aenter__(self) -> DeploymentWriter:
        self._loop = asyncio.get_running_loop()
        self._task = self._loop.create_task(self._run(), name="deployment writer")
        return self

    async def __aexit__(self, *_: object) -> None:
        """Write what is queued, then stop."""
        assert self._task is not None
        self._closing = True
        self._wake.set()
        await self._task

    @property
    def busy(self) -> bool:
        """Whether deployments are being written, or wait to be."""
        return bool(self._queue or self._writing)

    def write(self, row: DeploymentRow) -> asyncio.Future[int]:
        """Queue a row; the future gives its id once the row is stored durably.

        Raises QueueFull at once, and StoreUnavailable while a batch does not end; the future raises StoreUnavailable or
        RowRejected, and then the row is not stored.
        """
        if self._closing:
            raise StoreUnavailable("The deployment was not stored: the server is stopping.")
        if self._stuck:
            raise StoreUnavailable
        if len(self._queue) + self._writing >= self._limit:
            raise QueueFull
        stored: asyncio.Future[int] = self._loop.create_future()
        self._queue.append((row, stored))
        if not self._writing:
            self._wake.set()
        return stored

    async def _run(self) -> None:
        while True:
            if not self._queue:
                if self._closing:
                    return
                self._wake.clear()
                await self._wake.wait()
                continue
            batch, self._queue = self._queue, []
            self._writing = len(batch)
            impatience = None
            if self._patience != math.inf:
                impatience = self._loop.call_later(self._patience, self._refuse_waiting)
            await self._write(batch)
            if impatience is not None:
                impatience.cancel()
            self._writing = 0
            self._stuck = False

    def _refuse_waiting(self) -> None:
        """Refuse what waits behind a batch that does not end: of that it is known that it is not stored."""
        self._stuck = True
        error = StoreUnavailable()
        error.__cause__ = TimeoutError(f"the last ones have not been stored in {self._patience:g} seconds")
        self._note_failure(error)
        waiting, self._queue = self._queue, []
        for _, stored in waiting:
            _settle(stored, error)

    async def _write(self, batch: list[tuple[DeploymentRow, asyncio.Future[int]]]) -> None:
        try:
            ids = await self._add_deployments([row for row, _ in batch])
            if len(ids) != len(batch):
                raise RuntimeError(f"{len(batch)} deployments were stored, and {len(ids)} ids returned")
        except RowRejected as error:
            if len(batch) == 1:
                _settle(batch[0][1], error)
            else:
                middle = len(batch) // 2  # one bad row must not cost its neighbours, nor each of them a sync
                await self._write(batch[:middle])
                await self._write(batch[middle:])
        except StoreUnavailable as error:
            self._note_failure(error)
            for _, stored in batch:
                _settle(stored, error)
        except Exception as error:  # noqa: BLE001 - the writer must outlive whatever one batch does to it
            _log.exception("writing %d deployments failed", len(batch))
            for _, stored in batch:
                _settle(stored, error)
        else:
            self.note_success()
            for (_, stored), id_ in zip(batch, ids, strict=True):
                if not stored.done():
                    stored.set_result(id_)

    def note_success(self) -> None:
        """Take note that the database can be written again."""
        if self.failure is not None:
            _log.warning("the database takes deployments again")
            self.failure = None

    def _note_failure(self, error: StoreUnavailable) -> None:
        if self.failure is None:
            _log.error("deployments cannot be stored: %s", error.__cause__ or error)
        self.failure = error


def _settle(stored: asyncio.Future[int], error: Exception) -> None:
    """Hand an error to whoever waits. Each gets one of their own: a traceback grows with every raise."""
    if stored.done():
        return
    if isinstance(error, DeployServerError):
        own = type(error)(*error.args)
        own.__cause__ = error.__cause__
        stored.set_exception(own)
    else:
        stored.set_exception(error)
