"""The texts that records share, by number: what is stored of a deployment, and the numbers that stand for its names.

What is used all the time is remembered, so that most batches need nothing but their one INSERT.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from itertools import islice
from typing import Any, NamedTuple

import aiosqlite

from deployserver.models import DeploymentRow
from deployserver.storage.rows import RowRejected

_MOST_REMEMBERED = 65_536

_Name = tuple[str, str]  # kind and name
_Installation = tuple[int, int, int, int]  # feed, group, package and target, by number
_PARTS = ("feed", "group", "package", "target")

_FIND_NAMES = """
SELECT n.kind, n.name, n.id
FROM json_each(?) AS wanted
CROSS JOIN names AS n ON n.kind = json_extract(wanted.value, '$[0]')
    AND n.name_key = json_extract(wanted.value, '$[1]') AND n.name = json_extract(wanted.value, '$[2]')
"""
_ADD_NAMES = """
INSERT INTO names (kind, name_key, name)
SELECT json_extract(value, '$[0]'), json_extract(value, '$[1]'), json_extract(value, '$[2]') FROM json_each(?)
RETURNING kind, name, id
"""
_FIND_INSTALLATIONS = """
SELECT i.feed_id, i.group_id, i.package_id, i.target_id, i.id
FROM json_each(?) AS wanted
CROSS JOIN installations AS i ON i.feed_id = json_extract(wanted.value, '$[0]')
    AND i.group_id = json_extract(wanted.value, '$[1]') AND i.package_id = json_extract(wanted.value, '$[2]')
    AND i.target_id = json_extract(wanted.value, '$[3]')
"""
# The first installation that differs in nothing but letter case, if there is one.
_ADD_INSTALLATION = """
INSERT INTO installations (feed_id, group_id, package_id, target_id, same_as)
SELECT :feed, :group, :package, :target, (
    SELECT min(coalesce(i.same_as, i.id))
    FROM names AS p
    CROSS JOIN names AS other_p ON other_p.kind = p.kind AND other_p.name_key = p.name_key
    CROSS JOIN names AS t ON t.id = :target
    CROSS JOIN names AS other_t ON other_t.kind = t.kind AND other_t.name_key = t.name_key
    CROSS JOIN names AS g ON g.id = :group
    CROSS JOIN names AS other_g ON other_g.kind = g.kind AND other_g.name_key = g.name_key
    CROSS JOIN installations AS i
        ON i.package_id = other_p.id AND i.target_id = other_t.id AND i.feed_id = :feed AND i.group_id = other_g.id
    WHERE p.id = :package
)
"""


class StoredRow(NamedTuple):
    """A deployment as its table takes it, in the order of its columns."""

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

    async def add(self, connection: aiosqlite.Connection, rows: Sequence[DeploymentRow]) -> Found:
        """Look up, and add where it is new, all that ``rows`` refer to, within a transaction of the writer."""
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
        for statement in (_FIND_NAMES, _ADD_NAMES):
            missing = [(kind, name.casefold(), name) for (kind, name), id_ in names.items() if id_ is None]
            if missing:
                for kind, name, id_ in await connection.execute_fetchall(statement, (_json(missing),)):
                    names[kind, name] = id_
        known_names = {name: id_ for name, id_ in names.items() if id_ is not None}
        installations = {key: self._installations.get(key) for key in (_key(row, known_names) for row in rows)}
        for add in (False, True):
            wanted = [key for key, id_ in installations.items() if id_ is None]
            if add:
                parameters = [dict(zip(_PARTS, key, strict=True)) for key in wanted]
                await connection.executemany(_ADD_INSTALLATION, parameters)
            if wanted:
                found = await connection.execute_fetchall(_FIND_INSTALLATIONS, (_json(wanted),))
                installations |= {(feed, group, package, target): id_ for feed, group, package, target, id_ in found}
        return Found(known_names, {key: id_ for key, id_ in installations.items() if id_ is not None})

    def remember(self, found: Found) -> None:
        """Remember what has been committed."""
        self._newest_name = max(self._newest_name, *found.names.values())
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


def _with(remembered: dict[Any, int], more: dict[Any, int]) -> dict[Any, int]:
    """Return both, without the older half where they are too many; what is still used comes back soon."""
    if len(remembered) + len(more) > _MOST_REMEMBERED:
        remembered = dict(islice(remembered.items(), len(remembered) // 2, None))
    return remembered | more


def _key(row: DeploymentRow, names: dict[_Name, int]) -> _Installation:
    return (
        row.feed_id,
        names["group", row.group_name or ""],
        names["package", row.package_name],
        names["target", row.target],
    )


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


def _json(values: Any) -> str:
    return json.dumps(values, ensure_ascii=False, separators=(",", ":"))
