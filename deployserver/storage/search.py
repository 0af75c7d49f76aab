"""Names that have some words in them: the best matches first, of those that records in some feeds have."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import NamedTuple

import aiosqlite

from deployserver.storage.conditions import DEPLOYMENT_COLUMNS, INSTALLATION_COLUMNS, Parameters

CANDIDATES = 5_000
"""So many names of a kind are looked at, the best first, whether a record that may be seen has them."""


class FoundName(NamedTuple):
    """A name of records; of a package also a feed that has it, and its group there, empty for none."""

    name: str
    feed_id: int = 0
    group: str = ""


async def find_names(
    connection: aiosqlite.Connection, kind: str, words: Sequence[str], feed_ids: Collection[int], limit: int
) -> list[FoundName]:
    """Return up to ``limit`` names of a kind that have all of the words, in any letter case, the best first.

    Best is the same text, then what begins with it, then what has it anywhere. A name counts if a record in one of the
    feeds has it, and comes once, spelt as it was first.
    """
    parameters = Parameters()
    given = parameters.add(kind)
    candidates = _candidates(parameters, given, words)
    feeds = parameters.table(feed_ids)
    # Going through the candidates in their order can stop as soon as there are enough.
    if kind == "package":
        found = (
            "SELECT DISTINCT n.name, i.feed_id, g.name FROM candidates AS c "
            f"CROSS JOIN names AS n ON n.kind = {given} AND n.name_key = c.name_key "
            "CROSS JOIN installations AS i ON i.package_id = n.id CROSS JOIN names AS g ON g.id = i.group_id "
            f"WHERE i.feed_id IN ({feeds}) AND i.same_as IS NULL AND i.latest_id IS NOT NULL"
        )
    else:
        seen = (
            f"SELECT n.name FROM names AS n WHERE n.kind = {given} AND n.name_key = c.name_key "
            f"AND ({_is_seen(kind, feeds)}) ORDER BY n.id LIMIT 1"
        )
        found = f"SELECT name, 0, '' FROM (SELECT ({seen}) AS name FROM candidates AS c) WHERE name IS NOT NULL"
    rows = await connection.execute_fetchall(
        f"WITH candidates AS MATERIALIZED ({candidates}){_tail(kind, feeds)} {found} LIMIT {2 * limit}",
        parameters.values,
    )
    once = {
        (name.casefold(), feed_id, group.casefold()): FoundName(name, feed_id, group) for name, feed_id, group in rows
    }
    return list(once.values())[:limit]


def _candidates(parameters: Parameters, kind: str, words: Sequence[str]) -> str:
    keys = [word.casefold() for word in words]
    text, first = parameters.add(" ".join(keys)), parameters.add(keys[0])
    has_all = " AND ".join(f"instr(name_key, {parameters.add(key)})" for key in keys)
    return (
        f"SELECT DISTINCT name_key, CASE WHEN name_key = {text} THEN 0 "
        f"WHEN substr(name_key, 1, length({first})) = {first} THEN 1 ELSE 2 END AS rank "
        f"FROM names WHERE kind = {kind} AND name_key <> '' AND {has_all} "
        f"ORDER BY rank, length(name_key), name_key LIMIT {CANDIDATES}"
    )


def _is_seen(kind: str, feeds: str) -> str:
    """Return the condition that a record in one of the feeds has the name ``n``."""
    if kind in INSTALLATION_COLUMNS:
        column = INSTALLATION_COLUMNS[kind]
        return f"EXISTS (SELECT 1 FROM installations AS i WHERE i.{column} = n.id AND i.feed_id IN ({feeds}))"
    # Applications are few and used by many records; there are fewer counts of them than uses.
    uses, name = ("application_counts", "application_id") if kind == "application" else ("name_uses", "name_id")
    used = f"EXISTS (SELECT 1 FROM {uses} AS u WHERE u.{name} = n.id AND u.feed_id IN ({feeds}))"
    return f"{used} OR n.id IN (SELECT id FROM unindexed)"


def _tail(kind: str, feeds: str) -> str:
    """Return the names that the few records have which are not indexed yet."""
    if kind not in DEPLOYMENT_COLUMNS:
        return ""
    return (
        f", unindexed AS MATERIALIZED (SELECT DISTINCT d.{DEPLOYMENT_COLUMNS[kind]} AS id "
        "FROM deployments AS d NOT INDEXED CROSS JOIN installations AS i ON i.id = d.installation_id "
        f"WHERE d.id > (SELECT deployment_id FROM indexed) AND i.feed_id IN ({feeds}))"
    )
