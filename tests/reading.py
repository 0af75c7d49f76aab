"""Records to read, and clients that read them as the documentation says."""

from __future__ import annotations

import asyncio
import re
import sqlite3
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import aiohttp
import asyncpg
from conftest import KEY, RECORD, Answer, Service, database_path

from deployserver.models import DeploymentRow
from deployserver.storage import SQLiteDatabase

API = "/api/deployments"
DAY = 86_400_000_000
START = 1_618_272_000_000_000  # 2021-04-13

_NEXT = re.compile(r'<([^<>]*)>; rel="next"')


def row(number: int = 0, **changes: Any) -> DeploymentRow:
    """Return a deployment for the database; each number has a date and a target of its own."""
    plain = DeploymentRow(
        feed_id=1,
        application="ProfitCalc",
        description=f"number {number}",
        target=f"web{number:06}",
        package_name="left-pad",
        version="1.0",
        group_name=None,
        user_name="alice",
        url=None,
        date=START + number * 1_000_000,
        recorded_at=START,
        recorded_by="API key 1 (ci)",
        recorded_key_id=1,
    )
    return plain._replace(**changes)


def rows(count: int, **changes: Any) -> list[DeploymentRow]:
    return [row(number, **changes) for number in range(count)]


def iso(micros: int) -> str:
    return datetime.fromtimestamp(micros / 1_000_000, UTC).isoformat().replace("+00:00", "Z")


async def record(service: Service, *, key: str | None = KEY, **properties: Any) -> Any:
    """Post a deployment and return the record that was answered."""
    answer = await service.post(RECORD | properties, key=key)
    assert answer.status == 200, answer.text
    return answer.json


async def read(
    service: Service,
    path: str = "",
    *,
    key: str | None = KEY,
    headers: Mapping[str, str] | None = None,
    method: str = "GET",
    **query: Any,
) -> Answer:
    """Ask; a list is a parameter that is repeated."""
    sent = dict(headers or {})
    if key is not None:
        sent["X-ApiKey"] = key
    return await service.request(method, API + path, params=_pairs(query), headers=sent)


async def found(service: Service, path: str = "", **query: Any) -> Any:
    """Ask, and return the items."""
    answer = await read(service, path, **query)
    assert answer.status == 200, answer.text
    return answer.json


async def ids(service: Service, path: str = "", **query: Any) -> list[int]:
    """Ask, and return the ids of the records."""
    return [item["Id"] for item in await found(service, path, **query)]


async def error(service: Service, path: str = "", **query: Any) -> str:
    """Ask what is not to be asked, and return the message."""
    answer = await read(service, path, **query)
    assert answer.status == 400, answer.text
    assert answer.headers["Content-Type"] == "text/plain; charset=utf-8"
    return answer.text.removesuffix("\n")


def next_url(answer: Answer) -> str | None:
    """Return the URL of the next page as a client finds it."""
    link = answer.headers.get("Link")
    if link is None:
        return None
    match = _NEXT.fullmatch(link)
    assert match, link
    return match[1]


async def pages(service: Service, path: str = "", **query: Any) -> AsyncIterator[Any]:
    """Yield page after page, by the links that come with them."""
    answer = await read(service, path, **query)
    for _ in range(1000):
        assert answer.status == 200, answer.text
        yield answer.json
        url = next_url(answer)
        if url is None:
            return
        assert url.startswith(f"{service.url}/"), url
        answer = await service.request("GET", url.removeprefix(service.url), headers={"X-ApiKey": KEY})
    raise AssertionError("there is no end")


async def all_pages(service: Service, path: str = "", **query: Any) -> list[Any]:
    """Return the items of all pages."""
    return [item async for page in pages(service, path, **query) for item in page]


@dataclass(frozen=True)
class Event:
    """A block of an event stream; a comment, too."""

    id: str | None
    name: str | None
    data: str | None
    comment: str | None


class Events:
    """What a client reads from an event stream."""

    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self.response = response

    async def block(self) -> Event | None:
        """Return the next block, None at an orderly end. Raises ClientError where the stream is broken off."""
        lines: list[str] = []
        async with asyncio.timeout(10):
            while line := (await self.response.content.readline()).decode():
                assert line.endswith("\n")
                if line == "\n":
                    return _event(lines)
                lines.append(line.removesuffix("\n"))
        assert not lines
        return None

    async def next(self) -> Event | None:
        """Return the next event; comments are passed over."""
        while True:
            block = await self.block()
            if block is None or block.data is not None:
                return block


def _event(lines: Iterable[str]) -> Event:
    fields: dict[str, str] = {}
    for line in lines:
        name, colon, value = line.partition(":")
        assert colon, line
        assert name not in fields, line
        assert name in ("id", "event", "data", "retry", ""), line
        fields[name] = value.removeprefix(" ")
    return Event(fields.get("id"), fields.get("event"), fields.get("data"), fields.get(""))


@asynccontextmanager
async def following(
    service: Service,
    *,
    key: str | None = KEY,
    headers: Mapping[str, str] | None = None,
    url: str | None = None,
    **query: Any,
) -> AsyncIterator[Events]:
    """Follow the events; it begins when the server has begun to answer."""
    sent = {"Accept": "text/event-stream", **(headers or {})}
    if key is not None:
        sent["X-ApiKey"] = key
    async with service.session.get(
        f"{url or service.url}{API}/events",
        params=_pairs(query),
        headers=sent,
        timeout=aiohttp.ClientTimeout(total=60),
    ) as response:
        assert response.status == 200, await response.text()
        yield Events(response)


async def drop_table(service: Service, table: str) -> None:
    """Damage the database, as somebody else who is connected to it does."""

    def drop() -> None:  # in a thread, because somebody here may be writing to it
        with closing(sqlite3.connect(database_path(service.settings))) as connection:
            connection.execute(f"DROP TABLE {table}")
            connection.commit()

    if isinstance(service.store, SQLiteDatabase):
        await asyncio.to_thread(drop)
    else:
        connection = await asyncpg.connect(service.settings.database.url)
        await connection.execute(f"DROP TABLE {table} CASCADE")
        await connection.close()


def _pairs(query: Mapping[str, Any]) -> list[tuple[str, str]]:
    return [
        (name, str(one))
        for name, value in query.items()
        for one in (value if isinstance(value, (list, tuple)) else [value])
    ]
