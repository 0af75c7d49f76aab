"""Runs several workers on one port: starts them, replaces one that dies, and stops them all.

It loads no web framework and opens no database: all it does is wait. Workers are new processes, not copies of this one,
so that they are the same wherever they run.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import pickle
import signal
import socket
import sys
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Any

from deployserver.addresses import reserved
from deployserver.errors import ConfigurationError, DatabaseError, DeployServerError
from deployserver.settings import Settings
from deployserver.signals import with_signals

_log = logging.getLogger(__name__)

STEADY_SECONDS = 30.0
"""A worker that has run for so long is replaced at once when it dies, whatever was before."""

FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 0.5, 30.0
"""What is waited before one that has died soon, more than once, is started again; twice as long each time."""


def run(settings: Settings, ready: Callable[[str], None]) -> None:
    """Serve with ``[server] workers`` processes until told to stop; ``ready`` is called with the URL once all accept.

    Raises ConfigurationError if the address cannot be had, and what a worker that cannot start says of it.
    """
    with reserved(settings.server) as port:
        own = replace(settings, server=replace(settings.server, port=port))
        asyncio.run(_supervise(own, ready))


async def _supervise(settings: Settings, ready: Callable[[str], None]) -> None:
    stop = asyncio.Event()
    places = [_Place(number + 1, settings, stop) for number in range(settings.server.workers)]

    def end_at_once() -> None:
        for place in places:
            place.kill()

    with_signals(stop, end_at_once)
    told = asyncio.create_task(stop.wait())
    listening = asyncio.gather(*(place.listens for place in places))
    kept = asyncio.gather(*(place.keep() for place in places))
    try:
        await asyncio.wait((told, listening, kept), return_when=asyncio.FIRST_COMPLETED)
        if listening.done() and not listening.cancelled():
            url = listening.result()[0]
            _log.info("listening on %s", url)
            ready(url)
            await asyncio.wait((told, kept), return_when=asyncio.FIRST_COMPLETED)
        _log.info("stopping: finishing requests under way and writing what is queued")
    finally:
        stop.set()
        await asyncio.wait((told, listening, kept))
    kept.result()
    _log.info("stopped")


class _Place:
    """A worker and those that take its place; ``listens`` is the URL, once the first of them accepts connections."""

    def __init__(self, number: int, settings: Settings, stop: asyncio.Event) -> None:
        self._number = number
        self._settings = settings
        self._stop = stop
        self._worker: _Worker | None = None
        self.listens: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    def kill(self) -> None:
        """End the worker, as kill -9 does."""
        if self._worker is not None:
            self._worker.kill()

    async def keep(self) -> None:
        """Have a worker running until told to stop, and return when it has ended.

        If the first one ends before it accepts connections, no other is started, and ``listens`` raises why.
        """
        loop = asyncio.get_running_loop()
        died_soon = 0
        while not self._stop.is_set():
            began = loop.time()
            error = await self._run_one()
            if self._stop.is_set():
                if error is not None:
                    _log.error("%s", error)
                break
            error = error or DeployServerError(f"worker {self._number} has stopped")
            if not self.listens.done():
                self.listens.set_exception(error)
                return
            died_soon = died_soon + 1 if loop.time() - began < STEADY_SECONDS else 0
            pause = FIRST_PAUSE_SECONDS * 2 ** (died_soon - 2) if died_soon > 1 else 0.0
            pause = min(pause, LONGEST_PAUSE_SECONDS)
            _log.error("%s; another is started %s", error, f"in {pause:g} s" if pause else "at once")
            with suppress(TimeoutError):
                await asyncio.wait_for(self._stop.wait(), pause)
        self.listens.cancel()

    async def _run_one(self) -> DeployServerError | None:
        """Run one worker to its end, and return what was wrong; None if it ended well."""
        try:
            worker = self._worker = await _Worker.started(self._number, self._settings)
        except OSError as error:  # no memory, or too many processes
            return DeployServerError(f"worker {self._number} cannot be started: {error}")
        _log.info("worker %d is process %d", self._number, worker.pid)
        draining = asyncio.create_task(worker.drain_after(self._stop))
        failure: DeployServerError | None = None
        async for message in worker.messages():
            if "url" in message and not self.listens.done():
                self.listens.set_result(message["url"])
            elif "error" in message:
                failure = (ConfigurationError if message["configuration"] else DatabaseError)(message["error"])
        code = await worker.ended()
        draining.cancel()
        if code == 0 or failure is not None:
            return failure
        how = f"was ended by {signal.Signals(-code).name}" if code < 0 else f"has ended with exit code {code}"
        return DeployServerError(f"worker {self._number} (process {worker.pid}) {how}")


class _Worker:
    """A process that serves, and a socket to it: it is told to stop by ending what is sent."""

    def __init__(
        self, process: asyncio.subprocess.Process, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self._process = process
        self._reader = reader
        self._writer = writer

    @classmethod
    async def started(cls, number: int, settings: Settings) -> _Worker:
        """Start a process. Raises OSError."""
        ours, theirs = socket.socketpair()
        with theirs:
            reader, writer = await asyncio.open_connection(sock=ours)
            try:
                process = await asyncio.create_subprocess_exec(
                    sys.executable,
                    "-P",
                    "-m",
                    "deployserver.worker",
                    str(number),
                    stdin=theirs.fileno(),
                    env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
                    start_new_session=True,  # a terminal's Ctrl-C is for the supervisor
                )
            except BaseException:
                writer.close()
                raise
        writer.write(pickle.dumps(settings))
        return cls(process, reader, writer)

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    async def messages(self) -> AsyncIterator[Mapping[str, Any]]:
        """Give what it says, until it ends."""
        with suppress(ConnectionError):
            async for line in self._reader:
                yield json.loads(line)

    async def drain_after(self, stop: asyncio.Event) -> None:
        """Tell it to finish what is under way and end, when the event is set."""
        await stop.wait()
        with suppress(OSError):
            self._writer.write_eof()

    async def ended(self) -> int:
        """Wait until it has ended, and return its exit code; that of a process ended by a signal is negative."""
        code = await self._process.wait()
        self._writer.close()
        return code

    def kill(self) -> None:
        """End it, as kill -9 does."""
        with suppress(ProcessLookupError):
            self._process.kill()
