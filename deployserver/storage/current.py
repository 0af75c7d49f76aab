"""What runs where: the latest record of each installation, now or as it was, in the order of the names."""

from __future__ import annotations

from typing import NamedTuple

from deployserver.storage.conditions import Conditions, where
from deployserver.storage.connection import Connection, Parameters
from deployserver.storage.history import NAMES, RECORD, StoredDeployment, deployments
from deployserver.storage.sources import Source, find_source, since_source, until_source
from deployserver.storage.spread import PackageKey
from deployserver.storage.ways import among_few

CurrentPosition = tuple[str, str, int]
"""A place among the installations: casefolded package and target, and the number of the installation before it."""

_FEW_PACKAGES = 20
_MANY = 1_000
"""Installations of a feed that are not all looked at."""

_ORDER = "ORDER BY package_key, target_key, installation"


class CurrentDeployment(NamedTuple):
    """The latest deployment of an installation, and the place where the next one comes."""

    position: CurrentPosition
    deployment: StoredDeployment


class CurrentVersion(NamedTuple):
    """The version of a package that an installation has, casefolded, and the id of its latest record."""

    package: PackageKey
    id: int
    version: str


async def current(
    connection: Connection,
    conditions: Conditions,
    as_of: int | None,
    after: CurrentPosition | None,
    limit: int | None,
) -> list[CurrentDeployment]:
    """Return the latest record of each installation, of those up to ``as_of``, that meets the conditions."""
    if conditions.unsatisfiable:
        return []
    parameters = connection.parameters()
    found = await latest_of(connection, parameters, conditions, as_of, after)
    limited = f"LIMIT {limit}" if limit is not None else ""
    rows = await connection.rows(
        f"WITH found AS MATERIALIZED ({found} {_ORDER} {limited}) "
        f"{RECORD}, found.package_key, found.target_key, found.installation "
        "FROM found CROSS JOIN deployments AS d ON d.id = found.id "
        f"CROSS JOIN installations AS i ON i.id = d.installation_id {NAMES} {_ORDER}",
        parameters,
    )
    return [
        CurrentDeployment((row[-3], row[-2], row[-1]), deployment)
        for row, deployment in zip(rows, deployments(row[:-3] for row in rows), strict=True)
    ]


async def versions(connection: Connection, conditions: Conditions, as_of: int | None) -> list[CurrentVersion]:
    """Return what ``current`` would, only smaller, and in no order."""
    if conditions.unsatisfiable:
        return []
    parameters = connection.parameters()
    found = await latest_of(connection, parameters, conditions, as_of, None, of_version=True)
    rows = await connection.rows(
        f"SELECT f.package_key, f.feed_id, g.name_key, f.id, v.name_key FROM ({found}) AS f "
        "CROSS JOIN names AS g ON g.id = f.group_id CROSS JOIN names AS v ON v.id = f.version_id",
        parameters,
    )
    return [CurrentVersion(PackageKey(*row[:3]), *row[3:]) for row in rows]


async def count(connection: Connection, conditions: Conditions, as_of: int | None) -> int:
    """Return for how many installations ``current`` has a record."""
    if conditions.unsatisfiable:
        return 0
    parameters = connection.parameters()
    found = await latest_of(connection, parameters, conditions, as_of, None)
    ((number,),) = await connection.rows(f"SELECT count(*) FROM ({found}) AS f", parameters)
    return int(number)


async def latest_of(
    connection: Connection,
    parameters: Parameters,
    conditions: Conditions,
    as_of: int | None,
    after: CurrentPosition | None,
    *,
    of_version: bool = False,
) -> str:
    """Return a query for number, latest record and names of the installations, not ordered.

    With ``of_version`` it has numbers of feed, group and version, too, but not the name of the target.
    """
    source = await find_source(connection, conditions)
    if source is not None and conditions.only_feeds and len(source.keys) > _MANY:
        source = None  # in the order of the names the first ones are soon found
    if as_of is None and conditions.since is not None and not (source and source.few):
        recent = await since_source(connection, conditions.since)
        source = recent if recent.few else source
    end = conditions.until if as_of is None else as_of
    if end is not None and not (source and (source.few or source.table == "deployments")):
        source = await until_source(connection, end) or source
    if source is not None and source.table == "deployments":
        return _by_installation(parameters, conditions, as_of, after, source, of_version=of_version)
    if source is not None and source.few and as_of is None:
        return _by_record(parameters, conditions, after, source, of_version=of_version)
    return _by_installation(parameters, conditions, as_of, after, None, of_version=of_version)


def _by_installation(
    parameters: Parameters,
    conditions: Conditions,
    as_of: int | None,
    after: CurrentPosition | None,
    source: Source | None,
    *,
    of_version: bool,
) -> str:
    """Look at installations: those of the source, or all, in the order of the names until there are enough."""
    wanted = ["i.same_as IS NULL", *_after(parameters, after)]
    of_one_feed = ""
    if source is None and conditions.only_feeds and conditions.feed_ids is not None and len(conditions.feed_ids) == 1:
        # There is an index for a feed's packages.
        of_one_feed = f"AND {parameters.is_in('i.feed_id', conditions.feed_ids)}"
    else:
        wanted += conditions.of_installation_at_hand(parameters)
    packages = conditions.ids.get("package", ())
    if source is not None:
        records = (
            f"({parameters.table(source.keys)}) AS k CROSS JOIN installations AS i ON i.id = k.value "
            "CROSS JOIN names AS p ON p.id = i.package_id"
        )
    elif 0 < len(packages) <= _FEW_PACKAGES:
        records = (
            f"({parameters.table(packages)}) AS k CROSS JOIN names AS p ON p.id = k.value "
            "CROSS JOIN installations AS i ON i.package_id = p.id"
        )
    else:
        wanted.append("p.kind = 'package'")
        if after is not None:
            wanted.append(f"p.name_key >= {parameters.add(after[0])}")
        if packages:
            wanted.append(parameters.is_among("p.id", packages))
        records = f"names AS p CROSS JOIN installations AS i ON i.package_id = p.id {of_one_feed}"
    latest = "i.latest_id" if as_of is None else _latest_until(parameters, as_of)
    if as_of is None:
        wanted += conditions.of_time(parameters, "i.latest_date")
    if conditions.of_records or as_of is not None or of_version:
        records += f" {parameters.by_id('deployments', 'd', latest)}"
        wanted += conditions.of_deployment(parameters)
        latest = "d.id"
    return _selected(latest, records, wanted, of_version=of_version)


def _by_record(
    parameters: Parameters,
    conditions: Conditions,
    after: CurrentPosition | None,
    source: Source,
    *,
    of_version: bool,
) -> str:
    """Look at all records of the source, and keep those that are the latest of their installation."""
    ids = among_few(parameters, source, conditions, None, None)
    records = (
        f"({ids}) AS candidate CROSS JOIN deployments AS d ON d.id = candidate.id "
        "CROSS JOIN installations AS spelt ON spelt.id = d.installation_id "
        "CROSS JOIN installations AS i ON i.id = coalesce(spelt.same_as, spelt.id) AND i.latest_id = d.id "
        "CROSS JOIN names AS p ON p.id = i.package_id"
    )
    return _selected("d.id", records, _after(parameters, after), of_version=of_version)


def _selected(latest: str, records: str, wanted: list[str], *, of_version: bool) -> str:
    columns = "i.feed_id AS feed_id, i.group_id AS group_id, d.version_id AS version_id"
    if not of_version:
        records += " CROSS JOIN names AS t ON t.id = i.target_id"
        columns = "t.name_key AS target_key"
    return (
        f"SELECT i.id AS installation, {latest} AS id, p.name_key AS package_key, {columns} "
        f"FROM {records} {where([*wanted, f'{latest} IS NOT NULL'])}"
    )


def _after(parameters: Parameters, position: CurrentPosition | None) -> list[str]:
    if position is None:
        return []
    package, target, number = (parameters.add(value) for value in position)
    return [f"(p.name_key, t.name_key, i.id) > ({package}, {target}, {number})"]


def _latest_until(parameters: Parameters, as_of: int) -> str:
    """Return the latest record of ``i`` up to a moment; it may have been spelt in several ways."""
    moment = parameters.add(as_of)
    spelt = "SELECT i.id AS id UNION ALL SELECT o.id FROM installations AS o WHERE o.same_as = i.id"
    newest = (
        "SELECT y.id FROM deployments AS y WHERE y.installation_id = s.id "
        f"AND y.date <= {moment} ORDER BY y.date DESC, y.id DESC LIMIT 1"
    )
    return (
        f"CASE WHEN i.latest_date <= {moment} THEN i.latest_id "
        "WHEN NOT EXISTS (SELECT 1 FROM installations AS o WHERE o.same_as = i.id LIMIT 1 OFFSET 0) "
        f"THEN ({newest.replace('s.id', 'i.id')}) ELSE (SELECT x.id FROM ({spelt}) AS s "
        f"{parameters.by_id('deployments', 'x', f'({newest})')} ORDER BY +x.date DESC, +x.id DESC LIMIT 1) END"
    )
