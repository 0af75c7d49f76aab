"""What came up in a while, and what the most deployments had, against the plainest recomputation."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from stores import Stores
from test_records import DAY, START, matches, newest_first, run, some_filters, worlds

from deployserver.filters import RecordFilter
from deployserver.models import DeploymentRow
from deployserver.storage import Database, novelties
from deployserver.storage.history import StoredDeployment


def same(kind: str, row: DeploymentRow) -> tuple[Any, ...]:
    if kind == "target":
        return (row.target.casefold(),)
    package = (row.feed_id, (row.group_name or "").casefold(), row.package_name.casefold())
    return package if kind == "package" else (*package, row.version.casefold())


@settings(max_examples=60, deadline=None)
@given(
    rows=worlds,
    feed_ids=st.frozensets(st.sampled_from([1, 2, 3]), min_size=1),
    since=st.integers(-3, 12).map(lambda hours: START + hours * DAY // 3),
    length=st.integers(1, 9),
    indexed=st.integers(0, 40),
)
def test_what_is_new_is_what_nothing_before_had(
    stores: Stores, rows: list[DeploymentRow], feed_ids: frozenset[int], since: int, length: int, indexed: int
) -> None:
    async def ask(database: Database, stored: list[StoredDeployment]) -> None:
        until = since + length * DAY // 3
        seen = [record for record in stored if record.row.feed_id in feed_ids and record.row.date < until]
        for kind in ("package", "version", "target"):
            before = {same(kind, record.row) for record in seen if record.row.date < since}
            new: dict[tuple[Any, ...], int] = {}
            for record in reversed(newest_first(seen)):
                if same(kind, record.row) not in before:
                    new.setdefault(same(kind, record.row), record.row.date)
            async with database.records() as records:
                found = await records.novelties(kind, feed_ids, since, until, 5)
            assert found.total == len(new)
            assert [record.row.date for record in found.first] == sorted(new.values(), reverse=True)[:5]
            assert all(new[same(kind, record.row)] == record.row.date for record in found.first)
            assert found.first == newest_first(found.first)

    run(stores, rows, indexed, ask)


def test_of_very_many_records_the_newest_are_looked_at(stores: Stores, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(novelties, "LOOKED_AT", 3)
    rows = [
        DeploymentRow(1, "a", "d", f"web{number}", "p", "1", None, "u", None, START + number, START, "r", None)
        for number in range(5)
    ]

    async def ask(database: Database, stored: list[StoredDeployment]) -> None:
        async with database.records() as records:
            found = await records.novelties("target", frozenset({1}), START, START + 10, 2)
        assert found.total == 3
        assert found.first == stored[:2:-1]

    run(stores, rows, 40, ask)


@settings(max_examples=40, deadline=None)
@given(rows=worlds, asked=some_filters)
def test_the_busiest_are_those_of_the_history(stores: Stores, rows: list[DeploymentRow], asked: RecordFilter) -> None:
    fields = {"package": "package_name", "target": "target", "application": "application", "user": "user_name"}

    async def ask(database: Database, stored: list[StoredDeployment]) -> None:
        for kind, field in fields.items():
            names = [getattr(record.row, field) for record in stored if matches(asked, record.row)]
            expected = Counter(name.casefold() for name in names)
            async with database.records() as records:
                found = await records.most(kind, asked, 3)
            assert [count for _, count in found] == [count for _, count in expected.most_common(3)]
            assert all(expected[name.casefold()] == count and name in names for name, count in found)

    run(stores, rows, 40, ask)
