"""The double on a thread of its own, for tests in the same process."""

from __future__ import annotations

import asyncio
import dataclasses
import threading
from collections.abc import Awaitable, Callable
from concurrent.futures import CancelledError, Future
from typing import TypeVar
from urllib.parse import urlsplit

from deployserver.double.world import Beginning, World
from deployserver.double.worlds import Worlds
from deployserver.settings import Settings

__tracebackhide__ = True

_SECONDS = 60.0
"""How long something may take that is done on the thread: far longer than it ever does."""

T = TypeVar("T")


class ServerThread:
    """Serves ``worlds`` between ``start`` and ``stop``, on an event loop that no test has to know of.

    It may be used from several threads. Started again, it has the address that it had before.
    """

    def __init__(self, settings: Settings, beginning: Beginning) -> None:
        self._settings = settings
        self._beginning = beginning
        self._changing = threading.Lock()
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop
        self._stop: asyncio.Event
        self.worlds: Worlds
        self.url = ""

    @property
    def is_running(self) -> bool:
        """Whether it has been started and not been stopped."""
        return self._thread is not None

    def start(self) -> None:
        """Return when connections are accepted. Raises ConfigurationError, and InvalidRequest for the beginning."""
        with self._changing:
            if self._thread is not None:
                raise RuntimeError("the server is running already")
            started: Future[str] = Future()
            # A daemon: a test run that is interrupted must end, whatever this is doing.
            thread = threading.Thread(target=self._run, args=(started,), name="deployserver double", daemon=True)
            thread.start()
            try:
                self.url = started.result(_SECONDS)
            except BaseException:
                # Perhaps it was only the wait that was interrupted, and the server is about to run.
                if not started.cancel() and started.exception() is None:
                    self._loop.call_soon_threadsafe(self._stop.set)
                thread.join(_SECONDS)
                raise
            self._thread = thread
            server = self._settings.server
            taken = dataclasses.replace(server, port=urlsplit(self.url).port or server.port)
            self._settings = dataclasses.replace(self._settings, server=taken)

    def stop(self) -> None:
        """End the server and all it holds; nothing happens if it is not running."""
        with self._changing:
            thread, self._thread = self._thread, None
            if thread is not None:
                self._loop.call_soon_threadsafe(self._stop.set)
                thread.join(_SECONDS)

    def call(self, work: Callable[[], Awaitable[T]]) -> T:
        """Do something on the server's thread, and return or raise what comes of it.

        Raises RuntimeError if the server is not running.
        """
        with self._changing:
            if self._thread is None:
                raise RuntimeError("the server is not running: use it in a with block, or call start()")
            done = asyncio.run_coroutine_threadsafe(_awaited(work), self._loop)
        try:
            return done.result(_SECONDS)
        except CancelledError:
            raise RuntimeError("the server was stopped meanwhile") from None

    def renew(self, beginning: Beginning | None = None) -> World:
        """Begin anew, perhaps with something else; see ``Worlds.renew``."""
        world = self.call(lambda: self.worlds.renew(beginning))
        self._beginning = beginning or self._beginning
        return world

    def end(self) -> None:
        """End all worlds, and keep the address; see ``Worlds.end``."""
        self.call(lambda: self.worlds.end())

    def _run(self, started: Future[str]) -> None:
        try:
            asyncio.run(self._serve(started))
        except BaseException as error:
            if started.done():
                raise
            started.set_exception(error)

    async def _serve(self, started: Future[str]) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        self.worlds = Worlds(self._settings, self._beginning, namespaces=True)
        async with self.worlds.serving() as url:
            if started.set_running_or_notify_cancel():
                started.set_result(url)
                await self._stop.wait()


def is_on_event_loop() -> bool:
    """Tell whether an event loop runs on this thread, and would stand still if the caller waited."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


async def _awaited(work: Callable[[], Awaitable[T]]) -> T:
    return await work()
