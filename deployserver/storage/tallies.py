"""How many deployments there were: by day, and of whom or what the most."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import aiosqlite

from deployserver.storage.conditions import DEPLOYMENT_COLUMNS, INSTALLATION_COLUMNS, Conditions, Parameters, where
from deployserver.storage.history import of_source
from deployserver.storage.indexing import DAY, DAY_OF_DATE
from deployserver.storage.sources import find_source

_INSTALLATION = "CROSS JOIN installations AS i ON i.id = d.installation_id"
_UNINDEXED = "d.id > (SELECT deployment_id FROM indexed)"


async def by_day(connection: aiosqlite.Connection, conditions: Conditions) -> dict[int, int]:
    """Return how many records meet the conditions, by whole days (UTC) since 1970; days without any are left out."""
    if conditions.unsatisfiable:
        return {}
    if conditions.words or not conditions.ids.keys() <= {"application"}:
        return await _looked_at(connection, conditions)
    first = None if conditions.since is None else -(-conditions.since // DAY)
    end = None if conditions.until is None else (conditions.until + 1) // DAY
    if first is not None and end is not None and end <= first:
        return await _looked_at(connection, conditions)
    counts = Counter(await _counted(connection, conditions, first, end))
    # What the days that are only partly asked for have, and the days that are not counted yet.
    if first is not None and conditions.since != first * DAY:
        counts.update(await _grouped(connection, replace(conditions, until=first * DAY - 1)))
    if end is not None and conditions.until != end * DAY - 1:
        counts.update(await _grouped(connection, replace(conditions, since=end * DAY)))
    whole_days = replace(
        conditions,
        since=None if first is None else first * DAY,
        until=None if end is None else end * DAY - 1,
    )
    counts.update(await _grouped(connection, whole_days, _UNINDEXED))
    return dict(counts)


async def most(
    connection: aiosqlite.Connection, kind: str, conditions: Conditions, limit: int
) -> list[tuple[str, int]]:
    """Return the names of a kind that most records have which meet the conditions, and how many have them."""
    if conditions.unsatisfiable:
        return []
    parameters = Parameters()
    column = f"i.{INSTALLATION_COLUMNS[kind]}" if kind in INSTALLATION_COLUMNS else f"d.{DEPLOYMENT_COLUMNS[kind]}"
    # Of several spellings the first: with min(), SQLite takes the name from the row that has the least.
    rows = await connection.execute_fetchall(
        f"SELECT n.name, sum(counted.number), min(n.id) FROM (SELECT {column} AS id, count(*) AS number "
        f"FROM deployments AS d INDEXED BY deployments_by_date {_INSTALLATION} {where(conditions.all(parameters))} "
        "GROUP BY 1) AS counted CROSS JOIN names AS n ON n.id = counted.id "
        f"GROUP BY n.name_key ORDER BY 2 DESC, 1 LIMIT {limit}",
        parameters.values,
    )
    return [(name, number) for name, number, _ in rows]


async def _counted(
    connection: aiosqlite.Connection, conditions: Conditions, first: int | None, end: int | None
) -> dict[int, int]:
    parameters = Parameters()
    table, wanted = "daily_counts", []
    if "application" in conditions.ids:
        table = "application_counts"
        wanted.append(parameters.is_in("c.application_id", conditions.ids["application"]))
    if conditions.feed_ids is not None:
        wanted.append(parameters.is_in("c.feed_id", conditions.feed_ids))
    if first is not None:
        wanted.append(f"c.day >= {parameters.add(first)}")
    if end is not None:
        wanted.append(f"c.day < {parameters.add(end)}")
    rows = await connection.execute_fetchall(
        f"SELECT c.day, sum(c.count) FROM {table} AS c {where(wanted)} GROUP BY 1",
        parameters.values,
    )
    return dict(tuple(row) for row in rows)


async def _looked_at(connection: aiosqlite.Connection, conditions: Conditions) -> dict[int, int]:
    """Count records that a source leads to, or all."""
    source = await find_source(connection, conditions)
    if source is None:
        return await _grouped(connection, conditions)
    parameters = Parameters()
    rows = await connection.execute_fetchall(
        f"SELECT {DAY_OF_DATE}, count(*) FROM ({of_source(parameters, source, conditions)}) GROUP BY 1",
        parameters.values,
    )
    return dict(tuple(row) for row in rows)


async def _grouped(connection: aiosqlite.Connection, conditions: Conditions, *more: str) -> dict[int, int]:
    parameters = Parameters()
    rows = await connection.execute_fetchall(
        f"SELECT {DAY_OF_DATE}, count(*) FROM deployments AS d {_INSTALLATION} "
        f"{where([*more, *conditions.all(parameters)])} GROUP BY 1",
        parameters.values,
    )
    return dict(tuple(row) for row in rows)
