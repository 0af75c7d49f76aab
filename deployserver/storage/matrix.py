"""A part of what runs where: some packages by some targets, both in the order of their names."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import NamedTuple

import aiosqlite

from deployserver.storage.conditions import Conditions, Parameters, where
from deployserver.storage.spread import PackageKey, looked_at, with_installations

_RUNS = "i.same_as IS NULL AND i.latest_id IS NOT NULL"


class MatrixPackage(NamedTuple):
    """A package with its names as they were written, of which ``group`` may be empty."""

    key: PackageKey
    group: str
    name: str


class MatrixTarget(NamedTuple):
    """A target: the casefolded name, and the name as it was written."""

    key: str
    name: str


class MatrixCell(NamedTuple):
    """What runs: the number of the package among those asked for, the target's casefolded name, record and version."""

    package: int
    target: str
    id: int
    version: str


async def packages(
    connection: aiosqlite.Connection,
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
    parameters = Parameters()
    rows = await connection.execute_fetchall(
        "SELECT p.name_key, i.feed_id, g.name_key, min(g.name), min(p.name) "
        f"FROM json_each({parameters.add(json.dumps(names))}) AS k "
        "CROSS JOIN names AS p ON p.kind = 'package' AND p.name_key = k.value "
        "CROSS JOIN installations AS i ON i.package_id = p.id CROSS JOIN names AS g ON g.id = i.group_id "
        f"{where([_RUNS, *looked_at(conditions, parameters)])} GROUP BY 1, 2, 3",
        parameters.values,
    )
    found = sorted((MatrixPackage(PackageKey(*row[:3]), *row[3:]) for row in rows), reverse=backwards)
    if start is not None:
        found = [package for package in found if (package.key < start if backwards else package.key > start)]
    return found[:limit][:: -1 if backwards else 1]


async def _package_names(
    connection: aiosqlite.Connection, conditions: Conditions, start: PackageKey | None, limit: int, *, backwards: bool
) -> list[str]:
    """Return as many names as are needed; one of them may have several packages, and that of ``start`` none left."""
    parameters = Parameters()
    wanted = ["p.kind = 'package'"]
    if start is not None:
        wanted.append(f"p.name_key {'<=' if backwards else '>='} {parameters.add(start.package)}")
    if "target" in conditions.ids:
        # Few targets lead to the packages sooner than each package to its targets.
        of_targets = [_RUNS, *conditions.of_installation(parameters)]
        wanted.append(f"p.id IN (SELECT i.package_id FROM installations AS i {where(of_targets)})")
    else:
        of_package = ["i.package_id = p.id", _RUNS, *looked_at(conditions, parameters)]
        wanted.append(f"EXISTS (SELECT 1 FROM installations AS i {where(of_package)})")
    rows = await connection.execute_fetchall(
        f"SELECT DISTINCT p.name_key FROM names AS p {where(wanted)} "
        f"ORDER BY p.name_key {'DESC' if backwards else 'ASC'} LIMIT {limit + 1}",
        parameters.values,
    )
    return [name for (name,) in rows]


async def targets(
    connection: aiosqlite.Connection,
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
    parameters = Parameters()
    table, installations = with_installations(parameters, packages)
    wanted = looked_at(conditions, parameters)
    if start is not None:
        wanted.append(f"t.name_key {'<' if backwards else '>'} {parameters.add(start)}")
    rows = await connection.execute_fetchall(
        f"WITH {table} SELECT t.name_key, min(t.name) FROM {installations} "
        f"CROSS JOIN names AS t ON t.id = i.target_id {where(wanted)} GROUP BY 1 "
        f"ORDER BY t.name_key {'DESC' if backwards else 'ASC'} LIMIT {limit}",
        parameters.values,
    )
    return sorted(MatrixTarget._make(row) for row in rows)


async def cells(
    connection: aiosqlite.Connection, packages: Sequence[PackageKey], targets: Sequence[str]
) -> list[MatrixCell]:
    """Return what runs of the packages on the targets."""
    parameters = Parameters()
    table, installations = with_installations(parameters, packages)
    chosen = (
        "chosen AS MATERIALIZED (SELECT t.id AS id, t.name_key AS name_key "
        f"FROM json_each({parameters.add(json.dumps(targets))}) AS k "
        "CROSS JOIN names AS t ON t.kind = 'target' AND t.name_key = k.value)"
    )
    rows = await connection.execute_fetchall(
        f"WITH {table}, {chosen} SELECT w.number, chosen.name_key, d.id, v.name FROM {installations} "
        "JOIN chosen ON chosen.id = i.target_id "
        "CROSS JOIN deployments AS d ON d.id = i.latest_id CROSS JOIN names AS v ON v.id = d.version_id",
        parameters.values,
    )
    return [MatrixCell._make(row) for row in rows]
