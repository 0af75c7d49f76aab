"""The tables of an installation, and what becomes of each when it is copied."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto
from functools import cached_property


class Way(Enum):
    """How a table of the copy comes to hold what that of the original holds."""

    APPENDED = auto()
    """Rows never change, and new ones have greater ids: what is there already stays."""
    MERGED = auto()
    """Others refer to its rows: those that are there already are changed and removed one by one."""
    REPLACED = auto()
    """Nothing refers to its rows: they are all taken out, and put in anew."""


@dataclass(frozen=True)
class Table:
    """A table to be copied, with its columns; the rows are known by ``key``, and compared in its order."""

    name: str
    way: Way
    columns: tuple[str, ...]
    key: tuple[str, ...] = ("id",)
    booleans: frozenset[str] = frozenset()

    @cached_property
    def is_numbered(self) -> bool:
        """Whether the database gives its rows their numbers, none of them twice."""
        return self.key == ("id",)

    @cached_property
    def key_places(self) -> tuple[int, ...]:
        """Where in a row the columns of its key are."""
        return tuple(self.columns.index(name) for name in self.key)


def _table(name: str, way: Way, columns: str, key: str = "id") -> Table:
    """Return a table; ``?`` is after the names of columns that hold a truth value."""
    names = columns.split()
    return Table(
        name,
        way,
        tuple(column.rstrip("?") for column in names),
        tuple(key.split()),
        frozenset(column.rstrip("?") for column in names if column.endswith("?")),
    )


TABLES = (
    _table("feeds", Way.MERGED, "id name type active? deployment_records_enabled? created_at"),
    _table("feed_names", Way.REPLACED, "name_key name feed_id is_alternate?", key="name_key"),
    _table("users", Way.MERGED, "id name name_key password_hash created_at"),
    _table(
        "api_keys",
        Way.MERGED,
        "id kind name hint digest scopes user_id created_at expires_at revoked_at last_used_at",
    ),
    _table("api_key_feeds", Way.REPLACED, "api_key_id feed_id", key="api_key_id feed_id"),
    _table("privileges", Way.REPLACED, "id principal user_id privilege feed_id granted? created_at"),
    _table("access_revision", Way.REPLACED, "revision", key="revision"),
    _table("audit", Way.REPLACED, "id at last_at count actor address action subject detail tally_key"),
    _table("proven_credentials", Way.REPLACED, "address proof at", key="address proof"),
    _table(
        "loads",
        Way.REPLACED,
        "id fingerprint name actor started_at changed_at finished_at position digest lines loaded refused "
        "refused_bytes",
    ),
    _table("names", Way.APPENDED, "id kind name_key name"),
    _table("installations", Way.MERGED, "id feed_id group_id package_id target_id same_as latest_date latest_id"),
    _table(
        "deployments",
        Way.APPENDED,
        "id installation_id version_id application_id user_id description url date recorded_at recorded_by_id "
        "recorded_key_id",
    ),
)
"""All that is copied. A table stands after those that it refers to."""

ALWAYS_THERE = frozenset({"access_revision"})
"""What holds a row in a new database, too."""

NOT_COPIED = {
    "sessions": "who is signed in to one installation is not signed in to its copy",
    "lockouts": "forgotten within minutes by themselves",
    "writers": "which processes write to one database says nothing of its copy",
    "schema_migrations": "the copy is migrated by itself",
    "deployment_ids": "the greatest ids are set by themselves; SQLite keeps them elsewhere",
    "indexed": "indexed anew",
    "name_uses": "indexed anew",
    "daily_counts": "indexed anew",
    "name_counts": "indexed anew",
    "deployment_texts": "indexed anew",
    "deployment_terms": "indexed anew",
    "same_texts": "indexed anew",
    "name_texts": "indexed anew",
    "name_terms": "indexed anew",
}
"""The other tables, and why they are left out."""
