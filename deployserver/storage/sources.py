"""Where to look for records: the smallest part of the records that must hold all of them.

A filter names installations (by feed, group, package, target), or names that deployments use (version, application,
user), or words; each of these has an index. How many records it leads to is counted up to a bound, which takes a
millisecond or two, and decides.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import aiosqlite

from deployserver.storage.conditions import (
    DEPLOYMENT_COLUMNS,
    INSTALLATION_COLUMNS,
    LAST_CHARACTER,
    Conditions,
    Parameters,
    WordIds,
    where,
)

_MOST_TERMS = 200
FEW = 5_000
"""So many records are simply all looked at; and so many installations or names are gone through one by one."""


@dataclass(frozen=True, slots=True)
class Source:
    """A set of keys of ``table``, each with its records in the order of their dates.

    ``count`` is how many records it leads to, ``FEW + 1`` for more than ``FEW``. A source without a table is a set of
    records.
    """

    table: str
    key: str
    id: str
    keys: tuple[int, ...]
    count: int = 0

    @property
    def few(self) -> bool:
        """Whether all its records can be looked at."""
        return self.count <= FEW


async def find_source(connection: aiosqlite.Connection, conditions: Conditions) -> Source | None:
    """Return the smallest source of all records that meet ``conditions``; None if all must be looked through."""
    found = [await _installations(connection, conditions)]
    found += [await _uses(connection, conditions.ids[kind]) for kind in DEPLOYMENT_COLUMNS if kind in conditions.ids]
    sources = [source for source in found if source is not None]
    if any(source.few for source in sources):
        return min(sources, key=lambda source: source.count)
    for word in conditions.words:
        with_word = await _with_word(connection, word)
        if with_word is not None:
            return with_word
    if conditions.words:
        return None  # the words are common, so that going back in time finds them soon
    return min(sources, key=lambda source: len(source.keys), default=None)


async def since_source(connection: aiosqlite.Connection, since: int) -> Source:
    """Return the records of a time that has not ended, up to ``FEW + 1`` of them."""
    rows = await connection.execute_fetchall(f"SELECT id FROM deployments WHERE date >= ? LIMIT {FEW + 1}", (since,))
    ids = tuple(id_ for (id_,) in rows)
    return Source("", "", "", ids, len(ids))


async def until_source(connection: aiosqlite.Connection, until: int) -> Source | None:
    """Return the installations that there were at a time, by their first spelling; None if they may be many."""
    rows = await connection.execute_fetchall(
        "SELECT coalesce(i.same_as, i.id) FROM "
        f"(SELECT installation_id FROM deployments WHERE date <= ? LIMIT {FEW + 1}) AS d "
        "CROSS JOIN installations AS i ON i.id = d.installation_id",
        (until,),
    )
    ids = [id_ for (id_,) in rows]
    return None if len(ids) > FEW else Source("deployments", "installation_id", "id", tuple(set(ids)))


async def _installations(connection: aiosqlite.Connection, conditions: Conditions) -> Source | None:
    parameters = Parameters()
    wanted = conditions.of_installation(parameters)
    if not wanted:
        return None
    rows = await connection.execute_fetchall(
        f"SELECT i.id FROM installations AS i {where(wanted)} LIMIT {FEW + 1}",
        parameters.values,
    )
    keys = tuple(id_ for (id_,) in rows)
    return None if len(keys) > FEW else await _counted(connection, Source("deployments", "installation_id", "id", keys))


async def _uses(connection: aiosqlite.Connection, names: tuple[int, ...]) -> Source | None:
    if len(names) > FEW:
        return None
    return await _counted(connection, Source("name_uses", "name_id", "deployment_id", names))


async def _counted(connection: aiosqlite.Connection, source: Source) -> Source:
    parameters = Parameters()
    ((count,),) = await connection.execute_fetchall(
        f"SELECT count(*) FROM (SELECT 1 FROM ({parameters.table(source.keys)}) AS k "
        f"CROSS JOIN {source.table} AS e ON e.{source.key} = k.value LIMIT {FEW + 1})",
        parameters.values,
    )
    return replace(source, count=count)


async def _with_word(connection: aiosqlite.Connection, word: WordIds) -> Source | None:
    """Return the records that may have a word, if they are few and can be found without looking at all."""
    found: set[int] = set()
    matching = await _matching(connection, word.text)
    if matching is None:
        return None
    for statement, parameters in _parts(word, matching):
        rows = await connection.execute_fetchall(f"{statement} LIMIT {FEW + 1}", parameters.values)
        found.update(id_ for (id_,) in rows)
        if len(found) > FEW:
            return None
    return Source("", "", "", tuple(found), len(found))


def _parts(word: WordIds, matching: str) -> Iterator[tuple[str, Parameters]]:
    """Yield the queries that together find the records that may have a word."""
    if matching:
        parameters = Parameters()
        match = parameters.add(matching)
        yield f"SELECT rowid FROM deployment_texts WHERE deployment_texts MATCH {match}", parameters
    yield "SELECT id FROM deployments WHERE id > (SELECT deployment_id FROM indexed)", Parameters()
    columns = {column: word.ids[kind] for kind, column in INSTALLATION_COLUMNS.items() if kind in word.ids}
    for column, ids in {**columns, "feed_id": tuple(word.feed_ids)}.items():
        parameters = Parameters()
        yield (
            "SELECT e.id FROM installations AS i CROSS JOIN deployments AS e ON e.installation_id = i.id "
            f"WHERE {parameters.is_in(f'i.{column}', ids)}",
            parameters,
        )
    if names := [id_ for kind in DEPLOYMENT_COLUMNS for id_ in word.ids.get(kind, ())]:
        parameters = Parameters()
        yield f"SELECT deployment_id FROM name_uses WHERE {parameters.is_in('name_id', names)}", parameters


async def _matching(connection: aiosqlite.Connection, word: str) -> str | None:
    """Return what the texts with a word match, empty if there are none; None for a short word that is in too many."""
    if len(word) >= 3:
        return " AND ".join(_quoted(word[start : start + 3]) for start in range(len(word) - 2))
    beginning = word.lower()  # as the index folds it, nearly
    terms = await connection.execute_fetchall(
        f"SELECT term FROM deployment_terms WHERE term >= ? AND term < ? LIMIT {_MOST_TERMS + 1}",
        (beginning, beginning + LAST_CHARACTER),
    )
    found = [_quoted(term) for (term,) in terms]
    return None if len(found) > _MOST_TERMS else " OR ".join(found)


def _quoted(term: str) -> str:
    return '"' + term.replace('"', '""') + '"'
