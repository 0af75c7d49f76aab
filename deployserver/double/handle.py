"""The way from a test in Python to a world, which is on the thread of its server."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeVar

from deployserver.administration import Administration
from deployserver.double.thread import ServerThread
from deployserver.double.tracebacks import plainly
from deployserver.double.world import World
from deployserver.errors import NotFound, StoreUnavailable

__tracebackhide__ = True  # in pytest, a failure is shown where a test called us

T = TypeVar("T")


class Handle:
    """Holds on to a world, and does on its thread what is to be done with it."""

    def __init__(self, thread: ServerThread, world: World | None) -> None:
        self._thread = thread
        self._world = world

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.url if self._is_open else 'that is not running'}>"

    @property
    def url(self) -> str:
        """The address to give to what is tested, without a slash at its end."""
        return self._thread.url + self._open_world.base

    @property
    def _open_world(self) -> World:
        if self._world is None or not self._is_open:
            raise self._closed()
        return self._world

    @property
    def _is_open(self) -> bool:
        return self._world is not None and self._thread.is_running and not self._world.has_ended

    def _closed(self) -> RuntimeError:
        if self._world is None or not self._thread.is_running:
            return RuntimeError("the server is not running: use it in a with block, or call start()")
        return RuntimeError(
            "this server has ended: with its test, when it was started again, or as a namespace that was removed"
        )

    def _call(self, work: Callable[[], Awaitable[T]]) -> T:
        try:
            return plainly(lambda: self._thread.call(work))
        except (NotFound, StoreUnavailable):
            if self._is_open:
                raise
            raise self._closed() from None

    def _administer(self, work: Callable[[Administration], Awaitable[T]]) -> T:
        world = self._open_world
        return self._call(lambda: world.administer(work))
