"""The queries for records in the order of their dates: each finds the first ones on a way through the history."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from deployserver.storage.conditions import Conditions, where
from deployserver.storage.connection import Parameters
from deployserver.storage.sources import Source

INSTALLATION = "CROSS JOIN installations AS i ON i.id = d.installation_id"

_FEW_OF_KEY = 50
"""A key with so many records is gone through from its first one on, even if all could be looked at."""

_UNINDEXED = "d.id > (SELECT deployment_id FROM indexed)"


class Way(NamedTuple):
    """A way through the history: SQL's word for the order on it, and how what follows compares with what has been.

    ``end`` is beyond all dates on the way.
    """

    direction: str
    follows: str
    follows_not: str
    end: int

    def order(self, date: str = "d.date", id_: str = "d.id") -> str:
        """Return the ORDER BY clause for going through an index."""
        return f"ORDER BY {date} {self.direction}, {id_} {self.direction}"

    def sorted(self) -> str:
        """Return the ORDER BY clause for what has been found: no index is to be gone through for the order."""
        return self.order("+d.date", "+d.id")


BACK = Way("DESC", "<", ">", -(2**63))
FORTH = Way("ASC", ">", "<", 2**63 - 1)

Position = tuple[int, int]
"""A place in the history: the date and the id of the record that was the last on the way there."""


def _after(parameters: Parameters, position: Position | None, way: Way, date: str, id_: str) -> list[str]:
    if position is None:
        return []
    moment, number = parameters.add(position[0]), parameters.add(position[1])
    # The first says to an index where to begin.
    return [f"{date} {way.follows}= {moment}", f"({date}, {id_}) {way.follows} ({moment}, {number})"]


def by_date(parameters: Parameters, conditions: Conditions, position: Position | None, limit: int, way: Way) -> str:
    """Go through time until enough are found."""
    wanted = [*_after(parameters, position, way, "d.date", "d.id"), *conditions.all(parameters)]
    installation = INSTALLATION if conditions.feed_ids is not None or conditions.ids or conditions.words else ""
    return (
        f"SELECT d.id AS id FROM deployments AS d INDEXED BY deployments_by_date {installation} "
        f"{where(wanted)} {way.order()} LIMIT {limit}"
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
    order = f"{way.sorted()} LIMIT {limit}" if limit is not None else ""
    keys = parameters.table(source.keys)
    if not source.table:
        records = f"({keys}) AS k CROSS JOIN deployments AS d ON d.id = k.value"
    else:
        records = (
            f"({keys}) AS k CROSS JOIN {source.table} AS e ON e.{source.key} = k.value "
            f"CROSS JOIN deployments AS d ON d.id = e.{source.id}"
        )
    indexed = f"SELECT * FROM (SELECT d.id AS id FROM {records} {INSTALLATION} {where(wanted)} {order}) AS x"
    return f"{indexed} UNION ALL {_unindexed(wanted, order)}" if source.table == "name_uses" else indexed


def of_source(parameters: Parameters, source: Source, conditions: Conditions) -> str:
    """Return a query for ids and dates of all records of the source that meet the conditions."""
    wanted = conditions.all(parameters)
    if only_installations(source, conditions):
        # Its keys are just the installations that are asked for, and the index has the dates.
        wanted = conditions.of_time(parameters, "d.date")
        return (
            f"SELECT d.id, d.date FROM ({parameters.table(source.keys)}) AS k "
            f"CROSS JOIN deployments AS d ON d.installation_id = k.value {where(wanted)}"
        )
    if source.table == "name_uses" and conditions.only_uses:
        indexed = conditions.of_time(parameters, "e.date")
        if conditions.feed_ids is not None:
            indexed.append(parameters.is_among("e.feed_id", conditions.feed_ids))
        else:
            indexed.append("(e.feed_id IN (SELECT id FROM feeds)) IS TRUE")  # the uses of a feed that was removed stay
        return (
            f"SELECT e.deployment_id AS id, e.date FROM ({parameters.table(source.keys)}) AS k "
            f"CROSS JOIN name_uses AS e ON e.name_id = k.value {where(indexed)} UNION ALL "
            f"SELECT d.id, d.date FROM deployments AS d NOT INDEXED {INSTALLATION} "
            f"{where([_UNINDEXED, *wanted])}"
        )
    ids = among_few(parameters, source, conditions, None, None)
    return f"SELECT d.id, d.date FROM ({ids}) AS f CROSS JOIN deployments AS d ON d.id = f.id"


def by_key(
    parameters: Parameters, source: Source, conditions: Conditions, position: Position | None, limit: int, way: Way
) -> str:
    """Go through the keys of the source for the first record of each; only what is not beyond all of those matters."""
    wanted = conditions.all(parameters)
    date, id_ = "e.date", f"e.{source.id}"
    of_key = [
        f"e.{source.key} = {{key}}",
        *_after(parameters, position, way, date, id_),
        *conditions.of_time(parameters, date),
    ]
    if only_installations(source, conditions):
        records = f"{source.table} AS e WHERE {' AND '.join(of_key)}"
    else:
        # Where the records are the source themselves, this is a look-up of the row at hand.
        records = (
            f"{source.table} AS e CROSS JOIN deployments AS d ON d.id = {id_} {INSTALLATION} "
            f"WHERE {' AND '.join([*of_key, *wanted])}"
        )
    # With so many first records up to a date, there are as many records.
    end = parameters.add(way.end)
    until_end = f"AND {date} {way.follows_not}= (SELECT date FROM bound) {way.order(date, id_)} LIMIT"
    first = f"SELECT {id_} FROM {records.format(key='top.key')} {until_end} {limit}"
    ids = (
        f"WITH heads AS MATERIALIZED (SELECT k.value AS key, (SELECT {date} FROM {records.format(key='k.value')} "
        f"{way.order(date, id_)} LIMIT 1) AS date FROM ({parameters.table(source.keys)}) AS k), "
        "bound AS MATERIALIZED (SELECT coalesce((SELECT heads.date FROM heads WHERE heads.date IS NOT NULL "
        f"ORDER BY heads.date {way.direction} LIMIT 1 OFFSET {limit - 1}), {end}) AS date), "
        "top AS MATERIALIZED (SELECT heads.key FROM heads "
        f"WHERE heads.date {way.follows_not}= (SELECT date FROM bound)) "
        f"SELECT d.id AS id FROM top CROSS JOIN deployments AS d ON {parameters.is_given('d.id', first)}"
    )
    if source.table == "deployments":
        return ids
    order = f"{way.sorted()} LIMIT {limit}"
    outside = [*_after(parameters, position, way, "d.date", "d.id"), *wanted]
    return f"SELECT * FROM ({ids}) AS y UNION ALL {_unindexed(outside, order)}"


def is_looked_at(source: Source, conditions: Conditions) -> bool:
    """Tell whether all records of a source are to be looked at, and not only the first ones of its few keys."""
    if not source.table:
        return True
    return source.few and not only_installations(source, conditions) and len(source.keys) * _FEW_OF_KEY > source.count


def only_installations(source: Source, conditions: Conditions) -> bool:
    """Tell whether a source has the installations that are asked for, and no more is asked than that and dates."""
    return source.table == "deployments" and not conditions.of_records


def _unindexed(wanted: Sequence[str], order: str) -> str:
    conditions = [_UNINDEXED, *wanted]
    # By their ids, and not by the index that has the right order: they are few, and at its end or anywhere in it.
    records = f"deployments AS d NOT INDEXED {INSTALLATION}"
    return f"SELECT * FROM (SELECT d.id AS id FROM {records} {where(conditions)} {order}) AS z"
