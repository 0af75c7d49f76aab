"""All worlds behind one address: the one at the root, and one for each namespace that somebody has used."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from aiohttp import StreamReader, hdrs, web
from aiohttp.abc import AbstractStreamWriter
from aiohttp.http import RawRequestMessage

from deployserver.api.responses import SERVER, error_response
from deployserver.double.front import Front, NotingProtocol
from deployserver.double.targets import checked_name, namespace_of, target_of
from deployserver.double.world import ENDED, Beginning, World
from deployserver.errors import DeployServerError, NotFound, StoreUnavailable
from deployserver.server import accepting
from deployserver.settings import Settings

MOST = 1000
"""Namespaces that there may be at once: each is a server of its own, of some hundred kilobytes."""

_ADVICE = "Choose another: the host 127.0.0.1 is this machine, and port 0 takes one that is free."


class Worlds:
    """The world at the root and, if ``namespaces``, those below ``/ns/NAME``, each made when it is first asked for."""

    def __init__(self, settings: Settings, beginning: Beginning, *, namespaces: bool) -> None:
        self._settings = settings
        self._beginning = beginning
        self.has_namespaces = namespaces
        self._making = asyncio.Lock()
        self._named: dict[str, World] = {}
        self._stopping = False
        self.url = ""
        self.root = World(settings, "", beginning, self)

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[str]:
        """Serve while the block runs, and give the URL of the root. Raises ConfigurationError, InvalidRequest."""
        await self.root.open()
        loop = asyncio.get_running_loop()
        limit = self._settings.limits.body_bytes

        def make_request(
            message: RawRequestMessage,
            payload: StreamReader,
            protocol: web.RequestHandler,
            writer: AbstractStreamWriter,
            task: asyncio.Task[None],
        ) -> web.Request:
            return web.Request(message, payload, protocol, writer, task, loop, client_max_size=limit)

        manager = Front(self._handle, lambda *noted: self.root.note(*noted), request_factory=make_request)
        try:
            async with accepting(manager, self._settings, self._stop, NotingProtocol, advice=_ADVICE) as self.url:
                yield self.url
        finally:
            await self.end()
            manager.pre_shutdown()
            await manager.shutdown(self._settings.server.shutdown_timeout)
            await manager.drop()

    @property
    def names(self) -> list[str]:
        """The namespaces there are."""
        return sorted(self._named)

    async def namespace(self, name: str) -> World:
        """Return the world of a namespace, made if it is not there.

        Raises InvalidValue for a name that cannot be one, NotFound if all has ended, StoreUnavailable if there are too
        many or this is stopping.
        """
        name = checked_name(name)
        async with self._making:
            world = self._named.get(name)
            if world is None:
                if self._stopping:
                    raise StoreUnavailable("The server is stopping.")
                if self.root.has_ended:  # since this was asked for; until all is renewed, nothing is to be made
                    raise NotFound(ENDED)
                if len(self._named) >= MOST:
                    raise StoreUnavailable(
                        f"There are {MOST} namespaces already. Remove those that are no longer used, "
                        "with DELETE /__double__/namespaces/NAME."
                    )
                world = World(self._settings, f"/ns/{name}", self._beginning, self)
                await world.open()
                self._named[name] = world
            return world

    async def remove(self, name: str) -> None:
        """End the world of a namespace; the next request for it makes a new one. Raises NotFound."""
        world = self._named.pop(name, None)
        if world is None:
            raise NotFound(f"There is no namespace {name}.")
        await world.close()

    async def renew(self, beginning: Beginning | None = None) -> World:
        """Put a new world in the place of the one at the root, and return it; that one and all namespaces end.

        Namespaces that are made from now on begin with the same.
        """
        async with self._making:
            beginning = beginning or self._beginning
            world = World(self._settings, "", beginning, self)
            await world.open()
            old, self.root, self._beginning = [self.root, *self._named.values()], world, beginning
            self._named.clear()
            await _close(old)
        return world

    async def end(self) -> None:
        """End all worlds: until ``renew``, whoever asks for something is told that the world has ended."""
        async with self._making:
            await _close([self.root, *self._named.values()])
            self._named.clear()

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        assert isinstance(request, web.Request)
        try:
            name = namespace_of(target_of(request)) if self.has_namespaces else None
            world = self.root if name is None or self.root.has_ended else await self.namespace(name)
            return await world.handle(request)
        except DeployServerError as error:
            response = error_response(request, error)
            response.headers[hdrs.SERVER] = SERVER
            return response

    def _stop(self) -> None:
        self._stopping = True
        for world in (self.root, *self._named.values()):
            world.stop()


async def _close(worlds: Sequence[World]) -> None:
    await asyncio.gather(*(world.close() for world in worlds))
