"""Opens connections. While the database is away nobody waits for it: one task tries, and all others fail at once."""

from __future__ import annotations

import asyncio
import random
import socket
from contextlib import suppress
from typing import NamedTuple

import asyncpg

from deployserver.database_urls import hosts_of, options_of, without_passwords
from deployserver.errors import DatabaseError
from deployserver.storage.postgresql.connection import AS_WRITTEN, PostgreSQLConnection
from deployserver.storage.postgresql.failures import FAILURES, explain

FIRST_PAUSE = 0.1
LONGEST_PAUSE = 3.0
"""Seconds between two attempts to reach a database that is away. Each is drawn at random from 0.5 to 1.5 times that."""

IDLE_SECONDS = 10
PROBE_SECONDS = 5
PROBES = 3
"""When a silent connection is probed, how often, and how many probes without an answer mean that it is cut."""

_TCP = (
    ("TCP_KEEPIDLE", IDLE_SECONDS),
    ("TCP_KEEPALIVE", IDLE_SECONDS),  # macOS
    ("TCP_KEEPINTVL", PROBE_SECONDS),
    ("TCP_KEEPCNT", PROBES),
    ("TCP_USER_TIMEOUT", 1000 * (IDLE_SECONDS + PROBES * PROBE_SECONDS)),
)

NOTICE_DEATH = """
DO $$ BEGIN SET client_connection_check_interval = 1000; EXCEPTION WHEN OTHERS THEN NULL; END $$;
"""
"""What lets the server notice, in the middle of a statement, that its client is gone, where it can: from PostgreSQL 14
on, and not on every system. What a killed process has locked is free again then."""

# synchronous_commit: a commit is on the disk when it returns; the server's configuration may ask for more than that.
_SESSION = f"""
{AS_WRITTEN}
{NOTICE_DEATH}
SET default_transaction_isolation = 'read committed';
SET client_min_messages = 'error';
SET idle_in_transaction_session_timeout = 0;
SET statement_timeout = 0;
SET lock_timeout = {{lock_milliseconds}};
SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') = 'off';
"""


class Limits(NamedTuple):
    """How many seconds things may take."""

    connect: float
    lock: float
    """For a lock that another transaction holds."""

    answer: float
    """For the answer to what does not take long; after that the connection is taken to be dead."""

    doubt: float
    """For finding out whether a batch was stored whose answer was lost."""

    @classmethod
    def of(cls, timeout: float) -> Limits:
        """Return the limits that follow from ``[database] busy_timeout``."""
        return cls(max(timeout, 2), max(timeout, 0.001), 2 * timeout + 2, max(6 * timeout, 2))


async def connect(url: str, seconds: float) -> asyncpg.Connection:
    """Connect to a database. Raises what the driver raises."""
    settings = {} if "application_name" in options_of(url) else {"application_name": "deployserver"}
    if len(hosts_of(url)) > 1 and "target_session_attrs" not in options_of(url):
        # Of several, the one that takes records: a standby is read-only, and behind.
        url += f"{'&' if '?' in url else '?'}target_session_attrs=read-write"
    try:
        driver = await asyncpg.connect(url, timeout=seconds, statement_cache_size=512, server_settings=settings)
    except ValueError as error:  # something about the URL, which may be repeated in the text
        raise asyncpg.ClientConfigurationError(without_passwords(str(error), url)) from None
    _keep_alive(driver)
    return driver


def _keep_alive(driver: asyncpg.Connection) -> None:
    """Let the system notice when the other end is gone without a word, and firewalls that the connection is in use."""
    transport = getattr(driver, "_transport", None)
    connection = transport.get_extra_info("socket") if transport is not None else None
    if connection is None or connection.family not in (socket.AF_INET, socket.AF_INET6):
        return
    with suppress(OSError):
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for name, value in _TCP:
            if (option := getattr(socket, name, None)) is not None:
                connection.setsockopt(socket.IPPROTO_TCP, option, value)


class Connector:
    """Opens connections to the database at ``url``, one at a time."""

    def __init__(self, url: str, limits: Limits) -> None:
        self._url = url
        self._limits = limits
        self._connecting = asyncio.Lock()
        self._returning: asyncio.Task[None] | None = None
        self._spare: PostgreSQLConnection | None = None
        self._why = ""

    @property
    def away(self) -> bool:
        """Whether the database could not be reached when that was last tried."""
        return self._returning is not None and not self._returning.done()

    def explained(self, error: BaseException) -> DatabaseError:
        """Return an error that says what ``error`` means, and never a password."""
        return DatabaseError(without_passwords(explain(error), self._url))

    def require(self) -> None:
        """Raise DatabaseError, at once, if the database is away."""
        if self.away:
            raise DatabaseError(self._why)

    async def connection(self) -> PostgreSQLConnection:
        """Return a new connection. Raises DatabaseError: at once, if the database is known to be away."""
        self.require()
        async with self._connecting:
            self.require()  # whoever was before us may have found out
            spare, self._spare = self._spare, None
            if spare is not None and not spare.driver.is_closed():
                return spare
            try:
                return await self.attempt()
            except FAILURES as error:
                self._why = str(self.explained(error))
                self._returning = asyncio.create_task(self._return(), name="database connector")
                raise DatabaseError(self._why) from error

    async def attempt(self) -> PostgreSQLConnection:
        """Connect, whatever is known. Raises what the driver raises."""
        driver = await connect(self._url, self._limits.connect)
        try:
            async with asyncio.timeout(self._limits.connect):
                await driver.execute(_SESSION.format(lock_milliseconds=max(1, int(1000 * self._limits.lock))))
        except BaseException:
            driver.terminate()
            raise
        return PostgreSQLConnection(driver)

    async def begun(self, connection: PostgreSQLConnection | None, statement: str) -> PostgreSQLConnection:
        """Execute what begins a transaction, or only tries the connection, on a new one if ``connection`` is cut.

        Raises DatabaseError, and what the driver raises.
        """
        if connection is not None and not connection.driver.is_closed():
            try:
                await self._execute(connection, statement)
            except FAILURES:
                pass
            else:
                return connection
        connection = await self.connection()
        await self._execute(connection, statement)
        return connection

    async def _execute(self, connection: PostgreSQLConnection, statement: str) -> None:
        try:
            async with asyncio.timeout(self._limits.answer):
                await connection.driver.execute(statement)
        except BaseException:
            connection.driver.terminate()
            raise

    async def back(self) -> None:
        """Wait while the database is away."""
        if self._returning is not None:
            await asyncio.wait([self._returning])

    async def close(self) -> None:
        """Stop trying, and close what nobody has taken."""
        if self._returning is not None:
            self._returning.cancel()
            await asyncio.wait([self._returning])
        if self._spare is not None:
            self._spare.driver.terminate()

    async def _return(self) -> None:
        """Try until the database can be reached again; many servers, and all their tasks, must not try at once."""
        pause = FIRST_PAUSE
        while True:
            await asyncio.sleep(pause * random.uniform(0.5, 1.5))  # noqa: S311 - no secret
            try:
                self._spare = await self.attempt()
            except FAILURES as error:
                self._why = str(self.explained(error))
                pause = min(2 * pause, LONGEST_PAUSE)
            else:
                return
