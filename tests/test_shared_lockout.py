"""Wrong credentials are counted for all servers on one database, cheaply, and never free of charge."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace

import asyncpg
import pytest
from conftest import Service
from waiting import until

from deployserver.errors import TooManyFailures
from deployserver.settings import SecuritySettings
from deployserver.shared_lockout import SharedLockout
from deployserver.storage import Database, MemoryDatabase, SQLiteDatabase, database
from deployserver.storage.connection import Connection

HERE, ELSEWHERE = "192.0.2.1", "192.0.2.2"
SECOND = 1_000_000


@dataclass
class Watch:
    """A clock that a test sets, in microseconds."""

    now: int = 1_700_000_000 * SECOND

    def __call__(self) -> int:
        return self.now


@dataclass
class Servers:
    """Lockouts as two servers have them, that lock for a minute after three failures."""

    watch: Watch
    stores: list[Database]
    lockouts: list[SharedLockout]
    stack: AsyncExitStack = field(repr=False)

    async def stop(self) -> None:
        """Let both write what waits."""
        await self.stack.aclose()

    async def read(self) -> None:
        """Let both look at the database, as the access watch does."""
        for store, lockout in zip(self.stores, self.lockouts, strict=True):
            async with store.watched() as repository:
                await lockout.read(repository)

    async def rows(self, table: str = "lockouts") -> list[tuple[object, ...]]:
        async with self.stores[0].snapshot() as repository:
            return [tuple(row) for row in await repository.connection.rows(f"SELECT address FROM {table} ORDER BY 1")]


def settings_with(service: Service, failures: int = 3) -> SecuritySettings:
    return replace(service.settings.security, lockout_failures=failures, lockout_seconds=60)


@asynccontextmanager
async def servers_of(service: Service, failures: int = 3) -> AsyncIterator[Servers]:
    settings = settings_with(service, failures)
    watch = Watch()
    async with AsyncExitStack() as stores, AsyncExitStack() as stack:
        made = Servers(watch, [database(service.settings) for _ in range(2)], [], stack)
        for store in made.stores:
            await store.open()
            stores.push_async_callback(store.close)
            made.lockouts.append(await stack.enter_async_context(SharedLockout(store, settings, watch)))
        yield made


@pytest.fixture
async def servers(service: Service) -> AsyncIterator[Servers]:
    async with servers_of(service) as made:
        yield made


async def fail(lockout: SharedLockout, address: str = HERE) -> bool:
    """Send a wrong credential and tell whether it was looked at, and not refused for those before it."""
    try:
        lockout.require_open(address, None)
        await lockout.failed(address)
    except TooManyFailures:
        return False
    return True


def is_open(lockout: SharedLockout, address: str = HERE, proof: str | None = None) -> bool:
    try:
        lockout.require_open(address, proof)
    except TooManyFailures:
        return False
    return True


@pytest.mark.every_engine
async def test_failures_are_counted_wherever_they_come(servers: Servers) -> None:
    one, two = servers.lockouts
    assert [await fail(lockout) for lockout in (one, two, two, one, two)] == [True, True, True, False, False]
    assert not is_open(one) and not is_open(two)
    assert is_open(one, ELSEWHERE) and is_open(two, ELSEWHERE)


@pytest.mark.every_engine
async def test_what_is_locked_elsewhere_is_known_when_the_database_is_looked_at(servers: Servers) -> None:
    one, two = servers.lockouts
    for _ in range(3):
        await fail(one)
    assert is_open(two)
    await servers.read()
    assert not is_open(two)
    servers.watch.now += 60 * SECOND
    assert is_open(one) and is_open(two)


@pytest.mark.parametrize("engine", ["postgresql"], indirect=True)
async def test_postgresql_tells_who_listens_of_a_lockout(service: Service, servers: Servers) -> None:
    """Servers there look at the database when they are told to."""
    heard: list[str] = []
    listener = await asyncpg.connect(service.settings.database.url)
    await listener.add_listener("deployserver_access", lambda *message: heard.append(message[2]))
    for _ in range(2):
        await fail(servers.lockouts[0])
    await listener.fetchval("SELECT 1")
    assert heard == []
    await fail(servers.lockouts[1])

    async def is_heard() -> bool:
        return heard == ["deployserver_access"]

    await until(is_heard)
    await listener.close()


@pytest.mark.every_engine
async def test_after_a_lockout_and_after_a_while_failures_are_counted_anew(servers: Servers) -> None:
    one, two = servers.lockouts
    assert [await fail(one) for _ in range(4)] == [True, True, True, False]
    for _ in range(3):
        servers.watch.now += 60 * SECOND
        assert [await fail(lockout) for lockout in (two, one)] == [True, True]
        assert is_open(one) and is_open(two)
    assert await fail(two)
    assert not is_open(two) and not await fail(one)


@pytest.mark.every_engine
async def test_guesses_at_once_at_both_are_counted_one_by_one(servers: Servers) -> None:
    looked_at = await asyncio.gather(*(fail(servers.lockouts[number % 2]) for number in range(20)))
    assert sum(looked_at) == 3


@pytest.mark.every_engine
async def test_what_was_right_at_one_goes_on_working_at_the_other(service: Service, servers: Servers) -> None:
    """Also where the address is locked by a failure that comes to the other itself."""
    one, two = servers.lockouts
    one.succeeded(HERE, "API key 1")
    await fail(one, ELSEWHERE)  # what was right is written with it
    async with servers_of(service) as others:
        others.watch.now = servers.watch.now
        for lockout in (two, *others.lockouts[:1]):
            await asyncio.gather(*(fail(lockout) for _ in range(3)))
            await lockout.settled(HERE)
            assert is_open(lockout, HERE, "API key 1")
            assert not is_open(lockout, HERE, "API key 2")
            assert not is_open(lockout, HERE, None)
        await others.read()
        assert is_open(others.lockouts[1], HERE, "API key 1")
        assert not is_open(others.lockouts[1], HERE, "API key 2")


async def test_what_was_right_is_written_at_the_end(servers: Servers) -> None:
    servers.lockouts[0].succeeded(HERE, "API key 1")
    await servers.stop()
    assert await servers.rows("proven_credentials") == [(HERE,)]


@pytest.mark.every_engine
async def test_what_is_over_is_swept(service: Service) -> None:
    async with servers_of(service) as servers:
        for address in (HERE, ELSEWHERE):
            await fail(servers.lockouts[0], address)
        servers.lockouts[0].succeeded(HERE, "API key 1")
        await servers.stop()
        assert await servers.rows() == [(HERE,), (ELSEWHERE,)]
    async with servers_of(service) as servers:
        servers.watch.now += 31 * 86_400 * SECOND
        await fail(servers.lockouts[0], "192.0.2.3")
        assert await servers.rows() == [("192.0.2.3",)]
        assert await servers.rows("proven_credentials") == []


class Counting(SQLiteDatabase):
    """A database that counts what is committed."""

    commits = 0

    @asynccontextmanager
    async def connected_transaction(self) -> AsyncIterator[Connection]:
        async with super().connected_transaction() as connection:
            yield connection
        self.commits += 1


async def test_many_failures_share_a_commit(service: Service) -> None:
    """Deployments wait behind each."""
    store = Counting(service.store.path, 5)
    await store.open()
    async with SharedLockout(store, settings_with(service), Watch()) as lockout:
        await asyncio.gather(*(fail(lockout, f"10.0.{number >> 8}.{number & 255}") for number in range(1200)))
        assert store.commits <= 4
    await store.close()


async def test_guesses_cost_as_much_while_the_database_is_away(
    service: Service, servers: Servers, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each server counts for itself meanwhile, and what it has counted counts elsewhere afterwards."""
    monkeypatch.setattr("deployserver.shared_lockout._RETRY_SECONDS", 0.05)
    one, two = servers.lockouts
    away = service.store.path.with_suffix(".away")
    service.store.path.rename(away)
    assert [await fail(one) for _ in range(4)] == [True, True, True, False]
    assert "wrong credentials are counted by each process for itself" in caplog.text
    away.rename(service.store.path)

    async def is_known() -> bool:
        await servers.read()
        return not is_open(two)

    await until(is_known)


async def test_a_locked_database_holds_no_answer_back_for_long(
    servers: Servers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("deployserver.shared_lockout._PATIENCE_SECONDS", 0.1)
    async with servers.stores[1].transaction():
        async with asyncio.timeout(4):  # the database waits five seconds for the lock
            assert [await fail(servers.lockouts[0]) for _ in range(4)] == [True, True, True, False]


async def test_nothing_is_written_where_it_is_switched_off_or_nobody_shares(service: Service) -> None:
    async with servers_of(service, failures=0) as servers:
        assert all([await fail(servers.lockouts[0]) for _ in range(10)])
        servers.lockouts[0].succeeded(HERE, "API key 1")
        await servers.stop()
        assert await servers.rows() == await servers.rows("proven_credentials") == []
    memory = MemoryDatabase()
    await memory.open()
    async with SharedLockout(memory, settings_with(service), Watch()) as lockout:
        assert [await fail(lockout) for _ in range(4)] == [True, True, True, False]
    async with memory.snapshot() as repository:
        assert await repository.connection.rows("SELECT address FROM lockouts") == []
    await memory.close()


async def test_a_lockout_outlives_a_restart(service: Service) -> None:
    """Else whoever can make a server restart could go on guessing."""
    async with servers_of(service) as servers:
        for _ in range(3):
            await fail(servers.lockouts[0])
    async with servers_of(service) as servers:
        await servers.read()
        assert not is_open(servers.lockouts[0])
