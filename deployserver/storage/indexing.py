"""What only readers need, derived from many records at once: uses of names, counts by day, texts to search."""

from __future__ import annotations

import aiosqlite

DAY = 86_400_000_000
DAY_OF_DATE = f"((d.date - ((d.date % {DAY}) + {DAY}) % {DAY}) / {DAY})"
"""SQL for the whole days since 1970 of a deployment; SQLite's own division rounds towards 1970."""

_STEPS = (
    """
    INSERT INTO name_uses
    SELECT d.version_id AS name_id, d.date, d.id FROM deployments AS d WHERE d.id > :after AND d.id <= :last
    UNION ALL SELECT d.application_id, d.date, d.id FROM deployments AS d WHERE d.id > :after AND d.id <= :last
    UNION ALL SELECT d.user_id, d.date, d.id FROM deployments AS d WHERE d.id > :after AND d.id <= :last
    ORDER BY 1, 2, 3
    """,
    f"""
    INSERT INTO daily_counts (day, feed_id, application_id, count)
    SELECT {DAY_OF_DATE}, i.feed_id, d.application_id, count(*)
    FROM deployments AS d JOIN installations AS i ON i.id = d.installation_id
    WHERE d.id > :after AND d.id <= :last
    GROUP BY 1, 2, 3
    ON CONFLICT DO UPDATE SET count = daily_counts.count + excluded.count
    """,
    """
    INSERT INTO deployment_texts (rowid, text)
    SELECT d.id, d.description || char(10) || coalesce(d.url, '') FROM deployments AS d
    WHERE d.id > :after AND d.id <= :last
    """,
    "UPDATE indexed SET deployment_id = :last",
)


async def index_next(connection: aiosqlite.Connection, at_once: int) -> bool:
    """Index the next ``at_once`` records, within a transaction of the writer; False if there are none."""
    ((after, newest),) = await connection.execute_fetchall(
        "SELECT deployment_id, (SELECT coalesce(max(id), 0) FROM deployments) FROM indexed"
    )
    last = min(after + at_once, newest)
    if last <= after:
        return False
    for step in _STEPS:
        await connection.execute_fetchall(step, {"after": after, "last": last})
    return True
