"""Records as what they do: another version on an installation."""

from __future__ import annotations

from typing import NamedTuple

import aiosqlite

from deployserver.storage.conditions import Conditions, Parameters
from deployserver.storage.current import latest_of
from deployserver.storage.history import BACK, first_of


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
    found = await first_of(connection, parameters, conditions, None, limit)
    rows = await connection.execute_fetchall(
        f"SELECT coalesce(i.same_as, i.id), d.date, d.id, v.name FROM {found} "
        f"CROSS JOIN names AS v ON v.id = d.version_id {BACK.order()} LIMIT {limit}",
        parameters.values,
    )
    return [Step._make(row) for row in rows]


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
