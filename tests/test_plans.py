"""No question goes through a whole table: what databases say about how they would answer."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pytest
from reading import DAY, START
from stores import Stores

from deployserver.filters import RecordFilter, Word
from deployserver.models import DeploymentRow
from deployserver.storage import Database, SQLiteDatabase, sources
from deployserver.storage.connection import Connection, Parameters
from deployserver.storage.indexing import index_next
from deployserver.storage.postgresql.connection import respell
from deployserver.storage.records import Records
from deployserver.storage.spread import PackageKey

RECORDS = 3_000
BIG = ("deployments", "installations", "name_uses", "deployment_texts", "name_counts")
_ALIAS = re.compile(rf"\b({'|'.join(BIG)})(?: AS (\w+))?\b")
_SCAN = re.compile(r"^SCAN (?P<table>\w+)(?P<how>.*)")

_FIRST_COLUMNS = """
SELECT c.relname, coalesce(a.attname, pg_get_expr(x.indexprs, x.indrelid))
FROM pg_index AS x JOIN pg_class AS c ON c.oid = x.indexrelid
LEFT JOIN pg_attribute AS a ON a.attrelid = x.indrelid AND a.attnum = x.indkey[0] AND a.attnum > 0
"""

WAYS: dict[str, dict[str, Any]] = {
    "all": {},
    "feed": {"feed_ids": frozenset({1})},
    "group": {"groups": ("@acme",)},
    "package": {"packages": ("package 7",)},
    "packages": {"packages": ("package 1*",)},
    "target": {"targets": ("web03",)},
    "package and target": {"packages": ("package 7",), "targets": ("web07",)},
    "packages and targets": {"packages": ("p*",), "targets": ("w*",)},
    "version": {"versions": ("1.3",)},
    "application": {"applications": ("app 1",)},
    "user": {"users": ("user 3",)},
    "package by a user": {"packages": ("package 7",), "users": ("user 3",)},
    "since": {"since": START + 80 * DAY},
    "until": {"until": START + 5 * DAY},
    "a while": {"since": START + 40 * DAY, "until": START + 41 * DAY},
    "word in few": {"words": (Word("number 2999", frozenset()),)},
    "word in many": {"words": (Word("number", frozenset()),)},
    "word in none": {"words": (Word("qqqxyz", frozenset()),)},
    "short word": {"words": (Word("zq", frozenset()),)},
}


class Watched:
    """A connection that keeps what is executed."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self.executed: dict[str, Mapping[str, Any]] = {}

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)

    async def rows(self, statement: str, parameters: Any = None) -> Sequence[Any]:
        values = parameters.values if isinstance(parameters, Parameters) else parameters or {}
        self.executed[statement] = values
        return await self._connection.rows(statement, parameters)


def some() -> list[DeploymentRow]:
    return [
        DeploymentRow(
            1 + number % 3, f"app {number % 4}", f"number {number}", f"web{number % 90:02}", f"package {number % 40}",
            f"1.{number % 70}", "@acme" if number % 5 else None, f"user {number % 30}", None,
            START + number * DAY // 30, START, "API key 1", 1,
        )
        for number in range(RECORDS)
    ]  # fmt: skip  # one record, few lines


async def ask_everything(records: Records) -> None:
    middle = START + 50 * DAY
    for asked in (RecordFilter(**way) for way in WAYS.values()):
        await records.history(asked, None, 50)
        await records.history(asked, (middle, 1500), 50)
        await records.newer(asked, (middle, 1500), 50)
        await records.after(asked, RECORDS - 10, 50)
        await records.steps(asked, 50)
        if asked.words:
            continue
        for as_of in (None, middle):
            (*_, last) = [None, *await records.current(asked, as_of, None, 20)]
            await records.current(asked, as_of, last and last.position, 20)
        if sources.FEW > RECORDS:  # to count by what more records have is to go through them
            await records.counts_by_day(asked)
    record = await records.record(1500)
    assert record is not None
    await records.neighbours(record)
    await records.newest_id()
    few = RecordFilter(targets=("web03", "web04"), feed_ids=frozenset({1, 2, 3}))
    await records.versions_as_of(few, middle)
    packages = [package.key for package in await records.matrix_packages(few, None, 5)]
    assert packages
    await records.matrix_packages(few, packages[0], 5, backwards=True)
    await records.matrix_packages(RecordFilter(feed_ids=frozenset({1})), PackageKey("package 2", 1, ""), 5)
    targets = [target.key for target in await records.matrix_targets(few, packages, None, 5)]
    await records.matrix_cells(packages, targets)
    await records.spread(packages, few)
    for kind in ("package", "version", "target"):
        await records.novelties(kind, frozenset({1, 2}), START + 90 * DAY, START + 91 * DAY, 5)
    for kind in ("package", "target", "version", "application", "user", "group"):
        await records.names_with(kind, ("1",), frozenset({1, 2}), 10)
    await records.most("package", RecordFilter(since=START + 95 * DAY), 5)


async def scans(database: Database, connection: Connection, executed: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Return what goes through all of a big table, of all that was executed."""
    found: list[str] = []
    for statement, values in executed.items():
        if isinstance(database, SQLiteDatabase):
            plan = [row[3] for row in await connection.rows(f"EXPLAIN QUERY PLAN {statement}", values)]
            lines = _scans_of_sqlite(statement, plan)
        else:
            respelt, names = respell(statement)
            await connection.driver.execute(f"PREPARE asked AS {respelt}")
            given = f"({', '.join(['NULL'] * len(names))})" if names else ""
            (explained,) = await connection.driver.fetchrow(f"EXPLAIN (FORMAT JSON) EXECUTE asked{given}")
            await connection.driver.execute("DEALLOCATE asked")
            first = dict(await connection.driver.fetch(_FIRST_COLUMNS))
            lines = _scans_of_postgresql(json.loads(explained)[0]["Plan"], first, can_stop=False)
        found += [f"{line}: {statement} {values}" for line in lines]
    return found


def _scans_of_sqlite(statement: str, plan: Sequence[str]) -> Iterator[str]:
    aliases = {alias or table for table, alias in _ALIAS.findall(statement)}
    sorted_ = any(line.startswith("USE TEMP B-TREE FOR ORDER BY") for line in plan)
    for line in plan:
        scan = _SCAN.match(line)
        if scan is None or scan["table"] not in aliases or "VIRTUAL TABLE" in line:
            continue
        # Through an index in its order, or by ids: that stops where there is enough.
        in_order = "deployments_by_date" in scan["how"] or not scan["how"]
        if not (in_order and "LIMIT" in statement and not (sorted_ and not scan["how"])):
            yield line


def _names(condition: str, column: str) -> bool:
    return re.search(rf"(?<!\w){re.escape(column)}(?!\w)", condition) is not None


def _scans_of_postgresql(node: Mapping[str, Any], first: Mapping[str, str], *, can_stop: bool) -> Iterator[str]:
    """Go through a plan; ``first`` are the first columns of indexes: what is asked of others only, leads nowhere."""
    kind = node["Node Type"]
    column = first.get(node.get("Index Name", ""))
    led = column is not None and _names(node.get("Index Cond", ""), column)
    if node.get("Relation Name") in BIG and not led and (kind == "Seq Scan" or not can_stop):
        yield f"{kind} on {node['Relation Name']}"
    if kind == "Limit":
        can_stop = True
    elif kind in ("Sort", "Aggregate"):
        can_stop = False
    for place, child in enumerate(node.get("Plans", ())):
        again = kind == "Nested Loop" and place == 1  # the second is gone through for each row of the first
        yield from _scans_of_postgresql(child, first, can_stop=can_stop and not again)


async def _filled(stores: Stores, database: Database, *, analysed: str) -> None:
    rows = some()
    if analysed == "when small":
        await stores.execute(database, "VACUUM FULL")  # other tests' records have left room in the same tables
    await database.add_deployments(rows[:5])
    if analysed == "when small":
        await stores.execute(database, "ANALYZE")
    await database.add_deployments(rows[5 : RECORDS - 100])
    indexed = True
    while indexed:
        async with database.indexing_transaction() as connection:
            indexed = await index_next(connection, 1000)
    await database.add_deployments(rows[RECORDS - 100 :])  # which the indexer has not come to
    if analysed == "now":
        await stores.execute(database, "ANALYZE")


@pytest.mark.parametrize("analysed", ["never", "when small", "now"])
@pytest.mark.parametrize("few", [sources.FEW, 20])
def test_no_question_goes_through_a_whole_table(
    few: int, analysed: str, stores: Stores, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever the database knows of its tables: nothing, right after a load, or what was true when they were small."""
    if stores.kind == "sqlite" and analysed != "never":
        pytest.skip("SQLite analyses only when it is told to, and nobody does")
    monkeypatch.setattr(sources, "FEW", few)

    async def ask(database: Database) -> None:
        await _filled(stores, database, analysed=analysed)
        async with database.snapshot() as repository:
            watched = Watched(repository.connection)
            await ask_everything(Records(watched))
            assert await scans(database, repository.connection, watched.executed) == []
            assert len(watched.executed) > 50

    stores.run(ask)


@pytest.mark.parametrize("index", ["deployments_by_date", "deployments_by_installation", "installations_by_target"])
def test_an_index_that_is_missing_is_noticed(index: str, stores: Stores) -> None:
    """Of this module itself: it could be blind."""

    async def ask(database: Database) -> None:
        await _filled(stores, database, analysed="never")
        async with database.transaction() as repository:
            watched = Watched(repository.connection)
            await ask_everything(Records(watched))
            await repository.connection.rows(f"DROP INDEX {index}")
            try:
                found = await scans(database, repository.connection, watched.executed)
            except Exception as error:  # noqa: BLE001 - SQLite refuses what says INDEXED BY
                found = [str(error)]
            assert found
            raise ZeroDivisionError  # so that the index stays

    with pytest.raises(ZeroDivisionError):
        stores.run(ask)
