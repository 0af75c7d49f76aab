"""The dataset of the benchmarks: the same for a seed, true to life where it matters, and taken by the product."""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from conftest import settings_of

from deployserver.administration import Administration
from deployserver.clock import now
from deployserver.dates import format_date
from deployserver.models import ANONYMOUS, FEED_TYPES, PRIVILEGES, DeploymentRow
from deployserver.schemas import load_submission
from deployserver.storage import database, migrate

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"
END = 1_795_305_600_000_000
HOUR = 3_600_000_000
SMALL = {"feeds": 8, "packages": 200, "targets": 120, "records": 6_000, "end": END, "days": 200}

DIGEST = """
import sys, hashlib
sys.path.append(sys.argv[1])
import dataset
made = dataset.Dataset(dataset.Scale(**eval(sys.argv[2])))
ids = {name: number for number, (name, _) in enumerate(made.feeds)}
print(hashlib.sha256(repr([tuple(row) for row in made.rows(ids)]).encode()).hexdigest())
"""


@pytest.fixture(scope="module")
def dataset() -> Iterator[Any]:
    """The module; its folder comes last on the path, because the tests have a module of the name of one of its."""
    sys.path.append(str(BENCHMARKS))
    try:
        yield import_module("dataset")
    finally:
        sys.path.remove(str(BENCHMARKS))


def feed_ids(made: Any) -> dict[str, int]:
    """Number the feeds from 0, so that a row's feed is ``made.feeds[row.feed_id]``."""
    return {name: number for number, (name, _) in enumerate(made.feeds)}


def rows_of(dataset: Any, **scale: Any) -> list[DeploymentRow]:
    """Return the rows of a small installation with ``scale`` changed."""
    made = dataset.Dataset(dataset.Scale(**SMALL | scale))
    return list(made.rows(feed_ids(made)))


@pytest.fixture(scope="module")
def rows(dataset: Any) -> list[DeploymentRow]:
    """The rows of a small installation."""
    return rows_of(dataset)


def package_of(row: DeploymentRow) -> tuple[int, str, str]:
    """Return what makes a package the same in any letter case."""
    return row.feed_id, (row.group_name or "").casefold(), row.package_name.casefold()


def share_of_most_frequent(values: Iterable[object], part: float) -> float:
    """Return which share of ``values`` that part of the different ones has."""
    counted = Counter(values)
    top = counted.most_common(max(int(len(counted) * part), 1))
    return sum(count for _, count in top) / counted.total()


def test_a_seed_makes_the_same_records_in_every_process(rows: list[DeploymentRow]) -> None:
    here = hashlib.sha256(repr([tuple(row) for row in rows]).encode()).hexdigest()
    for hash_seed in ("1", "2"):
        command = [sys.executable, "-c", DIGEST, str(BENCHMARKS), repr(SMALL)]
        environment = os.environ | {"PYTHONHASHSEED": hash_seed, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
        assert subprocess.run(command, env=environment, capture_output=True, text=True).stdout.strip() == here


def test_rows_can_be_read_again(dataset: Any) -> None:
    made = dataset.Dataset(dataset.Scale(**SMALL))
    assert list(made.rows(feed_ids(made))) == list(made.rows(feed_ids(made)))


def test_another_seed_makes_other_records(dataset: Any, rows: list[DeploymentRow]) -> None:
    assert rows_of(dataset, seed=2) != rows


@pytest.mark.parametrize(
    "scale",
    [
        {"records": 1},
        {"records": 1_000, "packages": 5_000, "targets": 2_000, "feeds": 50},
        {"feeds": 1, "packages": 1, "targets": 1, "records": 50, "days": 1},
        {"feeds": 200, "targets": 3},
        {"feeds": 1, "packages": 6_000},
    ],
    ids=str,
)
def test_any_scale_has_exactly_its_records_feeds_and_time(dataset: Any, scale: dict[str, int]) -> None:
    wanted = SMALL | scale
    made = dataset.Dataset(dataset.Scale(**wanted))
    names = [name.casefold() for name, _ in made.feeds]
    assert len(names) == len(set(names)) == wanted["feeds"]
    assert {type_ for _, type_ in made.feeds} <= set(FEED_TYPES)
    recorded = [row.recorded_at for row in made.rows(feed_ids(made))]
    assert len(recorded) == wanted["records"]
    assert recorded == sorted(recorded)
    assert END - wanted["days"] * 24 * HOUR <= recorded[0] <= recorded[-1] < END


def test_the_default_installation_has_all_its_packages_and_most_targets(dataset: Any) -> None:
    made = dataset.Dataset(dataset.Scale(end=END))
    default = list(made.rows(feed_ids(made)))
    assert len({package_of(row) for row in default}) == 5_000
    assert 1_800 < len({row.target.casefold() for row in default}) <= 2_000
    assert len({row.feed_id for row in default}) == 50
    assert len({type_ for _, type_ in made.feeds}) > 12
    assert 200 < len({row.user_name for row in default}) < 400
    assert share_of_most_frequent(map(package_of, default), 0.01) > 0.3
    assert share_of_most_frequent((row.target.casefold() for row in default), 0.01) > 0.05
    assert share_of_most_frequent((row.user_name for row in default), 0.1) > 0.3
    targets = Counter(package for package, _ in {(package_of(row), row.target.casefold()) for row in default})
    assert targets.most_common(1)[0][1] > 100


def test_the_product_takes_every_row_as_it_is(dataset: Any, rows: list[DeploymentRow]) -> None:
    for row in rows:
        sent = {
            "Application": row.application,
            "Description": row.description,
            "Target": row.target,
            "FeedName": "DefaultNuGet",
            "PackageName": row.package_name,
            "Version": row.version,
            "GroupName": row.group_name,
            "UserName": row.user_name,
            "Url": row.url,
            "Date": format_date(row.date),
        }
        assert load_submission(sent) == (
            *(row.application, row.description, row.target, "DefaultNuGet", row.package_name, row.version),
            *(row.group_name, row.user_name, row.url, row.date),
        )


def test_types_that_have_groups_have_them_and_others_not(dataset: Any, rows: list[DeploymentRow]) -> None:
    made = dataset.Dataset(dataset.Scale(**SMALL))
    with_group = {made.feeds[row.feed_id][1] for row in rows if row.group_name is not None}
    assert "npm" in with_group
    assert "nuget" not in with_group
    assert any(row.group_name and row.group_name.startswith("@") for row in rows)


def test_versions_rise_on_every_target_but_where_they_are_rolled_back(rows: list[DeploymentRow]) -> None:
    current: dict[object, tuple[int, ...]] = {}
    fallen = 0
    for row in rows:
        if found := re.fullmatch(r"(?:\d:|v)?(\d+)\.(\d+)\.(\d+)(?!-final)\b.*", row.version):
            on_target = package_of(row), row.target.casefold()
            number = tuple(map(int, found.groups()))
            if number < current.get(on_target, ()):
                assert row.description.startswith("Rollback"), row
                fallen += 1
            current[on_target] = number
    assert len(set(current.values())) > 100
    assert fallen > 10


def test_there_are_prereleases_and_versions_that_are_none(rows: list[DeploymentRow]) -> None:
    assert any(re.search(r"beta|rc|SNAPSHOT|preview|next", row.version) for row in rows)
    stray = [row for row in rows if not re.match(r"(\d:|v)?\d+\.\d+", row.version)]
    assert 0 < len(stray) < len(rows) * 0.02


def test_a_release_comes_to_early_targets_first_and_to_production_within_days(rows: list[DeploymentRow]) -> None:
    first: dict[tuple[object, str], dict[bool, int]] = {}
    for row in rows:
        is_early = re.search(r"dev|test|stag", row.target, re.IGNORECASE) is not None
        first.setdefault((package_of(row), row.version), {}).setdefault(is_early, row.recorded_at)
    waits = [times[False] - times[True] for times in first.values() if len(times) == 2]
    assert sum(wait > 0 for wait in waits) > 0.9 * len(waits)
    assert sum(HOUR / 2 < wait < 240 * HOUR for wait in waits) > 0.5 * len(waits)


def test_targets_are_rolled_back_and_left_behind(rows: list[DeploymentRow]) -> None:
    current = {(package_of(row), row.target.casefold()): row.version for row in rows}
    back = [row for row in rows if row.description.startswith("Rollback")]
    assert 0 < len(back) < 0.1 * len(rows)
    newest = {package_of(row): row.version for row in rows}
    behind = sum(newest[package] != version for (package, _), version in current.items())
    assert 0.02 < behind / len(current) < 0.6


def test_a_few_records_arrive_late(rows: list[DeploymentRow]) -> None:
    late = [row.recorded_at - row.date for row in rows if row.recorded_at - row.date > HOUR / 2]
    assert 0.01 < len(late) / len(rows) < 0.02
    assert min(late) < 10 * HOUR
    assert max(late) > 72 * HOUR
    assert all(row.date <= row.recorded_at for row in rows)


@pytest.mark.parametrize("column", ["package_name", "target", "group_name"])
def test_a_few_names_are_spelled_in_another_letter_case(rows: list[DeploymentRow], column: str) -> None:
    spellings: dict[str, set[str]] = {}
    for row in rows:
        name = getattr(row, column) or ""
        spellings.setdefault(name.casefold(), set()).add(name)
    assert any(len(several) > 1 for several in spellings.values())
    assert len({row.target for row in rows}) < 1.5 * len({row.target.casefold() for row in rows})


def test_descriptions_are_in_part_alike_in_part_unique_and_some_have_lines_or_are_not_ascii(
    rows: list[DeploymentRow],
) -> None:
    descriptions = [row.description for row in rows]
    assert 0.1 < len(set(descriptions)) / len(rows) < 0.6
    assert any("\n" in description for description in descriptions)
    assert any(not description.isascii() for description in descriptions)
    assert not any(re.search(r"[{}]", description) for description in descriptions)
    assert 0.3 < sum(row.url is not None for row in rows) / len(rows) < 0.9


def test_people_work_by_day_and_not_at_weekends(rows: list[DeploymentRow]) -> None:
    by_day = Counter((row.recorded_at // (24 * HOUR) + 3) % 7 for row in rows)  # the epoch was a Thursday
    assert by_day[5] + by_day[6] < 0.05 * len(rows)
    assert sum(7 <= row.recorded_at // HOUR % 24 < 18 for row in rows) > 0.8 * len(rows)


async def test_load_fills_a_database(dataset: Any, tmp_path: Path) -> None:
    settings = settings_of(tmp_path)
    migrate(settings)
    told: list[int] = []
    async with database(settings).opened() as store:
        made = await dataset.load(store, dataset.Scale(**SMALL), told.append)
        access = await Administration(store, "test", now).access()
        async with store.snapshot() as repository:
            counts = [await repository.count_deployments(feed) for feed in access.feeds]
    assert told == [2_000, 4_000, 6_000]
    assert sum(counts) == 6_000
    assert [(feed.name, feed.type) for feed in access.feeds.values()] == made.feeds
    opened = {(entry.principal, entry.privilege, entry.feed_id) for entry in access.privileges}
    default = access.require_feed("DefaultNuGet").id
    assert opened == {(ANONYMOUS, privilege, default) for privilege in PRIVILEGES}


def test_the_command_makes_a_directory_that_can_be_served(tmp_path: Path) -> None:
    command = [sys.executable, str(BENCHMARKS / "dataset.py"), "--directory", "made", "--records", "500"]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    made = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert made.returncode == 0, made.stderr
    assert "500 of 500 records" in made.stdout
    assert "deployserver --config made" in made.stdout
    assert (tmp_path / "made" / "config.ini").is_file()
    again = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert again.returncode == 2
    assert "is there already" in again.stderr
