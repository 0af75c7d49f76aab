"""The SQLite driver: what is stored together is stored whole, and a reader sees one state of it."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import sqlite3
import sys
import threading
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from processes import until

from deployserver.errors import DatabaseError, StoreUnavailable
from deployserver.models import DeploymentRow
from deployserver.storage import RowRejected, SQLiteDatabase
from deployserver.storage.sqlite import connection
from deployserver.storage.sqlite.connection import ROWS_PER_STATEMENT
from deployserver.storage.sqlite.migrator import migrate

posix_only = pytest.mark.skipif(sys.platform == "win32", reason="Windows does not let an open file be replaced")

SIZES = [1, 2, ROWS_PER_STATEMENT - 1, ROWS_PER_STATEMENT, ROWS_PER_STATEMENT + 1, 3 * ROWS_PER_STATEMENT + 7]


def rows(count: int, feed_id: int = 1) -> list[DeploymentRow]:
    return [
        DeploymentRow(feed_id, "ProfitCalc", "", f"server {n}", "x", "1", None, "ci", None, n, n, "ci", None)
        for n in range(count)
    ]


def new_file(path: Path, feed: str = "DefaultNuGet") -> Path:
    """Make a database with one feed."""
    migrate(path)
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute("INSERT INTO feeds (name, type, created_at) VALUES (?, 'nuget', 0)", (feed,))
        connection.commit()
    return path


def stored(path: Path) -> list[tuple[int, str]]:
    """Return the ids and targets of the deployments in a file, as another process sees them."""
    with contextlib.closing(sqlite3.connect(path)) as connection:
        return connection.execute("SELECT id, target FROM deployment_records ORDER BY id").fetchall()


def revision(path: Path) -> int:
    with contextlib.closing(sqlite3.connect(path)) as connection:
        return int(connection.execute("SELECT revision FROM access_revision").fetchone()[0])


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[SQLiteDatabase]:
    """An open database with one feed."""
    opened = SQLiteDatabase(new_file(tmp_path / "test.db"), 0.2)
    await opened.open()
    try:
        yield opened
    finally:
        await opened.close()


# Deployments


@pytest.mark.parametrize("count", SIZES)
async def test_rows_keep_their_order_and_get_its_ids(database: SQLiteDatabase, count: int) -> None:
    """The n-th id is that of the n-th row, in a batch of one statement and of several."""
    for _ in range(2):
        before = len(stored(database.path))
        batch = rows(count)
        ids = list(await database.add_deployments(batch))
        assert stored(database.path)[before:] == list(zip(ids, [row.target for row in batch], strict=True))


@pytest.mark.parametrize("count", SIZES)
async def test_a_batch_with_a_row_of_no_feed_is_rejected_whole(database: SQLiteDatabase, count: int) -> None:
    """The caller may write the others again, so none of them may be there already."""
    await database.add_deployments(rows(1))
    for bad in {0, count // 2, count - 1}:
        batch = rows(count)
        batch[bad] = batch[bad]._replace(feed_id=99)
        with pytest.raises(RowRejected, match="FOREIGN KEY"):
            await database.add_deployments(batch)
    assert len(stored(database.path)) == 1
    assert len(await database.add_deployments(rows(count))) == count


@pytest.mark.parametrize(
    "change",
    [{"target": None}, {"target": "\ud800"}, {"date": 2**63}],
    ids=["null", "surrogate", "large"],
)
@pytest.mark.parametrize("count", [1, ROWS_PER_STATEMENT + 1])
async def test_a_value_that_cannot_be_stored_is_rejected(
    database: SQLiteDatabase, change: dict[str, object], count: int
) -> None:
    """Whatever is wrong with a row, it is the row that is rejected, and the database goes on."""
    batch = rows(count)
    batch[-1] = batch[-1]._replace(**change)  # type: ignore[arg-type]  # that is the point
    with pytest.raises(RowRejected):
        await database.add_deployments(batch)
    assert len(await database.add_deployments(rows(count))) == count
    assert len(stored(database.path)) == count


async def test_batches_written_at_the_same_time_do_not_mix(database: SQLiteDatabase) -> None:
    batches = [rows(count) for count in (1, 300, 5, 129, 64)]
    results = await asyncio.gather(*(database.add_deployments(batch) for batch in batches))
    found = dict(stored(database.path))
    for batch, ids in zip(batches, results, strict=True):
        assert [found[id_] for id_ in ids] == [row.target for row in batch]
    assert len({id_ for ids in results for id_ in ids}) == sum(map(len, batches)) == len(found)


async def test_an_id_is_never_given_twice(database: SQLiteDatabase) -> None:
    """Not even when the newest record has been removed: an id that was answered names one record for good."""
    (first,) = await database.add_deployments(rows(1))
    with contextlib.closing(sqlite3.connect(database.path)) as connection:
        connection.execute("DELETE FROM deployments")
        connection.commit()
    (second,) = await database.add_deployments(rows(1))
    assert second > first


@pytest.mark.parametrize("count", [1, ROWS_PER_STATEMENT + 1])
async def test_a_locked_database_is_unavailable_and_then_available(database: SQLiteDatabase, count: int) -> None:
    with contextlib.closing(sqlite3.connect(database.path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreUnavailable):
            await database.add_deployments(rows(count))
        other.execute("ROLLBACK")
    assert len(await database.add_deployments(rows(count))) == count


async def test_what_is_committed_is_synced(database: SQLiteDatabase) -> None:
    """A 200 must survive a power cut: the commit has to wait for the disk."""
    async with database.transaction() as repository:
        connection = repository.connection
        assert [tuple(row) for row in await connection.rows("PRAGMA synchronous")] == [(2,)]  # FULL
        assert [tuple(row) for row in await connection.rows("PRAGMA journal_mode")] == [("wal",)]


# Transactions and snapshots


async def test_a_transaction_is_seen_by_others_when_it_has_ended(database: SQLiteDatabase) -> None:
    async with database.transaction() as repository:
        await repository.raise_revision()
        await repository.raise_revision()
        assert await repository.revision() == 3
        assert revision(database.path) == 1
        async with database.snapshot() as before:
            assert await before.revision() == 1
    assert revision(database.path) == 3


async def test_a_transaction_that_raises_changes_nothing(database: SQLiteDatabase) -> None:
    async def change() -> None:
        async with database.transaction() as repository:
            await repository.raise_revision()
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await change()
    assert revision(database.path) == 1
    async with database.transaction() as repository:
        await repository.raise_revision()
    assert revision(database.path) == 2


async def test_a_transaction_that_is_cancelled_changes_nothing(database: SQLiteDatabase) -> None:
    """Whoever uses the connection next must not find the transaction open."""
    inside = asyncio.Event()

    async def change() -> None:
        async with database.transaction() as repository:
            await repository.raise_revision()
            inside.set()
            await asyncio.Event().wait()

    task = asyncio.create_task(change())
    await inside.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert revision(database.path) == 1
    assert len(await database.add_deployments(rows(200))) == 200


async def test_a_cancellation_at_any_moment_leaves_the_database_usable(database: SQLiteDatabase) -> None:
    """Between two steps of the transaction, or while the thread is at one of them."""

    async def change() -> None:
        async with database.transaction() as repository:
            await repository.raise_revision()
            await repository.raise_revision()

    for turns in range(25):
        before = revision(database.path)
        task = asyncio.create_task(change())
        for _ in range(turns):
            await asyncio.sleep(0)
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
        assert len(await database.add_deployments(rows(1))) == 1
        async with database.snapshot() as repository:
            assert await repository.revision() in (before, before + 2)


async def test_a_transaction_with_a_rejected_row_changes_nothing(database: SQLiteDatabase) -> None:
    async def change() -> None:
        async with database.transaction() as repository:
            await repository.raise_revision()
            await repository.add_api_key("feed", "", "", b"x", ["view"], [99], None, 0, None)

    with pytest.raises(RowRejected):
        await change()
    assert revision(database.path) == 1


async def test_a_snapshot_is_one_state_of_the_database(database: SQLiteDatabase) -> None:
    """Feeds, keys and privileges that are read one after another belong together."""
    async with database.snapshot() as reader:
        assert await reader.revision() == 1
        async with database.transaction() as writer:
            await writer.raise_revision()
        await database.add_deployments(rows(3))
        assert await reader.revision() == 1
        assert await reader.count_deployments(1) == 0
    async with database.snapshot() as reader:
        assert await reader.revision() == 2
        assert await reader.count_deployments(1) == 3


async def test_a_probe_really_writes(database: SQLiteDatabase) -> None:
    """SQLite writes nothing where nothing changes, and a full disk would seem to have room."""
    log = Path(f"{database.path}-wal")
    before = log.read_bytes()
    await database.probe()
    assert log.read_bytes() != before


# Open, closed, replaced


async def test_a_closed_database_is_unavailable(tmp_path: Path) -> None:
    database = SQLiteDatabase(new_file(tmp_path / "test.db"), 0.2)
    await database.open()
    await database.close()
    for count in (1, ROWS_PER_STATEMENT + 1):
        with pytest.raises(StoreUnavailable):
            await database.add_deployments(rows(count))
    with pytest.raises(StoreUnavailable):
        await database.probe()
    with pytest.raises(StoreUnavailable):
        async with database.snapshot() as repository:
            await repository.revision()
    await database.close()
    assert stored(database.path) == []


@pytest.mark.parametrize(
    ("make", "why"),
    [
        (lambda path: None, "the file cannot be opened|No such file"),
        (lambda path: path.mkdir(), "the file cannot be opened"),
        (lambda path: path.write_bytes(b"garbage" * 1000), "damaged or no SQLite database"),
    ],
    ids=["missing", "directory", "garbage"],
)
async def test_a_file_that_cannot_be_opened_says_why(tmp_path: Path, make: object, why: str) -> None:
    path = tmp_path / "test.db"
    threads = threading.active_count()
    make(path)  # type: ignore[operator]  # a parameter
    database = SQLiteDatabase(path, 0.2)
    with pytest.raises(DatabaseError, match=why):
        await database.open()
    await database.close()
    await until(lambda: threading.active_count() <= threads)  # aiosqlite does not wait for the thread it ends


@posix_only
async def test_nothing_is_written_to_a_file_that_is_gone(database: SQLiteDatabase, tmp_path: Path) -> None:
    """What is written to a file without a name is lost; the same file come back is good again."""
    moved = database.path.rename(tmp_path / "moved.db")
    for _ in range(2):
        with pytest.raises(StoreUnavailable):
            await database.add_deployments(rows(1))
        with pytest.raises(StoreUnavailable):
            database.is_in_place()
    moved.rename(database.path)
    assert database.is_in_place()
    assert len(await database.add_deployments(rows(1))) == 1


@posix_only
async def test_a_replaced_file_is_written_to_after_it_has_been_read(database: SQLiteDatabase, tmp_path: Path) -> None:
    """Feed ids of one file mean other feeds in another, so rows are refused until the new ones are known."""
    await database.add_deployments(rows(5))
    new_file(tmp_path / "other.db", "Other").replace(database.path)
    assert not database.is_in_place()
    for count in (1, ROWS_PER_STATEMENT + 1):
        with pytest.raises(StoreUnavailable):
            await database.add_deployments(rows(count))
    async with database.reopened() as repository:
        assert [feed.name for feed in await repository.feeds()] == ["Other"]
        with pytest.raises(StoreUnavailable):
            await database.add_deployments(rows(1))
    assert database.is_in_place()
    assert list(await database.add_deployments(rows(1))) == [1]
    assert stored(database.path) == [(1, "server 0")]


@posix_only
async def test_a_file_of_another_program_is_left_as_it_is(database: SQLiteDatabase, tmp_path: Path) -> None:
    """Somebody is putting a copy back, or has made a mistake; neither is helped by our touching it."""
    database.path.unlink()
    with contextlib.closing(sqlite3.connect(database.path)) as other:
        other.execute("CREATE TABLE theirs (a)")
        other.commit()
    for _ in range(3):
        with pytest.raises(StoreUnavailable):
            async with database.reopened():
                pytest.fail("it is not ours")
    with contextlib.closing(sqlite3.connect(database.path)) as other:
        assert other.execute("PRAGMA journal_mode").fetchone() == ("delete",)
        assert other.execute("SELECT name FROM sqlite_master").fetchall() == [("theirs",)]


@posix_only
async def test_the_log_of_a_file_being_put_back_is_not_removed(database: SQLiteDatabase, tmp_path: Path) -> None:
    """Its owner still writes to it; what they commit must not go into a file that has no name any more."""
    database.path.unlink()
    with contextlib.closing(sqlite3.connect(database.path, isolation_level=None)) as owner:
        owner.execute("CREATE TABLE deployments (id)")
        for number in range(3):
            with pytest.raises(StoreUnavailable):
                async with database.reopened():
                    pytest.fail("it is not ready")
            owner.execute("PRAGMA journal_mode = WAL")
            owner.execute("INSERT INTO deployments VALUES (?)", (number,))
            assert Path(f"{database.path}-wal").exists()
    with contextlib.closing(sqlite3.connect(database.path)) as reader:
        assert reader.execute("SELECT count(*) FROM deployments").fetchone() == (3,)


@posix_only
async def test_a_file_that_cannot_be_read_is_not_written_to(database: SQLiteDatabase, tmp_path: Path) -> None:
    """Neither one that cannot be opened nor one whose feeds are not known counts as the database."""
    good = shutil.copyfile(database.path, tmp_path / "good.db")
    (tmp_path / "garbage").write_bytes(b"garbage" * 1000)
    (tmp_path / "garbage").replace(database.path)
    for _ in range(2):
        with pytest.raises(StoreUnavailable):
            async with database.reopened():
                pytest.fail("garbage was opened")
        with pytest.raises(StoreUnavailable):
            await database.add_deployments(rows(1))
    Path(good).replace(database.path)
    with pytest.raises(ZeroDivisionError):
        async with database.reopened():
            raise ZeroDivisionError
    with pytest.raises(StoreUnavailable):
        await database.add_deployments(rows(1))
    async with database.reopened():
        pass
    assert len(await database.add_deployments(rows(1))) == 1


@posix_only
async def test_the_log_of_a_replaced_file_is_not_applied_to_the_new_one(
    database: SQLiteDatabase, tmp_path: Path
) -> None:
    """A copy put in the place of the database is what it was when it was made, not a mixture of both."""
    with contextlib.closing(sqlite3.connect(database.path)) as source:
        source.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    shutil.copyfile(database.path, tmp_path / "copy.db")
    await database.add_deployments(rows(1000))
    assert Path(f"{database.path}-wal").stat().st_size > 0
    (tmp_path / "copy.db").replace(database.path)
    for connected in (database.records, database.watched):  # for the first time, and so to the file that is there now
        with pytest.raises(StoreUnavailable):
            async with connected():
                pytest.fail("it is another file")
    async with database.reopened() as repository:
        assert await repository.count_deployments(1) == 0
    await database.add_deployments(rows(2))
    assert stored(database.path) == [(1, "server 0"), (2, "server 1")]
    with contextlib.closing(sqlite3.connect(database.path)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


async def test_what_is_kept_in_memory_grows_with_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A large database needs more for its writing to stay as quick; a small one must not cost memory."""

    async def kibibytes() -> int:
        database = SQLiteDatabase(tmp_path / "test.db", 0.2)
        await database.open()
        try:
            async with database.connected_transaction() as writer:
                ((size,),) = await writer.rows("PRAGMA cache_size")
        finally:
            await database.close()
        return -int(size)

    new_file(tmp_path / "test.db")
    assert await kibibytes() == 2048
    monkeypatch.setattr(connection, "CACHED_PART", 40)
    assert 2048 < await kibibytes() < 16_384
    monkeypatch.setattr(connection, "CACHED_PART", 4000)
    assert await kibibytes() == 16_384
