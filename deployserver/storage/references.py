"""The texts that records share, by number: what is stored of a deployment, and the numbers that stand for its names.

What is used all the time is remembered, so that most batches need nothing but their one INSERT.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import islice
from typing import Any, NamedTuple

from deployserver.models import DeploymentRow
from deployserver.storage.connection import Connection
from deployserver.storage.rows import RowRejected

_MOST_REMEMBERED = 65_536

_Name = tuple[str, str]  # kind and name
_Installation = tuple[int, int, int, int]  # feed, group, package and target, by number

_FIND_NAMES = """
SELECT n.kind, n.name, n.id
FROM ({wanted}) AS w
CROSS JOIN names AS n ON n.kind = w.kind AND n.name_key = w.name_key AND n.name = w.name
"""
_ADD_NAMES = """
INSERT INTO names (kind, name_key, name)
SELECT w.kind, w.name_key, w.name FROM ({wanted}) AS w WHERE true
ON CONFLICT DO NOTHING
RETURNING kind, name, id
"""
_FIND_INSTALLATIONS = """
SELECT i.feed_id, i.group_id, i.package_id, i.target_id, i.id
FROM ({wanted}) AS w
CROSS JOIN installations AS i ON i.feed_id = w.feed_id AND i.group_id = w.group_id AND i.package_id = w.package_id
    AND i.target_id = w.target_id
"""
# Each is the same as the first installation that differs from it in nothing but letter case, if there is one; no two of
# those that are added at once may differ in nothing else.
_ADD_INSTALLATIONS = """
INSERT INTO installations (feed_id, group_id, package_id, target_id, same_as)
SELECT w.feed_id, w.group_id, w.package_id, w.target_id, (
    SELECT min(coalesce(i.same_as, i.id))
    FROM names AS p
    CROSS JOIN names AS other_p ON other_p.kind = p.kind AND other_p.name_key = p.name_key
    CROSS JOIN names AS t ON t.id = w.target_id
    CROSS JOIN names AS other_t ON other_t.kind = t.kind AND other_t.name_key = t.name_key
    CROSS JOIN names AS g ON g.id = w.group_id
    CROSS JOIN names AS other_g ON other_g.kind = g.kind AND other_g.name_key = g.name_key
    CROSS JOIN installations AS i
        ON i.package_id = other_p.id AND i.target_id = other_t.id AND i.feed_id = w.feed_id AND i.group_id = other_g.id
    WHERE p.id = w.package_id
)
FROM ({wanted}) AS w WHERE true
ON CONFLICT DO NOTHING
RETURNING feed_id, group_id, package_id, target_id, id
"""


class StoredRow(NamedTuple):
    """A deployment as its table takes it; PostgreSQL has a type of the same fields, stored_deployment."""

    installation_id: int
    version_id: int
    application_id: int
    user_id: int
    description: str
    url: str | None
    date: int
    recorded_at: int
    recorded_by_id: int
    recorded_key_id: int | None


class References:
    """The numbers of names and installations that are committed, as far as they are remembered."""

    def __init__(self) -> None:
        self._names: dict[_Name, int] = {}
        self._installations: dict[_Installation, int] = {}
        self._newest_name = 0

    def forget(self) -> None:
        """Forget everything: another database has come in the place of the one it is true of."""
        self._names, self._installations, self._newest_name = {}, {}, 0

    def names_reach(self, newest: int) -> None:
        """Forget everything if names are remembered that are not there any more, ``newest`` being the last there is."""
        if newest < self._newest_name:
            self.forget()

    def stored(self, rows: Sequence[DeploymentRow]) -> list[StoredRow] | None:
        """Return the rows as they are stored, or None if not all that they refer to is remembered."""
        return _stored(rows, self._names, self._installations)

    def sought(self, rows: Sequence[DeploymentRow]) -> Sought:
        """Return the rows as they are stored once all that they refer to has its number."""
        names = self._remembered(rows)
        new_names = [name for name, id_ in names.items() if id_ is None]
        numbers = {name: id_ for name, id_ in names.items() if id_ is not None}
        numbers |= {name: -place for place, name in enumerate(new_names, 1)}
        installations: dict[_Installation, int] = {}
        new_installations: list[_Installation] = []
        for row in rows:
            key = _key(row, numbers)
            if key not in installations:
                known = self._installations.get(key)
                if known is None:
                    new_installations.append(key)
                installations[key] = known or -len(new_installations)
        stored = Found(numbers, installations).stored(rows)
        return Sought(numbers, new_names, new_installations, stored)

    async def add(self, connection: Connection, rows: Sequence[DeploymentRow]) -> Found:
        """Look up, and add where it is new, all that ``rows`` refer to, within a transaction of the writer."""
        names = self._remembered(rows)
        for adding in (False, True):
            missing = [(kind, name.casefold(), name) for (kind, name), id_ in names.items() if id_ is None]
            if missing:
                statement = _ADD_NAMES if adding else _FIND_NAMES
                parameters = connection.parameters()
                wanted = parameters.tuples(missing, kind=str, name_key=str, name=str)
                for kind, name, id_ in await connection.rows(statement.format(wanted=wanted), parameters):
                    names[kind, name] = id_
        known_names = {name: id_ for name, id_ in names.items() if id_ is not None}
        installations = {
            key: self._installations.get(key) for row in rows if (key := _key_if_known(row, known_names)) is not None
        }
        for adding in (False, True):
            keys = [key for key, id_ in installations.items() if id_ is None]
            statement = _ADD_INSTALLATIONS if adding else _FIND_INSTALLATIONS
            for some in _apart(keys, known_names) if adding else [keys]:
                installations |= await _installations(connection, statement, some)
        return Found(known_names, {key: id_ for key, id_ in installations.items() if id_ is not None})

    def _remembered(self, rows: Sequence[DeploymentRow]) -> dict[_Name, int | None]:
        """Return the names that rows refer to, with their numbers as far as they are remembered."""
        names = {
            (kind, name): self._names.get((kind, name))
            for row in rows
            for kind, name in (
                ("group", row.group_name or ""),
                ("package", row.package_name),
                ("target", row.target),
                ("version", row.version),
                ("application", row.application),
                ("user", row.user_name),
                ("recorder", row.recorded_by),
            )
        }
        if not all(isinstance(name, str) for _, name in names):
            raise RowRejected("a name is missing")
        return names

    def remember(self, found: Found) -> None:
        """Remember what has been committed."""
        self._newest_name = max(self._newest_name, *found.names.values(), 0)
        self._names = _with(self._names, found.names)
        self._installations = _with(self._installations, found.installations)


class Found(NamedTuple):
    """All that some rows refer to, by number."""

    names: dict[_Name, int]
    installations: dict[_Installation, int]

    def stored(self, rows: Sequence[DeploymentRow]) -> list[StoredRow]:
        """Return the rows as they are stored."""
        stored = _stored(rows, self.names, self.installations)
        assert stored is not None
        return stored


class Sought(NamedTuple):
    """Rows of which not all has a number: the place of what is new in its list, from -1 downwards, stands for that."""

    numbers: dict[_Name, int]
    new_names: list[_Name]
    new_installations: list[_Installation]
    rows: list[StoredRow]

    @property
    def names(self) -> list[tuple[str, str, str]]:
        """What is new of names: kind, casefolded name and name."""
        return [(kind, name.casefold(), name) for kind, name in self.new_names]

    @property
    def installations(self) -> list[tuple[int, int, int, int, int]]:
        """What is new of installations, each with its turn: no two of one turn differ in nothing but letter case."""
        lists = _apart(self.new_installations, self.numbers)
        turns = {key: turn for turn, keys in enumerate(lists) for key in keys}
        return [(*key, turns[key]) for key in self.new_installations]

    def found(self, name_ids: Sequence[int], installation_ids: Sequence[int]) -> Found:
        """Return what was new by the numbers that it has got, which are in the order of the lists."""

        def known(number: int) -> int:
            return number if number > 0 else name_ids[-number - 1]

        keys = [
            (feed, known(group), known(package), known(target))
            for feed, group, package, target in self.new_installations
        ]
        return Found(dict(zip(self.new_names, name_ids, strict=True)), dict(zip(keys, installation_ids, strict=True)))


def _with(remembered: dict[Any, int], more: dict[Any, int]) -> dict[Any, int]:
    """Return both, without the older half where they are too many; what is still used comes back soon."""
    if len(remembered) + len(more) > _MOST_REMEMBERED:
        remembered = dict(islice(remembered.items(), len(remembered) // 2, None))
    return remembered | more


async def _installations(
    connection: Connection, statement: str, keys: Sequence[_Installation]
) -> dict[_Installation, int]:
    """Find or add installations, and return their numbers."""
    if not keys:
        return {}
    parameters = connection.parameters()
    wanted = parameters.tuples(keys, feed_id=int, group_id=int, package_id=int, target_id=int)
    rows = await connection.rows(statement.format(wanted=wanted), parameters)
    return {(feed, group, package, target): id_ for feed, group, package, target, id_ in rows}


def _apart(keys: Iterable[_Installation], names: dict[_Name, int]) -> list[list[_Installation]]:
    """Return the keys in their order, in lists in which no two differ in nothing but letter case: one, most likely."""
    folded = {id_: name.casefold() for (_, name), id_ in names.items()}
    lists: list[list[_Installation]] = []
    seen: dict[tuple[int, str, str, str], int] = {}
    for key in keys:
        feed, group, package, target = key
        alike = (feed, folded[group], folded[package], folded[target])
        earlier = seen[alike] = seen.get(alike, -1) + 1
        if earlier == len(lists):
            lists.append([])
        lists[earlier].append(key)
    return lists


def _key(row: DeploymentRow, names: dict[_Name, int]) -> _Installation:
    return (
        row.feed_id,
        names["group", row.group_name or ""],
        names["package", row.package_name],
        names["target", row.target],
    )


def _key_if_known(row: DeploymentRow, names: dict[_Name, int]) -> _Installation | None:
    try:
        return _key(row, names)
    except KeyError:
        return None


def _stored(
    rows: Iterable[DeploymentRow], names: dict[_Name, int], installations: dict[_Installation, int]
) -> list[StoredRow] | None:
    try:
        return [
            StoredRow(
                installations[_key(row, names)],
                names["version", row.version],
                names["application", row.application],
                names["user", row.user_name],
                row.description,
                row.url,
                row.date,
                row.recorded_at,
                names["recorder", row.recorded_by],
                row.recorded_key_id,
            )
            for row in rows
        ]
    except KeyError:
        return None
