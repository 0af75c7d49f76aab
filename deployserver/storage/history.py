"""The records that meet a filter, in the order of their dates or of their ids."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any, NamedTuple

from deployserver.models import DeploymentRow
from deployserver.storage.conditions import Conditions, where
from deployserver.storage.connection import Connection, Parameters
from deployserver.storage.indexing import DAY
from deployserver.storage.sources import Source, are_soon_found, days_with, find_source, wide_source
from deployserver.storage.ways import (
    BACK,
    INSTALLATION,
    Position,
    Way,
    among_few,
    by_date,
    by_key,
    is_looked_at,
    of_source,
)

RECORD = """
SELECT
    d.id, i.feed_id, a.name, d.description, t.name, p.name, v.name, nullif(g.name, ''), u.name, d.url, d.date,
    d.recorded_at, r.name, d.recorded_key_id
"""
NAMES = """
CROSS JOIN names AS a ON a.id = d.application_id
CROSS JOIN names AS t ON t.id = i.target_id
CROSS JOIN names AS p ON p.id = i.package_id
CROSS JOIN names AS v ON v.id = d.version_id
CROSS JOIN names AS g ON g.id = i.group_id
CROSS JOIN names AS u ON u.id = d.user_id
CROSS JOIN names AS r ON r.id = d.recorded_by_id
"""
_LAST_DAY = 2**31 - 1

_NEAR = 50_000
"""So many records are gone through for those with a word before all that may have it are looked for."""


class StoredDeployment(NamedTuple):
    """A deployment with its id, as the database gives it."""

    id: int
    row: DeploymentRow


async def following(
    connection: Connection, conditions: Conditions, position: Position | None, limit: int, way: Way = BACK
) -> list[StoredDeployment]:
    """Return the first records on the way, by date and then by arrival, that come after ``position``."""
    if conditions.unsatisfiable:
        return []
    parameters = connection.parameters()
    found = await first_of(connection, parameters, conditions, position, limit, way)
    rows = await connection.rows(
        f"{RECORD} FROM {found} {NAMES} {way.sorted()} LIMIT {limit}",
        parameters,
    )
    return deployments(rows)


async def first_of(
    connection: Connection,
    parameters: Parameters,
    conditions: Conditions,
    position: Position | None,
    limit: int,
    way: Way = BACK,
) -> str:
    """Return deployments ``d`` with their installations ``i``, in no order, that have the first ones on the way."""
    source = await find_source(connection, conditions)
    if source is None and (conditions.ids or conditions.words):
        near = await _near(connection, conditions, position, limit, way)
        if near is not None:
            return _with_ids(f"SELECT k.value AS id FROM ({parameters.table(near)}) AS k")
        source = await wide_source(connection, conditions)
    elif conditions.only_feeds and conditions.feed_ids is not None:
        if await _is_busy(connection, conditions, source, position, limit, way):
            source = None
        elif source is None:
            source = await wide_source(connection, conditions)
    if source is None:
        ids = by_date(parameters, conditions, position, limit, way)
    elif is_looked_at(source, conditions):
        ids = among_few(parameters, source, conditions, position, limit, way)
    else:
        ids = by_key(parameters, source, conditions, position, limit, way)
    return _with_ids(ids)


def _with_ids(ids: str) -> str:
    return f"({ids}) AS found CROSS JOIN deployments AS d ON d.id = found.id {INSTALLATION}"


async def _is_busy(
    connection: Connection,
    conditions: Conditions,
    source: Source | None,
    position: Position | None,
    limit: int,
    way: Way,
) -> bool:
    """Tell whether the records of feeds with many installations are found sooner by their dates than by those."""
    if conditions.feed_ids is None or (source is not None and len(source.keys) <= limit):
        return False
    day = _first_day(conditions, position, way)
    return await are_soon_found(connection, conditions.feed_ids, day, limit, back=way is BACK)


async def _near(
    connection: Connection, conditions: Conditions, position: Position | None, limit: int, way: Way
) -> list[int] | None:
    """Go through time, but not far, and return the ids of the first records; None if these are not enough."""
    day = await days_with(connection, _NEAR, _first_day(conditions, position, way), back=way is BACK)
    near = conditions
    if day is not None and way is BACK:
        near = replace(near, since=max(day * DAY, day * DAY if near.since is None else near.since))
    elif day is not None:
        end = (day + 1) * DAY - 1
        near = replace(near, until=min(end, end if near.until is None else near.until))
    parameters = connection.parameters()
    rows = await connection.rows(by_date(parameters, near, position, limit, way), parameters)
    return None if day is not None and len(rows) < limit else [id_ for (id_,) in rows]


def _first_day(conditions: Conditions, position: Position | None, way: Way) -> int:
    """Return the day on which going through time begins."""
    dates = [conditions.until if way is BACK else conditions.since, position and position[0]]
    days = [date // DAY for date in dates if date is not None]
    return min(days, default=_LAST_DAY) if way is BACK else max(days, default=-_LAST_DAY)


async def after_id(connection: Connection, conditions: Conditions, after: int, limit: int) -> list[StoredDeployment]:
    """Return the first records that were stored after the one with the id ``after``."""
    if conditions.unsatisfiable:
        return []
    parameters = connection.parameters()
    wanted = [f"d.id > {parameters.add(after)}", *conditions.all(parameters)]
    rows = await connection.rows(
        f"{RECORD} FROM deployments AS d {INSTALLATION} {NAMES} {where(wanted)} ORDER BY d.id LIMIT {limit}",
        parameters,
    )
    return deployments(rows)


async def by_id(connection: Connection, id_: int) -> StoredDeployment | None:
    """Return the record with this id."""
    parameters = connection.parameters()
    rows = await connection.rows(
        f"{RECORD} FROM deployments AS d {INSTALLATION} {NAMES} WHERE d.id = {parameters.add(id_)}", parameters
    )
    return next(iter(deployments(rows)), None)


async def by_ids(connection: Connection, ids: Iterable[int]) -> dict[int, StoredDeployment]:
    """Return the records with these ids, those that there are."""
    parameters = connection.parameters()
    rows = await connection.rows(
        f"{RECORD} FROM ({parameters.table(ids)}) AS k CROSS JOIN deployments AS d ON d.id = k.value "
        f"{INSTALLATION} {NAMES}",
        parameters,
    )
    return {record.id: record for record in deployments(rows)}


async def count(connection: Connection, conditions: Conditions) -> int:
    """Return how many records meet the conditions."""
    if conditions.unsatisfiable:
        return 0
    source = await find_source(connection, conditions)
    parameters = connection.parameters()
    wanted = conditions.all(parameters)
    if source is not None:
        statement = f"SELECT count(*) FROM ({of_source(parameters, source, conditions)}) AS f"
    elif wanted:
        statement = f"SELECT count(*) FROM deployments AS d {INSTALLATION} {where(wanted)}"
    else:
        statement = "SELECT count(*) FROM deployments"
    ((number,),) = await connection.rows(statement, parameters)
    return int(number)


def deployments(rows: Any) -> list[StoredDeployment]:
    """Return what ``RECORD`` has selected."""
    return [StoredDeployment(row[0], DeploymentRow._make(row[1:])) for row in rows]
