"""Brings a PostgreSQL database to the schema this version needs: numbered SQL files, in order, forward only.

All that is pending is applied and noted in one transaction, under a lock that whoever else starts waits for. A process
that is killed in the middle leaves the old schema, and no lock, behind. No copy is made first: what fails is undone.
"""

from __future__ import annotations

from importlib.resources.abc import Traversable

import asyncpg

from deployserver.errors import DatabaseError
from deployserver.storage.migrations import MigrationState, compare, folder_of
from deployserver.storage.postgresql.connector import NOTICE_DEATH
from deployserver.storage.postgresql.failures import READ_ONLY

_LOCK = 8624_0001
"""Of PostgreSQL's advisory locks the one that whoever migrates holds."""

_LEDGER = "CREATE TABLE IF NOT EXISTS schema_migrations (name text PRIMARY KEY, applied_at timestamptz NOT NULL)"
_COLUMNS = """
SELECT array_agg(attname::text ORDER BY attname) FROM pg_attribute
WHERE attrelid = to_regclass('schema_migrations') AND attnum > 0 AND NOT attisdropped
"""
_FOREIGN = "it is the database of another program (it has tables, but none of deployserver's)."
_MAY_CREATE = "SELECT has_schema_privilege(current_schema(), 'CREATE')"
# Tables that every server writes to, and this user may not.
_FORBIDDEN = """
SELECT t FROM unnest(ARRAY['deployment_ids', 'deployments', 'writers', 'access_revision']) AS t
WHERE NOT (
    has_table_privilege(t, 'SELECT') AND has_table_privilege(t, 'INSERT') AND has_table_privilege(t, 'UPDATE')
    AND has_table_privilege(t, 'DELETE')
)
LIMIT 1
"""


async def migrate(connection: asyncpg.Connection, folder: Traversable | None = None) -> tuple[str, ...]:
    """Apply what is pending and return its names.

    Raises DatabaseError if the database is newer, or not ours, or this user may not write to it; what the driver raises
    where it is read-only, or this user may not make tables.
    """
    folder = folder or folder_of("postgresql")
    await connection.execute(NOTICE_DEATH)
    async with connection.transaction(isolation="read_committed"):
        await connection.execute("SET LOCAL client_min_messages = 'warning'")
        await connection.execute(f"SELECT pg_advisory_xact_lock({_LOCK})")
        state = await migration_state(connection, folder)
        if state.pending:
            await connection.execute(_LEDGER)
        else:
            await _require_rights(connection)
            await connection.execute("DELETE FROM schema_migrations WHERE false")  # fails here if it is read-only
        for name in state.pending:
            await connection.execute((folder / f"{name}.sql").read_text("utf-8"))
            await connection.execute("INSERT INTO schema_migrations VALUES ($1, now())", name)
        return state.pending


async def require_writable(connection: asyncpg.Connection) -> None:
    """Raise DatabaseError for what would keep ``migrate`` from writing, changing nothing."""
    if await connection.fetchval("SHOW transaction_read_only") == "on":
        raise DatabaseError(READ_ONLY)
    if (await migration_state(connection)).pending:
        if not await connection.fetchval(_MAY_CREATE):
            raise DatabaseError("this user has no schema there to make tables in; GRANT USAGE, CREATE ON SCHEMA to it.")
    else:
        await _require_rights(connection)


async def _require_rights(connection: asyncpg.Connection) -> None:
    if table := await connection.fetchval(_FORBIDDEN):
        raise DatabaseError(f"this user may not write to its table {table}; GRANT it all on the tables there.")


async def migration_state(connection: asyncpg.Connection, folder: Traversable | None = None) -> MigrationState:
    """Tell what ``migrate`` would do, changing nothing. Raises DatabaseError if the database is newer, or not ours."""
    encoding = await connection.fetchval("SHOW server_encoding")
    if encoding != "UTF8":
        raise DatabaseError(f"its encoding is {encoding}; it must be UTF8, which CREATE DATABASE ... ENCODING says.")
    applied: list[str] = []
    if columns := await connection.fetchval(_COLUMNS):
        if columns != ["applied_at", "name"]:  # other programs call theirs so, too
            raise DatabaseError(_FOREIGN)
        applied = [name for (name,) in await connection.fetch("SELECT name FROM schema_migrations")]
    elif await connection.fetchval("SELECT 1 FROM pg_tables WHERE schemaname = current_schema() LIMIT 1"):
        raise DatabaseError(_FOREIGN)
    return compare(applied, folder or folder_of("postgresql"))
