"""What was deployed for the first time in a while: packages, their versions, and targets."""

from __future__ import annotations

from typing import NamedTuple

from deployserver.storage.connection import Connection
from deployserver.storage.history import NAMES, RECORD, StoredDeployment, deployments
from deployserver.storage.ways import BACK

KINDS = ("package", "version", "target")

LOOKED_AT = 10_000
"""So many records of the time are looked at, the newest."""

_NUMBERS = {
    "package": "feed_id, group_id, package_id",
    "version": "feed_id, group_id, package_id, version_id",
    "target": "target_id",
}
_EVERY_NUMBER = "feed_id, group_id, package_id, version_id, target_id"
_KEYS = {"package": "feed_id, g, p", "version": "feed_id, g, p, v", "target": "t"}

# Whether there is a record of the same before: that ends with the first one, and what is really new has few of them.
_OF_PLACE = """
SELECT 1 FROM names AS n CROSS JOIN installations AS i ON i.{column} = n.id
CROSS JOIN names AS ig ON ig.id = i.group_id CROSS JOIN deployments AS d ON d.installation_id = i.id
WHERE n.kind = '{kind}' AND n.name_key = f.{key} AND d.date < {since} AND {same}
LIMIT 1 OFFSET 0
"""
_OF_VERSION = """
SELECT 1 FROM names AS n CROSS JOIN name_uses AS u ON u.name_id = n.id
CROSS JOIN deployments AS d ON d.id = u.deployment_id CROSS JOIN installations AS i ON i.id = d.installation_id
CROSS JOIN names AS ip ON ip.id = i.package_id CROSS JOIN names AS ig ON ig.id = i.group_id
WHERE n.kind = 'version' AND n.name_key = f.v AND u.date < {since} AND u.feed_id = f.feed_id
AND ip.name_key = f.p AND ig.name_key = f.g
UNION ALL SELECT 1 FROM late WHERE late.v = f.v AND late.p = f.p AND late.g = f.g AND late.feed_id = f.feed_id
LIMIT 1 OFFSET 0
"""
_NUMBERED = """
SELECT d.id, d.date, i.feed_id, i.group_id, i.package_id, d.version_id, i.target_id
FROM deployments AS d {index} CROSS JOIN installations AS i ON i.id = d.installation_id
"""
_NAMED = """
SELECT x.id, x.date, x.feed_id, g.name_key AS g, p.name_key AS p, v.name_key AS v, t.name_key AS t
FROM ({numbered}) AS x
CROSS JOIN names AS g ON g.id = x.group_id CROSS JOIN names AS p ON p.id = x.package_id
CROSS JOIN names AS v ON v.id = x.version_id CROSS JOIN names AS t ON t.id = x.target_id
"""


def _before(kind: str, since: str, of_feeds: str) -> str:
    if kind == "version":
        return _OF_VERSION.format(since=since)
    if kind == "package":
        same = "i.feed_id = f.feed_id AND ig.name_key = f.g"
        return _OF_PLACE.format(kind=kind, column="package_id", key="p", since=since, same=same)
    return _OF_PLACE.format(kind=kind, column="target_id", key="t", since=since, same=of_feeds)


class Novelties(NamedTuple):
    """How many there were, and the first record of some, the newest first."""

    total: int
    first: list[StoredDeployment]


async def novelties(
    connection: Connection, kind: str, feed_ids: frozenset[int], since: int, until: int, limit: int
) -> Novelties:
    """Return what no record in these feeds had before ``since``, and one had from then until before ``until``.

    ``limit`` is how many first records are returned, at least one.
    """
    parameters = connection.parameters()
    begin, end, of_feeds = parameters.add(since), parameters.add(until), parameters.is_among("i.feed_id", feed_ids)
    recent = (
        f"{_NUMBERED.format(index='INDEXED BY deployments_by_date')} "
        f"WHERE d.date >= {begin} AND d.date < {end} AND {of_feeds} ORDER BY d.date DESC LIMIT {LOOKED_AT}"
    )
    # Records of before that have come so late that their uses of names are not indexed yet.
    late = _NAMED.format(
        numbered=f"{_NUMBERED.format(index='NOT INDEXED')} "
        f"WHERE d.id > (SELECT deployment_id FROM indexed) AND d.date < {begin}"
    )
    # By number first: that leaves few to be looked up by name, which may be spelt in several ways.
    named = _NAMED.format(numbered=parameters.earliest(recent, _NUMBERS[kind], f"id, {_EVERY_NUMBER}"))
    first = parameters.earliest(named, _KEYS[kind], "id, feed_id, g, p, v, t")
    new = f"SELECT f.id, f.date FROM ({first}) AS f WHERE NOT EXISTS ({_before(kind, begin, of_feeds)})"
    rows = list(
        await connection.rows(
            f"WITH late AS MATERIALIZED ({late}), new AS MATERIALIZED ({new}) {RECORD}, (SELECT count(*) FROM new) "
            f"FROM (SELECT id FROM new ORDER BY date DESC, id DESC LIMIT {limit}) AS f "
            "CROSS JOIN deployments AS d ON d.id = f.id CROSS JOIN installations AS i ON i.id = d.installation_id "
            f"{NAMES} {BACK.sorted()}",
            parameters,
        )
    )
    return Novelties(rows[0][-1] if rows else 0, deployments(row[:-1] for row in rows))
