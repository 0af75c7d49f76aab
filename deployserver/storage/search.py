"""Names that have some words in them: the best matches first, of those that records in some feeds have."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

from deployserver.storage.conditions import DEPLOYMENT_COLUMNS, INSTALLATION_COLUMNS
from deployserver.storage.connection import Connection, Parameters

CANDIDATES = 5_000
"""So many names of a kind are looked at, the best first, whether a record that may be seen has them."""


class FoundName(NamedTuple):
    """A name of records; of a package also a feed that has it, and its group there, empty for none."""

    name: str
    feed_id: int = 0
    group: str = ""


async def find_names(
    connection: Connection, kind: str, words: Sequence[str], feed_ids: Collection[int], limit: int
) -> list[FoundName]:
    """Return up to ``limit`` names of a kind that have all of the words, in any letter case, the best first.

    Best is the same text, then what begins with it, then what has it anywhere. A name counts if a record in one of the
    feeds has it, and comes once, spelt as it was first.
    """
    parameters = connection.parameters()
    given = parameters.add(kind)
    names = await connection.texts.names_with(parameters, max(words, key=len).casefold())
    candidates = _candidates(parameters, given, words, names)
    of_feeds = {table: parameters.is_among(f"{table}.feed_id", feed_ids) for table in ("i", "u")}
    # Going through the candidates in their order can stop as soon as there are enough.
    if kind == "package":
        runs = f"{of_feeds['i']} AND i.same_as IS NULL AND i.latest_id IS NOT NULL"
        has_one = (
            "SELECT 1 FROM names AS n CROSS JOIN installations AS i ON i.package_id = n.id "
            f"WHERE n.kind = {given} AND n.name_key = c.name_key AND {runs} LIMIT 1 OFFSET 0"
        )
        found = (
            "SELECT n.name, i.feed_id, g.name FROM "
            f"(SELECT * FROM candidates AS c WHERE EXISTS ({has_one}) LIMIT {limit}) AS s "
            f"CROSS JOIN names AS n ON n.kind = {given} AND n.name_key = s.name_key "
            "CROSS JOIN installations AS i ON i.package_id = n.id CROSS JOIN names AS g ON g.id = i.group_id "
            f"WHERE {runs} GROUP BY s.rank, s.size, s.name_key, n.name, i.feed_id, g.name "
            "ORDER BY s.rank, s.size, s.name_key, min(i.id) "
            f"LIMIT {2 * limit}"
        )
    else:
        name = (
            f"SELECT n.name FROM names AS n WHERE n.kind = {given} AND n.name_key = c.name_key "
            f"AND ({_is_seen(kind, of_feeds)}) ORDER BY +n.id LIMIT 1"
        )
        found = (
            f"SELECT f.name, 0, '' FROM (SELECT ({name}) AS name FROM candidates AS c) AS f WHERE f.name IS NOT NULL "
            f"LIMIT {2 * limit}"
        )
    rows = await connection.rows(
        f"WITH candidates AS MATERIALIZED ({candidates}){_tail(kind, of_feeds['i'])} {found}",
        parameters,
    )
    once = {
        (name.casefold(), feed_id, group.casefold()): FoundName(name, feed_id, group) for name, feed_id, group in rows
    }
    return list(once.values())[:limit]


def _candidates(parameters: Parameters, kind: str, words: Sequence[str], names: str) -> str:
    keys = [word.casefold() for word in words]
    text, first = parameters.add(" ".join(keys)), parameters.add(keys[0])
    has_all = " AND ".join(f"instr(name_key, {parameters.add(key)}) > 0" for key in keys)
    return (
        f"SELECT DISTINCT CASE WHEN name_key = {text} THEN 0 "
        f"WHEN substr(name_key, 1, length({first})) = {first} THEN 1 ELSE 2 END AS rank, length(name_key) AS size, "
        f"name_key FROM {names} WHERE kind = {kind} AND name_key <> '' AND {has_all} "
        f"ORDER BY rank, size, name_key LIMIT {CANDIDATES}"
    )


def _is_seen(kind: str, of_feeds: Mapping[str, str]) -> str:
    """Return the condition that a record in one of the feeds has the name ``n``."""
    if kind in INSTALLATION_COLUMNS:
        column = INSTALLATION_COLUMNS[kind]
        return f"EXISTS (SELECT 1 FROM installations AS i WHERE i.{column} = n.id AND {of_feeds['i']} LIMIT 1 OFFSET 0)"
    # Applications and users are few and used by many records; there are fewer counts of them than uses.
    uses = "name_counts" if kind in ("application", "user") else "name_uses"
    used = f"EXISTS (SELECT 1 FROM {uses} AS u WHERE u.name_id = n.id AND {of_feeds['u']} LIMIT 1 OFFSET 0)"
    return f"{used} OR n.id IN (SELECT id FROM unindexed)"


def _tail(kind: str, of_feeds: str) -> str:
    """Return the names that the few records have which are not indexed yet."""
    if kind not in DEPLOYMENT_COLUMNS:
        return ""
    return (
        f", unindexed AS MATERIALIZED (SELECT DISTINCT d.{DEPLOYMENT_COLUMNS[kind]} AS id "
        "FROM deployments AS d NOT INDEXED CROSS JOIN installations AS i ON i.id = d.installation_id "
        f"WHERE d.id > (SELECT deployment_id FROM indexed) AND {of_feeds})"
    )
