"""The parts of a matrix, the versions in it and the steps to it, against the plainest recomputation."""

from __future__ import annotations

from collections import Counter, defaultdict

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from stores import Stores
from test_records import (
    identity,
    is_like,
    latest,
    matches,
    names,
    newest_first,
    positions,
    run,
    some_filters,
    some_moments,
    worlds,
)

from deployserver.filters import RecordFilter
from deployserver.models import DeploymentRow
from deployserver.storage import Database, sources
from deployserver.storage.history import StoredDeployment
from deployserver.storage.spread import PackageKey

place_filters = st.builds(
    RecordFilter,
    feed_ids=st.none() | st.frozensets(st.sampled_from([1, 2, 3])),
    **{
        field: st.just(()) | st.lists(st.sampled_from(names[field]), max_size=2).map(tuple)
        for field in ("groups", "packages", "targets")
    },
)


def key(row: DeploymentRow) -> PackageKey:
    return PackageKey(row.package_name.casefold(), row.feed_id, (row.group_name or "").casefold())


def running(stored: list[StoredDeployment], asked: RecordFilter) -> list[StoredDeployment]:
    return [record for record in latest(stored, None) if matches(asked, record.row)]


@settings(max_examples=60, deadline=None)
@given(rows=worlds, asked=place_filters, limit=st.integers(1, 4))
def test_paging_through_a_matrix_in_both_directions_finds_all_of_it_once(
    stores: Stores, rows: list[DeploymentRow], asked: RecordFilter, limit: int
) -> None:
    async def ask(database: Database, stored: list[StoredDeployment]) -> None:
        there = running(stored, asked)
        expected = sorted({key(record.row) for record in there})
        async with database.records() as records:
            found = []
            start = None
            for size in positions(limit):
                page = await records.matrix_packages(asked, start, size)
                found += page
                if len(page) < size:
                    break
                start = page[-1].key
            assert [package.key for package in found] == expected
            for index, package in enumerate(found):
                before = await records.matrix_packages(asked, package.key, limit, backwards=True)
                assert before == found[max(index - limit, 0) : index]
                assert any(record.row.package_name == package.name for record in stored)

            window = expected[:3]
            columns = sorted({record.row.target.casefold() for record in there if key(record.row) in window})
            targets = await records.matrix_targets(asked, window, None, 100)
            assert [target.key for target in targets] == columns
            for index, target in enumerate(targets):
                after = await records.matrix_targets(asked, window, target.key, limit)
                before_it = await records.matrix_targets(asked, window, target.key, limit, backwards=True)
                assert after == targets[index + 1 :][:limit]
                assert before_it == targets[max(index - limit, 0) : index]

            cells = await records.matrix_cells(window, columns[:2])
            assert {(window[cell.package], cell.target, cell.id, cell.version) for cell in cells} == {
                (key(record.row), record.row.target.casefold(), record.id, record.row.version)
                for record in latest(stored, None)
                if key(record.row) in window and record.row.target.casefold() in columns[:2]
            }

    run(stores, rows, 0, ask)


@settings(max_examples=50, deadline=None)
@given(rows=worlds, targets=st.lists(st.sampled_from(names["targets"]), max_size=2).map(tuple))
def test_the_versions_of_a_package_are_those_that_its_targets_run(
    stores: Stores, rows: list[DeploymentRow], targets: tuple[str, ...]
) -> None:
    async def ask(database: Database, stored: list[StoredDeployment]) -> None:
        packages = sorted({key(row) for row in rows} | {PackageKey("unknown", 1, "")})
        expected: dict[PackageKey, Counter[str]] = {package: Counter() for package in packages}
        for record in running(stored, RecordFilter(targets=targets)):
            expected[key(record.row)][record.row.version] += 1
        async with database.records() as records:
            assert await records.spread(packages, RecordFilter(targets=targets)) == expected

    run(stores, rows, 0, ask)


@pytest.mark.parametrize("few", [sources.FEW, 3], ids=["few are many", "few are 3"])
def test_steps_are_the_records_and_lead_from_one_moment_to_the_next(
    few: int, stores: Stores, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sources, "FEW", few)

    @settings(max_examples=50, deadline=None)
    @given(rows=worlds, asked=some_filters, limit=st.integers(1, 9), moment=some_moments)
    def check(rows: list[DeploymentRow], asked: RecordFilter, limit: int, moment: int | None) -> None:
        async def ask(database: Database, stored: list[StoredDeployment]) -> None:
            wanted = newest_first([record for record in stored if matches(asked, record.row)])[:limit]
            async with database.records() as records:
                steps = await records.steps(asked, limit)
                assert [(step.id, step.date, step.version) for step in steps] == [
                    (record.id, record.row.date, record.row.version) for record in wanted
                ]
                numbers = defaultdict(set)
                for step, record in zip(steps, wanted, strict=True):
                    numbers[identity(record.row)].add(step.installation)
                assert all(len(found) == 1 for found in numbers.values())
                if moment is not None:
                    then = await records.versions_as_of(asked, moment)
                    there = [record for record in latest(stored, moment) if matches(asked, record.row)]
                    assert Counter(then.values()) == Counter(record.row.version for record in there)

        run(stores, rows, 40, ask)

    check()


def test_a_name_that_ends_with_an_asterisk_can_be_asked_for() -> None:
    assert is_like("left**", "LEFT*")
    assert not is_like("left**", "left-pad")
