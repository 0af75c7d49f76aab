"""Two server processes on one database, of every kind: what is counted, revoked or recorded at one holds at both."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest
from conftest import FEED, KEY, PATH, RECORD, administered
from processes import Installation, Load, Server, closing, until
from reading import API, Events

from deployserver import config
from deployserver.administration import Administration
from deployserver.api_keys import create_key, revoke_key
from deployserver.clock import now
from deployserver.feeds import add_feed
from deployserver.storage import Database

pytestmark = pytest.mark.every_engine

LIMIT = 6
UNUSED_KEY, REVOKED_KEY = "unused-key-0123456789", "revoked-key-0123456789"


def client(posted: dict[str, str]) -> str:
    return posted["Target"].rpartition("-")[0]


def number(posted: dict[str, str]) -> int:
    return int(posted["Target"].rpartition("-")[2])


class Together:
    """Two servers, and the database that they share."""

    def __init__(self, one: Server, other: Server, store: Database, session: aiohttp.ClientSession) -> None:
        self.one = one
        self.other = other
        self.store = store
        self.admin = Administration(store, "test", now)
        self._session = session

    async def post(self, server: Server, key: str, address: str) -> int:
        """Return the status of a deployment that comes from ``address``."""
        headers = {"X-ApiKey": key, "X-Forwarded-For": address}
        async with self._session.post(server.url + PATH, data=RECORD, headers=headers) as response:
            return response.status

    async def take(self, server: Server, after: int, count: int) -> list[int]:
        """Return the ids of so many events."""
        headers = {"Last-Event-ID": str(after), "X-ApiKey": KEY}
        async with self._session.get(f"{server.url}{API}/events", headers=headers) as response:
            stream = Events(response)
            return [int(event.id) for event in [await stream.next() for _ in range(count)] if event and event.id]


@asynccontextmanager
async def opened(installation: Installation) -> AsyncIterator[Database]:
    async with administered(config.load(installation.config, {}).settings) as admin:
        yield admin.database


@pytest.fixture
async def together(tmp_path: Path, database_url: str) -> AsyncIterator[Together]:
    installation = Installation(
        tmp_path,
        database={"url": database_url, "busy_timeout": 30},
        security={"lockout_failures": LIMIT},
        server={"port": 0, "trusted_proxies": "127.0.0.1"},
    )
    async with closing([installation]), opened(installation) as store, aiohttp.ClientSession() as session:
        admin = Administration(store, "test", now)
        await add_feed(admin, FEED)
        for value in (KEY, UNUSED_KEY, REVOKED_KEY):
            made = await create_key(admin, "feed", feeds=[FEED], value=value)
        await revoke_key(admin, made.key.id)
        one, other = await asyncio.gather(installation.serve(), installation.serve())
        yield Together(one, other, store, session)
        assert [server.unexpected() for server in (one, other)] == [[], []]
        await asyncio.gather(one.stop(), other.stop())


async def test_wrong_credentials_are_counted_together(together: Together) -> None:
    """Who guesses at several servers, or is sent to another each time, has no more guesses than at one."""
    one, other, post = together.one, together.other, together.post
    statuses = [await post((one, other)[guess % 2], f"wrong{guess}", "192.0.2.1") for guess in range(LIMIT)]
    assert statuses == [403] * LIMIT
    assert [await post(server, "wrong", "192.0.2.1") for server in (one, other, other, one)] == [429] * 4
    at_once = await asyncio.gather(
        *(post((one, other)[guess % 2], f"wrong{guess}", "192.0.2.2") for guess in range(5 * LIMIT))
    )
    assert sorted(at_once) == [403] * LIMIT + [429] * 4 * LIMIT
    assert await post(one, KEY, "192.0.2.3") == 200


async def test_what_one_has_locked_is_locked_at_the_other_and_what_was_right_goes_on_at_both(
    together: Together,
) -> None:
    """An agent is sent to another server than the one that has seen its key; a guesser must not get on there."""
    one, other, post = together.one, together.other, together.post
    assert await post(one, KEY, "192.0.2.1") == 200

    async def is_known() -> bool:
        async with together.store.snapshot() as repository:
            return bool(await repository.connection.rows("SELECT proof FROM proven_credentials"))

    await until(is_known)
    assert [await post(one, f"wrong{guess}", "192.0.2.1") for guess in range(LIMIT)] == [403] * LIMIT

    async def is_locked() -> bool:
        return await post(other, REVOKED_KEY, "192.0.2.1") == 429

    await until(is_locked)
    for server in (other, one):
        assert await post(server, KEY, "192.0.2.1") == 200
        assert await post(server, UNUSED_KEY, "192.0.2.1") == 429
        assert await post(server, UNUSED_KEY, "192.0.2.2") == 200


async def test_a_revoked_key_stops_working_at_both_under_full_load(together: Together) -> None:
    async with Load(together.one.url, "one", clients=16) as one, Load(together.other.url, "other", clients=16) as other:
        await asyncio.gather(one.reached(50), other.reached(50))
        await revoke_key(together.admin, 1)
        await until(lambda: len(one.refused) > 100 and len(other.refused) > 100)
    for load in (one, other):
        assert (load.statuses, load.unanswered) == ({403}, [])
        first_refused = {client(posted): number(posted) for posted, _ in reversed(load.refused)}
        assert all(number(posted) < first_refused[client(posted)] for posted, _ in load.stored)


async def test_events_of_both_come_in_order_and_once_under_full_load(together: Together) -> None:
    """Also to who comes back to the other server."""
    count = 400
    streams = [asyncio.create_task(together.take(server, 0, count)) for server in (together.one, together.other)]
    async with Load(together.one.url, "one", clients=8) as one, Load(together.other.url, "other", clients=8) as other:
        seen = await asyncio.gather(*streams)
    stored = sorted(answer["Id"] for load in (one, other) for _, answer in load.stored)
    assert seen == [stored[:count]] * 2
    assert await together.take(together.other, seen[0][99], len(stored) - 100) == stored[100:]
