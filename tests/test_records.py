"""What can be asked of the records, against the plainest possible recomputation from all of them."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from stores import FEEDS, Stores

from deployserver.filters import RecordFilter, Word
from deployserver.models import DeploymentRow
from deployserver.storage import Database, indexing, sources
from deployserver.storage.history import StoredDeployment

DAY = 86_400_000_000
START = 1_618_272_000_000_000  # 2021-04-13


async def index(database: Database, at_once: int) -> None:
    async with database.indexing_transaction() as connection:
        await indexing.index_next(connection, at_once)


# The plainest possible recomputation


def matches(asked: RecordFilter, row: DeploymentRow) -> bool:
    fields = (
        (asked.groups, row.group_name or ""),
        (asked.packages, row.package_name),
        (asked.targets, row.target),
        (asked.versions, row.version),
        (asked.applications, row.application),
        (asked.users, row.user_name),
    )
    return (
        (asked.feed_ids is None or row.feed_id in asked.feed_ids)
        and all(not wanted or any(is_like(pattern, value) for pattern in wanted) for wanted, value in fields)
        and (asked.since is None or row.date >= asked.since)
        and (asked.until is None or row.date <= asked.until)
        and all(has_word(word, row) for word in asked.words)
    )


def is_like(pattern: str, value: str) -> bool:
    pattern, value = pattern.casefold(), value.casefold()
    if pattern.endswith("**"):
        return value == pattern[:-1]
    return value.startswith(pattern[:-1]) if pattern.endswith("*") else value == pattern


def has_word(word: Word, row: DeploymentRow) -> bool:
    texts = (
        *(row.group_name or "", row.package_name, row.target, row.version, row.application, row.user_name),
        *(row.description, row.url or ""),
    )
    return row.feed_id in word.feed_ids or any(word.text.casefold() in text.casefold() for text in texts)


def feeds_with(text: str) -> frozenset[int]:
    return frozenset(id_ for id_, name in FEEDS.items() if text.casefold() in name.casefold())


def newest_first(records: list[StoredDeployment]) -> list[StoredDeployment]:
    return sorted(records, key=lambda record: (record.row.date, record.id), reverse=True)


def identity(row: DeploymentRow) -> tuple[Any, ...]:
    return (
        row.feed_id,
        (row.group_name or "").casefold(),
        row.package_name.casefold(),
        row.target.casefold(),
    )


def latest(records: list[StoredDeployment], as_of: int | None) -> list[StoredDeployment]:
    found: dict[tuple[Any, ...], StoredDeployment] = {}
    for record in newest_first(records):
        if as_of is None or record.row.date <= as_of:
            found.setdefault(identity(record.row), record)
    return list(found.values())


def by_names(records: list[StoredDeployment]) -> list[tuple[str, str]]:
    return [(record.row.package_name.casefold(), record.row.target.casefold()) for record in records]


# Small worlds in which names are often the same, or the same but for their letter case

some_rows = st.builds(
    DeploymentRow,
    feed_id=st.sampled_from(list(FEEDS)),
    application=st.sampled_from(["ProfitCalc", "Octopus", "octopus"]),
    description=st.sampled_from(["Deployed", "Release 100% done\nby hand", "nach ZÜRICH", "build_47"]),
    target=st.sampled_from(["web01", "WEB01", "web02", "db"]),
    package_name=st.sampled_from(["Newtonsoft.Json", "newtonsoft.json", "Zürich", "ZÜRICH", "left-pad", "left*"]),
    version=st.sampled_from(["1.0", "1.0-RC1", "1.0-rc1", "2.0"]),
    group_name=st.sampled_from([None, None, "@acme", "@Acme"]),
    user_name=st.sampled_from(["alice", "Bob", "API"]),
    url=st.sampled_from([None, "http://buildserver:8622/47"]),
    date=st.integers(-3, 12).map(lambda hours: START + hours * DAY // 3),
    recorded_at=st.just(START),
    recorded_by=st.just("API key 1 (ci)"),
    recorded_key_id=st.just(1),
)
names = {
    "groups": ["@acme", "@A*", "none", ""],
    "packages": ["newtonsoft.json", "new*", "ZüRICH", "*", "unknown", "LEFT**", "left*"],
    "targets": ["web01", "WEB*", "db", "unknown"],
    "versions": ["1.0", "1*", "1.0-RC1", "3"],
    "applications": ["OCTOPUS", "profit*", "unknown"],
    "users": ["ALICE", "b*", "nobody"],
}
some_moments = st.none() | st.integers(-4, 12).map(lambda hours: START + hours * DAY // 3)
some_words = st.sampled_from(["json", "web", "Zürich", "100%", "build_4", "8622", "ba", "acme", "nothing"])
some_filters = st.builds(
    RecordFilter,
    feed_ids=st.none() | st.frozensets(st.sampled_from(list(FEEDS))),
    **{
        field: st.just(()) | st.lists(st.sampled_from(values), max_size=2).map(tuple) for field, values in names.items()
    },
    since=st.none() | st.integers(-4, 12).map(lambda hours: START + hours * DAY // 3),
    until=st.none() | st.integers(-4, 12).map(lambda hours: START + hours * DAY // 3),
    words=st.just(()) | st.lists(some_words.map(lambda text: Word(text, feeds_with(text))), max_size=2).map(tuple),
)
worlds = st.lists(some_rows, max_size=40)


@pytest.fixture(params=[sources.FEW, 3], ids=["few are many", "few are 3"])
def few(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    """With a bound of three records the ways that are made for many records are gone with few."""
    monkeypatch.setattr(sources, "FEW", request.param)
    return int(request.param)


def run(stores: Stores, rows: list[DeploymentRow], indexed: int, ask: Any) -> None:
    """Store rows, index so many of them, and ask."""

    async def go(database: Database) -> None:
        # One by one and all at once: names that are new, and names that are known.
        ids = [id_ for row in rows[:5] for id_ in await database.add_deployments([row])]
        if rows[5:]:
            ids += await database.add_deployments(rows[5:])
        if indexed:
            await index(database, indexed)
        stored = [StoredDeployment(id_, row) for id_, row in zip(ids, rows, strict=True)]
        await ask(database, stored)

    stores.run(go)


def positions(limit: int) -> Iterator[int]:
    yield from itertools.repeat(limit, 200)


@settings(max_examples=60, deadline=None)
@given(rows=worlds, asked=some_filters, limit=st.integers(1, 7), indexed=st.integers(0, 40), late=worlds)
def test_paging_through_the_history_is_a_full_scan(
    stores: Stores, rows: list[DeploymentRow], asked: RecordFilter, limit: int, indexed: int, late: list[DeploymentRow]
) -> None:
    """In the order of dates and arrival, while records arrive: none of those that were there is left out or doubled."""

    async def ask(database: Database, stored: list[StoredDeployment]) -> None:
        expected = newest_first([record for record in stored if matches(asked, record.row)])
        async with database.records() as records:
            assert await records.count(asked) == len(expected)
            assert await records.history(asked, None, 100) == expected
            for place, record in enumerate(expected):
                newer = await records.newer(asked, (record.row.date, record.id), limit)
                assert newer == expected[:place][::-1][:limit]
        found: list[StoredDeployment] = []
        before = None
        arriving = iter(late)
        for size in positions(limit):
            async with database.records() as records:
                page = await records.history(asked, before, size)
            found += page
            if len(page) < size:
                break
            before = (page[-1].row.date, page[-1].id)
            for row in itertools.islice(arriving, 1):
                await database.add_deployments([row])
        assert len({record.id for record in found}) == len(found)
        assert found == newest_first(found)
        known = {record.id for record in stored}
        assert [record for record in found if record.id in known] == expected

    run(stores, rows, indexed, ask)


@settings(max_examples=60, deadline=None)
@given(
    rows=worlds,
    asked=some_filters,
    limit=st.integers(1, 7),
    indexed=st.integers(0, 40),
    as_of=some_moments,
)
def test_what_runs_where_is_what_the_history_says(
    stores: Stores, rows: list[DeploymentRow], asked: RecordFilter, limit: int, indexed: int, as_of: int | None
) -> None:
    """Late records and other spellings included, page by page, now and at any time."""

    async def ask(database: Database, stored: list[StoredDeployment]) -> None:
        expected = {record for record in latest(stored, as_of) if matches(asked, record.row)}
        found: list[StoredDeployment] = []
        after = None
        for size in positions(limit):
            async with database.records() as records:
                page = await records.current(asked, as_of, after, size)
            found += [item.deployment for item in page]
            if len(page) < size:
                break
            after = page[-1].position
        assert len(found) == len(expected)
        assert set(found) == expected
        assert by_names(found) == sorted(by_names(found))
        async with database.records() as records:
            assert await records.count_current(asked, as_of) == len(expected)

    run(stores, rows, indexed, ask)


@settings(max_examples=50, deadline=None)
@given(rows=worlds, asked=some_filters, indexed=st.integers(0, 40))
def test_counts_by_day_are_those_of_the_history(
    stores: Stores, rows: list[DeploymentRow], asked: RecordFilter, indexed: int
) -> None:
    async def ask(database: Database, stored: list[StoredDeployment]) -> None:
        expected = Counter(record.row.date // DAY for record in stored if matches(asked, record.row))
        async with database.records() as records:
            assert await records.counts_by_day(asked) == expected

    run(stores, rows, indexed, ask)


@settings(max_examples=50, deadline=None)
@given(rows=worlds)
def test_the_neighbours_of_a_record_are_those_of_its_installation(stores: Stores, rows: list[DeploymentRow]) -> None:
    """However it was spelt, and in whatever order it was recorded."""

    async def ask(database: Database, stored: list[StoredDeployment]) -> None:
        for record in stored:
            same = newest_first([other for other in stored if identity(other.row) == identity(record.row)])
            place = same.index(record)
            async with database.records() as records:
                found = await records.neighbours(record)
            assert found.before == (same[place + 1] if place + 1 < len(same) else None)
            assert found.after == (same[place - 1] if place else None)
            assert found.latest == same[0]

    run(stores, rows, 0, ask)


@pytest.mark.parametrize("indexed", [0, 2, 40])
def test_the_bounds_for_few_records_change_no_answer(few: int, stores: Stores, indexed: int) -> None:
    """Every single filter and every pair, on records enough to go past a bound of three."""
    texts = [None, "@acme"]
    rows = [
        DeploymentRow(
            1 + number % 3, ["Octopus", "octopus", "ProfitCalc"][number % 3], f"build_{number}", f"web0{number % 4}",
            ["left-pad", "Zürich"][number % 2], f"1.{number % 5}", texts[number % 2], ["alice", "Bob"][number % 2],
            None, START + (number * 7 % 30) * DAY // 3, START, "API key 1", 1,
        )
        for number in range(60)
    ]  # fmt: skip  # one record, one line
    singles: list[dict[str, Any]] = [
        {"feed_ids": frozenset({1})}, {"groups": ("@acme",)}, {"packages": ("z*",)}, {"targets": ("web01", "web02")},
        {"versions": ("1.1", "1.2")}, {"applications": ("octopus",)}, {"users": ("alice",)}, {"since": START + 5 * DAY},
        {"words": (Word("web03", frozenset()),)}, {"words": (Word("uild_1", frozenset()),)},
    ]  # fmt: skip  # likewise
    filters = [RecordFilter(**one | other) for one, other in itertools.combinations_with_replacement(singles, 2)]

    async def ask(database: Database, stored: list[StoredDeployment]) -> None:
        for asked, as_of in itertools.product(filters, (None, START + 6 * DAY)):
            expected = newest_first([record for record in stored if matches(asked, record.row)])
            runs = {record for record in latest(stored, as_of) if matches(asked, record.row)}
            days = Counter(record.row.date // DAY for record in expected)
            async with database.records() as records:
                assert await records.history(asked, None, 5) == expected[:5], asked
                assert await records.newer(asked, (0, 0), 5) == expected[::-1][:5], asked
                assert await records.count(asked) == len(expected), asked
                assert {item.deployment for item in await records.current(asked, as_of, None, None)} == runs, asked
                assert await records.counts_by_day(asked) == days, asked

    run(stores, rows, indexed, ask)
