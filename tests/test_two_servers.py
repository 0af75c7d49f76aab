"""Two servers on one database: each sees what the other does, and neither spoils it."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import sqlite3
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from conftest import FEED, KEY, PATH, RECORD, Service
from indexed import check_indexed, newest
from processes import Installation, Load, Server, check, closing, until
from reading import API, Events, ids, read, record, row

from deployserver.administration import Administration
from deployserver.api_keys import create_key
from deployserver.clock import now
from deployserver.feeds import add_feed
from deployserver.live_access import WATCH_SECONDS
from deployserver.storage import SQLiteDatabase
from deployserver.storage.sqlite.migrator import migrate


@pytest.fixture
async def servers(tmp_path: Path) -> AsyncIterator[tuple[Installation, Server, Server]]:
    installation = Installation(tmp_path, database={"busy_timeout": 30})
    installation.prepare()
    async with closing([installation]):
        servers = await asyncio.gather(installation.serve(), installation.serve())
        yield installation, servers[0], servers[1]
        assert [server.unexpected() for server in servers] == [[], []]
        await asyncio.gather(*(server.stop() for server in servers))


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(headers={"X-ApiKey": KEY}) as made:
        yield made


async def post(session: aiohttp.ClientSession, server: Server, **properties: str) -> Any:
    async with session.post(server.url + PATH, data=RECORD | properties) as response:
        assert response.status == 200, await response.text()
        return await response.json()


async def get(session: aiohttp.ClientSession, server: Server, path: str = "", **query: str) -> Any:
    async with session.get(f"{server.url}{API}{path}", params=query) as response:
        assert response.status == 200, await response.text()
        return await response.json()


async def test_what_one_records_the_other_answers_at_once(
    servers: tuple[Installation, Server, Server], session: aiohttp.ClientSession
) -> None:
    """Also where the client says what it has, and where the names are new to the other."""
    _, one, other = servers
    for number in range(5):
        item = await post(session, (one, other)[number % 2], Target=f"web{number}", Version=f"{number}.0")
        for server in (other, one):
            assert await get(session, server, target=f"WEB{number}") == [item]
            assert await get(session, server, "/current", version=f"{number}.0") == [item]
            assert len(await get(session, server)) == number + 1
    async with session.get(one.url + API) as response:
        tag = response.headers["ETag"]
    async with session.get(other.url + API, headers={"If-None-Match": tag}) as response:
        assert response.status == 304  # the same to the client, whichever of them it reaches
    await post(session, one)
    async with session.get(other.url + API, headers={"If-None-Match": tag}) as response:
        assert response.status == 200


async def test_pages_may_come_from_either(
    servers: tuple[Installation, Server, Server], session: aiohttp.ClientSession
) -> None:
    _, one, other = servers
    made = [(await post(session, one, Target=f"web{number}"))["Id"] for number in range(6)]
    seen: list[int] = []
    query = "?limit=1"
    for server in itertools.cycle((one, other)):
        async with session.get(f"{server.url}{API}{query}") as response:
            seen += [item["Id"] for item in await response.json()]
            if "next" not in response.links:
                break
            query = f"?{response.links['next']['url'].query_string}"
    assert seen == made[::-1]


async def test_events_recorded_through_one_are_sent_by_the_other(
    servers: tuple[Installation, Server, Server], session: aiohttp.ClientSession
) -> None:
    """Each of them once and in order, whichever of the two a client follows or comes back to."""
    _, one, other = servers
    made: list[int] = []

    async def take(server: Server, after: int, count: int) -> list[int]:
        headers = {"Last-Event-ID": str(after)}
        async with session.get(f"{server.url}{API}/events", headers=headers) as response:
            stream = Events(response)
            return [int(event.id) for event in [await stream.next() for _ in range(count)] if event and event.id]

    following = [asyncio.create_task(take(server, 0, 40)) for server in (one, other)]
    for number in range(40):
        made.append((await post(session, (one, other)[number % 2]))["Id"])
    assert await asyncio.gather(*following) == [made, made]
    assert await take(other, made[9], 20) == made[10:30]
    assert await take(one, made[29], 10) == made[30:]


async def test_names_that_both_add_at_once_are_there_once(
    servers: tuple[Installation, Server, Server], session: aiohttp.ClientSession
) -> None:
    """Spelt in every way, by clients of both; what runs where is the same to all."""
    installation, one, other = servers
    spellings = ("web", "WEB", "Web")

    async def client(number: int) -> list[Any]:
        return [
            await post(
                session,
                (one, other)[(number + turn) % 2],
                Target=f"{spellings[number % 3]}{turn // 2}",
                PackageName=f"{spellings[turn % 3]}-package",
                Version=f"{turn}.0",
                UserName=f"user {turn}",
                Date=f"2021-04-{13 + number % 2}T10:00:00Z",
            )
            for turn in range(20)
        ]

    posted = {item["Id"]: item for items in await asyncio.gather(*(client(n) for n in range(8))) for item in items}
    assert len(posted) == 160
    expected: dict[tuple[str, str], tuple[str, int]] = {}
    for id_, item in posted.items():
        place = (item["PackageName"].casefold(), item["Target"].casefold())
        expected[place] = max(expected.get(place, ("", 0)), (item["Date"], id_))
    for server in (one, other):
        history = await get(session, server, limit="1000")
        assert {item["Id"]: item for item in history} == posted
        current = await get(session, server, "/current", limit="1000")
        assert {item["Id"] for item in current} == {id_ for _, id_ in expected.values()}
        assert len(current) == len(expected)
    with contextlib.closing(sqlite3.connect(installation.database)) as connection:
        assert connection.execute("SELECT count(*) FROM names GROUP BY kind, name HAVING count(*) > 1").fetchall() == []
        same = connection.execute(
            "SELECT count(*) FROM installations i "
            "JOIN names p ON p.id = i.package_id JOIN names t ON t.id = i.target_id "
            "WHERE i.same_as IS NULL GROUP BY p.name_key, t.name_key HAVING count(*) > 1"
        ).fetchall()
        assert same == []


async def test_both_index_and_each_record_counts_once(
    servers: tuple[Installation, Server, Server], session: aiohttp.ClientSession
) -> None:
    installation, one, other = servers

    def indexed() -> bool:
        done, newest_id = newest(installation.database)
        return done == newest_id > 0

    async with Load(one.url, "one", clients=4) as first, Load(other.url, "other", clients=4) as second:
        await asyncio.gather(first.reached(150), second.reached(150))
    store = SQLiteDatabase(installation.database, 30)
    await store.open()
    for start in range(0, 20_000, 5_000):  # so much at once that both come to it
        await store.add_deployments([row(number, target=f"web{number % 9}") for number in range(start, start + 5_000)])
    await store.close()
    await until(indexed)
    assert first.refused == second.refused == []
    check(installation.database, first, second)
    await asyncio.to_thread(check_indexed, installation.database)
    total = len(first.stored) + len(second.stored) + 20_000
    for server in (one, other):
        assert sum(period["Count"] for period in await get(session, server, "/frequency")) == total


# Another file in the place of the database


async def another(path: Path) -> Path:
    """Make a database with the same feed and key, in which the same numbers stand for other names."""
    migrate(path)
    store = SQLiteDatabase(path, 5)
    await store.open()
    admin = Administration(store, "test", now)
    await add_feed(admin, FEED)
    await create_key(admin, "feed", feeds=[FEED], value=KEY, name="ci")
    await create_key(admin, "feed", feeds=[FEED])  # so that it is known by its revision, too
    await store.add_deployments(
        [row(number, target=f"other{number}", package_name="other", version=f"{number}") for number in range(9)]
    )
    await store.close()
    return path


@pytest.mark.skipif(sys.platform == "win32", reason="Windows does not let an open file be replaced")
async def test_a_database_put_in_the_place_of_another_is_answered_from_and_recorded_in(
    service: Service, tmp_path: Path
) -> None:
    """What was remembered of the old one, numbers of names above all, means something else in the new one."""
    for number in range(5):
        await record(service, Target=f"web{number}", Version=f"1.{number}", UserName="alice")
    assert len(await ids(service, target="web*")) == 5
    replacement = await another(tmp_path / "other.db")
    os.replace(replacement, service.store.path)

    async def replaced() -> bool:
        answer = await read(service)
        return answer.status == 200 and {item["PackageName"] for item in answer.json} == {"other"}

    await until(replaced)
    assert len(await ids(service, target="web*")) == 0
    assert len(await ids(service, target="other*")) == 9

    async def takes() -> bool:
        return (await service.post(RECORD | {"Target": "first"})).status == 200

    await until(takes)
    for number in range(5):
        properties = {"Target": f"web{number}", "Version": f"1.{number}", "UserName": "alice"}
        item = await record(service, **properties)
        assert item.items() >= (RECORD | properties).items()
        assert (await read(service, f"/{item['Id']}")).json == item
        assert await ids(service, "/current", target=f"web{number}") == [item["Id"]]
        assert item["Id"] == 11 + number
    assert len(await ids(service, "/current")) == 15


async def test_an_older_copy_restored_into_the_open_file_is_recorded_in_rightly(
    service: Service, tmp_path: Path
) -> None:
    """``sqlite3 FILE '.restore COPY'`` under a running server: the file stays the same, and its names do not."""
    await record(service, Target="before", Version="1.0")
    with (
        contextlib.closing(sqlite3.connect(service.store.path)) as live,
        contextlib.closing(sqlite3.connect(tmp_path / "copy.db")) as copy,
    ):
        live.backup(copy)
        for number in range(5):
            await record(service, Target=f"web{number}", Version=f"1.{number}")
        copy.backup(live)
    await asyncio.sleep(3 * WATCH_SECONDS)
    for number in reversed(range(5)):
        item = await record(service, Target=f"web{number}", Version=f"1.{number}")
        assert (item["Target"], item["Version"]) == (f"web{number}", f"1.{number}")
        assert (await read(service, f"/{item['Id']}")).json == item
