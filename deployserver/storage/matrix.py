"""A part of what runs where: some packages by some targets, both in the order of their names."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from deployserver.storage.conditions import Conditions, where
from deployserver.storage.connection import Connection
from deployserver.storage.spread import PackageKey, with_installations

_RUNS = "i.same_as IS NULL AND i.latest_id IS NOT NULL"


class MatrixPackage(NamedTuple):
    """A package with its names as they were written first, of which ``group`` may be empty."""

    key: PackageKey
    group: str
    name: str


class MatrixTarget(NamedTuple):
    """A target: the casefolded name, and the name as it was written first."""

    key: str
    name: str


class MatrixCell(NamedTuple):
    """What runs: the number of the package among those asked for, the target's casefolded name, record and version."""

    package: int
    target: str
    id: int
    version: str


async def packages(
    connection: Connection,
    conditions: Conditions,
    start: PackageKey | None,
    limit: int,
    *,
    backwards: bool = False,
) -> list[MatrixPackage]:
    """Return packages that run somewhere, after ``start`` or the last ones before it, in their order."""
    if conditions.unsatisfiable:
        return []
    names = await _package_names(connection, conditions, start, limit, backwards=backwards)
    parameters = connection.parameters()
    rows = await connection.rows(
        "SELECT f.package_key, f.feed_id, f.group_key, g.name, p.name FROM ("
        "SELECT p.name_key AS package_key, i.feed_id AS feed_id, g.name_key AS group_key, min(i.id) AS id "
        f"FROM ({parameters.texts(names)}) AS k "
        "CROSS JOIN names AS p ON p.kind = 'package' AND p.name_key = k.value "
        "CROSS JOIN installations AS i ON i.package_id = p.id CROSS JOIN names AS g ON g.id = i.group_id "
        f"{where([_RUNS, *conditions.of_installation_at_hand(parameters)])} GROUP BY 1, 2, 3) AS f "
        "CROSS JOIN installations AS i ON i.id = f.id CROSS JOIN names AS g ON g.id = i.group_id "
        "CROSS JOIN names AS p ON p.id = i.package_id",
        parameters,
    )
    found = sorted((MatrixPackage(PackageKey(*row[:3]), *row[3:5]) for row in rows), reverse=backwards)
    if start is not None:
        found = [package for package in found if (package.key < start if backwards else package.key > start)]
    return found[:limit][:: -1 if backwards else 1]


async def _package_names(
    connection: Connection, conditions: Conditions, start: PackageKey | None, limit: int, *, backwards: bool
) -> list[str]:
    """Return as many names as are needed; one of them may have several packages, and that of ``start`` none left."""
    parameters = connection.parameters()
    records = "names AS p"
    wanted = ["p.kind = 'package'"]
    if start is not None:
        wanted.append(f"p.name_key {'<=' if backwards else '>='} {parameters.add(start.package)}")
    if "target" in conditions.ids:
        # Few targets lead to the packages sooner than each package to its targets.
        of_targets = [_RUNS, *conditions.of_installation(parameters)]
        records = (
            f"(SELECT DISTINCT +i.package_id AS id FROM installations AS i {where(of_targets)}) AS k "
            "CROSS JOIN names AS p ON p.id = k.id"
        )
    else:
        of_package = ["i.package_id = p.id", _RUNS, *conditions.of_installation_at_hand(parameters)]
        wanted.append(f"EXISTS (SELECT 1 FROM installations AS i {where(of_package)} LIMIT 1 OFFSET 0)")
    rows = await connection.rows(
        f"SELECT DISTINCT p.name_key FROM {records} {where(wanted)} "
        f"ORDER BY p.name_key {'DESC' if backwards else 'ASC'} LIMIT {limit + 1}",
        parameters,
    )
    return [name for (name,) in rows]


async def targets(
    connection: Connection,
    packages: Sequence[PackageKey],
    conditions: Conditions,
    start: str | None,
    limit: int,
    *,
    backwards: bool = False,
) -> list[MatrixTarget]:
    """Return targets that run one of the packages, after ``start`` or the last ones before it, in their order."""
    if conditions.unsatisfiable:
        return []
    parameters = connection.parameters()
    table, installations = with_installations(parameters, packages)
    wanted = conditions.of_installation_at_hand(parameters)
    if start is not None:
        wanted.append(f"t.name_key {'<' if backwards else '>'} {parameters.add(start)}")
    rows = await connection.rows(
        f"WITH {table} SELECT t.name_key, t.name FROM (SELECT t.name_key AS name_key, min(t.id) AS id "
        f"FROM {installations} CROSS JOIN names AS t ON t.id = i.target_id {where(wanted)} GROUP BY 1 "
        f"ORDER BY 1 {'DESC' if backwards else 'ASC'} LIMIT {limit}) AS f CROSS JOIN names AS t ON t.id = f.id",
        parameters,
    )
    return sorted(MatrixTarget._make(row) for row in rows)


async def cells(connection: Connection, packages: Sequence[PackageKey], targets: Sequence[str]) -> list[MatrixCell]:
    """Return what runs of the packages on the targets."""
    parameters = connection.parameters()
    table, installations = with_installations(parameters, packages)
    chosen = (
        "chosen AS MATERIALIZED (SELECT t.id AS id, t.name_key AS name_key "
        f"FROM ({parameters.texts(targets)}) AS k "
        "CROSS JOIN names AS t ON t.kind = 'target' AND t.name_key = k.value)"
    )
    rows = await connection.rows(
        f"WITH {table}, {chosen} SELECT w.number, chosen.name_key, d.id, v.name FROM {installations} "
        "JOIN chosen ON chosen.id = i.target_id "
        "CROSS JOIN deployments AS d ON d.id = i.latest_id CROSS JOIN names AS v ON v.id = d.version_id",
        parameters,
    )
    return [MatrixCell._make(row) for row in rows]
