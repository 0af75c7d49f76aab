"""Whether what is derived from the records is what the records say."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
from collections import Counter
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from reading import DAY

from deployserver.storage import Database, SQLiteDatabase

Execute = Callable[..., Awaitable[list[tuple[Any, ...]]]]
"""Executes a statement, as somebody else does, and returns its rows."""

_NEWEST = "SELECT deployment_id, (SELECT coalesce(max(id), 0) FROM deployments) FROM indexed"


def newest(path: Path) -> tuple[int, int]:
    """Return up to which record of a SQLite file is indexed, and the newest there is."""
    with contextlib.closing(sqlite3.connect(path)) as connection:
        indexed, newest_id = connection.execute(_NEWEST).fetchone()
    return indexed, newest_id


async def newest_of(execute: Execute) -> tuple[int, int]:
    """Return up to which record is indexed, and the newest there is."""
    ((indexed, newest_id),) = await execute(_NEWEST)
    return indexed, newest_id


def check_indexed(path: Path) -> None:
    """See to a SQLite file what ``check_all_indexed`` sees to."""

    async def check() -> None:
        async def execute(statement: str) -> list[tuple[Any, ...]]:
            with contextlib.closing(sqlite3.connect(path)) as connection:
                return connection.execute(statement).fetchall()

        database = SQLiteDatabase(path, 5)
        await database.open()
        try:
            await check_all_indexed(database, execute)
        finally:
            await database.close()

    asyncio.run(check())


async def check_all_indexed(database: Database, execute: Execute) -> None:
    """See that what readers look things up in is what a recomputation from all records gives."""

    async def all_of(statement: str) -> list[tuple[Any, ...]]:
        return sorted(await execute(statement))

    records = await all_of(
        "SELECT d.id, d.date, i.feed_id, d.application_id, d.version_id, d.user_id, d.description, i.package_id, "
        "i.target_id, i.group_id "
        "FROM deployments d JOIN installations i ON i.id = d.installation_id",
    )
    indexed, newest_id = await newest_of(execute)
    assert indexed >= newest_id
    days = Counter((feed, date // DAY) for _, date, feed, *_ in records)
    assert await all_of("SELECT feed_id, day, count FROM daily_counts") == sorted((*key, n) for key, n in days.items())
    by = Counter(
        (name, date // DAY, feed)
        for _, date, feed, application, _, user, _, *places in records
        for name in (application, user, *places)
    )
    assert await all_of("SELECT name_id, day, feed_id, count FROM name_counts") == sorted(
        (*key, n) for key, n in by.items()
    )
    uses = {(name, date, id_, feed) for id_, date, feed, *names, _, _, _, _ in records for name in names}
    assert await all_of("SELECT name_id, date, deployment_id, feed_id FROM name_uses") == sorted(uses)
    words = {description.split()[0] for *_, description, _, _, _ in records if len(description.split()[0]) >= 3}
    async with database.snapshot() as repository:
        for word in words:
            found = await repository.connection.texts.with_word(word[:3], 1_000_000)
            if found is not None:  # which is said of words that are common
                assert len(found) == len(set(found))
                assert set(found) >= {id_ for id_, *_, description, _, _, _ in records if word[:3] in description}
