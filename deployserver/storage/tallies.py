"""How many deployments there were: by day, and of whom or what the most."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

from deployserver.storage.conditions import DEPLOYMENT_COLUMNS, INSTALLATION_COLUMNS, Conditions, where
from deployserver.storage.connection import Connection
from deployserver.storage.indexing import DAY, DAY_OF_DATE
from deployserver.storage.sources import find_source
from deployserver.storage.ways import of_source

_INSTALLATION = "CROSS JOIN installations AS i ON i.id = d.installation_id"
_COUNTED = (INSTALLATION_COLUMNS.keys() | DEPLOYMENT_COLUMNS.keys()) - {"version"}
_UNINDEXED = "d.id > (SELECT deployment_id FROM indexed)"


async def by_day(connection: Connection, conditions: Conditions) -> dict[int, int]:
    """Return how many records meet the conditions, by whole days (UTC) since 1970; days without any are left out."""
    if conditions.unsatisfiable:
        return {}
    if conditions.words or len(conditions.ids) > 1 or not conditions.ids.keys() <= _COUNTED:
        return await _looked_at(connection, conditions)
    first = None if conditions.since is None else -(-conditions.since // DAY)
    end = None if conditions.until is None else (conditions.until + 1) // DAY
    if first is not None and end is not None and end <= first:
        return await _looked_at(connection, conditions)
    counts = Counter(await _counted(connection, conditions, first, end))
    # What the days that are only partly asked for have, and the days that are not counted yet.
    if first is not None and conditions.since != first * DAY:
        counts.update(await _looked_at(connection, replace(conditions, until=first * DAY - 1)))
    if end is not None and conditions.until != end * DAY - 1:
        counts.update(await _looked_at(connection, replace(conditions, since=end * DAY)))
    whole_days = replace(
        conditions,
        since=None if first is None else first * DAY,
        until=None if end is None else end * DAY - 1,
    )
    counts.update(await _grouped(connection, whole_days, unindexed=True))
    return dict(counts)


async def most(connection: Connection, kind: str, conditions: Conditions, limit: int) -> list[tuple[str, int]]:
    """Return the names of a kind that most records have which meet the conditions, and how many have them."""
    if conditions.unsatisfiable:
        return []
    parameters = connection.parameters()
    column = f"i.{INSTALLATION_COLUMNS[kind]}" if kind in INSTALLATION_COLUMNS else f"d.{DEPLOYMENT_COLUMNS[kind]}"
    # Of several spellings the first.
    rows = await connection.rows(
        "SELECT n.name, f.number FROM (SELECT min(n.id) AS id, CAST(sum(counted.number) AS bigint) AS number "
        f"FROM (SELECT {column} AS id, count(*) AS number FROM deployments AS d INDEXED BY deployments_by_date "
        f"{_INSTALLATION} {where(conditions.all(parameters))} GROUP BY 1) AS counted "
        "CROSS JOIN names AS n ON n.id = counted.id GROUP BY n.name_key) AS f "
        f"CROSS JOIN names AS n ON n.id = f.id ORDER BY f.number DESC, n.name LIMIT {limit}",
        parameters,
    )
    return [(name, number) for name, number in rows]


async def _counted(
    connection: Connection, conditions: Conditions, first: int | None, end: int | None
) -> dict[int, int]:
    parameters = connection.parameters()
    table, wanted = "daily_counts", []
    for ids in conditions.ids.values():
        table = "name_counts"
        wanted.append(parameters.is_in("c.name_id", ids))
        if conditions.feed_ids is None:
            wanted.append("(c.feed_id IN (SELECT id FROM feeds)) IS TRUE")  # the counts of a feed that was removed stay
    if conditions.feed_ids is not None:
        wanted.append(parameters.is_among("c.feed_id", conditions.feed_ids))
    if first is not None:
        wanted.append(f"c.day >= {parameters.add(first)}")
    if end is not None:
        wanted.append(f"c.day < {parameters.add(end)}")
    rows = await connection.rows(
        f"SELECT c.day, CAST(sum(c.count) AS bigint) FROM {table} AS c {where(wanted)} GROUP BY 1",
        parameters,
    )
    return dict(tuple(row) for row in rows)


async def _looked_at(connection: Connection, conditions: Conditions) -> dict[int, int]:
    """Count records that a source leads to, or all."""
    source = await find_source(connection, conditions)
    if source is None:
        return await _grouped(connection, conditions)
    parameters = connection.parameters()
    rows = await connection.rows(
        f"SELECT {DAY_OF_DATE}, count(*) FROM ({of_source(parameters, source, conditions)}) AS f GROUP BY 1",
        parameters,
    )
    return dict(tuple(row) for row in rows)


async def _grouped(connection: Connection, conditions: Conditions, *, unindexed: bool = False) -> dict[int, int]:
    parameters = connection.parameters()
    records, wanted = "deployments AS d", conditions.all(parameters)
    if unindexed:
        records, wanted = f"{records} NOT INDEXED", [_UNINDEXED, *wanted]
    rows = await connection.rows(
        f"SELECT {DAY_OF_DATE}, count(*) FROM {records} {_INSTALLATION} {where(wanted)} GROUP BY 1", parameters
    )
    return dict(tuple(row) for row in rows)
