"""What only readers need is derived a moment later: all of it, once, whatever happens meanwhile."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import sqlite3
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from conftest import Service
from indexed import check_indexed, newest
from reading import DAY, found, ids, record, row, rows
from waiting import until

from deployserver.models import DeploymentRow
from deployserver.storage import Indexer, SQLiteDatabase, indexer
from deployserver.storage.indexing import CHARACTERS_AT_ONCE, index_next
from deployserver.storage.migrator import migrate


@pytest.fixture
async def database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[SQLiteDatabase]:
    """An open database with two feeds, and an indexer that looks often and takes little at once."""
    monkeypatch.setattr(indexer, "EVERY_SECONDS", 0.01)
    monkeypatch.setattr(indexer, "AT_ONCE", 7)
    path = tmp_path / "test.db"
    migrate(path)
    with contextlib.closing(sqlite3.connect(path)) as connection, connection:
        connection.executemany(
            "INSERT INTO feeds (id, name, type, created_at) VALUES (?, ?, 'x', 0)", [(1, "a"), (2, "b")]
        )
    opened = SQLiteDatabase(path, 0.2)
    await opened.open()
    try:
        yield opened
    finally:
        await opened.close()


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


async def index(database: SQLiteDatabase, at_once: int) -> bool:
    async with database.connected_transaction() as connection:
        return await index_next(connection, at_once)


def behind(database: SQLiteDatabase) -> int:
    indexed, newest_id = newest(database.path)
    return newest_id - indexed


async def caught_up(database: SQLiteDatabase) -> None:
    async def done() -> bool:
        return behind(database) == 0

    await until(done)


# One step


async def test_a_step_takes_so_many_records_and_no_more(database: SQLiteDatabase) -> None:
    await database.add_deployments(some(25))
    assert [(await index(database, 10), newest(database.path)[0]) for _ in range(4)] == [
        (True, 10),
        (True, 20),
        (True, 25),
        (False, 25),
    ]
    check_indexed(database.path)


async def test_a_gap_of_any_width_is_one_step(database: SQLiteDatabase) -> None:
    """Ids are never used again, so that a feed that was removed leaves as wide a gap as it had records."""
    await database.add_deployments(some(5))
    async with database.connected_transaction() as connection:
        await connection.execute("UPDATE sqlite_sequence SET seq = 5000000000000 WHERE name = 'deployments'")
    await database.add_deployments(some(5))
    async with Indexer(database, lambda: False):
        await caught_up(database)
    check_indexed(database.path)


async def test_a_removed_feed_leaves_nothing_to_do(database: SQLiteDatabase) -> None:
    await database.add_deployments(rows(20, feed_id=2))
    await index(database, 10)
    async with database.connected_transaction() as connection:
        await connection.execute("DELETE FROM feeds WHERE id = 2")
    assert not await index(database, 10)
    await database.add_deployments(rows(3))
    async with Indexer(database, lambda: False):
        await caught_up(database)
    assert newest(database.path) == (23, 23)


async def test_a_step_that_fails_changes_nothing(database: SQLiteDatabase) -> None:
    await database.add_deployments(some(10))

    async def fail() -> None:
        async with database.connected_transaction() as connection:
            await index_next(connection, 5)
            raise ZeroDivisionError

    for _ in range(3):
        with pytest.raises(ZeroDivisionError):
            await fail()
    assert newest(database.path) == (0, 10)
    while await index(database, 3):
        pass
    check_indexed(database.path)


# The task


async def test_it_catches_up_with_whatever_there_is(database: SQLiteDatabase) -> None:
    """What was there before it began, and what comes."""
    await database.add_deployments(some(50))
    async with Indexer(database, lambda: False):
        await caught_up(database)
        for _ in range(5):
            await database.add_deployments(some(10))
            await caught_up(database)
    check_indexed(database.path)


async def test_it_waits_while_deployments_wait(database: SQLiteDatabase) -> None:
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
        assert behind(database) == 30
        busy = False
        await caught_up(database)
    check_indexed(database.path)


async def test_it_does_not_fall_behind_without_end(database: SQLiteDatabase, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where deployments never cease, what readers have to look through by themselves is bounded."""
    monkeypatch.setattr(indexer, "FAR_BEHIND", 20)
    await database.add_deployments(some(100))

    async def near() -> bool:
        return behind(database) < 20

    async with Indexer(database, lambda: True):
        await until(near)
        await asyncio.sleep(0.05)
        assert 13 <= behind(database) < 20


@pytest.mark.skipif(sys.platform == "win32", reason="Windows does not let an open file be moved")
async def test_it_outlives_a_database_that_is_away(
    database: SQLiteDatabase, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """It says so once, and goes on when it is back; what is behind it is not done twice."""

    def warnings() -> list[str]:
        return [entry.message for entry in caplog.records if entry.levelno >= logging.WARNING]

    async def warned() -> bool:
        return bool(warnings())

    async with Indexer(database, lambda: False):
        await database.add_deployments(some(10))
        await caught_up(database)
        for times in (1, 2):
            await database.add_deployments(some(10))
            moved = database.path.rename(tmp_path / "moved.db")
            await until(warned)
            await asyncio.sleep(0.1)
            (message,) = warnings()
            assert message.startswith("records cannot be indexed now: ")
            assert "None" not in message
            moved.rename(database.path)
            await caught_up(database)
            check_indexed(database.path)
            assert newest(database.path)[1] == 10 + 10 * times
            await asyncio.sleep(0.05)
            caplog.clear()


async def test_it_outlives_a_database_that_is_locked(
    database: SQLiteDatabase, caplog: pytest.LogCaptureFixture
) -> None:
    await database.add_deployments(some(10))

    async def warned() -> bool:
        return any("database is locked" in entry.message for entry in caplog.records)

    with contextlib.closing(sqlite3.connect(database.path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        async with Indexer(database, lambda: False):
            await until(warned)
            other.execute("ROLLBACK")
            await caught_up(database)
    check_indexed(database.path)


async def test_it_outlives_what_nobody_expects(database: SQLiteDatabase, caplog: pytest.LogCaptureFixture) -> None:
    """It is logged with all there is to know, and tried again."""
    failures = iter([ZeroDivisionError("once"), ZeroDivisionError("twice")])

    def busy() -> bool:
        for failure in failures:
            raise failure
        return False

    await database.add_deployments(some(10))
    async with Indexer(database, busy):
        await caught_up(database)
    assert [entry.message for entry in caplog.records if entry.exc_info] == ["indexing records failed"] * 2
    check_indexed(database.path)


async def test_it_stops_at_once_wherever_it_is(database: SQLiteDatabase) -> None:
    """What it was at is undone whole, and done again by the next."""
    await database.add_deployments(some(200))
    for turns in range(40):
        async with Indexer(database, lambda: False):
            await asyncio.sleep(0.01)
            for _ in range(turns):
                await asyncio.sleep(0)
    async with Indexer(database, lambda: False):
        await caught_up(database)
    check_indexed(database.path)


# In a server


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
        return newest(service.store.path) == (12, 12)

    await until(done)
    check_indexed(service.store.path)


async def test_long_texts_are_indexed_in_smaller_parts(database: SQLiteDatabase) -> None:
    """What is being indexed keeps deployments waiting, and long texts take long."""
    long = DeploymentRow(1, "a", "x" * 16_000, "t", "p", "1", None, "u", None, 0, 0, "r", None)
    await database.add_deployments([long] * 60)
    parts, indexed = 0, True
    while indexed:
        async with database.connected_transaction() as connection:
            indexed = await index_next(connection, 1000)
        parts += indexed
    assert parts >= 60 * 16_000 // CHARACTERS_AT_ONCE


async def test_others_come_to_write_while_much_is_indexed(
    database: SQLiteDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The lock is free for a moment between two transactions, but whoever waits for it does not look all the time."""
    monkeypatch.setattr(indexer, "AT_ONCE", 1000)
    await database.add_deployments(rows(5000, description="x" * 16_000, feed_id=1))

    def write() -> None:
        with contextlib.closing(sqlite3.connect(database.path, timeout=3)) as other:
            for _ in range(3):
                other.execute("BEGIN IMMEDIATE")
                other.execute("COMMIT")

    async with Indexer(database, lambda: False):
        await asyncio.sleep(0.1)
        await asyncio.to_thread(write)
        async with database.snapshot() as repository:
            assert await repository.unindexed() > 0
