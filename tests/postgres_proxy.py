"""What stands between a server and PostgreSQL and cuts the connection at the worst moment there is."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable, Iterator
from typing import Literal

Moment = Literal["before", "meanwhile", "after", "silent"]
"""When to cut: before the batch has got to PostgreSQL, while it is recorded, or once it has been and before the answer
gets back; or not to cut, and to let nothing through any more."""

_SSL_REQUEST = 80877103
_CANCEL_REQUEST = 80877102


class Proxy:
    """Passes on what is said, until ``cuts`` tells for the ``number``-th batch that this is the moment."""

    def __init__(self, port: int) -> None:
        self._to = port
        self.cuts: Callable[[int], Moment | None] = lambda number: None
        self.statements: tuple[bytes, ...] = (b"record_batch",)
        self.cut: list[Moment] = []
        self.batches = 0
        self.refusing = False
        self.frozen = False
        self.accepted = 0
        self._tasks: set[asyncio.Task[None]] = set()
        self._connections: set[asyncio.StreamWriter] = set()

    def cut_all(self) -> None:
        """Cut every connection."""
        self._loop.call_soon_threadsafe(self._cut_all)

    def freeze(self) -> None:
        """Pass on nothing any more, in no direction, and cut nothing."""
        self.frozen = True

    def _cut_all(self) -> None:
        for writer in self._connections:
            writer.transport.abort()

    async def run(self, started: Callable[[], None]) -> None:
        """Accept connections until ``stop`` is called."""
        self._loop = asyncio.get_running_loop()
        self._stopped = asyncio.Event()
        server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.port = int(server.sockets[0].getsockname()[1])
        started()
        await self._stopped.wait()
        server.close()
        self._cut_all()
        await asyncio.gather(*self._tasks)

    def stop(self) -> None:
        """Cut every connection and accept no more."""
        self._loop.call_soon_threadsafe(self._stopped.set)

    async def stopped(self) -> None:
        """Wait until ``stop`` is called."""
        await self._stopped.wait()

    async def _accept(self, client: asyncio.StreamReader, to_client: asyncio.StreamWriter) -> None:
        self.accepted += 1
        if self.refusing:
            to_client.transport.abort()
            return
        try:
            server, to_server = await asyncio.open_connection("127.0.0.1", self._to)
        except OSError:
            to_client.transport.abort()
            return
        connection = _Connection(self, client, to_client, server, to_server)
        self._connections |= {to_client, to_server}
        for run in (connection.requests(), connection.answers()):
            task = asyncio.create_task(run)
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)


@contextlib.contextmanager
def standing_between(port: int) -> Iterator[Proxy]:
    """Run a proxy in a thread of its own: commands that are waited for in the test's must get through, too."""
    proxy = Proxy(port)
    started = threading.Event()
    thread = threading.Thread(target=lambda: asyncio.run(proxy.run(started.set)))
    thread.start()
    started.wait(10)
    try:
        yield proxy
    finally:
        proxy.stop()
        thread.join()


class _Connection:
    def __init__(
        self,
        proxy: Proxy,
        client: asyncio.StreamReader,
        to_client: asyncio.StreamWriter,
        server: asyncio.StreamReader,
        to_server: asyncio.StreamWriter,
    ) -> None:
        self._proxy = proxy
        self._client = client
        self._to_client = to_client
        self._server = server
        self._to_server = to_server
        self._names: set[bytes] = set()
        self._moment: Moment | None = None

    async def requests(self) -> None:
        with self._ending():
            while True:
                size = await self._client.readexactly(4)
                rest = await self._client.readexactly(int.from_bytes(size) - 4)
                self._to_server.write(size + rest)
                if int.from_bytes(rest[:4]) not in (_SSL_REQUEST, _CANCEL_REQUEST):
                    break
            while True:
                kind = await self._client.readexactly(1)
                size = await self._client.readexactly(4)
                rest = await self._client.readexactly(int.from_bytes(size) - 4)
                if self._proxy.frozen:
                    await self._proxy.stopped()
                    return
                if self._is_batch(kind, rest):
                    self._proxy.batches += 1
                    self._moment = self._proxy.cuts(self._proxy.batches)
                    if self._moment is not None:
                        self._proxy.cut.append(self._moment)
                    if self._moment == "before":
                        return
                self._to_server.write(kind + size + rest)
                if self._moment == "meanwhile" and kind in b"SQ":  # all of it is on its way
                    await self._to_server.drain()
                    return

    async def answers(self) -> None:
        with self._ending():
            while data := await self._server.read(65536):
                if self._moment == "after" and data[-6:-4] == b"Z\0":  # ready for the next: committed
                    return
                if self._moment not in ("after", "silent") and not self._proxy.frozen:
                    self._to_client.write(data)

    def _is_batch(self, kind: bytes, rest: bytes) -> bool:
        if kind == b"P":
            name, query, _ = rest.split(b"\0", 2)
            if any(statement in query for statement in self._proxy.statements):
                self._names.add(name)
        elif kind == b"B":
            return rest.split(b"\0", 2)[1] in self._names
        elif kind == b"Q":
            return rest.rstrip(b"\0") in self._proxy.statements
        return False

    @contextlib.contextmanager
    def _ending(self) -> Iterator[None]:
        try:
            with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
                yield
        finally:
            self._to_client.transport.abort()
            self._to_server.transport.abort()
