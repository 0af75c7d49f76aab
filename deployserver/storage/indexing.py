"""What only readers need, derived from many records at once: uses of names, counts by day, texts to search."""

from __future__ import annotations

import aiosqlite

DAY = 86_400_000_000
DAY_OF_DATE = f"((date - ((date % {DAY}) + {DAY}) % {DAY}) / {DAY})"
"""SQL for the whole days since 1970 of a deployment; SQLite's own division rounds towards 1970."""

CHARACTERS_AT_ONCE = 300_000
"""Characters of descriptions in one transaction."""

_NEXT = """
FROM deployments AS d CROSS JOIN installations AS i ON i.id = d.installation_id
WHERE d.id > :after AND d.id <= :last
"""
_STEPS = (
    f"""
    INSERT INTO name_uses (name_id, date, deployment_id, feed_id)
    SELECT d.version_id, d.date, d.id, i.feed_id {_NEXT}
    UNION ALL SELECT d.application_id, d.date, d.id, i.feed_id {_NEXT}
    UNION ALL SELECT d.user_id, d.date, d.id, i.feed_id {_NEXT}
    ORDER BY 1, 2, 3
    """,
    f"""
    INSERT INTO daily_counts (feed_id, day, count)
    SELECT i.feed_id, {DAY_OF_DATE}, count(*) {_NEXT} GROUP BY 1, 2
    ON CONFLICT DO UPDATE SET count = daily_counts.count + excluded.count
    """,
    f"""
    INSERT INTO application_counts (application_id, day, feed_id, count)
    SELECT d.application_id, {DAY_OF_DATE}, i.feed_id, count(*) {_NEXT} GROUP BY 1, 2, 3
    ON CONFLICT DO UPDATE SET count = application_counts.count + excluded.count
    """,
    # What is appended lets the last characters of a text begin a trigram, as all others do.
    f"""
    INSERT INTO deployment_texts (rowid, text)
    SELECT d.id, d.description || char(10) || coalesce(d.url, '') || char(10, 10) {_NEXT}
    """,
    "UPDATE indexed SET deployment_id = :last",
)


async def index_next(connection: aiosqlite.Connection, at_once: int) -> bool:
    """Index the next ``at_once`` records, within a transaction of the writer; False if there are none."""
    ((after,),) = await connection.execute_fetchall("SELECT deployment_id FROM indexed")
    # So many records, and not so many ids: feeds that were removed leave gaps, which may be wide. And fewer if their
    # texts are long: indexing those is what takes time.
    ((last,),) = await connection.execute_fetchall(
        "SELECT max(id) FROM (SELECT id, sum(length(description)) OVER (ORDER BY id) - length(description) AS before "
        "FROM (SELECT id, description FROM deployments WHERE id > ? ORDER BY id LIMIT ?)) WHERE before < ?",
        (after, at_once, CHARACTERS_AT_ONCE),
    )
    if last is None:
        return False
    for step in _STEPS:
        await connection.execute_fetchall(step, {"after": after, "last": last})
    return True
