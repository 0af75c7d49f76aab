"""The records that meet a filter, in the order of their dates or of their ids."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import aiosqlite

from deployserver.models import DeploymentRow
from deployserver.storage.conditions import Conditions, Parameters, where
from deployserver.storage.sources import Source, find_source

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
INSTALLATION = "CROSS JOIN installations AS i ON i.id = d.installation_id"
_UNINDEXED = "d.id > (SELECT deployment_id FROM indexed)"


class Way(NamedTuple):
    """A way through the history: SQL's word for the order on it, and how what follows compares with what has been."""

    direction: str
    follows: str

    def order(self, date: str = "d.date", id_: str = "d.id") -> str:
        """Return the ORDER BY clause."""
        return f"ORDER BY {date} {self.direction}, {id_} {self.direction}"


BACK = Way("DESC", "<")
FORTH = Way("ASC", ">")


class StoredDeployment(NamedTuple):
    """A deployment with its id, as the database gives it."""

    id: int
    row: DeploymentRow


Position = tuple[int, int]
"""A place in the history: the date and the id of the record that was the last on the way there."""


async def following(
    connection: aiosqlite.Connection, conditions: Conditions, position: Position | None, limit: int, way: Way = BACK
) -> list[StoredDeployment]:
    """Return the first records on the way, by date and then by arrival, that come after ``position``."""
    if conditions.unsatisfiable:
        return []
    parameters = Parameters()
    found = await first_of(connection, parameters, conditions, position, limit, way)
    rows = await connection.execute_fetchall(
        f"{RECORD} FROM {found} {NAMES} {way.order()} LIMIT {limit}",
        parameters.values,
    )
    return deployments(rows)


async def first_of(
    connection: aiosqlite.Connection,
    parameters: Parameters,
    conditions: Conditions,
    position: Position | None,
    limit: int,
    way: Way = BACK,
) -> str:
    """Return deployments ``d`` with their installations ``i``, in no order, that have the first ones on the way."""
    source = await find_source(connection, conditions)
    if source is None:
        ids = _by_date(parameters, conditions, position, limit, way)
    elif source.few:
        ids = among_few(parameters, source, conditions, position, limit, way)
    else:
        ids = _by_key(parameters, source, conditions, position, limit, way)
    return f"({ids}) AS found CROSS JOIN deployments AS d ON d.id = found.id {INSTALLATION}"


async def after_id(
    connection: aiosqlite.Connection, conditions: Conditions, after: int, limit: int
) -> list[StoredDeployment]:
    """Return the first records that were stored after the one with the id ``after``."""
    if conditions.unsatisfiable:
        return []
    parameters = Parameters()
    wanted = [f"d.id > {parameters.add(after)}", *conditions.all(parameters)]
    rows = await connection.execute_fetchall(
        f"{RECORD} FROM deployments AS d {INSTALLATION} {NAMES} {where(wanted)} ORDER BY d.id LIMIT {limit}",
        parameters.values,
    )
    return deployments(rows)


async def by_id(connection: aiosqlite.Connection, id_: int) -> StoredDeployment | None:
    """Return the record with this id."""
    rows = await connection.execute_fetchall(
        f"{RECORD} FROM deployments AS d {INSTALLATION} {NAMES} WHERE d.id = ?",
        (id_,),
    )
    return next(iter(deployments(rows)), None)


async def count(connection: aiosqlite.Connection, conditions: Conditions) -> int:
    """Return how many records meet the conditions."""
    if conditions.unsatisfiable:
        return 0
    source = await find_source(connection, conditions)
    parameters = Parameters()
    wanted = conditions.all(parameters)
    if source is not None:
        statement = f"SELECT count(*) FROM ({of_source(parameters, source, conditions)})"
    elif wanted:
        statement = f"SELECT count(*) FROM deployments AS d {INSTALLATION} {where(wanted)}"
    else:
        statement = "SELECT count(*) FROM deployments"
    ((number,),) = await connection.execute_fetchall(statement, parameters.values)
    return int(number)


def deployments(rows: Any) -> list[StoredDeployment]:
    """Return what ``RECORD`` has selected."""
    return [StoredDeployment(row[0], DeploymentRow._make(row[1:])) for row in rows]


def _after(parameters: Parameters, position: Position | None, way: Way, date: str, id_: str) -> list[str]:
    if position is None:
        return []
    moment, number = parameters.add(position[0]), parameters.add(position[1])
    # The first says to an index where to begin.
    return [f"{date} {way.follows}= {moment}", f"({date}, {id_}) {way.follows} ({moment}, {number})"]


def _by_date(parameters: Parameters, conditions: Conditions, position: Position | None, limit: int, way: Way) -> str:
    """Go through time until enough are found."""
    wanted = [*_after(parameters, position, way, "d.date", "d.id"), *conditions.all(parameters)]
    installation = INSTALLATION if conditions.feed_ids is not None or conditions.ids or conditions.words else ""
    return (
        f"SELECT * FROM (SELECT d.id AS id FROM deployments AS d INDEXED BY deployments_by_date {installation} "
        f"{where(wanted)} {way.order()} LIMIT {limit})"
    )


def among_few(
    parameters: Parameters,
    source: Source,
    conditions: Conditions,
    position: Position | None,
    limit: int | None,
    way: Way = BACK,
) -> str:
    """Look at all records of the source, and at those that are not indexed."""
    wanted = [*_after(parameters, position, way, "d.date", "d.id"), *conditions.all(parameters)]
    order = f"{way.order()} LIMIT {limit}" if limit is not None else ""
    keys = parameters.table(source.keys)
    if not source.table:
        records = f"({keys}) AS k CROSS JOIN deployments AS d ON d.id = k.value"
    elif source.table == "deployments":
        records = f"({keys}) AS k CROSS JOIN deployments AS d ON d.installation_id = k.value"
    else:
        records = (
            f"({keys}) AS k CROSS JOIN {source.table} AS e ON e.{source.key} = k.value "
            f"CROSS JOIN deployments AS d ON d.id = e.{source.id}"
        )
    indexed = f"SELECT * FROM (SELECT d.id AS id FROM {records} {INSTALLATION} {where(wanted)} {order})"
    return f"{indexed} UNION ALL {_unindexed(wanted, order)}" if source.table == "name_uses" else indexed


def of_source(parameters: Parameters, source: Source, conditions: Conditions) -> str:
    """Return a query for ids and dates of all records of the source that meet the conditions."""
    wanted = conditions.all(parameters)
    if source.table == "deployments" and not conditions.of_records:
        # Its keys are just the installations that are asked for, and the index has the dates.
        wanted = conditions.of_time(parameters, "d.date")
        return (
            f"SELECT d.id, d.date FROM ({parameters.table(source.keys)}) AS k "
            f"CROSS JOIN deployments AS d ON d.installation_id = k.value {where(wanted)}"
        )
    if source.table == "name_uses" and conditions.only_uses:
        indexed = conditions.of_time(parameters, "e.date")
        if conditions.feed_ids is not None:
            indexed.append(parameters.is_in("e.feed_id", conditions.feed_ids))
        else:
            indexed.append("e.feed_id IN (SELECT id FROM feeds)")  # the uses of a feed that was removed stay
        return (
            f"SELECT e.deployment_id AS id, e.date FROM ({parameters.table(source.keys)}) AS k "
            f"CROSS JOIN name_uses AS e ON e.name_id = k.value {where(indexed)} UNION ALL "
            f"SELECT d.id, d.date FROM deployments AS d NOT INDEXED {INSTALLATION} "
            f"{where([_UNINDEXED, *wanted])}"
        )
    ids = among_few(parameters, source, conditions, None, None)
    return f"SELECT d.id, d.date FROM ({ids}) AS f CROSS JOIN deployments AS d ON d.id = f.id"


def _by_key(
    parameters: Parameters, source: Source, conditions: Conditions, position: Position | None, limit: int, way: Way
) -> str:
    """Go through the keys of the source for the first record of each; only those with the first ones of all matter."""
    wanted = conditions.all(parameters)
    first_of_key = " AND ".join(
        [
            f"e.{source.key} = {{key}}",
            *_after(parameters, position, way, "e.date", f"e.{source.id}"),
            *([f"e.date <= {parameters.add(conditions.until)}"] if conditions.until is not None else []),
            *([f"e.date >= {parameters.add(conditions.since)}"] if conditions.since is not None else []),
            *wanted,
        ]
    )
    # Where the records are the source themselves, this is a look-up of the row at hand.
    records = (
        f"{source.table} AS e CROSS JOIN deployments AS d ON d.id = e.{source.id} {INSTALLATION} "
        f"WHERE {first_of_key} {way.order('e.date', f'e.{source.id}')}"
    )
    keys = parameters.table(source.keys)
    ids = (
        f"WITH heads AS MATERIALIZED (SELECT k.value AS key, (SELECT e.{source.id} FROM "
        f"{records.format(key='k.value')} LIMIT 1) AS head FROM ({keys}) AS k), "
        f"top AS MATERIALIZED (SELECT heads.key FROM heads CROSS JOIN deployments AS d ON d.id = heads.head "
        f"{way.order()} LIMIT {limit}) "
        f"SELECT d.id AS id FROM top CROSS JOIN deployments AS d ON d.id IN (SELECT e.{source.id} FROM "
        f"{records.format(key='top.key')} LIMIT {limit})"
    )
    if source.table == "deployments":
        return ids
    order = f"{way.order()} LIMIT {limit}"
    outside = [*_after(parameters, position, way, "d.date", "d.id"), *wanted]
    return f"SELECT * FROM ({ids}) UNION ALL {_unindexed(outside, order)}"


def _unindexed(wanted: Sequence[str], order: str) -> str:
    conditions = [_UNINDEXED, *wanted]
    # By their ids, and not by the index that has the right order: they are few, and at its end or anywhere in it.
    records = f"deployments AS d NOT INDEXED {INSTALLATION}"
    return f"SELECT * FROM (SELECT d.id AS id FROM {records} {where(conditions)} {order})"
