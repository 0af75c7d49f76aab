"""An installation that holds something of everything, to be copied, and what any database holds, row by row."""

from __future__ import annotations

import asyncio
import contextlib
import re
import sqlite3
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import asyncpg
from conftest import FEED, KEY

from deployserver.administration import Administration
from deployserver.api_keys import create_key, revoke_key
from deployserver.clock import now
from deployserver.feeds import add_feed, remove_feed, update_feed
from deployserver.models import DeploymentRow
from deployserver.privileges import add_privilege
from deployserver.storage.sqlite.database import SQLiteDatabase
from deployserver.storage.sqlite.migrator import migrate
from deployserver.users import add_user, remove_user

DAY = 86_400_000_000
PASSWORD = "correct horse battery"
NASTY = (
    "plain",
    "tab\tquote'double\"back\\slash\\N\\.",
    "lines\nof\r\ntext\u2028and more",
    "ümläut ſtraße İstanbul 日本語 👩‍👩‍👧 e\u0301",
    "%_$1 :name ? {x} ; -- DROP TABLE deployments",
    "x" * 9000,
    "\ufeffmark \ufffd \U0010ffff",
)
TARGETS = ("localhost", "LOCALHOST", "straße", "STRASSE", "lOcalhost")

_SEARCHED = ("deployment_texts", "deployment_terms", "same_texts", "name_texts", "name_terms")
"""What each kind of database has in a way of its own, and from which some of them give nothing back."""


def row(feed_id: int, number: int, **other: Any) -> DeploymentRow:
    """Return a deployment, each unlike others."""
    values: dict[str, Any] = {
        "feed_id": feed_id,
        "application": NASTY[number % 5],
        "description": NASTY[number % len(NASTY)],
        "target": TARGETS[number % len(TARGETS)],
        "package_name": ("Package", "PACKAGE", "other")[number % 3],
        "version": f"1.{number % 40}",
        "group_name": (None, "@acme", "@Acme")[number // 7 % 3],
        "user_name": NASTY[(number + 1) % 5],
        "url": (None, "https://ci.example/?a=b&c=d")[number % 2],
        "date": (number % 60 - 30) * DAY + number // 3,
        "recorded_at": now(),
        "recorded_by": "ci",
        "recorded_key_id": (None, 1)[number % 2],
    }
    return DeploymentRow(**(values | other))


async def make(path: Path, deployments: int = 400) -> None:
    """Make it: names, keys and records that are easy to get wrong, and ids that were given and are not there."""
    migrate(path)
    store = SQLiteDatabase(path, 5)
    await store.open()
    try:
        admin = Administration(store, "ünder test", now)
        feed = await add_feed(admin, FEED)
        await update_feed(admin, FEED, add_names=["Other~Name", "nuget.ORG"])
        other = await add_feed(admin, "off", "npm")
        await update_feed(admin, "off", active=False, deployment_records=False)
        gone = await add_feed(admin, "gone", anonymous=True)
        await create_key(admin, "feed", feeds=[FEED], value=KEY, name="ci")
        await create_key(admin, "system", name="sÿstem")
        revoked = await create_key(admin, "feed", feeds=[FEED, "off"], scopes=["view"], name="revoked")
        await revoke_key(admin, revoked.key.id)
        past = Administration(store, "test", lambda: DAY)
        await create_key(past, "feed", feeds=[FEED], expires_at=2 * DAY, name="expired")
        await add_user(admin, "Anna", PASSWORD)
        await add_user(admin, "robot", None)
        await create_key(admin, "personal", user="robot", name="of robot")
        await add_privilege(admin, "Anna", "Feeds_DownloadPackage", None, granted=True)
        await add_privilege(admin, "Anna", "Feeds_DownloadPackage", "off", granted=False)
        rows = [row((feed.id, other.id)[number % 10 == 0], number) for number in range(deployments)]
        await store.add_deployments([*rows[:100], *(row(gone.id, number) for number in range(20)), *rows[100:]])
        await store.add_deployments([row(gone.id, number) for number in range(5)])
        await remove_feed(admin, "gone", force=True)
        await add_user(admin, "was here", None)
        await create_key(admin, "personal", user="was here", name="was here")
        await remove_user(admin, "was here")
        async with store.transaction() as repository:
            for tally in (None, "a refused call", None):
                await repository.add_audit_entry(
                    at=1, last_at=2, count=3, actor=NASTY[3], address="::1", action="a", subject="s", detail=NASTY[1],
                    tally_key=tally,
                )  # fmt: skip
    finally:
        await store.close()


def contents(url: str, *without: str) -> dict[str, list[Any]]:
    """Return all rows of all tables that are there, by the names of their columns, whatever the database."""
    if url.startswith("sqlite:///"):
        found = _sqlite(Path(url.removeprefix("sqlite:///")))
    else:
        found = asyncio.run(_postgresql(url))
    return {
        name: sorted((sorted(row.items()) for row in rows), key=repr)
        for name, rows in found.items()
        if name not in without and name not in _SEARCHED
    }


def columns(url: str) -> dict[str, dict[str, str]]:
    """Return the types of all columns of all tables."""
    if not url.startswith("sqlite:///"):
        return asyncio.run(_postgresql_columns(url))
    with contextlib.closing(sqlite3.connect(url.removeprefix("sqlite:///"))) as connection:
        return {
            name: {column: type_ for _, column, type_, *_ in connection.execute(f"PRAGMA table_info({name})")}
            for name in _sqlite_tables(connection)
        }


def _sqlite(path: Path) -> dict[str, list[dict[str, Any]]]:
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.row_factory = sqlite3.Row
        names = [name for name in _sqlite_tables(connection) if name not in _SEARCHED]
        return {name: [_plain(row) for row in connection.execute(f"SELECT * FROM {name}")] for name in names}


def _sqlite_tables(connection: sqlite3.Connection) -> list[str]:
    tables = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
    shadows = re.compile(r"sqlite_.*|(deployment|name)_texts_.*")  # which SQLite makes by itself
    return [name for (name,) in tables if not shadows.fullmatch(name)]


async def _postgresql(url: str) -> dict[str, list[dict[str, Any]]]:
    connection = await asyncpg.connect(url)
    try:
        names = await connection.fetch("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
        return {name: [_plain(row) for row in await connection.fetch(f"SELECT * FROM {name}")] for (name,) in names}
    finally:
        await connection.close()


async def _postgresql_columns(url: str) -> dict[str, dict[str, str]]:
    connection = await asyncpg.connect(url)
    try:
        found: dict[str, dict[str, str]] = {}
        for table, column, type_ in await connection.fetch(
            "SELECT table_name, column_name, data_type FROM information_schema.columns "
            "JOIN pg_tables ON tablename = table_name AND schemaname = table_schema WHERE table_schema = 'public'"
        ):
            found.setdefault(table, {})[column] = type_
        return found
    finally:
        await connection.close()


def _plain(row: Any) -> dict[str, Any]:
    return {name: int(value) if isinstance(value, bool) else value for name, value in dict(row).items()}


def last_ids(url: str, names: Iterable[str]) -> dict[str, int]:
    """Return the greatest ids that SQLite has given."""
    with contextlib.closing(sqlite3.connect(url.removeprefix("sqlite:///"))) as connection:
        given = dict(connection.execute("SELECT name, seq FROM sqlite_sequence").fetchall())
    return {name: given.get(name, 0) for name in names}
