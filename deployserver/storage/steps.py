"""Records as what they do: another version on an installation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from deployserver.storage.conditions import Conditions
from deployserver.storage.connection import Connection
from deployserver.storage.current import latest_of
from deployserver.storage.history import first_of
from deployserver.storage.sources import find_source
from deployserver.storage.ways import BACK, INSTALLATION, of_source


class Step(NamedTuple):
    """From ``date`` on the installation with this number had the version."""

    installation: int
    date: int
    id: int
    version: str


async def newest(connection: Connection, conditions: Conditions, limit: int) -> list[Step]:
    """Return the newest records by date and then by arrival."""
    if conditions.unsatisfiable:
        return []
    parameters = connection.parameters()
    source = await find_source(connection, conditions)
    if source is not None and source.table == "deployments" and not conditions.of_records:
        # So many are wanted that to sort all dates, which are in the index, is sooner than to look for the newest.
        ids = f"{of_source(parameters, source, conditions)} {BACK.sorted()} LIMIT {limit}"
        found = f"({ids}) AS found CROSS JOIN deployments AS d ON d.id = found.id {INSTALLATION}"
    else:
        found = await first_of(connection, parameters, conditions, None, limit)
    rows = await connection.rows(
        f"SELECT coalesce(i.same_as, i.id), d.date, d.id, v.name FROM {found} "
        f"CROSS JOIN names AS v ON v.id = d.version_id {BACK.sorted()} LIMIT {limit}",
        parameters,
    )
    return [Step._make(row) for row in rows]


async def packages(connection: Connection, installations: Sequence[int]) -> dict[int, tuple[str, str]]:
    """Return group, which may be empty, and name of the packages of installations, by the installations' numbers."""
    parameters = connection.parameters()
    rows = await connection.rows(
        f"SELECT i.id, g.name, p.name FROM ({parameters.table(installations)}) AS k "
        "CROSS JOIN installations AS i ON i.id = k.value "
        "CROSS JOIN names AS g ON g.id = i.group_id CROSS JOIN names AS p ON p.id = i.package_id",
        parameters,
    )
    return {number: (group, name) for number, group, name in rows}


async def versions_as_of(connection: Connection, conditions: Conditions, moment: int) -> dict[int, str]:
    """Return the version that each installation had at a moment, by its number."""
    if conditions.unsatisfiable:
        return {}
    parameters = connection.parameters()
    found = await latest_of(connection, parameters, conditions, moment, None, of_version=True)
    rows = await connection.rows(
        f"SELECT f.installation, v.name FROM ({found}) AS f CROSS JOIN names AS v ON v.id = f.version_id",
        parameters,
    )
    return dict(tuple(row) for row in rows)
