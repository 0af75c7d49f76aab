"""What runs where: the latest record of each installation, now or as it was, in the order of the names."""

from __future__ import annotations

from typing import NamedTuple

import aiosqlite

from deployserver.storage.conditions import Conditions, Parameters, where
from deployserver.storage.history import NAMES, RECORD, StoredDeployment, among_few, deployments
from deployserver.storage.sources import Source, find_source, since_source, until_source

CurrentPosition = tuple[str, str, int]
"""A place among the installations: casefolded package and target, and the number of the installation before it."""

_ORDER = "ORDER BY package_key, target_key, installation"


class CurrentDeployment(NamedTuple):
    """The latest deployment of an installation, and the place where the next one comes."""

    position: CurrentPosition
    deployment: StoredDeployment


async def current(
    connection: aiosqlite.Connection,
    conditions: Conditions,
    as_of: int | None,
    after: CurrentPosition | None,
    limit: int | None,
) -> list[CurrentDeployment]:
    """Return the latest record of each installation, of those up to ``as_of``, that meets the conditions."""
    if conditions.unsatisfiable:
        return []
    parameters = Parameters()
    found = await latest_of(connection, parameters, conditions, as_of, after)
    limited = f"LIMIT {limit}" if limit is not None else ""
    rows = await connection.execute_fetchall(
        f"WITH found AS MATERIALIZED ({found} {_ORDER} {limited}) "
        f"{RECORD}, found.package_key, found.target_key, found.installation "
        "FROM found CROSS JOIN deployments AS d ON d.id = found.id "
        f"CROSS JOIN installations AS i ON i.id = d.installation_id {NAMES} {_ORDER}",
        parameters.values,
    )
    return [
        CurrentDeployment((row[-3], row[-2], row[-1]), deployment)
        for row, deployment in zip(rows, deployments(row[:-3] for row in rows), strict=True)
    ]


async def count(connection: aiosqlite.Connection, conditions: Conditions, as_of: int | None) -> int:
    """Return for how many installations ``current`` has a record."""
    if conditions.unsatisfiable:
        return 0
    parameters = Parameters()
    found = await latest_of(connection, parameters, conditions, as_of, None)
    ((number,),) = await connection.execute_fetchall(f"SELECT count(*) FROM ({found})", parameters.values)
    return int(number)


async def latest_of(
    connection: aiosqlite.Connection,
    parameters: Parameters,
    conditions: Conditions,
    as_of: int | None,
    after: CurrentPosition | None,
) -> str:
    """Return a query for number, latest record and names of the installations, not ordered."""
    source = await find_source(connection, conditions)
    if as_of is None and conditions.since is not None and not (source and source.few):
        recent = await since_source(connection, conditions.since)
        source = recent if recent.few else source
    end = conditions.until if as_of is None else as_of
    if end is not None and not (source and (source.few or source.table == "deployments")):
        source = await until_source(connection, end) or source
    if source is not None and source.table == "deployments":
        return _by_installation(parameters, conditions, as_of, after, source)
    if source is not None and source.few and as_of is None:
        return _by_record(parameters, conditions, after, source)
    return _by_installation(parameters, conditions, as_of, after, None)


def _by_installation(
    parameters: Parameters,
    conditions: Conditions,
    as_of: int | None,
    after: CurrentPosition | None,
    source: Source | None,
) -> str:
    """Look at installations: those of the source, or all, in the order of the names until there are enough."""
    wanted = ["i.same_as IS NULL", *_after(parameters, after), *conditions.of_installation(parameters)]
    if source is not None:
        records = (
            f"({parameters.table(source.keys)}) AS k CROSS JOIN installations AS i ON i.id = k.value "
            "CROSS JOIN names AS p ON p.id = i.package_id"
        )
    else:
        wanted.append("p.kind = 'package'")
        if after is not None:
            wanted.append(f"p.name_key >= {parameters.add(after[0])}")
        if "package" in conditions.ids:
            wanted.append(parameters.is_in("p.id", conditions.ids["package"]))
        records = "names AS p CROSS JOIN installations AS i ON i.package_id = p.id"
    latest = "i.latest_id" if as_of is None else _latest_until(parameters.add(as_of))
    if as_of is None:
        wanted += conditions.of_time(parameters, "i.latest_date")
    if conditions.of_records or as_of is not None:
        records += f" CROSS JOIN deployments AS d ON d.id = {latest}"
        wanted += conditions.of_deployment(parameters)
        latest = "d.id"
    records += " CROSS JOIN names AS t ON t.id = i.target_id"
    return _selected(latest, records, wanted)


def _by_record(parameters: Parameters, conditions: Conditions, after: CurrentPosition | None, source: Source) -> str:
    """Look at all records of the source, and keep those that are the latest of their installation."""
    ids = among_few(parameters, source, conditions, None, None)
    records = (
        f"({ids}) AS candidate CROSS JOIN deployments AS d ON d.id = candidate.id "
        "CROSS JOIN installations AS spelt ON spelt.id = d.installation_id "
        "CROSS JOIN installations AS i ON i.id = coalesce(spelt.same_as, spelt.id) AND i.latest_id = d.id "
        "CROSS JOIN names AS p ON p.id = i.package_id CROSS JOIN names AS t ON t.id = i.target_id"
    )
    return _selected("d.id", records, _after(parameters, after))


def _selected(latest: str, records: str, wanted: list[str]) -> str:
    return (
        f"SELECT i.id AS installation, {latest} AS id, p.name_key AS package_key, t.name_key AS target_key "
        f"FROM {records} {where([*wanted, f'{latest} IS NOT NULL'])}"
    )


def _after(parameters: Parameters, position: CurrentPosition | None) -> list[str]:
    if position is None:
        return []
    package, target, number = (parameters.add(value) for value in position)
    return [f"(p.name_key, t.name_key, i.id) > ({package}, {target}, {number})"]


def _latest_until(moment: str) -> str:
    """Return the latest record of ``i`` up to a moment; it may have been spelt in several ways."""
    spelt = "SELECT i.id AS id UNION ALL SELECT o.id FROM installations AS o WHERE o.same_as = i.id"
    newest = (
        "SELECT y.id FROM deployments AS y WHERE y.installation_id = s.id "
        f"AND y.date <= {moment} ORDER BY y.date DESC, y.id DESC LIMIT 1"
    )
    return (
        f"CASE WHEN i.latest_date <= {moment} THEN i.latest_id ELSE (SELECT x.id FROM ({spelt}) AS s "
        f"CROSS JOIN deployments AS x ON x.id = ({newest}) ORDER BY x.date DESC, x.id DESC LIMIT 1) END"
    )
