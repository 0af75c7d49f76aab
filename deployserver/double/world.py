"""A world of the double: one server of its own, with its state, its clock, its faults, and what it has received."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

from aiohttp import web, web_app

from deployserver.administration import Administration
from deployserver.api import keys
from deployserver.api.formats import abort
from deployserver.api.shortcut import add_shortcuts
from deployserver.app import ROUTES, Variant, create_app
from deployserver.clock import Clock
from deployserver.double.advice import advice
from deployserver.double.app_keys import WORLD, WORLDS
from deployserver.double.clock import MovableClock
from deployserver.double.control import ROUTES as CONTROL
from deployserver.double.faults.fault import Fault, Faults, is_control
from deployserver.double.interference import INTERFERENCE, Interference, interfere, interfered
from deployserver.double.journal import Journal
from deployserver.double.state.loading import load_state, read_state
from deployserver.double.targets import below
from deployserver.errors import NotFound
from deployserver.filters import RecordFilter
from deployserver.history import AT_ONCE
from deployserver.models import Deployment
from deployserver.settings import Settings
from deployserver.storage import MemoryDatabase
from deployserver.storage.history import StoredDeployment

if TYPE_CHECKING:
    from deployserver.double.worlds import Worlds

ACTOR = "test double"
"""Who the audit says has made what a test has made."""

_PATIENCE = 1.0
"""Seconds that requests under way get to end when their server does."""

ENDED = "This world has ended: it was removed, or another one has taken its place."

_ROUTES = (*CONTROL, *(route._replace(handler=interfered(route.handler)) for route in ROUTES))

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Beginning:
    """What a world begins with, and goes back to when it is reset: a state document and faults."""

    state: Any = None
    faults: Sequence[Fault] = ()


@dataclass(frozen=True, slots=True)
class _Server:
    """The application of a world, with its database; another one takes its place when the world is reset."""

    app: web.Application
    runner: web.AppRunner
    store: MemoryDatabase
    ended: asyncio.Event
    under_way: dict[int, web.Request] = field(default_factory=dict)

    def stop(self) -> None:
        self.ended.set()
        self.app[keys.STOPPING].set()


class World:
    """A server in memory, one of ``worlds``, below the path ``base``, between ``open`` and ``close``."""

    def __init__(self, settings: Settings, base: str, beginning: Beginning, worlds: Worlds) -> None:
        self.base = base
        self.journal = Journal()
        self.faults = Faults()
        self.clock = MovableClock()
        self.secrets: dict[int, str] = {}
        """The texts of the keys by their ids: the database has only their hashes."""
        self._settings = dataclasses.replace(settings, server=dataclasses.replace(settings.server, base_path=base))
        self._beginning = beginning
        self._worlds = worlds
        self._changing = asyncio.Lock()
        self._closed = False
        self._server: _Server

    async def open(self) -> None:
        """Begin. Raises InvalidRequest if the state to begin with is not valid."""
        self._server, self.secrets = await self._serve(self._beginning.state, MovableClock())
        self.faults.replace(self._beginning.faults)

    @property
    def has_ended(self) -> bool:
        """Whether it takes no requests any more."""
        return self._closed

    def stop(self) -> None:
        """Let no fault hold up a request any longer, and nobody follow what is recorded."""
        self._server.stop()

    async def close(self) -> None:
        """End; what is still under way is broken off."""
        async with self._changing:
            if not self._closed:
                self._closed = True
                await self._end(self._server)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Answer a request for something below ``base``. Raises NotFound if the world has ended."""
        server = self._server
        manager = server.runner.server
        if self._closed or manager is None:
            raise NotFound(ENDED)
        server.under_way[id(request)] = request
        try:
            response: web.StreamResponse = await manager.request_handler(request)
            return response
        finally:
            del server.under_way[id(request)]

    def note(self, data: bytes, request: web.BaseRequest, response: web.StreamResponse) -> None:
        """Note what was no valid HTTP, and how it was answered."""
        self._server.app[INTERFERENCE].note(data, request, response)

    async def reset(self) -> None:
        """Go back to the beginning, and forget all that was received."""
        async with self._unchanging():
            server, secrets = await self._serve(self._beginning.state, MovableClock())
            # All at once: a request belongs to the time before or after, and not to a bit of both.
            old = self._put_in_place(server, secrets)
            self.journal.clear()
            self.faults.replace(self._beginning.faults)
            self.clock.reset()
            await self._end(old)

    async def administer(self, work: Callable[[Administration], Awaitable[T]]) -> T:
        """Change feeds, keys, users or privileges; the change is in force when this returns."""
        async with self._unchanging() as server:
            done = await work(Administration(server.store, ACTOR, self.clock))
            await server.app[keys.ACCESS].refresh()
            return done

    async def state(self) -> dict[str, Any]:
        """Return the state document: feeds, users, keys, privileges and deployments."""
        async with self._unchanging() as server:
            return await read_state(server.store, self.secrets)

    async def add_state(self, document: Any) -> None:
        """Add what a state document holds. Raises InvalidRequest and other errors; then nothing is added."""
        async with self._unchanging() as server:
            async with server.store.at_once() as store:
                secrets = await load_state(document, store, self.clock, self.secrets)
            self.secrets |= secrets
            await server.app[keys.ACCESS].refresh()

    async def replace_state(self, document: Any) -> None:
        """Hold what a state document holds, and nothing else. Raises as ``add_state``; then all stays as it was."""
        async with self._unchanging():
            server, secrets = await self._serve(document, self.clock)
            await self._end(self._put_in_place(server, secrets))

    async def deployments(self) -> list[Deployment]:
        """Return all deployments, in the order in which they were recorded."""
        async with self._unchanging() as server:
            feeds = server.app[keys.ACCESS].current.feeds
            found: list[StoredDeployment] = []
            async with server.store.records() as records:
                while page := await records.after(RecordFilter(), found[-1].id if found else 0, AT_ONCE):
                    found += page
        return [Deployment(id_, feeds[row.feed_id].name, row) for id_, row in found if row.feed_id in feeds]

    @asynccontextmanager
    async def _unchanging(self) -> AsyncIterator[_Server]:
        """Give the server, and let nobody else put another one in its place. Raises NotFound if the world has ended."""
        async with self._changing:
            if self._closed:
                raise NotFound(ENDED)
            yield self._server

    def _put_in_place(self, server: _Server, secrets: dict[int, str]) -> _Server:
        """Let another server take the place of the one there is, and return that, to be ended."""
        old, self._server = self._server, server
        self.secrets = secrets
        return old

    async def _serve(self, document: Any, clock: Clock) -> tuple[_Server, dict[int, str]]:
        """Return a server that holds what a document says, and the texts of its keys."""
        store, ended = MemoryDatabase(), asyncio.Event()
        app = create_app(self._settings, self.clock, Variant(store, _ROUTES, (interfere,), advice))
        app[WORLD], app[WORLDS] = self, self._worlds
        app[INTERFERENCE] = Interference(self.journal, self.faults, self.clock, self.base, ended)
        runner = web.AppRunner(app, access_log=None)
        server, secrets = _Server(app, runner, store, ended), {}
        try:
            await runner.setup()
            assert runner.server is not None
            add_shortcuts(runner.server, app)
            if document is not None:
                async with store.at_once() as at_once:
                    secrets = await load_state(document, at_once, clock)
                await app[keys.ACCESS].refresh()
        except BaseException:
            await self._end(server)
            raise
        return server, secrets

    async def _end(self, server: _Server) -> None:
        server.stop()
        try:
            async with asyncio.timeout(_PATIENCE):
                while self._disturbed(server):  # noqa: ASYNC110 - there is no event for it
                    await asyncio.sleep(0.005)
        except TimeoutError:
            for request in self._disturbed(server):
                abort(request)
        await server.runner.cleanup()
        # aiohttp remembers the middlewares it has put around 1,024 handlers, and with them whole applications.
        web_app._cached_build_middleware.cache_clear()

    def _disturbed(self, server: _Server) -> list[web.Request]:
        """Return the requests under way, without those that tell the world something: one has told it to end."""
        return [request for request in server.under_way.values() if not is_control(below(self.base, request))]
