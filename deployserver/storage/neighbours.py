"""What was on the same installation before and after a record."""

from __future__ import annotations

from typing import NamedTuple

import aiosqlite

from deployserver.storage.history import BACK, FORTH, StoredDeployment, Way, by_id

_SPELT = """
WITH first AS (
    SELECT coalesce(i.same_as, i.id) AS id
    FROM deployments AS d CROSS JOIN installations AS i ON i.id = d.installation_id
    WHERE d.id = :id
)
SELECT id FROM first UNION ALL SELECT i.id FROM first CROSS JOIN installations AS i ON i.same_as = first.id
"""


class Neighbours(NamedTuple):
    """The deployments next to a record on its installation, however that is spelt, and the latest one there."""

    before: StoredDeployment | None
    after: StoredDeployment | None
    latest: StoredDeployment | None


async def neighbours(connection: aiosqlite.Connection, record: StoredDeployment) -> Neighbours:
    """Return the neighbours of a record."""
    latest = await connection.execute_fetchall(
        f"SELECT latest_id FROM installations WHERE id IN ({_SPELT}) AND latest_id IS NOT NULL", {"id": record.id}
    )
    ids = [*[await _next(connection, record, way) for way in (BACK, FORTH)], *[id_ for (id_,) in latest]]
    return Neighbours(*[None if id_ is None else await by_id(connection, id_) for id_ in ids[:3]])


async def _next(connection: aiosqlite.Connection, record: StoredDeployment, way: Way) -> int | None:
    # Each spelling has its own; whichever of these is the nearest.
    rows = await connection.execute_fetchall(
        f"SELECT d.id FROM ({_SPELT}) AS s CROSS JOIN deployments AS d ON d.id = (SELECT n.id FROM deployments AS n "
        f"WHERE n.installation_id = s.id AND n.date {way.follows}= :date AND (n.date, n.id) {way.follows} (:date, :id) "
        f"{way.order('n.date', 'n.id')} LIMIT 1) {way.order()} LIMIT 1",
        {"id": record.id, "date": record.row.date},
    )
    return next((id_ for (id_,) in rows), None)
