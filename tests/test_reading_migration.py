"""Migration 0002: records become small, and stay what they are."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import signal
import sqlite3
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from indexed import check_indexed, newest
from processes import Installation, closing, until
from reading import DAY, START, row

from deployserver.filters import RecordFilter
from deployserver.models import DeploymentRow
from deployserver.storage import SQLiteDatabase
from deployserver.storage.indexing import index_next
from deployserver.storage.sqlite.migrator import (
    MigrationState,
    _connect,
    _statements,
    migrate,
    migration_state,
    migrations_folder,
)

FIRST = "0001_initial"
COLUMNS = ("id", *DeploymentRow._fields)
FEEDS = (1, 2, 7)
CALENDAR = (-62_135_596_800_000_000, 253_402_300_799_999_999)  # the years 1 to 9999

_numbers = itertools.count()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the first migration only, as the version had it that recorded and could not be asked."""
    made = tmp_path_factory.mktemp("migrations")
    (made / f"{FIRST}.sql").write_text((migrations_folder() / f"{FIRST}.sql").read_text("utf-8"), encoding="utf-8")
    return made


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory, folder: Path) -> Path:
    """A database of that version, with feeds."""
    path = tmp_path_factory.mktemp("template") / "template.db"
    assert migrate(path, folder=folder) == (FIRST,)
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.executemany(
            "INSERT INTO feeds (id, name, type, created_at) VALUES (?, 'feed ' || ?, 'nuget', 0)",
            [(id_, id_) for id_ in FEEDS],
        )
        connection.commit()
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    return path


def old(template: Path, records: Mapping[int, DeploymentRow], sequence: int | None = None) -> Path:
    """Make a database of the old version with these records."""
    path = template.with_name(f"{next(_numbers)}.db")
    path.write_bytes(template.read_bytes())
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.executemany(
            f"INSERT INTO deployments ({', '.join(COLUMNS)}) VALUES ({', '.join('?' * len(COLUMNS))})",
            [(id_, *record) for id_, record in records.items()],
        )
        if sequence is not None:
            connection.execute("DELETE FROM sqlite_sequence WHERE name = 'deployments'")
            connection.execute("INSERT INTO sqlite_sequence (name, seq) VALUES ('deployments', ?)", (sequence,))
        connection.commit()
    return path


def stored(path: Path, table: str = "deployment_records") -> list[tuple[Any, ...]]:
    with contextlib.closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert connection.execute("PRAGMA foreign_key_check").fetchall() == []
        cursor = connection.execute(f"SELECT * FROM {table} ORDER BY id")
        assert tuple(column[0] for column in cursor.description) == COLUMNS
        return cursor.fetchall()


def latest(records: Iterable[tuple[int, DeploymentRow]]) -> set[int]:
    """Return the ids of what runs, by the plainest recomputation."""
    found: dict[tuple[Any, ...], tuple[int, int]] = {}
    for id_, record in records:
        place = (
            record.feed_id,
            (record.group_name or "").casefold(),
            record.package_name.casefold(),
            record.target.casefold(),
        )
        found[place] = max(found.get(place, (-(2**63), 0)), (record.date, id_))
    return {id_ for _, id_ in found.values()}


some_names = st.sampled_from(
    [
        "web01",
        "WEB01",
        "Web01",
        "Straße",
        "STRASSE",
        "strasse",
        "Zürich",
        "ZÜRICH",
        "left-pad",
        "x",
        "İ",
        "i̇",
        "a'b;c--",
    ]
)
some_rows = st.builds(
    DeploymentRow,
    feed_id=st.sampled_from(FEEDS),
    application=some_names,
    description=st.sampled_from(["Deployed", "line\none", "word\twith tab", "🚀"]),
    target=some_names,
    package_name=some_names,
    version=st.sampled_from(["1.0", "1.0-RC1", "1.0-rc1"]) | some_names,
    group_name=st.none() | some_names,
    user_name=some_names,
    url=st.sampled_from([None, "http://buildserver:8622/47"]),
    date=st.integers(-5, 5).map(lambda days: days * DAY)
    | st.integers(-62_135_596_800_000_000, 253_402_300_799_999_999),
    recorded_at=st.integers(0, START),
    recorded_by=st.sampled_from(["Anonymous", "API key 1 (ci)", "api key 1 (CI)"]),
    recorded_key_id=st.none() | st.integers(1, 5),
)
some_records = st.lists(st.tuples(st.integers(1, 50) | st.integers(1, 10**9), some_rows), max_size=30).map(
    lambda steps: dict(
        zip(itertools.accumulate(step for step, _ in steps), (record for _, record in steps), strict=True)
    )
)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(records=some_records, beyond=st.none() | st.integers(0, 10**6), late=st.lists(some_rows, min_size=1, max_size=5))
def test_records_stay_what_they_are(
    template: Path, records: dict[int, DeploymentRow], beyond: int | None, late: list[DeploymentRow]
) -> None:
    """With their ids, which are not used again; and all that is derived from them is right."""
    newest_id = max(records, default=0)
    sequence = None if beyond is None else newest_id + beyond
    path = old(template, records, sequence)
    before = stored(path, "deployments")
    assert before == [(id_, *record) for id_, record in records.items()]

    assert migrate(path)[0] == "0002_reading"
    assert stored(path) == before
    assert stored(Path(f"{path}.before-0002_reading"), "deployments") == before

    async def ask() -> None:
        database = SQLiteDatabase(path, 5)
        await database.open()
        try:
            async with database.records() as reader:
                found = await reader.current(RecordFilter(), None, None, None)
                assert {item.deployment.id for item in found} == latest(records.items())
                assert len(found) == len(latest(records.items()))
            new = await database.add_deployments(late)
            first = (newest_id if sequence is None else sequence) + 1
            assert list(new) == list(range(first, first + len(late)))
            everything = {**records, **dict(zip(new, late, strict=True))}
            async with database.records() as reader:
                found = await reader.current(RecordFilter(), None, None, None)
                assert {item.deployment.id: item.deployment.row for item in found} == {
                    id_: everything[id_] for id_ in latest(everything.items())
                }
                assert [item.id for item in await reader.history(RecordFilter(), None, 100)] == [
                    id_ for _, id_ in sorted(((one.date, id_) for id_, one in everything.items()), reverse=True)
                ]
            more = True
            while more:
                async with database.connected_transaction() as connection:
                    more = await index_next(connection, 7)
        finally:
            await database.close()

    asyncio.run(ask())
    check_indexed(path)
    for left in path.parent.glob(f"{path.name}*"):
        left.unlink()


def test_ids_of_removed_records_are_not_used_again_where_none_is_left(template: Path) -> None:
    """All feeds may have been emptied before."""
    path = old(template, {}, 41)
    migrate(path)
    with contextlib.closing(sqlite3.connect(path)) as connection:
        assert connection.execute("SELECT seq FROM sqlite_sequence WHERE name = 'deployments'").fetchall() == [(41,)]
        assert not connection.execute("SELECT 1 FROM sqlite_sequence WHERE name = 'deployments_before'").fetchall()


def test_a_database_without_records_is_migrated_too(template: Path) -> None:
    path = old(template, {})
    migrate(path)
    assert stored(path) == []
    assert newest(path) == (0, 0)


def test_nothing_of_the_old_schema_is_left(template: Path, tmp_path: Path) -> None:
    """Whichever way it came about, the schema is the same."""
    migrated, fresh = old(template, {5: row()}), tmp_path / "fresh.db"
    migrate(migrated)
    migrate(fresh)

    def schema(path: Path) -> list[tuple[str, ...]]:
        with contextlib.closing(sqlite3.connect(path)) as connection:
            return connection.execute("SELECT type, name, tbl_name, sql FROM sqlite_master ORDER BY 1, 2").fetchall()

    assert schema(migrated) == schema(fresh)


async def test_a_server_serves_what_an_older_one_recorded(template: Path, tmp_path: Path) -> None:
    """It migrates at its start, and its indexer comes to all of it."""
    installation = Installation(tmp_path)
    old(template, {3 * number: row(number, target=f"web{number % 5}") for number in range(1, 2500)}, 10_000).replace(
        installation.database
    )

    def indexed() -> bool:
        return newest(installation.database) == (7497, 7497)

    async with closing([installation]):
        server = await installation.serve()
        await until(indexed)
        assert server.unexpected() == []
        await server.stop()
    await asyncio.to_thread(check_indexed, installation.database)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGKILL")
async def test_a_process_killed_while_it_migrates_leaves_the_old_records(
    template: Path, folder: Path, tmp_path: Path
) -> None:
    """The old version goes on with them, and the next start migrates as if nothing had been."""
    path = old(template, {number: row(number) for number in range(1, 5_001)}, 70_000)
    before = stored(path, "deployments")
    endless = tmp_path / "migrations"
    endless.mkdir()
    for file in migrations_folder().iterdir():
        if file.name.endswith(".sql"):
            (endless / file.name).write_text(file.read_text("utf-8"), encoding="utf-8")
    (endless / "9999_endless.sql").write_text(
        "CREATE TABLE many (number INTEGER);\n"
        "INSERT INTO many WITH RECURSIVE n (x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT x FROM n;\n"
    )
    code = (
        "import sys; from pathlib import Path; from deployserver.storage.sqlite.migrator import migrate; "
        "migrate(Path(sys.argv[1]), folder=Path(sys.argv[2]))"
    )
    process = await Installation(tmp_path / "unused").python("-c", code, str(path), str(endless))
    log = Path(f"{path}-wal")
    try:
        await until(lambda: process.returncode is not None or (log.exists() and log.stat().st_size > 20_000_000))
        assert process.returncode is None
    finally:
        process.kill()
        assert await process.wait() == -signal.SIGKILL
    assert migration_state(path, folder) == MigrationState((FIRST,), ())
    assert stored(path, "deployments") == before
    assert migrate(path, 0)[0] == "0002_reading"
    assert stored(path) == before


def test_its_work_grows_as_the_records_do(template: Path) -> None:
    """Not as records times installations: what takes seconds for thousands would take days for a million."""

    def steps(count: int) -> int:
        path = old(template, {number: row(number, version=f"{number}") for number in range(1, count + 1)})
        done = 0

        def step() -> int:
            nonlocal done
            done += 1
            return 0

        with contextlib.closing(_connect(path, "rw", 5)) as connection:
            connection.set_progress_handler(step, 100)
            for statement in _statements((migrations_folder() / "0002_reading.sql").read_text("utf-8")):
                connection.execute(statement)
            connection.set_progress_handler(None, 0)
        return done

    assert steps(2000) < 6 * steps(500)
