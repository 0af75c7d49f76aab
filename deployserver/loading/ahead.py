"""Reading ahead: the next items are made by a thread while what came before is dealt with."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Generic, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")

ITEMS = 2
"""How many may wait."""


async def in_thread(work: Callable[[], Result]) -> Result:
    """Return what ``work`` does, which may wait for a pipe: the program can end meanwhile, as with ``Ahead``."""
    async with Ahead(work() for _ in range(1)) as results:
        return await anext(results)


class Ahead(Generic[Item]):
    """The items of an iterator, which a thread runs, and what it raises.

    The program can end while the thread waits for a pipe.
    """

    def __init__(self, items: Iterator[Item]) -> None:
        self._items = items
        self._loop = asyncio.get_running_loop()
        self._queue: asyncio.Queue[tuple[bool, Item | BaseException | None]] = asyncio.Queue()
        self._room = threading.Semaphore(ITEMS)
        self._closed = False
        self._thread = threading.Thread(target=self._run, name="reading ahead", daemon=True)

    async def __aenter__(self) -> AsyncIterator[Item]:
        self._thread.start()
        return self._iterate()

    async def __aexit__(self, *_: object) -> None:
        self._closed = True
        self._room.release()

    async def _iterate(self) -> AsyncIterator[Item]:
        while True:
            is_item, item = await self._queue.get()
            self._room.release()
            if is_item:
                yield item  # type: ignore[misc]
            elif isinstance(item, BaseException):
                raise item
            else:
                return

    def _run(self) -> None:
        try:
            for item in self._items:
                self._room.acquire()
                if self._closed:
                    return
                self._put(True, item)
        except BaseException as error:  # noqa: BLE001 - whoever waits for the next item raises it
            self._put(False, error)
        else:
            self._put(False, None)

    def _put(self, is_item: bool, item: Item | BaseException | None) -> None:
        try:
            self._loop.call_soon_threadsafe(self._queue.put_nowait, (is_item, item))
        except RuntimeError:  # the loop has been closed meanwhile
            self._closed = True
