"""A connection to PostgreSQL that breaks while a batch is on its way loses nothing and doubles nothing."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Iterator

import aiohttp
import pytest
from conftest import RECORD, Service, StartService
from postgres import Cluster
from postgres_proxy import Moment, Proxy, standing_between
from processes import Load, check, fetched, until

from deployserver.administration import Administration
from deployserver.clock import now
from deployserver.errors import StoreInDoubt, StoreUnavailable
from deployserver.feeds import add_feed
from deployserver.models import DeploymentRow
from deployserver.storage.postgresql.database import PostgreSQLDatabase


@pytest.fixture
async def url(cluster: Cluster, template: str) -> str:
    return cluster.url(await cluster.make(template))


@pytest.fixture
def proxy(cluster: Cluster) -> Iterator[Proxy]:
    with standing_between(cluster.port) as proxy:
        yield proxy


@pytest.fixture
def database_url(url: str, proxy: Proxy, cluster: Cluster) -> str:
    return url.replace(str(cluster.port), str(proxy.port))


@pytest.fixture
async def database(url: str, database_url: str) -> AsyncIterator[PostgreSQLDatabase]:
    """A database through the proxy, with a feed of the number 1, and little patience."""
    fetched(url, "INSERT INTO feeds (name, type, created_at) VALUES ('First', 'nuget', 0)")
    opened = PostgreSQLDatabase(database_url, 0.3)
    await opened.open()
    yield opened
    await opened.close()


def row(target: str = "web1") -> DeploymentRow:
    return DeploymentRow(
        feed_id=1,
        application="a",
        description="d",
        target=target,
        package_name="p",
        version="1",
        group_name=None,
        user_name="u",
        url=None,
        date=1,
        recorded_at=1,
        recorded_by="API",
        recorded_key_id=None,
    )


def stored(url: str) -> list[tuple[int, str]]:
    return [tuple(found) for found in fetched(url, "SELECT id, target FROM deployment_records ORDER BY id")]


@pytest.mark.parametrize("moment", ["before", "meanwhile", "after", "silent"])
async def test_a_batch_whose_answer_is_lost_is_there_once(
    database: PostgreSQLDatabase, url: str, proxy: Proxy, moment: Moment
) -> None:
    """Whether it was committed is looked up over a new connection, and it is written again only if it was not."""
    assert list(await database.add_deployments([row()])) == [1]
    proxy.cuts = lambda number: moment if number == 2 else None
    assert list(await database.add_deployments([row("web1"), row("web1")])) == [2, 3]
    assert proxy.cut == [moment]
    assert list(await database.add_deployments([row("new")])) == [4]
    assert stored(url) == [(1, "web1"), (2, "web1"), (3, "web1"), (4, "new")]


@pytest.mark.parametrize("moment", ["before", "after"])
async def test_what_nobody_knows_is_said_to_be_unknown(
    database: PostgreSQLDatabase, url: str, proxy: Proxy, moment: Moment
) -> None:
    """A database that stays away ends the waiting; the answer does not claim that the record is not there."""
    await database.add_deployments([row()])

    def cut(number: int) -> Moment | None:
        proxy.refusing = True
        return moment

    proxy.cuts = cut
    with pytest.raises(StoreInDoubt, match="It is not known whether the deployment was stored"):
        await database.add_deployments([row()])
    with pytest.raises(StoreUnavailable, match="could not be stored"):  # at once: nothing of it has been sent
        await database.add_deployments([row("refused")])
    proxy.refusing, proxy.cuts = False, lambda number: None
    await until(lambda: _is_taken(database))
    assert "refused" not in [target for _, target in stored(url)]


async def test_who_cannot_be_told_whether_it_was_stored_is_told_nothing(
    start: StartService, url: str, proxy: Proxy
) -> None:
    """A 503 would say that it was not: the connection is broken off, as when the server itself is killed."""
    service = await start(database_busy_timeout=0.3)
    assert (await service.post(RECORD)).status == 200

    def cut(number: int) -> Moment | None:
        proxy.refusing = True
        return "after"

    proxy.cuts = cut
    with pytest.raises(aiohttp.ClientError):
        await service.post(RECORD)
    assert (await service.post(RECORD)).status == 503
    assert len(stored(url)) == 2
    proxy.refusing, proxy.cuts = False, lambda number: None


async def test_what_comes_late_over_the_old_connection_is_not_stored(
    database: PostgreSQLDatabase, url: str, cluster: Cluster
) -> None:
    """A statement that the server gets to after its batch was written again must fail: it would be there twice."""
    await database.add_deployments([row()])
    writer = database._writer
    late = (writer._id, writer._generation, writer._batch + 1)
    assert writer._connection is not None
    writer._connection.driver.terminate()
    assert list(await database.add_deployments([row()])) == [2]
    record = "(1, 1, 1, 1, 'd', NULL, 1, 1, 1, 1)::stored_deployment"
    call = f"SELECT record_batch('{late[0]}', {late[1]}, {late[2]}, ARRAY[{record}])"
    with pytest.raises(Exception, match="another connection"):
        fetched(url, call)
    assert [number for number, _ in stored(url)] == [1, 2]


async def test_a_writer_that_was_swept_away_makes_itself_known_again(database: PostgreSQLDatabase, url: str) -> None:
    """Rows of writers are removed a day after their last batch, though the process may only have been idle."""
    await database.add_deployments([row()])
    fetched(url, "DELETE FROM writers")
    assert list(await database.add_deployments([row()])) == [2]


async def test_a_change_whose_commit_is_lost_is_said_to_be_unknown(
    database: PostgreSQLDatabase, url: str, proxy: Proxy
) -> None:
    """An administrator is told to look, and not that nothing was changed."""
    proxy.statements = (b"COMMIT",)
    proxy.cuts = lambda number: "after" if number == 1 else None
    admin = Administration(database, "test", now)
    with pytest.raises(StoreUnavailable, match="It is not known whether this was stored"):
        await add_feed(admin, "Another")
    assert [found["name"] for found in fetched(url, "SELECT name FROM feeds ORDER BY id")][-1] == "Another"
    assert "Another" in [feed.name for feed in (await admin.access()).feeds.values()]


async def test_connections_cut_at_random_under_load_cost_no_record(service: Service, url: str, proxy: Proxy) -> None:
    """What was acknowledged is there exactly once, and what was refused is not there, however often it is cut."""
    choice = random.Random(1)
    moments: tuple[Moment, ...] = ("before", "meanwhile", "after")
    proxy.cuts = lambda number: choice.choice(moments) if choice.random() < 0.25 else None
    async with Load(service.url, "load") as load:
        await until(lambda: len(proxy.cut) > 20)
        proxy.cut_all()
        await load.reached(50)
    assert load.unanswered == []
    assert load.statuses <= {503}
    await asyncio.to_thread(check, url, load)


async def _is_taken(database: PostgreSQLDatabase) -> bool:
    try:
        await database.add_deployments([row("taken")])
    except StoreUnavailable:
        return False
    return True
