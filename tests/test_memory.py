"""A database in memory holds what a file does, and is gone when it is closed."""

from __future__ import annotations

import asyncio

import pytest
from conftest import FEED

from deployserver.administration import Administration
from deployserver.clock import now
from deployserver.errors import StoreUnavailable
from deployserver.feeds import add_feed
from deployserver.filters import RecordFilter
from deployserver.models import DeploymentRow
from deployserver.storage import MemoryDatabase, RowRejected


def row(version: str, feed_id: int = 1) -> DeploymentRow:
    return DeploymentRow(feed_id, "app", "why", "web01", "pkg", version, None, "me", None, 1, 2, "API key 1", None)


async def opened() -> MemoryDatabase:
    database = MemoryDatabase()
    await database.open()
    return database


async def versions(database: MemoryDatabase) -> list[str]:
    async with database.records() as records:
        return [record.row.version for record in await records.history(RecordFilter(), None, 100)]


async def with_feed() -> MemoryDatabase:
    database = await opened()
    await add_feed(Administration(database, "test", now), FEED)
    return database


async def test_it_is_migrated_and_empty_and_keeps_what_it_is_given() -> None:
    database = await with_feed()
    assert list(await database.add_deployments([row("1.0"), row("2.0")])) == [1, 2]
    assert await versions(database) == ["2.0", "1.0"]
    await database.close()


async def test_two_of_them_share_nothing() -> None:
    one, other = await with_feed(), await with_feed()
    await one.add_deployments([row("1.0")])
    assert await versions(other) == []
    await one.close()
    await other.close()


async def test_readers_and_writers_take_turns() -> None:
    database = await with_feed()
    await asyncio.gather(*(database.add_deployments([row(f"{n}.0")]) for n in range(50)), versions(database))
    assert len(await versions(database)) == 50
    await database.close()


async def test_a_batch_that_cannot_be_stored_leaves_nothing_behind() -> None:
    database = await with_feed()
    with pytest.raises(RowRejected):
        await database.add_deployments([row("1.0"), row("2.0", feed_id=99)])
    assert await versions(database) == []
    await database.close()


async def test_what_is_changed_at_once_is_changed_or_not() -> None:
    database = await with_feed()
    async with database.at_once() as within:
        await within.add_deployments([row("1.0")])
        await add_feed(Administration(within, "test", now), "other")

    async def fail() -> None:
        async with database.at_once() as within:
            await within.add_deployments([row("2.0")])
            await within.add_deployments([row("3.0", feed_id=99)])

    with pytest.raises(RowRejected):
        await fail()
    assert await versions(database) == ["1.0"]
    assert list(await database.add_deployments([row("4.0")])) == [2]
    await database.close()


async def test_it_says_so_when_it_is_closed() -> None:
    database = await with_feed()
    await database.close()
    with pytest.raises(StoreUnavailable):
        await versions(database)
    with pytest.raises(StoreUnavailable):
        await database.add_deployments([row("1.0")])


async def test_it_tells_once_that_it_has_grown() -> None:
    database = await with_feed()
    assert not database.has_grown()
    await database.add_deployments([row("1.0")])
    assert database.has_grown()
    assert not database.has_grown()
    await database.close()
