"""Records as what they do: another version on an installation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import aiosqlite

from deployserver.storage.conditions import Conditions, Parameters
from deployserver.storage.current import latest_of
from deployserver.storage.history import BACK, INSTALLATION, first_of, of_source
from deployserver.storage.sources import find_source


class Step(NamedTuple):
    """From ``date`` on the installation with this number had the version."""

    installation: int
    date: int
    id: int
    version: str


async def newest(connection: aiosqlite.Connection, conditions: Conditions, limit: int) -> list[Step]:
    """Return the newest records by date and then by arrival."""
    if conditions.unsatisfiable:
        return []
    parameters = Parameters()
    source = await find_source(connection, conditions)
    if source is not None and source.table == "deployments" and not conditions.of_records:
        # So many are wanted that to sort all dates, which are in the index, is sooner than to look for the newest.
        ids = f"{of_source(parameters, source, conditions)} {BACK.order()} LIMIT {limit}"
        found = f"({ids}) AS found CROSS JOIN deployments AS d ON d.id = found.id {INSTALLATION}"
    else:
        found = await first_of(connection, parameters, conditions, None, limit)
    rows = await connection.execute_fetchall(
        f"SELECT coalesce(i.same_as, i.id), d.date, d.id, v.name FROM {found} "
        f"CROSS JOIN names AS v ON v.id = d.version_id {BACK.order()} LIMIT {limit}",
        parameters.values,
    )
    return [Step._make(row) for row in rows]


async def packages(connection: aiosqlite.Connection, installations: Sequence[int]) -> dict[int, tuple[str, str]]:
    """Return group, which may be empty, and name of the packages of installations, by the installations' numbers."""
    parameters = Parameters()
    rows = await connection.execute_fetchall(
        f"SELECT i.id, g.name, p.name FROM ({parameters.table(installations)}) AS k "
        "CROSS JOIN installations AS i ON i.id = k.value "
        "CROSS JOIN names AS g ON g.id = i.group_id CROSS JOIN names AS p ON p.id = i.package_id",
        parameters.values,
    )
    return {number: (group, name) for number, group, name in rows}


async def versions_as_of(connection: aiosqlite.Connection, conditions: Conditions, moment: int) -> dict[int, str]:
    """Return the version that each installation had at a moment, by its number."""
    if conditions.unsatisfiable:
        return {}
    parameters = Parameters()
    found = await latest_of(connection, parameters, conditions, moment, None)
    rows = await connection.execute_fetchall(
        f"SELECT f.installation, v.name FROM ({found}) AS f CROSS JOIN deployments AS d ON d.id = f.id "
        "CROSS JOIN names AS v ON v.id = d.version_id",
        parameters.values,
    )
    return dict(tuple(row) for row in rows)
