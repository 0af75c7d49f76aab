"""A real server on a free port, with a fresh database, for every test that asks for one."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from deployserver import config
from deployserver.administration import Administration
from deployserver.api_keys import create_key
from deployserver.app import create_app
from deployserver.clock import now
from deployserver.feeds import add_feed
from deployserver.server import listening
from deployserver.settings import Settings
from deployserver.storage import SQLiteDatabase, database, migrate

KEY = "abc12345"
FEED = "DefaultNuGet"
PATH = "/api/package-deployment/"
RECORD = {
    "FeedName": FEED,
    "Application": "ProfitCalc",
    "Description": "Deployed by Custom Release Server",
    "Target": "localhost",
    "PackageName": "Newtonsoft.Json",
    "Version": "12.0.3",
}


@dataclass
class Answer:
    """What a server answered."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def text(self) -> str:
        return self.body.decode()

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Service:
    """A running server, the database behind it, and the ways to reach both."""

    url: str
    settings: Settings
    admin: Administration
    store: SQLiteDatabase
    session: aiohttp.ClientSession = field(repr=False)

    @property
    def port(self) -> int:
        return int(self.url.rpartition(":")[2].partition("/")[0])

    async def post(self, data: Any = None, *, key: str | None = KEY, path: str = PATH, **kwargs: Any) -> Answer:
        """Post a form (a mapping), or bytes; ``json=`` posts JSON. ``key`` goes into X-ApiKey."""
        headers = {"X-ApiKey": key} if key is not None else {}
        return await self.request("POST", path, data=data, headers=headers | kwargs.pop("headers", {}), **kwargs)

    async def request(self, method: str, path: str, **kwargs: Any) -> Answer:
        async with self.session.request(method, self.url + path, allow_redirects=False, **kwargs) as response:
            return Answer(response.status, response.headers, await response.read())

    async def raw(self, data: bytes, *, half_close: bool = False) -> bytes:
        """Send bytes over a socket and return all that comes back until the server closes or falls silent."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        try:
            writer.write(data)
            await writer.drain()
            if half_close:
                writer.write_eof()
            return await read_answer(reader)
        finally:
            writer.close()

    async def rows(self, sql: str = "SELECT * FROM deployment_records ORDER BY id", *parameters: object) -> list[Any]:
        """Return rows of the database, as a mapping each."""
        async with self.store._read() as reader:
            cursor = await reader.execute(sql, parameters)
            names = [column[0] for column in cursor.description]
            return [dict(zip(names, row, strict=True)) for row in await cursor.fetchall()]


async def read_answer(reader: asyncio.StreamReader) -> bytes:
    """Read one HTTP answer (and a ``100 Continue`` before it) from a socket."""
    data = b""
    while True:
        head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 10)
        data += head
        if not head.startswith(b"HTTP/1.1 100"):
            break
    length = next(
        (int(line.split(b":")[1]) for line in head.lower().splitlines() if line.startswith(b"content-length")), None
    )
    assert length is not None, f"an answer without Content-Length: {head!r}"
    return data + await asyncio.wait_for(reader.readexactly(length), 10)


StartService = Callable[..., Awaitable[Service]]


def settings_of(directory: Path, **options: Any) -> Settings:
    """Return settings with ``section_option=value`` set, and the database in ``directory``."""
    environ = {f"DEPLOYSERVER_{name.upper()}": str(value) for name, value in options.items()}
    file = directory / "config.ini"
    file.write_text("[server]\nport = 0\n[database]\nurl = sqlite:///test.db\n")
    return config.load(file, environ).settings


@asynccontextmanager
async def running(settings: Settings, **app_options: Any) -> AsyncIterator[Service]:
    """Run a server in this process; make the feed and key of the sample requests."""
    migrate(settings)
    async with AsyncExitStack() as stack:
        store = database(settings)
        await store.open()
        stack.push_async_callback(store.close)
        admin = Administration(store, "test", app_options.get("clock", now))
        if not (await admin.access()).feeds:
            await add_feed(admin, FEED)
            await create_key(admin, "feed", feeds=[FEED], value=KEY, name="ci")
        url = await stack.enter_async_context(listening(create_app(settings, **app_options), settings))
        session = await stack.enter_async_context(aiohttp.ClientSession())
        yield Service(url.removesuffix(settings.server.base_path), settings, admin, store, session)


@pytest.fixture
async def start(tmp_path: Path) -> AsyncIterator[StartService]:
    """Start servers with options of one's own: ``await start(limits_body_bytes=100)``."""
    async with AsyncExitStack() as stack:

        async def start_service(**options: Any) -> Service:
            app_options = {name: options.pop(name) for name in ("clock",) if name in options}
            return await stack.enter_async_context(running(settings_of(tmp_path, **options), **app_options))

        yield start_service


@pytest.fixture
async def service(start: StartService) -> Service:
    """A server with default options, the feed DefaultNuGet and the key abc12345 that may record there."""
    return await start(security_lockout_failures=0)


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test sees the settings of the machine it runs on."""
    for name in list(os.environ):
        if name.startswith("DEPLOYSERVER_"):
            monkeypatch.delenv(name)
