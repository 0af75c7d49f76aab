"""From a filter to SQL: names become numbers, and each condition is put where an index can use it."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import aiosqlite

from deployserver.filters import RecordFilter, read_pattern

INSTALLATION_COLUMNS = {"group": "group_id", "package": "package_id", "target": "target_id"}
DEPLOYMENT_COLUMNS = {"version": "version_id", "application": "application_id", "user": "user_id"}

LAST_CHARACTER = "\U0010ffff"


class Parameters:
    """The parameters of one statement by their names, so that a condition can stand in it more than once.

    They are not numbered: of ?1 and its like, Python 3.12.0 to 3.12.3 wrongly warn, and whoever tests with the double
    and takes warnings for errors would be answered 500.
    """

    def __init__(self) -> None:
        self.values: dict[str, Any] = {}

    def add(self, value: Any) -> str:
        """Return what stands for ``value`` in the statement."""
        name = f"p{len(self.values)}"
        self.values[name] = value
        return f":{name}"

    def is_in(self, column: str, ids: Collection[int]) -> str:
        """Return the condition that ``column`` is one of ``ids``."""
        if len(ids) == 1:
            return f"{column} = {self.add(next(iter(ids)))}"
        return f"{column} IN ({self.table(ids)})"

    def table(self, ids: Iterable[int]) -> str:
        """Return a query that gives ``ids`` as ``value``."""
        return f"SELECT value FROM json_each({self.add(json.dumps(list(ids)))})"


@dataclass(frozen=True, slots=True)
class WordIds:
    """A word, and the feeds and names, by kind, that have it."""

    text: str
    feed_ids: frozenset[int]
    ids: Mapping[str, tuple[int, ...]]


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
        """Return the conditions on an installation ``i``."""
        columns = {f"i.{column}": self.ids[kind] for kind, column in INSTALLATION_COLUMNS.items() if kind in self.ids}
        if self.feed_ids is not None:
            columns["i.feed_id"] = tuple(self.feed_ids)
        if not self.ids.keys().isdisjoint(("package", "target")):
            # A plus keeps from an index: those of feeds and groups lead to far more than a package or target has.
            columns = {
                f"+{name}" if name in ("i.feed_id", "i.group_id") else name: ids for name, ids in columns.items()
            }
        return [parameters.is_in(name, ids) for name, ids in columns.items()]

    def of_deployment(self, parameters: Parameters) -> list[str]:
        """Return the conditions on a deployment ``d`` of an installation ``i``, those on ``i`` alone left out."""
        found = [
            parameters.is_in(f"d.{column}", self.ids[kind])
            for kind, column in DEPLOYMENT_COLUMNS.items()
            if kind in self.ids
        ]
        found += self.of_time(parameters, "d.date")
        found += [_has_word(parameters, word) for word in self.words]
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

    def all(self, parameters: Parameters) -> list[str]:
        """Return all conditions on a deployment ``d`` and its installation ``i``."""
        return [*self.of_installation(parameters), *self.of_deployment(parameters)]


def where(conditions: Iterable[str]) -> str:
    """Return a WHERE clause, or nothing where there are no conditions."""
    joined = " AND ".join(conditions)
    return f"WHERE {joined}" if joined else ""


async def resolve(connection: aiosqlite.Connection, asked: RecordFilter) -> Conditions:
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
    words = tuple([WordIds(word.text, word.feed_ids, await _with_word(connection, word.text)) for word in asked.words])
    return Conditions(asked.feed_ids, ids, asked.since, asked.until, words)


async def _ids_of(connection: aiosqlite.Connection, kind: str, patterns: Iterable[str]) -> tuple[int, ...]:
    found: set[int] = set()
    for key, is_prefix in map(read_pattern, patterns):
        if is_prefix:
            condition, keys = "name_key >= ? AND name_key < ?", [key, key + LAST_CHARACTER]
        else:
            condition, keys = "name_key = ?", [key]
        rows = await connection.execute_fetchall(f"SELECT id FROM names WHERE kind = ? AND {condition}", (kind, *keys))
        found.update(id_ for (id_,) in rows)
    return tuple(sorted(found))


async def _with_word(connection: aiosqlite.Connection, word: str) -> dict[str, tuple[int, ...]]:
    found: dict[str, list[int]] = {kind: [] for kind in (*INSTALLATION_COLUMNS, *DEPLOYMENT_COLUMNS)}
    for kind, id_ in await connection.execute_fetchall(
        "SELECT kind, id FROM names WHERE kind <> 'recorder' AND instr(name_key, ?)", (word.casefold(),)
    ):
        found[kind].append(id_)
    return {kind: tuple(ids) for kind, ids in found.items() if ids}


def _has_word(parameters: Parameters, word: WordIds) -> str:
    columns = {kind: f"i.{column}" for kind, column in INSTALLATION_COLUMNS.items()}
    columns |= {kind: f"d.{column}" for kind, column in DEPLOYMENT_COLUMNS.items()}
    found = [parameters.is_in(columns[kind], ids) for kind, ids in word.ids.items()]
    if word.feed_ids:
        found.append(parameters.is_in("i.feed_id", word.feed_ids))
    # SQLite compares ASCII in any letter case; for the rest the usual ways to write the word are tried.
    for spelling in dict.fromkeys((word.text, word.text.lower(), word.text.upper(), word.text.capitalize())):
        pattern = parameters.add(f"%{_escaped(spelling)}%")
        found += [rf"d.{column} LIKE {pattern} ESCAPE '\'" for column in ("description", "url")]
        if word.text.isascii():
            break
    return f"({' OR '.join(found)})"


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
