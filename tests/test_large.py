"""What is asked of very much goes other ways than what is asked of little, and gets the same answers."""

from __future__ import annotations

import contextlib
import sqlite3
from pathlib import Path

import pytest
from indexed import check_indexed
from reading import DAY, START, row
from stores import Stores
from test_records import index

from deployserver.filters import RecordFilter, Word
from deployserver.models import DeploymentRow
from deployserver.storage import Database, conditions, current, history, sources
from deployserver.storage.history import StoredDeployment
from deployserver.storage.sqlite import migrator

ROWS = [
    row(n, feed_id=1 + n % 2, package_name=f"package {n % 40}", target=f"web {n % 7}", version=f"1.{n}", date=START + n)
    for n in range(300)
]


async def _filled(database: Database) -> None:
    """Add the records, and index most of them."""
    await database.add_deployments(ROWS)
    await index(database, 250)


def test_the_history_of_a_large_feed_is_that_of_all_without_the_others(stores: Stores) -> None:
    """It is found by dates, as its installations are many."""
    wanted = [row for row in reversed(ROWS) if row.feed_id == 1]

    async def ask(database: Database) -> None:
        await _filled(database)
        async with database.records() as records:
            found: list[DeploymentRow] = []
            position = None
            while page := await records.history(RecordFilter(feed_ids=frozenset({1})), position, 20):
                found += [one.row for one in page]
                position = page[-1].row.date, page[-1].id
        assert found == wanted

    stores.run(ask)


def test_what_runs_of_a_large_feed_comes_in_the_same_order(stores: Stores, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is gone through by names instead of by installations."""
    asked = RecordFilter(feed_ids=frozenset({2}))

    async def ask(database: Database) -> None:
        await _filled(database)
        async with database.records() as records:
            by_installation = await records.current(asked, None, None, 25)
            monkeypatch.setattr(current, "_MANY", 10)
            assert await records.current(asked, None, None, 25) == by_installation

    stores.run(ask)


def test_a_word_in_very_many_names_finds_the_same_records(stores: Stores, monkeypatch: pytest.MonkeyPatch) -> None:
    """Such names are not listed but looked at."""
    asked = [RecordFilter(words=(Word(word, frozenset()),)) for word in ("1.2", "1.", "e 3", "29", "WEB")]

    async def ask(database: Database) -> None:
        await _filled(database)
        async with database.records() as records:
            listed = [await records.history(one, None, 400) for one in asked]
            assert all(listed)
            monkeypatch.setattr(conditions, "MOST_NAMES", 6)
            monkeypatch.setattr(sources, "_SAMPLE", 50)
            assert [await records.history(one, None, 400) for one in asked] == listed

    stores.run(ask)


@pytest.mark.parametrize("wide", [5, 1000])
def test_what_is_not_near_is_found_all_the_same(wide: int, stores: Stores, monkeypatch: pytest.MonkeyPatch) -> None:
    """Time is gone through for a while only, unless so much may be meant that there is no shorter way."""
    asked = [RecordFilter(words=(Word(word, frozenset()),)) for word in ("1.2", "e 3", "web 4", "number")]
    asked += [RecordFilter(feed_ids=frozenset({1})), RecordFilter(feed_ids=frozenset({1}), groups=("@acme*",))]
    rows = [row._replace(date=START + n * DAY // 30, group_name="@acme") for n, row in enumerate(ROWS)]
    middle = (rows[150].date, 151)

    async def ask(database: Database) -> None:
        await database.add_deployments(rows)
        await index(database, 250)
        async with database.records() as records:

            async def answers() -> list[list[StoredDeployment]]:
                found = []
                for one in asked:
                    found += [await records.history(one, None, 30), await records.history(one, middle, 30)]
                    found += [await records.newer(one, middle, 30)]
                return found

            near = await answers()
            monkeypatch.setattr(sources, "FEW", 5)
            monkeypatch.setattr(sources, "_WIDE", wide)
            monkeypatch.setattr(history, "_NEAR", 40)
            assert await answers() == near
            assert all(near)

    stores.run(ask)


def test_an_older_database_has_everything_counted_and_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "old.db"
    names = migrator.migration_names(migrator.migrations_folder())
    monkeypatch.setattr(migrator, "migration_names", lambda _: tuple(name for name in names if name < "0006"))
    path.write_bytes(migrator.empty_database())
    monkeypatch.undo()
    with contextlib.closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("INSERT INTO feeds (id, name, type, created_at) VALUES (1, 'a', 'nuget', 0)")
        for kind in ("group", "package", "target", "version", "application", "user", "recorder"):
            connection.execute("INSERT INTO names (kind, name_key, name) VALUES (?, ?, ?)", (kind, kind, kind))
        connection.execute("INSERT INTO installations (feed_id, group_id, package_id, target_id) VALUES (1, 1, 2, 3)")
        connection.executemany(
            "INSERT INTO deployments VALUES (?, 1, 4, 5, 6, 'by hand', NULL, ?, 0, 7, NULL)", [(1, -1), (2, START)]
        )
        connection.execute("INSERT INTO deployment_texts (rowid, text) SELECT id, description FROM deployments")
        connection.execute(
            "INSERT INTO name_uses SELECT n.id, d.date, d.id, 1 FROM deployments d JOIN names n ON n.id IN (4, 5, 6)"
        )
        days = [(-1,), (START // 86_400_000_000,)]
        connection.executemany("INSERT INTO daily_counts VALUES (1, ?, 1)", days)
        connection.executemany("INSERT INTO application_counts VALUES (5, ?, 1, 1)", days)
        connection.execute("UPDATE indexed SET deployment_id = 2")
    assert "0006_scale" in migrator.migrate(path)
    check_indexed(path)
