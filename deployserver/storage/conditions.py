"""From a filter to SQL: names become numbers, and each condition is put where an index can use it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from deployserver.filters import RecordFilter, Word, read_pattern
from deployserver.storage.connection import Connection, Parameters
from deployserver.storage.texts import begins, has_any, pattern, spellings

INSTALLATION_COLUMNS = {"group": "group_id", "package": "package_id", "target": "target_id"}
DEPLOYMENT_COLUMNS = {"version": "version_id", "application": "application_id", "user": "user_id"}

_MOST_PAIRS = 100

MOST_NAMES = 5_000
"""So many names with a word are listed."""


@dataclass(frozen=True, slots=True)
class WordIds:
    """A word, and the feeds and names, by kind, that have it.

    ``common`` are the kinds of which so many have it that each name is looked at where it is needed.
    """

    text: str
    feed_ids: frozenset[int]
    ids: Mapping[str, tuple[int, ...]]
    common: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Conditions:
    """A filter with numbers for names; ``ids`` has the kinds that are asked for."""

    feed_ids: frozenset[int] | None
    ids: Mapping[str, tuple[int, ...]]
    since: int | None
    until: int | None
    words: tuple[WordIds, ...]

    @property
    def unsatisfiable(self) -> bool:
        """Whether no record can meet them, because a name that is asked for does not exist."""
        return self.feed_ids == frozenset() or not all(self.ids.values())

    def of_installation(self, parameters: Parameters) -> list[str]:
        """Return the conditions on an installation ``i`` that is to be found: of the best an index is asked."""
        asked = [column for kind, column in INSTALLATION_COLUMNS.items() if kind in self.ids]
        # Packages and targets lead to few, feeds to very many; two long lists have more pairs than either has items.
        by = [column for column in asked if column in ("package_id", "target_id")]
        if len(by) > 1 and len(self.ids["package"]) * len(self.ids["target"]) > _MOST_PAIRS:
            by = ["package_id" if len(self.ids["package"]) <= len(self.ids["target"]) else "target_id"]
        by = by or asked[:1] or ["feed_id"]
        return [
            parameters.is_in(f"i.{column}", ids) if column in by else parameters.is_among(f"i.{column}", ids)
            for column, ids in self._of_installation()
        ]

    def of_installation_at_hand(self, parameters: Parameters) -> list[str]:
        """Return the conditions on an installation ``i`` that has been found by other means."""
        return [parameters.is_among(f"i.{column}", ids) for column, ids in self._of_installation()]

    def _of_installation(self) -> list[tuple[str, tuple[int, ...]]]:
        found = [(column, self.ids[kind]) for kind, column in INSTALLATION_COLUMNS.items() if kind in self.ids]
        return found if self.feed_ids is None else [*found, ("feed_id", tuple(self.feed_ids))]

    def of_deployment(self, parameters: Parameters) -> list[str]:
        """Return the conditions on a deployment ``d`` of an installation ``i``, those on ``i`` alone left out."""
        found = [
            parameters.is_among(f"d.{column}", self.ids[kind])
            for kind, column in DEPLOYMENT_COLUMNS.items()
            if kind in self.ids
        ]
        found += self.of_time(parameters, "d.date")
        found += [has_word(parameters, word) for word in self.words]
        return found

    def of_time(self, parameters: Parameters, date: str) -> list[str]:
        """Return the conditions on a date."""
        found = []
        if self.since is not None:
            found.append(f"{date} >= {parameters.add(self.since)}")
        if self.until is not None:
            found.append(f"{date} <= {parameters.add(self.until)}")
        return found

    @property
    def of_records(self) -> bool:
        """Whether they ask for more of a deployment than its date."""
        return bool(self.words) or not self.ids.keys().isdisjoint(DEPLOYMENT_COLUMNS)

    @property
    def only_uses(self) -> bool:
        """Whether they ask for the uses of one kind of names, and for nothing else but feeds and dates."""
        return not self.words and len(self.ids) == 1 and self.ids.keys() <= DEPLOYMENT_COLUMNS.keys()

    @property
    def only_feeds(self) -> bool:
        """Whether they ask for feeds and dates, and for nothing else."""
        return not self.words and not self.ids

    def all(self, parameters: Parameters) -> list[str]:
        """Return all conditions on a deployment ``d`` and its installation ``i``."""
        return [*self.of_installation_at_hand(parameters), *self.of_deployment(parameters)]


def where(conditions: Iterable[str]) -> str:
    """Return a WHERE clause, or nothing where there are no conditions."""
    joined = " AND ".join(conditions)
    return f"WHERE {joined}" if joined else ""


async def resolve(connection: Connection, asked: RecordFilter) -> Conditions:
    """Look up the names that a filter asks for."""
    patterns = {
        "group": asked.groups,
        "package": asked.packages,
        "target": asked.targets,
        "version": asked.versions,
        "application": asked.applications,
        "user": asked.users,
    }
    ids = {
        kind: await _ids_of(connection, kind, wanted)
        for kind, wanted in patterns.items()
        if wanted and "*" not in wanted
    }
    words = tuple([await _with_word(connection, word) for word in asked.words])
    return Conditions(asked.feed_ids, ids, asked.since, asked.until, words)


async def _ids_of(connection: Connection, kind: str, patterns: Iterable[str]) -> tuple[int, ...]:
    found: set[int] = set()
    for key, is_prefix in map(read_pattern, patterns):
        parameters = connection.parameters()
        condition = begins("name_key", key, parameters) if is_prefix else f"name_key = {parameters.add(key)}"
        rows = await connection.rows(
            f"SELECT id FROM names WHERE kind = {parameters.add(kind)} AND {condition}", parameters
        )
        found.update(id_ for (id_,) in rows)
    return tuple(sorted(found))


async def _with_word(connection: Connection, word: Word) -> WordIds:
    """Look up the names that have a word; of the kinds of which very many have it, none is listed."""
    found: dict[str, list[int]] = {kind: [] for kind in (*INSTALLATION_COLUMNS, *DEPLOYMENT_COLUMNS)}
    common: set[str] = set()
    key = word.text.casefold()
    parameters = connection.parameters()
    names = await connection.texts.names_with(parameters, key)
    for kind, id_ in await connection.rows(
        f"SELECT n.kind, n.id FROM {names} WHERE n.kind <> 'recorder' "
        f"AND instr(n.name_key, {parameters.add(key)}) > 0 LIMIT {MOST_NAMES + 1}",
        parameters,
    ):
        found[kind].append(id_)
    if sum(map(len, found.values())) > MOST_NAMES:
        common = {kind for kind, ids in found.items() if len(ids) > MOST_NAMES // len(found)}
        for kind in found:
            found[kind] = [] if kind in common else await _of_kind(connection, kind, key)
    return WordIds(
        word.text, word.feed_ids, {kind: tuple(ids) for kind, ids in found.items() if ids}, frozenset(common)
    )


async def _of_kind(connection: Connection, kind: str, key: str) -> list[int]:
    parameters = connection.parameters()
    rows = await connection.rows(
        f"SELECT id FROM names WHERE kind = {parameters.add(kind)} AND instr(name_key, {parameters.add(key)}) > 0",
        parameters,
    )
    return [id_ for (id_,) in rows]


def has_word(parameters: Parameters, word: WordIds) -> str:
    """Return the condition that a deployment ``d`` of an installation ``i`` has a word."""
    columns = {kind: f"i.{column}" for kind, column in INSTALLATION_COLUMNS.items()}
    columns |= {kind: f"d.{column}" for kind, column in DEPLOYMENT_COLUMNS.items()}
    found = [parameters.is_among(columns[kind], ids) for kind, ids in word.ids.items()]
    if word.common:
        key = parameters.add(word.text.casefold())
        found += [
            f"instr((SELECT n.name_key FROM names AS n WHERE n.id = {columns[kind]}), {key}) > 0"
            for kind in sorted(word.common)
        ]
    if word.feed_ids:
        found.append(parameters.is_among("i.feed_id", word.feed_ids))
    # ASCII is compared in any letter case; for the rest the usual ways to write the word are tried.
    patterns = [parameters.add(pattern(spelling)) for spelling in spellings(word.text)]
    return f"({' OR '.join([*found, *has_any('d.description', patterns), *has_any('d.url', patterns)])})"
