"""Where to look for records: the smallest part of the records that must hold all of them.

A filter names installations (by feed, group, package, target), or names that deployments use (version, application,
user), or words; each of these has an index. How many records it leads to is counted up to a bound, which takes a
millisecond or two, and decides.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace

from deployserver.storage.conditions import (
    DEPLOYMENT_COLUMNS,
    INSTALLATION_COLUMNS,
    Conditions,
    WordIds,
    has_word,
    where,
)
from deployserver.storage.connection import Connection, Parameters

FEW = 5_000
"""So many records are simply all looked at; and so many installations or names are gone through one by one."""

_DAYS = 7

_WORD = 3
"""So many characters has a word at least that the index of texts finds; what begins with fewer is gathered."""

_SAMPLE = 1_000
_ONE_IN = 40

_WIDE = 50_000
"""So many records with a word, or installations of a feed, are looked at rather than a whole history."""

_MOST_DAYS = 100

_MANY = 4 * FEW
"""So many records are counted where no source is few, to go through the smallest one."""


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


async def find_source(connection: Connection, conditions: Conditions) -> Source | None:
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
    if len(sources) > 1:
        sources = [await _counted(connection, source, _MANY) for source in sources]
    # Packages and targets have fewer records than users and applications, feeds have more.
    of_places = not conditions.ids.keys().isdisjoint(("package", "target"))

    def order(source: Source) -> tuple[int, bool, int]:
        return source.count, of_places != (source.table == "deployments"), len(source.keys)

    return min(sources, key=order, default=None)


async def since_source(connection: Connection, since: int) -> Source:
    """Return the records of a time that has not ended, up to ``FEW + 1`` of them."""
    parameters = connection.parameters()
    rows = await connection.rows(
        f"SELECT id FROM deployments WHERE date >= {parameters.add(since)} ORDER BY date LIMIT {FEW + 1}", parameters
    )
    ids = tuple(id_ for (id_,) in rows)
    return Source("", "", "", ids, len(ids))


async def wide_source(connection: Connection, conditions: Conditions) -> Source | None:
    """Return a source of all records that is smaller than all of them, though not few; None if there is none."""
    if not conditions.of_records:
        return await _installations(connection, conditions, _WIDE)
    found = [await _with_word(connection, word, _WIDE, is_rare=True) for word in conditions.words]
    return min((source for source in found if source is not None), key=lambda source: source.count, default=None)


async def days_with(connection: Connection, records: int, day: int, *, back: bool) -> int | None:
    """Return the day until which there are so many records, or somewhat more or less, from ``day`` on; None if all."""
    parameters = connection.parameters()
    follows, direction = ("<=", "DESC") if back else (">=", "ASC")
    rows = await connection.rows(
        "SELECT c.day, CAST(sum(c.count) AS bigint) FROM daily_counts AS c "
        f"WHERE c.day {follows} {parameters.add(day)} GROUP BY c.day ORDER BY c.day {direction} LIMIT {_MOST_DAYS}",
        parameters,
    )
    total = 0
    for found, count in rows:
        total += count
        if total >= records:
            return int(found)
    return int(rows[-1][0]) if len(rows) == _MOST_DAYS else None


async def are_soon_found(
    connection: Connection, feed_ids: Collection[int], day: int, limit: int, *, back: bool
) -> bool:
    """Tell whether so many records of feeds come soon when going through time from a day (whole days since 1970)."""
    parameters = connection.parameters()
    follows, direction = ("<=", "DESC") if back else (">=", "ASC")
    rows = await connection.rows(
        f"SELECT CAST(sum(CASE WHEN {parameters.is_among('c.feed_id', feed_ids)} THEN c.count ELSE 0 END) AS bigint), "
        "CAST(sum(c.count) AS bigint) "
        f"FROM daily_counts AS c WHERE c.day {follows} {parameters.add(day)} "
        f"GROUP BY c.day ORDER BY c.day {direction} LIMIT {_DAYS}",
        parameters,
    )
    own, all_ = sum(row[0] for row in rows), sum(row[1] for row in rows)
    return bool(own >= limit and all_ * limit <= own * FEW)


async def until_source(connection: Connection, until: int) -> Source | None:
    """Return the installations that there were at a time, by their first spelling; None if they may be many."""
    parameters = connection.parameters()
    beyond = await connection.rows(
        f"SELECT date FROM deployments WHERE date <= {parameters.add(until)} ORDER BY date LIMIT 1 OFFSET {FEW}",
        parameters,
    )
    if beyond:
        return None
    parameters = connection.parameters()
    rows = await connection.rows(
        "SELECT coalesce(i.same_as, i.id) FROM "
        f"(SELECT installation_id FROM deployments WHERE date <= {parameters.add(until)} "
        f"ORDER BY date LIMIT {FEW}) AS d "
        "CROSS JOIN installations AS i ON i.id = d.installation_id",
        parameters,
    )
    return Source("deployments", "installation_id", "id", tuple({id_ for (id_,) in rows}))


async def _installations(connection: Connection, conditions: Conditions, most: int | None = None) -> Source | None:
    most = FEW if most is None else most
    parameters = connection.parameters()
    wanted = conditions.of_installation(parameters)
    if not wanted:
        return None
    rows = await connection.rows(
        f"SELECT i.id FROM installations AS i {where(wanted)} LIMIT {most + 1}",
        parameters,
    )
    keys = tuple(id_ for (id_,) in rows)
    return (
        None if len(keys) > most else await _counted(connection, Source("deployments", "installation_id", "id", keys))
    )


async def _uses(connection: Connection, names: tuple[int, ...]) -> Source | None:
    if len(names) > FEW:
        return None
    return await _counted(connection, Source("name_uses", "name_id", "deployment_id", names))


async def _counted(connection: Connection, source: Source, most: int | None = None) -> Source:
    most = FEW if most is None else most
    parameters = connection.parameters()
    ((count,),) = await connection.rows(
        f"SELECT count(*) FROM (SELECT 1 FROM ({parameters.table(source.keys)}) AS k "
        f"CROSS JOIN {source.table} AS e ON e.{source.key} = k.value LIMIT {most + 1}) AS e",
        parameters,
    )
    return replace(source, count=count)


async def _with_word(
    connection: Connection, word: WordIds, most: int | None = None, *, is_rare: bool = False
) -> Source | None:
    """Return the records that may have a word, if they are no more and can be found without looking at all."""
    most = FEW if most is None else most
    if word.common or (len(word.text) < _WORD and not is_rare and await _often(connection, word)):
        return None
    matching = await connection.texts.with_word(word.text, most + 1, is_rare=is_rare)
    if matching is None:
        return None
    found = set(matching)
    for statement, parameters in _parts(connection, word):
        if len(found) > most:
            return None
        rows = await connection.rows(f"{statement} LIMIT {most + 1}", parameters)
        found.update(id_ for (id_,) in rows)
    return None if len(found) > most else Source("", "", "", tuple(found), len(found))


async def _often(connection: Connection, word: WordIds) -> bool:
    """Tell whether some of the newest records have a word, so that going back in time finds enough soon."""
    parameters = connection.parameters()
    ((count,),) = await connection.rows(
        "SELECT count(*) FROM "
        f"(SELECT id FROM deployments INDEXED BY deployments_by_date ORDER BY date DESC LIMIT {_SAMPLE}) AS newest "
        "CROSS JOIN deployments AS d ON d.id = newest.id "
        f"CROSS JOIN installations AS i ON i.id = d.installation_id WHERE {has_word(parameters, word)}",
        parameters,
    )
    return int(count) * _ONE_IN >= _SAMPLE


def _parts(connection: Connection, word: WordIds) -> Iterator[tuple[str, Parameters]]:
    """Yield the queries that find what the index of texts does not have of the records that may have a word."""
    yield "SELECT id FROM deployments WHERE id > (SELECT deployment_id FROM indexed)", connection.parameters()
    columns = {column: word.ids[kind] for kind, column in INSTALLATION_COLUMNS.items() if kind in word.ids}
    for column, ids in {**columns, "feed_id": tuple(word.feed_ids)}.items():
        parameters = connection.parameters()
        yield (
            "SELECT e.id FROM installations AS i CROSS JOIN deployments AS e ON e.installation_id = i.id "
            f"WHERE {parameters.is_in(f'i.{column}', ids)}",
            parameters,
        )
    if names := [id_ for kind in DEPLOYMENT_COLUMNS for id_ in word.ids.get(kind, ())]:
        parameters = connection.parameters()
        yield f"SELECT deployment_id FROM name_uses WHERE {parameters.is_in('name_id', names)}", parameters
