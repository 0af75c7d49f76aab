"""The connections of a server to PostgreSQL: what cancels, cuts or closes them leaves no trace for who comes next."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress

import asyncpg
import pytest
from postgres import Cluster
from postgres_proxy import Proxy, standing_between
from processes import fetched, until
from test_postgresql_doubt import row, stored

from deployserver.errors import StoreUnavailable
from deployserver.storage.postgresql.database import PostgreSQLDatabase
from deployserver.storage.postgresql.pool import READERS


@pytest.fixture
async def url(cluster: Cluster, template: str) -> str:
    url = cluster.url(await cluster.make(template))
    await asyncio.to_thread(fetched, url, "INSERT INTO feeds (name, type, created_at) VALUES ('First', 'nuget', 0)")
    return url


@pytest.fixture
async def database(url: str) -> AsyncIterator[PostgreSQLDatabase]:
    opened = PostgreSQLDatabase(url, 2)
    await opened.open()
    yield opened
    await opened.close()


@pytest.fixture
def proxy(cluster: Cluster) -> Iterator[Proxy]:
    with standing_between(cluster.port) as proxy:
        yield proxy


async def test_tasks_that_are_cancelled_leave_connections_as_they_found_them(database: PostgreSQLDatabase) -> None:
    """At any moment: while connecting, asking, changing, committing and recording."""
    choice = random.Random(1)

    async def read() -> None:
        async with database.snapshot() as repository:
            await repository.revision()

    async def change() -> None:
        async with database.transaction() as repository:
            await repository.raise_revision()

    async def record() -> None:
        await database.add_deployments([row(f"web{choice.randrange(9)}")])

    for number in range(150):
        task = asyncio.create_task((read, change, record)[number % 3]())
        for _ in range(choice.randrange(12)):
            await asyncio.sleep(choice.choice([0, 0.0005]))
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    await asyncio.gather(*(read() for _ in range(2 * READERS)))
    await change()
    await record()


async def test_a_failed_block_changes_nothing_and_the_next_one_works(database: PostgreSQLDatabase) -> None:
    """A statement that failed, even one whose error nobody minds, must not be taken for a change that was stored."""

    async def change_and_fail() -> None:
        async with database.transaction() as repository:
            await repository.raise_revision()
            raise ZeroDivisionError

    async def change_and_ignore() -> None:
        async with database.transaction() as repository:
            await repository.raise_revision()
            with suppress(asyncpg.DataError):
                await repository.connection.driver.execute("SELECT 1 / 0")

    with pytest.raises(ZeroDivisionError):
        await change_and_fail()
    with pytest.raises(StoreUnavailable, match="Nothing was stored"):
        await change_and_ignore()
    async with database.snapshot() as repository:
        assert await repository.revision() == 1


async def test_connections_that_were_cut_while_idle_are_replaced(url: str, cluster: Cluster, proxy: Proxy) -> None:
    """A firewall forgets what was silent for long; neither reader nor writer notices."""
    database = PostgreSQLDatabase(url.replace(str(cluster.port), str(proxy.port)), 2)
    await database.open()
    try:
        for number in range(1, 4):
            async with database.snapshot() as repository:
                assert await repository.revision() == 1
            assert list(await database.add_deployments([row()])) == [number]
            proxy.cut_all()
    finally:
        await database.close()


async def test_what_the_caller_does_wrong_is_not_blamed_on_the_database(database: PostgreSQLDatabase) -> None:
    """A full disk under an export is not the database's."""
    with pytest.raises(BrokenPipeError):
        async with database.snapshot():
            raise BrokenPipeError
    async with database.snapshot() as repository:
        assert await repository.revision() == 1


async def test_closing_ends_what_is_under_way(url: str) -> None:
    """A reader may finish; nothing that comes later is let in, and no connection is left."""
    database = PostgreSQLDatabase(f"{url}?application_name=closing", 2)
    await database.open()
    async with database.snapshot() as repository:
        await database.changed(0)
        await database.close()
        assert await repository.revision() == 1
    for refused in (database.snapshot(), database.transaction()):
        with pytest.raises(StoreUnavailable):
            async with refused:
                pass
    with pytest.raises(StoreUnavailable):
        await database.add_deployments([row()])
    left = "SELECT 1 FROM pg_stat_activity WHERE application_name = 'closing'"
    await until(lambda: fetched(url, left) == [])


async def test_a_database_that_says_nothing_is_left_all_the_same(url: str, cluster: Cluster, proxy: Proxy) -> None:
    """A server stops as it should, too, while the network to its database swallows everything."""
    database = PostgreSQLDatabase(url.replace(str(cluster.port), str(proxy.port)), 0.1)
    await database.open()
    async with database.snapshot() as repository:
        assert await repository.revision() == 1
    proxy.freeze()
    await database.close()


async def test_a_change_is_heard_of_at_once(database: PostgreSQLDatabase, url: str) -> None:
    """Who waits is woken by what another process changes, and by nothing else."""
    await until(lambda: _is_quiet(database))
    waiting = asyncio.create_task(database.changed(60))
    await asyncio.to_thread(fetched, url, "UPDATE access_revision SET revision = revision + 1")
    assert await asyncio.wait_for(waiting, 10) is True
    await until(lambda: _is_quiet(database))


async def test_who_listens_in_vain_is_told_to_look(url: str, cluster: Cluster, proxy: Proxy) -> None:
    """While the connection that listens is cut, every change may be missed; afterwards it listens again."""
    database = PostgreSQLDatabase(url.replace(str(cluster.port), str(proxy.port)), 2)
    await database.open()
    try:
        await until(lambda: _is_quiet(database))
        proxy.refusing = True
        proxy.cut_all()
        assert await database.changed(60) is True
        assert await database.changed(0) is True
        assert await database.changed(0) is True
        proxy.refusing = False
        await until(lambda: _is_quiet(database))
    finally:
        await database.close()


async def test_while_it_is_away_nobody_tries_but_one(url: str, cluster: Cluster, proxy: Proxy) -> None:
    """A hundred requests must not become a hundred attempts, nor wait for one."""
    database = PostgreSQLDatabase(url.replace(str(cluster.port), str(proxy.port)), 2)
    await database.open()
    try:
        await database.add_deployments([row()])
        proxy.refusing = True
        proxy.cut_all()
        before = proxy.accepted
        for _ in range(100):
            for refused in (database.snapshot(), database.transaction()):
                with pytest.raises(StoreUnavailable):
                    async with refused:
                        pass
        assert proxy.accepted - before < 20
        proxy.refusing = False
        await until(lambda: _is_readable(database))
        assert list(await database.add_deployments([row()])) == [2]
    finally:
        await database.close()


async def test_servers_that_meet_new_names_at_once_add_each_once(url: str) -> None:
    """An installation that differs in letter case only is the same, whichever server met it, in one batch or two."""
    databases = [PostgreSQLDatabase(url, 10) for _ in range(3)]
    for database in databases:
        await database.open()
    try:
        for number in range(10):
            spellings = [f"Web{number}", f"WEB{number}", f"web{number}"]
            await asyncio.gather(
                *(
                    database.add_deployments([row(spelling) for spelling in spellings[index:] + spellings[:index]])
                    for index, database in enumerate(databases)
                )
            )
    finally:
        for database in databases:
            await database.close()
    assert [number for number, _ in stored(url)] == list(range(1, 91))
    same = fetched(url, "SELECT count(*), count(same_as), count(DISTINCT coalesce(same_as, id)) FROM installations")
    assert tuple(same[0]) == (30, 20, 10)
    assert tuple(fetched(url, "SELECT count(*) FROM names WHERE kind = 'target'")[0]) == (30,)


async def _is_quiet(database: PostgreSQLDatabase) -> bool:
    return not await database.changed(0.1)


async def _is_readable(database: PostgreSQLDatabase) -> bool:
    try:
        async with database.snapshot():
            return True
    except StoreUnavailable:
        return False
