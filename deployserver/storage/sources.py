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
    Conditions,
    Parameters,
    WordIds,
    where,
)

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
    rows = await connection.execute_fetchall(
        f"SELECT id FROM deployments WHERE date >= ? LIMIT {FEW + 1}",
        (since,),
    )
    ids = tuple(id_ for (id_,) in rows)
    return Source("", "", "", ids, len(ids))


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
    if len(word.text) < 3:
        return None  # shorter than what texts are indexed by
    found: set[int] = set()
    for statement, parameters in _parts(word):
        rows = await connection.execute_fetchall(f"{statement} LIMIT {FEW + 1}", parameters.values)
        found.update(id_ for (id_,) in rows)
        if len(found) > FEW:
            return None
    return Source("", "", "", tuple(found), len(found))


def _parts(word: WordIds) -> Iterator[tuple[str, Parameters]]:
    """Yield the queries that together find the records that may have a word."""
    parameters = Parameters()
    matching = parameters.add(_trigrams(word.text))
    yield f"SELECT rowid FROM deployment_texts WHERE deployment_texts MATCH {matching}", parameters
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


def _trigrams(word: str) -> str:
    parts = dict.fromkeys(word[start : start + 3] for start in range(len(word) - 2))
    return " AND ".join('"' + part.replace('"', '""') + '"' for part in parts)
