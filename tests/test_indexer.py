"""What only readers need is derived a moment later: all of it, once, whatever happens meanwhile."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import sqlite3
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from pathlib import Path

import pytest
from conftest import Service
from indexed import Execute, check_all_indexed, newest_of
from reading import DAY, found, ids, record, row, rows
from stores import Stores
from waiting import until

from deployserver.models import DeploymentRow
from deployserver.storage import Database, Indexer, SQLiteDatabase, indexer
from deployserver.storage.indexing import CHARACTERS_AT_ONCE, index_next
from deployserver.storage.postgresql import texts
from deployserver.storage.repository import Repository


@pytest.fixture
async def database(stores: Stores, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Database]:
    """An open database with some feeds, and an indexer that looks often and takes little at once."""
    monkeypatch.setattr(indexer, "EVERY_SECONDS", 0.01)
    monkeypatch.setattr(indexer, "AT_ONCE", 7)
    monkeypatch.setattr(texts, "COMMON", 1_000_000)  # so that the index is asked for all words
    async with stores.opened() as opened:
        yield opened


@pytest.fixture
def path(database: Database) -> Path:
    """Where the database is, for what only a file can be."""
    if not isinstance(database, SQLiteDatabase):
        pytest.skip("it is no file")
    return database.path


@pytest.fixture
def execute(stores: Stores, database: Database) -> Execute:
    return partial(stores.execute, database)


def some(count: int) -> list[DeploymentRow]:
    """Return records of several feeds, days, and names, before 1970 too."""
    return [
        row(
            number,
            feed_id=1 + number % 2,
            application=f"app {number % 3}",
            version=str(number % 4),
            user_name=f"user {number % 5}",
            date=(number - count // 2) * DAY // 3 - 1,
        )
        for number in range(count)
    ]


async def index(database: Database, at_once: int) -> bool:
    async with database.indexing_transaction() as connection:
        return await index_next(connection, at_once)


async def behind(execute: Execute) -> int:
    indexed, newest_id = await newest_of(execute)
    return newest_id - indexed


async def caught_up(execute: Execute) -> None:
    async def done() -> bool:
        return await behind(execute) == 0

    await until(done)


# One step


async def test_a_step_takes_so_many_records_and_no_more(database: Database, execute: Execute) -> None:
    await database.add_deployments(some(25))
    assert [(await index(database, 10), (await newest_of(execute))[0]) for _ in range(4)] == [
        (True, 10),
        (True, 20),
        (True, 25),
        (False, 25),
    ]
    await check_all_indexed(database, execute)


async def test_a_gap_of_any_width_is_one_step(database: Database, execute: Execute) -> None:
    """Ids are never used again, so that a feed that was removed leaves as wide a gap as it had records."""
    await database.add_deployments(some(5))
    async with database.transaction() as repository:
        await repository.skip_deployment_ids(5_000_000_000_000)
    await database.add_deployments(some(5))
    async with Indexer(database, lambda: False):
        await caught_up(execute)
    await check_all_indexed(database, execute)


async def test_a_removed_feed_leaves_nothing_to_do(database: Database, execute: Execute) -> None:
    await database.add_deployments(rows(20, feed_id=2))
    await index(database, 10)
    async with database.transaction() as repository:
        await repository.remove_feed(2)
    assert not await index(database, 10)
    await database.add_deployments(rows(3))
    async with Indexer(database, lambda: False):
        await caught_up(execute)
    assert await newest_of(execute) == (23, 23)


async def test_a_step_that_fails_changes_nothing(database: Database, execute: Execute) -> None:
    await database.add_deployments(some(10))

    async def fail() -> None:
        async with database.indexing_transaction() as connection:
            await index_next(connection, 5)
            raise ZeroDivisionError

    for _ in range(3):
        with pytest.raises(ZeroDivisionError):
            await fail()
    assert await newest_of(execute) == (0, 10)
    while await index(database, 3):
        pass
    await check_all_indexed(database, execute)


# The task


async def test_it_catches_up_with_whatever_there_is(database: Database, execute: Execute) -> None:
    """What was there before it began, and what comes."""
    await database.add_deployments(some(50))
    async with Indexer(database, lambda: False):
        await caught_up(execute)
        for _ in range(5):
            await database.add_deployments(some(10))
            await caught_up(execute)
    await check_all_indexed(database, execute)


async def test_it_waits_while_deployments_wait(database: Database, execute: Execute) -> None:
    """They go first; readers look through the rest by themselves."""
    asked = 0
    busy = True

    def is_busy() -> bool:
        nonlocal asked
        asked += 1
        return busy

    async def asked_often() -> bool:
        return asked > 5

    await database.add_deployments(some(30))
    async with Indexer(database, is_busy):
        await until(asked_often)
        assert await behind(execute) == 30
        busy = False
        await caught_up(execute)
    await check_all_indexed(database, execute)


async def test_a_deputy_takes_over_where_nobody_else_indexes(
    database: Database, execute: Execute, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of several workers one indexes; should it be away, readers must not slow down for ever."""
    monkeypatch.setattr(indexer, "DEPUTY_SECONDS", 0.01)
    await database.add_deployments(some(50))
    async with Indexer(database, lambda: False, deputy=True):
        await caught_up(execute)
    await check_all_indexed(database, execute)


async def test_a_deputy_leaves_indexing_to_others(
    database: Database, execute: Execute, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It finds fewer records to index each time it looks, and needs no lock for that."""
    monkeypatch.setattr(indexer, "DEPUTY_SECONDS", 0.01)
    await database.add_deployments(some(50))
    looks, snapshot = 0, database.snapshot

    @asynccontextmanager
    async def watched() -> AsyncIterator[Repository]:
        nonlocal looks
        await index(database, 7)
        looks += 1
        async with snapshot() as repository:
            yield repository

    async def looked_often() -> bool:
        return looks > 10

    monkeypatch.setattr(database, "snapshot", watched)
    async with Indexer(database, pytest.fail, deputy=True):  # which is asked before it indexes anything
        await until(looked_often)
    monkeypatch.undo()
    await check_all_indexed(database, execute)


async def test_it_does_not_fall_behind_without_end(
    database: Database, execute: Execute, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where deployments never cease, what readers have to look through by themselves is bounded."""
    monkeypatch.setattr(indexer, "FAR_BEHIND", 20)
    await database.add_deployments(some(100))

    async def near() -> bool:
        return await behind(execute) < 20

    async with Indexer(database, lambda: True):
        await until(near)
        await asyncio.sleep(0.05)
        assert 13 <= await behind(execute) < 20


@pytest.mark.skipif(sys.platform == "win32", reason="Windows does not let an open file be moved")
async def test_it_outlives_a_database_that_is_away(
    database: Database, execute: Execute, path: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """It says so once, and goes on when it is back; what is behind it is not done twice."""

    def warnings() -> list[str]:
        return [entry.message for entry in caplog.records if entry.levelno >= logging.WARNING]

    async def warned() -> bool:
        return bool(warnings())

    async with Indexer(database, lambda: False):
        await database.add_deployments(some(10))
        await caught_up(execute)
        for times in (1, 2):
            await database.add_deployments(some(10))
            moved = path.rename(tmp_path / "moved.db")
            await until(warned)
            await asyncio.sleep(0.1)
            (message,) = warnings()
            assert message.startswith("records cannot be indexed now: ")
            assert "None" not in message
            moved.rename(path)
            await caught_up(execute)
            await check_all_indexed(database, execute)
            assert (await newest_of(execute))[1] == 10 + 10 * times
            await asyncio.sleep(0.05)
            caplog.clear()


async def test_it_outlives_a_database_that_is_locked(
    database: Database, execute: Execute, path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    await database.add_deployments(some(10))

    async def warned() -> bool:
        return any("database is locked" in entry.message for entry in caplog.records)

    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        async with Indexer(database, lambda: False):
            await until(warned)
            other.execute("ROLLBACK")
            await caught_up(execute)
    await check_all_indexed(database, execute)


async def test_it_outlives_what_nobody_expects(
    database: Database, execute: Execute, caplog: pytest.LogCaptureFixture
) -> None:
    """It is logged with all there is to know, and tried again."""
    failures = iter([ZeroDivisionError("once"), ZeroDivisionError("twice")])

    def busy() -> bool:
        for failure in failures:
            raise failure
        return False

    await database.add_deployments(some(10))
    async with Indexer(database, busy):
        await caught_up(execute)
    assert [entry.message for entry in caplog.records if entry.exc_info] == ["indexing records failed"] * 2
    await check_all_indexed(database, execute)


async def test_it_stops_at_once_wherever_it_is(database: Database, execute: Execute) -> None:
    """What it was at is undone whole, and done again by the next."""
    await database.add_deployments(some(200))
    for turns in range(40):
        async with Indexer(database, lambda: False):
            await asyncio.sleep(0.01)
            for _ in range(turns):
                await asyncio.sleep(0)
    async with Indexer(database, lambda: False):
        await caught_up(execute)
    await check_all_indexed(database, execute)


# Several of them


@pytest.mark.parametrize("at_once", [3, 50])
async def test_of_several_only_one_indexes_and_all_is_indexed_once(
    stores: Stores, database: Database, execute: Execute, at_once: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As of servers on one database, while records come: nothing is counted twice, or left out."""
    monkeypatch.setattr(indexer, "AT_ONCE", at_once)
    async with AsyncExitStack() as stack:
        others = [await stack.enter_async_context(stores.another(database)) for _ in range(3)]
        for each in (database, *others):
            await stack.enter_async_context(Indexer(each, lambda: False))
        for number in range(12):
            await (database, *others)[number % 4].add_deployments(some(10))
        await caught_up(execute)
    await check_all_indexed(database, execute)


async def test_who_comes_while_another_indexes_leaves_it_and_records(
    stores: Stores, database: Database, execute: Execute
) -> None:
    """PostgreSQL's only: whoever writes to SQLite is alone anyway."""
    if isinstance(database, SQLiteDatabase):
        pytest.skip("SQLite has one writer")
    await database.add_deployments(some(20))
    async with stores.another(database) as other:
        async with database.indexing_transaction() as connection:
            assert await index_next(connection, 10)
            assert not await index(other, 10)
            for each in (database, other):
                await each.add_deployments(some(1))
        assert await newest_of(execute) == (10, 22)
        while await index(other, 10):
            pass
    await check_all_indexed(database, execute)


# In a server


@pytest.mark.every_engine
async def test_readers_do_not_see_how_far_it_is(service: Service) -> None:
    """The answer is the same before, while and after records are indexed."""
    expected = []
    for number in range(12):
        item = await record(service, UserName=f"user {number % 2}", Description=f"word{number % 2} {number}")
        expected.insert(0, item["Id"])
        for which in (0, 1):
            wanted = [id_ for id_ in expected if (id_ - 1) % 2 == which]
            assert await ids(service, user=f"user {which}") == wanted
            assert await ids(service, q=f"word{which}") == wanted
            counted = sum(one["Count"] for one in await found(service, "/frequency", user=f"user {which}"))
            assert counted == len(wanted)
        await asyncio.sleep(0.1)

    async def done() -> bool:
        async with service.store.snapshot() as repository:
            return await repository.unindexed() == 0

    await until(done)


async def test_long_texts_are_indexed_in_smaller_parts(database: Database, execute: Execute) -> None:
    """What is being indexed keeps deployments waiting, and long texts take long."""
    long = DeploymentRow(1, "a", "x" * 16_000, "t", "p", "1", None, "u", None, 0, 0, "r", None)
    await database.add_deployments([long] * 60)
    parts, indexed = 0, True
    while indexed:
        async with database.indexing_transaction() as connection:
            indexed = await index_next(connection, 1000)
        parts += indexed
    assert parts >= 60 * 16_000 // CHARACTERS_AT_ONCE


async def test_others_come_to_write_while_much_is_indexed(
    database: Database, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The lock is free for a moment between two transactions, but whoever waits for it does not look all the time."""
    monkeypatch.setattr(indexer, "AT_ONCE", 1000)
    await database.add_deployments(rows(5000, description="x" * 16_000, feed_id=1))

    def write() -> None:
        with contextlib.closing(sqlite3.connect(path, timeout=3)) as other:
            for _ in range(3):
                other.execute("BEGIN IMMEDIATE")
                other.execute("COMMIT")

    async with Indexer(database, lambda: False):
        await asyncio.sleep(0.1)
        await asyncio.to_thread(write)
        async with database.snapshot() as repository:
            assert await repository.unindexed() > 0
