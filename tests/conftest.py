"""A real server on a free port, with a fresh database, for every test that asks for one."""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import re
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import hypothesis
import postgres
import pytest
from hypothesis import HealthCheck
from postgres import Cluster
from stores import PostgreSQLStores, SQLiteStores, Stores

from deployserver import config
from deployserver.administration import Administration
from deployserver.api_keys import create_key
from deployserver.app import create_app
from deployserver.clock import Clock, now
from deployserver.feeds import add_feed
from deployserver.server import listening
from deployserver.settings import Settings
from deployserver.storage import Database, SQLiteDatabase, database, migrate

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
    store: Database
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
        async with self.store.snapshot() as repository:
            driver = repository.connection.driver
            if not isinstance(self.store, SQLiteDatabase):
                numbers = itertools.count(1)
                return [
                    dict(row)
                    for row in await driver.fetch(re.sub(r"\?", lambda _: f"${next(numbers)}", sql), *parameters)
                ]
            cursor = await driver.execute(sql, parameters)
            names = [column[0] for column in cursor.description]
            return [dict(zip(names, row, strict=True)) for row in await cursor.fetchall()]


def database_path(settings: Settings) -> Path:
    """Return the SQLite file of the settings."""
    return settings.path(Path(settings.database.url.removeprefix("sqlite:///")))


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
    url = options.pop("database_url", "sqlite:///test.db")
    environ = {f"DEPLOYSERVER_{name.upper()}": str(value) for name, value in options.items()}
    file = directory / "config.ini"
    file.write_text(f"[server]\nport = 0\n[database]\nurl = {url}\n")
    return config.load(file, environ).settings


@asynccontextmanager
async def administered(settings: Settings, clock: Clock = now) -> AsyncIterator[Administration]:
    """Migrate the database of the settings, and give what makes changes in it while the block runs."""
    migrate(settings)
    async with database(settings).opened() as store:
        yield Administration(store, "test", clock)


async def add_feed_and_key(admin: Administration) -> None:
    """Make the feed and key of the sample requests."""
    await add_feed(admin, FEED)
    await create_key(admin, "feed", feeds=[FEED], value=KEY, name="ci")


@asynccontextmanager
async def running(settings: Settings, **app_options: Any) -> AsyncIterator[Service]:
    """Run a server in this process; make the feed and key of the sample requests."""
    async with AsyncExitStack() as stack:
        admin = await stack.enter_async_context(administered(settings, app_options.get("clock", now)))
        if not (await admin.access()).feeds:
            await add_feed_and_key(admin)
        url = await stack.enter_async_context(listening(create_app(settings, **app_options), settings))
        session = await stack.enter_async_context(aiohttp.ClientSession())
        yield Service(url.removesuffix(settings.server.base_path), settings, admin, admin.database, session)


def pytest_configure() -> None:
    """Judge no made-up example by how long it takes: others use the machine, too.

    And let Ctrl-C end what the tests start, even if they were started themselves in the background of a shell.
    """
    profile = {"deadline": None, "suppress_health_check": [HealthCheck.too_slow]}
    hypothesis.settings.register_profile("patient", hypothesis.settings.default, **profile)
    hypothesis.settings.load_profile("patient")
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # which programs inherit
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run what is marked ``every_engine`` with each kind of database."""
    if "engine" in metafunc.fixturenames and metafunc.definition.get_closest_marker("every_engine"):
        metafunc.parametrize("engine", ["sqlite", "postgresql"], indirect=True)


@pytest.fixture
def engine(request: pytest.FixtureRequest) -> str:
    """The kind of database: SQLite, unless the test is marked ``every_engine``."""
    return str(getattr(request, "param", "sqlite"))


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    """A PostgreSQL server; the test is skipped where none can be started."""
    if postgres.programs() is None:
        pytest.skip(postgres.MISSING)
    with postgres.cluster() as running:
        yield running


@pytest.fixture(scope="session")
def template(cluster: Cluster) -> str:
    """The name of a PostgreSQL database that has been migrated and holds nothing."""
    return postgres.make_template(cluster)


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def stores(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stores]:
    """Databases without a server, of each kind."""
    found: Stores
    if request.param == "sqlite":
        found = SQLiteStores(tmp_path_factory.mktemp("stores"))
    else:
        found = PostgreSQLStores(request.getfixturevalue("cluster"), request.getfixturevalue("template"))
    yield found
    found.close()


@pytest.fixture
async def database_url(engine: str, request: pytest.FixtureRequest) -> AsyncIterator[str]:
    """The URL of a database of the kind ``engine`` that holds nothing, as it is written in the configuration."""
    if engine == "sqlite":
        yield "sqlite:///test.db"
    else:
        running: Cluster = request.getfixturevalue("cluster")
        name = await running.take(request.getfixturevalue("template"))
        yield running.url(name)
        running.give_back(name)


@pytest.fixture
async def start(tmp_path: Path, database_url: str) -> AsyncIterator[StartService]:
    """Start servers with options of one's own: ``await start(limits_body_bytes=100)``."""
    async with AsyncExitStack() as stack:

        async def start_service(**options: Any) -> Service:
            app_options = {name: options.pop(name) for name in ("clock",) if name in options}
            settings = settings_of(tmp_path, **({"database_url": database_url} | options))
            return await stack.enter_async_context(running(settings, **app_options))

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
