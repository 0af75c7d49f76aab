"""How a transaction, and a connection, ends, whatever ended it."""

from __future__ import annotations

import asyncio
from contextlib import suppress

from deployserver.errors import StoreUnavailable
from deployserver.storage.postgresql.connection import PostgreSQLConnection
from deployserver.storage.postgresql.connector import Connector, Limits
from deployserver.storage.postgresql.failures import FAILURES, is_undone, is_useless

UNKNOWN = (
    "It is not known whether this was stored: the connection to the database broke while it was being stored. Look "
    "before you try again."
)

FAREWELL_SECONDS = 1.0
"""How long the end of a connection is waited for: nothing depends on it."""


async def close(connection: PostgreSQLConnection) -> None:
    """Close a connection in which nothing is under way, be the server there or not."""
    with suppress(*FAILURES):
        await connection.driver.close(timeout=FAREWELL_SECONDS)


async def undo(connection: PostgreSQLConnection, limits: Limits) -> None:
    """Roll back, so that whoever uses the connection next finds no transaction open; close it where that fails."""
    if connection.driver.is_closed():
        return
    try:
        with suppress(*FAILURES):
            async with asyncio.timeout(limits.answer):
                await connection.driver.execute("ROLLBACK")
            return
    except BaseException:  # cancelled again
        connection.driver.terminate()
        raise
    connection.driver.terminate()


async def commit(connection: PostgreSQLConnection, limits: Limits, connector: Connector) -> None:
    """Commit. Raises what the driver raises if that was not done, StoreUnavailable if nobody knows."""
    try:
        async with asyncio.timeout(limits.doubt):
            done = await connection.driver.execute("COMMIT")
    except BaseException as error:
        if is_useless(error) or not isinstance(error, Exception):
            connection.driver.terminate()
        if is_undone(error) or not isinstance(error, FAILURES):
            raise
        raise StoreUnavailable(UNKNOWN) from connector.explained(error)
    if done != "COMMIT":  # a statement had failed, and nobody minded
        raise StoreUnavailable("Nothing was stored: part of it failed.")
