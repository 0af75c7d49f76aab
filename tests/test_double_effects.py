"""What a client feels of a fault, on a socket of its own."""

from __future__ import annotations

import asyncio
import http.client
import io
import json
import logging
import re
import socket
import struct
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import pytest
from aiohttp import web
from aiohttp.typedefs import Handler
from conftest import FEED, KEY, PATH, administered, read_answer, settings_of
from waiting import until

from deployserver.api_keys import create_key
from deployserver.app import create_app
from deployserver.double.faults.effects import GARBAGE, act
from deployserver.double.faults.fault import Faults
from deployserver.double.faults.schema import load_fault
from deployserver.double.journal import ReceivedRequest
from deployserver.feeds import add_feed
from deployserver.server import listening

FORM = f"FeedName={FEED}&Application=a&Description=d&Target=t&PackageName=p&Version=1".encode()


def post(body: bytes = FORM, *more: str, path: str = PATH, length: int | None = None) -> bytes:
    """Return the bytes of a request that records a deployment."""
    lines = (f"POST {path} HTTP/1.1", "Host: x", f"X-ApiKey: {KEY}", *more)
    return "\r\n".join((*lines, f"Content-Length: {len(body) if length is None else length}", "", "")).encode() + body


def get(path: str, *more: str, method: str = "GET") -> bytes:
    return "\r\n".join((f"{method} {path} HTTP/1.1", "Host: x", f"X-ApiKey: {KEY}", *more, "", "")).encode()


class Double:
    """A server with faults, and how to feel them."""

    def __init__(self, port: int, store: Any, faults: Faults, ended: asyncio.Event) -> None:
        self.port, self.store, self.faults, self.ended = port, store, faults, ended
        self.under_way = 0

    def add(self, **fault: Any) -> None:
        self.faults.add(load_fault(fault))

    async def is_idle(self) -> bool:
        return self.under_way == 0

    async def talk(self, request: bytes) -> bytes:
        """Send a request and return all that comes until the server closes."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        try:
            writer.write(request)
            return await asyncio.wait_for(reader.read(), 10)
        finally:
            writer.close()

    async def ask(self, request: bytes) -> bytes:
        """Send a request and return one answer of HTTP."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        try:
            writer.write(request)
            return await read_answer(reader)
        finally:
            writer.close()

    async def stored(self) -> int:
        async with self.store.connected_snapshot() as connection:
            cursor = await connection.driver.execute("SELECT count(*) FROM deployment_records")
            (count,) = await cursor.fetchone()
            return int(count)


@asynccontextmanager
async def doubled(directory: Path) -> AsyncIterator[Double]:
    """Run the service with faults before and after it."""
    settings = settings_of(directory, security_lockout_failures=0, server_shutdown_timeout=5)
    async with administered(settings) as admin:
        await add_feed(admin, FEED)
        await create_key(admin, "system", value=KEY, name="ci")
        app = create_app(settings)
        faults, ended = Faults(), asyncio.Event()
        double = Double(0, admin.database, faults, ended)

        @web.middleware
        async def faulty(request: web.Request, handler: Handler) -> web.StreamResponse:
            double.under_way += 1
            try:
                return await answer(request, handler)
            finally:
                double.under_way -= 1

        async def answer(request: web.Request, handler: Handler) -> web.StreamResponse:
            headers = list(request.headers.items())
            received = ReceivedRequest(1, 0, request.method, request.path_qs, headers, "127.0.0.1")
            active = faults.choose("unread", received)
            if active and (response := await act(request, active, received, None, ended)) is not None:
                return response
            if request.content.is_eof():
                received.fields = dict(parse_qsl(FORM.decode()))
            active = faults.choose("read", received)
            if active and (response := await act(request, active, received, None, ended)) is not None:
                return response
            response = await handler(request)
            active = faults.choose("stored", received, response.status)
            if active and (other := await act(request, active, received, response, ended)) is not None:
                return other
            return response

        async def file(request: web.Request) -> web.Response:
            return web.Response(body=io.BytesIO(b"from a file"))

        app.router.add_get("/file", file)
        app.middlewares.insert(0, faulty)
        async with listening(app, settings) as url:
            double.port = int(url.rpartition(":")[2])
            yield double
            ended.set()


@pytest.fixture
async def double(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> AsyncIterator[Double]:
    """A server with faults, which must not have anything to complain about in its log."""
    with caplog.at_level(logging.WARNING):
        async with doubled(tmp_path) as running:
            yield running
    assert [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING] == []


def split(answer: bytes) -> tuple[int, Mapping[str, str], bytes]:
    head, _, body = answer.partition(b"\r\n\r\n")
    first, *lines = head.decode().split("\r\n")
    headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}
    return int(first.split()[1]), headers, body


# Answers


@pytest.mark.parametrize(
    ("status", "title", "text", "retry_after"),
    [
        (400, "Invalid or missing data", "Version is required.", None),
        (403, "Forbidden", "The API key may not record deployments here.", None),
        (404, "Feed not found", f"There is no feed named '{FEED}'.", None),
        (
            429,
            "Too many failed attempts",
            "Too many wrong credentials came from this address. Try again in 300 seconds.",
            "300",
        ),
        (
            500,
            "Internal error",
            "Something unexpected went wrong. The server's log has more under my-id.",
            None,
        ),
        (503, "Store unavailable", "The deployment could not be stored: the database is unavailable.", "5"),
        (502, "Bad Gateway", "Bad Gateway.", None),
        (599, "Status 599", "Status 599.", None),
    ],
)
async def test_an_answer_is_what_the_service_would_say(
    double: Double, status: int, title: str, text: str, retry_after: str | None
) -> None:
    double.add(do="answer", status=status)
    got, headers, body = split(await double.ask(post(FORM, "X-Request-Id: my-id")))
    assert (got, body.decode()) == (status, f"{text}\n")
    assert headers["content-type"] == "text/plain; charset=utf-8"
    assert (headers["x-request-id"], headers["server"]) == ("my-id", "deployserver")
    assert headers.get("retry-after") == retry_after
    got, headers, body = split(await double.ask(post(FORM, "Accept: application/json", "X-Request-Id: my-id")))
    problem = json.loads(body)
    assert headers["content-type"] == "application/problem+json; charset=utf-8"
    assert (problem["title"], problem["status"], problem["detail"]) == (title, status, text)
    assert await double.stored() == 0


@pytest.mark.parametrize(
    ("status", "request_bytes"),
    [
        (400, post(FORM.replace(b"&Version=1", b""), "X-Request-Id: 1", "Accept: application/json")),
        (400, post(FORM.replace(b"&Version=1", b""), "X-Request-Id: 1")),
        (404, post(FORM.replace(FEED.encode(), b"nowhere"), "X-Request-Id: 1", "Accept: application/json")),
        (404, post(FORM.replace(FEED.encode(), b"nowhere"), "X-Request-Id: 1")),
    ],
)
async def test_an_answer_cannot_be_told_from_the_service_s_own(
    double: Double, status: int, request_bytes: bytes
) -> None:
    def told(answer: bytes) -> bytes:
        return re.sub(rb"Date: [^\r]*", b"", answer).replace(FEED.encode(), b"nowhere").replace(b"Length: 41", b"")

    own = await double.ask(request_bytes)
    double.add(do="answer", status=status)
    faulty = await double.ask(request_bytes)
    assert split(own)[0] == status
    lengths = re.compile(rb"Content-Length: \d+")
    assert sorted(lengths.sub(b"", told(own)).split(b"\r\n")) == sorted(lengths.sub(b"", told(faulty)).split(b"\r\n"))


async def test_an_answer_in_one_s_own_words(double: Double) -> None:
    double.add(do="answer", status=400, text="Not <today>.", first=1)
    double.add(do="answer", status=503, text="Later.", retry_after=0, first=1)
    double.add(do="answer", status=400, text="Not today.")
    assert split(await double.ask(post()))[::2] == (400, "Not ‹today›.\n".encode())
    status, headers, body = split(await double.ask(post()))
    assert (status, headers["retry-after"], body) == (503, "0", b"Later.\n")
    _, _, body = split(await double.ask(post(FORM, "Accept: application/json")))
    assert b'"title":"Invalid or missing data"' in body and b'"errors":{"body":["Not today."]}' in body


async def test_an_answer_has_an_id_of_its_own_if_the_client_sent_none(double: Double) -> None:
    double.add(do="answer", status=500, when="unread")
    _, headers, body = split(await double.ask(post()))
    assert headers["x-request-id"] in body.decode()


async def test_a_404_where_no_feed_is_asked_for(double: Double) -> None:
    double.add(do="answer", status=404, when="unread")
    status, _, body = split(await double.ask(get("/health")))
    assert (status, body) == (404, b"There is nothing at /health.\n")


async def test_an_answer_before_the_body_closes_the_connection(double: Double) -> None:
    double.add(do="answer", status=503, when="unread")
    status, headers, _ = split(await double.ask(post(b"", length=100)))
    assert (status, headers["connection"]) == (503, "close")


async def test_an_answer_leaves_the_connection_usable(double: Double) -> None:
    double.add(do="answer", status=503, first=1)
    reader, writer = await asyncio.open_connection("127.0.0.1", double.port)
    for status in (503, 200):
        writer.write(post())
        assert split(await read_answer(reader))[0] == status
    writer.close()


async def test_an_answer_after_it_was_stored(double: Double) -> None:
    double.add(do="answer", status=500, when="stored")
    assert split(await double.ask(post()))[0] == 500
    assert await double.stored() == 1
    assert split(await double.ask(post(b"Version=1")))[0] == 400, "what was refused is not answered otherwise"


# The connection


@pytest.mark.parametrize(("when", "stored"), [("unread", 0), ("read", 0), ("stored", 1)])
async def test_a_reset(double: Double, when: str, stored: int) -> None:
    double.add(do="reset", when=when)
    with pytest.raises(ConnectionResetError):
        await double.talk(post())
    assert await double.stored() == stored


async def test_a_reset_does_not_wait_for_the_body(double: Double) -> None:
    double.add(do="reset", when="unread")
    with pytest.raises(ConnectionResetError):
        await double.talk(post(b"half", length=100_000))


@pytest.mark.parametrize(("when", "stored"), [("unread", 0), ("read", 0), ("stored", 1)])
async def test_a_connection_closed_without_an_answer(double: Double, when: str, stored: int) -> None:
    double.add(do="close", when=when)
    assert await double.talk(post()) == b""
    assert await double.stored() == stored


async def test_a_connection_is_closed_in_order_though_the_client_still_sends(double: Double) -> None:
    """If the system had bytes left that nobody has read, it would reset the connection."""
    double.add(do="close", when="unread")
    reader, writer = await asyncio.open_connection("127.0.0.1", double.port)
    body = b"x" * 900_000
    writer.write(post(b"", length=len(body)))
    assert await asyncio.wait_for(reader.read(), 10) == b""
    writer.write(body)
    await writer.drain()
    assert await asyncio.wait_for(reader.read(), 10) == b""
    writer.close()
    await writer.wait_closed()


async def test_a_client_that_never_sends_the_rest_is_not_waited_for(double: Double) -> None:
    double.add(do="close", when="unread")
    assert await double.talk(post(b"half", length=100)) == b""
    await until(double.is_idle)


async def test_a_broken_body_does_not_keep_the_connection_from_being_closed(double: Double) -> None:
    double.add(do="close", when="unread")
    head = post(b"", "Transfer-Encoding: chunked").replace(b"Content-Length: 0\r\n", b"")
    reader, writer = await asyncio.open_connection("127.0.0.1", double.port)
    writer.write(head + b"4\r\nhalf\r\n")
    assert await asyncio.wait_for(reader.read(), 10) == b""
    writer.write(b"nonsense\r\n\r\n")
    await until(double.is_idle)
    writer.close()


async def test_what_was_asked_behind_a_closed_connection_is_not_done(double: Double) -> None:
    """A client that pipelines takes what was not answered for not done."""
    for fault in ({"do": "close"}, {"do": "cut"}, {"do": "garbage"}, {"do": "dribble", "bytes": 1000}, {"do": "reset"}):
        double.faults.clear()
        double.add(**fault, first=1, when="stored")
        before = await double.stored()
        try:
            await double.talk(post() * 3)
        except ConnectionResetError:
            assert fault["do"] == "reset"
        assert await double.stored() == before + 1, fault


async def test_a_client_is_kept_waiting_until_it_gives_up(double: Double) -> None:
    double.add(do="hang", when="stored")
    reader, writer = await asyncio.open_connection("127.0.0.1", double.port)
    writer.write(post())
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(reader.read(1), 0.3)
    assert (await double.stored(), double.under_way) == (1, 1)
    writer.close()
    await until(double.is_idle)


async def test_a_client_is_kept_waiting_until_the_end(double: Double) -> None:
    double.add(do="hang", when="unread")
    asking = asyncio.create_task(double.talk(post(b"half", length=100)))
    await asyncio.sleep(0.2)
    assert not asking.done()
    double.ended.set()
    assert await asking == b""


# The answer


def read_with_http_client(data: bytes, method: str = "POST") -> http.client.HTTPResponse:
    class Sent:
        def makefile(self, *args: Any) -> Any:
            return io.BytesIO(data)

    response = http.client.HTTPResponse(Sent(), method=method)  # type: ignore[arg-type]
    response.begin()
    return response


@pytest.mark.parametrize(
    ("more", "arrived"), [({}, None), ({"bytes": 0}, 0), ({"bytes": 10}, 10), ({"bytes": 9999}, -1)]
)
async def test_an_answer_that_is_cut_off(double: Double, more: dict[str, int], arrived: int | None) -> None:
    double.add(do="cut", **more)
    data = await double.talk(post())
    status, headers, body = split(data)
    length = int(headers["content-length"])
    assert status == 200 and length > 100
    assert len(body) == {None: length // 2, -1: length}.get(arrived, arrived)
    if arrived == -1:
        assert read_with_http_client(data).read() == body
    else:
        with pytest.raises(http.client.IncompleteRead):
            read_with_http_client(data).read()
    assert await double.stored() == 1


@pytest.mark.parametrize("fault", [{"do": "cut", "bytes": 10**6}, {"do": "dribble", "bytes": 20, "seconds": 0}])
@pytest.mark.parametrize(
    "request_bytes",
    [
        get("/health", "X-Request-Id: 1"),
        get("/health", "X-Request-Id: 1", method="HEAD"),
        get("/nowhere", "X-Request-Id: 1"),
        get("/static/style.css", "X-Request-Id: 1"),
        get("/health", "X-Request-Id: 1", "Connection: close"),
        get("/health", "X-Request-Id: 1").replace(b"HTTP/1.1", b"HTTP/1.0"),
    ],
)
async def test_the_head_is_that_of_the_answer(double: Double, fault: dict[str, Any], request_bytes: bytes) -> None:
    def told(answer: bytes) -> list[bytes]:
        lines = re.sub(rb"Date: [^\r]*\r\n", b"", answer).split(b"\r\n")
        return sorted(line for line in lines if not line.startswith(b"Connection:"))

    last = b"\r\nConnection: close\r\n\r\n"
    whole = request_bytes if b"close" in request_bytes else request_bytes.replace(b"\r\n\r\n", last)
    own = await double.talk(whole)
    double.add(**fault)
    assert told(await double.talk(request_bytes)) == told(own)


async def test_the_head_has_the_cookies_of_the_answer(double: Double) -> None:
    double.add(do="cut")
    body = f"key={KEY}".encode()
    status, headers, _ = split(await double.talk(post(body, "Sec-Fetch-Site: same-origin", path="/sign-in")))
    assert status == 303
    assert "HttpOnly" in headers["set-cookie"]


async def test_a_refusal_can_be_cut_off_too(double: Double) -> None:
    double.add(do="cut")
    status, headers, body = split(await double.talk(post(b"Version=1")))
    assert status == 400 and len(body) == int(headers["content-length"]) // 2


async def test_a_dribble_arrives_over_time_and_whole(double: Double) -> None:
    double.add(do="dribble", bytes=60, seconds=0.03)
    reader, writer = await asyncio.open_connection("127.0.0.1", double.port)
    writer.write(post())
    pieces = []
    while piece := await asyncio.wait_for(reader.read(65536), 10):
        pieces.append(piece)
    writer.close()
    status, headers, body = split(b"".join(pieces))
    assert len(pieces) > 3
    assert (status, len(body), headers["connection"]) == (200, int(headers["content-length"]), "close")


async def test_a_dribble_ends_with_the_client(double: Double) -> None:
    double.add(do="dribble", seconds=0.05)
    reader, writer = await asyncio.open_connection("127.0.0.1", double.port)
    writer.write(post())
    await reader.readexactly(3)
    writer.transport.abort()
    await until(double.is_idle)


async def test_a_dribble_ends_at_the_end(double: Double) -> None:
    double.add(do="dribble", seconds=0.05)
    reader, writer = await asyncio.open_connection("127.0.0.1", double.port)
    writer.write(post())
    await reader.readexactly(3)
    double.ended.set()
    assert len(await asyncio.wait_for(reader.read(), 10)) < 100
    writer.close()


@pytest.mark.parametrize(("when", "stored"), [("unread", 0), ("read", 0), ("stored", 1)])
async def test_garbage(double: Double, when: str, stored: int) -> None:
    double.add(do="garbage", when=when)
    data = await double.talk(post())
    assert data == GARBAGE
    with pytest.raises(http.client.BadStatusLine):
        read_with_http_client(data)
    assert await double.stored() == stored


async def test_what_is_read_from_a_file_while_it_is_sent_arrives_whole(double: Double) -> None:
    double.add(do="cut")
    assert split(await double.ask(get("/file")))[2] == b"from a file"


# The wait


@pytest.mark.parametrize("when", ["unread", "read", "stored"])
async def test_a_delay_changes_nothing_else(double: Double, when: str) -> None:
    double.add(do="delay", delay=0.2, when=when)
    started = asyncio.get_running_loop().time()
    assert split(await double.ask(post()))[0] == 200
    assert asyncio.get_running_loop().time() - started >= 0.2
    assert await double.stored() == 1


async def test_a_delay_before_another_effect(double: Double) -> None:
    double.add(do="answer", status=503, delay={"uniform": [0.2, 0.3]})
    started = asyncio.get_running_loop().time()
    assert split(await double.ask(post()))[0] == 503
    assert asyncio.get_running_loop().time() - started >= 0.2


async def test_a_delay_ends_at_the_end(double: Double) -> None:
    double.add(do="delay", delay=3600)
    asking = asyncio.create_task(double.ask(post()))
    await asyncio.sleep(0.1)
    double.ended.set()
    assert split(await asking)[0] == 200


async def test_a_delay_ends_with_the_client(double: Double) -> None:
    """It has to be sure, though: who only closes their side may still listen."""
    double.add(do="answer", status=503, delay=3600)
    _, writer = await asyncio.open_connection("127.0.0.1", double.port)
    writer.write(post())
    await asyncio.sleep(0.1)
    assert double.under_way == 1
    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()
    await until(double.is_idle)


async def test_a_client_that_has_closed_its_side_hears_a_delayed_answer(double: Double) -> None:
    double.add(do="delay", delay=0.2)
    reader, writer = await asyncio.open_connection("127.0.0.1", double.port)
    writer.write(post())
    writer.write_eof()
    assert split(await read_answer(reader))[0] == 200
    writer.close()
