"""The numbered SQL files that bring a database to the schema this version needs, a folder for each kind of database."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path

from deployserver.errors import DatabaseError

UNFINISHED = "unfinished copy of "
"""What stands, before the place of the original, among the migrations of a copy that is not whole yet."""


@dataclass(frozen=True, slots=True)
class MigrationState:
    """Which migrations a database has, and which it lacks."""

    applied: tuple[str, ...]
    pending: tuple[str, ...]


class UnfinishedCopy(DatabaseError):
    """The database is a copy of ``original`` that is not whole yet; ``state`` is what it would be without that."""

    def __init__(self, original: str, state: MigrationState, message: str = "") -> None:
        self.original = original
        self.state = state
        super().__init__(
            message
            or f"it is an unfinished copy of {original}. Run the same deployserver database copy again: it goes on "
            "where it ended."
        )


def folder_of(kind: str) -> Traversable:
    """Return the folder of migrations for a kind of database: inside the package once installed, else beside it."""
    inside = resources.files("deployserver") / "migrations" / kind
    return inside if inside.is_dir() else Path(__file__).parents[2] / "migrations" / kind


def migration_names(folder: Traversable) -> list[str]:
    """Return the names of the migrations in a folder, in their order."""
    return sorted(file.name.removesuffix(".sql") for file in folder.iterdir() if file.name.endswith(".sql"))


def compare(applied: Collection[str], folder: Traversable) -> MigrationState:
    """Tell what a database lacks that has these migrations.

    Raises DatabaseError if it is newer than this version, and UnfinishedCopy if it is one.
    """
    if marks := [name for name in applied if name.startswith(UNFINISHED)]:
        state = compare([name for name in applied if name not in marks], folder)
        raise UnfinishedCopy(marks[0].removeprefix(UNFINISHED), state)
    names = migration_names(folder)
    if unknown := sorted(set(applied).difference(names)):
        raise DatabaseError(
            f"it was made by a newer version of deployserver (it has the migration {unknown[-1]}). "
            "Install that version or a later one, or go back to a copy of the database."
        )
    return MigrationState(tuple(sorted(applied)), tuple(name for name in names if name not in applied))
