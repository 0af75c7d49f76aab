"""What only readers need, derived from many records at once: uses of names, counts by day, texts to search."""

from __future__ import annotations

from deployserver.storage.connection import Connection

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
    ON CONFLICT (day, feed_id) DO UPDATE SET count = daily_counts.count + excluded.count
    """,
    f"""
    INSERT INTO name_counts (name_id, day, feed_id, count)
    SELECT d.application_id, {DAY_OF_DATE}, i.feed_id, count(*) {_NEXT} GROUP BY 1, 2, 3
    UNION ALL SELECT d.user_id, {DAY_OF_DATE}, i.feed_id, count(*) {_NEXT} GROUP BY 1, 2, 3
    UNION ALL SELECT i.package_id, {DAY_OF_DATE}, i.feed_id, count(*) {_NEXT} GROUP BY 1, 2, 3
    UNION ALL SELECT i.target_id, {DAY_OF_DATE}, i.feed_id, count(*) {_NEXT} GROUP BY 1, 2, 3
    UNION ALL SELECT i.group_id, {DAY_OF_DATE}, i.feed_id, count(*) {_NEXT} GROUP BY 1, 2, 3
    ORDER BY 1, 2, 3
    ON CONFLICT (name_id, day, feed_id) DO UPDATE SET count = name_counts.count + excluded.count
    """,
)


async def index_next(connection: Connection, at_once: int) -> bool:
    """Index the next ``at_once`` records, within a transaction of the indexer.

    False if there are none, or if another server is just at it.
    """
    after = await connection.queries.take_index(connection.driver)
    if after is None:
        return False
    # So many records, and not so many ids: feeds that were removed leave gaps, which may be wide. And fewer if their
    # texts are long: indexing those is what takes time.
    ((last,),) = await connection.rows(
        "SELECT max(id) FROM (SELECT id, sum(length(description)) OVER (ORDER BY id) - length(description) AS before "
        "FROM (SELECT id, description FROM deployments WHERE id > :after ORDER BY id LIMIT :limit) AS d) AS t "
        "WHERE before < :characters",
        {"after": after, "limit": at_once, "characters": CHARACTERS_AT_ONCE},
    )
    if last is None:
        return False
    for step in (*_STEPS, *connection.texts.index_steps):
        await connection.rows(step, {"after": after, "last": last})
    await connection.rows("UPDATE indexed SET deployment_id = :last", {"last": last})
    return True
