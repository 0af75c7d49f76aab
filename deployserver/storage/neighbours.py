"""What was on the same installation before and after a record."""

from __future__ import annotations

from typing import NamedTuple

from deployserver.storage.connection import Connection
from deployserver.storage.history import StoredDeployment, by_id
from deployserver.storage.ways import BACK, FORTH, Way

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


async def neighbours(connection: Connection, record: StoredDeployment) -> Neighbours:
    """Return the neighbours of a record."""
    latest = await connection.rows(
        f"SELECT i.latest_id FROM ({_SPELT}) AS s CROSS JOIN installations AS i ON i.id = s.id "
        "WHERE i.latest_id IS NOT NULL",
        {"id": record.id},
    )
    ids = [*[await _next(connection, record, way) for way in (BACK, FORTH)], *[id_ for (id_,) in latest]]
    return Neighbours(*[None if id_ is None else await by_id(connection, id_) for id_ in ids[:3]])


async def _next(connection: Connection, record: StoredDeployment, way: Way) -> int | None:
    # Each spelling has its own; whichever of these is the nearest.
    nearest = (
        f"(SELECT n.id FROM deployments AS n WHERE n.installation_id = s.id AND n.date {way.follows}= :date "
        f"AND (n.date, n.id) {way.follows} (:date, :id) {way.order('n.date', 'n.id')} LIMIT 1)"
    )
    rows = await connection.rows(
        f"SELECT d.id FROM ({_SPELT}) AS s {connection.parameters().by_id('deployments', 'd', nearest)} "
        f"{way.sorted()} LIMIT 1",
        {"id": record.id, "date": record.row.date},
    )
    return next((id_ for (id_,) in rows), None)
