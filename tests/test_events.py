"""``GET /api/deployments/events``: records as they arrive, none left out by a client that comes back."""

from __future__ import annotations

import asyncio
import json
from contextlib import AsyncExitStack
from typing import Any

import aiohttp
import pytest
from conftest import RECORD, Service
from reading import Events, drop_table, error, following, read, record, row, rows
from waiting import until

from deployserver.api import events, keys
from deployserver.api_keys import create_key
from deployserver.app import create_app
from deployserver.feeds import add_feed
from deployserver.live import LOOK_SECONDS
from deployserver.server import listening


async def seen(stream: Events, count: int) -> list[int]:
    """Return the ids of the next events."""
    found = []
    for _ in range(count):
        event = await stream.next()
        assert event is not None
        assert event.id is not None
        found.append(int(event.id))
    return found


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A stream says that it is still there after a tenth of a second, instead of 15 seconds."""
    monkeypatch.setattr(events, "HEARTBEAT_SECONDS", 0.1)


# What is sent


async def test_a_record_is_an_event_as_it_arrives(service: Service) -> None:
    """Its data is the record, as the POST answered it, in one line; what was there before is not sent."""
    await record(service)
    async with following(service) as stream:
        text = "Zürich\r\n\r\nid: 99\n\u2028data: x"
        answer = await service.post(RECORD | {"Description": text, "Date": "1999-01-01"})
        event = await stream.next()
        assert event is not None
        assert (event.id, event.name, event.data) == ("2", "deployment", answer.text)
        assert json.loads(event.data)["Description"] == text


async def test_the_answer_is_an_event_stream_that_nobody_keeps(service: Service) -> None:
    """No cache and no proxy collects it; EventSource is told when to come back."""
    async with following(service) as stream:
        assert stream.response.headers["Content-Type"] == "text/event-stream; charset=utf-8"
        assert stream.response.headers["Cache-Control"] == "no-store"
        assert stream.response.headers["X-Accel-Buffering"] == "no"
        assert "Content-Encoding" not in stream.response.headers
        assert await stream.response.content.readline() == b"retry: 3000\n"


@pytest.mark.parametrize("accept", ["text/event-stream", "*/*", "text/html", "application/json", ""])
async def test_it_is_one_whatever_is_accepted(service: Service, accept: str) -> None:
    async with following(service, headers={"Accept": accept}) as stream:
        assert stream.response.content_type == "text/event-stream"


async def test_a_head_has_no_stream(service: Service) -> None:
    answer = await read(service, "/events", method="HEAD")
    assert (answer.status, answer.body) == (200, b"")
    assert answer.headers["Content-Type"] == "text/event-stream; charset=utf-8"


@pytest.mark.every_engine
async def test_events_come_in_the_order_of_their_arrival(service: Service) -> None:
    """Whatever their dates are."""
    async with following(service) as stream:
        for day in (15, 13, 14):
            await record(service, Date=f"2021-04-{day}")
        await service.store.add_deployments(rows(600))
        assert await seen(stream, 603) == list(range(1, 604))


async def test_many_follow_at_once(service: Service) -> None:
    async with AsyncExitStack() as stack:
        streams = [await stack.enter_async_context(following(service)) for _ in range(20)]
        await service.store.add_deployments(rows(3))
        assert await asyncio.gather(*(seen(stream, 3) for stream in streams)) == [[1, 2, 3]] * 20


# Coming back


@pytest.mark.every_engine
@pytest.mark.parametrize("how", ["header", "parameter"])
async def test_who_comes_back_gets_what_was_missed(service: Service, how: str) -> None:
    """EventSource sends the header; who cannot set it, the parameter."""
    await service.store.add_deployments(rows(5))
    options: dict[str, Any] = {"headers": {"Last-Event-ID": " 2 "}} if how == "header" else {"last_event_id": 2}
    async with following(service, **options) as stream:
        assert await seen(stream, 3) == [3, 4, 5]
        await record(service)
        assert await seen(stream, 1) == [6]


async def test_everything_can_be_asked_for_from_the_beginning(service: Service) -> None:
    """More than is looked at in one go."""
    await service.store.add_deployments(rows(1700))
    async with following(service, last_event_id=0) as stream:
        assert await seen(stream, 1700) == list(range(1, 1701))


@pytest.mark.every_engine
async def test_nothing_is_missed_or_doubled_by_who_keeps_coming_back(service: Service) -> None:
    """However short the visits are, while records arrive."""
    got: list[int] = []

    async def post() -> None:
        for _ in range(40):
            await record(service)

    posting = asyncio.create_task(post())
    while len(got) < 40:
        last = got[-1] if got else 0
        async with following(service, headers={"Last-Event-ID": str(last)}) as stream:
            got += await seen(stream, min(3, 40 - len(got)))
    await posting
    assert got == list(range(1, 41))


async def test_the_header_goes_before_the_parameter(service: Service) -> None:
    """The parameter stays in the URL with which EventSource comes back; the header is newer."""
    await service.store.add_deployments(rows(5))
    async with following(service, last_event_id=1, headers={"Last-Event-ID": "4"}) as stream:
        assert await seen(stream, 1) == [5]


@pytest.mark.parametrize("header", ["", "   "])
async def test_an_empty_header_is_none(service: Service, header: str) -> None:
    """EventSource has no id before the first event."""
    await service.store.add_deployments(rows(2))
    async with following(service, headers={"Last-Event-ID": header}) as stream:
        await record(service)
        assert await seen(stream, 1) == [3]


@pytest.mark.parametrize("value", ["x", "-1", "1.0", "+1", "١", str(2**63), "9" * 20, "9" * 5000, "1 2"])
async def test_an_id_that_is_none_is_refused(service: Service, value: str) -> None:
    answer = await read(service, "/events", headers={"Last-Event-ID": value})
    assert (answer.status, answer.text) == (400, "Last-Event-ID must be the id of an event, a whole number.\n")
    message = f"last_event_id must be a whole number from 0 to {2**63 - 1}."
    if not value.startswith("+"):  # a plus is a blank in a query
        assert await error(service, "/events", last_event_id=value) == message


async def test_an_id_that_is_yet_to_come_waits_for_what_is_after_it(service: Service) -> None:
    await record(service)
    async with following(service, last_event_id=2) as stream:
        await record(service)
        await record(service)
        assert await seen(stream, 1) == [3]


# Filters


@pytest.mark.parametrize(
    "query",
    [
        {"package": "LEFT*"},
        {"target": ["x", "web01"]},
        {"group": "@ACME"},
        {"version": "2.*"},
        {"application": "octopus"},
        {"user": "bob"},
        {"q": "hand release"},
        {"feed": "default*", "package": "left-pad", "q": "web"},
    ],
)
async def test_only_what_is_asked_for_is_sent(service: Service, query: dict[str, Any]) -> None:
    wanted = row(
        package_name="left-pad",
        target="web01",
        group_name="@acme",
        version="2.0",
        application="Octopus",
        user_name="Bob",
        description="Release by hand",
    )
    other = row(package_name="other", target="db", description="nothing")
    async with following(service, **query) as stream:
        await service.store.add_deployments([other, wanted, other, other, wanted])
        assert await seen(stream, 2) == [2, 5]


async def test_a_name_that_is_new_is_found_as_soon_as_it_is_there(service: Service) -> None:
    async with following(service, target="new*") as stream:
        await record(service, Target="old")
        await record(service, Target="NEW01")
        assert await seen(stream, 1) == [2]


async def test_the_id_moves_on_where_nothing_is_sent(service: Service) -> None:
    """So that who comes back does not have us look through all that was not for them again."""
    async with following(service, target="web01") as stream:
        await stream.block()
        await service.store.add_deployments([row(target="db")] * 3)
        block = await stream.block()
        while block is not None and block.id is None:
            block = await stream.block()
        assert block is not None
        assert (block.id, block.data, block.comment) == ("3", None, "nothing for you")


@pytest.mark.parametrize("name", ["since", "until", "limit", "cursor", "count", "format", "as_of", "per"])
async def test_what_means_nothing_here_is_refused(service: Service, name: str) -> None:
    assert (await error(service, "/events", **{name: "1"})).startswith(f"{name} is no parameter here. Known are ")


# How long it lasts


@pytest.mark.usefixtures("impatient")
async def test_a_silent_stream_says_that_it_is_still_there(service: Service) -> None:
    """Proxies give up on one that says nothing; clients pass over comments, and the id stays what it was."""
    async with following(service) as stream:
        blocks = [await stream.block() for _ in range(3)]
        assert [block and (block.comment, block.data, block.id) for block in blocks] == [
            (None, None, None),  # how long to wait before coming back
            ("still here", None, None),
            ("still here", None, None),
        ]
        await record(service)
        assert await seen(stream, 1) == [1]


async def test_a_server_that_stops_ends_its_streams_in_good_order(service: Service) -> None:
    """At once, and without waiting for clients that would never leave."""
    async with AsyncExitStack() as clients, AsyncExitStack() as server:
        app = create_app(service.settings)
        url = await server.enter_async_context(listening(app, service.settings))
        streams = [await clients.enter_async_context(following(service, url=url, target=name)) for name in ("x", "y")]
        await record(service, Target="x")
        assert await seen(streams[0], 1) == [1]
        async with asyncio.timeout(service.settings.server.shutdown_timeout / 2):
            await server.aclose()
        assert [await stream.next() for stream in streams] == [None, None]


@pytest.mark.usefixtures("impatient")
async def test_who_has_gone_is_forgotten(service: Service) -> None:
    """And nobody looks for new records where nobody follows."""
    app = create_app(service.settings)

    async def forgotten() -> bool:
        return app[keys.LIVE]._followers == 0 and not app[keys.LIVE]._awaited.is_set()

    async with listening(app, service.settings) as url:
        for _ in range(2):
            async with following(service, url=url), following(service, url=url) as stream:
                await record(service)
                await stream.next()
                assert app[keys.LIVE]._followers == 2
            await until(forgotten)


@pytest.mark.usefixtures("impatient")
async def test_a_stream_that_cannot_go_on_is_broken_off(service: Service) -> None:
    """The client sees that it is no end, and comes back."""
    async with following(service) as stream:
        await record(service)
        assert await seen(stream, 1) == [1]
        await drop_table(service, "deployments")
        with pytest.raises(aiohttp.ClientError):
            await stream.next()


async def test_what_has_a_feed_that_is_not_known_yet_is_not_sent(service: Service) -> None:
    """A feed that another process has just made: whether the caller may view it is not known here."""
    other = await add_feed(service.admin, "Other")
    async with following(service) as stream:
        await service.store.add_deployments([row(0, feed_id=other.id), row(0)])
        assert await seen(stream, 1) == [2]


async def test_a_key_in_the_url_will_do(service: Service) -> None:
    """EventSource can set no headers."""
    created = await create_key(service.admin, "system", scopes=["feeds"])

    async def known() -> bool:
        return (await read(service, key=created.secret)).status == 200

    await until(known)
    async with following(service, key=None, Key=created.secret) as stream:
        await record(service)
        assert await seen(stream, 1) == [1]


async def test_a_stream_outlives_a_database_that_is_away_for_a_moment(service: Service) -> None:
    """It goes on where it was."""

    async def rename(table: str, to: str) -> None:
        async with service.store.connected_transaction() as connection:
            await connection.rows(f"ALTER TABLE {table} RENAME TO {to}")

    async with following(service) as stream:
        await record(service)
        assert await seen(stream, 1) == [1]
        await rename("deployments", "away")
        assert (await read(service)).status == 503
        await asyncio.sleep(2 * LOOK_SECONDS)
        await rename("away", "deployments")
        await record(service)
        assert await seen(stream, 1) == [2]


async def test_a_record_that_cannot_be_written_breaks_a_stream_off(
    service: Service, caplog: pytest.LogCaptureFixture
) -> None:
    """Somebody may have put into the database what no client can."""
    async with following(service) as stream:
        await service.store.add_deployments([row(date=-(2**62))])
        with pytest.raises(aiohttp.ClientError):
            await stream.next()
    assert [entry.message for entry in caplog.records if entry.exc_info] == ["a stream of events ended"]
